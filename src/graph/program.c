// SPDX-License-Identifier: Apache-2.0
#include "graph/program.h"

#include "base/alloc.h"
#include "graph/params.h"

#include <string.h>

static const char *const op_names[] = {
#define X(name, text) text,
    SONO_OP_MAP(X)
#undef X
};

static_assert(sizeof op_names / sizeof *op_names == SONO_OP_COUNT, "a name for every kind");

const char *sono_op_name(sono_op_kind kind)
{
    return (unsigned)kind < SONO_OP_COUNT ? op_names[kind] : "?";
}

sono_status sono_program_open_on(sono_params *params, sono_program **out, sono_error *error)
{
    sono_program *program = sono_alloc(sizeof *program);
    if (!program)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the program");
    if (sono_alloc_grow((void **)&program->tensors, &program->tensors_capacity, 1, sizeof(sono_tensor)) !=
        0) {
        sono_free(program);
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the program");
    }
    program->n_tensors = 1;
    program->params = sono_params_share(params);
    *out = program;
    return SONO_STATUS_OK;
}

sono_status sono_program_open(sono_program **out, sono_error *error)
{
    sono_params *params = NULL;
    SONO_TRY(sono_params_open(&params, error));
    const sono_status status = sono_program_open_on(params, out, error);
    sono_params_close(params);
    return status;
}

void sono_program_close(sono_program *program)
{
    if (!program)
        return;
    sono_params_close(program->params);
    sono_free(program->tensors);
    sono_free(program->ops);
    sono_free(program);
}

sono_dtype sono_tensor_stored_dtype(const sono_program *program, sono_tid id, sono_precision precision)
{
    const sono_tensor *root = &program->tensors[program->tensors[id].root];
    if (precision == SONO_PRECISION_FP16 && root->kind == SONO_TENSOR_ACTIVATION && !root->precise &&
        root->dtype == SONO_DTYPE_F32)
        return SONO_DTYPE_F16;
    return root->dtype;
}

int64_t sono_tensor_count(const sono_tensor *tensor)
{
    return (int64_t)tensor->n * tensor->h * tensor->w * tensor->c;
}

sono_tid sono_program_find(const sono_program *program, const char *name)
{
    for (size_t i = 1; i < program->n_tensors; i++)
        if (strcmp(program->tensors[i].name, name) == 0)
            return (sono_tid)i;
    return 0;
}

double sono_program_flops(const sono_program *program, sono_stage stage)
{
    double sum = 0;
    for (size_t i = 0; i < program->n_ops; i++)
        if (program->ops[i].stage == stage)
            sum += program->ops[i].flops;
    return sum;
}

size_t sono_program_join(const sono_program *program)
{
    size_t join = 0;
    for (size_t i = 0; i < program->n_ops; i++)
        if (program->ops[i].lane)
            join = i + 1;
    return join;
}

/* Whether an op of lane 1 from op `first` on reads the storage of tensor `id`. */
static int lane_1_reads(const sono_program *program, size_t first, sono_tid id)
{
    for (size_t i = first; id && i < program->n_ops; i++)
        for (int k = 0; program->ops[i].lane && k < SONO_OP_MAX_IN; k++)
            if (program->tensors[program->ops[i].in[k]].root == program->tensors[id].root)
                return 1;
    return 0;
}

size_t sono_program_fork(const sono_program *program)
{
    size_t i = sono_program_join(program);
    for (; i > 0; i--)
        for (int k = 0; !program->ops[i - 1].lane && k < SONO_OP_MAX_OUT; k++)
            if (lane_1_reads(program, i, program->ops[i - 1].out[k]))
                return i;
    return 0;
}

sono_part sono_program_part(const sono_program *program, size_t op)
{
    if (program->ops[op].lane)
        return SONO_PART_LANE_1;
    return op < sono_program_join(program) ? SONO_PART_LANE_0 : SONO_PART_TAIL;
}

static double tensor_bytes(const sono_program *program, sono_tid id, sono_precision precision)
{
    if (!id)
        return 0;
    return (double)sono_tensor_count(&program->tensors[id]) *
           (double)sono_dtype_bytes(sono_tensor_stored_dtype(program, id, precision));
}

double sono_program_op_bytes(const sono_program *program, const sono_op *op, sono_precision precision)
{
    double sum = 0;
    for (int i = 0; i < SONO_OP_MAX_IN; i++)
        sum += tensor_bytes(program, op->in[i], precision);
    if ((op->kind == SONO_OP_CONV || op->kind == SONO_OP_LINEAR) &&
        sono_tensor_stored_dtype(program, op->in[0], precision) == SONO_DTYPE_F16)
        sum -= 0.5 * tensor_bytes(program, op->in[1], precision); /* its weight is float16, too */
    for (int i = 0; i < SONO_OP_MAX_OUT; i++)
        sum += tensor_bytes(program, op->out[i], precision);
    return sum;
}
