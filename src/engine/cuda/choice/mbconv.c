// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/choice/mbconv.h"

#include "engine/cuda/choice/candidates.h"
#include "graph/lower.h"

#define N_OPS        3
#define NEEDED_CC    80 /* asynchronous copies, and enough shared memory for a block */
#define BLOCK_MARGIN 1024

static int is_half_rows(const sono_program *program, sono_precision precision, sono_tid id)
{
    const sono_cuda_tensor t = sono_cuda_describe(program, precision, id);
    return t.dtype == SONO_DTYPE_F16 && sono_is_wide(&t, t.c, 8) && t.pitch * t.w <= INT32_MAX / t.h;
}

static int is_param(const sono_program *program, sono_tid id)
{
    return id && program->tensors[id].kind == SONO_TENSOR_PARAM && program->tensors[id].root == id;
}

static int is_filter(const sono_op *op)
{
    const sono_conv_args *a = &op->args.conv;
    return op->kind == SONO_OP_DWCONV && a->kernel_h == 3 && a->kernel_w == 3 && a->stride == 1 &&
           a->pad_top == 1 && a->pad_left == 1 && a->pad_bottom == 1 && a->pad_right == 1 && !op->in[3];
}

/* GELU, behind x where that is added. */
static int is_gelu(const sono_op *op, int adds)
{
    const sono_epilogue *e = &op->args.conv.epilogue;
    return e->act == SONO_ACT_GELU && e->post_scale == 1.0f && e->post_bias == 0.0f && e->clamp == 0.0f &&
           e->add_before_act == adds && !e->add_after_act;
}

/* Whether ops i, i + 1, i + 2 are an MBConv whose inner results nobody else reads. */
static int is_mbconv(const sono_program *program, sono_precision precision, int32_t i)
{
    const sono_op *up = &program->ops[i], *dw = up + 1, *down = up + 2;
    if (up->kind != SONO_OP_LINEAR || !is_filter(dw) || down->kind != SONO_OP_LINEAR || up->in[3] ||
        down->in[3] != up->in[0] || sono_lower_producer(program, (size_t)i + 1, 0) != i ||
        sono_lower_producer(program, (size_t)i + 2, 0) != i + 1 || !is_gelu(up, 0) || !is_gelu(dw, 0) ||
        !is_gelu(down, 1))
        return 0;
    const sono_tensor *x = &program->tensors[up->in[0]], *y = &program->tensors[down->out[0]];
    return x->c == SONO_MBCONV_CHANNELS && y->c == SONO_MBCONV_CHANNELS &&
           program->tensors[up->out[0]].c % SONO_MBCONV_CHANNELS == 0 && x->h == y->h && x->w == y->w &&
           is_param(program, up->in[1]) && is_param(program, up->in[2]) && is_param(program, dw->in[1]) &&
           (!dw->in[2] || is_param(program, dw->in[2])) && is_param(program, down->in[1]) &&
           is_param(program, down->in[2]) && is_half_rows(program, precision, up->in[0]) &&
           is_half_rows(program, precision, down->out[0]);
}

void sono_mbconv_form(sono_program *lowered, sono_precision precision, const sono_cuda_facts *facts)
{
    if (precision != SONO_PRECISION_FP16 || facts->compute_capability < NEEDED_CC ||
        sono_shared_bytes(facts->compute_capability) < SONO_MBCONV_BYTES + BLOCK_MARGIN)
        return;
    for (int32_t i = 0; i + N_OPS <= (int32_t)lowered->n_ops; i++)
        if (!lowered->ops[i].leader && is_mbconv(lowered, precision, i))
            sono_lower_chain(lowered, i, i + N_OPS - 1);
}

int sono_mbconv_is(const sono_program *lowered, int32_t i)
{
    const int32_t last = lowered->ops[i].leader - 1;
    return last >= N_OPS - 1 && lowered->ops[last - 1].kind == SONO_OP_DWCONV;
}
