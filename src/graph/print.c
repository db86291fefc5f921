// SPDX-License-Identifier: Apache-2.0
#include "graph/plan.h"

#include <stdio.h>
#include <string.h>

static void print_shape(FILE *stream, const sono_tensor *t)
{
    char text[64];
    snprintf(text, sizeof text, "[%d, %d, %d, %d]", t->n, t->h, t->w, t->c);
    fprintf(stream, " %-22s", text);
}

static void print_args(FILE *stream, const sono_op *op)
{
    char text[24] = "";
    const sono_conv_args *conv = &op->args.conv;
    if (op->kind == SONO_OP_CONV || op->kind == SONO_OP_DWCONV)
        snprintf(text, sizeof text, "%dx%d/%d", conv->kernel_h, conv->kernel_w, conv->stride);
    else if (op->kind == SONO_OP_ATTENTION && op->args.attention.window)
        snprintf(text, sizeof text, "%d heads, w%d", op->args.attention.n_heads, op->args.attention.window);
    else if (op->kind == SONO_OP_ATTENTION)
        snprintf(text, sizeof text, "%d heads", op->args.attention.n_heads);
    fprintf(stream, " %-13s", text);
}

static void print_name(FILE *stream, const char *kernel, const char *name)
{
    if (kernel)
        fprintf(stream, "%-30s ", kernel);
    fprintf(stream, "%s\n", name);
}

static void print_stage_totals(const sono_program *program, FILE *stream)
{
    for (int stage = 0; stage < sono_stage_count(); stage++) {
        size_t n_ops = 0;
        for (size_t i = 0; i < program->n_ops; i++)
            n_ops += program->ops[i].stage == (sono_stage)stage;
        if (n_ops)
            fprintf(stream, "stage %-12s %4zu ops %10.3f GFLOP\n", sono_stage_name((sono_stage)stage), n_ops,
                    1e-9 * sono_program_flops(program, (sono_stage)stage));
    }
}

static void print_kind_totals(const sono_program *program, FILE *stream)
{
    for (int kind = 0; kind < SONO_OP_COUNT; kind++) {
        size_t n_ops = 0;
        double flops = 0;
        for (size_t i = 0; i < program->n_ops; i++) {
            if (program->ops[i].kind != (sono_op_kind)kind)
                continue;
            n_ops++;
            flops += program->ops[i].flops;
        }
        if (n_ops)
            fprintf(stream, "op    %-12s %4zu ops %10.3f GFLOP\n", sono_op_name((sono_op_kind)kind), n_ops,
                    1e-9 * flops);
    }
}

void sono_program_print(const sono_program *program, const sono_plan *plan, const sono_kernel_name *kernels,
                        FILE *stream)
{
    fprintf(stream, "%4s %-11s %-13s %-22s %-22s %9s %8s  ", "op", "kind", "args", " input", " output", "MB",
            "MFLOP");
    print_name(stream, kernels ? "kernel" : NULL, "name");
    for (size_t i = 0; i < program->n_ops; i++) {
        const sono_op *op = &program->ops[i];
        const sono_tensor *out = &program->tensors[op->out[0]];
        fprintf(stream, "%4zu %-11s", i, sono_op_name(op->kind));
        print_args(stream, op);
        print_shape(stream, &program->tensors[op->in[0]]);
        print_shape(stream, out);
        fprintf(stream, " %8.3f %8.1f  ", 1e-6 * sono_program_op_bytes(program, op, SONO_PRECISION_FP32),
                1e-6 * op->flops);
        print_name(stream, kernels ? kernels[i].text : NULL, out->name);
    }
    print_stage_totals(program, stream);
    print_kind_totals(program, stream);
    fprintf(stream, "parameters %.2f MB as float32\n", 1e-6 * (double)program->params_bytes);
    if (plan)
        fprintf(stream, "activations %.2f MB in one block (%.2f MB alive at once at the most)\n",
                1e-6 * (double)plan->block_bytes[SONO_BLOCK_ACTIVATIONS],
                1e-6 * (double)plan->peak_live_bytes);
}
