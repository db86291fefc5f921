// SPDX-License-Identifier: Apache-2.0
/*
 * HYPER_MASK: up [NK, 1, 65536, 32], hyper [NK, 1, 1, 32] -> logits [NK, 256, 256, 1], their dot products.
 * Rows of up are in the order in which two 2 x 2 stride-2 transposed convolutions over 64 x 64 positions
 * leave them: position, 2 x 2 of the first, 2 x 2 of the second. MobileSAM
 * mobile_sam/modeling/mask_decoder.py:136-144 @ 34bbbfd.
 *
 * UPSAMPLE_MASK: logits [NK, 256, 256, 1], detections [N, 1, K, 8], header -> mask U8 (H rows of W bytes, 0 /
 * 255, packed as graph/map_layout.h says), area I32 [NK, 1, 1, 1], source logits? [NK, 1, 1, maxH * maxW] (H
 * rows of W). Frame by frame. Bilinear to image_size, crop of the padding, bilinear to H x W
 * (mobile_sam/modeling/sam.py:155-162 @ 34bbbfd): both steps are linear and separable, so that each axis has
 * one filter of three neighbouring taps: bilinear samples of the large map lie at most one low-resolution
 * pixel apart. All of this in the frame's region: outside of it the mask is empty, logits are 0. Detections
 * that are not valid get an empty mask, area 0 and logits 0.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/frames.h"
#include "engine/letterbox.h"
#include "engine/region.h"
#include "graph/map_layout.h"

#include <string.h>

#define BAND_ROWS 32
#define TAPS      3
#define LANES     16

static float dot(const float *restrict a, const float *restrict b, int32_t n)
{
    float lanes[LANES] = {0.0f}, sum = 0.0f;
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++)
            lanes[l] += a[i + l] * b[i + l];
    }
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (int l = 0; l < LANES; l++)
        sum += lanes[l];
    return sum;
}

/* One row of positions of one object: four rows of logits. */
static void hyper_row(void *context, int64_t task, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_cpu_tensor *up = &call->in[0], *hyper = &call->in[1], *out = &call->out[0];
    const int32_t side = out->w / 4;
    const int64_t k = task / side, y = task % side;
    const float *weights = (const float *)hyper->data + k * hyper->batch_stride;
    const float *in = (const float *)up->data + k * up->batch_stride + y * side * 16 * up->pitch;
    float *logits = (float *)out->data + k * out->batch_stride;
    (void)thread;
    for (int32_t x = 0; x < side; x++) {
        for (int32_t i = 0; i < 16; i++, in += up->pitch) { /* bits of i: dy1 dx1 dy2 dx2 */
            const int64_t py = y * 4 + (i >> 3) * 2 + (i >> 1 & 1);
            const int64_t px = x * 4 + (i >> 2 & 1) * 2 + (i & 1);
            logits[(py * out->w + px) * out->pitch] = dot(in, weights, up->c);
        }
    }
}

void SONO_KERNEL(sono_cpu_hyper_mask)(const sono_cpu_call *call)
{
    const sono_cpu_tensor *out = &call->out[0];
    sono_pool_run(call->pool, hyper_row, (void *)call, (int64_t)out->n * (out->h / 4));
}

/* ---- UPSAMPLE_MASK ---- */

typedef struct axis {
    int32_t n_low, n_high, n_crop, n_out;
} axis;

/* One thread's scratch. The column tables are made once, in thread 0's. */
typedef struct area {
    int64_t *counts; /* [NK] mask pixels that this thread set */
    int32_t *first;  /* [widest_px()] */
    float *weights;  /* [TAPS][widest_px()] */
    float *mixed;    /* [widest_px()] */
    float *ring;     /* [TAPS][widest_px()] low-resolution rows, widened; row y lies in slot y % TAPS */
} area;

typedef struct job {
    const sono_cpu_call *call;
    sono_frame_header header;
    region_rect region;
    axis rows;
    int32_t first; /* object of the frame */
    int64_t bands; /* of one object */
    area tables;   /* thread 0's */
} job;

static size_t padded(size_t n_bytes)
{
    return (n_bytes + 63) / 64 * 64;
}

/* Frames may stand upright where the largest one lies. */
static int32_t widest_px(const sono_cpu_call *call)
{
    const sono_segment_args *args = &call->op->args.segment;
    return longest_side_px(args->max_width_px, args->max_height_px);
}

size_t SONO_KERNEL(sono_cpu_upsample_mask_scratch)(const sono_cpu_call *call)
{
    const size_t row = padded((size_t)widest_px(call) * 4);
    return padded((size_t)call->in[0].n * sizeof(int64_t)) + (2 + 2 * TAPS) * row;
}

