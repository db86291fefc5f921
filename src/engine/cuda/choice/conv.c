// SPDX-License-Identifier: Apache-2.0
/* CONV and LINEAR: the tile and the number of splits of the depth by an estimate of the time on so many
 * multiprocessors. */
#include "engine/cuda/choice/families.h"

#include <math.h>

#define THIN_ROWS 16 /* LINEAR with at most this many rows: conv_thin */
#define SUM_CLOCKS                                                                                           \
    4000.0f /* a second kernel: its launch in a graph and one trip through the second-level cache */
#define MAX_SPLITS   8
#define BLOCK_CLOCKS 1500.0f /* of a block, beside its steps: launch, first loads, epilogue's latency */

#define HALF_TILE(id, text, BM, BN, BK, WM, WN, WK, n_stages, n_blocks, rate_, latency_, vector)             \
    [SONO_CONV_##id] = {.bm = (BM),                                                                          \
                        .bn = (BN),                                                                          \
                        .bk = (BK),                                                                          \
                        .threads = SONO_CONV_HALF_THREADS(BM, BN, WM, WN, WK),                               \
                        .max_stages = (n_stages),                                                            \
                        .stage_bytes = SONO_CONV_HALF_STAGE(BM, BN, BK),                                     \
                        .sum_bytes = SONO_CONV_HALF_SUMS(BM, BN, WM, WN, WK),                                \
                        .blocks = (n_blocks),                                                                \
                        .rate = (rate_),                                                                     \
                        .latency = (latency_),                                                               \
                        .is_half = 1,                                                                        \
                        .is_vector = (vector)},

#define FLOAT_TILE(id, text, TM, TN, TY, TX, slices, BK, n_stages, n_blocks, rate_, latency_, vector)        \
    [SONO_CONV_##id] = {.bm = (TM) * (TY),                                                                   \
                        .bn = (TN) * (TX),                                                                   \
                        .bk = (BK),                                                                          \
                        .threads = (TY) * (TX) * (slices),                                                   \
                        .max_stages = (n_stages),                                                            \
                        .stage_bytes = SONO_CONV_FLOAT_STAGE((TM) * (TY), (TN) * (TX), BK),                  \
                        .sum_bytes = SONO_CONV_FLOAT_SUMS((TM) * (TY), (TN) * (TX), slices),                 \
                        .blocks = (n_blocks),                                                                \
                        .rate = (rate_),                                                                     \
                        .latency = (latency_),                                                               \
                        .is_half = 0,                                                                        \
                        .is_vector = (vector)},

/* clang-format off */
const sono_conv_tile sono_conv_tiles[SONO_CONV_TILE_COUNT] = {
    SONO_CONV_HALF_TILES(HALF_TILE)
    SONO_CONV_FLOAT_TILES(FLOAT_TILE)
};
/* clang-format on */

/* Blocks that are on a multiprocessor together; 0: not even one. From compute capability 8.0 each costs 1 KB
 * more. */
static int32_t resident_blocks(const sono_cuda_call *call, const sono_conv_tile *t, int32_t steps)
{
    const int32_t cc = call->compute_capability;
    const int32_t fit = sono_shared_bytes(cc) / (sono_conv_block_bytes(t, steps, cc) + (cc < 80 ? 0 : 1024));
    return fit < t->blocks ? fit : t->blocks;
}

/* Clocks, roughly, as the mean of two. From launch to end: the fuller multiprocessors' work, or their blocks'
 * latency one after another. And what of the device is taken, as if its work were spread evenly: the other
 * lane, which runs beside this one, gets the rest. */
static float estimate(const sono_cuda_call *call, const sono_conv_product *g, const sono_conv_tile *t,
                      int32_t steps, int32_t n_splits, int32_t together)
{
    const int64_t tiles = sono_ceil_div(g->m, t->bm) * sono_ceil_div(g->n, t->bn) * n_splits;
    const int64_t blocks = sono_ceil_div(tiles, call->n_multiprocessors);
    const float rounds = (float)sono_ceil_div(blocks, together), area = (float)(t->bm * t->bn);
    const float each = area * ((float)(steps * t->bk) / t->rate + 0.12f);
    const float work = (float)blocks * each, latency = rounds * (float)steps * t->latency;
    const float time = (work > latency ? work : latency) + rounds * BLOCK_CLOCKS;
    const float evenly = (float)tiles / (float)call->n_multiprocessors;
    const float taken = evenly * (each + BLOCK_CLOCKS / (float)together);
    const float traffic = (float)(g->m * g->n) * 4.0f * (float)(n_splits + 1);
    const float sums = n_splits == 1 ? 0.0f : SUM_CLOCKS + traffic / (20.0f * (float)call->n_multiprocessors);
    return 0.5f * (time + taken) + sums;
}

