// SPDX-License-Identifier: Apache-2.0
/* The ops that judge a frame by its first mask. */
#include "graph/kept_layout.h"
#include "graph/map_layout.h"
#include "graph/record_private.h"

#include <stdio.h>
#include <string.h>

static int32_t longer_side(const sono_segment_args *args)
{
    return args->max_width_px > args->max_height_px ? args->max_width_px : args->max_height_px;
}

static int sizes_fit(sono_recorder *rec, const char *name, const sono_segment_args *args)
{
    if (args->max_width_px < 1 || args->max_height_px < 1 || longer_side(args) > SONO_PROFILE_MAX_SIDE_PX ||
        (int64_t)args->max_width_px * args->max_height_px > SONO_PROFILE_MAX_PIXELS)
        RECORD_FAIL(rec, "%s: a frame of %d x %d: sides of 1 to %d and %d pixels at most", name,
                    args->max_width_px, args->max_height_px, SONO_PROFILE_MAX_SIDE_PX,
                    SONO_PROFILE_MAX_PIXELS);
    return rec->status == SONO_STATUS_OK;
}

/* Whether a tensor is the masks of K objects in each of n_frames frames of these sizes. */
static int is_mask(const sono_recorder *rec, sono_tid mask, int32_t n_frames, const sono_segment_args *args)
{
    const sono_tensor m = sono_record_shape(rec, mask);
    return m.dtype == SONO_DTYPE_U8 && m.offset == 0 && n_frames > 0 && m.n % n_frames == 0 && m.h == 1 &&
           m.c == map_bytes((int64_t)args->max_width_px * args->max_height_px, 1);
}

/* Whether a tensor is dense int32 of this shape, one map a frame. */
static int is_rows(const sono_recorder *rec, sono_tid rows, int32_t n_frames, int32_t w, int32_t c)
{
    const sono_tensor r = sono_record_shape(rec, rows);
    return r.dtype == SONO_DTYPE_I32 && r.n == n_frames && r.h == 1 && r.w == w && r.c == c &&
           sono_is_dense(&r);
}

static int32_t frames_of(const sono_recorder *rec, sono_tid header)
{
    const sono_tensor h = sono_record_shape(rec, header);
    return sono_header_frames(&h);
}

void sono_record_mask_profile(sono_recorder *rec, const char *name, sono_tid mask, sono_tid header,
                              const sono_segment_args *args, sono_tid outs[2])
{
    sono_op op = {.kind = SONO_OP_MASK_PROFILE, .in = {mask, header}, .args.segment = *args};
    char path[96];
    memset(outs, 0, 2 * sizeof *outs);
    if (!sono_record_needs(rec, name, op.in, 2) || !sizes_fit(rec, name, args))
        return;
    const int32_t n = frames_of(rec, header);
    if (!is_mask(rec, mask, n, args)) {
        RECORD_FAIL(rec, "%s: mask, header and sizes do not fit", name);
        return;
    }
    snprintf(path, sizeof path, "%.80s.sums", name);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_I32, n, 1, SONO_PROFILE_COUNT, longer_side(args));
    op.out[1] = sono_record_target(rec, path, 0, SONO_DTYPE_I32, n, 1, 1, SONO_STATE_SUMS);
    if (sono_record_op(rec, &op))
        memcpy(outs, op.out, 2 * sizeof *outs);
}

sono_tid sono_record_echo_parts(sono_recorder *rec, const char *name, sono_tid pixels, sono_tid header,
                                sono_tid mask, sono_tid profile, sono_tid sums, sono_tid detections,
                                const sono_segment_args *args)
{
    sono_op op = {.kind = SONO_OP_ECHO_PARTS,
                  .in = {pixels, header, mask, profile, detections},
                  .out = {0, sums},
                  .args.segment = *args};
    if (!sums || !sono_record_needs(rec, name, op.in, 5) || !sizes_fit(rec, name, args))
        return 0;
    const sono_tensor d = sono_record_shape(rec, detections), p = sono_record_shape(rec, pixels);
    const int32_t n = frames_of(rec, header);
    if (p.dtype != SONO_DTYPE_U8 || !sono_is_dense(&p) || !is_mask(rec, mask, n, args) ||
        !is_rows(rec, profile, n, SONO_PROFILE_COUNT, longer_side(args)) ||
        !is_rows(rec, sums, n, 1, SONO_STATE_SUMS) || d.n != n || d.c != SONO_DETECTION_FLOATS)
        return RECORD_FAIL(rec, "%s: pixels, header, mask, profile, sums, detections or sizes do not fit",
                           name);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_I32, n, 1, 1, SONO_ECHO_INTS);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_kept_frame(sono_recorder *rec, const char *name, const sono_segment_args *args)
{
    if (rec->status != SONO_STATUS_OK || !sizes_fit(rec, name, args))
        return 0;
    const int64_t n_bytes = kept_bytes(longer_side(args), (int64_t)args->max_width_px * args->max_height_px);
    return sono_record_kept(rec, name, SONO_DTYPE_U8, 1, 1, 1, (int32_t)n_bytes);
}

