// SPDX-License-Identifier: Apache-2.0
/* A mask looked at column by column, a warp a column. */
#ifndef SONO_ENGINE_CUDA_KERNELS_COLUMNS_CUH
#define SONO_ENGINE_CUDA_KERNELS_COLUMNS_CUH

#include "engine/cuda/kernels/device.cuh"

#define SONO_ALL_LANES    0xffffffffu
#define SONO_COLUMN_WORDS 4 /* of 32 rows that are read at once, so that their loads overlap */

/* Calls run(first, last) for every run of set rows in column x, from top to bottom, by all lanes of a warp
 * together with the same rows. mask: rows of width bytes. */
template <typename Run>
static __device__ __forceinline__ void sono_column_runs(const uint8_t *mask, int32_t width, int32_t height,
                                                        int32_t x, Run run)
{
    const int32_t lane = threadIdx.x % SONO_WARP;
    int32_t open = -1; /* first row of a run whose end was not met yet; behind the last row nothing is set */
    for (int32_t base = 0; base <= height; base += SONO_COLUMN_WORDS * SONO_WARP) {
        uint32_t words[SONO_COLUMN_WORDS];
#pragma unroll
        for (int32_t w = 0; w < SONO_COLUMN_WORDS; w++) {
            const int32_t y = base + w * SONO_WARP + lane;
            words[w] = y < height && mask[(int64_t)y * width + x];
        }
#pragma unroll
        for (int32_t w = 0; w < SONO_COLUMN_WORDS; w++)
            words[w] = __ballot_sync(SONO_ALL_LANES, words[w]);
#pragma unroll 1
        for (int32_t w = 0; w < SONO_COLUMN_WORDS; w++) {
            const int32_t row = base + w * SONO_WARP;
            uint32_t bits = words[0];
            words[0] = words[1]; /* no index that is not constant: they stay in registers */
            words[1] = words[2];
            words[2] = words[3];
            while (open >= 0 || bits) {
                if (open < 0)
                    open = row + __ffs(bits) - 1;
                const uint32_t gaps = ~bits & (SONO_ALL_LANES << (open > row ? open - row : 0));
                if (!gaps)
                    break;
                const int32_t end = __ffs(gaps) - 1;
                run(open, row + end - 1);
                open = -1;
                bits &= SONO_ALL_LANES << end;
            }
        }
    }
}

/* Over all lanes; each of them gets the result. */
static __device__ __forceinline__ int64_t sono_warp_sum_whole(int64_t v)
{
#pragma unroll
    for (int32_t offset = SONO_WARP / 2; offset > 0; offset /= 2)
        v += __shfl_xor_sync(SONO_ALL_LANES, v, offset);
    return v;
}

static __device__ __forceinline__ int64_t sono_warp_most_whole(int64_t v)
{
#pragma unroll
    for (int32_t offset = SONO_WARP / 2; offset > 0; offset /= 2) {
        const int64_t other = __shfl_xor_sync(SONO_ALL_LANES, v, offset);
        v = other > v ? other : v;
    }
    return v;
}

#endif
