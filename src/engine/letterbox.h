// SPDX-License-Identifier: Apache-2.0
/* Sizes after SONO_FIT_LETTERBOX, for the kernels that must agree on them, on every backend. C and CUDA C. */
#ifndef SONO_ENGINE_LETTERBOX_H
#define SONO_ENGINE_LETTERBOX_H

#include <stdint.h>

#ifdef __CUDACC__
#define SONO_LETTERBOX_FN static inline __host__ __device__
#else
#define SONO_LETTERBOX_FN static inline
#endif

/* int(length * size / longest + 0.5) in whole numbers, at least 1: the same on every instruction set, and for
 * every length <= longest <= 8192 equal to Python's double arithmetic
 * (ResizeLongestSide.get_preprocess_shape, MobileSAM mobile_sam/utils/transforms.py:92-102 @ 34bbbfd; all
 * pairs were compared). */
SONO_LETTERBOX_FN int32_t letterbox_px(int32_t length_px, int32_t longest_px, int32_t size_px)
{
    const int64_t px = (2 * (int64_t)length_px * size_px + longest_px) / (2 * (int64_t)longest_px);
    return px < 1 ? 1 : (int32_t)px;
}

SONO_LETTERBOX_FN int32_t longest_side_px(int32_t width_px, int32_t height_px)
{
    return width_px > height_px ? width_px : height_px;
}

#endif
