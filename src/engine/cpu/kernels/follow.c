// SPDX-License-Identifier: Apache-2.0
/*
 * FOLLOW_BOX: logits [N, 1, Q, classes], boxes [N, 1, Q, 4] cx cy w h in 0..1, headers, detections
 * [N, 1, K, 8] as SELECT_BOXES wrote them, followed U8 [1, 1, 1, 64] -> detections and followed, in place:
 * the query that lies where the frame before had its first box comes first (engine/follow.h), of several the
 * one that SELECT_BOXES would put first. The frames of a batch one after the other; placeholders change
 * nothing. Test: tests/ops/test_follow.c.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/rank.h"
#include "engine/follow.h"

/* One frame's. */
typedef struct frame {
    const float *logits, *boxes;
    int64_t logits_pitch, boxes_pitch;
    int32_t n_queries, n_classes;
    const sono_frame_header *header;
} frame;

static sono_detection detection_of(const frame *f, int32_t q)
{
    const float *row = f->logits + q * f->logits_pitch;
    const float logit = rank_row_max(row, f->n_classes);
    return detection_make(logit, rank_row_find(row, f->n_classes, logit), q, f->boxes + q * f->boxes_pitch,
                          f->header);
}

/* The query to be first; -1: there is none to follow. best: the frame's best score. */
static int32_t find_followed(const frame *f, const sono_followed *kept, float best)
{
    uint64_t best_key = 0;
    for (int32_t q = 0; q < f->n_queries; q++) {
        if (!follow_is_near(kept, f->boxes + q * f->boxes_pitch, f->header))
            continue;
        const sono_detection found = detection_of(f, q);
        const uint64_t key = rank_key(rank_row_max(f->logits + q * f->logits_pitch, f->n_classes), q);
        if (follow_takes(kept, &found, best) && key > best_key)
            best_key = key;
    }
    return best_key ? rank_index(best_key) : -1;
}

void SONO_KERNEL(sono_cpu_follow)(const sono_cpu_call *call)
{
    const sono_cpu_tensor *logits = &call->in[0], *boxes = &call->in[1], *out = &call->out[0];
    const sono_frame_header *headers = call->in[2].data;
    sono_followed *kept = call->out[1].data;
    for (int32_t n = 0; n < out->n; n++) {
        const frame f = {(const float *)logits->data + n * logits->batch_stride,
                         (const float *)boxes->data + n * boxes->batch_stride,
                         logits->pitch,
                         boxes->pitch,
                         logits->h * logits->w,
                         logits->c,
                         &headers[n]};
        float *rows = (float *)out->data + n * out->batch_stride;
        if (f.header->stream == SONO_STREAM_NO_FRAME)
            continue;
        const int has_box = follow_has_box(&call->op->args.state, kept, f.header);
        const int32_t q = has_box ? find_followed(&f, kept, rows[SONO_DETECTION_SCORE]) : -1;
        if (q >= 0) {
            const sono_detection found = detection_of(&f, q);
            follow_put_first(rows, out->pitch, out->w, &found);
        }
        follow_remember(kept, (const sono_detection *)rows, f.header, has_box);
    }
}
