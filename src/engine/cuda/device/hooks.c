// SPDX-License-Identifier: Apache-2.0
/* The offences that tests ask for. Process-wide by nature: a test cannot reach into an open pipeline. */
#include "engine/cuda/device/gpu.h"

static atomic_int offence;

void sono_gpu_offend(sono_gpu_offence wanted)
{
    atomic_store(&offence, (int)wanted);
}

sono_status sono_gpu_commit_offence(sono_gpu *gpu, sono_ledger_account *frame, sono_error *error)
{
    const sono_gpu_offence wanted = (sono_gpu_offence)atomic_load_explicit(&offence, memory_order_relaxed);
    /* The last bytes of both blocks are spare: whoever sizes them adds SONO_GPU_ALIGN_BYTES. */
    uint8_t *device = gpu->device_block + gpu->device_bytes - sizeof(int32_t);
    uint8_t *host = gpu->pinned_block + gpu->pinned_bytes - sizeof(int32_t);
    switch (wanted) {
    case SONO_GPU_OFFENCE_NONE:
        return SONO_STATUS_OK;
    case SONO_GPU_OFFENCE_COPY:
        return sono_gpu_download(gpu, frame, host, device, sizeof(int32_t), SONO_PLACE_OTHER, error);
    case SONO_GPU_OFFENCE_CHAIN:
        SONO_TRY(sono_gpu_download(gpu, frame, host, device, sizeof(int32_t), SONO_PLACE_OTHER, error));
        return sono_gpu_upload(gpu, frame, device, host, sizeof(int32_t), SONO_PLACE_OTHER, error);
    case SONO_GPU_OFFENCE_WAIT:
        return sono_gpu_drain(gpu, frame, SONO_PLACE_OTHER, error);
    case SONO_GPU_OFFENCE_HIDDEN_WAIT:
        SONO_GPU_TRY(gpu, "offence", error, cudaStreamSynchronize(gpu->stream));
        return SONO_STATUS_OK;
    }
    return SONO_STATUS_OK;
}
