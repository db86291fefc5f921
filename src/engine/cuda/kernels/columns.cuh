// SPDX-License-Identifier: Apache-2.0
/* A mask looked at column by column, a warp a column, a block as many columns side by side. */
#ifndef SONO_ENGINE_CUDA_KERNELS_COLUMNS_CUH
#define SONO_ENGINE_CUDA_KERNELS_COLUMNS_CUH

#include "engine/cuda/kernels/device.cuh"

#define SONO_ALL_LANES 0xffffffffu

/* Calls run(first, last) for every run of set rows in column `first` + warp, from top to bottom, by all lanes
 * of the warp together with the same rows. mask: rows of width bytes; column i is byte i step_px, and there
 * are n_columns. By all threads of a block of WARPS warps: 1024 rows at a time, each thread packs 32 rows of
 * a column into a word, with the columns of a row side by side in a warp, so that they share its sectors, and
 * all loads under way at once. */
template <int32_t WARPS, typename Run>
static __device__ __forceinline__ void sono_column_runs(const uint8_t *mask, int32_t width, int32_t height,
                                                        int32_t first, int32_t step_px, int32_t n_columns,
                                                        Run run)
{
    __shared__ uint32_t words[SONO_WARP][WARPS + 1]; /* + 1: other banks */
    const int32_t lane = threadIdx.x % SONO_WARP, warp = threadIdx.x / SONO_WARP;
    const int32_t column = threadIdx.x % WARPS, word = threadIdx.x / WARPS;
    const uint8_t *at = mask + (int64_t)(first + column) * step_px;
    int32_t open = -1; /* first row of a run whose end was not met yet; behind the last row nothing is set */
    for (int32_t base = 0; base <= height; base += SONO_WARP * SONO_WARP) {
        const int32_t top = base + word * SONO_WARP;
        uint32_t packed = 0;
        if (first + column < n_columns && top < height) {
#pragma unroll
            for (int32_t i = 0; i < SONO_WARP; i++)
                packed |= (uint32_t)(top + i < height && at[(int64_t)(top + i) * width]) << i;
        }
        __syncthreads(); /* nobody reads the words before any more */
        words[word][column] = packed;
        __syncthreads(); /* all words are there */
        const uint32_t mine = words[lane][warp], busy = __ballot_sync(SONO_ALL_LANES, mine);
        for (int32_t w = 0; w < SONO_WARP; w++) {
            if (open < 0) {
                const uint32_t rest = busy & SONO_ALL_LANES << w;
                if (!rest)
                    break;
                w = __ffs(rest) - 1;
            }
            const int32_t row = base + w * SONO_WARP;
            uint32_t bits = __shfl_sync(SONO_ALL_LANES, mine, w);
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