void sono_conv_tile_cost(const sono_cuda_call *call, const sono_cuda_candidate *self, sono_cuda_choice *out)
{
    const sono_conv_tile *t = self->tile;
    const sono_conv_product g = sono_conv_product_of(call);
    const int32_t steps = (int32_t)sono_ceil_div(g.k, t->bk), max_splits = t->is_vector ? MAX_SPLITS : 1;
    out->clocks = INFINITY;
    for (int32_t wanted = 1; wanted <= max_splits && wanted <= steps; wanted *= 2) {
        const int32_t each = (int32_t)sono_ceil_div(steps, wanted);
        const int32_t n_splits = (int32_t)sono_ceil_div(steps, each);
        const int32_t together = resident_blocks(call, t, each);
        if (together < 1)
            continue;
        const float clocks = estimate(call, &g, t, each, n_splits, together);
        if (clocks < out->clocks) {
            out->clocks = clocks;
            out->steps = each;
            out->n_splits = n_splits;
        }
    }
}

size_t sono_conv_tile_scratch(const sono_cuda_call *call, const sono_cuda_choice *choice)
{
    const sono_conv_product g = sono_conv_product_of(call);
    const int64_t n_floats = choice->n_splits * g.m * sono_conv_partial_pitch(g.n);
    return choice->n_splits > 1 ? sizeof(float) * (size_t)n_floats : 0;
}

static int is_half(const sono_cuda_call *call)
{
    return call->in[0].dtype == SONO_DTYPE_F16;
}

int sono_conv_thin_supports(const sono_cuda_call *call, const sono_cuda_candidate *self)
{
    (void)self;
    return call->op->kind == SONO_OP_LINEAR && !is_half(call) && sono_conv_product_of(call).m <= THIN_ROWS;
}

int sono_conv_tile_supports(const sono_cuda_call *call, const sono_cuda_candidate *self)
{
    const sono_conv_tile *t = self->tile;
    const sono_conv_product g = sono_conv_product_of(call);
    const int64_t across = sono_ceil_div(g.n, t->bn), tiles = sono_ceil_div(g.m, t->bm) * across;
    const int is_vector = sono_is_wide(&call->in[0], call->in[0].c, t->is_half ? 8 : 4);
    return t->is_half == is_half(call) && t->is_vector == is_vector && tiles * across <= UINT32_MAX;
}

/* The kernels' 32-bit arithmetic; what the networks need is far inside. */
int sono_conv_limits(const sono_program *program, const sono_op *op, const sono_cuda_call *call,
                     sono_why *why)
{
    const sono_cuda_tensor *x = &call->in[0], *y = &call->out[0];
    const sono_conv_product g = sono_conv_product_of(call);
    const int64_t extent = (x->n - 1) * x->batch_stride + ((int64_t)x->h * x->w + 2 * x->w + 2) * x->pitch;
    if (extent > INT32_MAX)
        return sono_refuse(why, 0, "it spans %lld elements, more than 32 bits can count", (long long)extent);
    if (g.m > INT32_MAX)
        return sono_refuse(why, SONO_WHY_OUT, "it has %lld positions, more than 32 bits can count",
                           (long long)g.m);
    if (g.k >= SONO_CONV_MAX_DEPTH)
        return sono_refuse(why, 1, "a product's depth is at most %d, this is %lld", SONO_CONV_MAX_DEPTH - 1,
                           (long long)g.k);
    if (op->kind == SONO_OP_CONV && (x->h > SONO_CONV_MAX_SIDE / 2 || x->w > SONO_CONV_MAX_SIDE / 2))
        return sono_refuse(why, 0, "a side is at most %d positions", SONO_CONV_MAX_SIDE / 2);
    if (op->kind == SONO_OP_CONV && (int64_t)y->h * y->w * y->w > UINT32_MAX)
        return sono_refuse(why, SONO_WHY_OUT, "height * width * width is more than 32 bits can count");
    const sono_tensor *weight = &program->tensors[op->in[1]];
    if (!sono_maps_touch(weight))
        return sono_refuse(why, 1, "its kernel rows must follow one another in memory");
    if (is_half(call) && (weight->kind != SONO_TENSOR_PARAM || weight->root != op->in[1]))
        return sono_refuse(why, 1, "the weight of a float16 product must be a parameter, and no view of one");
    return 1;
}
