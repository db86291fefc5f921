// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/choice/strands.h"

#include "graph/lower.h"

static sono_tid root_of(const sono_program *program, sono_tid id)
{
    return program->tensors[id].root;
}

/* Whether two roots share bytes. */
static int share_bytes(const sono_program *program, const sono_plan *plan, sono_tid a, sono_tid b)
{
    if (!a || !b || program->tensors[a].kind == SONO_TENSOR_PARAM)
        return 0;
    if (a == b)
        return 1;
    return program->tensors[a].kind == SONO_TENSOR_ACTIVATION &&
           program->tensors[b].kind == SONO_TENSOR_ACTIVATION &&
           plan->offset_bytes[a] < plan->offset_bytes[b] + plan->n_bytes[b] &&
           plan->offset_bytes[b] < plan->offset_bytes[a] + plan->n_bytes[a];
}

/* Whether one op must wait for the other. Two may read the same bytes side by side; of ops behind the
 * networks, some of which write to their inputs, not even that. */
static int do_clash(const sono_program *program, const sono_plan *plan, const sono_op *a, const sono_op *b)
{
    const int may_both_read = a->stage == SONO_STAGE_DECODE && b->stage == SONO_STAGE_DECODE;
    for (int i = 0; i < SONO_OP_MAX_IN + SONO_OP_MAX_OUT; i++)
        for (int k = 0; k < SONO_OP_MAX_IN + SONO_OP_MAX_OUT; k++) {
            const int both_read = i < SONO_OP_MAX_IN && k < SONO_OP_MAX_IN && may_both_read;
            const sono_tid one = i < SONO_OP_MAX_IN ? a->in[i] : a->out[i - SONO_OP_MAX_IN];
            const sono_tid other = k < SONO_OP_MAX_IN ? b->in[k] : b->out[k - SONO_OP_MAX_IN];
            if (!both_read && share_bytes(program, plan, root_of(program, one), root_of(program, other)))
                return 1;
        }
    return 0;
}

/* The first op that is run with op i. */
static int32_t first_of(const sono_program *program, int32_t i)
{
    int32_t first = i;
    while (first > 0 && program->ops[i].leader && program->ops[first - 1].leader == i + 1)
        first--;
    return first;
}

/* The same of what op a and op b are run with. */
static int do_groups_clash(const sono_program *program, const sono_plan *plan, int32_t a, int32_t b)
{
    for (int32_t i = first_of(program, a); i <= a; i++)
        for (int32_t k = first_of(program, b); k <= b; k++)
            if (do_clash(program, plan, &program->ops[i], &program->ops[k]))
                return 1;
    return 0;
}

int32_t sono_strands_plan(const sono_program *lowered, const sono_plan *plan, int32_t *awaits)
{
    const int32_t n_ops = (int32_t)lowered->n_ops, join = (int32_t)sono_program_join(lowered);
    int32_t waited[2] = {-1, -1}, n = 0; /* by strand: the last op of the other that it has waited for */
    for (int32_t i = 0; i < n_ops; i++) {
        const int32_t strand = lowered->ops[i].strand;
        awaits[i] = -1;
        if (i < join || !sono_lower_is_run(lowered, i))
            continue;
        for (int32_t k = i - 1; k > waited[strand] && k >= join && awaits[i] < 0; k--)
            if (lowered->ops[k].strand != strand && sono_lower_is_run(lowered, k) &&
                do_groups_clash(lowered, plan, i, k))
                awaits[i] = k;
        if (awaits[i] < 0)
            continue;
        waited[strand] = awaits[i];
        n++;
    }
    return n;
}
