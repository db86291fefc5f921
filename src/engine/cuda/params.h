// SPDX-License-Identifier: Apache-2.0
/*
 * Parameters on the device, in the forms that kernels want (kernels.h): one block, which engines of
 * programs with the same params may share. Reference counted; read-only once made.
 */
#ifndef SONO_ENGINE_CUDA_PARAMS_H
#define SONO_ENGINE_CUDA_PARAMS_H

#include "engine/cuda/choice/candidates.h"
#include "engine/cuda/device/gpu.h"

/* Where a parameter lies in the block, by form; SIZE_MAX = not in that form. */
typedef struct sono_cuda_param {
    size_t at[SONO_CUDA_FORM_COUNT];
} sono_cuda_param;

struct sono_engine_params {
    atomic_int n_users;
    int32_t device;
    sono_precision precision;
    uint8_t *block;
    size_t n_bytes;
    size_t n;
    sono_cuda_param places[]; /* by param_index */
};

/* What of a device the choice of kernels asks. */
sono_cuda_facts sono_cuda_facts_from(const sono_gpu *gpu);

/* Uploads a program's parameters by gpu, whose ledger books that, in the forms that the ops' kernels want;
 * with one user. Errors: OUT_OF_MEMORY, DEVICE. */
sono_status sono_cuda_params_make(sono_gpu *gpu, const sono_program *program, const sono_cuda_choice *choices,
                                  sono_precision precision, sono_engine_params **out, sono_error *error);

/* One user more; fails with STATE unless they are the program's, on that device, in that precision, in the
 * forms that its kernels want. */
sono_status sono_cuda_params_share(sono_engine_params *params, const sono_program *program,
                                   const sono_cuda_choice *choices, int32_t device, sono_precision precision,
                                   sono_error *error);

/* The engine's params_open and params_close. */
sono_status sono_cuda_params_open(const sono_program *program, const sono_engine_options *options,
                                  sono_engine_params **out, sono_error *error);
void sono_cuda_params_close(sono_engine_params *params);

#endif
