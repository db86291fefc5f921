// SPDX-License-Identifier: Apache-2.0
/* Where a frame's time could go, op by op. */
#include "base/alloc.h"
#include "pipeline/pipeline_private.h"

#include <stdio.h>
#include <string.h>

/* Bytes of an op's tensors beyond what a frame of that size uses: they are as large as the largest frame. */
static double unused_bytes(const sono_pipeline *p, const sono_op *op, const sono_frame_header *frame)
{
    const sono_flow *flow = &p->flow;
    const sono_tid sized[] = {flow->mask, flow->weights};
    const double max_px = (double)p->config.max_width_px * (double)p->config.max_height_px;
    const double unused = 1.0 - (double)frame->width_px * (double)frame->height_px / max_px;
    const double pixel_bytes = (double)sono_pixel_bytes((sono_pixel_format)frame->format);
    double sum = 0;
    for (int i = 0; i < SONO_OP_MAX_IN + SONO_OP_MAX_OUT; i++) {
        const sono_tid id = i < SONO_OP_MAX_IN ? op->in[i] : op->out[i - SONO_OP_MAX_IN];
        const sono_tensor *t = sono_program_tensor(flow->program, id);
        for (size_t k = 0; id && k < sizeof sized / sizeof sized[0]; k++)
            if (id == sized[k])
                sum += unused * (double)sono_tensor_count(t) * (double)sono_dtype_bytes(t->dtype);
        if (id && id == flow->frame.pixels)
            sum += (double)sono_tensor_count(t) - (1.0 - unused) * max_px * pixel_bytes * p->config.batch;
    }
    return sum;
}

static void describe_shape(const sono_program *program, const sono_op *op, char *out, size_t n_bytes)
{
    const sono_tensor *from = sono_program_tensor(program, op->in[0]);
    const sono_tensor *to = sono_program_tensor(program, op->out[0]);
    char kernel[32] = "";
    if (op->kind == SONO_OP_CONV || op->kind == SONO_OP_DWCONV)
        snprintf(kernel, sizeof kernel, "%dx%d/%d ", op->args.conv.kernel_h, op->args.conv.kernel_w,
                 op->args.conv.stride);
    else if (op->kind == SONO_OP_ATTENTION)
        snprintf(kernel, sizeof kernel, "%d heads ", op->args.attention.n_heads);
    snprintf(out, n_bytes, "%s[%d,%d,%d,%d] -> [%d,%d,%d,%d]", kernel, from->n, from->h, from->w, from->c,
             to->n, to->h, to->w, to->c);
}

static void describe(const sono_pipeline *p, const sono_op *op, const sono_frame_header *frame,
                     sono_op_profile *out)
{
    const sono_program *program = p->flow.program;
    const sono_precision precision = p->choice.precision;
    snprintf(out->name, sizeof out->name, "%s", sono_program_tensor(program, op->out[0])->name);
    snprintf(out->kind, sizeof out->kind, "%s", sono_op_name(op->kind));
    describe_shape(program, op, out->shape, sizeof out->shape);
    out->stage = op->stage;
    out->lane = op->lane;
    out->is_half =
        (op->kind == SONO_OP_CONV || op->kind == SONO_OP_LINEAR || op->kind == SONO_OP_ATTENTION) &&
        sono_tensor_stored_dtype(program, op->in[0], precision) == SONO_DTYPE_F16;
    out->flops = op->flops;
    out->bytes = sono_program_op_bytes(program, op, precision) - unused_bytes(p, op, frame);
}

static void fill(const sono_pipeline *p, const sono_engine_profile *found, sono_profile *out)
{
    const sono_program *program = p->flow.program;
    const sono_frame_header *frame = sono_pipeline_headers(p, &p->slots[0]);
    out->n_ops = (int32_t)program->n_ops;
    out->width_px = frame->width_px;
    out->height_px = frame->height_px;
    out->lane_ms[0] = 1e-6 * found->part_ns[SONO_PART_LANE_0];
    out->lane_ms[1] = 1e-6 * found->part_ns[SONO_PART_LANE_1];
    out->tail_ms = 1e-6 * found->part_ns[SONO_PART_TAIL];
    out->cache_bytes_per_s = found->cache_bytes_per_s;
    out->memory_bytes_per_s = found->memory_bytes_per_s;
    out->half_flops_per_s = found->half_flops_per_s;
    out->float_flops_per_s = found->float_flops_per_s;
    for (int32_t i = 0; i < out->n_ops; i++) {
        describe(p, &program->ops[i], frame, &out->ops[i]);
        out->ops[i].ns = found->op_ns[i];
    }
}

sono_status sono_pipeline_profile(sono_pipeline *p, sono_profile *out, sono_error *error)
{
    sono_engine_profile found = {0};
    sono_profile profile = {0};
    if (!p || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pipeline and out must not be NULL");
    if (p->flow.n_branches)
        return SONO_FAIL(error, UNSUPPORTED,
                         "with detect_every above 1 not every op runs in every frame: open with 1 to time "
                         "them");
    profile.ops = sono_alloc_array(p->flow.program->n_ops, sizeof *profile.ops);
    found.op_ns = sono_alloc_array(p->flow.program->n_ops, sizeof *found.op_ns);
    sono_status status = SONO_STATUS_OK;
    if (!profile.ops || !found.op_ns)
        status = SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the profile");
    p->choice.ops->inspect->select_slot(p->engine, 0);
    if (status == SONO_STATUS_OK)
        status = p->choice.ops->inspect->profile(p->engine, &found, error);
    if (status == SONO_STATUS_OK)
        fill(p, &found, &profile);
    sono_free(found.op_ns);
    if (status != SONO_STATUS_OK) {
        sono_profile_free(&profile);
        return status;
    }
    *out = profile;
    return SONO_STATUS_OK;
}

void sono_profile_free(sono_profile *profile)
{
    sono_free(profile->ops);
    memset(profile, 0, sizeof *profile);
}
