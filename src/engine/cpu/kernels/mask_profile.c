// SPDX-License-Identifier: Apache-2.0
/*
 * MASK_PROFILE: mask U8 (H rows of W bytes, 0 / 255, packed: graph/map_layout.h), headers -> of each frame's
 * first mask: profile I32 [N, 1, 3, side]: pixels of each column, the sum of their y, pixels of each row; 0
 * where the frame ends earlier. sums I32 [N, 1, 1, 1024] = 0.
 *
 * A column's sum of y is at most H (H - 1) / 2, below 2^31 up to a side of 65535. One frame a thread.
 * Test: tests/ops/test_mask_profile.c.
 */
#include "engine/cpu/kernels/kernels.h"

#include <string.h>

static void run_frame(void *context, int64_t frame, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_cpu_tensor *profile = &call->out[0], *sums = &call->out[1];
    const int32_t side = profile->c;
    sono_frame_header header;
    (void)thread;
    memcpy(&header, (const sono_frame_header *)call->in[1].data + frame, sizeof header);
    const uint8_t *mask = (const uint8_t *)call->in[0].data + header.maps_at_bytes;
    int32_t *columns = (int32_t *)profile->data + frame * profile->batch_stride;
    int32_t *heights = columns + SONO_PROFILE_HEIGHTS * side, *rows = columns + SONO_PROFILE_ROWS * side;
    memset(columns, 0, (size_t)SONO_PROFILE_COUNT * (size_t)side * sizeof *columns);
    memset((int32_t *)sums->data + frame * sums->batch_stride, 0, SONO_STATE_SUMS * sizeof(int32_t));
    for (int32_t y = 0; y < header.height_px; y++)
        for (int32_t x = 0; x < header.width_px; x++) {
            if (!*mask++)
                continue;
            columns[x]++;
            heights[x] += y;
            rows[y]++;
        }
}

void SONO_KERNEL(sono_cpu_mask_profile)(const sono_cpu_call *call)
{
    sono_pool_run(call->pool, run_frame, (void *)call, call->out[0].n);
}
