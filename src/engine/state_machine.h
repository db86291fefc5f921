// SPDX-License-Identifier: Apache-2.0
/*
 * Which state a frame has: LOST, RELOCALIZING or VISIBLE, as STATE decides on every backend and
 * sono_state_machine_step() replays it. C and CUDA C, whole numbers only, so that all agree to the bit.
 * docs/state.md draws the machine.
 *
 * Doubt is quick and trust is slow: VISIBLE ends with the first bad frame, and comes back after
 * visible_after_ms of good ones of which one has agreed with the frame before it. Quality and agreement have
 * two thresholds each: from `on` a frame is good, below `off` it is bad, and what is between changes nothing
 * while VISIBLE. Time is that of the frames' timestamps, not their number.
 */
#ifndef SONO_ENGINE_STATE_MACHINE_H
#define SONO_ENGINE_STATE_MACHINE_H

#include "graph/program.h"

#include <stdint.h>

#ifdef __CUDACC__
#define SONO_STATE_FN static inline __host__ __device__
#else
#define SONO_STATE_FN static inline
#endif

/* sono_parts of sonoseg.h without its size. */
typedef struct sono_frame_parts {
    int32_t permille[SONO_QUALITY_PARTS]; /* [0, 1000]; -1 = unknown */
    int32_t is_repeat, moved_x, moved_y, has_box;
    int32_t is_recalled; /* 1: the box is that of the mask before: the detector did not run */
} sono_frame_parts;

/* What is found out about a frame: a row of STATE's output I32 [N, 1, 1, SONO_VERDICT_INTS]. */
typedef struct sono_verdict {
    int32_t state;     /* sono_state */
    int32_t quality;   /* permille; 0 without a box or a mask */
    int32_t agreement; /* permille; -1 = unknown */
    int32_t reasons;   /* bits of sono_state_reason; 0 exactly where VISIBLE */
    int32_t dt_us, trust_us, doubt_us, repeat_us;
    sono_frame_parts parts; /* as they were judged */
    int32_t reserved[3];    /* 0 */
} sono_verdict;
static_assert(sizeof(sono_verdict) == SONO_VERDICT_INTS * sizeof(int32_t), "a verdict is a row of STATE");

/* How a frame looks by itself. */
typedef enum sono_grade { SONO_GRADE_BAD, SONO_GRADE_FAIR, SONO_GRADE_GOOD } sono_grade;

/* What a stream keeps from one frame to the next. All zero: there was none. */
typedef struct sono_stream_memory {
    int64_t timestamp_ns; /* of the last frame; 0 = unknown */
    int64_t trust_ns;     /* good time, at most visible_after_ms; LOST: time that was not bad */
    int64_t doubt_ns;     /* bad time, at most lost_after_ms */
    int64_t repeat_ns;    /* since the first frame with these pixels, at most frozen_after_ms */
    uint64_t fingerprint; /* of the last frame */
    int32_t width_px, height_px;
    int32_t state;            /* sono_state after the last frame */
    int32_t grade;            /* sono_grade of the last frame */
    int32_t has_frame;        /* 1: there was one */
    int32_t is_trusted;       /* 1: there was a good frame since the last bad one */
    int32_t has_agreed;       /* 1: such a frame agreed with the one before it */
    int32_t has_mask;         /* 1: the last frame's mask is shown, and is not empty */
    float box[4];             /* of the last frame: x1, y1, x2, y2 in pixels; 0 where it is not valid */
    float score, class_id;    /* of the last detection */
    int32_t n_recalled;       /* frames since the detector ran, the last one included */
    int32_t detected_quality; /* of the last frame in which it ran */
    float margin[4];          /* from the mask's ends to the detector's box; SCHEDULE's */
    int32_t reserved[34];     /* 0 */
} sono_stream_memory;
static_assert(sizeof(sono_stream_memory) == SONO_MEMORY_BYTES, "the tensor `memory` holds one");

/* When a frame was made, and how large it is. */
typedef struct sono_state_frame {
    int64_t timestamp_ns; /* 0 = unknown */
    int32_t width_px, height_px;
    int32_t begins; /* 1: nothing before this frame counts */
} sono_state_frame;

SONO_STATE_FN int64_t state_ns(int32_t ms)
{
    return (int64_t)ms * 1000000;
}

SONO_STATE_FN int64_t state_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Time since the last frame; -1: the stream begins (anew): a memory without a frame has no size. Unsigned, as
 * two timestamps may be further apart than an int64_t counts. */
SONO_STATE_FN int64_t state_dt_ns(const sono_machine_rules *rules, const sono_stream_memory *memory,
                                  const sono_state_frame *frame)
{
    if (frame->begins || memory->width_px != frame->width_px || memory->height_px != frame->height_px)
        return -1;
    if (!frame->timestamp_ns || !memory->timestamp_ns)
        return state_ns(rules->default_dt_ms);
    const uint64_t dt = (uint64_t)frame->timestamp_ns - (uint64_t)memory->timestamp_ns;
    if (frame->timestamp_ns < memory->timestamp_ns || dt > (uint64_t)state_ns(rules->gap_ms))
        return -1;
    return (int64_t)dt;
}