static area area_of(const sono_cpu_call *call, int32_t thread)
{
    const size_t row = padded((size_t)widest_px(call) * 4);
    uint8_t *at = call->scratch + (size_t)thread * call->scratch_bytes;
    area a;
    a.counts = (int64_t *)(void *)at;
    at += padded((size_t)call->in[0].n * sizeof(int64_t));
    a.first = (int32_t *)(void *)at;
    a.mixed = (float *)(void *)(at + row);
    a.weights = (float *)(void *)(at + 2 * row);
    a.ring = (float *)(void *)(at + (2 + TAPS) * row);
    return a;
}

/* Bilinear neighbours of output sample i as torch finds them (align_corners=False): samples low and high, the
 * latter with weight *part. */
static void neighbours(int32_t n_in, double scale, int32_t i, int32_t *low, int32_t *high, double *part)
{
    const double at = scale * (i + 0.5) - 0.5;
    const double clamped = at > 0.0 ? at : 0.0;
    *low = (int32_t)clamped < n_in - 1 ? (int32_t)clamped : n_in - 1;
    *high = *low < n_in - 1 ? *low + 1 : *low;
    *part = clamped - *low;
}

/* Both steps in one for output sample i: TAPS samples from the returned one on, weights 0 beyond the need.
 * n_low is at least TAPS. */
static int32_t compose(const axis *a, int32_t i, float weights[TAPS])
{
    int32_t high[2], low[2];
    double high_part, low_part, sums[TAPS] = {0.0};
    int32_t first = 0;
    neighbours(a->n_crop, (double)a->n_crop / a->n_out, i, &high[0], &high[1], &high_part);
    for (int s = 0; s < 2; s++) {
        const double weight = s ? high_part : 1.0 - high_part;
        neighbours(a->n_low, (double)a->n_low / a->n_high, high[s], &low[0], &low[1], &low_part);
        if (s == 0)
            first = low[0] < a->n_low - TAPS ? low[0] : a->n_low - TAPS;
        sums[low[0] - first] += weight * (1.0 - low_part);
        sums[low[1] - first] += weight * low_part;
    }
    for (int t = 0; t < TAPS; t++)
        weights[t] = (float)sums[t];
    return first;
}

static void make_tables(job *j, const axis *columns)
{
    const int64_t stride = widest_px(j->call);
    for (int32_t x = 0; x < columns->n_out; x++) {
        float weights[TAPS];
        j->tables.first[x] = compose(columns, x, weights);
        for (int t = 0; t < TAPS; t++)
            j->tables.weights[t * stride + x] = weights[t];
    }
}

static void widen_row(const job *j, const float *restrict in, float *restrict out)
{
    const int64_t stride = widest_px(j->call);
    const int32_t *restrict first = j->tables.first;
    const float *restrict w0 = j->tables.weights, *restrict w1 = w0 + stride, *restrict w2 = w1 + stride;
    for (int32_t x = 0; x < j->region.w; x++)
        out[x] = w0[x] * in[first[x]] + w1[x] * in[first[x] + 1] + w2[x] * in[first[x] + 2];
}

/* Returns how many pixels it set. */
static int64_t threshold_row(const float *restrict logits, int32_t width, uint8_t *restrict mask)
{
    int32_t count = 0;
    for (int32_t x = 0; x < width; x++) {
        const int set = logits[x] > 0.0f;
        mask[x] = (uint8_t)-set;
        count += set;
    }
    return count;
}

/* Where object k's mask begins. */
static uint8_t *mask_of(const job *j, int64_t k)
{
    const int64_t n_pixels = (int64_t)j->header.width_px * j->header.height_px;
    return (uint8_t *)j->call->out[0].data + j->header.maps_at_bytes +
           (k - j->first) * object_maps_bytes(n_pixels, j->call->op->args.segment.map_element_bytes);
}

/* n pixels from a row's pixel `at` of the mask on. */
static void clear_pixels(const job *j, int64_t k, int64_t at, int64_t n)
{
    const sono_cpu_tensor *logits = &j->call->out[2];
    memset(mask_of(j, k) + at, 0, (size_t)n);
    if (logits->data)
        memset((float *)logits->data + k * logits->batch_stride + at, 0, (size_t)n * sizeof(float));
}

