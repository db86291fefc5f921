// SPDX-License-Identifier: Apache-2.0
#include "pipeline/maps.h"

#include "graph/map_layout.h"

static int is_width(int32_t width_px)
{
    return width_px >= 1 && width_px <= SONO_WEIGHTS_MAX_WIDTH_PX && width_px % 2 == 1;
}

sono_status sono_weights_check(int32_t edge_width_px, int32_t outside_width_px, sono_error *error)
{
    if (!is_width(edge_width_px) || !is_width(outside_width_px))
        return SONO_FAIL(error, INVALID_ARGUMENT, "weight map widths %d and %d: give odd numbers in [1, %d]",
                         edge_width_px, outside_width_px, SONO_WEIGHTS_MAX_WIDTH_PX);
    return SONO_STATUS_OK;
}

sono_tid sono_weights_record(sono_recorder *rec, sono_tid mask, sono_tid header,
                             const sono_segment_args *args)
{
    rec->stage = SONO_STAGE_WEIGHTS;
    return sono_record_weight_maps(rec, "weights", mask, header, args);
}

int64_t sono_map_at(sono_map which, int32_t object, int64_t n_pixels, int32_t element_bytes)
{
    const int64_t at = object * object_maps_bytes(n_pixels, element_bytes);
    return which == SONO_MAP_MASK ? at : at + weight_map_at(n_pixels, element_bytes, which - SONO_MAP_EDGE);
}
