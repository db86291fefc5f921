// SPDX-License-Identifier: Apache-2.0
/* One frame of a source as one block of memory. */
#include "replay/frame.h"

#include "error/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRANSFORM "Transform"
#define N_MADE    3 /* fields that are made for a source without any */

static int parse_floats(const char *text, int n, float *out)
{
    for (int i = 0; i < n; i++) {
        char *end = NULL;
        out[i] = strtof(text, &end);
        if (end == text || !isfinite(out[i]))
            return -1;
        text = end;
    }
    return text[strspn(text, " \t")] ? -1 : 0;
}

int sono_replay_transform_parse(const char *text, float out[12])
{
    float rows[16];
    if (parse_floats(text, 16, rows))
        return -1;
    for (int i = 0; i < 12; i++)
        out[i % 4 * 3 + i / 4] = rows[i];
    return 0;
}

void sono_replay_image_matrix(const float *pose, const double spacing_mm[2], int32_t width_px,
                              int32_t height_px, float out[12])
{
    static const float identity[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    const float *from = pose ? pose : identity;
    const double x_mm = spacing_mm[0] > 0 ? spacing_mm[0] : 1, y_mm = spacing_mm[1] > 0 ? spacing_mm[1] : 1;
    for (int row = 0; row < 3; row++) {
        const double across = (double)from[4 * row] * x_mm, down = (double)from[4 * row + 1] * y_mm;
        out[row] = (float)across;
        out[3 + row] = (float)down;
        out[6 + row] = from[4 * row + 2];
        out[9 + row] =
            (float)(across * 0.5 * (width_px - 1) + down * 0.5 * (height_px - 1) + (double)from[4 * row + 3]);
    }
}

/* ---- what a source says of a frame --------------------------------------------------------------------- */

/* The source's fields, or those made of its frame_info: number, pose and the pose's status. */
typedef struct given {
    const sono_source *source;
    int32_t n_own, n_made;
    char number[24], pose[12 * 16 + 16], pose_name[96], status_name[96];
    sono_replay_field made[N_MADE];
} given;

static int is_named(const given *from, const char *name)
{
    sono_source_field field;
    for (int32_t i = 0; i < from->n_own; i++)
        if (!sono_source_field_at(from->source, i, &field, NULL) && !strcmp(field.name, name))
            return 1;
    return 0;
}

static void give(given *from, const char *name, const char *value)
{
    if (!is_named(from, name))
        from->made[from->n_made++] = (sono_replay_field){name, value};
}

static void gather(given *from, const sono_source *source, const sono_frame_info *info, const char *pose)
{
    const float *m = info->image_to_reference;
    from->source = source;
    from->n_own = sono_source_field_count(source);
    from->n_made = 0;
    snprintf(from->number, sizeof from->number, "%llu", (unsigned long long)info->frame_id);
    give(from, "FrameNumber", from->number);
    if (!info->has_pose || from->n_own)
        return;
    snprintf(from->pose_name, sizeof from->pose_name, "%.64s" TRANSFORM, pose);
    snprintf(from->status_name, sizeof from->status_name, "%.64s" TRANSFORM "Status", pose);
    snprintf(from->pose, sizeof from->pose,
             "%.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g 0 0 0 1", (double)m[0],
             (double)m[1], (double)m[2], (double)m[3], (double)m[4], (double)m[5], (double)m[6], (double)m[7],
             (double)m[8], (double)m[9], (double)m[10], (double)m[11]);
    give(from, from->pose_name, from->pose);
    give(from, from->status_name, "OK");
}

/* Field number i of both kinds; 0 = it is the file's, not the frame's, or not there. */
static int field_at(const given *from, int32_t i, sono_replay_field *out)
{
    sono_source_field field;
    if (i >= from->n_own) {
        *out = from->made[i - from->n_own];
        return 1;
    }
    if (sono_source_field_at(from->source, i, &field, NULL) || !field.is_of_frame)
        return 0;
    *out = (sono_replay_field){field.name, field.value};
    return 1;
}

/* ---- the block ----------------------------------------------------------------------------------------- */

typedef struct filler {
    sono_replay_frame *frame;
    sono_replay_field *fields;
    sono_replay_transform *transforms;
    char *text;
} filler;

static const char *keep(filler *to, const char *text, size_t n_bytes)
{
    char *kept = to->text;
    memcpy(kept, text, n_bytes);
    kept[n_bytes] = 0;
    to->text += n_bytes + 1;
    return kept;
}

static void keep_time(sono_replay_frame *frame, const sono_replay_field *field)
{
    char *end = NULL;
    if (!strcmp(field->name, "Timestamp"))
        frame->has_time = 1;
    if (strcmp(field->name, "SourceTimestamp") != 0)
        return;
    const unsigned long long raw = strtoull(field->value, &end, 16);
    if (end != field->value && !*end)
        frame->raw_time = raw;
}

static void keep_transform(filler *to, const sono_replay_field *field)
{
    const size_t n = strlen(field->name), n_ending = strlen(TRANSFORM);
    sono_replay_transform *out = &to->transforms[to->frame->n_transforms];
    if (n <= n_ending || strcmp(field->name + n - n_ending, TRANSFORM) != 0 ||
        sono_replay_transform_parse(field->value, out->matrix))
        return;
    out->name = keep(to, field->name, n - n_ending);
    out->is_valid = 1;
    to->frame->n_transforms++;
}

static void judge_transforms(filler *to)
{
    const sono_replay_frame *frame = to->frame;
    for (int32_t i = 0; i < frame->n_transforms; i++) {
        const size_t n = strlen(to->transforms[i].name);
        for (int32_t k = 0; k < frame->n_fields; k++)
            if (!strncmp(to->fields[k].name, to->transforms[i].name, n) &&
                !strcmp(to->fields[k].name + n, TRANSFORM "Status"))
                to->transforms[i].is_valid = !strcmp(to->fields[k].value, "OK");
    }
}

/* A recording of sonoseg says with which matrix the image came. */
static void keep_matrix(sono_replay_frame *frame, const sono_replay_field *field)
{
    float matrix[12];
    if (!strcmp(field->name, "ImageMatrix") && !parse_floats(field->value, 12, matrix))
        memcpy(frame->matrix, matrix, sizeof matrix);
}

static void keep_fields(filler *to, const given *from)
{
    sono_replay_field field;
    for (int32_t i = 0; i < from->n_own + from->n_made; i++)
        if (field_at(from, i, &field)) {
            to->fields[to->frame->n_fields].name = keep(to, field.name, strlen(field.name));
            to->fields[to->frame->n_fields++].value = keep(to, field.value, strlen(field.value));
            keep_time(to->frame, &field);
            keep_matrix(to->frame, &field);
            keep_transform(to, &field);
        }
    judge_transforms(to);
}

/* Two copies of a transform's name fit: its field's and its own. */
static size_t text_bytes(const given *from)
{
    sono_replay_field field;
    size_t n_bytes = 0;
    for (int32_t i = 0; i < from->n_own + from->n_made; i++)
        if (field_at(from, i, &field))
            n_bytes += 2 * strlen(field.name) + strlen(field.value) + 3;
    return n_bytes;
}

/* A picture of whatever source: samples as they are stored, or an image. */
typedef struct picture {
    const uint8_t *pixels;
    size_t row_bytes, pitch_bytes;
    int32_t width_px, height_px;
    uint8_t scalar, n_components;
} picture;

static void look_at_image(const sono_image *image, picture *out)
{
    static const uint8_t components[] = {
        [SONO_PIXEL_GRAY8] = 1, [SONO_PIXEL_GRAY16] = 1, [SONO_PIXEL_RGB8] = 3, [SONO_PIXEL_RGBA8] = 4};
    const size_t element = image->format == SONO_PIXEL_GRAY16 ? 2 : 1;
    out->pixels = image->pixels;
    out->width_px = image->width_px;
    out->height_px = image->height_px;
    out->scalar = image->format == SONO_PIXEL_GRAY16 ? SONO_ELEMENT_U16 : SONO_ELEMENT_U8;
    out->n_components = components[image->format];
    out->row_bytes = element * out->n_components * (size_t)image->width_px;
    out->pitch_bytes = image->pitch_bytes ? image->pitch_bytes : out->row_bytes;
}

static void look(const sono_source *source, const sono_image *image, picture *out)
{
    sono_samples samples = {0};
    *out = (picture){0};
    if (!sono_source_sequence(source) || sono_source_samples(source, &samples, NULL)) {
        if (image->pixels)
            look_at_image(image, out);
        return;
    }
    if (!samples.data)
        return;
    out->pixels = samples.data;
    out->width_px = samples.width_px;
    out->height_px = samples.height_px;
    out->scalar = (uint8_t)samples.element;
    out->n_components = (uint8_t)samples.components;
    out->row_bytes = out->pitch_bytes = samples.n_bytes / (size_t)samples.height_px;
}

static void keep_pixels(sono_replay_frame *frame, const picture *from, uint8_t *pixels)
{
    for (int32_t y = 0; y < from->height_px; y++)
        memcpy(pixels + (size_t)y * from->row_bytes, from->pixels + (size_t)y * from->pitch_bytes,
               from->row_bytes);
    frame->pixels = pixels;
    frame->n_bytes = (size_t)from->height_px * from->row_bytes;
    frame->width_px = from->width_px;
    frame->height_px = from->height_px;
    frame->scalar = from->scalar;
    frame->n_components = from->n_components;
}

sono_status sono_replay_frame_make(const sono_source *source, const sono_image *image,
                                   const sono_frame_info *info, const char *pose, sono_replay_frame **out,
                                   size_t *n_bytes, sono_error *error)
{
    given from;
    picture seen;
    gather(&from, source, info, pose);
    look(source, image, &seen);
    if (seen.width_px > UINT16_MAX || seen.height_px > UINT16_MAX)
        return sono_live_fail(error, SONO_STATUS_LIMIT, 0, "replay",
                              "an image of %d x %d pixels: OpenIGTLink has sides up to 65535", seen.width_px,
                              seen.height_px);
    const size_t n_fields = (size_t)(from.n_own + from.n_made);
    const size_t n_pixels = seen.pixels ? (size_t)seen.height_px * seen.row_bytes : 0;
    const size_t n_texts = text_bytes(&from);
    *n_bytes = sizeof(sono_replay_frame) +
               n_fields * (sizeof(sono_replay_field) + sizeof(sono_replay_transform)) + n_texts + n_pixels;
    sono_replay_frame *frame = malloc(*n_bytes);
    if (!frame)
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "replay", "out of memory for a frame");
    *frame = (sono_replay_frame){.has_time = !from.n_own && info->timestamp_ns != 0,
                                 .time_ns = info->timestamp_ns};
    filler to = {.frame = frame, .fields = (void *)(frame + 1)};
    to.transforms = (void *)(to.fields + n_fields);
    to.text = (void *)(to.transforms + n_fields);
    uint8_t *pixels = (uint8_t *)to.text + n_texts;
    frame->fields = to.fields;
    frame->transforms = to.transforms;
    sono_replay_image_matrix(info->has_pose ? info->image_to_reference : NULL, info->spacing_mm,
                             seen.width_px, seen.height_px, frame->matrix);
    keep_fields(&to, &from);
    if (seen.pixels)
        keep_pixels(frame, &seen, pixels);
    *out = frame;
    return SONO_STATUS_OK;
}
