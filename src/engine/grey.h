// SPDX-License-Identifier: Apache-2.0
/* The grey value of a frame's pixel as a whole number, on every backend. C and CUDA C. */
#ifndef SONO_ENGINE_GREY_H
#define SONO_ENGINE_GREY_H

#include "base/pixel.h"
#include "engine/luma.h"
#include "graph/program.h"

#ifdef __CUDACC__
#define SONO_GREY_FN static inline __host__ __device__
#else
#define SONO_GREY_FN static inline
#endif

/* A frame's first pixel: among all frames' pixels, or (CUDA) wherever in device memory its source left it. */
SONO_GREY_FN const uint8_t *frame_pixels_of(const uint8_t *all_pixels, const sono_frame_header *header)
{
    return header->device_pixels ? (const uint8_t *)(uintptr_t)header->device_pixels
                                 : all_pixels + header->pixels_at_bytes;
}

/* Grey in [0, 255] of pixel x of a row: colour as its luma; 16 bits with what is white and above as 255,
 * rounded. Rows may start on odd addresses. */
SONO_GREY_FN int32_t grey_of(const sono_frame_header *header, const uint8_t *row, int32_t x)
{
    if (header->format == SONO_PIXEL_GRAY8)
        return row[x];
    if (header->format == SONO_PIXEL_GRAY16) {
        const int32_t white = header->gray16_white, value = row[2 * x] | row[2 * x + 1] << 8;
        return value >= white ? 255 : (2 * 255 * value + white) / (2 * white);
    }
    return (int32_t)luma_of(row + (header->format == SONO_PIXEL_RGBA8 ? 4 : 3) * x);
}

#endif
