// SPDX-License-Identifier: Apache-2.0
/*
 * A mask's outline: closed lines around every connected piece and every hole, by following the boundary. A
 * line's points lie halfway between a pixel of the mask and its neighbour outside of it, so that the pixels
 * whose centres lie inside the lines (even-odd rule) are exactly the mask's. Pieces are 8-connected, holes
 * 4-connected; lines never touch one another. The same mask always gives the same points.
 *
 * Memory is taken by _open() alone and bounds what is found: lines that do not fit are left out and counted.
 * Thread-safety: one thread at a time per handle.
 */
#ifndef SONO_SERVE_OUTLINE_H
#define SONO_SERVE_OUTLINE_H

#include "igtl/messages.h"

#include <stddef.h>
#include <stdint.h>

#define SONO_SERVE_OUTLINE_POINTS 65536
#define SONO_SERVE_OUTLINE_LINES  4096

typedef struct sono_serve_outline {
    float (*points_px)[2]; /* x to the right, y down; the centre of the first pixel is 0, 0 */
    uint32_t *begins; /* n_lines + 1: line l has points [begins[l], begins[l + 1]) and is closed; the mask
                         lies to the right of it as it runs, seen with y down */
    uint32_t n_points, n_lines;
    uint32_t n_left_out; /* lines for which there was no room */
    /* The outline's own. */
    uint32_t max_points, max_lines;
    uint64_t max_pixels;
    uint64_t *seen; /* bit per pixel: the crack above it is in a line already */
} sono_serve_outline;

/* For masks of at most max_pixels. Returns 0, or -1: out of memory (then nothing is held). */
int sono_serve_outline_open(sono_serve_outline *outline, uint64_t max_pixels, uint32_t max_points,
                            uint32_t max_lines);
void sono_serve_outline_close(sono_serve_outline *outline); /* of all zeros is allowed */

/* mask: height_px rows of width_px bytes, contiguous, 0 / 255. Returns 0, or -1 for a mask of more pixels
 * than open said or of no pixel, or sides above 65535: then there are no lines. */
int sono_serve_outline_trace(sono_serve_outline *outline, const uint8_t *mask, int32_t width_px,
                             int32_t height_px);
/* No lines: of an empty mask. */
void sono_serve_outline_clear(sono_serve_outline *outline);

/* Where a point lies in the frame that the IMAGE's matrix leads to, in mm. The mask fills the IMAGE's
 * subvolume; P is the centre of the whole volume, at index (n - 1) / 2 along each axis. */
void sono_serve_outline_to_mm(const sono_igtl_image *image, const float point_px[2], float out_mm[3]);

#endif
