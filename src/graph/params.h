// SPDX-License-Identifier: Apache-2.0
/*
 * The parameters of a program: float32 values in the order in which they were recorded. They depend on the
 * checkpoints alone, while ops and tensors also depend on the configuration; so programs of the same networks
 * may share them: the first one that is recorded fills them in, the others take them over. Reference counted;
 * a complete one is read-only and may be read by any number of threads.
 */
#ifndef SONO_GRAPH_PARAMS_H
#define SONO_GRAPH_PARAMS_H

#include "base/status.h"

#include <stdatomic.h>

typedef struct sono_param {
    char name[96];
    int32_t n, h, w, c;
    float *values; /* [n * h * w * c] */
} sono_param;

typedef struct sono_params {
    atomic_int n_users;
    int32_t complete; /* nothing is added any more */
    sono_param *list;
    size_t n, capacity;
} sono_params;

/* With one user. Errors: OUT_OF_MEMORY. */
sono_status sono_params_open(sono_params **out, sono_error *error);
sono_params *sono_params_share(sono_params *params); /* one user more; returns params */
void sono_params_close(sono_params *params); /* one user less; the last one frees it. NULL is allowed */

/* Adds one, zeroed; NULL = out of memory. */
float *sono_params_add(sono_params *params, const char *name, int32_t n, int32_t h, int32_t w, int32_t c);

#endif
