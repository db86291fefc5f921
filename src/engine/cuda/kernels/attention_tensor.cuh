// SPDX-License-Identifier: Apache-2.0
/*
 * ATTENTION on tensor cores: q, k, v F16, head_dim 16, 32, 48 or 64, windows up to 14 x 14, or all keys of
 * one head in shared memory.
 *
 * One block per (group, head), or per (head, two tiles of 16 queries) without windows. Keys and values of the
 * head lie in shared memory as [keys][DIM + 8]: rows 16 bytes longer than their data, so that ldmatrix meets
 * every bank once. A warp takes a tile of 16 queries and walks over its keys 64 at a time, the rest 16 at a
 * time: S = q k^T by m16n8k16 into registers, scale and bias, running maximum and sum in float32, P rounded
 * to half, out += P v. The layout of S in registers is that of the left operand of the next product. Without
 * windows `splits` warps share a tile's keys; their results are put together at the end in the order of the
 * keys.
 *
 * The bias table is spread out to signed offsets in shared memory, so that the place of an element is a
 * difference of the key's and the query's; keys behind the last have places where the table is -infinity. The
 * products are a small part of the instructions: what counts is the number of others an element of S.
 *
 * Before compute capability 8.0 a m16n8k16 is two m16n8k8, and copies to shared memory go through registers.
 * Numbers: exp2 of scores times log2(e), good to 2 ulp; P has 11 bits. Test: tests/ops/test_attention.c.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_ATTENTION_TENSOR_CUH
#define SONO_ENGINE_CUDA_KERNELS_ATTENTION_TENSOR_CUH

#include "engine/cuda/kernels/attention.cuh"
#include "engine/cuda/kernels/mma.cuh"

#define TENSOR_THREADS    416 /* 13 tiles of 16 queries hold a window of 14 x 14 */
#define TENSOR_STEPS      4   /* of 16 keys between two looks at the maximum, as long as there are so many */
#define TENSOR_PITCH(dim) SONO_ATTENTION_TENSOR_PITCH(dim)
#define LOG2_E            1.44269504f
#define MINUS_INFINITY    (-__int_as_float(0x7f800000))

typedef struct tensor_args {
    attention_args a;
    int32_t n_tiles; /* of 16 queries in one block */
    int32_t splits;  /* warps that share the keys of one tile */
    int32_t windows_down;
    int32_t key_rows;        /* n_keys rounded up to 16 */
    int32_t reciprocal;      /* i / window = i * reciprocal >> 16 for i < 256 */
    int32_t side_reciprocal; /* the same for 2 window - 1 and i < n_bias */
    int32_t n_places;        /* key_rows; 0 without windows */
    int32_t n_bias;    /* floats of the spread bias and of the -infinities behind it; 0 without windows */
    int32_t out_pairs; /* out is F16 and two elements of it may be stored at once */
} tensor_args;

/* What one warp carries from keys to keys: rows g and g + 8 of its tile, g = lane / 4. */
template <int DIM> struct tensor_state {
    uint32_t q[DIM / 16][4];
    float out[DIM / 8][4];
    float largest[2], sum[2];
};

/* Where a block's parts lie in shared memory. */
struct tensor_areas {
    __half *keys, *values; /* [key_rows][TENSOR_PITCH] */
    int32_t *places;       /* [key_rows] bytes from the middle of the bias to a key's */
    float *bias;           /* [2 window - 1][2 window - 1], then -infinity */
};

static __device__ __forceinline__ float tensor_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

static __device__ __forceinline__ uint32_t tensor_address(const void *shared)
{
    return (uint32_t)__cvta_generic_to_shared(shared);
}

static __device__ __forceinline__ uint32_t tensor_pair(float low, float high)
{
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t *>(&pair);
}

/* The block's map and window: see tensor_grid(). */
template <bool WINDOWED> static __device__ __forceinline__ attention_group tensor_group(const tensor_args &p)
{
    attention_group g = {(int32_t)blockIdx.z, 0, 0};
    if (WINDOWED) {
        g.map = blockIdx.z / p.windows_down;
        g.y = (blockIdx.z - g.map * p.windows_down) * p.a.window;
        g.x = blockIdx.y * p.a.window;
    }
    return g;
}

