// SPDX-License-Identifier: Apache-2.0
/*
 * STATE: detections F32 [N, 1, K, 8], predicted IoU? F32 [NK, 1, 1, 4], echo I32 [N, 1, 1, 16], agreement?
 * I32 [N, 1, 1, 8], header, memory? U8 [1, 1, 1, 256] -> verdict I32 [N, 1, 1, 24] and the memory, in place.
 * The frames of a batch one after the other through engine/state_machine.h, a few hundred whole-number
 * operations each, by one thread. Test: tests/ops/test_state.c. Launch: 1 block of 1 thread.
 */
#include "engine/cuda/kernels/kernels.h"
#include "engine/state_rows.h"

typedef struct state_args {
    const float *detections, *iou; /* iou, agreement, memory: may be NULL */
    const int32_t *echo, *agreement;
    const sono_frame_header *headers;
    sono_stream_memory *memory;
    int32_t *verdicts;
    int64_t detections_stride, iou_stride, echo_stride, agreement_stride, verdicts_stride; /* a frame's */
    int32_t n_frames;
    sono_machine_rules rules;
} state_args;

static __global__ void __launch_bounds__(1) state_kernel(const state_args p)
{
    sono_stream_memory memory = {0};
    if (p.memory)
        memory = *p.memory;
    for (int32_t n = 0; n < p.n_frames; n++) {
        const sono_state_rows rows = {p.headers + n, p.detections + n * p.detections_stride,
                                      p.iou ? p.iou + n * p.iou_stride : nullptr, p.echo + n * p.echo_stride,
                                      p.agreement ? p.agreement + n * p.agreement_stride : nullptr};
        sono_verdict verdict;
        state_judge(&p.rules, &rows, p.memory ? &memory : nullptr, &verdict);
        *reinterpret_cast<sono_verdict *>(p.verdicts + n * p.verdicts_stride) = verdict;
    }
    if (p.memory)
        *p.memory = memory;
}

extern "C" cudaError_t sono_cuda_state(const sono_cuda_call *call)
{
    const sono_cuda_tensor *detections = &call->in[0], *iou = &call->in[1], *echo = &call->in[2],
                           *agreement = &call->in[3], *verdict = &call->out[0];
    const state_args p = {(const float *)detections->data,
                          (const float *)iou->data,
                          (const int32_t *)echo->data,
                          (const int32_t *)agreement->data,
                          (const sono_frame_header *)call->in[4].data,
                          (sono_stream_memory *)call->out[1].data,
                          (int32_t *)verdict->data,
                          detections->batch_stride,
                          detections->w * iou->batch_stride,
                          echo->batch_stride,
                          agreement->batch_stride,
                          verdict->batch_stride,
                          verdict->n,
                          call->op->args.state};
    state_kernel<<<1, 1, 0, call->stream>>>(p);
    return cudaGetLastError();
}
