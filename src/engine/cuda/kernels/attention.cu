// SPDX-License-Identifier: Apache-2.0
/*
 * ATTENTION: out = softmax(scale * q k^T + bias) v for each head; q, k, v [n, positions, heads * head_dim];
 * global, or in windows of window x window positions whose keys past the border are pad_k, pad_v. Semantics:
 * the CPU twin.
 *
 * Three kernels, one a header, chosen by choice/attention.c: narrow (at most 16 keys), tensor (q, k, v F16 in
 * aligned rows whose keys fit into shared memory), plain (all else; float32 is exact there, and keys are
 * split over blocks when they are many). Test: tests/ops/test_attention.c.
 */
#include "engine/cuda/kernels/attention_narrow.cuh"
#include "engine/cuda/kernels/attention_plain.cuh"
#include "engine/cuda/kernels/attention_tensor.cuh"

#define SHARED_DEFAULT (48 << 10)
#define MERGE_THREADS  128

static attention_tensor tensor_of(const sono_cuda_tensor *t, int32_t head_dim)
{
    const attention_tensor to = {t->data, t->batch_stride, (int32_t)t->pitch, sono_is_half(t),
                                 head_dim % 8 == 0 && sono_is_aligned16(t)};
    return to;
}

static attention_args make_args(const sono_cuda_call *call)
{
    const sono_attention_args *op = &call->op->args.attention;
    const sono_attention_sizes s = sono_attention_sizes_of(call);
    attention_args a = {};
    a.q = tensor_of(&call->in[0], op->head_dim);
    a.k = tensor_of(&call->in[1], op->head_dim);
    a.v = tensor_of(&call->in[2], op->head_dim);
    a.out = tensor_of(&call->out[0], op->head_dim);
    a.bias = (const float *)call->in[3].data;
    a.bias_pitch = call->in[3].pitch;
    a.pad_k = (const float *)call->in[4].data;
    a.pad_v = (const float *)call->in[5].data;
    a.n_heads = s.n_heads;
    a.head_dim = s.head_dim;
    a.scale = op->scale;
    a.window = s.window;
    a.h = call->in[0].h;
    a.w = call->in[0].w;
    a.n_maps = s.n_maps;
    a.n_queries = s.n_queries;
    a.n_keys = s.n_keys;
    a.windows_across = s.windows_across;
    a.groups_per_map = s.groups_per_map;
    a.n_groups = s.n_groups;
    return a;
}

/* Instantiations of a launcher for the head dimensions that there are. */
#define FOR_DIM(head_dim, run, ...)                                                                          \
    ((head_dim) <= 16   ? run<16>(__VA_ARGS__)                                                               \
     : (head_dim) <= 32 ? run<32>(__VA_ARGS__)                                                               \
     : (head_dim) <= 48 ? run<48>(__VA_ARGS__)                                                               \
                        : run<64>(__VA_ARGS__))

/* ---- narrow ---- */

template <int DIM> static cudaError_t run_narrow(const attention_args *a, cudaStream_t stream)
{
    const int32_t most = SHARED_DEFAULT / (int32_t)(2 * sizeof(float) * DIM) / a->n_keys;
    narrow_args p = {*a, a->n_heads < NARROW_HEADS ? a->n_heads : NARROW_HEADS};
    p.heads = p.heads < most ? p.heads : most; /* 6 at least: 16 keys of 64 channels */
    const dim3 grid((unsigned)sono_ceil_div(a->n_queries, SONO_WARP),
                    (unsigned)sono_ceil_div(a->n_heads, p.heads), (unsigned)a->n_maps);
    const size_t bytes = 2 * sizeof(float) * DIM * (size_t)a->n_keys * (size_t)p.heads;
    attention_narrow_kernel<DIM><<<grid, p.heads * SONO_WARP, bytes, stream>>>(p);
    return cudaGetLastError();
}

extern "C" cudaError_t sono_cuda_attention_narrow(const sono_cuda_call *call)
{
    const attention_args a = make_args(call);
    return FOR_DIM(a.head_dim, run_narrow, &a, call->stream);
}

/* ---- tensor ---- */

static tensor_args make_tensor_args(const attention_args *a, const sono_attention_sizes *s)
{
    tensor_args p = {*a};
    p.n_tiles = s->n_tiles;
    p.splits = s->splits;
    p.windows_down = a->groups_per_map / a->windows_across;
    p.key_rows = s->key_rows;
    if (a->window) {
        p.reciprocal = (int32_t)sono_ceil_div(1 << 16, a->window);
        p.side_reciprocal = (int32_t)sono_ceil_div(1 << 16, 2 * a->window - 1);
        p.n_places = s->n_places;
        p.n_bias = s->n_bias;
    }
    p.out_pairs = a->out.is_half && (uintptr_t)a->out.data % 4 == 0 && a->out.pitch % 2 == 0 &&
                  a->out.batch_stride % 2 == 0;
    return p;
}

