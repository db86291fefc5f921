// SPDX-License-Identifier: Apache-2.0
/* STATE: detections F32 [N, 1, K, 8], predicted IoU? F32 [NK, 1, 1, 4], echo I32 [N, 1, 1, 16], agreement?
 * I32 [N, 1, 1, 8], header, memory? U8 [1, 1, 1, 256] -> verdict I32 [N, 1, 1, 24] and the memory, in place.
 * The frames of a batch one after the other through engine/state_machine.h: whole numbers only. Test:
 * tests/ops/test_state.c. */
#include "engine/cpu/kernels/kernels.h"
#include "engine/state_rows.h"

void SONO_KERNEL(sono_cpu_state)(const sono_cpu_call *call)
{
    const sono_cpu_tensor *detections = &call->in[0], *iou = &call->in[1], *echo = &call->in[2],
                          *agreement = &call->in[3], *verdict = &call->out[0];
    const sono_frame_header *headers = call->in[4].data;
    for (int32_t n = 0; n < verdict->n; n++) {
        const sono_state_rows rows = {
            .header = &headers[n],
            .detection = (const float *)detections->data + n * detections->batch_stride,
            .iou =
                iou->data ? (const float *)iou->data + (int64_t)n * detections->w * iou->batch_stride : NULL,
            .echo = (const int32_t *)echo->data + n * echo->batch_stride,
            .agreement =
                agreement->data ? (const int32_t *)agreement->data + n * agreement->batch_stride : NULL};
        state_judge(&call->op->args.state, &rows, call->out[1].data,
                    (sono_verdict *)((int32_t *)verdict->data + n * verdict->batch_stride));
    }
}
