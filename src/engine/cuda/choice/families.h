// SPDX-License-Identifier: Apache-2.0
/* What candidates of the op families say, and the numbers that kernels and choice share. */
#ifndef SONO_ENGINE_CUDA_CHOICE_FAMILIES_H
#define SONO_ENGINE_CUDA_CHOICE_FAMILIES_H

#include "engine/cuda/choice/candidates.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SONO_CUDA_MAX_GRID_YZ 65535 /* of a launch: blockIdx.y is often a tensor's map */

/* ---- CONV, LINEAR (conv.c) ---- */

#define SONO_CONV_MAX_SIDE  16384 /* of a map under a kernel larger than 1 x 1: positions in 16 bits */
#define SONO_CONV_MAX_DEPTH 65536 /* of K: its division by c_in is exact */

int sono_conv_limits(const sono_program *program, const sono_op *op, const sono_cuda_call *call,
                     sono_why *why);
int sono_conv_thin_supports(const sono_cuda_call *call, const sono_cuda_candidate *self);
int sono_conv_tile_supports(const sono_cuda_call *call, const sono_cuda_candidate *self);
void sono_conv_tile_cost(const sono_cuda_call *call, const sono_cuda_candidate *self, sono_cuda_choice *out);
/* float32 partial sums, [split][M][N rounded up to 8]. */
size_t sono_conv_tile_scratch(const sono_cuda_call *call, const sono_cuda_choice *choice);

/* y [m, n] = A [m, k] x weight. */
typedef struct sono_conv_product {
    int64_t m, n, k;
} sono_conv_product;

static inline sono_conv_product sono_conv_product_of(const sono_cuda_call *call)
{
    const sono_conv_args *conv = &call->op->args.conv;
    const sono_cuda_tensor *x = &call->in[0], *y = &call->out[0];
    sono_conv_product g;
    g.m = (int64_t)y->n * y->h * y->w;
    g.n = y->c;
    g.k = call->op->kind == SONO_OP_LINEAR ? x->c : (int64_t)conv->kernel_h * conv->kernel_w * x->c;
    return g;
}

static inline int64_t sono_conv_partial_pitch(int64_t n)
{
    return sono_ceil_div(n, 8) * 8;
}

/* ---- DWCONV (dwconv.c) ---- */

#define SONO_DWCONV_VECTOR        4 /* channels of a thread of the vector kernel */
#define SONO_DWCONV_STRIP_VECTOR  2
#define SONO_DWCONV_STRIP_COLUMNS 4

int sono_dwconv_strip_supports(const sono_cuda_call *call, const sono_cuda_candidate *self);
int sono_dwconv_vector_supports(const sono_cuda_call *call, const sono_cuda_candidate *self);
void sono_dwconv_strip_cost(const sono_cuda_call *call, const sono_cuda_candidate *self,
                            sono_cuda_choice *out);

/* ---- ATTENTION (attention.c) ---- */

#define SONO_ATTENTION_HEAD_DIM          64 /* most */
#define SONO_ATTENTION_NARROW_KEYS       16 /* of the narrow kernel */
#define SONO_ATTENTION_SPLIT_KEYS        256 /* of a block when the plain kernel's keys are split over blocks */
#define SONO_ATTENTION_PLAIN_KEYS        512 /* above, they are */
#define SONO_ATTENTION_PLAIN_QUERIES     20  /* of a block */
#define SONO_ATTENTION_TENSOR_WINDOW     14
#define SONO_ATTENTION_TENSOR_PITCH(dim) ((dim) + 8)

/* The kernel for few queries and many keys, compute capability 9.0 alone. */
#define SONO_ATTENTION_FEW_QUERIES 8
#define SONO_ATTENTION_FEW_DIM     16
#define SONO_ATTENTION_FEW_CLUSTER 8    /* blocks that share the keys of a head */
#define SONO_ATTENTION_FEW_KEYS    1024 /* from so many on */

/* A group is what one softmax sees: a whole map, or one window of one map. */
typedef struct sono_attention_sizes {
    int32_t n_heads, head_dim;
    int32_t n_maps, n_groups, n_queries, n_keys; /* the last two of one group */
    int32_t window;                              /* 0: global */
    int32_t windows_across, groups_per_map;
    int32_t n_tiles, splits; /* the tensor kernel: 16 queries each, and of the keys */
    int32_t key_rows, n_places, n_bias;
} sono_attention_sizes;

sono_attention_sizes sono_attention_sizes_of(const sono_cuda_call *call);
/* Shared memory of a block of the tensor kernel. */
size_t sono_attention_tensor_bytes(const sono_attention_sizes *s);
/* The most that a block of it may ask for, with some left for a second block where there is much. */
int32_t sono_attention_shared_limit(int32_t compute_capability);
/* Blocks along y and z of the tensor kernel's launch; those along x are the heads. */
void sono_attention_tensor_grid(const sono_attention_sizes *s, int32_t *y, int32_t *z);
/* Keys of a block of the plain kernel. */
int32_t sono_attention_plain_chunk(const sono_attention_sizes *s);

int sono_attention_limits(const sono_program *program, const sono_op *op, const sono_cuda_call *call,
                          sono_why *why);
int sono_attention_narrow_supports(const sono_cuda_call *call, const sono_cuda_candidate *self);
int sono_attention_few_supports(const sono_cuda_call *call, const sono_cuda_candidate *self);
int sono_attention_tensor_supports(const sono_cuda_call *call, const sono_cuda_candidate *self);
size_t sono_attention_plain_scratch(const sono_cuda_call *call, const sono_cuda_choice *choice);

/* ---- TOPK_ROWS, SELECT_BOXES, WEIGHT_MAPS (limits.c) ---- */

#define SONO_SELECT_QUERIES  11776 /* most: 46 KiB of scores */
#define SONO_MAPS_TILE_W     64
#define SONO_MAPS_TILE_H     16
#define SONO_MAPS_MAX_SHARED (48 << 10)

/* Shared memory of a block of the weight maps' kernel; margin: half the larger width. */
static inline int64_t sono_maps_bytes(int32_t margin)
{
    return (int64_t)(SONO_MAPS_TILE_H + 2 * margin) * (2 * SONO_MAPS_TILE_W + 2 * margin);
}

/* The best k, in a power of two of places. */
static inline int32_t sono_topk_places(int32_t k)
{
    int32_t n = 1;
    while (n < k)
        n *= 2;
    return n;
}

static inline size_t sono_topk_scores_bytes(const sono_cuda_tensor *logits)
{
    const size_t n_tokens = (size_t)logits->h * (size_t)logits->w;
    return ((size_t)logits->n * n_tokens * sizeof(uint32_t) + 255) / 256 * 256;
}

size_t sono_topk_scratch(const sono_cuda_call *call, const sono_cuda_choice *choice);

/* What no kernel of an op's kind can do: 1 when there is nothing of it in the op. */
int sono_cuda_limits(const sono_program *program, const sono_op *op, const sono_cuda_call *call,
                     sono_why *why);

#ifdef __cplusplus
}
#endif
#endif
