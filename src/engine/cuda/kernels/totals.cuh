// SPDX-License-Identifier: Apache-2.0
/* Whole-number sums over a warp, exact in any order, and what blocks need that hand results to one another.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_TOTALS_CUH
#define SONO_ENGINE_CUDA_KERNELS_TOTALS_CUH

#include "engine/cuda/kernels/device.cuh"

/* Every lane gets the sum. T: an integer of 32 or 64 bits. */
template <typename T> static __device__ __forceinline__ T sono_warp_total(T v)
{
#pragma unroll
    for (int offset = SONO_WARP / 2; offset > 0; offset /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}

/* The same over a block of WARPS warps, all of whose threads must call it. */
template <int WARPS, typename T> static __device__ __forceinline__ T sono_block_total(T v)
{
    __shared__ T parts[WARPS];
    v = sono_warp_total(v);
    __syncthreads(); /* nobody reads the parts of the call before any more */
    if (threadIdx.x % SONO_WARP == 0)
        parts[threadIdx.x / SONO_WARP] = v;
    __syncthreads(); /* every warp's part is there */
    T sum = 0;
    for (int w = 0; w < WARPS; w++)
        sum += parts[w];
    return sum;
}

static __device__ __forceinline__ void sono_add64(void *sum, int64_t v)
{
    atomicAdd((unsigned long long *)sum, (unsigned long long)v);
}

/* Whether this block is the last of `n_blocks` that come here; for all its threads. Then every block's
 * atomics before are seen by __ldcg(). n_done: 0 before the first. All threads of a block must call it. */
static __device__ __forceinline__ bool sono_is_last_block(int32_t *n_done, int32_t n_blocks)
{
    __shared__ bool is_last;
    __threadfence(); /* this thread's atomics come before the count */
    __syncthreads(); /* every thread's do */
    if (threadIdx.x == 0)
        is_last = atomicAdd(n_done, 1) == n_blocks - 1;
    __syncthreads(); /* is_last is there */
    if (is_last)
        __threadfence(); /* the count comes before what is read now */
    return is_last;
}

#endif
