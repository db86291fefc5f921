// SPDX-License-Identifier: Apache-2.0
/*
 * From W sums of one row to y: the epilogue of program.h and the store, W columns in one access where
 * p.vector allows. EXACT: products of float32; otherwise x has been rounded to float16 already, and GELU is a
 * shorter polynomial, good to a half's rounding.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_CONV_FINISH_CUH
#define SONO_ENGINE_CUDA_KERNELS_CONV_FINISH_CUH

#include "engine/cuda/kernels/conv_args.cuh"

/* W = 4 or 8 elements; p is aligned to 8 bytes for 4 halves, else to 16. */
template <int W> static __device__ __forceinline__ void conv_load(const float *p, float v[W])
{
#pragma unroll
    for (int i = 0; i < W; i += 4) {
        const float4 f = *reinterpret_cast<const float4 *>(p + i);
        v[i] = f.x;
        v[i + 1] = f.y;
        v[i + 2] = f.z;
        v[i + 3] = f.w;
    }
}

template <int W> static __device__ __forceinline__ void conv_load(const __half *p, float v[W])
{
    if (W == 8) {
        sono_load8(p, v);
        return;
    }
    const uint2 raw = *reinterpret_cast<const uint2 *>(p);
    const __half2 *pair = reinterpret_cast<const __half2 *>(&raw);
#pragma unroll
    for (int i = 0; i < W / 2 && i < 2; i++) {
        const float2 f = __half22float2(pair[i]);
        v[2 * i] = f.x;
        v[2 * i + 1] = f.y;
    }
}

template <int W> static __device__ __forceinline__ void conv_save(float *p, const float v[W])
{
#pragma unroll
    for (int i = 0; i < W; i += 4)
        *reinterpret_cast<float4 *>(p + i) = make_float4(v[i], v[i + 1], v[i + 2], v[i + 3]);
}

template <int W> static __device__ __forceinline__ void conv_save(__half *p, const float v[W])
{
    if (W == 8) {
        sono_store8(p, v);
        return;
    }
    *reinterpret_cast<uint2 *>(p) = make_uint2(sono_pack(v[0], v[1]), sono_pack(v[2], v[3]));
}

/* Columns [col, col + W) of a row; 0 past the last. */
template <int W, class E>
static __device__ __forceinline__ void conv_take(const conv_args &p, const E *row, int32_t col, float v[W])
{
    if (p.vector && col + W <= p.n) {
        conv_load<W>(row + col, v);
        return;
    }
#pragma unroll
    for (int i = 0; i < W; i++)
        v[i] = col + i < p.n ? sono_load(row + col + i) : 0.0f;
}

template <int W, class E>
static __device__ __forceinline__ void conv_give(const conv_args &p, E *row, int32_t col, const float v[W])
{
    if (p.vector && col + W <= p.n) {
        conv_save<W>(row + col, v);
        return;
    }
#pragma unroll
    for (int i = 0; i < W; i++)
        if (col + i < p.n)
            sono_store(row + col + i, v[i]);
}

template <int W>
static __device__ __forceinline__ void conv_bias(const conv_args &p, int32_t col, float bias[W])
{
    if (p.bias) {
        conv_take<W>(p, p.bias, col, bias);
        return;
    }
#pragma unroll
    for (int i = 0; i < W; i++)
        bias[i] = 0.0f;
}

/* 0 where there is none, or where row or columns do not exist. */
template <int W>
static __device__ __forceinline__ void conv_residual(const conv_args &p, int32_t m, int32_t col, float r[W])
{
#pragma unroll
    for (int i = 0; i < W; i++)
        r[i] = 0.0f;
    if (!p.residual || m >= p.m || col >= p.n)
        return;
    const int64_t at = conv_row_offset(p.residual_rows, m);
    if (p.residual_is_half)
        conv_take<W>(p, static_cast<const __half *>(p.residual) + at, col, r);
    else
        conv_take<W>(p, static_cast<const float *>(p.residual) + at, col, r);
}

/* v: the sums of row m, columns [col, col + W). */
template <bool EXACT, int W>
static __device__ __forceinline__ void conv_finish(const conv_args &p, int32_t m, int32_t col, float v[W],
                                                   const float bias[W], const float residual[W])
{
#pragma unroll
    for (int i = 0; i < W; i++)
        v[i] += bias[i];
    sono_finish_all<EXACT, W>(p.epilogue, v, residual);
    const int64_t at = conv_row_offset(p.y_rows, m);
    if (p.y_is_half)
        conv_give<W>(p, static_cast<__half *>(p.y) + at, col, v);
    else
        conv_give<W>(p, static_cast<float *>(p.y) + at, col, v);
}

/*
 * The end of a tile, a thread's share of it: rows m, m + row_step, ... (PASSES of them), columns [col, col +
 * W), into y or into this split's part of p.partial. The sums of the first row are PARTS values at `from` in
 * shared memory, part_step apart, those of the next row from_step further. Rolled, to stay small: a tile runs
 * through it once. The residual of a row is on its way while the row before is worked out.
 */
template <bool EXACT, int W, int PARTS, int PASSES>
static __device__ __forceinline__ void conv_deliver(const conv_args &p, int32_t m, int32_t row_step,
                                                    int32_t col, const float *from, int32_t from_step,
                                                    int32_t part_step)
{
    float bias[W], next[W];
    conv_bias<W>(p, col, bias);
    conv_residual<W>(p, m, col, next);
#pragma unroll 1
    for (int pass = 0; pass < PASSES; pass++) {
        float v[W], residual[W];
#pragma unroll
        for (int i = 0; i < W; i++)
            residual[i] = next[i];
        if (pass + 1 < PASSES)
            conv_residual<W>(p, m + row_step, col, next);
        conv_load<W>(from, v);
#pragma unroll
        for (int k = 1; k < PARTS; k++) {
            float part[W];
            conv_load<W>(from + k * part_step, part);
#pragma unroll
            for (int i = 0; i < W; i++)
                v[i] += part[i];
        }
        if (m < p.m && col < p.n) {
            if (p.n_splits == 1)
                conv_finish<EXACT, W>(p, m, col, v, bias, residual);
            else
                conv_save<W>(p.partial + ((int64_t)blockIdx.y * p.m + m) * p.partial_pitch + col, v);
        }
        m += row_step;
        from += from_step;
    }
}

#endif
