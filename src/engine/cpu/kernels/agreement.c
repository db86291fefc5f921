// SPDX-License-Identifier: Apache-2.0
/*
 * AGREEMENT: mask U8 (packed), profile I32 [N, 1, 3, side], headers, kept U8 [1, 1, 1, n] (the last frame:
 * graph/kept_layout.h) -> agreement I32 [N, 1, 1, 8], rows of SONO_AGREEMENT_INTS: how each frame's first
 * mask goes with that of the frame before; sums I32 [N, 1, 1, 1024]: working memory, not needed here.
 *
 * The frame before is the one in front of it in the batch that is no placeholder, else the one that was kept.
 * The formulas are in engine/agreement.h. One frame a thread. Test: tests/ops/test_agreement.c.
 */
#include "engine/agreement.h"
#include "engine/cpu/kernels/kernels.h"
#include "graph/kept_layout.h"

#include <string.h>

static sono_agree_frame frame_of(const sono_frame_header *header, const int32_t *profile, int32_t side)
{
    return (sono_agree_frame){.width_px = header->width_px,
                              .height_px = header->height_px,
                              .columns = profile,
                              .heights = profile + SONO_PROFILE_HEIGHTS * side,
                              .rows = profile + SONO_PROFILE_ROWS * side};
}

static int is_empty(const sono_agree_frame *frame)
{
    for (int32_t x = 0; x < frame->width_px; x++)
        if (frame->columns[x])
            return 0;
    return 1;
}

static int32_t best_shift(const int32_t *before, const int32_t *now, int32_t side_px)
{
    const int32_t reach = agree_reach(side_px);
    sono_agree_fit best = {0};
    for (int32_t shift = -reach; shift <= reach; shift++) {
        sono_agree_fit fit = {.n = side_px - (int32_t)agree_size(shift), .shift = shift};
        for (int32_t i = 0; i < side_px; i++)
            fit.cost += agree_difference(before, now, i, shift, side_px);
        if (shift == -reach || agree_fits_better(&fit, &best))
            best = fit;
    }
    return best.shift;
}

static sono_agree_worth worth_of(const sono_agree_move *move, const sono_agree_frame *before,
                                 const sono_agree_frame *now)
{
    sono_agree_worth worth = {0};
    sono_agree_surface surface = {0};
    for (int32_t y = 0; y < now->height_px; y++)
        for (int32_t x = 0; x < now->width_px; x++) {
            int32_t old_x, old_y;
            if (!agree_was_at(move, before, x, y, &old_x, &old_y))
                continue;
            const int is = agree_is_set(now, x, y), was = agree_is_set(before, old_x, old_y);
            worth.n_both += is && was;
            worth.n_either += is || was;
        }
    for (int32_t x = 0; x < now->width_px; x++) {
        agree_add_now(move, before, now, x, &surface);
        agree_add_before(move, before, now, x, &surface);
    }
    worth.surface = agree_surface(&surface);
    return worth;
}

static int32_t find_moves(const sono_frame_header *was, const sono_frame_header *is,
                          const sono_agree_frame *before, const sono_agree_frame *now,
                          sono_agree_move moves[SONO_AGREE_MOVES])
{
    if (!agree_is_pair(was, is) || is_empty(before) || is_empty(now))
        return 0;
    if (agree_has_pose(was) && agree_has_pose(is))
        return agree_move_by_pose(was, is, &moves[0]);
    return agree_moves_of_shift(best_shift(before->columns, now->columns, now->width_px),
                                best_shift(before->rows, now->rows, now->height_px), moves);
}

static void run_frame(void *context, int64_t frame, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_cpu_tensor *profile = &call->in[1], *out = &call->out[0];
    const sono_frame_header *headers = call->in[2].data;
    const uint8_t *masks = call->in[0].data, *kept = call->in[3].data;
    const int32_t side = profile->c, previous = agree_before(headers, (int32_t)frame);
    const int32_t *profiles = profile->data;
    sono_agree_frame now = frame_of(&headers[frame], profiles + frame * profile->batch_stride, side);
    sono_frame_header was;
    sono_agree_frame before;
    sono_agree_move moves[SONO_AGREE_MOVES];
    sono_agree_worth worths[SONO_AGREE_MOVES];
    (void)thread;
    now.mask = masks + headers[frame].maps_at_bytes;
    if (previous < 0) {
        memcpy(&was, kept, sizeof was);
        before = frame_of(&was, (const int32_t *)(const void *)(kept + SONO_KEPT_PROFILE), side);
        before.mask = kept + kept_bits_at(side);
        before.is_bits = 1;
    } else {
        was = headers[previous];
        before = frame_of(&was, profiles + previous * profile->batch_stride, side);
        before.mask = masks + was.maps_at_bytes;
    }
    const int32_t n_moves = find_moves(&was, &headers[frame], &before, &now, moves);
    for (int32_t i = 0; i < n_moves; i++)
        worths[i] = worth_of(&moves[i], &before, &now);
    agree_write(moves, worths, n_moves, (int32_t *)out->data + frame * out->batch_stride);
}

void SONO_KERNEL(sono_cpu_agreement)(const sono_cpu_call *call)
{
    sono_pool_run(call->pool, run_frame, (void *)call, call->out[0].n);
}