/* Position in the map of query or key i, -1 past the border or the last one. */
template <bool WINDOWED>
static __device__ __forceinline__ int32_t tensor_position(const tensor_args &p, const attention_group &g,
                                                          int32_t i, int32_t n)
{
    if (i >= n)
        return -1;
    if (!WINDOWED)
        return i;
    const int32_t y = i * p.reciprocal >> 16;
    return attention_place(p.a, g, y, i - y * p.a.window);
}

/* Index of (y, x) = i of a window in a map whose rows are as long as those of the spread bias. */
static __device__ __forceinline__ int32_t tensor_bias_place(const tensor_args &p, int32_t i)
{
    return i + (i * p.reciprocal >> 16) * (p.a.window - 1);
}

template <int DIM>
static __device__ __forceinline__ void tensor_fill_row(__half *to, const float *padding, int32_t part)
{
    float v[8];
#pragma unroll
    for (int i = 0; i < 8; i++)
        v[i] = padding ? padding[part * 8 + i] : 0.0f;
    sono_store8(to, v);
}

/* Keys, values and bias of one head of one group. Rows behind the last key are zero: 0 * NaN would not be 0.
 */
template <int DIM, bool WINDOWED>
static __device__ __forceinline__ void tensor_fill(const tensor_args &p, const attention_group &g,
                                                   int32_t head, const tensor_areas &s)
{
    const attention_args &a = p.a;
    const __half *k = (const __half *)a.k.data + attention_row(a, a.k, g.map, 0, head);
    const __half *v = (const __half *)a.v.data + attention_row(a, a.v, g.map, 0, head);
    /* A thread copies the same 16 bytes of every n-th row. */
    const int32_t part = threadIdx.x % (DIM / 8), first = threadIdx.x / (DIM / 8),
                  step = blockDim.x / (DIM / 8);
    for (int32_t key = first; first < step && key < p.key_rows; key += step) {
        const int32_t position = tensor_position<WINDOWED>(p, g, key, a.n_keys);
        __half *to_k = s.keys + key * TENSOR_PITCH(DIM) + part * 8;
        __half *to_v = s.values + key * TENSOR_PITCH(DIM) + part * 8;
        if (position >= 0) {
            sono_copy16(tensor_address(to_k), k + (int64_t)position * a.k.pitch + part * 8, true);
            sono_copy16(tensor_address(to_v), v + (int64_t)position * a.v.pitch + part * 8, true);
        } else {
            const bool is_key = WINDOWED && key < a.n_keys;
            tensor_fill_row<DIM>(to_k, is_key ? a.pad_k + head * DIM : NULL, part);
            tensor_fill_row<DIM>(to_v, is_key ? a.pad_v + head * DIM : NULL, part);
        }
    }
    const int32_t side = 2 * a.window - 1;
    for (int32_t i = threadIdx.x; WINDOWED && i < p.n_bias; i += blockDim.x) {
        const int32_t y = i * p.side_reciprocal >> 16, dy = abs(y - (a.window - 1));
        const int32_t dx = abs(i - y * side - (a.window - 1));
        const float bias =
            a.bias && i < side * side ? a.bias[head * a.bias_pitch + dy * a.window + dx] : 0.0f;
        s.bias[i] = i < side * side ? bias * LOG2_E : MINUS_INFINITY;
    }
    for (int32_t i = threadIdx.x; WINDOWED && i < p.n_places; i += blockDim.x)
        s.places[i] = (i < a.n_keys ? tensor_bias_place(p, i) : side * side) * (int32_t)sizeof(float);
}

/* The left operand of q k^T for rows at q0 and q1 (NULL: zeroes). */
template <int DIM>
static __device__ __forceinline__ void tensor_load_queries(tensor_state<DIM> &state, const __half *q0,
                                                           const __half *q1)
{
    const int32_t column = threadIdx.x % 4 * 2;
#pragma unroll
    for (int s = 0; s < DIM / 16; s++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int32_t at = s * 16 + half * 8 + column;
            state.q[s][2 * half] = q0 ? *reinterpret_cast<const uint32_t *>(q0 + at) : 0;
            state.q[s][2 * half + 1] = q1 ? *reinterpret_cast<const uint32_t *>(q1 + at) : 0;
        }
}

