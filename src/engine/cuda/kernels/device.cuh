// SPDX-License-Identifier: Apache-2.0
/* What every kernel file uses: loads and stores of either element type, warp sums, activations, launch
 * arithmetic. */
#ifndef SONO_ENGINE_CUDA_KERNELS_DEVICE_CUH
#define SONO_ENGINE_CUDA_KERNELS_DEVICE_CUH

#include "engine/cuda/kernels/kernels.h"
#include "engine/gelu_poly.h"

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

/* The larger and the smaller of v and a limit that is a number; NaN stays NaN. */
static __device__ __forceinline__ float sono_at_least(float v, float limit)
{
#if __CUDA_ARCH__ >= 800
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(v) : "f"(v), "f"(limit));
    return v;
#else
    return v < limit ? limit : v;
#endif
}

static __device__ __forceinline__ float sono_at_most(float v, float limit)
{
#if __CUDA_ARCH__ >= 800
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(v) : "f"(v), "f"(limit));
    return v;
#else
    return v > limit ? limit : v;
#endif
}

static __device__ __forceinline__ float sono_clamp(float v, float limit)
{
    return sono_at_most(sono_at_least(v, -limit), limit);
}

/* Two halves in a word, a in the low one. Saturates at the largest finite half: an infinity would turn into
 * NaN in the next norm. NaN stays NaN. */
static __device__ __forceinline__ uint32_t sono_pack(float a, float b)
{
    uint32_t word;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(b), "f"(a));
#else
    const __half2 pair = __floats2half2_rn(sono_clamp(a, 65504.0f), sono_clamp(b, 65504.0f));
    word = *reinterpret_cast<const uint32_t *>(&pair);
#endif
    return word;
}

static __device__ __forceinline__ void sono_store(__half *p, float v)
{
    *p = __ushort_as_half((unsigned short)sono_pack(v, 0.0f));
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
    const uint4 raw = make_uint4(sono_pack(v[0], v[1]), sono_pack(v[2], v[3]), sono_pack(v[4], v[5]),
                                 sono_pack(v[6], v[7]));
    *reinterpret_cast<uint4 *>(p) = raw;
}

static __device__ __forceinline__ void sono_store8(float *p, const float v[8])
{
#pragma unroll
    for (int i = 0; i < 2; i++)
        reinterpret_cast<float4 *>(p)[i] = make_float4(v[4 * i], v[4 * i + 1], v[4 * i + 2], v[4 * i + 3]);
}

/* Over LANES neighbouring lanes (a power of two), in a fixed order; each of them gets the result. */
template <int LANES> static __device__ __forceinline__ float sono_lanes_sum(float v)
{
#pragma unroll
    for (int offset = LANES / 2; offset > 0; offset /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}

template <int LANES> static __device__ __forceinline__ float sono_lanes_max(float v)
{
#pragma unroll
    for (int offset = LANES / 2; offset > 0; offset /= 2)
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, offset));
    return v;
}

static __device__ __forceinline__ float sono_warp_sum(float v)
{
    return sono_lanes_sum<SONO_WARP>(v);
}

static __device__ __forceinline__ float sono_warp_max(float v)
{
    return sono_lanes_max<SONO_WARP>(v);
}

/* Absolute error <= 5e-7; without the branches of an exact division. */
static __device__ __forceinline__ float sono_sigmoid(float x)
{
    return __fdividef(1.0f, 1.0f + __expf(-x));
}

/* x Phi(x) as the CPU has it (math_inline.h): absolute error <= 1.1e-6 up to 5.2, relative error <= 2e-7
 * above.
 */
static __device__ __forceinline__ float sono_gelu(float x)
{
    const float low = sono_at_least(x, -SONO_PHI_END);
    return low * (0.5f + sono_phi_centred(fminf(low, SONO_PHI_END)));
}

/* x Phi(x) where x comes from products of halves: Phi - 1/2 by an odd polynomial on |x| <= 4.3 that reaches
 * 1/2 there; |error| of Phi <= 5e-5 anywhere, none beyond. */
static __device__ __forceinline__ float sono_gelu_of_halves(float x)
{
    const float u = fminf(fmaxf(x, -4.3f), 4.3f), t = u * u;
    float q = 5.39211002e-11f;
    q = fmaf(q, t, -5.2593534e-09f);
    q = fmaf(q, t, 2.25912061e-07f);
    q = fmaf(q, t, -5.68785163e-06f);
    q = fmaf(q, t, 9.47303051e-05f);
    q = fmaf(q, t, -0.00112147792f);
    q = fmaf(q, t, 0.00988050643f);
    q = fmaf(q, t, -0.0664960444f);
    q = fmaf(q, t, 0.399025917f);
    return x * __saturatef(fmaf(u, q, 0.5f));
}

/* EXACT: to float32, else for what products of halves gave. With a constant `act` the switch is gone. */
template <bool EXACT = true> static __device__ __forceinline__ float sono_activate(sono_act act, float x)
{
    switch (act) {
    case SONO_ACT_RELU:
        return sono_at_least(x, 0.0f);
    case SONO_ACT_GELU:
        return EXACT ? sono_gelu(x) : sono_gelu_of_halves(x);
    case SONO_ACT_SILU:
        return x * sono_sigmoid(x);
    case SONO_ACT_SIGMOID:
        return sono_sigmoid(x);
    default:
        return x;
    }
}

template <sono_act ACT, bool EXACT, int N> static __device__ __forceinline__ void sono_activate_as(float v[N])
{
#pragma unroll
    for (int i = 0; i < N; i++)
        v[i] = sono_activate<EXACT>(ACT, v[i]);
}

/* The choice is made once for N values. */
template <bool EXACT, int N>
static __device__ __forceinline__ void sono_activate_all(sono_act act, float v[N])
{
    if (act == SONO_ACT_RELU)
        sono_activate_as<SONO_ACT_RELU, EXACT, N>(v);
    else if (act == SONO_ACT_GELU)
        sono_activate_as<SONO_ACT_GELU, EXACT, N>(v);
    else if (act == SONO_ACT_SILU)
        sono_activate_as<SONO_ACT_SILU, EXACT, N>(v);
    else if (act == SONO_ACT_SIGMOID)
        sono_activate_as<SONO_ACT_SIGMOID, EXACT, N>(v);
}

/* The epilogue of program.h for N sums that have their bias; residual is 0 where not given. */
template <bool EXACT, int N>
static __device__ __forceinline__ void sono_finish_all(const sono_epilogue &e, float v[N],
                                                       const float residual[N])
{
    const bool is_affine = e.post_scale != 1.0f || e.post_bias != 0.0f;
    if (e.add_before_act) {
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] += residual[i];
    }
    sono_activate_all<EXACT, N>(e.act, v);
    if (is_affine) {
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = v[i] * e.post_scale + e.post_bias;
    }
    if (e.add_after_act) {
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] += residual[i];
    }
    if (e.clamp > 0.0f) {
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = sono_clamp(v[i], e.clamp);
    }
}

#endif
