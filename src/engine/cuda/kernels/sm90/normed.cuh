// SPDX-License-Identifier: Apache-2.0
/*
 * What kernels share that begin with the norm of a tile of rows (choice/normed.h): the tile in shared memory,
 * in panels of 64 channels as wgmma takes them (wgmma.cuh), the norm that fills it, slices of a weight beside
 * it, and their product. Norm: y = (x - mean(x)) / sqrt(var(x) + eps) * gamma + beta over the C channels of a
 * row, rounded to half as when it is stored (norm.cu).
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_SM90_NORMED_CUH
#define SONO_ENGINE_CUDA_KERNELS_SM90_NORMED_CUH

#include "engine/cuda/choice/normed.h"
#include "engine/cuda/kernels/mma.cuh"
#include "engine/cuda/kernels/sm90/wgmma.cuh"

#define GROUP     128 /* threads of a warpgroup */
#define THREADS   (2 * GROUP)
#define WARPS     (THREADS / SONO_WARP)
#define SLICE     SONO_NORMED_SLICE
#define ROW_BYTES 128  /* 64 halves: a row of a panel */
#define MIN_ALIGN 1024 /* of a panel */
#define BATCH     4    /* rows that a lane normalises at a time */

/* A block of two warpgroups. HALVES = 1: each has 64 rows of its own, and the whole slice of the weight; 2:
 * both have the same 64 rows, each with half of the slice. */
template <int CHANNELS, int HALVES> struct normed_tile {
    static constexpr int C = CHANNELS, ROWS = SONO_WGMMA_ROWS * 2 / HALVES;
    static constexpr int IS_TALL = HALVES == 1;
    static constexpr int DEPTH = SLICE / HALVES; /* of the slice, for a warpgroup */
    static constexpr int PANELS = (C + 63) / 64; /* of 64 channels */
    static constexpr int X_PANEL = ROWS * ROW_BYTES, X_BYTES = PANELS * X_PANEL;
    static constexpr int UP_PANEL = SLICE * ROW_BYTES, UP_BYTES = PANELS * UP_PANEL;
    static constexpr int LANES = C <= 128 ? 16 : SONO_WARP; /* of a row while it is normalised */
    static constexpr int VECTORS = (C / 8 + LANES - 1) / LANES;
    static_assert(ROWS % (THREADS / LANES * BATCH) == 0, "whole batches");
};

typedef struct normed_rows {
    const __half *x;
    const float *gamma, *beta;
    int32_t pitch, n_rows;
    float eps;
} normed_rows;

/* A block's shared memory, which begins with the tile, and who a thread is. */
struct normed_block {
    unsigned char *area;
    uint32_t shared; /* the same as an address */
    int first_row, group, warp, lane;
};

/* given: dynamic shared memory, with MIN_ALIGN bytes to spare. */
template <class T> static __device__ __forceinline__ normed_block normed_start(unsigned char *given)
{
    normed_block b;
    const uint32_t address = sono_shared_address(given);
    b.shared = (address + MIN_ALIGN - 1) / MIN_ALIGN * MIN_ALIGN;
    b.area = given + (b.shared - address);
    b.first_row = (int)blockIdx.x * T::ROWS;
    b.warp =
        __shfl_sync(0xffffffffu, (int)threadIdx.x / SONO_WARP, 0); /* known to be the same for all lanes */
    b.group = b.warp / 4;
    b.lane = (int)threadIdx.x % SONO_WARP;
    return b;
}

static __device__ __forceinline__ uint32_t normed_place(int row, int chunk)
{
    return (uint32_t)(row * ROW_BYTES + ((chunk ^ (row & 7)) << 4));
}

/* 8 channels of a row of the tile. */
template <class T> static __device__ __forceinline__ uint32_t normed_x_place(int row, int chunk)
{
    return (uint32_t)(chunk / 8 * T::X_PANEL) + normed_place(row, chunk % 8);
}

/* Rows [first, first + SLICE) of a weight of C columns are on their way to an address. */
template <class T>
static __device__ __forceinline__ void normed_load_weight(const __half *weight, int32_t pitch, int first,
                                                          uint32_t to)
{
    const int chunk = (int)threadIdx.x % 8;
#pragma unroll
    for (int row = (int)threadIdx.x / 8; row < SLICE; row += THREADS / 8) {
        const __half *from = weight + (int64_t)(first + row) * pitch + chunk * 8;
#pragma unroll
        for (int panel = 0; panel < T::PANELS; panel++)
            sono_copy16(to + panel * T::UP_PANEL + normed_place(row, chunk), from + panel * 64, true);
    }
}

