// SPDX-License-Identifier: Apache-2.0
/* The kernel that says whether the ops which only matter when something was found run in this launch. */
#ifndef SONO_ENGINE_CUDA_KERNELS_GATE_H
#define SONO_ENGINE_CUDA_KERNELS_GATE_H

#include "engine/cuda/kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* condition: of the graph that stream is capturing (gpu.h); 1 when a row of detections [N, 1, K, 8] is valid,
 * else 0. cudaErrorNotSupported before CUDA 12.4. */
cudaError_t sono_cuda_gate(const sono_cuda_tensor *detections, unsigned long long condition,
                           cudaStream_t stream);

/* The same by the first int32 of a step. */
cudaError_t sono_cuda_gate_step(const sono_cuda_tensor *step, unsigned long long condition,
                                cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
