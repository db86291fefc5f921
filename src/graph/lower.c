// SPDX-License-Identifier: Apache-2.0
#include "graph/lower.h"

#include "base/alloc.h"

#include <string.h>

sono_status sono_lower(const sono_program *program, const sono_rewrite *rewrites, size_t n_rewrites,
                       sono_program *out, sono_error *error)
{
    sono_program lowered = *program;
    lowered.ops = sono_alloc_array(program->n_ops, sizeof *lowered.ops);
    lowered.ops_capacity = program->n_ops;
    if (!lowered.ops)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for lowering %zu ops", program->n_ops);
    if (program->n_ops)
        memcpy(lowered.ops, program->ops, program->n_ops * sizeof *lowered.ops);
    for (size_t i = 0; i < lowered.n_ops; i++)
        for (size_t k = 0; k < n_rewrites && !lowered.ops[i].is_absorbed; k++)
            rewrites[k].apply(&lowered, i);
    *out = lowered;
    return SONO_STATUS_OK;
}

void sono_lower_free(sono_program *lowered)
{
    sono_free(lowered->ops);
    memset(lowered, 0, sizeof *lowered);
}

/* Whether the op touches the root's storage: 1 as an input, 2 as an output, 3 both. */
static int touches(const sono_program *program, const sono_op *op, sono_tid root)
{
    int how = 0;
    for (int k = 0; k < SONO_OP_MAX_IN; k++)
        how |= op->in[k] && program->tensors[op->in[k]].root == root;
    for (int k = 0; k < SONO_OP_MAX_OUT; k++)
        how |= (op->out[k] && program->tensors[op->out[k]].root == root) << 1;
    return how;
}

int32_t sono_lower_producer(const sono_program *lowered, size_t i, int k)
{
    const sono_tid id = lowered->ops[i].in[k];
    const sono_tensor *t = &lowered->tensors[id];
    int32_t producer = -1;
    if (!id || t->root != id || t->kind != SONO_TENSOR_ACTIVATION)
        return -1;
    for (size_t o = 0; o < lowered->n_ops; o++) {
        const sono_op *op = &lowered->ops[o];
        const int how = op->is_absorbed || o == i ? 0 : touches(lowered, op, id);
        if (how == 0)
            continue;
        if (how != 2 || producer >= 0 || o > i || op->out[0] != id || op->out[1] ||
            op->lane != lowered->ops[i].lane || op->strand != lowered->ops[i].strand)
            return -1;
        producer = (int32_t)o;
    }
    return producer;
}

void sono_lower_absorb(sono_program *lowered, int32_t op)
{
    lowered->ops[op].is_absorbed = 1;
}

void sono_lower_chain(sono_program *lowered, int32_t first, int32_t last)
{
    for (int32_t i = first; i <= last; i++)
        lowered->ops[i].leader = last + 1;
}
