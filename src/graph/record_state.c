// SPDX-License-Identifier: Apache-2.0
#include "graph/record_private.h"

#define ECHO_INTS      16
#define AGREEMENT_INTS 8
#define VERDICT_INTS   24
#define MEMORY_BYTES   256

/* A row of whole numbers a frame. */
static int is_rows(const sono_tensor *t, int32_t n_frames, int32_t n_ints)
{
    return t->dtype == SONO_DTYPE_I32 && t->n == n_frames && t->h == 1 && t->w == 1 && t->c == n_ints;
}

static int is_iou(const sono_tensor *t, const sono_tensor *detections)
{
    return t->dtype == SONO_DTYPE_F32 && t->n == detections->n * detections->w && t->h == 1 && t->w == 1 &&
           t->c == 4;
}

static int is_memory(const sono_tensor *t)
{
    return t->dtype == SONO_DTYPE_U8 && t->n == 1 && t->h == 1 && t->w == 1 && t->c == MEMORY_BYTES;
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
    const sono_tensor d = sono_record_shape(rec, detections), h = sono_record_shape(rec, header);
    const sono_tensor i = sono_record_shape(rec, iou), e = sono_record_shape(rec, echo),
                      a = sono_record_shape(rec, agreement), m = sono_record_shape(rec, memory);
    if (d.dtype != SONO_DTYPE_F32 || d.c != SONO_DETECTION_FLOATS || sono_header_frames(&h) != d.n ||
        !is_rows(&e, d.n, ECHO_INTS) || (iou && !is_iou(&i, &d)) ||
        (agreement && !is_rows(&a, d.n, AGREEMENT_INTS)) || (memory && !is_memory(&m)))
        return RECORD_FAIL(rec, "%s: detections, IoU, echo, agreement, header and memory do not fit", name);
    if ((memory != 0) != by_stream || (agreement && !by_stream))
        return RECORD_FAIL(rec, "%s: memory goes with states by stream, and agreement with memory", name);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_I32, d.n, 1, 1, VERDICT_INTS);
    op.out[1] = memory;
    return sono_record_op(rec, &op);
}
