// SPDX-License-Identifier: Apache-2.0
/* Where a point of DEFORM_ATTENTION samples the value maps, and what a warp adds up there: semantics in
 * deform.cu. */
#ifndef SONO_ENGINE_CUDA_KERNELS_DEFORM_SAMPLE_CUH
#define SONO_ENGINE_CUDA_KERNELS_DEFORM_SAMPLE_CUH

#include "engine/cuda/kernels/device.cuh"

#define TOP_LEFT     1
#define TOP_RIGHT    2
#define BOTTOM_LEFT  4
#define BOTTOM_RIGHT 8
#define FLAG_BITS    4

/* Where a point samples. flags: the corners inside of the map, above them the map's width. */
typedef struct sample {
    float weight, right, bottom; /* softmax numerator; parts of the right and the bottom pixels */
    int32_t position, flags;     /* position: of the top left corner, from the first level's start */
} sample;

static __device__ __forceinline__ sample sample_of(const sono_deform_args &op, int32_t point, float x,
                                                   float y, float weight, const float box[4], int *is_nan)
{
    sample s = {weight, 0.0f, 0.0f, 0, 0};
    int32_t start = 0, h = 0, w = 0, n_points = 1, first = 0;
#pragma unroll
    for (int l = 0; l < SONO_MAX_LEVELS; l++) { /* the point's level, by constant indices */
        if (l < op.n_levels && point >= first) {
            start += h * w;
            h = op.level_h[l];
            w = op.level_w[l];
            n_points = op.level_points[l];
            first += n_points;
        }
    }
    const float scale = op.offset_scale / (float)n_points;
    x = (box[0] + x * scale * box[2]) * (float)w - 0.5f; /* pixels, their centres at whole numbers */
    y = (box[1] + y * scale * box[3]) * (float)h - 0.5f;
    *is_nan = x != x || y != y;
    if (*is_nan || x <= -1.0f || y <= -1.0f || x >= (float)w || y >= (float)h)
        return s;
    const int32_t x0 = (int32_t)floorf(x), y0 = (int32_t)floorf(y);
    s.right = x - floorf(x);
    s.bottom = y - floorf(y);
    s.position = start + y0 * w + x0;
    s.flags = (y0 >= 0 && x0 >= 0 ? TOP_LEFT : 0) | (y0 >= 0 && x0 + 1 < w ? TOP_RIGHT : 0) |
              (y0 + 1 < h && x0 >= 0 ? BOTTOM_LEFT : 0) | (y0 + 1 < h && x0 + 1 < w ? BOTTOM_RIGHT : 0) |
              w << FLAG_BITS;
    return s;
}

/* The sum of up to 32 points' samples of one channel; lane p holds point p. value: the channel at the first
 * position. */
template <typename T>
static __device__ __forceinline__ float add_samples(const sample &own, int32_t n_points, const T *value,
                                                    int64_t pitch, int is_channel)
{
    float sum = 0.0f;
#pragma unroll 4
    for (int p = 0; p < n_points; p++) {
        const float weight = __shfl_sync(0xffffffffu, own.weight, p),
                    right = __shfl_sync(0xffffffffu, own.right, p);
        const float bottom = __shfl_sync(0xffffffffu, own.bottom, p);
        const int32_t position = __shfl_sync(0xffffffffu, own.position, p),
                      flags = __shfl_sync(0xffffffffu, own.flags, p);
        const int corners = is_channel ? flags : 0;
        const T *corner = value + position * pitch, *below = corner + (flags >> FLAG_BITS) * pitch;
        float top_left = 0.0f, top_right = 0.0f, bottom_left = 0.0f, bottom_right = 0.0f;
        if (corners & TOP_LEFT)
            top_left = sono_load(corner);
        if (corners & TOP_RIGHT)
            top_right = sono_load(corner + pitch);
        if (corners & BOTTOM_LEFT)
            bottom_left = sono_load(below);
        if (corners & BOTTOM_RIGHT)
            bottom_right = sono_load(below + pitch);
        sum += weight * ((1.0f - bottom) * ((1.0f - right) * top_left + right * top_right) +
                         bottom * ((1.0f - right) * bottom_left + right * bottom_right));
    }
    return sum;
}

#endif
