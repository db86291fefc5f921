// SPDX-License-Identifier: Apache-2.0
/*
 * ATTENTION of at most 8 queries a map and many keys: the tokens of the mask decoder look at the image. k, v
 * F16 in aligned rows, heads of 16 channels, global; q and out F16 or F32. Semantics: attention.cu.
 *
 * A cluster of 8 blocks has one head of one map, each block an eighth of the keys: a thread works out the
 * scores of two keys at a time with all queries, whose softmax weights and values then lie in shared memory;
 * there a thread sums 4 channels of a query over a part of the keys. Block r of the cluster puts query r
 * together from what all blocks have: maximum, sum, and the sums of channels. One launch, nothing in device
 * memory between. 8 heads x 4096 keys: 64 blocks. Numbers: float32; exp2 of scores times log2(e); sums in one
 * order. Test: tests/ops/test_attention.c.
 */
#include "engine/cuda/choice/families.h"
#include "engine/cuda/kernels/rows.cuh"
#include "engine/cuda/kernels/sm90/cluster.cuh"

#define THREADS 256
#define WARPS   (THREADS / SONO_WARP)
#define QUERIES SONO_ATTENTION_FEW_QUERIES
#define DIM     SONO_ATTENTION_FEW_DIM
#define CLUSTER SONO_ATTENTION_FEW_CLUSTER
#define KEYS    512                             /* of a block at a time */
#define V_PITCH (DIM + 8)                       /* halves */
#define PARTS   (THREADS / (QUERIES * DIM / 4)) /* of the keys, when channels are summed */
#define LOG2_E  1.44269504f

typedef struct few_args {
    sono_rows q, k, v, out;
    int32_t n_queries, n_keys, keys_per_block;
    float scale;
} few_args;

struct __align__(16) few_shared
{
    float q[QUERIES][DIM];
    float weights[QUERIES][KEYS];
    __half values[KEYS][V_PITCH];
    float parts[PARTS][QUERIES][DIM];
    float best[WARPS][QUERIES];
    float largest[QUERIES], sum[QUERIES], out[QUERIES][DIM]; /* of the block, so far */
    float shrink[QUERIES];
};

/* Over the block, in each thread; scratch [WARPS][QUERIES]. */
template <bool MAX> static __device__ __forceinline__ void reduce(float v[QUERIES], float (*scratch)[QUERIES])
{
    const int warp = (int)threadIdx.x / SONO_WARP, lane = (int)threadIdx.x % SONO_WARP;
#pragma unroll
    for (int t = 0; t < QUERIES; t++) {
        v[t] = MAX ? sono_warp_max(v[t]) : sono_warp_sum(v[t]);
        if (lane == 0)
            scratch[warp][t] = v[t];
    }
    __syncthreads(); /* every warp's are there */
#pragma unroll
    for (int t = 0; t < QUERIES; t++) {
        v[t] = scratch[0][t];
#pragma unroll
        for (int w = 1; w < WARPS; w++)
            v[t] = MAX ? fmaxf(v[t], scratch[w][t]) : v[t] + scratch[w][t];
    }
    __syncthreads(); /* they have been read */
}

/* Scores of key i with all queries, in units of log2(e); its values into shared memory. */
static __device__ __forceinline__ void look_at(const few_args &p, few_shared &s, int64_t k_at, int64_t v_at,
                                               int i, int key, float score[QUERIES])
{
    const __half *k_row = (const __half *)p.k.data + k_at + key * p.k.pitch;
    const uint4 *v_row = reinterpret_cast<const uint4 *>((const __half *)p.v.data + v_at + key * p.v.pitch);
    float k[DIM];
#pragma unroll
    for (int c = 0; c < DIM; c += 8) {
        sono_load8(k_row + c, k + c);
        *reinterpret_cast<uint4 *>(&s.values[i][c]) = v_row[c / 8];
    }
#pragma unroll
    for (int t = 0; t < QUERIES; t++) {
        float dot = 0.0f;
#pragma unroll
        for (int c = 0; c < DIM; c += 4) {
            const float4 q = *reinterpret_cast<const float4 *>(&s.q[t][c]);
            dot += q.x * k[c] + q.y * k[c + 1] + q.z * k[c + 2] + q.w * k[c + 3];
        }
        score[t] = dot;
    }
}

/* Sums of channels over the keys that are in shared memory, into out. */
static __device__ __forceinline__ void mix(few_shared &s, int n_keys)
{
    const int item = (int)threadIdx.x % (QUERIES * DIM / 4), part = (int)threadIdx.x / (QUERIES * DIM / 4);
    const int t = item / (DIM / 4), c = item % (DIM / 4) * 4;
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 8
    for (int i = part; i < n_keys; i += PARTS) {
        const float weight = s.weights[t][i];
        const uint2 raw = *reinterpret_cast<const uint2 *>(&s.values[i][c]);
        const float2 a = __half22float2(*reinterpret_cast<const __half2 *>(&raw.x));
        const float2 b = __half22float2(*reinterpret_cast<const __half2 *>(&raw.y));
        sum.x = fmaf(weight, a.x, sum.x);
        sum.y = fmaf(weight, a.y, sum.y);
        sum.z = fmaf(weight, b.x, sum.z);
        sum.w = fmaf(weight, b.y, sum.w);
    }
    *reinterpret_cast<float4 *>(&s.parts[part][t][c]) = sum;
    __syncthreads(); /* every part is there */
    for (int i = (int)threadIdx.x; i < QUERIES * DIM; i += THREADS) {
        float all = s.out[i / DIM][i % DIM] * s.shrink[i / DIM];
#pragma unroll
        for (int k = 0; k < PARTS; k++)
            all += s.parts[k][i / DIM][i % DIM];
        s.out[i / DIM][i % DIM] = all;
    }
    __syncthreads(); /* weights and values have been read, the sums are up to date */
}

