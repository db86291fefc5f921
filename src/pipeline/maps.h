// SPDX-License-Identifier: Apache-2.0
/* The three maps made from a mask, in source resolution, 0 / 1:
 * edge = dilate(mask, e x e) - erode(mask, e x e); inside = erode(mask, e x e); outside = dilate(mask, o x o)
 * - mask. Beyond the image's border nothing counts as background for the erosion. */
#ifndef SONO_PIPELINE_MAPS_H
#define SONO_PIPELINE_MAPS_H

#include "graph/record.h"

#define SONO_WEIGHTS_MAX_WIDTH_PX 63

typedef struct sono_weights_tensors {
    sono_tid edge, inside, outside; /* OUTPUT, F32 [K, 1, 1, max pixels] */
} sono_weights_tensors;

/* Errors: INVALID_ARGUMENT unless both widths are odd and in [1, SONO_WEIGHTS_MAX_WIDTH_PX]. */
sono_status sono_weights_check(int32_t edge_width_px, int32_t outside_width_px, sono_error *error);

void sono_weights_record(sono_recorder *rec, sono_tid mask, sono_tid header, const sono_segment_args *args,
                         sono_weights_tensors *out);

#endif
