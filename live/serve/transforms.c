// SPDX-License-Identifier: Apache-2.0
#include "serve/transforms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS_BYTES 1024         /* of 16 numbers as text */
#define MAX_ENTRIES   256          /* of an image's metadata that are looked at */
#define MAX_APART     (1ull << 31) /* half a second of a raw timestamp */

static sono_serve_transform *find(sono_serve_transform *list, int32_t n, const char *name, size_t n_bytes)
{
    for (int32_t i = 0; i < n; ++i) {
        if (!strncmp(list[i].name, name, n_bytes) && !list[i].name[n_bytes]) {
            return &list[i];
        }
    }
    return NULL;
}

/* The place of that name, a new one where there is none; NULL when it cannot be kept. */
static sono_serve_transform *place(sono_serve_transform *list, int32_t *n, const char *name, size_t n_bytes)
{
    if (!n_bytes || n_bytes >= SONO_SERVE_NAME_BYTES) {
        return NULL;
    }
    sono_serve_transform *transform = find(list, *n, name, n_bytes);
    if (!transform && *n < SONO_SERVE_MAX_TRANSFORMS) {
        transform = &list[(*n)++];
        memset(transform, 0, sizeof *transform);
        memcpy(transform->name, name, n_bytes);
    }
    return transform;
}

static int is_text(const sono_igtl_metadata *entry, const char *text)
{
    return entry->value_bytes == strlen(text) && !memcmp(entry->value, text, entry->value_bytes);
}

static int all_finite(const float matrix[12])
{
    for (int i = 0; i < 12; ++i) {
        if (!isfinite(matrix[i])) {
            return 0;
        }
    }
    return 1;
}

void sono_serve_transforms_message(sono_serve_transforms *transforms, const sono_igtl_header *header,
                                   const sono_igtl_body *body)
{
    sono_igtl_transform wire;
    sono_igtl_metadata status;
    if (sono_igtl_transform_decode(body->content, body->content_bytes, &wire, NULL) != SONO_IGTL_OK) {
        ++transforms->n_refused;
        return;
    }
    sono_serve_transform *transform =
        place(transforms->list, &transforms->n, header->device, strlen(header->device));
    if (!transform) {
        ++transforms->n_refused;
        return;
    }
    memcpy(transform->matrix, wire.matrix, sizeof transform->matrix);
    transform->timestamp = header->timestamp;
    transform->is_valid = all_finite(wire.matrix);
    if (sono_igtl_metadata_find(body, "TransformStatus", &status) ||
        sono_igtl_metadata_find(body, "Status", &status)) {
        transform->is_valid = transform->is_valid && is_text(&status, "OK");
    }
}

/* 16 numbers, row by row, to 12 by columns. 0, or -1 where they are not that. */
static int parse_matrix(const sono_igtl_metadata *entry, float out[12])
{
    char text[NUMBERS_BYTES];
    float matrix[12];
    char *at = text;
    if (entry->value_bytes >= sizeof text) {
        return -1;
    }
    memcpy(text, entry->value, entry->value_bytes);
    text[entry->value_bytes] = 0;
    for (int i = 0; i < 16; ++i) {
        char *end;
        float number = strtof(at, &end);
        if (end == at || !isfinite(number)) {
            return -1;
        }
        if (i < 12) {
            matrix[3 * (i % 4) + i / 4] = number;
        }
        at = end;
    }
    if (at[strspn(at, " \t\r\n")]) {
        return -1;
    }
    memcpy(out, matrix, sizeof matrix);
    return 0;
}

/* Length of `name` in "<name><ending>"; 0 = it does not end so. */
static size_t stem(const sono_igtl_metadata *entry, const char *ending)
{
    size_t n = strlen(ending);
    if (entry->key_bytes <= n || memcmp(entry->key + entry->key_bytes - n, ending, n) != 0) {
        return 0;
    }
    return entry->key_bytes - n;
}

static sono_orientation orientation(const sono_igtl_metadata *entry)
{
    static const char *const names[] = {"MF", "MN", "UF", "UN"};
    for (int i = 0; i < 4; ++i) {
        if (is_text(entry, names[i])) {
            return (sono_orientation)(SONO_ORIENTATION_MF + i);
        }
    }
    return SONO_ORIENTATION_UNKNOWN;
}

static void take_entry(sono_serve_transforms *transforms, const sono_igtl_metadata *entry,
                       sono_serve_frame *frame)
{
    size_t n = stem(entry, "Transform");
    sono_serve_transform *transform;
    float matrix[12];
    if (n) {
        transform = parse_matrix(entry, matrix)
                        ? NULL
                        : place(frame->transforms, &frame->n_transforms, entry->key, n);
        if (!transform) {
            ++transforms->n_refused;
            return;
        }
        memcpy(transform->matrix, matrix, sizeof matrix);
        transform->timestamp = frame->timestamp;
        transform->is_valid = 1;
    } else if (entry->key_bytes == 26 && !memcmp(entry->key, "UltrasoundImageOrientation", 26)) {
        frame->info.orientation = orientation(entry);
    }
}

/* Statuses count whichever stands first, so they are read behind all matrices. */
static void take_status(const sono_igtl_metadata *entry, sono_serve_frame *frame)
{
    size_t n = stem(entry, "TransformStatus");
    sono_serve_transform *transform = n ? find(frame->transforms, frame->n_transforms, entry->key, n) : NULL;
    if (transform && !is_text(entry, "OK")) {
        transform->is_valid = 0;
    }
}

/* Plus sends no TRANSFORM for a tool that it does not see: what is from another time is not this frame's. */
static void copy_newest(const sono_serve_transforms *transforms, sono_serve_frame *frame)
{
    frame->n_transforms = transforms->n;
    memcpy(frame->transforms, transforms->list, (size_t)transforms->n * sizeof transforms->list[0]);
    for (int32_t i = 0; i < frame->n_transforms; ++i) {
        uint64_t a = frame->timestamp, b = frame->transforms[i].timestamp;
        if (a && b && (a > b ? a - b : b - a) > MAX_APART) {
            frame->transforms[i].is_valid = 0;
        }
    }
}

void sono_serve_transforms_apply(sono_serve_transforms *transforms, const sono_igtl_body *body,
                                 const char *pose, sono_serve_frame *frame)
{
    sono_igtl_metadata entry;
    copy_newest(transforms, frame);
    for (uint16_t i = 0; i < MAX_ENTRIES && sono_igtl_metadata_at(body, i, &entry); ++i) {
        take_entry(transforms, &entry, frame);
    }
    for (uint16_t i = 0; i < MAX_ENTRIES && sono_igtl_metadata_at(body, i, &entry); ++i) {
        take_status(&entry, frame);
    }
    frame->info.has_pose = 0;
    size_t n = strlen(pose);
    sono_serve_transform *found = n ? find(frame->transforms, frame->n_transforms, pose, n) : NULL;
    if (found && found->is_valid) {
        for (int i = 0; i < 12; ++i) {
            frame->info.image_to_reference[i] = found->matrix[3 * (i % 4) + i / 4];
        }
        frame->info.has_pose = 1;
    }
}
