// SPDX-License-Identifier: Apache-2.0
/*
 * ATTENTION with at most 16 keys (prompt tokens), global, any element types, head_dim up to 64 (DIM: head_dim
 * rounded up to 16, the rest zeroes), float32 arithmetic.
 *
 * One block per (32 queries, up to 8 heads, map): keys and values of its heads in shared memory as float32
 * [keys][heads][DIM]; a warp is a head, a lane a query, so that every read of shared memory serves the whole
 * warp. Scores stay in registers. Numbers: as the CPU's; expf, division last. Test:
 * tests/ops/test_attention.c.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_ATTENTION_NARROW_CUH
#define SONO_ENGINE_CUDA_KERNELS_ATTENTION_NARROW_CUH

#include "engine/cuda/kernels/attention.cuh"

#define NARROW_KEYS  SONO_ATTENTION_NARROW_KEYS
#define NARROW_HEADS 8 /* most heads of a block */

typedef struct narrow_args {
    attention_args a;
    int32_t heads; /* of a block; gridDim.y of them in all */
} narrow_args;

template <int DIM>
static __device__ __forceinline__ void narrow_fill(const narrow_args &p, int32_t first_head, int32_t map,
                                                   float *keys, float *values)
{
    const attention_args &a = p.a;
    for (int32_t i = threadIdx.x; i < a.n_keys * p.heads * DIM; i += blockDim.x) {
        const int32_t c = i % DIM, head = first_head + i / DIM % p.heads, key = i / DIM / p.heads;
        const bool given = c < a.head_dim && head < a.n_heads;
        keys[i] =
            given ? sono_load_either(a.k.data, attention_row(a, a.k, map, key, head) + c, a.k.is_half) : 0.0f;
        values[i] =
            given ? sono_load_either(a.v.data, attention_row(a, a.v, map, key, head) + c, a.v.is_half) : 0.0f;
    }
}

/* softmax(scale * q k^T): unscaled weights; returns their sum. */
template <int DIM>
static __device__ __forceinline__ float narrow_weights(const narrow_args &p, const float (&q)[DIM],
                                                       const float *keys, float (&weights)[NARROW_KEYS])
{
    float largest = 0.0f, sum = 0.0f;
#pragma unroll
    for (int j = 0; j < NARROW_KEYS; j++) {
        if (j >= p.a.n_keys)
            break;
        float dot = 0.0f;
#pragma unroll
        for (int c = 0; c < DIM; c += 4) {
            const float4 k = *(const float4 *)(keys + j * p.heads * DIM + c);
            dot += q[c] * k.x + q[c + 1] * k.y + q[c + 2] * k.z + q[c + 3] * k.w;
        }
        weights[j] = dot * p.a.scale;
        largest = j == 0 ? weights[j] : fmaxf(largest, weights[j]);
    }
#pragma unroll
    for (int j = 0; j < NARROW_KEYS; j++) {
        if (j >= p.a.n_keys)
            break;
        weights[j] = expf(weights[j] - largest);
        sum += weights[j];
    }
    return sum;
}

template <int DIM>
static __device__ __forceinline__ void narrow_store(const attention_args &a, int64_t at,
                                                    const float (&v)[DIM])
{
    const bool wide = a.out.aligned && a.head_dim == DIM;
#pragma unroll
    for (int c = 0; c < DIM; c += 8) {
        if (wide && a.out.is_half) {
            sono_store8((__half *)a.out.data + at + c, v + c);
        } else if (wide) {
            sono_store8((float *)a.out.data + at + c, v + c);
        } else {
#pragma unroll
            for (int i = c; i < c + 8; i++)
                if (i < a.head_dim)
                    sono_store_either(a.out.data, at + i, v[i], a.out.is_half);
        }
    }
}

template <int DIM>
__global__ void __launch_bounds__(NARROW_HEADS *SONO_WARP) attention_narrow_kernel(narrow_args p)
{
    extern __shared__ uint4 shared[];
    const attention_args &a = p.a;
    const int32_t first_head = blockIdx.y * p.heads, map = blockIdx.z, warp = threadIdx.x / SONO_WARP;
    const int32_t query = blockIdx.x * SONO_WARP + threadIdx.x % SONO_WARP, head = first_head + warp;
    float *keys = (float *)shared, *values = keys + a.n_keys * p.heads * DIM;
    narrow_fill<DIM>(p, first_head, map, keys, values);
    __syncthreads(); /* keys and values are there */
    if (query >= a.n_queries || head >= a.n_heads)
        return;
    const int64_t from = attention_row(a, a.q, map, query, head);
    const int32_t wide = a.q.aligned && a.head_dim == DIM;
    float q[DIM], weights[NARROW_KEYS], out[DIM] = {};
    if (a.q.is_half)
        attention_load_row<DIM>((const __half *)a.q.data + from, a.head_dim, wide, q);
    else
        attention_load_row<DIM>((const float *)a.q.data + from, a.head_dim, wide, q);
    const float scale = 1.0f / narrow_weights<DIM>(p, q, keys + warp * DIM, weights);
#pragma unroll
    for (int j = 0; j < NARROW_KEYS; j++) {
        if (j >= a.n_keys)
            break;
#pragma unroll
        for (int c = 0; c < DIM; c += 4) {
            const float4 v = *(const float4 *)(values + (j * p.heads + warp) * DIM + c);
            out[c] += weights[j] * v.x;
            out[c + 1] += weights[j] * v.y;
            out[c + 2] += weights[j] * v.z;
            out[c + 3] += weights[j] * v.w;
        }
    }
#pragma unroll
    for (int c = 0; c < DIM; c++)
        out[c] *= scale;
    narrow_store<DIM>(a, attention_row(a, a.out, map, query, head), out);
}

#endif
