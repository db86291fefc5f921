// SPDX-License-Identifier: Apache-2.0
/*
 * LAYER_NORM with what reads it, done by one launch (compute capability 9.0, float16): the LINEAR behind it,
 * or a transformer's MLP: LINEAR with GELU, then LINEAR with the norm's input as residual.
 * kernels/sm90/norm_linear.cu, mlp.cu. Pure functions.
 */
#ifndef SONO_ENGINE_CUDA_CHOICE_NORMED_H
#define SONO_ENGINE_CUDA_CHOICE_NORMED_H

#include "engine/cuda/choice/call.h"
#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SONO_NORMED_SLICE      64   /* channels of the first product that a block makes at a time */
#define SONO_NORMED_MAX_HIDDEN 2048 /* of an MLP, whose biases a block holds */

typedef enum sono_normed { SONO_NORMED_NONE, SONO_NORMED_LINEAR, SONO_NORMED_MLP } sono_normed;

/* Joins such ops of a lowered program into chains of two and three. */
void sono_normed_form(sono_program *lowered, sono_precision precision, const sono_cuda_facts *facts);

/* What the chain that op i is part of is. */
sono_normed sono_normed_of(const sono_program *lowered, int32_t i);

#ifdef __cplusplus
}
#endif
#endif
