// SPDX-License-Identifier: Apache-2.0
/* Elements whose type is known when the kernel is launched, not when it is compiled: for tensors that a
 * kernel touches too little to be worth a template of its own. The choice is the same for all threads. */
#ifndef SONO_BACKEND_CUDA_EITHER_CUH
#define SONO_BACKEND_CUDA_EITHER_CUH

#include "backend/cuda/device.cuh"

static __device__ __forceinline__ float sono_load_either(const void *data, int64_t at, int32_t is_half)
{
    return is_half ? sono_load((const __half *)data + at) : sono_load((const float *)data + at);
}

static __device__ __forceinline__ void sono_store_either(void *data, int64_t at, float v, int32_t is_half)
{
    if (is_half)
        sono_store((__half *)data + at, v);
    else
        sono_store((float *)data + at, v);
}

/* 1 for F16, 0 for F32, -1 for what no kernel takes. */
static inline int32_t sono_is_half(const sono_cuda_tensor *tensor)
{
    return tensor->dtype == SONO_DTYPE_F16 ? 1 : tensor->dtype == SONO_DTYPE_F32 ? 0 : -1;
}

/* Every row of the tensor starts on a multiple of 16 bytes. */
static inline int sono_is_aligned16(const sono_cuda_tensor *tensor)
{
    const int64_t per_16_bytes = tensor->dtype == SONO_DTYPE_F16 ? 8 : 4;
    return (uintptr_t)tensor->data % 16 == 0 && tensor->pitch % per_16_bytes == 0 &&
           tensor->batch_stride % per_16_bytes == 0;
}

#endif
