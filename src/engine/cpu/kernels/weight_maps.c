// SPDX-License-Identifier: Apache-2.0
/*
 * WEIGHT_MAPS: mask U8 [NK, 1, 1, maxH * maxW] (H rows of W bytes, 0 / 255), header; frame by frame
 * -> edge, inside, outside F32 0 / 1, in the mask's layout:
 * edge = dilate(mask, e) - erode(mask, e); inside = erode(mask, e); outside = dilate(mask, o) minus mask,
 * with squares of side e = edge_width_px and o = outside_width_px. Pixels beyond the border are ignored: they
 * neither erode nor dilate.
 *
 * A square is a horizontal window, then a vertical one. A window of n is made by doubling: windows of 2, 4, 8
 * ... come from two halves, the last step lets the two overlap. So the cost grows with the logarithm of the
 * width.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/letterbox.h"

#include <string.h>

#define BAND_ROWS   32
#define BLOCK_BYTES 64

typedef struct job {
    const sono_cpu_call *call;
    sono_frame_header header;
    int32_t first; /* object of the frame */
    int64_t bands; /* of one object */
} job;

static size_t window_bytes(const sono_segment_args *args, int32_t window_px)
{
    const size_t widest_px = (size_t)longest_side_px(args->max_width_px, args->max_height_px);
    return ((size_t)BAND_ROWS + (size_t)window_px) * (widest_px + (size_t)window_px);
}

size_t SONO_KERNEL(sono_cpu_weight_maps_scratch)(const sono_cpu_call *call)
{
    const sono_segment_args *args = &call->op->args.segment;
    return 2 * window_bytes(args, args->edge_width_px) + window_bytes(args, args->outside_width_px);
}

/* bytes[i] = bytes[i] op bytes[i + step] for i < n, ascending; op is "and" to erode, "or" to dilate. A block
 * is read in full before it is written, so that compilers need not know how step and block compare. */
static void combine(uint8_t *bytes, int64_t n, int64_t step, int erode)
{
    const uint8_t invert = erode ? 255 : 0; /* a and b = not (not a or not b) */
    int64_t i = 0;
    for (; i + BLOCK_BYTES <= n; i += BLOCK_BYTES) {
        uint8_t here[BLOCK_BYTES], ahead[BLOCK_BYTES];
        memcpy(here, bytes + i, sizeof here);
        memcpy(ahead, bytes + i + step, sizeof ahead);
        for (int b = 0; b < BLOCK_BYTES; b++)
            here[b] = (uint8_t)(((here[b] ^ invert) | (ahead[b] ^ invert)) ^ invert);
        memcpy(bytes + i, here, sizeof here);
    }
    for (; i < n; i++)
        bytes[i] = (uint8_t)(((bytes[i] ^ invert) | (bytes[i + step] ^ invert)) ^ invert);
}

/* Each of the first n items becomes the combination of `window` items from it on; items are `unit` bytes
 * apart and n + window - 1 of them are there. */
static void slide(uint8_t *bytes, int64_t n, int64_t unit, int32_t window, int erode)
{
    int32_t width = 1;
    while (width < window) {
        const int32_t step = 2 * width <= window ? width : window - width;
        combine(bytes, (n + window - width - step) * unit, step * unit, erode);
        width += step;
    }
}

/* Leaves at the start of `work` end - begin rows, `width` apart, of the mask eroded or dilated by window x
 * window. */
static void morph_band(const job *j, const uint8_t *mask, int32_t begin, int32_t end, int32_t window,
                       int erode, uint8_t *work)
{
    const int32_t width = j->header.width_px, height = j->header.height_px, radius = window / 2;
    const int neutral = erode ? 255 : 0;
    uint8_t *row = work;
    for (int32_t y = begin - radius; y < end + radius; y++, row += width) {
        if (y < 0 || y >= height) {
            memset(row, neutral, (size_t)width);
            continue;
        }
        memset(row, neutral, (size_t)radius);
        memcpy(row + radius, mask + (int64_t)y * width, (size_t)width);
        memset(row + radius + width, neutral, (size_t)radius);
        slide(row, width, 1, window, erode);
    }
    slide(work, end - begin, width, window, erode);
}

static void run_band(void *context, int64_t task, int32_t thread)
{
    const job *j = context;
    const sono_segment_args *args = &j->call->op->args.segment;
    const sono_cpu_tensor *in = &j->call->in[0], *maps = j->call->out;
    const int64_t k = j->first + task / j->bands;
    const int32_t begin = (int32_t)(task % j->bands) * BAND_ROWS, height = j->header.height_px;
    const int32_t end = begin + BAND_ROWS < height ? begin + BAND_ROWS : height;
    const int64_t at = (int64_t)begin * j->header.width_px, n = (int64_t)(end - begin) * j->header.width_px;
    const uint8_t *object = (const uint8_t *)in->data + k * in->batch_stride;
    uint8_t *restrict eroded = j->call->scratch + (size_t)thread * j->call->scratch_bytes;
    uint8_t *restrict dilated = eroded + window_bytes(args, args->edge_width_px);
    uint8_t *restrict widened = dilated + window_bytes(args, args->edge_width_px);
    morph_band(j, object, begin, end, args->edge_width_px, 1, eroded);
    morph_band(j, object, begin, end, args->edge_width_px, 0, dilated);
    morph_band(j, object, begin, end, args->outside_width_px, 0, widened);
    const uint8_t *restrict mask = object + at;
    float *restrict edge = (float *)maps[0].data + k * maps[0].batch_stride + at;
    float *restrict inside = (float *)maps[1].data + k * maps[1].batch_stride + at;
    float *restrict outside = (float *)maps[2].data + k * maps[2].batch_stride + at;
    for (int64_t i = 0; i < n; i++) {
        edge[i] = (float)(dilated[i] & ~eroded[i] & 1);
        inside[i] = (float)(eroded[i] & 1);
        outside[i] = (float)(widened[i] & ~mask[i] & 1);
    }
}

void SONO_KERNEL(sono_cpu_weight_maps)(const sono_cpu_call *call)
{
    const int32_t n_frames = call->in[1].n, n_objects = call->in[0].n / n_frames;
    for (int32_t frame = 0; frame < n_frames; frame++) {
        job j = {.call = call, .first = frame * n_objects};
        memcpy(&j.header, (const sono_frame_header *)call->in[1].data + frame, sizeof j.header);
        j.bands = (j.header.height_px + BAND_ROWS - 1) / BAND_ROWS;
        sono_pool_run(call->pool, run_band, &j, n_objects * j.bands);
    }
}