/* s: scores of 16 queries and the 16 * STEPS keys from `first` on, times log2(e); -infinity behind the last
 * key. bias0 and bias1: the spread bias of the key at place 0 for the lane's two queries. */
template <int DIM, bool WINDOWED, int STEPS>
static __device__ __forceinline__ void
tensor_score(const tensor_args &p, const tensor_areas &areas, const tensor_state<DIM> &state, int32_t first,
             const float *bias0, const float *bias1, float (&s)[2 * STEPS][4])
{
    const int32_t lane = threadIdx.x % SONO_WARP, column = lane % 4 * 2;
    const float scale = p.a.scale * LOG2_E;
    const __half *rows =
        areas.keys + (first + (lane / 16) * 8 + lane % 8) * TENSOR_PITCH(DIM) + lane / 8 % 2 * 8;
#pragma unroll
    for (int t = 0; t < 2 * STEPS; t += 2) {
#pragma unroll
        for (int i = 0; i < 4; i++)
            s[t][i] = s[t + 1][i] = 0.0f;
#pragma unroll
        for (int c = 0; c < DIM / 16; c++) {
            uint32_t b[4];
            sono_ldmatrix(b, tensor_address(rows + t * 8 * TENSOR_PITCH(DIM) + c * 16));
            sono_mma(s[t], state.q[c], b[0], b[1]);
            sono_mma(s[t + 1], state.q[c], b[2], b[3]);
        }
    }
#pragma unroll
    for (int t = 0; t < 2 * STEPS; t++) {
        if (WINDOWED) {
            const int2 places = *(const int2 *)(areas.places + first + t * 8 + column);
            s[t][0] = s[t][0] * scale + *(const float *)((const char *)bias0 + places.x);
            s[t][1] = s[t][1] * scale + *(const float *)((const char *)bias0 + places.y);
            s[t][2] = s[t][2] * scale + *(const float *)((const char *)bias1 + places.x);
            s[t][3] = s[t][3] * scale + *(const float *)((const char *)bias1 + places.y);
        } else {
#pragma unroll
            for (int i = 0; i < 4; i++)
                s[t][i] *= scale;
        }
    }
    if (!WINDOWED && first + STEPS * 16 > p.a.n_keys) {
#pragma unroll
        for (int t = 0; t < 2 * STEPS; t++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                s[t][i] = first + t * 8 + column + i % 2 < p.a.n_keys ? s[t][i] : MINUS_INFINITY;
    }
}

/* Scores become exp2(score - running maximum); sum and out are brought to the new maximum. */
template <int DIM, int STEPS>
static __device__ __forceinline__ void tensor_soften(tensor_state<DIM> &state, float (&s)[2 * STEPS][4])
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float largest = state.largest[r], sum = 0.0f;
#pragma unroll
        for (int t = 0; t < 2 * STEPS; t++)
            largest = fmaxf(largest, fmaxf(s[t][2 * r], s[t][2 * r + 1]));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
        const float shrink = tensor_exp2(state.largest[r] - largest);
#pragma unroll
        for (int t = 0; t < 2 * STEPS; t++) {
            s[t][2 * r] = tensor_exp2(s[t][2 * r] - largest);
            s[t][2 * r + 1] = tensor_exp2(s[t][2 * r + 1] - largest);
            sum += s[t][2 * r] + s[t][2 * r + 1];
        }
        state.largest[r] = largest;
        state.sum[r] = state.sum[r] * shrink + sum;
#pragma unroll
        for (int t = 0; t < DIM / 8; t++) {
            state.out[t][2 * r] *= shrink;
            state.out[t][2 * r + 1] *= shrink;
        }
    }
}

