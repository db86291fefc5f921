// SPDX-License-Identifier: Apache-2.0
/*
 * What is kept of a stream's last frame, on every backend: one U8 tensor [1, 1, 1, kept_bytes()] with the
 * frame's header (all 0: there is none), its first mask's profile, int32 [3][side], and the mask as bits:
 * raster order, rows contiguous, bit i of byte b is pixel 8 b + i. C and CUDA C.
 */
#ifndef SONO_GRAPH_KEPT_LAYOUT_H
#define SONO_GRAPH_KEPT_LAYOUT_H

#include "graph/program.h"

#ifdef __CUDACC__
#define SONO_KEPT_FN static inline __host__ __device__
#else
#define SONO_KEPT_FN static inline
#endif

/* Where the profile begins. */
#define SONO_KEPT_PROFILE 128
static_assert(sizeof(sono_frame_header) <= SONO_KEPT_PROFILE, "the header lies before the profile");

/* Where the bits begin. */
SONO_KEPT_FN int64_t kept_bits_at(int32_t side)
{
    return SONO_KEPT_PROFILE + (int64_t)SONO_PROFILE_COUNT * side * (int64_t)sizeof(int32_t);
}

SONO_KEPT_FN int64_t kept_bytes(int32_t side, int64_t n_pixels)
{
    return kept_bits_at(side) + (n_pixels + 7) / 8;
}

#endif