/* Takes up to KEYS keys from `first` on. */
static __device__ __forceinline__ void take_keys(const few_args &p, few_shared &s, int64_t k_at, int64_t v_at,
                                                 int first, int n_keys)
{
    float score[KEYS / THREADS][QUERIES], largest[QUERIES], sum[QUERIES];
#pragma unroll
    for (int t = 0; t < QUERIES; t++) {
        largest[t] = -INFINITY;
        sum[t] = 0.0f;
    }
#pragma unroll
    for (int j = 0; j < KEYS / THREADS; j++) {
        const int i = j * THREADS + (int)threadIdx.x;
        if (i < n_keys)
            look_at(p, s, k_at, v_at, i, first + i, score[j]);
#pragma unroll
        for (int t = 0; t < QUERIES; t++)
            largest[t] = i < n_keys ? fmaxf(largest[t], score[j][t]) : largest[t];
    }
    reduce<true>(largest, s.best);
#pragma unroll
    for (int t = 0; t < QUERIES; t++)
        largest[t] = fmaxf(largest[t], s.largest[t]);
#pragma unroll
    for (int j = 0; j < KEYS / THREADS; j++) {
        const int i = j * THREADS + (int)threadIdx.x;
#pragma unroll
        for (int t = 0; t < QUERIES && i < n_keys; t++) {
            const float weight = exp2f(score[j][t] - largest[t]);
            s.weights[t][i] = weight;
            sum[t] += weight;
        }
    }
    reduce<false>(sum, s.best);
    if (threadIdx.x == 0) {
#pragma unroll
        for (int t = 0; t < QUERIES; t++) {
            s.shrink[t] = exp2f(s.largest[t] - largest[t]);
            s.sum[t] = s.sum[t] * s.shrink[t] + sum[t];
            s.largest[t] = largest[t];
        }
    }
    __syncthreads(); /* weights, values and shrink are there */
    mix(s, n_keys);
}

static __global__ void __launch_bounds__(THREADS, 1) few_kernel(const __grid_constant__ few_args p)
{
    __shared__ few_shared s;
    const int rank = sono_cluster_rank(), head = (int)blockIdx.y, map = (int)blockIdx.z,
              lane = (int)threadIdx.x;
    const int64_t k_at = sono_rows_at(p.k, map, 0) + head * DIM,
                  v_at = sono_rows_at(p.v, map, 0) + head * DIM;
    const int begin = rank * p.keys_per_block, end = min(begin + p.keys_per_block, p.n_keys);
    for (int i = lane; i < QUERIES * DIM; i += THREADS) {
        const int t = i / DIM, c = i % DIM;
        s.q[t][c] = t < p.n_queries
                        ? sono_rows_value(p.q, sono_rows_at(p.q, map, t) + head * DIM + c) * p.scale * LOG2_E
                        : 0.0f;
        s.out[t][c] = 0.0f;
        if (c == 0) {
            s.largest[t] = -INFINITY;
            s.sum[t] = 0.0f;
        }
    }
    __syncthreads(); /* the queries are there */
    for (int first = begin; first < end; first += KEYS)
        take_keys(p, s, k_at, v_at, first, min(KEYS, end - first));
    sono_cluster_arrive();
    sono_cluster_wait(); /* every block has its part */
    if (rank < p.n_queries && lane < DIM) {
        float largest = -INFINITY, sum = 0.0f, out = 0.0f;
        const uint32_t at_largest = sono_shared_address_of(&s.largest[rank]);
        const uint32_t at_sum = sono_shared_address_of(&s.sum[rank]);
        const uint32_t at_out = sono_shared_address_of(&s.out[rank][lane]);
#pragma unroll
        for (int k = 0; k < CLUSTER; k++)
            largest = fmaxf(largest, sono_cluster_get(sono_cluster_address(at_largest, k)));
#pragma unroll
        for (int k = 0; k < CLUSTER; k++) {
            const float shrink = exp2f(sono_cluster_get(sono_cluster_address(at_largest, k)) - largest);
            sum += sono_cluster_get(sono_cluster_address(at_sum, k)) * shrink;
            out += sono_cluster_get(sono_cluster_address(at_out, k)) * shrink;
        }
        const float mean = out / sum;
        sono_rows_store<1>(p.out, sono_rows_at(p.out, map, rank) + head * DIM + lane, &mean);
    }
    sono_cluster_arrive();
    sono_cluster_wait(); /* nobody reads here any more */
}

extern "C" cudaError_t sono_cuda_attention_few(const sono_cuda_call *call)
{
    const sono_attention_sizes sizes = sono_attention_sizes_of(call);
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attribute = {};
    few_args p = {};
    p.q = sono_rows_make(&call->in[0]);
    p.k = sono_rows_make(&call->in[1]);
    p.v = sono_rows_make(&call->in[2]);
    p.out = sono_rows_make(&call->out[0]);
    p.n_queries = sizes.n_queries;
    p.n_keys = sizes.n_keys;
    p.keys_per_block = (int32_t)sono_ceil_div(sizes.n_keys, CLUSTER);
    p.scale = call->op->args.attention.scale;
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = CLUSTER;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    config.gridDim = dim3(CLUSTER, (unsigned)sizes.n_heads, (unsigned)sizes.n_maps);
    config.blockDim = dim3(THREADS);
    config.stream = call->stream;
    config.attrs = &attribute;
    config.numAttrs = 1;
    return cudaLaunchKernelEx(&config, few_kernel, p);
}
