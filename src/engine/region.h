// SPDX-License-Identifier: Apache-2.0
/* The rectangle of a frame that the networks see, on every backend. C and CUDA C. */
#ifndef SONO_ENGINE_REGION_H
#define SONO_ENGINE_REGION_H

#include "graph/program.h"

#include <stdint.h>

#ifdef __CUDACC__
#define SONO_REGION_FN static inline __host__ __device__
#else
#define SONO_REGION_FN static inline
#endif

/* Pixels [x, x + w) x [y, y + h). */
typedef struct region_rect {
    int32_t x, y, w, h;
} region_rect;

/* Of a frame: within it, not empty; the whole frame where the header says nothing. */
SONO_REGION_FN region_rect region_of(const sono_frame_header *header)
{
    const region_rect whole = {0, 0, header->width_px, header->height_px};
    const region_rect own = {header->region[0], header->region[1], header->region[2], header->region[3]};
    return own.w ? own : whole;
}

/* Writes a region into a header; sides fit, as no frame's side has more than 65535 pixels. */
SONO_REGION_FN void region_put(sono_frame_header *header, region_rect region)
{
    header->region[0] = (uint16_t)region.x;
    header->region[1] = (uint16_t)region.y;
    header->region[2] = (uint16_t)region.w;
    header->region[3] = (uint16_t)region.h;
}

/* Makes a frame's header that of its region: a smaller frame, whose first pixel lies within the other. A
 * pixel has as many bytes as its format's number says. */
SONO_REGION_FN void region_crop(sono_frame_header *header)
{
    const region_rect r = region_of(header);
    const int64_t offset = (int64_t)r.y * header->pitch_bytes + (int64_t)r.x * header->format;
    if (header->device_pixels)
        header->device_pixels += (uint64_t)offset;
    header->pixels_at_bytes += offset;
    header->width_px = r.w;
    header->height_px = r.h;
    header->region[0] = header->region[1] = header->region[2] = header->region[3] = 0;
}

/* A position in the region as one in the frame. One addition, and no fused one on any backend; 0 leaves the
 * sign of a zero alone, so that a region at the origin changes no bit. */
SONO_REGION_FN float region_out(float in_region_px, int32_t origin_px)
{
#ifdef __CUDA_ARCH__
    return origin_px ? __fadd_rn(in_region_px, (float)origin_px) : in_region_px;
#else
    return origin_px ? in_region_px + (float)origin_px : in_region_px;
#endif
}

/* And back. */
SONO_REGION_FN float region_in(float in_frame_px, int32_t origin_px)
{
    return region_out(in_frame_px, -origin_px);
}

#endif
