// SPDX-License-Identifier: Apache-2.0
/* The three maps made from a mask, in source resolution, 0 / 1, behind it in one tensor (graph/map_layout.h):
 * edge = dilate(mask, e x e) - erode(mask, e x e); inside = erode(mask, e x e); outside = dilate(mask, o x o)
 * - mask. Beyond the image's border nothing counts as background for the erosion. */
#ifndef SONO_PIPELINE_MAPS_H
#define SONO_PIPELINE_MAPS_H

#include "graph/record.h"

#define SONO_WEIGHTS_MAX_WIDTH_PX 63

/* Errors: INVALID_ARGUMENT unless both widths are odd and in [1, SONO_WEIGHTS_MAX_WIDTH_PX]. */
sono_status sono_weights_check(int32_t edge_width_px, int32_t outside_width_px, sono_error *error);

/* Where an object's map begins, from its frame's first mask on. n_pixels: of the frame. element_bytes: of a
 * weight map. */
int64_t sono_map_at(sono_map which, int32_t object, int64_t n_pixels, int32_t element_bytes);

/* Returns the planes behind the mask. */
sono_tid sono_weights_record(sono_recorder *rec, sono_tid mask, sono_tid header,
                             const sono_segment_args *args);

#endif
