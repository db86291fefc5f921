// SPDX-License-Identifier: Apache-2.0
/* libFuzzer entry: any bytes as a recorded sequence, MetaIO or NRRD, as images and as stored, with its
 * fields. */
#include "memory_file.h"
#include "sonoseg/io.h"

#include <string.h>

#define MAX_FRAMES 8

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void read_fields(const sono_source *source, volatile size_t *n_letters)
{
    sono_source_field field;
    for (int32_t i = 0; i < sono_source_field_count(source) && i < 64; i++)
        if (sono_source_field_at(source, i, &field, NULL) == SONO_STATUS_OK)
            *n_letters += strlen(field.name) + strlen(field.value);
}

static void read_frames(const char *path, const sono_source_options *options)
{
    sono_source *source = NULL;
    sono_error error;
    volatile size_t sum = 0;
    if (sono_source_open_sequence(path, options, &source, &error) != SONO_STATUS_OK)
        return;
    for (int i = 0; i < MAX_FRAMES; i++) {
        sono_image image;
        sono_frame_info info;
        sono_samples samples;
        const char *name;
        sono_image_init(&image);
        sono_frame_info_init(&info);
        if (sono_source_next(source, &image, &info, &name, &error) == SONO_STATUS_END)
            break;
        if (image.pixels)
            sum += ((const uint8_t *)image.pixels)[image.pitch_bytes * (size_t)image.height_px - 1];
        if (sono_source_samples(source, &samples, NULL) == SONO_STATUS_OK && samples.data)
            sum += ((const uint8_t *)samples.data)[samples.n_bytes - 1];
        read_fields(source, &sum);
    }
    sono_source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    char path[64];
    const int file = memory_file(bytes, n_bytes, path);
    if (file < 0)
        return 0;
    sono_source_options options;
    sono_source_options_init(&options);
    options.max_pixels = 1 << 16;
    options.keep_colour = n_bytes & 1;
    options.float_high = n_bytes >> 1 & 1;
    options.gray16_white = n_bytes & 1 ? SONO_GRAY16_AUTO : 0;
    options.as_stored = n_bytes % 3 == 0;
    read_frames(path, &options);
    close(file);
    return 0;
}
