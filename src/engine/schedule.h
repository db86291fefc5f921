// SPDX-License-Identifier: Apache-2.0
/*
 * Which frames of a stream go without the detector, as SCHEDULE and DOUBT decide on every backend: in a frame
 * that follows a VISIBLE and good one the box is that of the mask before, unless the detector's turn has
 * come. Where such a frame does not turn out good and VISIBLE itself, the detector runs in it after all. C
 * and CUDA C; whole numbers, so that all agree to the bit.
 */
#ifndef SONO_ENGINE_SCHEDULE_H
#define SONO_ENGINE_SCHEDULE_H

#include "engine/follow.h"
#include "engine/state_rows.h"

/* Permille. The score of a frame without the detector is an old one, and may be most of its quality: what the
 * other parts lose since the detector ran shows in the quality's fall. And such a frame must agree with the
 * one before it better than any good one must. */
#define SCHEDULE_MOST_FALL       30
#define SCHEDULE_LEAST_AGREEMENT 600

/* Pixels [x1, x2) x [y1, y2) that a mask reaches over; x2 == 0: it is empty. */
typedef struct sono_extent {
    int32_t x1, y1, x2, y2;
} sono_extent;

/* Whether the frame can go without the detector, by all but the mask before. */
SONO_STATE_FN int schedule_trusts(const sono_schedule_args *args, const sono_stream_memory *memory,
                                  const sono_frame_header *header)
{
    const sono_state_frame frame = {header->timestamp_ns, header->width_px, header->height_px,
                                    header->stream != SONO_STREAM_GOES_ON};
    return memory->state == SONO_STATE_VISIBLE && memory->grade == SONO_GRADE_GOOD && memory->has_mask &&
           memory->n_recalled < args->detect_every - 1 && memory->score >= header->threshold &&
           state_dt_ns(&args->rules, memory, &frame) >= 0;
}

SONO_STATE_FN float schedule_within(float value, int32_t size)
{
    return value < 0.0f ? 0.0f : value > (float)(size - 1) ? (float)(size - 1) : value;
}

/* The box of the mask before, as a detection: the mask's ends, and what lay between them and the detector's
 * box when it ran last, which differs from structure to structure. Not valid where nothing is left of it;
 * else it is what the next detection is to follow. */
SONO_STATE_FN sono_detection schedule_recall(sono_stream_memory *memory, sono_followed *followed,
                                             const sono_frame_header *header, const sono_extent *mask)
{
    const float ends[4] = {(float)mask->x1, (float)mask->y1, (float)mask->x2, (float)mask->y2};
    const sono_detection none = {0, 0, 0, 0, 0, 0, 0, 0};
    float box[4];
    if (!mask->x2)
        return none;
    for (int i = 0; i < 4; i++) {
        if (memory->n_recalled == 0)
            memory->margin[i] = memory->box[i] - ends[i];
        box[i] = schedule_within(ends[i] + memory->margin[i], i % 2 ? header->height_px : header->width_px);
    }
    const sono_detection found = {box[0],        box[1],           box[2], box[3],
                                  memory->score, memory->class_id, -1.0f,  1.0f};
    if (!(box[0] < box[2] && box[1] < box[3]))
        return none;
    follow_remember(followed, &found, header, 1);
    return found;
}

/* Whether a frame with a recalled box needs the detector: tried on a copy of the stream's memory. */
SONO_STATE_FN int schedule_doubts(const sono_machine_rules *rules, const sono_state_rows *rows,
                                  const sono_stream_memory *memory)
{
    sono_stream_memory copy = *memory;
    sono_verdict v;
    if (rows->detection[SONO_DETECTION_VALID] <= 0.0f || rows->detection[SONO_DETECTION_QUERY] >= 0.0f)
        return 0;
    state_judge(rules, rows, &copy, &v);
    return v.state != SONO_STATE_VISIBLE || copy.grade != SONO_GRADE_GOOD ||
           v.quality < memory->detected_quality - SCHEDULE_MOST_FALL ||
           (v.agreement >= 0 && v.agreement < SCHEDULE_LEAST_AGREEMENT);
}

#endif
