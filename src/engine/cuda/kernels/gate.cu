// SPDX-License-Identifier: Apache-2.0
/*
 * Decides in every launch whether a conditional node's body runs: detections F32 [N, 1, K, 8] -> 1 when any
 * row is valid, 0 when every frame is LOST. One warp; at most 32 rows in a pipeline. Or a step of the
 * schedule, I32 [1, 1, 1, 4] -> 1 when its first number is not 0. Tests: tests/gpu/test_skip_decoder.c,
 * test_schedule.c.
 */
#include "engine/cuda/kernels/gate.h"
#include "engine/frames.h"

#define THREADS 32

#if CUDART_VERSION >= 12040
typedef struct gate_args {
    const float *detections;
    int64_t pitch, batch_stride;
    int32_t n_rows, n_objects; /* n_objects: of a frame */
    cudaGraphConditionalHandle condition;
} gate_args;

static __global__ void __launch_bounds__(THREADS) gate_kernel(const gate_args p)
{
    bool found = false;
    for (int32_t i = (int32_t)threadIdx.x; i < p.n_rows; i += THREADS)
        found |= p.detections[detection_at(i, p.n_objects, p.pitch, p.batch_stride) + SONO_DETECTION_VALID] ==
                 1.0f;
    const unsigned any = __any_sync(0xffffffffu, found) ? 1 : 0;
    if (threadIdx.x == 0)
        cudaGraphSetConditional(p.condition, any);
}

extern "C" cudaError_t sono_cuda_gate(const sono_cuda_tensor *detections, unsigned long long condition,
                                      cudaStream_t stream)
{
    const gate_args p = {(const float *)detections->data, detections->pitch, detections->batch_stride,
                         detections->n * detections->w,   detections->w,     condition};
    gate_kernel<<<1, THREADS, 0, stream>>>(p);
    return cudaGetLastError();
}

static __global__ void __launch_bounds__(1)
    step_kernel(const int32_t *step, cudaGraphConditionalHandle condition)
{
    cudaGraphSetConditional(condition, *step != 0);
}

extern "C" cudaError_t sono_cuda_gate_step(const sono_cuda_tensor *step, unsigned long long condition,
                                           cudaStream_t stream)
{
    step_kernel<<<1, 1, 0, stream>>>((const int32_t *)step->data, condition);
    return cudaGetLastError();
}
#else
extern "C" cudaError_t sono_cuda_gate(const sono_cuda_tensor *, unsigned long long, cudaStream_t)
{
    return cudaErrorNotSupported;
}

extern "C" cudaError_t sono_cuda_gate_step(const sono_cuda_tensor *, unsigned long long, cudaStream_t)
{
    return cudaErrorNotSupported;
}
#endif
