// SPDX-License-Identifier: Apache-2.0
/*
 * MASK_PROFILE: mask U8 (H rows of W bytes, 0 / 255, packed), headers -> of each frame's first mask: profile
 * I32 [N, 1, 3, side]: pixels of each column, the sum of their y, pixels of each row; sums I32 [N, 1, 1,
 * 1024] = 0. Semantics: the CPU twin. Exact: whole numbers.
 *
 * One launch. The first half of the blocks own 32 columns each: a warp takes every 32nd row of them, so that
 * a load is one sector, and the warps' counts meet in shared memory. The other half own 32 rows: a warp
 * counts one. Nothing has to be zeroed before, and no block waits for another. Test:
 * tests/ops/test_mask_profile.c.
 */
#include "engine/cuda/kernels/totals.cuh"

#define THREADS 1024
#define WARPS   (THREADS / SONO_WARP)

typedef struct profile_args {
    const uint8_t *maps;
    const sono_frame_header *headers;
    int32_t *profile, *sums;
    int64_t profile_stride, sums_stride;
    int32_t side;
} profile_args;

/* Columns [32 group, 32 group + 32): lane l has column l. */
static __device__ void count_columns(const uint8_t *mask, int32_t width, int32_t height, int32_t group,
                                     int32_t side, int32_t *profile)
{
    __shared__ int32_t counts[WARPS][SONO_WARP + 1], heights[WARPS][SONO_WARP + 1]; /* + 1: other banks */
    const int32_t lane = threadIdx.x % SONO_WARP, warp = threadIdx.x / SONO_WARP;
    const int32_t x = group * SONO_WARP + lane;
    int32_t count = 0, sum = 0;
    if (x < width) {
#pragma unroll 8
        for (int32_t y = warp; y < height; y += WARPS) {
            const int32_t set = mask[(int64_t)y * width + x] != 0;
            count += set;
            sum += set ? y : 0;
        }
    }
    counts[warp][lane] = count;
    heights[warp][lane] = sum;
    __syncthreads(); /* every warp's counts are there: warp w adds up those of column w */
    const int32_t column = group * SONO_WARP + warp;
    count = sono_warp_total(counts[lane][warp]);
    sum = sono_warp_total(heights[lane][warp]);
    if (lane == 0 && column < side) {
        profile[SONO_PROFILE_COLUMNS * side + column] = count;
        profile[SONO_PROFILE_HEIGHTS * side + column] = sum;
    }
}

/* Rows [32 group, 32 group + 32): warp w counts row w. */
static __device__ void count_rows(const uint8_t *mask, int32_t width, int32_t height, int32_t group,
                                  int32_t side, int32_t *profile)
{
    const int32_t lane = threadIdx.x % SONO_WARP, y = group * WARPS + (int32_t)threadIdx.x / SONO_WARP;
    int32_t count = 0;
    if (y < height) {
#pragma unroll 8
        for (int32_t x = lane; x < width; x += SONO_WARP)
            count += mask[(int64_t)y * width + x] != 0;
    }
    count = sono_warp_total(count);
    if (lane == 0 && y < side)
        profile[SONO_PROFILE_ROWS * side + y] = count;
}

static __global__ void __launch_bounds__(THREADS) profile_kernel(profile_args p)
{
    const sono_frame_header *header = &p.headers[blockIdx.y];
    const uint8_t *mask = p.maps + header->maps_at_bytes;
    int32_t *profile = p.profile + blockIdx.y * p.profile_stride;
    const int32_t n_groups = gridDim.x / 2, group = blockIdx.x % n_groups;
    if (blockIdx.x == 0 && threadIdx.x < SONO_STATE_SUMS)
        p.sums[blockIdx.y * p.sums_stride + threadIdx.x] = 0;
    if ((int32_t)blockIdx.x < n_groups)
        count_columns(mask, header->width_px, header->height_px, group, p.side, profile);
    else
        count_rows(mask, header->width_px, header->height_px, group, p.side, profile);
}

static_assert(SONO_STATE_SUMS <= THREADS, "one block zeroes the sums");

extern "C" cudaError_t sono_cuda_mask_profile(const sono_cuda_call *call)
{
    const sono_cuda_tensor *profile = &call->out[0], *sums = &call->out[1];
    const profile_args p = {(const uint8_t *)call->in[0].data,
                            (const sono_frame_header *)call->in[1].data,
                            (int32_t *)profile->data,
                            (int32_t *)sums->data,
                            profile->batch_stride,
                            sums->batch_stride,
                            profile->c};
    /* Frames may be turned: as many groups of rows as of columns. */
    const dim3 grid(2 * (unsigned)sono_ceil_div(p.side, SONO_WARP), (unsigned)profile->n);
    profile_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
