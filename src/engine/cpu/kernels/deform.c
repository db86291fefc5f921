// SPDX-License-Identifier: Apache-2.0
/*
 * DEFORM_ATTENTION: each head of each query mixes a few bilinear samples of the value maps.
 *
 * value [n, 1, T, heads * head_dim], T = the levels' maps one after the other, row-major; offsets [n, 1, Q,
 * heads, points, 2]; logits [n, 1, Q, heads, points]; boxes [n, 1, Q, 4] cx cy w h in 0..1 -> out [n, 1, Q,
 * heads * head_dim]. location = box.xy + offset / (points of its level) * box.wh * offset_scale; weights =
 * softmax of a head's logits; samples as grid_sample(bilinear, zeros, align_corners=False). D-FINE
 * src/zoo/dfine/dfine_decoder.py:119-178 and src/zoo/dfine/utils.py:72-148 @ 4a1f73a.
 */
#include "engine/cpu/kernels/kernels.h"

#include <math.h>
#include <string.h>

#define TASK_QUERIES 16

typedef struct level {
    const float *value; /* first position, first channel of the head */
    int64_t pitch;
    int32_t h, w;
} level;

static void add_scaled(float *restrict out, const float *restrict in, float weight, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        out[i] += weight * in[i];
}

/* Adds weight * (the map at x, y); x and y in pixels, pixel centres at whole numbers, zero outside. */
static void add_sample(const level *map, float x, float y, float weight, int32_t n_channels, float *out)
{
    if (isnan(x) || isnan(y)) {
        for (int32_t i = 0; i < n_channels; i++)
            out[i] = NAN;
        return;
    }
    if (x <= -1.0f || y <= -1.0f || x >= (float)map->w || y >= (float)map->h)
        return;
    const float left = floorf(x), top = floorf(y);
    const int32_t x0 = (int32_t)left, y0 = (int32_t)top;
    const float right_part = x - left, bottom_part = y - top;
    const float left_part = 1.0f - right_part, top_part = 1.0f - bottom_part;
    const float *corner = map->value + ((int64_t)y0 * map->w + x0) * map->pitch;
    const int64_t below = map->w * map->pitch;
    const int has_left = x0 >= 0, has_right = x0 + 1 < map->w;
    if (y0 >= 0 && has_left)
        add_scaled(out, corner, weight * left_part * top_part, n_channels);
    if (y0 >= 0 && has_right)
        add_scaled(out, corner + map->pitch, weight * right_part * top_part, n_channels);
    if (y0 + 1 < map->h && has_left)
        add_scaled(out, corner + below, weight * left_part * bottom_part, n_channels);
    if (y0 + 1 < map->h && has_right)
        add_scaled(out, corner + below + map->pitch, weight * right_part * bottom_part, n_channels);
}

/* value: the head's first channel at the map's first position. */
static void run_head(const sono_deform_args *args, int32_t n_points, const float *value, int64_t pitch,
                     const float *offsets, const float *logits, const float *box, float *restrict out)
{
    float largest = -INFINITY;
    for (int32_t p = 0; p < n_points; p++)
        largest = logits[p] > largest ? logits[p] : largest;
    memset(out, 0, (size_t)args->head_dim * sizeof *out);
    float sum = 0.0f;
    int32_t p = 0;
    for (int32_t l = 0; l < args->n_levels; l++) {
        const level map = {value, pitch, args->level_h[l], args->level_w[l]};
        const float scale = args->offset_scale / (float)args->level_points[l];
        for (int32_t end = p + args->level_points[l]; p < end; p++) {
            const float weight = expf(logits[p] - largest);
            const float x = (box[0] + offsets[2 * p] * scale * box[2]) * (float)map.w - 0.5f;
            const float y = (box[1] + offsets[2 * p + 1] * scale * box[3]) * (float)map.h - 0.5f;
            sum += weight;
            add_sample(&map, x, y, weight, args->head_dim, out);
        }
        value += (int64_t)map.h * map.w * pitch;
    }
    for (int32_t i = 0; i < args->head_dim; i++)
        out[i] /= sum;
}

static void run_queries(void *context, int64_t task, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_deform_args *args = &call->op->args.deform;
    const sono_cpu_tensor *value = &call->in[0], *offsets = &call->in[1], *logits = &call->in[2],
                          *boxes = &call->in[3];
    const sono_cpu_tensor *out = &call->out[0];
    const int64_t n_queries = (int64_t)out->h * out->w, total = n_queries * out->n;
    const int64_t end = (task + 1) * TASK_QUERIES < total ? (task + 1) * TASK_QUERIES : total;
    int32_t n_points = 0;
    (void)thread;
    for (int32_t l = 0; l < args->n_levels; l++)
        n_points += args->level_points[l];
    for (int64_t i = task * TASK_QUERIES; i < end; i++) {
        const int64_t n = i / n_queries, q = i % n_queries;
        const float *v = (const float *)value->data + n * value->batch_stride;
        const float *o = (const float *)offsets->data + n * offsets->batch_stride + q * offsets->pitch;
        const float *l = (const float *)logits->data + n * logits->batch_stride + q * logits->pitch;
        const float *b = (const float *)boxes->data + n * boxes->batch_stride + q * boxes->pitch;
        float *y = (float *)out->data + n * out->batch_stride + q * out->pitch;
        for (int32_t h = 0; h < args->n_heads; h++)
            run_head(args, n_points, v + h * args->head_dim, value->pitch, o + 2 * h * n_points,
                     l + h * n_points, b, y + h * args->head_dim);
    }
}

void SONO_KERNEL(sono_cpu_deform)(const sono_cpu_call *call)
{
    const sono_cpu_tensor *out = &call->out[0];
    const int64_t total = (int64_t)out->n * out->h * out->w;
    sono_pool_run(call->pool, run_queries, (void *)call, (total + TASK_QUERIES - 1) / TASK_QUERIES);
}
