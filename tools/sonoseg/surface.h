// SPDX-License-Identifier: Apache-2.0
/*
 * How far two outlines lie apart. A region's surface are its pixels with one of the four neighbours outside
 * of it; what is outside of the image counts as outside of the region.
 */
#ifndef SONOSEG_TOOL_SURFACE_H
#define SONOSEG_TOOL_SURFACE_H

#include "stats.h"

#include <stdint.h>

/* The pixels of an image that hold one value. */
typedef struct surface_region {
    const uint8_t *pixels; /* height_px rows of width_px bytes */
    uint8_t value;
} surface_region;

/* Adds the Euclidean distance from each surface pixel of either region to the other's nearest one, in pixels
 * between centres. Neither region may be empty. Returns 0, or -1 when out of memory. */
int surface_distances(surface_region left, surface_region right, int32_t width_px, int32_t height_px,
                      samples *out);

#endif
