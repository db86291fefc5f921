// SPDX-License-Identifier: Apache-2.0
/*
 * WEIGHT_MAPS: mask U8 (H rows of W bytes, 0 / 255), header; frame by frame -> edge, inside, outside, 0 / 1
 * in uint8 or float32, H rows of W behind each mask (graph/map_layout.h):
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
#include "graph/map_layout.h"

#include <string.h>

#define BAND_ROWS   32
#define BLOCK_BYTES 64

typedef struct job {
    const sono_cpu_call *call;
    sono_frame_header header;
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

/* One band of an object's maps: morphed pixels, and where their results go. */
typedef struct band {
    const uint8_t *mask, *eroded, *dilated, *widened;
    uint8_t *maps[3]; /* edge, inside, outside */
    int64_t n;
} band;

static void store_bytes(const band *b)
{
    const uint8_t *restrict mask = b->mask, *restrict eroded = b->eroded, *restrict dilated = b->dilated,
                            *restrict widened = b->widened;
    uint8_t *restrict edge = b->maps[0], *restrict inside = b->maps[1], *restrict outside = b->maps[2];
    for (int64_t i = 0; i < b->n; i++) {
        edge[i] = (uint8_t)(dilated[i] & ~eroded[i] & 1);
        inside[i] = (uint8_t)(eroded[i] & 1);
        outside[i] = (uint8_t)(widened[i] & ~mask[i] & 1);
    }
}

static void store_floats(const band *b)
{
    const uint8_t *restrict mask = b->mask, *restrict eroded = b->eroded, *restrict dilated = b->dilated,
                            *restrict widened = b->widened;
    float *restrict edge = (float *)(void *)b->maps[0], *restrict inside = (float *)(void *)b->maps[1],
                    *restrict outside = (float *)(void *)b->maps[2];
    for (int64_t i = 0; i < b->n; i++) {
        edge[i] = (float)(dilated[i] & ~eroded[i] & 1);
        inside[i] = (float)(eroded[i] & 1);
        outside[i] = (float)(widened[i] & ~mask[i] & 1);
    }
}

static void run_band(void *context, int64_t task, int32_t thread)
{
    const job *j = context;
    const sono_segment_args *args = &j->call->op->args.segment;
    const int32_t begin = (int32_t)(task % j->bands) * BAND_ROWS, height = j->header.height_px;
    const int32_t end = begin + BAND_ROWS < height ? begin + BAND_ROWS : height;
    const int32_t element_bytes = args->map_element_bytes;
    const int64_t at = (int64_t)begin * j->header.width_px, n_pixels = (int64_t)j->header.width_px * height;
    uint8_t *object = (uint8_t *)j->call->in[0].data + j->header.maps_at_bytes +
                      task / j->bands * object_maps_bytes(n_pixels, element_bytes);
    uint8_t *eroded = j->call->scratch + (size_t)thread * j->call->scratch_bytes;
    uint8_t *dilated = eroded + window_bytes(args, args->edge_width_px);
    uint8_t *widened = dilated + window_bytes(args, args->edge_width_px);
    morph_band(j, object, begin, end, args->edge_width_px, 1, eroded);
    morph_band(j, object, begin, end, args->edge_width_px, 0, dilated);
    morph_band(j, object, begin, end, args->outside_width_px, 0, widened);
    band b = {object + at, eroded, dilated, widened, .n = (int64_t)(end - begin) * j->header.width_px};
    for (int m = 0; m < 3; m++)
        b.maps[m] = object + weight_map_at(n_pixels, element_bytes, m) + at * element_bytes;
    if (element_bytes == 1)
        store_bytes(&b);
    else
        store_floats(&b);
}

void SONO_KERNEL(sono_cpu_weight_maps)(const sono_cpu_call *call)
{
    const int32_t n_frames = call->in[1].n, n_objects = call->in[0].n / n_frames;
    for (int32_t frame = 0; frame < n_frames; frame++) {
        job j = {.call = call};
        memcpy(&j.header, (const sono_frame_header *)call->in[1].data + frame, sizeof j.header);
        j.bands = (j.header.height_px + BAND_ROWS - 1) / BAND_ROWS;
        sono_pool_run(call->pool, run_band, &j, n_objects * j.bands);
    }
}
