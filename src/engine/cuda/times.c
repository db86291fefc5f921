// SPDX-License-Identifier: Apache-2.0
/* Events between the stages of a frame, and what they say when it is done. */
#include "engine/cuda/cuda_private.h"

int32_t sono_cuda_mark_time(sono_engine *cuda, int32_t lane, int32_t start, sono_stage stage,
                            sono_status *status, sono_error *error)
{
    stage_events *times = &cuda->slots[cuda->slot].times;
    if (!cuda->options.time_stages || times->n == MAX_STAGE_EVENTS || *status != SONO_STATUS_OK)
        return -1;
    const unsigned flags = cuda->issuing ? cudaEventRecordDefault : cudaEventRecordExternal;
    cudaEvent_t *event = &times->events[times->n];
    cudaError_t code = *event ? cudaSuccess : SONO_CUDA(cudaEventCreate(event));
    if (code == cudaSuccess)
        code = SONO_CUDA(cudaEventRecordWithFlags(*event, sono_gpu_lane(&cuda->gpu, lane), flags));
    if (code != cudaSuccess) {
        *status = sono_gpu_fail(&cuda->gpu, code, "cudaEventRecordWithFlags", "capture", error);
        return -1;
    }
    times->starts[times->n] = start;
    times->stages[times->n] = stage;
    return times->n++;
}

sono_status sono_cuda_read_times(sono_engine *cuda, const cuda_slot *slot, sono_frame_cost *cost,
                                 sono_error *error)
{
    const stage_events *times = &slot->times;
    float ms = 0.0f;
    for (int32_t i = 0; i < times->n; i++) {
        if (times->starts[i] < 0)
            continue;
        SONO_GPU_TRY(&cuda->gpu, "download", error,
                     cudaEventElapsedTime(&ms, times->events[times->starts[i]], times->events[i]));
        cost->stage_ns[times->stages[i]] += (int64_t)(1e6 * (double)ms);
    }
    if (times->n) {
        SONO_GPU_TRY(&cuda->gpu, "download", error,
                     cudaEventElapsedTime(&ms, times->events[0], times->events[times->n - 1]));
        cost->ops_ns = (int64_t)(1e6 * (double)ms);
    }
    if (slot->before) {
        SONO_GPU_TRY(&cuda->gpu, "download", error, cudaEventElapsedTime(&ms, slot->before, slot->done));
        cost->device_ns = (int64_t)(1e6 * (double)ms);
    }
    return SONO_STATUS_OK;
}
