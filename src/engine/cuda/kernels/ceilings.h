// SPDX-License-Identifier: Apache-2.0
/* Kernels that do one thing as fast as the device can: what other kernels are measured against. */
#ifndef SONO_ENGINE_CUDA_KERNELS_CEILINGS_H
#define SONO_ENGINE_CUDA_KERNELS_CEILINGS_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Copies n_bytes, a multiple of 16, within device memory, n_rounds times over. */
cudaError_t sono_cuda_ceiling_copy(const void *from, void *to, size_t n_bytes, int n_rounds,
                                   cudaStream_t stream);

/* Products of numbers in registers, with enough blocks to fill the device; out: a float for each thread of
 * SONO_CUDA_CEILING_THREADS * n_multiprocessors. What they count as comes back in *flops. */
#define SONO_CUDA_CEILING_THREADS 1024
cudaError_t sono_cuda_ceiling_half(float *out, int n_multiprocessors, double *flops, cudaStream_t stream);
cudaError_t sono_cuda_ceiling_float(float *out, int n_multiprocessors, double *flops, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
