// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/choice/families.h"

size_t sono_topk_scratch(const sono_cuda_call *call, const sono_cuda_choice *choice)
{
    const sono_cuda_tensor *logits = &call->in[0];
    (void)choice;
    return sono_topk_scores_bytes(logits) +
           (size_t)logits->n * (size_t)sono_topk_places(call->op->args.topk.k) * sizeof(uint64_t);
}

/* A thread, or a warp, for `per_position` things at each position of a map; one map a blockIdx.y. */
static int fits_launch(const sono_cuda_tensor *t, int64_t per_position, int32_t operand, sono_why *why)
{
    if (t->n > SONO_CUDA_MAX_GRID_YZ)
        return sono_refuse(why, operand, "one launch has at most %d maps", SONO_CUDA_MAX_GRID_YZ);
    if ((int64_t)t->h * t->w > INT32_MAX / per_position)
        return sono_refuse(why, operand, "a map has more elements than one launch can have threads");
    return 1;
}

static int deform_limits(const sono_cuda_call *call, sono_why *why)
{
    return fits_launch(&call->out[0], call->op->args.deform.n_heads, SONO_WHY_OUT, why);
}

static int select_limits(const sono_cuda_call *call, sono_why *why)
{
    const int64_t n_queries = (int64_t)call->in[0].h * call->in[0].w;
    if (n_queries > SONO_SELECT_QUERIES)
        return sono_refuse(why, 0, "%lld queries: %d at most", (long long)n_queries, SONO_SELECT_QUERIES);
    return 1;
}

static int weight_maps_limits(const sono_cuda_call *call, sono_why *why)
{
    const sono_segment_args *op = &call->op->args.segment;
    const int32_t width = op->edge_width_px > op->outside_width_px ? op->edge_width_px : op->outside_width_px;
    if (width > SONO_MAPS_MAX_SHARED || sono_maps_bytes(width / 2) > SONO_MAPS_MAX_SHARED)
        return sono_refuse(why, SONO_WHY_OUT,
                           "a width of %d pixels needs more shared memory than a block has", width);
    return fits_launch(&call->in[0], 1, 0, why);
}

int sono_cuda_limits(const sono_program *program, const sono_op *op, const sono_cuda_call *call,
                     sono_why *why)
{
    switch (op->kind) {
    case SONO_OP_CONV:
    case SONO_OP_LINEAR:
        return sono_conv_limits(program, op, call, why);
    case SONO_OP_ATTENTION:
        return sono_attention_limits(program, op, call, why);
    case SONO_OP_DEFORM_ATTENTION:
        return deform_limits(call, why);
    case SONO_OP_SELECT_BOXES:
        return select_limits(call, why);
    case SONO_OP_WEIGHT_MAPS:
        return weight_maps_limits(call, why);
    case SONO_OP_TOPK_ROWS:
        return fits_launch(&call->in[0], 1, 0, why);
    case SONO_OP_UPSAMPLE_MASK:
    case SONO_OP_CLEAN_MASK:
    case SONO_OP_SHOW_MASK:
    case SONO_OP_BRIDGE_MASK:
        return fits_launch(&call->out[0], 1, SONO_WHY_OUT, why);
    default:
        return fits_launch(&call->out[0], call->out[0].c, SONO_WHY_OUT, why);
    }
}
