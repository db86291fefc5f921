// SPDX-License-Identifier: Apache-2.0
/* Frames that tell which they are, recorded and read back. */
#ifndef SONO_TESTS_SUPPORT_RECORDING_H
#define SONO_TESTS_SUPPORT_RECORDING_H

#include "sonoseg/io.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Byte number `at` of the pixels of the frame with this id. */
static inline uint8_t recording_byte(uint64_t id, size_t at)
{
    return (uint8_t)(id * 31 + at * 7 + (at >> 8));
}

static inline void recording_fill(uint8_t *pixels, size_t n_bytes, uint64_t id)
{
    for (size_t i = 0; i < n_bytes; i++)
        pixels[i] = recording_byte(id, i);
}

/* Reads a recording whose frames are first_id, first_id + 1, ... and has them all as they were recorded.
 * Returns their number, or -1 with a line on stderr. */
static inline int64_t recording_check(const char *path, uint64_t first_id)
{
    sono_source *source = NULL;
    sono_source_options options;
    sono_error error;
    int64_t n = 0;
    sono_source_options_init(&options);
    options.as_stored = 1;
    if (sono_source_open_sequence(path, &options, &source, &error) != SONO_STATUS_OK) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    for (;; n++) {
        sono_image image;
        sono_frame_info info;
        sono_samples samples;
        sono_source_field field = {0};
        const char *name;
        char id[32];
        int has_id = 0;
        sono_image_init(&image);
        sono_frame_info_init(&info);
        const sono_status status = sono_source_next(source, &image, &info, &name, &error);
        if (status == SONO_STATUS_END)
            break;
        snprintf(id, sizeof id, "%llu", (unsigned long long)(first_id + (uint64_t)n));
        for (int32_t i = 0; status == SONO_STATUS_OK && i < sono_source_field_count(source); i++)
            if (sono_source_field_at(source, i, &field, NULL) == SONO_STATUS_OK &&
                !strcmp(field.name, "FrameNumber"))
                has_id = !strcmp(field.value, id);
        int is_same =
            status == SONO_STATUS_OK && sono_source_samples(source, &samples, NULL) == SONO_STATUS_OK;
        for (size_t i = 0; is_same && samples.data && i < samples.n_bytes; i++)
            is_same = ((const uint8_t *)samples.data)[i] == recording_byte(first_id + (uint64_t)n, i);
        if (!is_same || !has_id) {
            fprintf(stderr, "%s: frame %lld is not the one that was recorded: %s\n", path, (long long)n,
                    status == SONO_STATUS_OK ? "pixels or id differ" : error.text);
            sono_source_close(source);
            return -1;
        }
    }
    sono_source_close(source);
    return n;
}

/* Number of names in a folder with this end. */
static inline int recording_count(const char *folder, const char *end)
{
    int n = 0;
    DIR *stream = opendir(folder);
    for (const struct dirent *entry; stream && (entry = readdir(stream));) {
        const size_t n_name = strlen(entry->d_name), n_end = strlen(end);
        n += n_name >= n_end && !strcmp(entry->d_name + n_name - n_end, end) &&
             strcmp(entry->d_name, "..") != 0;
    }
    if (stream)
        closedir(stream);
    return n;
}

#endif