static int is_kept_frame(const sono_recorder *rec, sono_tid kept, const sono_segment_args *args)
{
    const sono_tensor k = sono_record_shape(rec, kept);
    return k.dtype == SONO_DTYPE_U8 && k.n == 1 && k.h == 1 && k.w == 1 &&
           k.c == kept_bytes(longer_side(args), (int64_t)args->max_width_px * args->max_height_px);
}

sono_tid sono_record_agreement(sono_recorder *rec, const char *name, sono_tid mask, sono_tid profile,
                               sono_tid sums, sono_tid header, sono_tid kept, const sono_segment_args *args)
{
    sono_op op = {.kind = SONO_OP_AGREEMENT,
                  .in = {mask, profile, header, kept},
                  .out = {0, sums},
                  .args.segment = *args};
    if (!sums || !sono_record_needs(rec, name, op.in, 4) || !sizes_fit(rec, name, args))
        return 0;
    const int32_t n = frames_of(rec, header);
    if (!is_mask(rec, mask, n, args) || !is_rows(rec, profile, n, SONO_PROFILE_COUNT, longer_side(args)) ||
        !is_rows(rec, sums, n, 1, SONO_STATE_SUMS) || !is_kept_frame(rec, kept, args))
        return RECORD_FAIL(rec, "%s: mask, profile, sums, header, kept or sizes do not fit", name);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_I32, n, 1, 1, SONO_AGREEMENT_INTS);
    return sono_record_op(rec, &op);
}

static int is_iou(const sono_recorder *rec, sono_tid iou, const sono_tensor *detections)
{
    const sono_tensor i = sono_record_shape(rec, iou);
    return i.dtype == SONO_DTYPE_F32 && i.n == detections->n * detections->w && i.h == 1 && i.w == 1 &&
           i.c == 4;
}

static int is_memory(const sono_recorder *rec, sono_tid memory)
{
    const sono_tensor m = sono_record_shape(rec, memory);
    return m.dtype == SONO_DTYPE_U8 && m.n == 1 && m.h == 1 && m.w == 1 && m.c == SONO_MEMORY_BYTES;
}

/* Whether these are what a frame is judged by; iou, agreement: 0 = there is none. */
static int are_judged(const sono_recorder *rec, sono_tid detections, sono_tid iou, sono_tid echo,
                      sono_tid agreement, sono_tid header)
{
    const sono_tensor d = sono_record_shape(rec, detections);
    return d.dtype == SONO_DTYPE_F32 && d.c == SONO_DETECTION_FLOATS && frames_of(rec, header) == d.n &&
           is_rows(rec, echo, d.n, 1, SONO_ECHO_INTS) && (!iou || is_iou(rec, iou, &d)) &&
           (!agreement || is_rows(rec, agreement, d.n, 1, SONO_AGREEMENT_INTS));
}

sono_tid sono_record_state(sono_recorder *rec, const char *name, sono_tid detections, sono_tid iou,
                           sono_tid echo, sono_tid agreement, sono_tid header, sono_tid memory,
                           const sono_machine_rules *rules, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_STATE,
                  .in = {detections, iou, echo, agreement, header, memory},
                  .args.state = *rules};
    const sono_tid needed[3] = {detections, echo, header};
    const int by_stream = rules->mode == SONO_STATE_BY_STREAM;
    if (!sono_record_needs(rec, name, needed, 3))
        return 0;
    if (!are_judged(rec, detections, iou, echo, agreement, header) || (memory && !is_memory(rec, memory)))
        return RECORD_FAIL(rec, "%s: detections, IoU, echo, agreement, header and memory do not fit", name);
    if ((memory != 0) != by_stream || (agreement && !by_stream))
        return RECORD_FAIL(rec, "%s: memory goes with states by stream, and agreement with memory", name);
    op.out[0] =
        sono_record_target(rec, name, out, SONO_DTYPE_I32, frames_of(rec, header), 1, 1, SONO_VERDICT_INTS);
    op.out[1] = memory;
    return sono_record_op(rec, &op);
}