/* out += P v for the 16 * STEPS keys from `first` on. */
template <int DIM, int STEPS>
static __device__ __forceinline__ void tensor_mix(const tensor_areas &areas, tensor_state<DIM> &state,
                                                  int32_t first, const float (&s)[2 * STEPS][4])
{
    const int32_t lane = threadIdx.x % SONO_WARP;
    const __half *rows = areas.values + (first + lane % 16) * TENSOR_PITCH(DIM) + lane / 16 * 8;
#pragma unroll
    for (int j = 0; j < STEPS; j++) {
        const uint32_t a[4] = {tensor_pair(s[2 * j][0], s[2 * j][1]), tensor_pair(s[2 * j][2], s[2 * j][3]),
                               tensor_pair(s[2 * j + 1][0], s[2 * j + 1][1]),
                               tensor_pair(s[2 * j + 1][2], s[2 * j + 1][3])};
#pragma unroll
        for (int c = 0; c < DIM / 16; c++) {
            uint32_t b[4];
            sono_ldmatrix_transposed(b, tensor_address(rows + j * 16 * TENSOR_PITCH(DIM) + c * 16));
            sono_mma(state.out[2 * c], a, b[0], b[1]);
            sono_mma(state.out[2 * c + 1], a, b[2], b[3]);
        }
    }
}

/* Takes up the 16 * STEPS keys from `first` on. */
template <int DIM, bool WINDOWED, int STEPS>
static __device__ __forceinline__ void tensor_take_keys(const tensor_args &p, const tensor_areas &areas,
                                                        tensor_state<DIM> &state, int32_t first,
                                                        const float *bias0, const float *bias1)
{
    float s[2 * STEPS][4];
    tensor_score<DIM, WINDOWED, STEPS>(p, areas, state, first, bias0, bias1, s);
    tensor_soften<DIM, STEPS>(state, s);
    tensor_mix<DIM, STEPS>(areas, state, first, s);
}

/* Row r of the lane's two to its query's position, `at` elements from the start of out. */
template <int DIM>
static __device__ __forceinline__ void tensor_store_row(const tensor_args &p, const tensor_state<DIM> &state,
                                                        int r, int64_t at)
{
    const float scale = 1.0f / state.sum[r];
    at += threadIdx.x % 4 * 2;
    if (p.out_pairs) {
        __half *to = (__half *)p.a.out.data + at;
#pragma unroll
        for (int t = 0; t < DIM / 8; t++)
            *(uint32_t *)(to + t * 8) =
                sono_pack(state.out[t][2 * r] * scale, state.out[t][2 * r + 1] * scale);
        return;
    }
#pragma unroll
    for (int t = 0; t < DIM / 8; t++)
#pragma unroll
        for (int i = 0; i < 2; i++)
            sono_store_either(p.a.out.data, at + t * 8 + i, state.out[t][2 * r + i] * scale, p.a.out.is_half);
}

/* Puts the warps' results for the same tile together: parts [warps][16][DIM + 2], the last two a row's
 * maximum and sum, in the place of keys and values. */
template <int DIM>
static __device__ __forceinline__ void tensor_merge(const tensor_args &p, const attention_group &g,
                                                    int32_t head, int32_t first_query,
                                                    const tensor_state<DIM> &state, float *parts)
{
    const attention_args &a = p.a;
    const int32_t pitch = DIM + 2, lane = threadIdx.x % SONO_WARP;
    __syncthreads(); /* every warp has read its keys and values: the parts may overwrite them */
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float *row = parts + (threadIdx.x / SONO_WARP * 16 + lane / 4 + 8 * r) * pitch;
#pragma unroll
        for (int t = 0; t < DIM / 8; t++) {
            row[t * 8 + lane % 4 * 2] = state.out[t][2 * r];
            row[t * 8 + lane % 4 * 2 + 1] = state.out[t][2 * r + 1];
        }
        if (lane % 4 == 0) {
            row[DIM] = state.largest[r];
            row[DIM + 1] = state.sum[r];
        }
    }
    __syncthreads(); /* the parts are complete */
    for (int32_t i = threadIdx.x; i < p.n_tiles * 16 * DIM; i += blockDim.x) {
        const int32_t row = i / DIM, c = i % DIM, query = first_query + row;
        const float *part = parts + (row / 16 * p.splits * 16 + row % 16) * pitch;
        float largest = MINUS_INFINITY, sum = 0.0f, mixed = 0.0f;
        for (int32_t s = 0; s < p.splits; s++)
            largest = fmaxf(largest, part[s * 16 * pitch + DIM]);
        for (int32_t s = 0; s < p.splits; s++) {
            const float *from = part + s * 16 * pitch;
            const float weight = tensor_exp2(from[DIM] - largest);
            mixed += weight * from[c];
            sum += weight * from[DIM + 1];
        }
        if (query < a.n_queries)
            sono_store_either(a.out.data, attention_row(a, a.out, g.map, query, head) + c, mixed / sum,
                              a.out.is_half);
    }
}

