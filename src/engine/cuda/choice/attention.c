// SPDX-License-Identifier: Apache-2.0
/* ATTENTION: narrow where there are few keys, tensor cores where rows are aligned and the keys fit into
 * shared memory, plain for all else. */
#include "engine/cuda/choice/families.h"

#define GLOBAL_TILES                                                                                         \
    2 /* tiles of 16 queries of a block without windows; 400 queries x 8 heads: 104 blocks                   \
       */
#define GLOBAL_SPLITS 4
#define HALF_BYTES    2

sono_attention_sizes sono_attention_sizes_of(const sono_cuda_call *call)
{
    const sono_attention_args *op = &call->op->args.attention;
    const sono_cuda_tensor *q = &call->in[0], *k = &call->in[1];
    sono_attention_sizes s = {
        .n_heads = op->n_heads, .head_dim = op->head_dim, .n_maps = q->n, .window = op->window};
    s.n_queries = s.window ? s.window * s.window : q->h * q->w;
    s.n_keys = s.window ? s.n_queries : k->h * k->w;
    s.windows_across = s.window ? (int32_t)sono_ceil_div(q->w, s.window) : 1;
    s.groups_per_map = s.window ? s.windows_across * (int32_t)sono_ceil_div(q->h, s.window) : 1;
    s.n_groups = s.n_maps * s.groups_per_map;
    s.n_tiles = s.window ? (int32_t)sono_ceil_div(s.n_queries, 16) : GLOBAL_TILES;
    s.splits = s.window ? 1 : GLOBAL_SPLITS;
    s.key_rows = (int32_t)sono_ceil_div(s.n_keys, 16) * 16;
    if (s.window) {
        const int32_t side = 2 * s.window - 1, centre = 2 * s.window * (s.window - 1);
        s.n_places = s.key_rows;
        s.n_bias = side * side + centre + 1; /* any query may be behind the last key by up to `centre` */
    }
    return s;
}

size_t sono_attention_tensor_bytes(const sono_attention_sizes *s)
{
    const size_t dim = (size_t)s->head_dim;
    const size_t rows = 2 * HALF_BYTES * (size_t)s->key_rows * SONO_ATTENTION_TENSOR_PITCH(dim);
    const size_t merged = sizeof(float) * 16 * (size_t)(s->n_tiles * s->splits) * (dim + 2);
    const size_t used = rows + sizeof(float) * (size_t)(s->n_places + s->n_bias);
    return s->splits > 1 && merged > used ? merged : used;
}

int32_t sono_attention_shared_limit(int32_t compute_capability)
{
    return compute_capability < 80 ? 64 << 10 : 96 << 10;
}

void sono_attention_tensor_grid(const sono_attention_sizes *s, int32_t *y, int32_t *z)
{
    *y = s->window ? s->windows_across : (int32_t)sono_ceil_div(s->n_queries, 16 * s->n_tiles);
    *z = s->window ? s->n_groups / s->windows_across : s->n_maps;
}

int32_t sono_attention_plain_chunk(const sono_attention_sizes *s)
{
    return s->n_keys <= SONO_ATTENTION_PLAIN_KEYS ? s->n_keys : SONO_ATTENTION_SPLIT_KEYS;
}

int sono_attention_narrow_supports(const sono_cuda_call *call, const sono_cuda_candidate *self)
{
    const sono_attention_sizes s = sono_attention_sizes_of(call);
    (void)self;
    return !s.window && s.n_keys <= SONO_ATTENTION_NARROW_KEYS;
}

static int is_aligned_half(const sono_cuda_tensor *t)
{
    return t->dtype == SONO_DTYPE_F16 && sono_is_wide(t, 8, 8);
}

int sono_attention_tensor_supports(const sono_cuda_call *call, const sono_cuda_candidate *self)
{
    const sono_attention_sizes s = sono_attention_sizes_of(call);
    int32_t y, z;
    (void)self;
    sono_attention_tensor_grid(&s, &y, &z);
    return s.window <= SONO_ATTENTION_TENSOR_WINDOW && y <= SONO_CUDA_MAX_GRID_YZ &&
           z <= SONO_CUDA_MAX_GRID_YZ &&
           sono_attention_tensor_bytes(&s) <= (size_t)sono_attention_shared_limit(call->compute_capability) &&
           s.head_dim % 16 == 0 && is_aligned_half(&call->in[0]) && is_aligned_half(&call->in[1]) &&
           is_aligned_half(&call->in[2]);
}

int sono_attention_few_supports(const sono_cuda_call *call, const sono_cuda_candidate *self)
{
    const sono_attention_sizes s = sono_attention_sizes_of(call);
    (void)self;
    return call->has_sm90 && !s.window && !call->in[3].data && s.n_queries <= SONO_ATTENTION_FEW_QUERIES &&
           s.n_keys >= SONO_ATTENTION_FEW_KEYS && s.head_dim == SONO_ATTENTION_FEW_DIM &&
           is_aligned_half(&call->in[1]) && is_aligned_half(&call->in[2]);
}

size_t sono_attention_plain_scratch(const sono_cuda_call *call, const sono_cuda_choice *choice)
{
    const sono_attention_sizes s = sono_attention_sizes_of(call);
    const size_t n_chunks = (size_t)sono_ceil_div(s.n_keys, sono_attention_plain_chunk(&s));
    const size_t rows = (size_t)s.n_groups * (size_t)s.n_heads * (size_t)s.n_queries;
    (void)choice;
    return n_chunks > 1 ? rows * n_chunks * (2 + (size_t)s.head_dim) * sizeof(float) : 0;
}

int sono_attention_limits(const sono_program *program, const sono_op *op, const sono_cuda_call *call,
                          sono_why *why)
{
    const sono_attention_sizes s = sono_attention_sizes_of(call);
    const int64_t n_blocks =
        (int64_t)s.n_maps * s.groups_per_map * sono_ceil_div(s.n_queries, SONO_ATTENTION_PLAIN_QUERIES);
    (void)program;
    (void)op;
    if (s.head_dim > SONO_ATTENTION_HEAD_DIM)
        return sono_refuse(why, 0, "heads of %d channels: %d at most", s.head_dim, SONO_ATTENTION_HEAD_DIM);
    if (call->in[1].dtype != call->in[2].dtype)
        return sono_refuse(why, 2, "keys and values must be stored in one type");
    if (s.n_heads > SONO_CUDA_MAX_GRID_YZ || s.n_maps > SONO_CUDA_MAX_GRID_YZ || n_blocks > INT32_MAX)
        return sono_refuse(why, 0, "more heads, maps or queries than one launch can have");
    if (sono_ceil_div(s.n_keys, SONO_ATTENTION_SPLIT_KEYS) > SONO_CUDA_MAX_GRID_YZ)
        return sono_refuse(why, 1, "more keys than one launch can have");
    return 1;
}
