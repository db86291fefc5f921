// SPDX-License-Identifier: Apache-2.0
/*
 * ATTENTION: out = softmax(scale * q k^T + bias) v for each head; q, k, v [n, positions, heads * head_dim];
 * global, or in windows of window x window positions whose keys past the border are pad_k, pad_v. Semantics:
 * the CPU twin.
 *
 * Three kernels, one a header: narrow (at most 16 keys), tensor (q, k, v F16 in aligned rows whose keys fit
 * into shared memory), plain (all else; float32 is exact there, and keys are split over blocks when they are
 * many). Test: tests/ops/test_attention.c.
 */
#include "engine/cuda/kernels/attention_narrow.cuh"
#include "engine/cuda/kernels/attention_plain.cuh"
#include "engine/cuda/kernels/attention_tensor.cuh"

#define MAX_HEAD_DIM   64
#define SHARED_DEFAULT (48 << 10)
#define SPLIT_KEYS     256 /* keys of a block when they are split over blocks */
#define TENSOR_WINDOW  14
#define GLOBAL_TILES                                                                                         \
    2 /* tiles of 16 queries of a block without windows; 400 queries x 8 heads: 104 blocks                   \
       */
#define GLOBAL_SPLITS 4
#define MERGE_THREADS 128
#define MAX_GRID_YZ   65535

static attention_tensor tensor_of(const sono_cuda_tensor *t, int32_t head_dim)
{
    const attention_tensor to = {t->data, t->batch_stride, (int32_t)t->pitch, sono_is_half(t),
                                 head_dim % 8 == 0 && sono_is_aligned16(t)};
    return to;
}

static attention_args make_args(const sono_cuda_call *call)
{
    const sono_attention_args *op = &call->op->args.attention;
    const sono_cuda_tensor *q = &call->in[0], *k = &call->in[1];
    attention_args a = {};
    a.q = tensor_of(q, op->head_dim);
    a.k = tensor_of(k, op->head_dim);
    a.v = tensor_of(&call->in[2], op->head_dim);
    a.out = tensor_of(&call->out[0], op->head_dim);
    a.bias = (const float *)call->in[3].data;
    a.bias_pitch = call->in[3].pitch;
    a.pad_k = (const float *)call->in[4].data;
    a.pad_v = (const float *)call->in[5].data;
    a.n_heads = op->n_heads;
    a.head_dim = op->head_dim;
    a.scale = op->scale;
    a.window = op->window;
    a.h = q->h;
    a.w = q->w;
    a.n_maps = q->n;
    a.n_queries = a.window ? a.window * a.window : q->h * q->w;
    a.n_keys = a.window ? a.n_queries : k->h * k->w;
    a.windows_across = a.window ? (int32_t)sono_ceil_div(a.w, a.window) : 1;
    a.groups_per_map = a.window ? a.windows_across * (int32_t)sono_ceil_div(a.h, a.window) : 1;
    a.n_groups = a.n_maps * a.groups_per_map;
    return a;
}

static int is_narrow(const attention_args *a)
{
    return !a->window && a->n_keys <= NARROW_KEYS;
}

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

/* ---- tensor ---- */

/* Shared memory of a block that may be asked for, with some left for a second block where it is large. */
static int32_t shared_limit(int32_t compute_capability)
{
    return compute_capability < 80 ? 64 << 10 : 96 << 10;
}

static tensor_args make_tensor_args(const attention_args *a)
{
    tensor_args p = {*a};
    p.n_tiles = a->window ? (int32_t)sono_ceil_div(a->n_queries, 16) : GLOBAL_TILES;
    p.splits = a->window ? 1 : GLOBAL_SPLITS;
    p.windows_down = a->groups_per_map / a->windows_across;
    p.key_rows = (int32_t)sono_ceil_div(a->n_keys, 16) * 16;
    if (a->window) {
        const int32_t side = 2 * a->window - 1, centre = 2 * a->window * (a->window - 1);
        p.reciprocal = (int32_t)sono_ceil_div(1 << 16, a->window);
        p.side_reciprocal = (int32_t)sono_ceil_div(1 << 16, side);
        p.n_places = p.key_rows;
        p.n_bias = side * side + centre + 1; /* any query may be behind the last key by up to `centre` */
    }
    p.out_pairs = a->out.is_half && (uintptr_t)a->out.data % 4 == 0 && a->out.pitch % 2 == 0 &&
                  a->out.batch_stride % 2 == 0;
    return p;
}

static size_t tensor_bytes(const tensor_args *p)
{
    const size_t rows = 2 * sizeof(__half) * (size_t)p->key_rows * TENSOR_PITCH((size_t)p->a.head_dim);
    const size_t merged = sizeof(float) * 16 * (size_t)(p->n_tiles * p->splits) * ((size_t)p->a.head_dim + 2);
    const size_t used = rows + sizeof(float) * (size_t)(p->n_places + p->n_bias);
    return p->splits > 1 && merged > used ? merged : used;
}

