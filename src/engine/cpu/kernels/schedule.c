// SPDX-License-Identifier: Apache-2.0
/* SCHEDULE: memory U8 [1, 1, 1, 256], kept U8 [1, 1, 1, n] (graph/kept_layout.h), header -> step I32
 * [1, 1, 1, 4], detection F32 [1, 1, 1, 8]: the box of the kept mask where the frame goes without the
 * detector, else none; and the memory and
 * followed U8 [1, 1, 1, 64], in place. DOUBT: detections F32 [1, 1, 1, 8], predicted IoU? F32 [1,
 * 1, 1, 4], echo I32 [1, 1, 1, 16], agreement? I32 [1, 1, 1, 8], header, memory -> step. By
 * engine/schedule.h. Test: tests/ops/test_schedule.c. */
#include "engine/cpu/kernels/kernels.h"
#include "engine/schedule.h"
#include "graph/kept_layout.h"

#include <string.h>

/* The first of n counts that is not 0, and one behind the last; both 0 where there is none. */
static void find_ends(const int32_t *counts, int32_t n, int32_t *first, int32_t *end)
{
    *first = *end = 0;
    for (int32_t i = n - 1; i >= 0; i--)
        *first = counts[i] ? i : *first;
    for (int32_t i = 0; i < n; i++)
        *end = counts[i] ? i + 1 : *end;
}

void SONO_KERNEL(sono_cpu_schedule)(const sono_cpu_call *call)
{
    const sono_schedule_args *args = &call->op->args.schedule;
    sono_stream_memory *memory = call->out[2].data;
    const int32_t *profile =
        (const int32_t *)(const void *)((const uint8_t *)call->in[1].data + SONO_KEPT_PROFILE);
    const sono_frame_header *header = call->in[2].data;
    sono_detection found = {0};
    sono_extent mask;
    int32_t step[SONO_STEP_INTS] = {1};
    if (schedule_trusts(args, memory, header)) {
        find_ends(profile + SONO_PROFILE_COLUMNS * args->side, header->width_px, &mask.x1, &mask.x2);
        find_ends(profile + SONO_PROFILE_ROWS * args->side, header->height_px, &mask.y1, &mask.y2);
        found = schedule_recall(memory, call->out[3].data, header, &mask);
        step[0] = found.valid == 0.0f;
    }
    memcpy(call->out[0].data, step, sizeof step);
    memcpy(call->out[1].data, &found, sizeof found);
}

void SONO_KERNEL(sono_cpu_doubt)(const sono_cpu_call *call)
{
    const sono_state_rows rows = {call->in[4].data, call->in[0].data, call->in[1].data, call->in[2].data,
                                  call->in[3].data};
    const int32_t step[SONO_STEP_INTS] = {schedule_doubts(&call->op->args.state, &rows, call->in[5].data)};
    memcpy(call->out[0].data, step, sizeof step);
}