void sono_record_show_mask(sono_recorder *rec, const char *name, sono_tid verdict, sono_tid profile,
                           sono_tid header, sono_tid mask, sono_tid area, sono_tid detections, sono_tid kept,
                           const sono_segment_args *args)
{
    const sono_op op = {.kind = SONO_OP_SHOW_MASK,
                        .in = {verdict, profile, header},
                        .out = {mask, area, detections, kept},
                        .args.segment = *args};
    if (!sono_record_needs(rec, name, op.in, 3) || !sono_record_needs(rec, name, op.out, 3) ||
        !sizes_fit(rec, name, args))
        return;
    const sono_tensor m = sono_record_shape(rec, mask), a = sono_record_shape(rec, area);
    const sono_tensor d = sono_record_shape(rec, detections);
    const int32_t n = frames_of(rec, header);
    if (!is_mask(rec, mask, n, args) || !is_rows(rec, verdict, n, 1, SONO_VERDICT_INTS) ||
        !is_rows(rec, profile, n, SONO_PROFILE_COUNT, longer_side(args)) || a.dtype != SONO_DTYPE_I32 ||
        a.n != m.n || d.n != n || d.n * d.w != m.n || d.c != SONO_DETECTION_FLOATS ||
        (kept && !is_kept_frame(rec, kept, args)))
        RECORD_FAIL(rec, "%s: verdict, profile, header, mask, area, detections, kept or sizes do not fit",
                    name);
    else
        sono_record_op(rec, &op);
}

void sono_record_schedule(sono_recorder *rec, const char *name, sono_tid memory, sono_tid kept,
                          sono_tid header, sono_tid followed, const sono_segment_args *sizes,
                          const sono_schedule_args *args, sono_tid outs[2])
{
    sono_op op = {.kind = SONO_OP_SCHEDULE, .in = {memory, kept, header}, .args.schedule = *args};
    char path[96];
    memset(outs, 0, 2 * sizeof *outs);
    if (!followed || !sono_record_needs(rec, name, op.in, 3) || !sizes_fit(rec, name, sizes))
        return;
    if (!is_memory(rec, memory) ||
        sono_tensor_count(&rec->program->tensors[followed]) != SONO_FOLLOWED_BYTES ||
        !is_kept_frame(rec, kept, sizes) || frames_of(rec, header) != 1 ||
        args->rules.mode != SONO_STATE_BY_STREAM || args->detect_every < 1) {
        RECORD_FAIL(rec, "%s: memory, kept, header, followed, sizes or rules do not fit", name);
        return;
    }
    snprintf(path, sizeof path, "%.80s.box", name);
    op.args.schedule.side = longer_side(sizes);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_I32, 1, 1, 1, SONO_STEP_INTS);
    op.out[1] = sono_record_target(rec, path, 0, SONO_DTYPE_F32, 1, 1, 1, SONO_DETECTION_FLOATS);
    op.out[2] = memory;
    op.out[3] = followed;
    if (sono_record_op(rec, &op))
        memcpy(outs, op.out, 2 * sizeof *outs);
}

sono_tid sono_record_doubt(sono_recorder *rec, const char *name, sono_tid detections, sono_tid iou,
                           sono_tid echo, sono_tid agreement, sono_tid header, sono_tid memory,
                           const sono_machine_rules *rules)
{
    sono_op op = {.kind = SONO_OP_DOUBT,
                  .in = {detections, iou, echo, agreement, header, memory},
                  .args.state = *rules};
    const sono_tid needed[4] = {detections, echo, header, memory};
    if (!sono_record_needs(rec, name, needed, 4))
        return 0;
    if (!are_judged(rec, detections, iou, echo, agreement, header) || !is_memory(rec, memory) ||
        frames_of(rec, header) != 1 || rules->mode != SONO_STATE_BY_STREAM)
        return RECORD_FAIL(rec, "%s: detections, IoU, echo, agreement, header, memory or rules do not fit",
                           name);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_I32, 1, 1, 1, SONO_STEP_INTS);
    return sono_record_op(rec, &op);
}
