// SPDX-License-Identifier: Apache-2.0
#include "graph/plan.h"

#include "base/alloc.h"
#include "graph/lower.h"

#include <stdlib.h>
#include <string.h>

size_t sono_tensor_storage_bytes(const sono_program *program, sono_tid root, sono_precision precision)
{
    return (size_t)sono_tensor_count(&program->tensors[root]) *
           sono_dtype_bytes(sono_tensor_stored_dtype(program, root, precision));
}

sono_block sono_tensor_block(const sono_tensor *root)
{
    return root->kind == SONO_TENSOR_INPUT    ? SONO_BLOCK_INPUTS
           : root->kind == SONO_TENSOR_OUTPUT ? SONO_BLOCK_OUTPUTS
                                              : SONO_BLOCK_ACTIVATIONS;
}

static int is_planned(const sono_program *program, size_t id)
{
    const sono_tensor *tensor = &program->tensors[id];
    return tensor->root == (sono_tid)id && tensor->kind != SONO_TENSOR_PARAM;
}

static void touch(sono_plan *plan, const sono_program *program, sono_tid id, int32_t op)
{
    if (!id)
        return;
    const sono_tid root = program->tensors[id].root;
    if (plan->first_op[root] < 0)
        plan->first_op[root] = op;
    plan->last_op[root] = op;
}

static void find_lifetimes(const sono_program *program, sono_plan *plan)
{
    for (size_t i = 0; i < program->n_tensors; i++)
        plan->first_op[i] = plan->last_op[i] = -1;
    for (size_t i = 0; i < program->n_ops; i++) {
        const sono_op *op = &program->ops[i];
        const int32_t place = sono_lower_place(program, (int32_t)i);
        if (op->is_absorbed)
            continue;
        for (int k = 0; k < SONO_OP_MAX_IN; k++)
            touch(plan, program, op->in[k], place);
        for (int k = 0; k < SONO_OP_MAX_OUT; k++)
            touch(plan, program, op->out[k], place);
    }
    for (size_t i = 0; i < program->n_tensors; i++)
        if (program->tensors[i].kind == SONO_TENSOR_KEPT && plan->first_op[i] >= 0) {
            plan->first_op[i] = 0;
            plan->last_op[i] = (int32_t)program->n_ops;
        }
}

typedef struct interval {
    sono_tid id;
    size_t n_bytes;
    int32_t first_op, last_op;
    int32_t in_lane_1;     /* touched by an op of lane 1 */
    int32_t beside_lane_1; /* touched by an op of lane 0 that may run at the same time */
    int32_t in_strand_1;   /* touched behind the join, by an op of strand 1 */
    int32_t behind_join;   /* touched by any op there */
} interval;

/* Fills in which tensors are touched by lane 1, which by the lane 0 ops before lane 1's last, and likewise of
 * the strands behind it. */
static void find_lanes(const sono_program *program, interval *items, size_t n_items, sono_tid *item_of)
{
    const size_t join = sono_program_join(program);
    for (size_t i = 0; i < n_items; i++)
        item_of[items[i].id] = (sono_tid)i + 1;
    for (size_t i = 0; i < program->n_ops; i++) {
        const sono_op *op = &program->ops[i];
        for (int k = 0; k < SONO_OP_MAX_IN + SONO_OP_MAX_OUT && !op->is_absorbed; k++) {
            const sono_tid id = k < SONO_OP_MAX_IN ? op->in[k] : op->out[k - SONO_OP_MAX_IN];
            const sono_tid item = item_of[program->tensors[id].root];
            if (!item)
                continue;
            items[item - 1].in_lane_1 |= op->lane == 1;
            items[item - 1].beside_lane_1 |= op->lane == 0 && i < join;
            items[item - 1].in_strand_1 |= op->strand == 1 && i >= join;
            items[item - 1].behind_join |= i >= join;
        }
    }
}