/* Heads first: neighbours read the same lines. Then windows along x, or blocks of queries; then all that is
 * left. */
static dim3 tensor_grid(const tensor_args *p)
{
    const attention_args *a = &p->a;
    const dim3 windows((unsigned)a->n_heads, (unsigned)a->windows_across,
                       (unsigned)(a->n_groups / a->windows_across));
    const dim3 queries((unsigned)a->n_heads, (unsigned)sono_ceil_div(a->n_queries, 16 * p->n_tiles),
                       (unsigned)a->n_maps);
    return a->window ? windows : queries;
}

static int is_for_tensor_cores(const attention_args *a, int32_t compute_capability)
{
    const tensor_args p = make_tensor_args(a);
    const dim3 grid = tensor_grid(&p);
    const int fits = a->window <= TENSOR_WINDOW && grid.y <= MAX_GRID_YZ && grid.z <= MAX_GRID_YZ &&
                     tensor_bytes(&p) <= (size_t)shared_limit(compute_capability);
    return fits && a->head_dim % 16 == 0 && a->q.is_half && a->k.is_half && a->v.is_half && a->q.aligned &&
           a->k.aligned && a->v.aligned;
}

template <int DIM, bool WINDOWED> static cudaError_t launch_tensor(const tensor_args *p, cudaStream_t stream)
{
    const size_t bytes = tensor_bytes(p);
    if (bytes > SHARED_DEFAULT) {
        const cudaError_t error = cudaFuncSetAttribute(
            attention_tensor_kernel<DIM, WINDOWED>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
        if (error != cudaSuccess)
            return error;
    }
    const dim3 grid = tensor_grid(p);
    attention_tensor_kernel<DIM, WINDOWED><<<grid, p->n_tiles * p->splits * SONO_WARP, bytes, stream>>>(*p);
    return cudaGetLastError();
}

template <int DIM> static cudaError_t run_tensor(const attention_args *a, cudaStream_t stream)
{
    const tensor_args p = make_tensor_args(a);
    return a->window ? launch_tensor<DIM, true>(&p, stream) : launch_tensor<DIM, false>(&p, stream);
}

/* ---- plain ---- */

static plain_args make_plain_args(const attention_args *a)
{
    plain_args p = {*a};
    p.chunk = a->n_keys <= PLAIN_MAX_KEYS ? a->n_keys : SPLIT_KEYS;
    p.n_chunks = (int32_t)sono_ceil_div(a->n_keys, p.chunk);
    p.query_tiles = (int32_t)sono_ceil_div(a->n_queries, PLAIN_QUERIES);
    p.score_pitch = (int32_t)sono_ceil_div(p.chunk, 8) * 8 + 4;
    return p;
}

static size_t plain_scratch_bytes(const plain_args *p)
{
    const size_t rows = (size_t)p->a.n_groups * (size_t)p->a.n_heads * (size_t)p->a.n_queries;
    return p->n_chunks > 1 ? rows * (size_t)p->n_chunks * (2 + (size_t)p->a.head_dim) * sizeof(float) : 0;
}

template <int DIM> static cudaError_t run_plain(const attention_args *a, float *scratch, cudaStream_t stream)
{
    plain_args p = make_plain_args(a);
    int32_t threads = (int32_t)sono_ceil_div(p.chunk, SONO_WARP) * SONO_WARP;
    threads = threads < MAX_HEAD_DIM ? MAX_HEAD_DIM : threads;
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

/* ---- choice ---- */

template <int DIM> static cudaError_t run_dim(const sono_cuda_call *call, const attention_args *a)
{
    if (is_narrow(a))
        return run_narrow<DIM>(a, call->stream);
    if (is_for_tensor_cores(a, call->compute_capability))
        return run_tensor<DIM>(a, call->stream);
    return run_plain<DIM>(a, (float *)call->scratch, call->stream);
}

extern "C" cudaError_t sono_cuda_attention(const sono_cuda_call *call)
{
    const attention_args a = make_args(call);
    if (a.head_dim > MAX_HEAD_DIM || a.q.is_half < 0 || a.k.is_half < 0 || a.out.is_half < 0 ||
        a.k.is_half != a.v.is_half)
        return cudaErrorNotSupported;
    switch ((a.head_dim + 15) / 16) {
    case 1:
        return run_dim<16>(call, &a);
    case 2:
        return run_dim<32>(call, &a);
    case 3:
        return run_dim<48>(call, &a);
    default:
        return run_dim<64>(call, &a);
    }
}

extern "C" size_t sono_cuda_attention_scratch(const sono_cuda_call *call)
{
    const attention_args a = make_args(call);
    const plain_args p = make_plain_args(&a);
    return is_narrow(&a) ? 0 : plain_scratch_bytes(&p); /* whether rows are aligned is not known yet */
}
