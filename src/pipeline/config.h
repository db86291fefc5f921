// SPDX-License-Identifier: Apache-2.0
/* A pipeline's configuration: defaults, checks, and the choice of backend. */
#ifndef SONO_PIPELINE_CONFIG_H
#define SONO_PIPELINE_CONFIG_H

#include "engine/engine.h"

#define SONO_MAX_POINTS 16 /* of a prompt */
#define SONO_MAX_BATCH  32
static_assert(SONO_MAX_BATCH <= SONO_CARRIED_HEADERS, "the headers of a batch ride with one launch");

/* Copies the caller's configuration over the defaults (its struct_size may be an older, smaller one) and
 * checks every field. Strings still belong to the caller. Errors: INVALID_ARGUMENT. */
sono_status sono_config_resolve(const sono_pipeline_config *config, sono_pipeline_config *out,
                                sono_error *error);

typedef struct sono_backend_choice {
    sono_backend backend;
    const sono_engine_ops *ops;
    sono_precision precision;
    int32_t device;       /* CUDA: ordinal */
    char device_name[16]; /* "cpu", "cuda:0": as events name it */
    const char *fallback; /* why "auto" did not take CUDA, one word for an event; NULL = no fallback */
} sono_backend_choice;

/* Errors: INVALID_ARGUMENT (no such device name), NO_DEVICE, UNSUPPORTED (precision). */
sono_status sono_config_choose_backend(const sono_pipeline_config *config, sono_backend_choice *out,
                                       sono_error *error);

/* Which engine a device name means, "cpu" or one of CUDA, and in the latter case what the choice of kernels
 * asks of the device: an H200's numbers where it cannot be used, and then *why (empty otherwise) says why.
 * Errors: INVALID_ARGUMENT (another name). */
sono_status sono_config_facts(const char *device, sono_backend *backend, sono_cuda_facts *facts,
                              sono_error *why, sono_error *error);

#endif