SONO_STATE_FN int has_outline(const sono_frame_parts *parts)
{
    return parts->has_box && parts->permille[SONO_QUALITY_CONTINUITY] >= 0;
}

/* Nothing to outline has no quality, whatever its parts say. */
SONO_STATE_FN int32_t state_quality(const sono_machine_rules *rules, const sono_frame_parts *parts)
{
    int64_t sum = rules->bias;
    for (int i = 0; i < SONO_QUALITY_PARTS; i++) {
        const int32_t part = parts->permille[i] < 0 ? rules->unknown_part : parts->permille[i];
        sum += (int64_t)rules->weight[i] * part;
    }
    return !has_outline(parts) || sum < 0 ? 0 : sum > 1000000 ? 1000 : (int32_t)(sum / 1000);
}

/* A thin structure that moves by its own thickness has no IoU left, but its centre line is near: the larger
 * one counts. -1 = both are unknown. */
SONO_STATE_FN int32_t state_agreement(const sono_frame_parts *parts)
{
    const int32_t iou = parts->permille[SONO_QUALITY_AGREEMENT];
    const int32_t surface = parts->permille[SONO_QUALITY_SURFACE];
    return iou > surface ? iou : surface;
}

/* Unknown agreement speaks neither for nor against. */
SONO_STATE_FN sono_grade state_grade(const sono_machine_rules *rules, const sono_verdict *v)
{
    if (!has_outline(&v->parts) || v->quality < rules->off ||
        (v->agreement >= 0 && v->agreement < rules->agree_off))
        return SONO_GRADE_BAD;
    if (v->quality < rules->on || (v->agreement >= 0 && v->agreement < rules->agree_on))
        return SONO_GRADE_FAIR;
    return SONO_GRADE_GOOD;
}

/* Why a frame of this grade is not VISIBLE: never 0. was_visible: until this frame. */
SONO_STATE_FN int32_t state_reasons(const sono_machine_rules *rules, const sono_verdict *v, sono_grade grade,
                                    int was_visible, int is_frozen)
{
    const int32_t least = was_visible ? rules->off : rules->on;
    const int32_t agree = was_visible ? rules->agree_off : rules->agree_on;
    if (!v->parts.has_box)
        return SONO_STATE_NO_BOX;
    if (!has_outline(&v->parts))
        return SONO_STATE_NO_MASK;
    return (v->quality < least ? SONO_STATE_LOW_QUALITY : 0) |
           (v->agreement >= 0 && v->agreement < agree ? SONO_STATE_DISAGREES : 0) |
           (is_frozen                  ? SONO_STATE_FROZEN
            : grade == SONO_GRADE_GOOD ? SONO_STATE_TOO_SOON
                                       : 0);
}

SONO_STATE_FN void state_forget_trust(sono_stream_memory *memory)
{
    memory->trust_ns = 0;
    memory->is_trusted = 0;
    memory->has_agreed = 0;
}

/* Bad time is that between two bad frames; a fair frame takes its own from it, a good one all. */
SONO_STATE_FN void state_count_doubt(const sono_machine_rules *rules, sono_stream_memory *memory,
                                     sono_grade grade, int64_t dt_ns)
{
    if (grade == SONO_GRADE_GOOD)
        memory->doubt_ns = 0;
    else if (grade == SONO_GRADE_FAIR)
        memory->doubt_ns = memory->doubt_ns > dt_ns ? memory->doubt_ns - dt_ns : 0;
    else if (memory->grade == SONO_GRADE_BAD)
        memory->doubt_ns = state_least(memory->doubt_ns + dt_ns, state_ns(rules->lost_after_ms));
}

/* Good time ends with good frames, and no bad or frozen one lies in it. LOST: time between frames that are
 * not bad. A frame that repeats the one before agrees with it, which says nothing. */
SONO_STATE_FN void state_count_trust(const sono_machine_rules *rules, sono_stream_memory *memory,
                                     const sono_verdict *v, sono_grade grade, int is_frozen, int64_t dt_ns)
{
    if (memory->state == SONO_STATE_LOST) {
        memory->trust_ns =
            grade == SONO_GRADE_BAD || memory->grade == SONO_GRADE_BAD ? 0 : memory->trust_ns + dt_ns;
        return;
    }
    if (grade == SONO_GRADE_BAD || is_frozen) {
        state_forget_trust(memory);
        return;
    }
    if (grade != SONO_GRADE_GOOD)
        return;
    if (memory->is_trusted)
        memory->trust_ns = state_least(memory->trust_ns + dt_ns, state_ns(rules->visible_after_ms));
    memory->is_trusted = 1;
    if (!v->parts.is_repeat && v->agreement >= rules->agree_on)
        memory->has_agreed = 1;
}

