// SPDX-License-Identifier: Apache-2.0
/* Ops that are recorded once and run a second time later in the same program. */
#include "graph/record_private.h"

#include "base/alloc.h"

#include <string.h>

/* Ops [first, last) of lane 0, and what stands for each of the tensors when they are run again; 0 = not known
 * yet. */
typedef struct again {
    int32_t first, last;
    sono_tid *twins;
} again;

static int touches(const sono_program *program, const sono_op *op, sono_tid root)
{
    int found = 0;
    for (int k = 0; k < SONO_OP_MAX_IN; k++)
        found |= op->in[k] && program->tensors[op->in[k]].root == root;
    for (int k = 0; k < SONO_OP_MAX_OUT; k++)
        found |= op->out[k] && program->tensors[op->out[k]].root == root;
    return found;
}

static int is_repeated(const sono_program *program, const again *self, int32_t op)
{
    return op >= self->first && op < self->last && program->ops[op].lane == 0;
}

/* Whether a root lives within the ops alone: then the second run gets one of its own, and what lies between
 * the two runs may have its bytes. */
static int is_inner(const sono_program *program, const again *self, sono_tid root)
{
    if (program->tensors[root].kind != SONO_TENSOR_ACTIVATION)
        return 0;
    for (int32_t i = 0; i < (int32_t)program->n_ops; i++)
        if (!is_repeated(program, self, i) && touches(program, &program->ops[i], root))
            return 0;
    return 1;
}

/* What stands for a tensor: itself, or a copy, on its root's twin. */
static sono_tid twin_of(sono_recorder *rec, again *self, sono_tid id)
{
    if (!id || rec->status != SONO_STATUS_OK || self->twins[id])
        return id ? self->twins[id] : 0;
    sono_tensor t = sono_record_shape(rec, id);
    const sono_tid root = t.root;
    if (root != id)
        t.root = twin_of(rec, self, root);
    else if (is_inner(rec->program, self, id))
        t.root = 0;
    self->twins[id] = t.root == root ? id : sono_record_copy(rec, &t);
    return self->twins[id];
}

static void run_again(sono_recorder *rec, again *self)
{
    for (int32_t i = self->first; i < self->last && rec->status == SONO_STATUS_OK; i++) {
        sono_op op = rec->program->ops[i];
        if (!is_repeated(rec->program, self, i))
            continue;
        for (int k = 0; k < SONO_OP_MAX_IN; k++)
            op.in[k] = twin_of(rec, self, op.in[k]);
        for (int k = 0; k < SONO_OP_MAX_OUT; k++)
            op.out[k] = twin_of(rec, self, op.out[k]);
        op.flops = 0;
        rec->stage = op.stage;
        sono_record_op(rec, &op);
    }
}

void sono_record_again(sono_recorder *rec, int32_t first_op, int32_t last_op, const sono_tid *shared,
                       int32_t n_shared)
{
    const sono_recorder before = *rec;
    again self = {.first = first_op, .last = last_op};
    if (rec->status != SONO_STATUS_OK)
        return;
    self.twins = sono_alloc_array(rec->program->n_tensors, sizeof *self.twins);
    if (!self.twins) {
        sono_record_latch(rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "out of memory for the program"));
        return;
    }
    for (int32_t i = 0; i < n_shared; i++) {
        const sono_tid root = rec->program->tensors[shared[i]].root;
        self.twins[root] = root;
    }
    rec->lane = rec->strand = 0;
    rec->coarse = 1; /* twins are as precise as what they stand for */
    run_again(rec, &self);
    rec->stage = before.stage;
    rec->lane = before.lane;
    rec->strand = before.strand;
    rec->coarse = before.coarse;
    sono_free(self.twins);
}
