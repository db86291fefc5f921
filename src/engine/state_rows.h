// SPDX-License-Identifier: Apache-2.0
/* A frame as STATE reads it, from rows that other ops wrote. C and CUDA C. */
#ifndef SONO_ENGINE_STATE_ROWS_H
#define SONO_ENGINE_STATE_ROWS_H

#include "engine/state_machine.h"

/* One frame's; of its objects the first. */
typedef struct sono_state_rows {
    const sono_frame_header *header;
    const float *detection;   /* a sono_detection */
    const float *iou;         /* the segmenter's estimate; NULL = unknown */
    const int32_t *echo;      /* [SONO_ECHO_INTS] */
    const int32_t *agreement; /* [SONO_AGREEMENT_INTS]; NULL = unknown */
} sono_state_rows;

/* floor(1000 x) within [0, 1000]; 0 for NaN. One rounding, so that host and device agree. */
SONO_STATE_FN int32_t state_permille(float x)
{
    const float permille = x * 1000.0f;
    return permille >= 1000.0f ? 1000 : permille > 0.0f ? (int32_t)permille : 0;
}

SONO_STATE_FN uint64_t state_fingerprint(const int32_t *echo)
{
    return (uint64_t)(uint32_t)echo[SONO_ECHO_FINGERPRINT_HIGH] << 32 |
           (uint32_t)echo[SONO_ECHO_FINGERPRINT_LOW];
}

SONO_STATE_FN void state_parts(const sono_state_rows *rows, const sono_stream_memory *memory,
                               sono_frame_parts *parts)
{
    const sono_frame_parts unknown = {{-1, -1, -1, -1, -1, -1, -1, -1}, 0, 0, 0, 0, 0};
    *parts = unknown;
    parts->has_box = rows->detection[SONO_DETECTION_VALID] > 0.0f;
    parts->is_recalled = parts->has_box && rows->detection[SONO_DETECTION_QUERY] < 0.0f;
    parts->permille[SONO_QUALITY_SCORE] = state_permille(rows->detection[SONO_DETECTION_SCORE]);
    if (rows->iou && parts->has_box)
        parts->permille[SONO_QUALITY_IOU] = state_permille(rows->iou[0]);
    parts->permille[SONO_QUALITY_SHARPNESS] = rows->echo[SONO_ECHO_SHARPNESS];
    parts->permille[SONO_QUALITY_CONTRAST] = rows->echo[SONO_ECHO_CONTRAST];
    parts->permille[SONO_QUALITY_SHADOW] = rows->echo[SONO_ECHO_SHADOW];
    parts->permille[SONO_QUALITY_CONTINUITY] = rows->echo[SONO_ECHO_CONTINUITY];
    if (rows->agreement) {
        parts->permille[SONO_QUALITY_AGREEMENT] = rows->agreement[SONO_AGREEMENT_IOU];
        parts->permille[SONO_QUALITY_SURFACE] = rows->agreement[SONO_AGREEMENT_SURFACE];
        parts->moved_x = rows->agreement[SONO_AGREEMENT_MOVED_X];
        parts->moved_y = rows->agreement[SONO_AGREEMENT_MOVED_Y];
    }
    if (memory)
        parts->is_repeat = memory->has_frame && memory->fingerprint == state_fingerprint(rows->echo);
}

/* What the frame after this one is compared with. */
SONO_STATE_FN void state_remember(const sono_state_rows *rows, const sono_verdict *v,
                                  sono_stream_memory *memory)
{
    memory->fingerprint = state_fingerprint(rows->echo);
    memory->has_mask = v->state != SONO_STATE_LOST && has_outline(&v->parts);
    for (int i = 0; i < 4; i++)
        memory->box[i] = rows->detection[i];
    memory->score = rows->detection[SONO_DETECTION_SCORE];
    memory->class_id = rows->detection[SONO_DETECTION_CLASS];
    memory->n_recalled = v->parts.is_recalled ? memory->n_recalled + 1 : 0;
    if (!v->parts.is_recalled)
        memory->detected_quality = v->quality;
}

/* The verdict on the next frame; a placeholder is LOST and leaves the memory as it is. memory: NULL unless
 * BY_STREAM. */
SONO_STATE_FN void state_judge(const sono_machine_rules *rules, const sono_state_rows *rows,
                               sono_stream_memory *memory, sono_verdict *v)
{
    const sono_frame_header *header = rows->header;
    const sono_state_frame frame = {header->timestamp_ns, header->width_px, header->height_px,
                                    header->stream == SONO_STREAM_BEGINS};
    const sono_verdict none = {SONO_STATE_LOST,
                               0,
                               -1,
                               SONO_STATE_NO_BOX,
                               0,
                               0,
                               0,
                               0,
                               {{-1, -1, -1, -1, -1, -1, -1, -1}, 0, 0, 0, 0, 0},
                               {0, 0, 0}};
    sono_frame_parts parts;
    *v = none;
    if (header->stream == SONO_STREAM_NO_FRAME)
        return;
    state_parts(rows, memory, &parts);
    state_step(rules, memory, &parts, &frame, v);
    if (memory)
        state_remember(rows, v, memory);
}

#endif
