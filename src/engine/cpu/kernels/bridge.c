// SPDX-License-Identifier: Apache-2.0
/*
 * BRIDGE_MASK: pixels, headers, detections [N, 1, K, 8], mask U8 (H rows of W bytes, 0 / 255, packed:
 * graph/map_layout.h) -> the same mask with its gaps bridged where the frame has an echo, area I32
 * [NK, 1, 1, 1] with what was added, runs I32 [NK, 1, 2, side]: first and last row of each column's longest
 * run of mask before: working memory.
 *
 * What a gap is, how wide it may be (bridge_permille / 1000 of the box's width) and what must be seen in it:
 * engine/bridge.h. Whole numbers only, so that backends agree to the bit. One object after the other; one
 * thread each. Test: tests/ops/test_bridge.c.
 */
#include "engine/bridge.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/frames.h"
#include "graph/map_layout.h"

#include <string.h>

typedef struct job {
    sono_frame_header header;
    const uint8_t *pixels;
    uint8_t *mask;
    int32_t *firsts, *lasts; /* [width] */
    int32_t most;            /* columns of a gap */
} job;

static void find_runs(const job *j)
{
    const int32_t width = j->header.width_px, height = j->header.height_px;
    for (int32_t x = 0; x < width; x++) {
        bridge_run longest = {-1, -1};
        for (int32_t y = 0; y < height; y++) {
            const int32_t first = y;
            while (y < height && j->mask[(int64_t)y * width + x])
                y++;
            if (y > first)
                bridge_take(&longest, first, y - 1);
        }
        j->firsts[x] = longest.first;
        j->lasts[x] = longest.last;
    }
}

static int is_echo(const job *j, const bridge_gap *g)
{
    bridge_evidence evidence = {{0, 0}, {0, 0}, {0, 0}};
    int32_t n_bright = 0;
    for (int32_t x = g->left - g->n_left + 1; x < g->right + g->n_right; x++)
        bridge_look(&evidence, g, j->firsts, j->lasts, &j->header, j->pixels, x);
    const int32_t threshold = bridge_threshold(&evidence);
    for (int32_t x = g->left + 1; x < g->right; x++)
        n_bright += bridge_is_bright(g, &j->header, j->pixels, x, threshold);
    return bridge_holds(g, &evidence, threshold, n_bright);
}

/* Returns the pixels added. */
static int32_t bridge(const job *j, int32_t left, int32_t right)
{
    const bridge_gap g = bridge_gap_of(j->firsts, j->lasts, j->header.width_px, left, right);
    int32_t added = 0;
    if (!bridge_is_level(&g) || !is_echo(j, &g))
        return 0;
    for (int32_t x = left + 1; x < right; x++) {
        const bridge_run band = bridge_band(&g, x);
        for (int32_t y = band.first; y <= band.last; y++)
            j->mask[(int64_t)y * j->header.width_px + x] = 255;
        added += band.last - band.first + 1;
    }
    return added;
}

static void run_object(void *context, int64_t task, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_cpu_tensor *detections = &call->in[2], *areas = &call->out[1], *runs = &call->out[2];
    const sono_segment_args *args = &call->op->args.segment;
    const int32_t k = (int32_t)task, frame = frame_of_object(k, detections->w);
    sono_detection detection;
    job j = {.firsts = (int32_t *)runs->data + k * runs->batch_stride};
    int32_t last = -1, added = 0;
    (void)thread;
    memcpy(&j.header, (const sono_frame_header *)call->in[1].data + frame, sizeof j.header);
    memcpy(&detection,
           (const float *)detections->data +
               detection_at(k, detections->w, detections->pitch, detections->batch_stride),
           sizeof detection);
    j.lasts = j.firsts + runs->pitch;
    j.pixels = frame_pixels_of(call->in[0].data, &j.header);
    j.mask = (uint8_t *)call->out[0].data + j.header.maps_at_bytes +
             (k - frame * detections->w) *
                 object_maps_bytes((int64_t)j.header.width_px * j.header.height_px, args->map_element_bytes);
    j.most = bridge_most(&detection, j.header.width_px, args->bridge_permille);
    find_runs(&j);
    for (int32_t x = 0; x < j.header.width_px; x++) {
        if (j.firsts[x] < 0)
            continue;
        if (last >= 0 && x - last > 1 && x - last - 1 <= j.most)
            added += bridge(&j, last, x);
        last = x;
    }
    ((int32_t *)areas->data)[k * areas->batch_stride] += added;
}

void SONO_KERNEL(sono_cpu_bridge_mask)(const sono_cpu_call *call)
{
    sono_pool_run(call->pool, run_object, (void *)call, call->out[1].n);
}
