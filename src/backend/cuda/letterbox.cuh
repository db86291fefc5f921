// SPDX-License-Identifier: Apache-2.0
/* Sizes after SONO_FIT_LETTERBOX on the device: the arithmetic of the CPU kernels' letterbox.h, which says
 * where it comes from. The two must agree to the pixel. */
#ifndef SONO_BACKEND_CUDA_LETTERBOX_CUH
#define SONO_BACKEND_CUDA_LETTERBOX_CUH

#include <stdint.h>

static __device__ __forceinline__ int32_t letterbox_px(int32_t length_px, int32_t longest_px, int32_t size_px)
{
    const int64_t px = (2 * (int64_t)length_px * size_px + longest_px) / (2 * (int64_t)longest_px);
    return px < 1 ? 1 : (int32_t)px;
}

static __device__ __forceinline__ int32_t longest_side_px(int32_t width_px, int32_t height_px)
{
    return width_px > height_px ? width_px : height_px;
}

#endif
