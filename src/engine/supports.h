// SPDX-License-Identifier: Apache-2.0
/*
 * Whether an engine can run an op, asked for every op before anything is planned: what is not supported ends
 * as UNSUPPORTED at open, with op, tensor, shape and reason, never as a failure of the device.
 */
#ifndef SONO_ENGINE_SUPPORTS_H
#define SONO_ENGINE_SUPPORTS_H

#include "graph/program.h"

/* Which operand stands in the way: an input's index, or SONO_WHY_OUT + an output's. */
#define SONO_WHY_OUT SONO_OP_MAX_IN

typedef struct sono_why {
    int32_t operand;
    char text[160]; /* the reason, to be read after the tensor's shape */
} sono_why;

/* Fills in *why; returns 0, what a function says that does not support an op. */
int sono_refuse(sono_why *why, int32_t operand, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether the maps follow one another in memory, so that they can be read as one. */
static inline int sono_maps_touch(const sono_tensor *t)
{
    return t->n == 1 || t->batch_stride == (int64_t)t->h * t->w * t->pitch;
}

/* Whether each tensor of the op is of a type that it may have, as it is stored under a precision. */
int sono_supports_types(const sono_program *program, const sono_op *op, sono_precision precision,
                        sono_why *why);

/* Fails with UNSUPPORTED: op number i cannot run on an engine ("cpu", "cuda"). */
sono_status sono_unsupported(const sono_program *program, size_t i, const char *engine, const sono_why *why,
                             sono_error *error);

#endif
