// SPDX-License-Identifier: Apache-2.0
/*
 * D-FINE's anchors [n][4], log-odds of cx cy w h: which input size they were made for. A file keeps those of
 * the size it was trained at, and nothing else in it depends on that size.
 */
#ifndef SONO_NETS_DFINE_ANCHORS_H
#define SONO_NETS_DFINE_ANCHORS_H

#include <stdint.h>

typedef struct sono_anchor_grid {
    int32_t height_px, width_px; /* of the input: multiples of the coarsest level's stride */
    int32_t finest_stride_px;    /* doubled with every level */
    int32_t n_levels;
} sono_anchor_grid;

/* How many anchors that input has. */
int64_t sono_anchors_count(const sono_anchor_grid *grid);

/* Whether the centres of anchors, sono_anchors_count() of them, are those of grid: rounded to float16 or
 * bfloat16, NaN or infinite where they like. */
int sono_anchors_fit(const float *anchors, const sono_anchor_grid *grid);

/* Finds the size that n anchors were made for, with grid's stride and levels, and writes it into grid.
 * Returns 1, or 0 and leaves it as it is: no size has that many anchors with these centres, or most are not
 * finite. */
int sono_anchors_find_size(const float *anchors, int64_t n, sono_anchor_grid *grid);

#endif
