// SPDX-License-Identifier: Apache-2.0
/*
 * The planner: lifetimes -> offsets in one block. A tensor lives from the first op that writes into it (or
 * into a view of it) to the last op that reads it, one that is kept always; two tensors share bytes only when
 * their lives do not overlap.
 */
#ifndef SONO_GRAPH_PLAN_H
#define SONO_GRAPH_PLAN_H

#include "graph/program.h"

typedef enum sono_plan_mode {
    SONO_PLAN_REUSE, /* the product: dead bytes are reused */
    SONO_PLAN_KEEP   /* for tests: every tensor keeps its own bytes, so any of them can be read after a run */
} sono_plan_mode;

typedef enum sono_block {
    SONO_BLOCK_ACTIVATIONS,
    SONO_BLOCK_INPUTS,
    SONO_BLOCK_OUTPUTS,
    SONO_BLOCK_COUNT
} sono_block;

typedef struct sono_plan {
    size_t block_bytes[SONO_BLOCK_COUNT];
    size_t
        *offset_bytes; /* in the tensor's block; by tensor id, roots that are not PARAM; SIZE_MAX elsewhere */
    size_t *n_bytes;   /* by tensor id, rounded up to the alignment */
    int32_t *first_op; /* by tensor id; -1 = no op touches it */
    int32_t *last_op;
    size_t n_tensors;
    size_t peak_live_bytes; /* lower bound of the activations' block: the most that lives at once */
} sono_plan;

typedef struct sono_plan_options {
    sono_plan_mode mode;
    size_t align_bytes;       /* power of two, of every tensor */
    sono_precision precision; /* decides how many bytes an activation's element takes */
    int32_t lanes; /* 1: lane 1 runs side by side with the lane 0 ops before it, so they share no bytes; nor
                      does strand 1 with anything behind the join */
} sono_plan_options;

/* Errors: OUT_OF_MEMORY. */
sono_status sono_plan_make(const sono_program *program, const sono_plan_options *options, sono_plan *out,
                           sono_error *error);
void sono_plan_free(sono_plan *plan); /* leaves it zeroed; a zeroed plan is allowed */

/* The block a root that is not PARAM belongs to. */
sono_block sono_tensor_block(const sono_tensor *root);

/* Bytes the root's storage takes under a precision. */
size_t sono_tensor_storage_bytes(const sono_program *program, sono_tid root, sono_precision precision);

#endif
