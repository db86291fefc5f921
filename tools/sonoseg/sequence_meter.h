// SPDX-License-Identifier: Apache-2.0
/* One result against its truth, and against the frame before it, for an evaluation over time. */
#ifndef SONOSEG_TOOL_SEQUENCE_METER_H
#define SONOSEG_TOOL_SEQUENCE_METER_H

#include "sequence.h"

#include "sonoseg/phantom.h"

/* A result: what the meter needs of a packet. */
typedef struct sequence_result {
    const sono_frame_info *info;
    const sono_parts *parts;
    int32_t width_px;
    double quality, score;     /* [0, 1] */
    int64_t mask_area_px;      /* 0: nothing is shown */
    const float *bbox_xyxy_px; /* of 4 */
    const float *surface_px; /* row of the surface in each of the width_px columns, -1 = none; NULL = there is
                                none at all */
} sequence_result;

/* Zero: nothing came before. Thread-safety: none. */
typedef struct sequence_meter {
    int64_t n_frames;
    double *errors_mm, *last_mm; /* of the surface, signed, in this frame's columns and in those of the one
                                    before it; without truth its depth; NAN = none */
    int32_t capacity_px, last_width_px;
    int32_t sweep;
    float last_pose[12];
    int32_t had_pose;
} sequence_meter;

/* truth: NULL = unknown. sweep: a frame of another sweep than the last one has nothing before it. Returns 0,
 * or -1 when out of memory. */
int sequence_measure(sequence_meter *self, const sequence_result *result, const sono_truth *truth,
                     int32_t sweep, sequence_frame *out);

void sequence_meter_free(sequence_meter *self);

#endif
