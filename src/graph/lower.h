// SPDX-License-Identifier: Apache-2.0
/*
 * Lowering: between recording and planning an engine makes a program of its own, in which rewrites have
 * replaced ops by fewer ones that its kernels can do at once. An op whose work another one does keeps its
 * number and is not run, so that whatever counts ops (the gate, a profile) need not know.
 */
#ifndef SONO_GRAPH_LOWER_H
#define SONO_GRAPH_LOWER_H

#include "graph/program.h"

/* A fusion. apply() looks at op number i, which is run; where it can, it changes ops[i] to do the work of
 * earlier ones as well and calls sono_lower_absorb() for each of those. Tensors are not its to change. */
typedef struct sono_rewrite {
    const char *name;
    void (*apply)(sono_program *lowered, size_t i);
} sono_rewrite;

/* out: a copy of program, after one pass over its ops in order, each offered to every rewrite. Its ops are
 * its own, to be freed by sono_lower_free(); all else is program's, which must outlive it. Errors:
 * OUT_OF_MEMORY.
 */
sono_status sono_lower(const sono_program *program, const sono_rewrite *rewrites, size_t n_rewrites,
                       sono_program *out, sono_error *error);
void sono_lower_free(sono_program *lowered); /* leaves it zeroed; a zeroed one is allowed */

/* The op that makes the whole of op i's input k, on the same lane and strand, where nobody but op i sees that
 * tensor; -1 where there is none. Only such an op can be absorbed. */
int32_t sono_lower_producer(const sono_program *lowered, size_t i, int k);
void sono_lower_absorb(sono_program *lowered, int32_t op);

/* Makes ops [first, last], of one lane, strand and stage, a chain: one launch does the work of all of them at
 * the place of the last. Their tensors stay as they are. */
void sono_lower_chain(sono_program *lowered, int32_t first, int32_t last);

/* Where op i's work is done: its own number, or that of its chain's last op. */
static inline int32_t sono_lower_place(const sono_program *lowered, int32_t i)
{
    return lowered->ops[i].leader ? lowered->ops[i].leader - 1 : i;
}

/* Whether op i is what an engine launches: not absorbed, and by itself or the last of a chain. */
static inline int sono_lower_is_run(const sono_program *lowered, int32_t i)
{
    return !lowered->ops[i].is_absorbed && sono_lower_place(lowered, i) == i;
}

#endif
