// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernels of CONV and LINEAR share: their argument struct and the arithmetic from a row of the
 * product to memory. y [M, N] = A [M, K] x weight [K, N]; M = maps * out_h * out_w, K = (ky, kx, ci) with ci
 * fastest. A is never stored: element (m, k) is x at (conv_row of m) + (conv_tap of k), or 0 where that lies
 * outside of the map.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_CONV_ARGS_CUH
#define SONO_ENGINE_CUDA_KERNELS_CONV_ARGS_CUH

#include "engine/cuda/choice/families.h"
#include "engine/cuda/kernels/device.cuh"

/* Where row m of a [maps, rows, c] tensor starts. */
typedef struct conv_rows {
    int64_t pitch, batch_stride;
    int32_t per_map; /* INT32_MAX when the maps touch */
} conv_rows;

typedef struct conv_args {
    const void *x;
    const void *weight; /* F16 [N padded][K padded], or F32 [K][N] */
    const float *bias;
    const void *residual;
    void *y;
    float *partial; /* [n_splits][m][partial_pitch]; used when n_splits > 1 */
    conv_rows x_rows, residual_rows, y_rows;
    int32_t m, n, k;
    int32_t n_tiles;  /* tiles side by side along N */
    int32_t n_splits; /* of K */
    int32_t steps;    /* of a tile's depth that one split takes */
    int32_t weight_pitch, partial_pitch;
    int32_t is_linear;
    int32_t c_in, kernel_w, x_h, x_w, out_w, out_per_map, stride, pad_top, pad_left;
    uint32_t c_in_inverse, out_w_inverse, n_tiles_inverse; /* conv_inverse() of them */
    uint32_t kernel_w_inverse;                             /* 65536 / kernel_w + 1 */
    int32_t weight_vector;                                 /* F32 weight: rows of whole, aligned float4 */
    int32_t vector; /* bias, residual and y take accesses as wide as the kernel stores */
    int32_t residual_is_half, y_is_half;
    sono_epilogue epilogue;
} conv_args;

/* a / divisor for a * divisor < 2^32; inverse = ceil(2^32 / divisor), 0 for 1. */
static inline uint32_t conv_inverse(int32_t divisor)
{
    return divisor == 1 ? 0 : (uint32_t)(((1ull << 32) + (uint64_t)divisor - 1) / (uint64_t)divisor);
}

static __device__ __forceinline__ int32_t conv_divide(int32_t a, uint32_t inverse)
{
    return inverse ? (int32_t)__umulhi((uint32_t)a, inverse) : a;
}

/* A row of A: x's element under tap (0, 0), and that tap's position (y << 16 | x), which padding makes
 * negative. */
typedef struct conv_row {
    int32_t offset;
    int32_t position;
} conv_row;

typedef struct conv_tap {
    int32_t offset, ky, kx;
} conv_tap;

static __device__ __forceinline__ int64_t conv_row_offset(const conv_rows &rows, int32_t m)
{
    if (m < rows.per_map)
        return m * rows.pitch;
    const int32_t map = m / rows.per_map;
    return map * rows.batch_stride + (m - map * rows.per_map) * rows.pitch;
}

static __device__ __forceinline__ conv_row conv_row_at(const conv_args &p, int32_t m)
{
    conv_row row = {0, (int32_t)0x80008000}; /* past the last row: outside under every tap */
    if (m >= p.m)
        return row;
    if (p.is_linear) {
        row.offset = (int32_t)conv_row_offset(p.x_rows, m);
        row.position = 0;
        return row;
    }
    const int32_t map = m < p.out_per_map ? 0 : m / p.out_per_map, i = m - map * p.out_per_map;
    const int32_t oy = conv_divide(i, p.out_w_inverse), ox = i - oy * p.out_w;
    const int32_t y = oy * p.stride - p.pad_top, x = ox * p.stride - p.pad_left;
    row.offset = map * (int32_t)p.x_rows.batch_stride + (y * p.x_w + x) * (int32_t)p.x_rows.pitch;
    row.position = (int32_t)((uint32_t)y << 16 | ((uint32_t)x & 0xffffu));
    return row;
}

/* k >= K lies outside of every map. */
static __device__ __forceinline__ conv_tap conv_tap_at(const conv_args &p, int32_t k)
{
    const int32_t tap = conv_divide(k, p.c_in_inverse);
    conv_tap t;
    t.ky = (int32_t)((uint32_t)tap * p.kernel_w_inverse >> 16);
    t.kx = tap - t.ky * p.kernel_w;
    t.offset = (t.ky * p.x_w + t.kx) * (int32_t)p.x_rows.pitch + k - tap * p.c_in;
    if (k >= p.k)
        t.ky = SONO_CONV_MAX_SIDE;
    return t;
}

static __device__ __forceinline__ bool conv_is_inside(const conv_args &p, const conv_row &row,
                                                      const conv_tap &tap)
{
    const int32_t y = (row.position >> 16) + tap.ky, x = (int32_t)(int16_t)row.position + tap.kx;
    return (uint32_t)y < (uint32_t)p.x_h && (uint32_t)x < (uint32_t)p.x_w;
}

#endif