template <int DIM, bool WINDOWED>
__global__ void __launch_bounds__(TENSOR_THREADS) attention_tensor_kernel(tensor_args p)
{
    extern __shared__ uint4 shared[];
    const attention_args &a = p.a;
    tensor_areas areas;
    areas.keys = (__half *)shared;
    areas.values = areas.keys + p.key_rows * TENSOR_PITCH(DIM);
    areas.places = (int32_t *)(areas.values + p.key_rows * TENSOR_PITCH(DIM));
    areas.bias = (float *)(areas.places + p.n_places);
    const int32_t lane = threadIdx.x % SONO_WARP, warp = threadIdx.x / SONO_WARP, head = blockIdx.x;
    const int32_t tile = WINDOWED ? warp : warp / p.splits, split = warp - tile * p.splits;
    const attention_group g = tensor_group<WINDOWED>(p);
    const int32_t first_query = WINDOWED ? 0 : blockIdx.y * p.n_tiles * 16;
    const int32_t row0 = first_query + tile * 16 + lane / 4, row1 = row0 + 8;
    const int32_t position0 = tensor_position<WINDOWED>(p, g, row0, a.n_queries);
    const int32_t position1 = tensor_position<WINDOWED>(p, g, row1, a.n_queries);
    tensor_fill<DIM, WINDOWED>(p, g, head, areas);
    tensor_state<DIM> state = {};
    const __half *q = (const __half *)a.q.data;
    tensor_load_queries<DIM>(state, position0 < 0 ? NULL : q + attention_row(a, a.q, g.map, position0, head),
                             position1 < 0 ? NULL : q + attention_row(a, a.q, g.map, position1, head));
    state.largest[0] = state.largest[1] = MINUS_INFINITY;
    sono_copies_commit();
    sono_copies_wait<0>();
    __syncthreads(); /* keys, values, places and bias are there */

    /* The spread bias of the difference (key - query); queries past the last one take the last one's. */
    const int32_t centre = 2 * a.window * (a.window - 1); /* (window - 1) * (2 window - 1) + window - 1 */
    const float *bias0 = areas.bias + centre - tensor_bias_place(p, min(row0, a.n_queries - 1));
    const float *bias1 = areas.bias + centre - tensor_bias_place(p, min(row1, a.n_queries - 1));
    const int32_t per_split = WINDOWED ? p.key_rows : (p.key_rows / 16 + p.splits - 1) / p.splits * 16;
    const int32_t begin = split * per_split, end = min(begin + per_split, p.key_rows);
    const bool idle = WINDOWED && !__any_sync(0xffffffffu, position0 >= 0 || position1 >= 0);
    for (int32_t first = begin; first < end && !idle;) {
        if (first + TENSOR_STEPS * 16 <= end) {
            tensor_take_keys<DIM, WINDOWED, TENSOR_STEPS>(p, areas, state, first, bias0, bias1);
            first += TENSOR_STEPS * 16;
        } else {
            tensor_take_keys<DIM, WINDOWED, 1>(p, areas, state, first, bias0, bias1);
            first += 16;
        }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        state.sum[r] += __shfl_xor_sync(0xffffffffu, state.sum[r], 1);
        state.sum[r] += __shfl_xor_sync(0xffffffffu, state.sum[r], 2);
    }
    if (!WINDOWED) {
        tensor_merge<DIM>(p, g, head, first_query, state, (float *)shared);
        return;
    }
    if (position0 >= 0)
        tensor_store_row<DIM>(p, state, 0, attention_row(a, a.out, g.map, position0, head));
    if (position1 >= 0)
        tensor_store_row<DIM>(p, state, 1, attention_row(a, a.out, g.map, position1, head));
}

#endif
