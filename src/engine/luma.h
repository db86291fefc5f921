// SPDX-License-Identifier: Apache-2.0
/* Luma of a colour pixel, on every backend: the one rule by which image files and overlays lose their colour
 * (src/io/images/image.h), so that a network of one channel sees the same either way. */
#ifndef SONO_ENGINE_LUMA_H
#define SONO_ENGINE_LUMA_H

#include <stdint.h>

#ifdef __CUDACC__
#define SONO_LUMA_FN static inline __host__ __device__
#else
#define SONO_LUMA_FN static inline
#endif

/* Rec. 601, rounded, in [0, 255]. rgb: three bytes. */
SONO_LUMA_FN uint32_t luma_of(const uint8_t *rgb)
{
    return (19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16;
}

#endif
