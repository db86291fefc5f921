// SPDX-License-Identifier: Apache-2.0
/*
 * ATTENTION in float32 arithmetic, for any element types, alignment, window and head_dim up to 64 (DIM:
 * head_dim rounded up to 16, the rest zeroes).
 *
 * One block per (group, 20 queries, head, chunk of at most 512 keys), at least one thread a key: 20 because
 * 300 queries of 8 heads are then 120 blocks, one a multiprocessor. Three steps, the scores [20][keys] in
 * shared memory between:
 * - scores: a thread holds its key in registers and meets all queries, which it reads from shared memory;
 * - softmax: a warp per query finds maximum, exp and sum;
 * - values: DIM threads own 4 channels x 5 queries each and walk over every n-th four keys; their sums are
 * added up in a fixed order, in the place of the scores.
 *
 * With more than one chunk the block leaves maximum, sum and unscaled result in scratch, and
 * attention_merge_kernel puts the chunks together, one warp per query and head, in the order of the keys.
 * Numbers: as the CPU's; expf, division last. Test: tests/ops/test_attention.c.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_ATTENTION_PLAIN_CUH
#define SONO_ENGINE_CUDA_KERNELS_ATTENTION_PLAIN_CUH

#include "engine/cuda/kernels/attention.cuh"

#define PLAIN_QUERIES   SONO_ATTENTION_PLAIN_QUERIES
#define PLAIN_ROWS      (PLAIN_QUERIES / 4)
#define PLAIN_MAX_KEYS  SONO_ATTENTION_PLAIN_KEYS
#define PLAIN_MAX_BLOCK 512

typedef struct plain_args {
    attention_args a;
    int32_t chunk, n_chunks; /* keys of a chunk */
    int32_t query_tiles;
    int32_t score_pitch;  /* = 4 mod 8: four rows of scores meet different banks */
    int32_t scores_count; /* floats of the scores, and of the sums that take their place */
    float
        *parts; /* [groups][heads][queries][chunks][2 + head_dim]: maximum, sum, result; NULL for one chunk */
} plain_args;

/* What a block works on. */
struct plain_place {
    attention_group g;
    int32_t group, head, first_query, n_queries, first_key, n_keys;
};

/* Shared memory of a block. */
struct plain_areas {
    float *scores;         /* [20][score_pitch] */
    float *queries;        /* [20][DIM] */
    float *largest, *sums; /* [20] */
    int32_t *places;       /* [20] each query's place in its window */
};

static __device__ __forceinline__ plain_place plain_place_of(const plain_args &p)
{
    plain_place b;
    b.group = blockIdx.x / p.query_tiles;
    b.g = attention_group_of(p.a, b.group);
    b.head = blockIdx.y;
    b.first_query = blockIdx.x % p.query_tiles * PLAIN_QUERIES;
    b.n_queries = min(PLAIN_QUERIES, p.a.n_queries - b.first_query);
    b.first_key = blockIdx.z * p.chunk;
    b.n_keys = min(p.chunk, p.a.n_keys - b.first_key);
    return b;
}

/* Rows that are no query (past the border, behind the last) are zero. */
template <int DIM>
static __device__ __forceinline__ void plain_load_queries(const plain_args &p, const plain_place &b,
                                                          float *queries)
{
    for (int32_t i = threadIdx.x; i < PLAIN_QUERIES * DIM; i += blockDim.x) {
        const int32_t row = i / DIM, c = i % DIM;
        const int32_t position = row < b.n_queries ? attention_position(p.a, b.g, b.first_query + row) : -1;
        const bool given = position >= 0 && c < p.a.head_dim;
        queries[i] =
            given ? sono_load_either(p.a.q.data, attention_row(p.a, p.a.q, b.g.map, position, b.head) + c,
                                     p.a.q.is_half)
                  : 0.0f;
    }
}

/* y * 65536 + x of query or key i in its window. */
static __device__ __forceinline__ int32_t plain_window_place(const attention_args &a, int32_t i)
{
    return a.bias ? i / a.window << 16 | i % a.window : 0;
}

static __device__ __forceinline__ float plain_bias(const attention_args &a, int32_t head, int32_t query_place,
                                                   int32_t key_place)
{
    if (!a.bias)
        return 0.0f;
    const int32_t dy = abs((query_place >> 16) - (key_place >> 16));
    const int32_t dx = abs((query_place & 0xffff) - (key_place & 0xffff));
    return a.bias[head * a.bias_pitch + dy * a.window + dx];
}

/* This thread's key: key threadIdx.x of the chunk; zeroes when there is none. */
template <int DIM, typename T>
static __device__ __forceinline__ void plain_load_key(const plain_args &p, const plain_place &b,
                                                      float (&k)[DIM])
{
    const attention_args &a = p.a;
    const bool given = (int32_t)threadIdx.x < b.n_keys;
    const int32_t position = given ? attention_position(a, b.g, b.first_key + threadIdx.x) : -1;
    if (position >= 0)
        attention_load_row<DIM>((const T *)a.k.data + attention_row(a, a.k, b.g.map, position, b.head),
                                a.head_dim, a.k.aligned && a.head_dim == DIM, k);
    else
        attention_load_row<DIM>(a.pad_k + b.head * a.head_dim, given ? a.head_dim : 0, 0, k);
}

