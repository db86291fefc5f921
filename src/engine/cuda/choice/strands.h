// SPDX-License-Identifier: Apache-2.0
/*
 * Behind the join of the lanes ops are of two strands (sono_op.strand). Those of a strand run one after the
 * other, as recorded; which of the other strand an op waits for follows from the bytes that both touch. Pure
 * function.
 */
#ifndef SONO_ENGINE_CUDA_CHOICE_STRANDS_H
#define SONO_ENGINE_CUDA_CHOICE_STRANDS_H

#include "graph/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SONO_STRANDS_MAX 32 /* ops that others wait for */

/* awaits [n_ops]: the op of the other strand, itself run (lower.h), behind which op i may run; -1: it need
 * not wait, or one before it on its strand has waited already. Returns how many ops others wait for. */
int32_t sono_strands_plan(const sono_program *lowered, const sono_plan *plan, int32_t *awaits);

#ifdef __cplusplus
}
#endif
#endif
