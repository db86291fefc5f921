// SPDX-License-Identifier: Apache-2.0
/*
 * Frames of a batch and their objects, on every backend. A header tensor is dense: N headers one after the
 * other. Detections are [N, 1, K, 8]; everything made from them has N * K maps, those of one frame together.
 */
#ifndef SONO_ENGINE_FRAMES_H
#define SONO_ENGINE_FRAMES_H

#include <stdint.h>

#ifdef __CUDACC__
#define SONO_FRAMES_FN static inline __host__ __device__
#else
#define SONO_FRAMES_FN static inline
#endif

/* The frame that object number `object` was found in; k objects a frame. */
SONO_FRAMES_FN int32_t frame_of_object(int32_t object, int32_t k)
{
    return object / k;
}

/* Where that object's row begins in the detections, in elements. */
SONO_FRAMES_FN int64_t detection_at(int32_t object, int32_t k, int64_t pitch, int64_t batch_stride)
{
    return object / k * batch_stride + object % k * pitch;
}

#endif