/* Rows [begin, end) of the region. */
static void fill_band(const job *j, int64_t k, int32_t begin, int32_t end, int32_t thread)
{
    const sono_cpu_tensor *low = &j->call->in[0], *logits = &j->call->out[2];
    const area a = area_of(j->call, thread);
    const int64_t stride = widest_px(j->call);
    const int32_t width = j->region.w, frame_width = j->header.width_px;
    const float *in = (const float *)low->data + k * low->batch_stride;
    uint8_t *mask = mask_of(j, k);
    int32_t next = 0; /* low-resolution rows below it are in the ring, or no longer needed */
    for (int32_t y = begin; y < end; y++) {
        float w[TAPS];
        const int32_t first = compose(&j->rows, y, w);
        for (int32_t i = next > first ? next : first; i < first + TAPS; i++)
            widen_row(j, in + (int64_t)i * low->w, a.ring + (i % TAPS) * stride);
        next = first + TAPS;
        const float *restrict r0 = a.ring + first % TAPS * stride, *restrict r1 =
                                                                       a.ring + (first + 1) % TAPS * stride;
        const float *restrict r2 = a.ring + (first + 2) % TAPS * stride;
        const int64_t row = (int64_t)(j->region.y + y) * frame_width, at = row + j->region.x;
        float *restrict mixed =
            logits->data ? (float *)logits->data + k * logits->batch_stride + at : a.mixed;
        for (int32_t x = 0; x < width; x++)
            mixed[x] = w[0] * r0[x] + w[1] * r1[x] + w[2] * r2[x];
        a.counts[k] += threshold_row(mixed, width, mask + at);
        clear_pixels(j, k, row, j->region.x);
        clear_pixels(j, k, at + width, frame_width - j->region.x - width);
    }
}

static void clear_rows(const job *j, int64_t k, int32_t begin, int32_t end)
{
    const int64_t width = j->header.width_px;
    if (end > begin)
        clear_pixels(j, k, begin * width, (end - begin) * width);
}

static int32_t within(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void run_band(void *context, int64_t task, int32_t thread)
{
    const job *j = context;
    const sono_cpu_tensor *detections = &j->call->in[1];
    const int32_t k = j->first + (int32_t)(task / j->bands);
    const int32_t begin = (int32_t)(task % j->bands) * BAND_ROWS, height = j->header.height_px;
    const int32_t end = begin + BAND_ROWS < height ? begin + BAND_ROWS : height;
    sono_detection detection;
    memcpy(&detection,
           (const float *)detections->data +
               detection_at(k, detections->w, detections->pitch, detections->batch_stride),
           sizeof detection);
    const int32_t top = j->region.y, bottom = top + j->region.h;
    const int32_t first = detection.valid == 1.0f ? within(top, begin, end) : end,
                  last = detection.valid == 1.0f ? within(bottom, begin, end) : end;
    clear_rows(j, k, begin, first);
    if (last > first)
        fill_band(j, k, first - top, last - top, thread);
    clear_rows(j, k, last, end);
}

static void run_frame(const sono_cpu_call *call, int32_t frame)
{
    const sono_cpu_tensor *low = &call->in[0];
    const int32_t size = call->op->args.segment.image_size, n_objects = call->in[1].w;
    job j = {.call = call, .first = frame * n_objects, .tables = area_of(call, 0)};
    memcpy(&j.header, (const sono_frame_header *)call->in[2].data + frame, sizeof j.header);
    j.region = region_of(&j.header);
    const int32_t width = j.region.w, height = j.region.h, longest = longest_side_px(width, height);
    const axis columns = {low->w, size, letterbox_px(width, longest, size), width};
    j.rows = (axis){low->h, size, letterbox_px(height, longest, size), height};
    j.bands = (j.header.height_px + BAND_ROWS - 1) / BAND_ROWS;
    make_tables(&j, &columns);
    sono_pool_run(call->pool, run_band, &j, n_objects * j.bands);
}

void SONO_KERNEL(sono_cpu_upsample_mask)(const sono_cpu_call *call)
{
    const sono_cpu_tensor *low = &call->in[0], *areas = &call->out[1];
    const int32_t n_threads = sono_pool_n_threads(call->pool);
    for (int32_t t = 0; t < n_threads; t++)
        memset(area_of(call, t).counts, 0, (size_t)low->n * sizeof(int64_t));
    for (int32_t frame = 0; frame < call->in[1].n; frame++)
        run_frame(call, frame);
    for (int32_t k = 0; k < low->n; k++) {
        int64_t count = 0;
        for (int32_t t = 0; t < n_threads; t++)
            count += area_of(call, t).counts[k];
        ((int32_t *)areas->data)[k * areas->batch_stride] = (int32_t)count;
    }
}
