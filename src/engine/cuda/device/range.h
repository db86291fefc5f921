// SPDX-License-Identifier: Apache-2.0
/*
 * Named spans of host time for profilers (NVTX 3): what a thread does between push and the pop that belongs
 * to it. Without a profiler each costs a branch; without the toolkit's header nothing is there. Thread-safe.
 */
#ifndef SONO_ENGINE_CUDA_DEVICE_RANGE_H
#define SONO_ENGINE_CUDA_DEVICE_RANGE_H

void sono_gpu_range_push(const char *name);
void sono_gpu_range_pop(void);

#endif
