// SPDX-License-Identifier: Apache-2.0
/*
 * PROMPT: a box, points or both as the mask decoder's tokens.
 *
 * detections [N, 1, K, 8], header, gaussian [1, 1, 2, c/2], embeddings [1, 1, E, c], tokens [1, 1, T, c],
 * points? [N, 1, KP, 4] -> [NK, 1, T + .., c]: the output tokens, then the points, then the top left and the
 * bottom right corner, or without a box one row of "no point". A position is sin | cos of 2 pi
 * (point @ gaussian), point in -1..1, plus its learned embedding; of "no point" there is only the embedding.
 * Order of operations as in the official code: MobileSAM mobile_sam/modeling/prompt_encoder.py:72-103,
 * 128-168, 187-218 @ 34bbbfd.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/frames.h"
#include "engine/letterbox.h"
#include "engine/region.h"

#include <math.h>
#include <string.h>

static const float two_pi = 6.28318530717958647692f;

static float normalised(float region_px, float scale, float size_px)
{
    return 2.0f * ((region_px * scale + 0.5f) / size_px) - 1.0f;
}

static void encode_position(const sono_cpu_tensor *gaussian, const float *embedding, float x, float y,
                            float *out)
{
    const float *gx = gaussian->data, *gy = (const float *)gaussian->data + gaussian->pitch;
    const int32_t half = gaussian->c;
    for (int32_t i = 0; i < half; i++) {
        const float angle = two_pi * (x * gx[i] + y * gy[i]);
        out[i] = sinf(angle) + embedding[i];
        out[half + i] = cosf(angle) + embedding[half + i];
    }
}

/* What the rows of one object are made from. */
typedef struct object {
    const sono_cpu_call *call;
    region_rect region;
    float scale, size; /* source pixels to the input's */
    float *row;        /* the next one */
} object;

static const float *row_of(const sono_cpu_tensor *tensor, int32_t i)
{
    return (const float *)tensor->data + i * tensor->pitch;
}

static void put_copy(object *o, const float *values)
{
    const sono_cpu_tensor *out = &o->call->out[0];
    memcpy(o->row, values, (size_t)out->c * sizeof *values);
    o->row += out->pitch;
}

static void put_position(object *o, int32_t embedding, float x, float y)
{
    encode_position(&o->call->in[2], row_of(&o->call->in[3], embedding),
                    normalised(region_in(x, o->region.x), o->scale, o->size),
                    normalised(region_in(y, o->region.y), o->scale, o->size), o->row);
    o->row += o->call->out[0].pitch;
}

/* first_label: row of the embeddings that stands for "no point"; the labels' follow. */
static void put_points(object *o, int32_t k, int32_t n_points, int32_t first_label)
{
    const sono_cpu_tensor *points = &o->call->in[5], *detections = &o->call->in[0];
    const float *at = (const float *)points->data + k / detections->w * points->batch_stride;
    for (int32_t i = 0; i < n_points; i++) {
        sono_point_row point;
        memcpy(&point, at + (k % detections->w * n_points + i) * points->pitch, sizeof point);
        if (point.label < 0.0f)
            put_copy(o, row_of(&o->call->in[3], first_label));
        else
            put_position(o, first_label + (point.label > 0.0f ? 2 : 1), point.x, point.y);
    }
}

void SONO_KERNEL(sono_cpu_prompt)(const sono_cpu_call *call)
{
    const sono_cpu_tensor *detections = &call->in[0], *embeddings = &call->in[3], *tokens = &call->in[4];
    const sono_cpu_tensor *points = &call->in[5], *out = &call->out[0];
    const int32_t n_tokens = tokens->h * tokens->w, n_objects = detections->w;
    const int32_t n_points = points->data ? points->w / n_objects : 0, has_box = embeddings->w != 3;
    for (int32_t k = 0; k < out->n; k++) {
        sono_frame_header header;
        memcpy(&header, (const sono_frame_header *)call->in[1].data + frame_of_object(k, n_objects),
               sizeof header);
        const int32_t image_size = call->op->args.segment.image_size;
        const region_rect region = region_of(&header);
        object o = {.call = call,
                    .region = region,
                    .scale = (float)(image_size / (double)longest_side_px(region.w, region.h)),
                    .size = (float)image_size,
                    .row = (float *)out->data + k * out->batch_stride};
        for (int32_t t = 0; t < n_tokens; t++)
            put_copy(&o, row_of(tokens, t));
        put_points(&o, k, n_points, has_box ? 2 : 0);
        const float *box = (const float *)detections->data + /* x1 y1 x2 y2 */
                           detection_at(k, n_objects, detections->pitch, detections->batch_stride);
        for (int32_t corner = 0; has_box && corner < 2; corner++)
            put_position(&o, corner, box[2 * corner], box[2 * corner + 1]);
        if (!has_box)
            put_copy(&o, row_of(embeddings, 0));
    }
}
