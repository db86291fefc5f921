// SPDX-License-Identifier: Apache-2.0
/* MBConv: LINEAR, DWCONV and LINEAR with the first one's input as residual, done by one launch
 * (kernels/mbconv.cu). Pure functions. */
#ifndef SONO_ENGINE_CUDA_CHOICE_MBCONV_H
#define SONO_ENGINE_CUDA_CHOICE_MBCONV_H

#include "engine/cuda/choice/call.h"
#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SONO_MBCONV_CHANNELS 64 /* of x and y */
#define SONO_MBCONV_TILE_W   16 /* positions of a block */
#define SONO_MBCONV_TILE_H   8
#define SONO_MBCONV_BYTES    98304 /* shared memory of a block */

/* Joins such ops of a lowered program into chains of three. */
void sono_mbconv_form(sono_program *lowered, sono_precision precision, const sono_cuda_facts *facts);

/* Whether the chain that op i is part of is one of these. */
int sono_mbconv_is(const sono_program *lowered, int32_t i);

#ifdef __cplusplus
}
#endif
#endif
