// SPDX-License-Identifier: Apache-2.0
/*
 * Writes a frame's header, which is in the kernel's arguments, to where the ops read it. A frame whose pixels
 * are in device memory already starts with this in place of an upload: arguments travel with the launch, so
 * nothing is copied between host and device. One block, one word a thread. Test:
 * tests/gpu/test_device_frames.c.
 */
#include "engine/cuda/kernels/carry.h"

#define THREADS (int)(SONO_CARRIED_BYTES / sizeof(uint32_t))

static_assert(SONO_CARRIED_BYTES / sizeof(uint32_t) <= 1024, "one block has a thread for every word");

static __global__ void __launch_bounds__(THREADS) carry_kernel(const __grid_constant__ sono_cuda_carry_args p)
{
    const int32_t i = (int32_t)threadIdx.x;
    if (i < p.n_words)
        p.to[i] = p.words[i];
}

extern "C" cudaError_t sono_cuda_carry(const sono_cuda_carry_args *args, cudaStream_t stream)
{
    carry_kernel<<<1, THREADS, 0, stream>>>(*args);
    return cudaGetLastError();
}

extern "C" void sono_cuda_carry_kernel(struct cudaKernelNodeParams *out)
{
    *out = cudaKernelNodeParams();
    out->func = (void *)carry_kernel;
    out->gridDim = dim3(1);
    out->blockDim = dim3(THREADS);
}
