// SPDX-License-Identifier: Apache-2.0
/*
 * What tests use to make the gpu room misbehave. Holds no CUDA type, so that a test needs no toolkit's
 * header. Process-wide: one test at a time.
 */
#ifndef SONO_ENGINE_CUDA_DEVICE_HOOKS_H
#define SONO_ENGINE_CUDA_DEVICE_HOOKS_H

#include <stdint.h>

/* The n-th CUDA call from now (1 = the next) made through SONO_CUDA fails without being made; 0 = off. */
void sono_gpu_fail_call(int64_t n);

/* CUDA calls made through SONO_CUDA so far in this process. */
int64_t sono_gpu_call_count(void);

/* What the audit must find, done in mid-frame: between a frame's launch and its wait. */
typedef enum sono_gpu_offence {
    SONO_GPU_OFFENCE_NONE,
    SONO_GPU_OFFENCE_COPY,       /* a second download */
    SONO_GPU_OFFENCE_CHAIN,      /* a download, then an upload of it */
    SONO_GPU_OFFENCE_WAIT,       /* a second wait, booked */
    SONO_GPU_OFFENCE_HIDDEN_WAIT /* a wait that is in no book: only a trace sees it */
} sono_gpu_offence;

/* Every frame launched from now on commits it. */
void sono_gpu_offend(sono_gpu_offence offence);

#endif
