// SPDX-License-Identifier: Apache-2.0
/*
 * SHOW_MASK: verdict I32 [N, 1, 1, 24], profile I32 [N, 1, 3, side], headers, mask U8 (packed), area I32
 * [NK, 1, 1, 1], detections [N, 1, K, 8], kept? U8 [1, 1, 1, n] -> mask, area and detections where they lie:
 * of LOST frames all masks 0, areas 0, boxes 0 and not valid; scores stay. kept: the last frame of the batch
 * that is no placeholder, as it was found, whether it is shown or not: what the next frame is compared with
 * (graph/kept_layout.h). One frame a thread. Test: tests/ops/test_show_mask.c.
 */
#include "engine/cpu/kernels/kernels.h"
#include "graph/kept_layout.h"
#include "graph/map_layout.h"

#include <string.h>

static int64_t n_pixels_of(const sono_frame_header *header)
{
    return (int64_t)header->width_px * header->height_px;
}

static uint8_t *mask_of(const sono_cpu_call *call, const sono_frame_header *header, int32_t object)
{
    return (uint8_t *)call->out[0].data + header->maps_at_bytes +
           object * object_maps_bytes(n_pixels_of(header), call->op->args.segment.map_element_bytes);
}

static void keep(const sono_cpu_call *call, int32_t frame)
{
    const sono_cpu_tensor *profile = &call->in[1];
    const sono_frame_header *header = (const sono_frame_header *)call->in[2].data + frame;
    const uint8_t *mask = mask_of(call, header, 0);
    uint8_t *kept = call->out[3].data, *bits = kept + kept_bits_at(profile->c);
    memcpy(kept, header, sizeof *header);
    memcpy(kept + SONO_KEPT_PROFILE, (const int32_t *)profile->data + frame * profile->batch_stride,
           (size_t)(kept_bits_at(profile->c) - SONO_KEPT_PROFILE));
    memset(bits, 0, (size_t)((n_pixels_of(header) + 7) / 8));
    for (int64_t i = 0; i < n_pixels_of(header); i++)
        bits[i / 8] |= (uint8_t)((mask[i] != 0) << (i % 8));
}

static void hide(const sono_cpu_call *call, int32_t frame)
{
    const sono_cpu_tensor *areas = &call->out[1], *detections = &call->out[2];
    const sono_frame_header *header = (const sono_frame_header *)call->in[2].data + frame;
    for (int32_t k = 0; k < detections->w; k++) {
        float *row = (float *)detections->data + frame * detections->batch_stride + k * detections->pitch;
        sono_detection found;
        memcpy(&found, row, sizeof found);
        found.x1 = found.y1 = found.x2 = found.y2 = found.valid = 0.0f;
        memcpy(row, &found, sizeof found);
        ((int32_t *)areas->data)[(frame * detections->w + k) * areas->batch_stride] = 0;
        memset(mask_of(call, header, k), 0, (size_t)n_pixels_of(header));
    }
}

static void hide_lost(void *context, int64_t frame, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_frame_header *header = (const sono_frame_header *)call->in[2].data + frame;
    const int32_t *verdict = (const int32_t *)call->in[0].data + frame * call->in[0].batch_stride;
    (void)thread;
    if (header->stream != SONO_STREAM_NO_FRAME && verdict[0] == SONO_STATE_LOST)
        hide(call, (int32_t)frame);
}

void SONO_KERNEL(sono_cpu_show_mask)(const sono_cpu_call *call)
{
    const int32_t n_frames = call->in[0].n;
    int32_t last = n_frames - 1;
    while (last >= 0 && ((const sono_frame_header *)call->in[2].data)[last].stream == SONO_STREAM_NO_FRAME)
        last--;
    if (last >= 0 && call->out[3].data)
        keep(call, last);
    sono_pool_run(call->pool, hide_lost, (void *)call, n_frames);
}
