// SPDX-License-Identifier: Apache-2.0
/* What every kernel file uses: loads and stores of either element type, warp sums, activations, launch arithmetic. */
#ifndef SONO_BACKEND_CUDA_DEVICE_CUH
#define SONO_BACKEND_CUDA_DEVICE_CUH

#include "backend/cuda/kernels.h"

#include <cuda_fp16.h>

#define SONO_WARP 32

static __device__ __forceinline__ float sono_load(const float *p)
{
    return *p;
}

static __device__ __forceinline__ float sono_load(const __half *p)
{
    return __half2float(*p);
}

static __device__ __forceinline__ void sono_store(float *p, float v)
{
    *p = v;
}

/* Saturates at the largest finite half: an infinity would turn into NaN in the next norm. NaN stays NaN. */
static __device__ __forceinline__ void sono_store(__half *p, float v)
{
    const float finite = fminf(fmaxf(v, -65504.0f), 65504.0f);
    *p = __float2half_rn(v == v ? finite : v);
}

/* 8 halves in one 16-byte access; p must be 16-byte aligned. */
static __device__ __forceinline__ void sono_load8(const __half *p, float v[8])
{
    const uint4 raw = *reinterpret_cast<const uint4 *>(p);
    const __half2 *pair = reinterpret_cast<const __half2 *>(&raw);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float2 f = __half22float2(pair[i]);
        v[2 * i] = f.x;
        v[2 * i + 1] = f.y;
    }
}

static __device__ __forceinline__ void sono_load8(const float *p, float v[8])
{
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const float4 f = reinterpret_cast<const float4 *>(p)[i];
        v[4 * i] = f.x;
        v[4 * i + 1] = f.y;
        v[4 * i + 2] = f.z;
        v[4 * i + 3] = f.w;
    }
}

static __device__ __forceinline__ void sono_store8(__half *p, const float v[8])
{
    uint4 raw;
    __half *h = reinterpret_cast<__half *>(&raw);
#pragma unroll
    for (int i = 0; i < 8; i++)
        sono_store(h + i, v[i]);
    *reinterpret_cast<uint4 *>(p) = raw;
}

static __device__ __forceinline__ void sono_store8(float *p, const float v[8])
{
#pragma unroll
    for (int i = 0; i < 2; i++)
        reinterpret_cast<float4 *>(p)[i] = make_float4(v[4 * i], v[4 * i + 1], v[4 * i + 2], v[4 * i + 3]);
}

static __device__ __forceinline__ float sono_warp_sum(float v)
{
#pragma unroll
    for (int offset = SONO_WARP / 2; offset > 0; offset /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}

static __device__ __forceinline__ float sono_warp_max(float v)
{
#pragma unroll
    for (int offset = SONO_WARP / 2; offset > 0; offset /= 2)
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, offset));
    return v;
}

static __device__ __forceinline__ float sono_sigmoid(float x)
{
    return 1.0f / (1.0f + __expf(-x));
}

static __device__ __forceinline__ float sono_activate(sono_act act, float x)
{
    switch (act) {
    case SONO_ACT_RELU:
        return fmaxf(x, 0.0f);
    case SONO_ACT_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case SONO_ACT_SILU:
        return x * sono_sigmoid(x);
    case SONO_ACT_SIGMOID:
        return sono_sigmoid(x);
    default:
        return x;
    }
}

/* The epilogue of program.h: bias and residual are 0 where not given. */
static __device__ __forceinline__ float sono_finish(const sono_epilogue &e, float x, float bias, float residual)
{
    x += bias;
    if (e.add_before_act)
        x += residual;
    x = sono_activate(e.act, x) * e.post_scale + e.post_bias;
    if (e.add_after_act)
        x += residual;
    if (e.clamp > 0.0f)
        x = fminf(fmaxf(x, -e.clamp), e.clamp);
    return x;
}

static inline int64_t sono_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

#endif
