// SPDX-License-Identifier: Apache-2.0
/* What the GPU does, by NVIDIA's management library, which is loaded when it is first asked for. One thread.
 */
#ifndef SONO_WEB_GPU_H
#define SONO_WEB_GPU_H

#include <stdint.h>

typedef struct sono_web_gpu_facts {
    int32_t is_known; /* 0: no library, no such device, or not asked yet */
    char name[96];
    /* NaN, 0: the device does not tell. */
    double use_percent, temperature_celsius, power_watts, power_limit_watts;
    uint64_t memory_used_bytes, memory_total_bytes, clock_sm_hz, clock_memory_hz;
} sono_web_gpu_facts;

typedef struct sono_web_gpu {
    void *library, *device;
    int32_t was_tried;
} sono_web_gpu;

/* index: as CUDA counts, CUDA_VISIBLE_DEVICES is followed. */
void sono_web_gpu_sample(sono_web_gpu *gpu, int32_t index, sono_web_gpu_facts *out);
void sono_web_gpu_close(sono_web_gpu *gpu);

#endif
