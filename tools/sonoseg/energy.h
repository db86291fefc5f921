// SPDX-License-Identifier: Apache-2.0
/* What a GPU has used so far, as its driver counts it. */
#ifndef SONOSEG_TOOL_ENERGY_H
#define SONOSEG_TOOL_ENERGY_H

/* Joules since the driver was loaded, of the GPU that NVML numbers so (CUDA's number where neither
 * CUDA_VISIBLE_DEVICES nor CUDA_DEVICE_ORDER says otherwise); the counter moves every 100 ms or so. Below 0:
 * there is no NVML, no such GPU, or it does not count. The first call loads the library: some 10 ms. */
double energy_j(int device);

#endif