/* Scores of this thread's key, kept in registers. */
template <int DIM>
static __device__ __forceinline__ void plain_score(const plain_args &p, const plain_place &b,
                                                   const plain_areas &s, const float (&k)[DIM])
{
    const int32_t place = plain_window_place(p.a, b.first_key + threadIdx.x);
    if ((int32_t)threadIdx.x >= b.n_keys)
        return;
    for (int32_t row = 0; row < b.n_queries; row += 4) {
        float sums[4] = {};
#pragma unroll
        for (int c = 0; c < DIM; c += 4)
#pragma unroll
            for (int r = 0; r < 4; r++) {
                const float4 q = *(const float4 *)(s.queries + (row + r) * DIM + c);
                sums[r] += q.x * k[c] + q.y * k[c + 1] + q.z * k[c + 2] + q.w * k[c + 3];
            }
#pragma unroll
        for (int r = 0; r < 4; r++)
            s.scores[(row + r) * p.score_pitch + threadIdx.x] =
                sums[r] * p.a.scale + plain_bias(p.a, b.head, s.places[row + r], place);
    }
}

/* Scores become exp(score - maximum), zero behind the last key up to a multiple of four. */
static __device__ __forceinline__ void plain_soften(const plain_args &p, const plain_place &b,
                                                    const plain_areas &s)
{
    const int32_t lane = threadIdx.x % SONO_WARP;
    for (int32_t q = threadIdx.x / SONO_WARP; q < b.n_queries; q += blockDim.x / SONO_WARP) {
        float *row = s.scores + q * p.score_pitch;
        float largest = lane < b.n_keys ? row[lane] : row[0];
        for (int32_t i = lane; i < b.n_keys; i += SONO_WARP)
            largest = fmaxf(largest, row[i]);
        largest = sono_warp_max(largest);
        float sum = 0.0f;
        for (int32_t i = lane; i < (b.n_keys + 3) / 4 * 4; i += SONO_WARP) {
            const float e = i < b.n_keys ? expf(row[i] - largest) : 0.0f;
            row[i] = e;
            sum += e;
        }
        sum = sono_warp_sum(sum);
        if (lane == 0) {
            s.largest[q] = largest;
            s.sums[q] = sum;
        }
    }
}

/* Four channels from `first` on of the value of one key. */
template <typename T>
static __device__ __forceinline__ void plain_load_value(const plain_args &p, const plain_place &b,
                                                        int32_t key, int32_t first, int32_t wide,
                                                        float (&v)[4])
{
    const attention_args &a = p.a;
    const int32_t position = attention_position(a, b.g, key);
    if (position < 0) {
        const float *padding = a.pad_v + b.head * a.head_dim;
#pragma unroll
        for (int c = 0; c < 4; c++)
            v[c] = first + c < a.head_dim ? padding[first + c] : 0.0f;
        return;
    }
    const T *from = (const T *)a.v.data + attention_row(a, a.v, b.g.map, position, b.head) + first;
    if (wide) {
        struct alignas(4 * sizeof(T)) four {
            T at[4];
        };
        const four row = *(const four *)from;
#pragma unroll
        for (int c = 0; c < 4; c++)
            v[c] = sono_load(row.at + c);
    } else {
#pragma unroll
        for (int c = 0; c < 4; c++)
            v[c] = first + c < a.head_dim ? sono_load(from + c) : 0.0f;
    }
}