/* Heads first: neighbours read the same lines. Then windows along x, or blocks of queries; then all that is
 * left. */
static dim3 tensor_grid(const sono_attention_sizes *s)
{
    int32_t y, z;
    sono_attention_tensor_grid(s, &y, &z);
    return dim3((unsigned)s->n_heads, (unsigned)y, (unsigned)z);
}

/* Lets the kernel have as much shared memory as any op that chooses it needs. */
template <int DIM> static cudaError_t prepare_tensor(int32_t is_windowed, int32_t bytes)
{
    return is_windowed ? cudaFuncSetAttribute(attention_tensor_kernel<DIM, true>,
                                              cudaFuncAttributeMaxDynamicSharedMemorySize, bytes)
                       : cudaFuncSetAttribute(attention_tensor_kernel<DIM, false>,
                                              cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

extern "C" cudaError_t sono_cuda_attention_tensor_prepare(const sono_cuda_call *call)
{
    const sono_attention_args *op = &call->op->args.attention;
    const int32_t bytes = sono_attention_shared_limit(call->compute_capability);
    return FOR_DIM(op->head_dim, prepare_tensor, op->window > 0, bytes);
}

template <int DIM>
static cudaError_t run_tensor(const attention_args *a, const sono_attention_sizes *s, cudaStream_t stream)
{
    const tensor_args p = make_tensor_args(a, s);
    const dim3 grid = tensor_grid(s);
    const int32_t threads = p.n_tiles * p.splits * SONO_WARP;
    const size_t bytes = sono_attention_tensor_bytes(s);
    if (a->window)
        attention_tensor_kernel<DIM, true><<<grid, threads, bytes, stream>>>(p);
    else
        attention_tensor_kernel<DIM, false><<<grid, threads, bytes, stream>>>(p);
    return cudaGetLastError();
}

extern "C" cudaError_t sono_cuda_attention_tensor(const sono_cuda_call *call)
{
    const attention_args a = make_args(call);
    const sono_attention_sizes s = sono_attention_sizes_of(call);
    return FOR_DIM(a.head_dim, run_tensor, &a, &s, call->stream);
}

/* ---- plain ---- */

static plain_args make_plain_args(const attention_args *a, int32_t chunk)
{
    plain_args p = {*a};
    p.chunk = chunk;
    p.n_chunks = (int32_t)sono_ceil_div(a->n_keys, p.chunk);
    p.query_tiles = (int32_t)sono_ceil_div(a->n_queries, PLAIN_QUERIES);
    p.score_pitch = (int32_t)sono_ceil_div(p.chunk, 8) * 8 + 4;
    return p;
}

template <int DIM>
static cudaError_t run_plain(const attention_args *a, int32_t chunk, float *scratch, cudaStream_t stream)
{
    plain_args p = make_plain_args(a, chunk);
    int32_t threads = (int32_t)sono_ceil_div(p.chunk, SONO_WARP) * SONO_WARP;
    threads = threads < SONO_ATTENTION_HEAD_DIM ? SONO_ATTENTION_HEAD_DIM : threads;
    p.scores_count = PLAIN_QUERIES * (p.score_pitch > threads ? p.score_pitch : threads);
    p.parts = scratch;
    const size_t bytes = sizeof(float) * (size_t)(p.scores_count + PLAIN_QUERIES * (DIM + 3));
    const dim3 grid((unsigned)((int64_t)a->n_groups * p.query_tiles), (unsigned)a->n_heads,
                    (unsigned)p.n_chunks);
    if (a->k.is_half)
        attention_plain_kernel<DIM, __half><<<grid, threads, bytes, stream>>>(p);
    else
        attention_plain_kernel<DIM, float><<<grid, threads, bytes, stream>>>(p);
    if (p.n_chunks > 1) {
        const int64_t rows = (int64_t)a->n_groups * a->n_heads * a->n_queries;
        const unsigned blocks = (unsigned)sono_ceil_div(rows * SONO_WARP, MERGE_THREADS);
        attention_merge_kernel<<<blocks, MERGE_THREADS, 0, stream>>>(p);
    }
    return cudaGetLastError();
}

extern "C" cudaError_t sono_cuda_attention_plain(const sono_cuda_call *call)
{
    const attention_args a = make_args(call);
    const sono_attention_sizes s = sono_attention_sizes_of(call);
    return FOR_DIM(a.head_dim, run_plain, &a, sono_attention_plain_chunk(&s), (float *)call->scratch,
                   call->stream);
}
