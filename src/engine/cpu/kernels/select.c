// SPDX-License-Identifier: Apache-2.0
/*
 * SELECT_BOXES: the K best queries, their boxes in source pixels, and the gate.
 *
 * logits [N, 1, Q, classes], boxes [N, 1, Q, 4] cx cy w h in 0..1, header -> detections [N, 1, K, 8], best
 * first; a frame a task. Queries are ordered by their best logit, not by its sigmoid, which rounds large ones
 * to the same 1; equal ones by lower query, equal classes by lower class. A query without a number among its
 * logits comes last and has score 0. Not valid are: a score below the threshold, a score that is NaN, a box
 * that is not finite.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/rank.h"
#include "engine/detection.h"

size_t SONO_KERNEL(sono_cpu_select_scratch)(const sono_cpu_call *call)
{
    return (size_t)call->op->args.select.max_objects * sizeof(uint64_t);
}

static void run_frame(void *context, int64_t frame, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_cpu_tensor *logits = &call->in[0], *boxes = &call->in[1], *out = &call->out[0];
    const float *all_logits = (const float *)logits->data + frame * logits->batch_stride;
    const float *all_boxes = (const float *)boxes->data + frame * boxes->batch_stride;
    const int32_t n_queries = logits->h * logits->w;
    uint64_t *best = (uint64_t *)(void *)(call->scratch + (size_t)thread * call->scratch_bytes);
    int32_t n_best = 0;
    sono_frame_header header;
    memcpy(&header, (const sono_frame_header *)call->in[2].data + frame, sizeof header);
    for (int32_t q = 0; q < n_queries; q++) {
        const float *row = all_logits + q * logits->pitch;
        rank_insert(best, &n_best, call->op->args.select.max_objects,
                    rank_key(rank_row_max(row, logits->c), q));
    }
    for (int32_t i = 0; i < n_best; i++) {
        const int32_t q = rank_index(best[i]);
        const float *row = all_logits + q * logits->pitch;
        const float logit = rank_row_max(row, logits->c);
        const int32_t class_id = rank_row_find(row, logits->c, logit);
        const sono_detection found =
            detection_make(logit, class_id, q, all_boxes + q * boxes->pitch, &header);
        memcpy((float *)out->data + frame * out->batch_stride + i * out->pitch, &found, sizeof found);
    }
}

void SONO_KERNEL(sono_cpu_select)(const sono_cpu_call *call)
{
    sono_pool_run(call->pool, run_frame, (void *)call, call->out[0].n);
}
