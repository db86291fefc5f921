// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/choice/candidates.h"

#include "base/alloc.h"
#include "engine/cuda/choice/chain.h"
#include "engine/cuda/choice/families.h"
#include "engine/cuda/choice/mbconv.h"
#include "engine/cuda/choice/normed.h"
#include "graph/lower.h"

#include <math.h>
#include <stdio.h>

/* Id, kind of op, the rest of the struct. */
#define CANDIDATE(id_, kind_, ...)                                                                           \
    [SONO_CUDA_##id_] = {.id = SONO_CUDA_##id_, .kind = SONO_OP_##kind_, __VA_ARGS__},
#define TILE(id, text, form)                                                                                 \
    CANDIDATE(CONV_##id, CONV, .name = "conv " text, .pack = (form), .supports = sono_conv_tile_supports,    \
              .cost = sono_conv_tile_cost, .scratch = sono_conv_tile_scratch,                                \
              .tile = &sono_conv_tiles[SONO_CONV_##id])
#define HALF_TILE(id, text, ...)  TILE(id, text, SONO_CUDA_FORM_PACKED)
#define FLOAT_TILE(id, text, ...) TILE(id, text, SONO_CUDA_FORM_PLAIN)

/* Of those that cost the same, the first one is taken. */
/* clang-format off */
const sono_cuda_candidate sono_cuda_candidates[SONO_CUDA_CANDIDATE_COUNT] = {
    CANDIDATE(FIND_REGION, FIND_REGION, .name = "find_region")
    CANDIDATE(PREPROCESS, PREPROCESS, .name = "preprocess")
    CANDIDATE(CONV_THIN, CONV, .name = "conv thin", .supports = sono_conv_thin_supports)
    SONO_CONV_HALF_TILES(HALF_TILE)
    SONO_CONV_FLOAT_TILES(FLOAT_TILE)
    CANDIDATE(DWCONV_STRIP, DWCONV, .name = "dwconv strip", .supports = sono_dwconv_strip_supports,
              .cost = sono_dwconv_strip_cost)
    CANDIDATE(DWCONV_VECTOR, DWCONV, .name = "dwconv vector", .supports = sono_dwconv_vector_supports)
    CANDIDATE(DWCONV_SCALAR, DWCONV, .name = "dwconv scalar")
    CANDIDATE(MAX_POOL, MAX_POOL, .name = "max_pool")
    CANDIDATE(UPSAMPLE2, UPSAMPLE2, .name = "upsample2")
    CANDIDATE(LAYER_NORM, LAYER_NORM, .name = "layer_norm")
    CANDIDATE(ADD, ADD, .name = "add")
    CANDIDATE(SCALE_ROWS, SCALE_ROWS, .name = "scale_rows")
    CANDIDATE(UNARY, UNARY, .name = "unary")
    CANDIDATE(ATTENTION_NARROW, ATTENTION, .name = "attention narrow",
              .supports = sono_attention_narrow_supports)
    CANDIDATE(ATTENTION_FEW, ATTENTION, .name = "attention few", .supports = sono_attention_few_supports)
    CANDIDATE(ATTENTION_TENSOR, ATTENTION, .name = "attention tensor",
              .supports = sono_attention_tensor_supports)
    CANDIDATE(ATTENTION_PLAIN, ATTENTION, .name = "attention plain", .scratch = sono_attention_plain_scratch)
    CANDIDATE(DEFORM, DEFORM_ATTENTION, .name = "deform")
    CANDIDATE(GATED_NORM, GATED_NORM, .name = "gated_norm")
    CANDIDATE(TOPK_ROWS, TOPK_ROWS, .name = "topk_rows", .scratch = sono_topk_scratch)
    CANDIDATE(FDR_BOX, FDR_BOX, .name = "fdr_box")
    CANDIDATE(LQE_STAT, LQE_STAT, .name = "lqe_stat")
    CANDIDATE(SELECT, SELECT_BOXES, .name = "select")
    CANDIDATE(FOLLOW, FOLLOW_BOX, .name = "follow")
    CANDIDATE(PROMPT, PROMPT, .name = "prompt")
    CANDIDATE(HYPER_MASK, HYPER_MASK, .name = "hyper_mask")
    CANDIDATE(UPSAMPLE_MASK, UPSAMPLE_MASK, .name = "upsample_mask")
    CANDIDATE(CLEAN_MASK, CLEAN_MASK, .name = "clean_mask")
    CANDIDATE(MASK_PROFILE, MASK_PROFILE, .name = "mask_profile")
    CANDIDATE(ECHO_PARTS, ECHO_PARTS, .name = "echo_parts")
    CANDIDATE(AGREEMENT, AGREEMENT, .name = "agreement")
    CANDIDATE(SHOW_MASK, SHOW_MASK, .name = "show_mask")
    CANDIDATE(BRIDGE_MASK, BRIDGE_MASK, .name = "bridge_mask")
    CANDIDATE(STATE, STATE, .name = "state")
    CANDIDATE(SCHEDULE, SCHEDULE, .name = "schedule")
    CANDIDATE(DOUBT, DOUBT, .name = "doubt")
    CANDIDATE(SURFACE, SURFACE, .name = "surface")
    CANDIDATE(WEIGHT_MAPS, WEIGHT_MAPS, .name = "weight_maps")
    CANDIDATE(CHAIN_LINEAR, COUNT, .name = "chain linear", .pack = SONO_CUDA_FORM_PACKED)
    CANDIDATE(CHAIN_ROWS, COUNT, .name = "chain rows")
    CANDIDATE(MBCONV, COUNT, .name = "mbconv", .pack = SONO_CUDA_FORM_PACKED)
    CANDIDATE(MBCONV_FILTER, COUNT, .name = "mbconv filter")
    CANDIDATE(MLP, COUNT, .name = "mlp", .pack = SONO_CUDA_FORM_PACKED)
    CANDIDATE(NORM_LINEAR, COUNT, .name = "norm linear", .pack = SONO_CUDA_FORM_PACKED)
    CANDIDATE(NORM_FIRST, COUNT, .name = "norm first")
};
/* clang-format on */

sono_cuda_tensor sono_cuda_describe(const sono_program *program, sono_precision precision, sono_tid id)
{
    if (!id)
        return (sono_cuda_tensor){0};
    const sono_tensor *t = &program->tensors[id];
    const sono_dtype dtype = sono_tensor_stored_dtype(program, id, precision);
    const size_t at = SONO_CUDA_ALIGN_BYTES + (size_t)t->offset * sono_dtype_bytes(dtype);
    return (sono_cuda_tensor){.data = (void *)(uintptr_t)at,
                              .dtype = dtype,
                              .n = t->n,
                              .h = t->h,
                              .w = t->w,
                              .c = t->c,
                              .pitch = t->pitch,
                              .batch_stride = t->batch_stride};
}

sono_cuda_call sono_cuda_describe_call(const sono_program *program, sono_precision precision,
                                       const sono_cuda_facts *facts, const sono_op *op)
{
    sono_cuda_call call = {.op = op,
                           .n_multiprocessors = facts->n_multiprocessors,
                           .compute_capability = facts->compute_capability,
                           .has_sm90 = facts->compute_capability == 90 && !facts->lacks_sm90};
    for (int i = 0; i < SONO_OP_MAX_IN; i++)
        call.in[i] = sono_cuda_describe(program, precision, op->in[i]);
    for (int i = 0; i < SONO_OP_MAX_OUT; i++)
        call.out[i] = sono_cuda_describe(program, precision, op->out[i]);
    return call;
}

static sono_cuda_choice cheapest(const sono_cuda_call *call)
{
    const sono_op_kind kind = call->op->kind == SONO_OP_LINEAR ? SONO_OP_CONV : call->op->kind;
    sono_cuda_choice best = {.clocks = INFINITY};
    for (int i = 0; i < SONO_CUDA_CANDIDATE_COUNT; i++) {
        const sono_cuda_candidate *candidate = &sono_cuda_candidates[i];
        sono_cuda_choice choice = {.candidate = candidate};
        if (candidate->kind != kind || (candidate->supports && !candidate->supports(call, candidate)))
            continue;
        if (candidate->cost)
            candidate->cost(call, candidate, &choice);
        if (choice.clocks < best.clocks)
            best = choice;
    }
    if (best.candidate && best.candidate->scratch)
        best.scratch_bytes = best.candidate->scratch(call, &best);
    return best;
}

/* What runs an op together with others. */
static const sono_cuda_candidate *member_candidate(const sono_program *program, const sono_op *op)
{
    const int32_t i = (int32_t)(op - program->ops);
    const sono_normed normed = sono_normed_of(program, i);
    const int is_linear = op->kind == SONO_OP_LINEAR;
    const sono_cuda_candidate_id id =
        sono_mbconv_is(program, i)     ? (is_linear ? SONO_CUDA_MBCONV : SONO_CUDA_MBCONV_FILTER)
        : normed == SONO_NORMED_NONE   ? (is_linear ? SONO_CUDA_CHAIN_LINEAR : SONO_CUDA_CHAIN_ROWS)
        : !is_linear                   ? SONO_CUDA_NORM_FIRST
        : normed == SONO_NORMED_LINEAR ? SONO_CUDA_NORM_LINEAR
                                       : SONO_CUDA_MLP;
    return &sono_cuda_candidates[id];
}

static int choose_one(const sono_program *program, const sono_op *op, sono_precision precision,
                      const sono_cuda_facts *facts, sono_cuda_choice *out, sono_why *why)
{
    const sono_cuda_call call = sono_cuda_describe_call(program, precision, facts, op);
    if (!sono_supports_types(program, op, precision, why) || !sono_cuda_limits(program, op, &call, why))
        return 0;
    if (op->leader) {
        *out = (sono_cuda_choice){.candidate = member_candidate(program, op)};
        return 1;
    }
    *out = cheapest(&call);
    if (!out->candidate)
        return sono_refuse(why, SONO_WHY_OUT, "no kernel fits this shape on compute capability %d.%d",
                           facts->compute_capability / 10, facts->compute_capability % 10);
    return 1;
}

sono_status sono_cuda_choose(const sono_program *program, sono_precision precision,
                             const sono_cuda_facts *facts, sono_cuda_choice *out, sono_error *error)
{
    sono_why why = {0};
    for (size_t i = 0; i < program->n_ops; i++)
        if (!program->ops[i].is_absorbed &&
            !choose_one(program, &program->ops[i], precision, facts, &out[i], &why))
            return sono_unsupported(program, i, "cuda", &why, error);
    return SONO_STATUS_OK;
}

void sono_cuda_fuse(sono_program *lowered, sono_precision precision, const sono_cuda_facts *facts,
                    int keeps_all)
{
    if (!keeps_all) {
        sono_mbconv_form(lowered, precision, facts);
        sono_normed_form(lowered, precision, facts);
    }
    sono_chain_form(lowered, precision, facts);
}

/* Of the launch that op i is part of. */
static const char *group_name(const sono_program *program, int32_t i)
{
    const sono_normed normed = sono_normed_of(program, i);
    return sono_mbconv_is(program, i)     ? "mbconv"
           : normed == SONO_NORMED_MLP    ? "mlp"
           : normed == SONO_NORMED_LINEAR ? "norm linear"
                                          : "chain";
}

static sono_status name_lowered(const sono_program *program, sono_precision precision,
                                const sono_cuda_facts *facts, sono_kernel_name *out, sono_error *error)
{
    sono_cuda_choice *choices = sono_alloc_array(program->n_ops, sizeof *choices);
    if (!choices && program->n_ops)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the kernels of %zu ops", program->n_ops);
    const sono_status status = sono_cuda_choose(program, precision, facts, choices, error);
    for (size_t i = 0; i < program->n_ops && status == SONO_STATUS_OK; i++) {
        if (program->ops[i].leader)
            snprintf(out[i].text, sizeof out[i].text, "%s to %d", group_name(program, (int32_t)i),
                     program->ops[i].leader - 1);
        else if (choices[i].n_splits > 1)
            snprintf(out[i].text, sizeof out[i].text, "%s, %d splits", choices[i].candidate->name,
                     choices[i].n_splits);
        else
            snprintf(out[i].text, sizeof out[i].text, "%s", choices[i].candidate->name);
    }
    sono_free(choices);
    return status;
}

sono_status sono_cuda_name_kernels(const sono_program *program, sono_precision precision,
                                   const sono_cuda_facts *facts, sono_kernel_name *out, sono_error *error)
{
    sono_program lowered;
    SONO_TRY(sono_lower(program, NULL, 0, &lowered, error));
    sono_cuda_fuse(&lowered, precision, facts, 0);
    const sono_status status = name_lowered(&lowered, precision, facts, out, error);
    sono_lower_free(&lowered);
    return status;
}