/* One row: 8 channels a vector, those of lanes behind the last channel 0; scale and offset likewise. */
template <class T>
static __device__ __forceinline__ void normed_row(const normed_rows &p, float (&v)[T::VECTORS][8], int lane,
                                                  const float (&scale)[T::VECTORS][8],
                                                  const float (&offset)[T::VECTORS][8])
{
    float sum = 0.0f, squares = 0.0f;
#pragma unroll
    for (int j = 0; j < T::VECTORS; j++)
#pragma unroll
        for (int i = 0; i < 8; i++)
            sum += v[j][i];
    const float mean = sono_lanes_sum<T::LANES>(sum) * (1.0f / T::C);
#pragma unroll
    for (int j = 0; j < T::VECTORS; j++)
#pragma unroll
        for (int i = 0; i < 8; i++) {
            v[j][i] -= mean;
            squares += (j * T::LANES + lane) * 8 < T::C ? v[j][i] * v[j][i] : 0.0f;
        }
    const float inv_std = 1.0f / sqrtf(sono_lanes_sum<T::LANES>(squares) * (1.0f / T::C) + p.eps);
#pragma unroll
    for (int j = 0; j < T::VECTORS; j++)
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[j][i] = v[j][i] * inv_std * scale[j][i] + offset[j][i];
}

/* The tile's rows, normalised, into shared memory; past the last row the last one again. */
template <class T>
static __device__ __forceinline__ void normed_fill(const normed_rows &p, const normed_block &b)
{
    constexpr int ROWS_AT_ONCE = WARPS * SONO_WARP / T::LANES;
    const int lane = (int)threadIdx.x % T::LANES, own = (int)threadIdx.x / T::LANES;
    float scale[T::VECTORS][8] = {}, offset[T::VECTORS][8] = {};
#pragma unroll
    for (int j = 0; j < T::VECTORS; j++) {
        const int c = (j * T::LANES + lane) * 8;
        if (c < T::C) {
            sono_load8(p.gamma + c, scale[j]);
            sono_load8(p.beta + c, offset[j]);
        }
    }
#pragma unroll 1
    for (int first = own; first < T::ROWS; first += BATCH * ROWS_AT_ONCE) {
        float v[BATCH][T::VECTORS][8] = {};
#pragma unroll
        for (int r = 0; r < BATCH; r++) {
            const int row = min(b.first_row + first + r * ROWS_AT_ONCE, p.n_rows - 1);
#pragma unroll
            for (int j = 0; j < T::VECTORS; j++)
                if ((j * T::LANES + lane) * 8 < T::C)
                    sono_load8(p.x + (int64_t)row * p.pitch + (j * T::LANES + lane) * 8, v[r][j]);
        }
#pragma unroll
        for (int r = 0; r < BATCH; r++) {
            normed_row<T>(p, v[r], lane, scale, offset);
#pragma unroll
            for (int j = 0; j < T::VECTORS; j++)
                if ((j * T::LANES + lane) * 8 < T::C)
                    sono_store8(
                        reinterpret_cast<__half *>(
                            b.area + normed_x_place<T>(first + r * ROWS_AT_ONCE, j * T::LANES + lane)),
                        v[r][j]);
        }
    }
}

/* The group's rows times its part of the slice at an address. */
template <class T>
static __device__ __forceinline__ void normed_multiply(const normed_block &b, uint32_t weight,
                                                       float (&sum)[T::DEPTH / 2])
{
    const uint32_t x = b.shared + (T::IS_TALL ? b.group * SONO_WGMMA_ROWS * ROW_BYTES : 0);
    weight += T::IS_TALL ? 0 : b.group * T::DEPTH * ROW_BYTES;
    sono_wgmma_begin();
#pragma unroll
    for (int k = 0; k < T::C / 16; k++)
        sono_wgmma_shared<T::DEPTH>(sum, sono_wgmma_matrix(x + k / 4 * T::X_PANEL + k % 4 * 32),
                                    sono_wgmma_matrix(weight + k / 4 * T::UP_PANEL + k % 4 * 32), k > 0);
    sono_wgmma_end();
}

/* The first of the rows, of the tile, and of the slice's columns that a lane has sums of. */
template <class T> static __device__ __forceinline__ int normed_row_of(const normed_block &b)
{
    return (T::IS_TALL ? b.group * SONO_WGMMA_ROWS : 0) + b.warp % 4 * 16 + b.lane / 4;
}

template <class T> static __device__ __forceinline__ int normed_column_of(const normed_block &b)
{
    return (T::IS_TALL ? 0 : b.group * T::DEPTH) + 2 * (b.lane % 4);
}

#endif
