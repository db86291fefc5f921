// SPDX-License-Identifier: Apache-2.0
#include "pipeline/maps.h"

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

void sono_weights_record(sono_recorder *rec, sono_tid mask, sono_tid header, const sono_segment_args *args,
                         sono_weights_tensors *out)
{
    sono_tid maps[3];
    rec->stage = SONO_STAGE_WEIGHTS;
    sono_record_weight_maps(rec, "weights", mask, header, args, maps);
    for (int i = 0; i < 3; i++)
        sono_record_output(rec, maps[i]);
    *out = (sono_weights_tensors){maps[0], maps[1], maps[2]};
}
