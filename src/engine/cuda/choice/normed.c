// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/choice/normed.h"

#include "engine/cuda/choice/candidates.h"
#include "engine/cuda/choice/chain.h"
#include "graph/lower.h"

/* Channels that the kernels are made for: TinyViT's stages. */
static int has_kernel(int32_t channels)
{
    return channels == 128 || channels == 160 || channels == 320;
}

/* Halves in whole 16-byte accesses, each row one pitch behind the one before, whichever map it is of. */
static int is_half_rows(const sono_program *program, sono_precision precision, sono_tid id)
{
    const sono_cuda_tensor t = sono_cuda_describe(program, precision, id);
    return t.dtype == SONO_DTYPE_F16 && sono_is_wide(&t, t.c, 8) && t.pitch <= INT32_MAX &&
           (t.n == 1 || t.batch_stride == (int64_t)t.h * t.w * t.pitch) &&
           (int64_t)t.n * t.h * t.w <= INT32_MAX / 2;
}

static int is_param(const sono_program *program, sono_tid id)
{
    return id && program->tensors[id].kind == SONO_TENSOR_PARAM && program->tensors[id].root == id;
}

/* Of x alone, stored as halves, with nothing behind it. */
static int is_norm(const sono_program *program, sono_precision precision, const sono_op *op)
{
    return op->kind == SONO_OP_LAYER_NORM && !op->in[3] && op->args.norm.act == SONO_ACT_NONE &&
           op->args.norm.clamp == 0.0f && has_kernel(program->tensors[op->in[0]].c) &&
           is_param(program, op->in[1]) && is_param(program, op->in[2]) &&
           is_half_rows(program, precision, op->in[0]) && is_half_rows(program, precision, op->out[0]);
}

/* A LINEAR with bias that ends in an activation, adds what it adds behind it, and does nothing else. */
static int is_linear(const sono_program *program, sono_precision precision, const sono_op *op, sono_act act,
                     int adds)
{
    const sono_epilogue *e = &op->args.conv.epilogue;
    return op->kind == SONO_OP_LINEAR && e->act == act && e->post_scale == 1.0f && e->post_bias == 0.0f &&
           e->clamp == 0.0f && !e->add_before_act && e->add_after_act == adds && (op->in[3] != 0) == adds &&
           is_param(program, op->in[1]) && is_param(program, op->in[2]) &&
           is_half_rows(program, precision, op->out[0]);
}

/* Whether op i + 1 is a LINEAR that alone reads what op i makes, a norm. */
static int is_pair(const sono_program *program, sono_precision precision, int32_t i, sono_act act)
{
    return i + 1 < (int32_t)program->n_ops && is_norm(program, precision, &program->ops[i]) &&
           is_linear(program, precision, &program->ops[i + 1], act, 0) &&
           sono_lower_producer(program, (size_t)i + 1, 0) == i;
}

static int is_mlp(const sono_program *program, sono_precision precision, int32_t i)
{
    if (i + 2 >= (int32_t)program->n_ops || !is_pair(program, precision, i, SONO_ACT_GELU))
        return 0;
    const sono_op *norm = &program->ops[i], *up = norm + 1, *down = norm + 2;
    const int32_t hidden = program->tensors[up->out[0]].c;
    return is_linear(program, precision, down, SONO_ACT_NONE, 1) && down->in[3] == norm->in[0] &&
           sono_lower_producer(program, (size_t)i + 2, 0) == i + 1 &&
           program->tensors[down->out[0]].c == program->tensors[norm->in[0]].c &&
           hidden % SONO_NORMED_SLICE == 0 && hidden <= SONO_NORMED_MAX_HIDDEN;
}

void sono_normed_form(sono_program *lowered, sono_precision precision, const sono_cuda_facts *facts)
{
    if (!sono_chain_has_kernel(facts, precision))
        return;
    for (int32_t i = 0; i < (int32_t)lowered->n_ops; i++) {
        if (lowered->ops[i].leader)
            continue;
        if (is_mlp(lowered, precision, i))
            sono_lower_chain(lowered, i, i + 2);
        else if (is_pair(lowered, precision, i, SONO_ACT_NONE))
            sono_lower_chain(lowered, i, i + 1);
    }
}

static int is_half(const sono_program *program, sono_tid id)
{
    return sono_tensor_stored_dtype(program, id, SONO_PRECISION_FP16) == SONO_DTYPE_F16;
}

/* A chain of rows (chain.h) has no LINEAR from halves to halves. */
sono_normed sono_normed_of(const sono_program *lowered, int32_t i)
{
    const int32_t last = lowered->ops[i].leader - 1;
    if (last < 1)
        return SONO_NORMED_NONE;
    const sono_op *op = &lowered->ops[last];
    if (op->kind != SONO_OP_LINEAR || !is_half(lowered, op->in[0]) || !is_half(lowered, op->out[0]))
        return SONO_NORMED_NONE;
    return op[-1].kind == SONO_OP_LAYER_NORM ? SONO_NORMED_LINEAR
           : op[-1].kind == SONO_OP_LINEAR   ? SONO_NORMED_MLP
                                             : SONO_NORMED_NONE;
}