/* Leaves [segments][20][DIM] sums in the place of the scores; returns the number of segments. */
template <int DIM, typename T>
static __device__ __forceinline__ int32_t plain_mix(const plain_args &p, const plain_place &b,
                                                    const plain_areas &s)
{
    const int32_t owner = threadIdx.x % DIM, segment = threadIdx.x / DIM, n_segments = blockDim.x / DIM;
    const int32_t channel = owner % (DIM / 4) * 4, row = owner / (DIM / 4); /* rows row, row + 4, ... */
    const int32_t wide = p.a.v.aligned && p.a.head_dim == DIM;
    float sums[PLAIN_ROWS][4] = {};
    for (int32_t i = segment * 4; segment < n_segments && i < b.n_keys; i += n_segments * 4) {
        float v[4][4] = {};
#pragma unroll
        for (int j = 0; j < 4; j++)
            if (i + j < b.n_keys)
                plain_load_value<T>(p, b, b.first_key + i + j, channel, wide, v[j]);
#pragma unroll
        for (int r = 0; r < PLAIN_ROWS; r++) {
            if (r * 4 >= b.n_queries)
                break;
            const float4 e = *(const float4 *)(s.scores + (r * 4 + row) * p.score_pitch + i);
#pragma unroll
            for (int c = 0; c < 4; c++)
                sums[r][c] += e.x * v[0][c] + e.y * v[1][c] + e.z * v[2][c] + e.w * v[3][c];
        }
    }
    __syncthreads(); /* all have read their scores: the sums may overwrite them */
#pragma unroll
    for (int r = 0; r < PLAIN_ROWS; r++)
        if (segment < n_segments)
            *(float4 *)(s.scores + (segment * PLAIN_QUERIES + r * 4 + row) * DIM + channel) =
                make_float4(sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
    return n_segments;
}

template <int DIM>
static __device__ __forceinline__ void plain_store(const plain_args &p, const plain_place &b,
                                                   const plain_areas &s, int32_t n_segments)
{
    const attention_args &a = p.a;
    for (int32_t i = threadIdx.x; i < b.n_queries * DIM; i += blockDim.x) {
        const int32_t q = i / DIM, c = i % DIM, query = b.first_query + q;
        const int32_t position = attention_position(a, b.g, query);
        if (c >= a.head_dim || position < 0)
            continue;
        float sum = 0.0f;
        for (int32_t segment = 0; segment < n_segments; segment++)
            sum += s.scores[segment * PLAIN_QUERIES * DIM + i];
        if (p.n_chunks == 1) {
            sono_store_either(a.out.data, attention_row(a, a.out, b.g.map, position, b.head) + c,
                              sum / s.sums[q], a.out.is_half);
            continue;
        }
        const int64_t row = ((int64_t)b.group * a.n_heads + b.head) * a.n_queries + query;
        float *part = p.parts + (row * p.n_chunks + blockIdx.z) * (2 + a.head_dim);
        part[2 + c] = sum;
        if (c == 0) {
            part[0] = s.largest[q];
            part[1] = s.sums[q];
        }
    }
}

template <int DIM, typename T>
__global__ void __launch_bounds__(PLAIN_MAX_BLOCK, 1) attention_plain_kernel(plain_args p)
{
    extern __shared__ uint4 shared[];
    const plain_place b = plain_place_of(p);
    plain_areas s;
    s.scores = (float *)shared;
    s.queries = s.scores + p.scores_count;
    s.largest = s.queries + PLAIN_QUERIES * DIM;
    s.sums = s.largest + PLAIN_QUERIES;
    s.places = (int32_t *)(s.sums + PLAIN_QUERIES);
    float k[DIM];
    plain_load_key<DIM, T>(p, b, k); /* before the barrier: both loads are under way at once */
    if (threadIdx.x < PLAIN_QUERIES)
        s.places[threadIdx.x] =
            plain_window_place(p.a, min(b.first_query + (int32_t)threadIdx.x, p.a.n_queries - 1));
    plain_load_queries<DIM>(p, b, s.queries);
    __syncthreads(); /* the queries and their places are there */
    plain_score<DIM>(p, b, s, k);
    __syncthreads(); /* softmax goes over scores of all threads */
    plain_soften(p, b, s);
    __syncthreads(); /* every thread reads the weights of all rows */
    const int32_t n_segments = plain_mix<DIM, T>(p, b, s);
    __syncthreads(); /* an output adds up the sums of all segments */
    plain_store<DIM>(p, b, s, n_segments);
}

/* One warp per (group, head, query). */
static __global__ void __launch_bounds__(128) attention_merge_kernel(plain_args p)
{
    const attention_args &a = p.a;
    const int32_t lane = threadIdx.x % SONO_WARP;
    const int64_t row = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / SONO_WARP;
    if (row >= (int64_t)a.n_groups * a.n_heads * a.n_queries)
        return;
    const int32_t query = (int32_t)(row % a.n_queries), head = (int32_t)(row / a.n_queries % a.n_heads);
    const attention_group g = attention_group_of(a, (int32_t)(row / a.n_queries / a.n_heads));
    const int32_t position = attention_position(a, g, query), pitch = 2 + a.head_dim;
    const float *parts = p.parts + row * p.n_chunks * pitch;
    if (position < 0)
        return;
    float largest = parts[0];
    for (int32_t i = lane; i < p.n_chunks; i += SONO_WARP)
        largest = fmaxf(largest, parts[i * pitch]);
    largest = sono_warp_max(largest);
    for (int32_t c = lane; c < a.head_dim; c += SONO_WARP) {
        float mixed = 0.0f, sum = 0.0f;
#pragma unroll 4
        for (int32_t i = 0; i < p.n_chunks; i++) {
            const float *part = parts + i * pitch;
            const float weight = expf(part[0] - largest);
            mixed += weight * part[2 + c];
            sum += weight * part[1];
        }
        sono_store_either(a.out.data, attention_row(a, a.out, g.map, position, head) + c, mixed / sum,
                          a.out.is_half);
    }
}

#endif
