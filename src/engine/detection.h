// SPDX-License-Identifier: Apache-2.0
/* What a query of the detector says, as a row of detections: SELECT_BOXES and FOLLOW_BOX write the same on
 * every backend. C and CUDA C. */
#ifndef SONO_ENGINE_DETECTION_H
#define SONO_ENGINE_DETECTION_H

#include "engine/region.h"
#include "graph/program.h"

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define SONO_DETECTION_FN static inline __host__ __device__
#else
#define SONO_DETECTION_FN static inline
#endif

SONO_DETECTION_FN float detection_clamp(float value, float high)
{
    return value < 0.0f ? 0.0f : value > high ? high : value;
}

/* box: cx cy w h of the frame's region, in 0..1. Its corners in source pixels, and valid; out stays as it is
 * where the box is not finite. Half of a float32 is exact, so that host and device agree to the bit. */
SONO_DETECTION_FN void detection_place(const float box[4], const sono_frame_header *header,
                                       sono_detection *out)
{
    const region_rect r = region_of(header);
    const float width = (float)r.w, height = (float)r.h;
    if (!isfinite(box[0]) || !isfinite(box[1]) || !isfinite(box[2]) || !isfinite(box[3]))
        return;
    out->x1 = region_out(detection_clamp((box[0] - 0.5f * box[2]) * width, width - 1.0f), r.x);
    out->y1 = region_out(detection_clamp((box[1] - 0.5f * box[3]) * height, height - 1.0f), r.y);
    out->x2 = region_out(detection_clamp((box[0] + 0.5f * box[2]) * width, width - 1.0f), r.x);
    out->y2 = region_out(detection_clamp((box[1] + 0.5f * box[3]) * height, height - 1.0f), r.y);
    out->valid = 1.0f;
}

/* logit: the query's best, NaN where none is a number; class_id: the first that has it. */
SONO_DETECTION_FN sono_detection detection_make(float logit, int32_t class_id, int32_t query,
                                                const float box[4], const sono_frame_header *header)
{
    const float score = 1.0f / (1.0f + expf(-logit));
    sono_detection found = {0.0f,         0.0f, 0.0f, 0.0f, score != score ? 0.0f : score, (float)class_id,
                            (float)query, 0.0f};
    if (score >= header->threshold)
        detection_place(box, header, &found);
    return found;
}

#endif
