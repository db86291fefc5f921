// SPDX-License-Identifier: Apache-2.0
/* What the CPU's kernels cannot run: products are OpenBLAS's, whose matrices have rows of their own and sizes
 * that an int counts. */
#include "engine/cpu/cpu_private.h"

#include "engine/supports.h"

/* Whether each map of an operand is a matrix to OpenBLAS; one that is not given always is. */
static int is_matrix(const sono_program *program, const sono_op *op, int32_t operand, sono_why *why)
{
    const sono_tid id = operand >= SONO_WHY_OUT ? op->out[operand - SONO_WHY_OUT] : op->in[operand];
    const sono_tensor *t = &program->tensors[id];
    if (id && t->pitch < t->c)
        return sono_refuse(why, operand, "its positions share their memory, and a product needs them apart");
    if (id && t->pitch > INT32_MAX)
        return sono_refuse(why, operand, "its positions lie %lld elements apart, more than 32 bits can count",
                           (long long)t->pitch);
    return 1;
}

/* The weight is one matrix of kernel_h * kernel_w * c_in rows; x is gathered into one unless it is LINEAR's.
 */
static int product_runs(const sono_program *program, const sono_op *op, sono_why *why)
{
    const sono_tensor *weight = &program->tensors[op->in[1]];
    if ((int64_t)weight->n * weight->h * weight->w > INT32_MAX)
        return sono_refuse(why, 1, "its depth is more than 32 bits can count");
    if (!sono_maps_touch(weight))
        return sono_refuse(why, 1, "its kernel rows must follow one another in memory");
    return (op->kind == SONO_OP_CONV || is_matrix(program, op, 0, why)) && is_matrix(program, op, 1, why) &&
           is_matrix(program, op, SONO_WHY_OUT, why);
}

/* Windows are gathered, and few keys are multiplied in place. */
static int attention_runs(const sono_program *program, const sono_op *op, sono_why *why)
{
    const sono_tensor *k = &program->tensors[op->in[1]];
    if (op->args.attention.window || (int64_t)k->h * k->w <= SONO_CPU_NARROW_KEYS)
        return 1;
    return is_matrix(program, op, 0, why) && is_matrix(program, op, 1, why) &&
           is_matrix(program, op, 2, why) && is_matrix(program, op, SONO_WHY_OUT, why);
}

static int runs(const sono_program *program, const sono_op *op, sono_why *why)
{
    if (!sono_supports_types(program, op, SONO_PRECISION_FP32, why))
        return 0;
    if (op->kind == SONO_OP_CONV || op->kind == SONO_OP_LINEAR)
        return product_runs(program, op, why);
    return op->kind != SONO_OP_ATTENTION || attention_runs(program, op, why);
}

sono_status sono_cpu_check(const sono_program *program, sono_error *error)
{
    sono_why why = {0};
    for (size_t i = 0; i < program->n_ops; i++)
        if (!program->ops[i].is_absorbed && !runs(program, &program->ops[i], &why))
            return sono_unsupported(program, i, "cpu", &why, error);
    return SONO_STATUS_OK;
}
