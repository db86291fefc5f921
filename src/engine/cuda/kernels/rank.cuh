// SPDX-License-Identifier: Apache-2.0
/* The order of src/engine/cpu/kernels/rank.h on the device: larger first, equal ones by lower index, NaN
 * after every number. */
#ifndef SONO_ENGINE_CUDA_KERNELS_RANK_CUH
#define SONO_ENGINE_CUDA_KERNELS_RANK_CUH

#include "engine/cuda/kernels/rows.cuh"

/* A number whose unsigned order is the order of the values: -0 and +0 are equal, NaN is 0, below -infinity.
 */
static __device__ __forceinline__ uint32_t sono_rank_bits(float value)
{
    const uint32_t bits = __float_as_uint(value + 0.0f);
    if (value != value)
        return 0;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* The value again; NaN of 0. */
static __device__ __forceinline__ float sono_rank_value(uint32_t bits)
{
    return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

/* One comparable number, no two of one tensor are equal: the larger goes first. Never 0. */
static __device__ __forceinline__ uint64_t sono_rank_key(uint32_t bits, uint32_t index)
{
    return (uint64_t)bits << 32 | (0xffffffffu - index);
}

static __device__ __forceinline__ uint32_t sono_rank_index(uint64_t key)
{
    return 0xffffffffu - (uint32_t)key;
}

/* Rank of a row's best value, shared out to `lanes` lanes (a power of two, all of them here); in each of
 * them. */
static __device__ __forceinline__ uint32_t sono_rank_row(const sono_rows &rows, int64_t at, int32_t n,
                                                         int lane, int lanes)
{
    uint32_t best = 0;
    for (int32_t c = lane; c < n; c += lanes) {
        const uint32_t bits = sono_rank_bits(sono_rows_value(rows, at + c));
        best = bits > best ? bits : best;
    }
    for (int offset = lanes / 2; offset > 0; offset /= 2) {
        const uint32_t other = __shfl_xor_sync(0xffffffffu, best, offset);
        best = other > best ? other : best;
    }
    return best;
}

/* Lanes for rows of n values. */
static inline int32_t sono_rank_lanes(int32_t n)
{
    int32_t lanes = 1;
    while (lanes < n && lanes < SONO_WARP)
        lanes *= 2;
    return lanes;
}

#endif