static int larger_first(const void *a, const void *b)
{
    const interval *x = a, *y = b;
    if (x->n_bytes != y->n_bytes)
        return x->n_bytes < y->n_bytes ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Whether tensors may be needed at the same time. */
static int overlap(const interval *a, const interval *b)
{
    return (a->first_op <= b->last_op && b->first_op <= a->last_op) || (a->in_lane_1 && b->beside_lane_1) ||
           (b->in_lane_1 && a->beside_lane_1) || (a->in_strand_1 && b->behind_join) ||
           (b->in_strand_1 && a->behind_join);
}

/* Places items[at] at the lowest offset that is free of every placed tensor alive at the same time. `placed`
 * holds earlier items' indices ordered by offset. */
static size_t lowest_fit(const sono_plan *plan, const interval *items, const size_t *placed, size_t n_placed,
                         const interval *item)
{
    size_t offset = 0;
    for (size_t i = 0; i < n_placed; i++) {
        const interval *other = &items[placed[i]];
        if (!overlap(other, item))
            continue;
        const size_t start = plan->offset_bytes[other->id];
        if (start >= offset + item->n_bytes)
            break;
        if (start + other->n_bytes > offset)
            offset = start + other->n_bytes;
    }
    return offset;
}

static void place_all(sono_plan *plan, sono_plan_mode mode, interval *items, size_t n_items, size_t *placed)
{
    size_t *block_bytes = &plan->block_bytes[SONO_BLOCK_ACTIVATIONS];
    qsort(items, n_items, sizeof *items, larger_first);
    for (size_t i = 0; i < n_items; i++) {
        const interval *item = &items[i];
        const size_t offset =
            mode == SONO_PLAN_KEEP ? *block_bytes : lowest_fit(plan, items, placed, i, item);
        plan->offset_bytes[item->id] = offset;
        size_t at = i;
        while (at > 0 && plan->offset_bytes[items[placed[at - 1]].id] > offset) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = i;
        if (offset + item->n_bytes > *block_bytes)
            *block_bytes = offset + item->n_bytes;
    }
}

static size_t peak_live(const interval *items, size_t n_items, size_t n_ops)
{
    size_t peak = 0;
    for (size_t op = 0; op < n_ops; op++) {
        size_t live = 0;
        for (size_t i = 0; i < n_items; i++)
            if (items[i].first_op <= (int32_t)op && (int32_t)op <= items[i].last_op)
                live += items[i].n_bytes;
        if (live > peak)
            peak = live;
    }
    return peak;
}

sono_status sono_plan_make(const sono_program *program, const sono_plan_options *options, sono_plan *out,
                           sono_error *error)
{
    const size_t n = program->n_tensors;
    sono_plan plan = {.n_tensors = n};
    plan.offset_bytes = sono_alloc_array(n, sizeof *plan.offset_bytes);
    plan.n_bytes = sono_alloc_array(n, sizeof *plan.n_bytes);
    plan.first_op = sono_alloc_array(n, sizeof *plan.first_op);
    plan.last_op = sono_alloc_array(n, sizeof *plan.last_op);
    interval *items = sono_alloc_array(n, sizeof *items);
    size_t *placed = sono_alloc_array(n, sizeof *placed);
    sono_tid *item_of = sono_alloc_array(n, sizeof *item_of);
    if (!item_of || !plan.offset_bytes || !plan.n_bytes || !plan.first_op || !plan.last_op || !items ||
        !placed) {
        sono_plan_free(&plan);
        sono_free(items);
        sono_free(placed);
        sono_free(item_of);
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory while planning %zu tensors", n);
    }
    find_lifetimes(program, &plan);
    size_t n_items = 0;
    for (size_t i = 0; i < n; i++) {
        plan.offset_bytes[i] = SIZE_MAX;
        if (i == 0 || !is_planned(program, i))
            continue;
        const size_t bytes = sono_tensor_storage_bytes(program, (sono_tid)i, options->precision);
        plan.n_bytes[i] = (bytes + options->align_bytes - 1) / options->align_bytes * options->align_bytes;
        const sono_block block = sono_tensor_block(&program->tensors[i]);
        if (block != SONO_BLOCK_ACTIVATIONS) {
            plan.offset_bytes[i] = plan.block_bytes[block];
            plan.block_bytes[block] += plan.n_bytes[i];
        } else if (plan.first_op[i] >= 0)
            items[n_items++] = (interval){.id = (sono_tid)i,
                                          .n_bytes = plan.n_bytes[i],
                                          .first_op = plan.first_op[i],
                                          .last_op = plan.last_op[i]};
    }
    if (options->lanes)
        find_lanes(program, items, n_items, item_of);
    place_all(&plan, options->mode, items, n_items, placed);
    plan.peak_live_bytes = peak_live(items, n_items, program->n_ops);
    sono_free(items);
    sono_free(placed);
    sono_free(item_of);
    *out = plan;
    return SONO_STATUS_OK;
}

void sono_plan_free(sono_plan *plan)
{
    sono_free(plan->offset_bytes);
    sono_free(plan->n_bytes);
    sono_free(plan->first_op);
    sono_free(plan->last_op);
    memset(plan, 0, sizeof *plan);
}