/* At most one transition a frame: what fades passes through RELOCALIZING, and so does what returns. Trust
 * grows with good frames only, and has ended with a frozen one: the frame that becomes VISIBLE is a good one.
 */
SONO_STATE_FN void state_move(const sono_machine_rules *rules, sono_stream_memory *memory, sono_grade grade,
                              int is_frozen)
{
    if (memory->state == SONO_STATE_LOST) {
        if (grade == SONO_GRADE_BAD || memory->trust_ns < state_ns(rules->found_after_ms))
            return;
        memory->state = SONO_STATE_RELOCALIZING;
        state_forget_trust(memory);
        memory->is_trusted = grade == SONO_GRADE_GOOD && !is_frozen;
        memory->doubt_ns = 0;
    } else if (memory->state == SONO_STATE_VISIBLE) {
        if (grade == SONO_GRADE_BAD || is_frozen)
            memory->state = SONO_STATE_RELOCALIZING;
    } else if (grade == SONO_GRADE_BAD) {
        if (memory->doubt_ns >= state_ns(rules->lost_after_ms))
            memory->state = SONO_STATE_LOST;
    } else if (memory->has_agreed && memory->trust_ns >= state_ns(rules->visible_after_ms)) {
        memory->state = SONO_STATE_VISIBLE;
    }
}

/* A frame by itself: neither agreement nor repeats are known. */
SONO_STATE_FN void state_alone(const sono_machine_rules *rules, const sono_frame_parts *parts,
                               sono_verdict *v)
{
    v->parts = *parts;
    v->parts.permille[SONO_QUALITY_AGREEMENT] = v->parts.permille[SONO_QUALITY_SURFACE] = -1;
    v->parts.is_repeat = v->parts.moved_x = v->parts.moved_y = 0;
    v->quality = state_quality(rules, &v->parts);
    v->agreement = -1;
    const sono_grade grade = state_grade(rules, v);
    if (rules->mode == SONO_STATE_BY_SCORE)
        v->state = parts->has_box ? SONO_STATE_VISIBLE : SONO_STATE_LOST;
    else
        v->state = grade == SONO_GRADE_GOOD   ? SONO_STATE_VISIBLE
                   : grade == SONO_GRADE_FAIR ? SONO_STATE_RELOCALIZING
                                              : SONO_STATE_LOST;
    v->reasons = v->state == SONO_STATE_VISIBLE ? 0 : state_reasons(rules, v, grade, 0, 0);
}

/* The next frame of a stream: a verdict, and the memory for the frame after it. Of the memory it leaves
 * fingerprint, has_mask, the pose and what was detected alone, but where the stream begins, with all 0. Anew
 * where a stream begins, and while LOST, a frame agrees with nothing. memory: not used, may be NULL, unless
 * BY_STREAM. */
SONO_STATE_FN void state_step(const sono_machine_rules *rules, sono_stream_memory *memory,
                              const sono_frame_parts *parts, const sono_state_frame *frame, sono_verdict *v)
{
    const sono_verdict none = {0};
    const sono_stream_memory empty = {0};
    *v = none;
    state_alone(rules, parts, v);
    if (rules->mode != SONO_STATE_BY_STREAM)
        return;
    int64_t dt_ns = state_dt_ns(rules, memory, frame);
    const int begins = dt_ns < 0;
    if (begins) {
        *memory = empty;
        dt_ns = 0;
    }
    if (memory->state != SONO_STATE_LOST)
        v->parts = *parts;
    v->parts.is_repeat = begins ? 0 : parts->is_repeat;
    v->quality = state_quality(rules, &v->parts);
    v->agreement = state_agreement(&v->parts);
    memory->repeat_ns =
        !v->parts.is_repeat ? 0 : state_least(memory->repeat_ns + dt_ns, state_ns(rules->frozen_after_ms));
    const int is_frozen = v->parts.is_repeat && memory->repeat_ns >= state_ns(rules->frozen_after_ms);
    const int was_visible = memory->state == SONO_STATE_VISIBLE;
    const sono_grade grade = state_grade(rules, v);
    state_count_doubt(rules, memory, grade, dt_ns);
    state_count_trust(rules, memory, v, grade, is_frozen, dt_ns);
    state_move(rules, memory, grade, is_frozen);
    memory->timestamp_ns = frame->timestamp_ns;
    memory->width_px = frame->width_px;
    memory->height_px = frame->height_px;
    memory->grade = grade;
    memory->has_frame = 1;
    v->state = memory->state;
    v->reasons = begins ? SONO_STATE_BEGAN : 0;
    if (v->state != SONO_STATE_VISIBLE)
        v->reasons |= state_reasons(rules, v, grade, was_visible, is_frozen);
    v->dt_us = (int32_t)(dt_ns / 1000);
    v->trust_us = (int32_t)(memory->trust_ns / 1000);
    v->doubt_us = (int32_t)(memory->doubt_ns / 1000);
    v->repeat_us = (int32_t)(memory->repeat_ns / 1000);
}

#endif
