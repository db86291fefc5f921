// SPDX-License-Identifier: Apache-2.0
/* The first bytes of a slot's inputs as a kernel's argument, for frames whose pixels need no upload. */
#ifndef SONO_ENGINE_CUDA_KERNELS_CARRY_H
#define SONO_ENGINE_CUDA_KERNELS_CARRY_H

#include "engine/engine.h"

#include <cuda_runtime_api.h>

/* to[i] = words[i]; n_words 0 leaves the memory alone. */
typedef struct sono_cuda_carry_args {
    uint32_t *to;
    int32_t n_words;
    uint32_t words[SONO_CARRIED_BYTES / sizeof(uint32_t)];
} sono_cuda_carry_args;

static_assert(SONO_CARRIED_BYTES % sizeof(uint32_t) == 0, "whole words");
static_assert(sizeof(sono_cuda_carry_args) <= 4096, "what a kernel takes as arguments");

#ifdef __cplusplus
extern "C" {
#endif

/* Puts the kernel on the stream; one block, all words at once. */
cudaError_t sono_cuda_carry(const sono_cuda_carry_args *args, cudaStream_t stream);
/* The same launch as graph nodes describe it, without arguments. */
void sono_cuda_carry_kernel(struct cudaKernelNodeParams *out);

#ifdef __cplusplus
}
#endif
#endif
