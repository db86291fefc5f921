// SPDX-License-Identifier: Apache-2.0
/*
 * Which box is a frame's first, as FOLLOW_BOX decides on every backend: where two bones have scores that are
 * near each other, the one that was first in the frame before stays first. C and CUDA C. docs/state.md says
 * the rule in words.
 */
#ifndef SONO_ENGINE_FOLLOW_H
#define SONO_ENGINE_FOLLOW_H

#include "engine/detection.h"
#include "engine/state_machine.h"

#define SONO_FOLLOW_FN SONO_DETECTION_FN

/* A box is followed while its score is this share of the frame's best one: far enough below it for two bones
 * that take turns, while what was a mistake yields to a bone that is clearly seen. */
#define SONO_FOLLOW_SHARE 0.6f

/* It is the same bone from this IoU on, in permille: a probe moves a box by less from one frame to the next,
 * and boxes of neighbouring bones overlap less. */
#define SONO_FOLLOW_IOU 300

/* Whole-number boxes count these to a pixel. */
#define SONO_FOLLOW_STEPS 8.0f

/* What a stream keeps of its first boxes. All zero: there was no frame. */
typedef struct sono_followed {
    int64_t timestamp_ns; /* of the last frame; 0 = unknown */
    int64_t box_ns;       /* of the last frame with a box; 0 = unknown */
    float x1, y1, x2, y2; /* that box, in source pixels */
    int32_t class_id;
    int32_t width_px, height_px; /* of the last frame */
    int32_t has_box;             /* 1: there is one to follow */
    int32_t reserved[4];         /* 0 */
} sono_followed;
static_assert(sizeof(sono_followed) == SONO_FOLLOWED_BYTES, "the tensor `followed` holds one");

/* Whether the stream goes on, as STATE sees it, from a frame of the last one's size and of this time. */
SONO_FOLLOW_FN int follow_reaches(const sono_machine_rules *rules, const sono_followed *kept,
                                  int64_t timestamp_ns, const sono_frame_header *header)
{
    const sono_state_frame frame = {header->timestamp_ns, header->width_px, header->height_px,
                                    header->stream == SONO_STREAM_BEGINS};
    sono_stream_memory last = {0};
    last.timestamp_ns = timestamp_ns;
    last.width_px = kept->width_px;
    last.height_px = kept->height_px;
    return state_dt_ns(rules, &last, &frame) >= 0;
}

/* Whether there is a box to follow: the stream goes on from the last frame, and from the one with the box. */
SONO_FOLLOW_FN int follow_has_box(const sono_machine_rules *rules, const sono_followed *kept,
                                  const sono_frame_header *header)
{
    return kept->has_box && follow_reaches(rules, kept, kept->timestamp_ns, header) &&
           follow_reaches(rules, kept, kept->box_ns, header);
}

/* [low, high] in whole steps, cut off: exact, since a step is a power of two. Below 2^20 of them. */
SONO_FOLLOW_FN int64_t follow_length(float low, float high)
{
    const int64_t length = (int64_t)(high * SONO_FOLLOW_STEPS) - (int64_t)(low * SONO_FOLLOW_STEPS);
    return length > 0 ? length : 0;
}

SONO_FOLLOW_FN float follow_least(float a, float b)
{
    return a < b ? a : b;
}

SONO_FOLLOW_FN float follow_most(float a, float b)
{
    return a > b ? a : b;
}

/* Whether a box (cx cy w h in 0..1) is where the kept one is. Whole numbers, so that host and device agree;
 * sides end at SONO_PROFILE_MAX_SIDE_PX, so that areas have 38 bits. Boxes without an area overlap nothing.
 */
SONO_FOLLOW_FN int follow_is_near(const sono_followed *kept, const float box[4],
                                  const sono_frame_header *header)
{
    sono_detection at = {0};
    detection_place(box, header, &at);
    if (!(at.valid > 0.0f))
        return 0;
    const int64_t inside = follow_length(follow_most(kept->x1, at.x1), follow_least(kept->x2, at.x2)) *
                           follow_length(follow_most(kept->y1, at.y1), follow_least(kept->y2, at.y2));
    const int64_t both = follow_length(kept->x1, kept->x2) * follow_length(kept->y1, kept->y2) +
                         follow_length(at.x1, at.x2) * follow_length(at.y1, at.y2) - inside;
    return inside > 0 && inside * 1000 >= both * SONO_FOLLOW_IOU;
}

/* Whether a query that is near may be first. best: the frame's best score. */
SONO_FOLLOW_FN int follow_takes(const sono_followed *kept, const sono_detection *found, float best)
{
    return found->valid > 0.0f && found->class_id == (float)kept->class_id &&
           found->score >= SONO_FOLLOW_SHARE * best;
}

/* Puts a detection first: where its query is among the rows, those before it move down by one, else all do,
 * and the last one drops out. Rows of SONO_DETECTION_FLOATS, pitch floats apart. */
SONO_FOLLOW_FN void follow_put_first(float *rows, int64_t pitch, int32_t n_rows, const sono_detection *found)
{
    int32_t place = 0;
    while (place < n_rows - 1 && ((const sono_detection *)(rows + place * pitch))->query != found->query)
        place++;
    for (; place > 0; place--)
        *(sono_detection *)(rows + place * pitch) = *(const sono_detection *)(rows + (place - 1) * pitch);
    *(sono_detection *)rows = *found;
}

/* Keeps a frame's first row for the next one; had_box: what follow_has_box() said of this frame. */
SONO_FOLLOW_FN void follow_remember(sono_followed *kept, const sono_detection *first,
                                    const sono_frame_header *header, int had_box)
{
    kept->timestamp_ns = header->timestamp_ns;
    kept->width_px = header->width_px;
    kept->height_px = header->height_px;
    kept->has_box = had_box || first->valid > 0.0f;
    if (!(first->valid > 0.0f))
        return;
    kept->box_ns = header->timestamp_ns;
    kept->x1 = first->x1;
    kept->y1 = first->y1;
    kept->x2 = first->x2;
    kept->y2 = first->y2;
    kept->class_id = (int32_t)first->class_id;
}

#endif
