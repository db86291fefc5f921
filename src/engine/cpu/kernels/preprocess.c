// SPDX-License-Identifier: Apache-2.0
/*
 * PREPROCESS: N frames of any size and format -> image [N, H, W, C], resized, normalised, padded; C is 3, or
 * 1: luma. Of a frame with a region only that is there.
 *
 * Separable triangle filter, widened when shrinking: the rule of
 * torch.nn.functional.interpolate(mode="bilinear", antialias=True) and of Pillow
 * (aten/src/ATen/native/cpu/UpSampleKernel.cpp, _compute_index_ranges_weights): horizontally into a ring of
 * rows, then vertically. Each thread makes bands of output rows and has its own ring.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/letterbox.h"
#include "engine/luma.h"
#include "engine/region.h"

#include <math.h>
#include <string.h>

#define BAND_ROWS 64

/* One thread's scratch. The column tables are made once, in thread 0's. */
typedef struct area {
    int32_t *first;  /* [width] leftmost source column of each output column */
    float *weights;  /* [taps_x][width] */
    float *source;   /* [3][source_stride] one source row, planar, zeroes behind it */
    float *row_taps; /* [taps_y] weights of one output row */
    float *mixed;    /* [3][width] one output row before normalisation */
    float *ring;     /* [taps_y][3][width] source rows, resized horizontally; row y lies in slot y % taps_y */
} area;

typedef struct layout {
    int32_t taps_x, taps_y; /* most that any frame within the limits needs */
    int64_t source_stride;
    size_t n_bytes;
} layout;

typedef struct job {
    const sono_cpu_call *call;
    sono_frame_header header; /* of the region, as if it were the frame */
    const uint8_t *pixels;    /* its first */
    float *image;             /* [height][width][n_channels] */
    layout layout;
    area tables; /* thread 0's */
    int32_t out_width, out_height;
    int32_t n_planes;    /* of the frame, as resized: 1 for grey or luma, else 3 */
    int32_t n_channels;  /* of the image: 3, or 1 */
    int32_t column_taps; /* rows of tables.weights in use */
} job;

static size_t padded(size_t n_bytes)
{
    return (n_bytes + 63) / 64 * 64;
}

/* Most taps from n_in samples to n_out: the filter is 2 * scale wide. Rounding to whole pixels makes a
 * letterbox's scale at most 1.5 times the nominal one (1.49 pixels become 1). */
static int32_t most_taps(int32_t n_in, int32_t n_out, sono_fit fit)
{
    const double slack = fit == SONO_FIT_LETTERBOX ? 1.5 : 1.0;
    const double scale = slack * n_in / n_out;
    return (int32_t)ceil(2.0 * (scale > 1.0 ? scale : 1.0)) + 1;
}

static layout make_layout(const sono_preprocess_args *args)
{
    const int32_t longest = longest_side_px(args->max_width_px, args->max_height_px);
    const size_t width = (size_t)args->width_px;
    layout l = {.taps_x = most_taps(longest, args->width_px, args->fit),
                .taps_y = most_taps(longest, args->height_px, args->fit)};
    l.source_stride = (int64_t)padded((size_t)longest + (size_t)l.taps_x);
    l.n_bytes = padded(width * 4) + padded(width * 4 * (size_t)l.taps_x) +
                padded(12 * (size_t)l.source_stride) + padded(4 * (size_t)l.taps_y) + padded(12 * width) +
                padded(12 * width * (size_t)l.taps_y);
    return l;
}

static area area_of(const sono_cpu_call *call, const layout *l, int32_t thread)
{
    const size_t width = (size_t)call->op->args.preprocess.width_px;
    uint8_t *at = call->scratch + (size_t)thread * call->scratch_bytes;
    area a;
    a.first = (int32_t *)(void *)at;
    at += padded(width * 4);
    a.weights = (float *)(void *)at;
    at += padded(width * 4 * (size_t)l->taps_x);
    a.source = (float *)(void *)at;
    at += padded(12 * (size_t)l->source_stride);
    a.row_taps = (float *)(void *)at;
    at += padded(4 * (size_t)l->taps_y);
    a.mixed = (float *)(void *)at;
    at += padded(12 * width);
    a.ring = (float *)(void *)at;
    return a;
}

size_t SONO_KERNEL(sono_cpu_preprocess_scratch)(const sono_cpu_call *call)
{
    return make_layout(&call->op->args.preprocess).n_bytes;
}

/* The filter of output sample i: returns how many source samples from *first on it mixes, puts their weights
 * at weights[0], weights[stride], ... */
static int32_t filter_at(int32_t n_in, int32_t n_out, int32_t i, int32_t *first, float *weights,
                         int64_t stride)
{
    const double scale = (double)n_in / n_out;
    const double support = scale > 1.0 ? scale : 1.0;
    const double centre = scale * (i + 0.5);
    const int32_t low = centre - support + 0.5 > 0.0 ? (int32_t)(centre - support + 0.5) : 0;
    const int32_t high = centre + support + 0.5 < n_in ? (int32_t)(centre + support + 0.5) : n_in;
    double sum = 0.0;
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t j = low; j < high; j++) {
            const double distance = fabs(j - centre + 0.5) / support;
            const double weight = distance < 1.0 ? 1.0 - distance : 0.0;
            if (pass == 0)
                sum += weight;
            else
                weights[(j - low) * stride] = (float)(weight / sum);
        }
    }
    *first = low;
    return high - low;
}

static void make_tables(job *j)
{
    const int32_t stride = j->call->op->args.preprocess.width_px;
    memset(j->tables.weights, 0, (size_t)j->layout.taps_x * (size_t)stride * sizeof(float));
    for (int32_t x = 0; x < j->out_width; x++) {
        const int32_t n = filter_at(j->header.width_px, j->out_width, x, &j->tables.first[x],
                                    j->tables.weights + x, stride);
        if (n > j->column_taps)
            j->column_taps = n;
    }
}

/* One source row as floats in 0..255, planar. Past its end lie zeroes, for the taps with weight 0. Samples
 * above white are clipped here, before they are mixed with others. */
static void read_row(const job *j, int32_t y, float *restrict out)
{
    const uint8_t *restrict row = j->pixels + (size_t)y * (size_t)j->header.pitch_bytes;
    const int32_t width = j->header.width_px;
    const int64_t stride = j->layout.source_stride;
    const int32_t format = j->header.format;
    if (format == SONO_PIXEL_GRAY8) {
        for (int32_t x = 0; x < width; x++)
            out[x] = row[x];
    } else if (format == SONO_PIXEL_GRAY16) {
        const int32_t white = j->header.gray16_white;
        const float scale = 255.0f / (float)white;
        for (int32_t x = 0; x < width; x++) {
            uint16_t value;
            memcpy(&value, row + 2 * (size_t)x, sizeof value);
            out[x] = (float)(value < white ? value : white) * scale;
        }
    } else if (j->n_channels == 1) {
        const int32_t step = format == SONO_PIXEL_RGBA8 ? 4 : 3;
        for (int32_t x = 0; x < width; x++)
            out[x] = (float)luma_of(row + x * step);
    } else {
        const int32_t step = format == SONO_PIXEL_RGBA8 ? 4 : 3;
        for (int32_t x = 0; x < width; x++) {
            out[x] = row[x * step];
            out[x + stride] = row[x * step + 1];
            out[x + 2 * stride] = row[x * step + 2];
        }
    }
    for (int32_t p = 0; p < j->n_planes; p++)
        memset(out + p * stride + width, 0, (size_t)j->layout.taps_x * sizeof(float));
}

static void resize_row(const job *j, const float *restrict source, float *restrict out)
{
    const int32_t *restrict first = j->tables.first;
    const int64_t stride = j->call->op->args.preprocess.width_px;
    const int32_t width = j->out_width;
    const float *restrict w0 = j->tables.weights;
    if (j->column_taps == 2) {
        const float *restrict w1 = w0 + stride;
        for (int32_t x = 0; x < width; x++)
            out[x] = w0[x] * source[first[x]] + w1[x] * source[first[x] + 1];
        return;
    }
    for (int32_t x = 0; x < width; x++)
        out[x] = w0[x] * source[first[x]];
    for (int32_t t = 1; t < j->column_taps; t++) {
        const float *restrict w = w0 + t * stride;
        for (int32_t x = 0; x < width; x++)
            out[x] += w[x] * source[first[x] + t];
    }
}

/* The weighted sum of n rows of the ring from source row `first` on, for one plane. */
static void mix_rows(const job *j, const area *a, int32_t plane, int32_t first, int32_t n)
{
    const int32_t stride = j->call->op->args.preprocess.width_px;
    const int32_t width = j->out_width, taps = j->layout.taps_y;
    float *restrict out = a->mixed + (int64_t)plane * stride;
    for (int32_t t = 0; t < n; t++) {
        const float *restrict row = a->ring + ((int64_t)((first + t) % taps) * 3 + plane) * stride;
        const float w = a->row_taps[t];
        if (t == 0) {
            for (int32_t x = 0; x < width; x++)
                out[x] = w * row[x];
        } else {
            for (int32_t x = 0; x < width; x++)
                out[x] += w * row[x];
        }
    }
}

/* Normalises and interleaves one row; grey serves all three channels. Zeroes follow up to the image's width.
 */
static void store_row(const job *j, const area *a, float *restrict out)
{
    const sono_preprocess_args *args = &j->call->op->args.preprocess;
    const int64_t image_width = args->width_px;
    const float *restrict r = a->mixed;
    const float *restrict g = a->mixed + (j->n_planes == 3 ? image_width : 0);
    const float *restrict b = a->mixed + (j->n_planes == 3 ? 2 * image_width : 0);
    const float mean0 = args->mean[0], mean1 = args->mean[1], mean2 = args->mean[2];
    const float scale0 = args->inv_std[0], scale1 = args->inv_std[1], scale2 = args->inv_std[2];
    if (j->n_channels == 1) {
        for (int64_t x = 0; x < j->out_width; x++)
            out[x] = (r[x] - mean0) * scale0;
        memset(out + j->out_width, 0, (size_t)(image_width - j->out_width) * sizeof(float));
        return;
    }
    for (int64_t x = 0; x < j->out_width; x++) {
        out[3 * x] = (r[x] - mean0) * scale0;
        out[3 * x + 1] = (g[x] - mean1) * scale1;
        out[3 * x + 2] = (b[x] - mean2) * scale2;
    }
    memset(out + 3 * (int64_t)j->out_width, 0, (size_t)(image_width - j->out_width) * 3 * sizeof(float));
}

static void run_band(void *context, int64_t task, int32_t thread)
{
    const job *j = context;
    const sono_preprocess_args *args = &j->call->op->args.preprocess;
    const int32_t width = args->width_px, height = args->height_px, taps = j->layout.taps_y;
    const area a = area_of(j->call, &j->layout, thread);
    const int64_t row_floats = (int64_t)width * j->n_channels;
    float *out = j->image + task * BAND_ROWS * row_floats;
    const int32_t end = (task + 1) * BAND_ROWS < height ? (int32_t)(task + 1) * BAND_ROWS : height;
    int32_t next = 0; /* source rows below it are in the ring, or no longer needed */
    for (int32_t y = (int32_t)task * BAND_ROWS; y < end; y++, out += row_floats) {
        if (y >= j->out_height) {
            memset(out, 0, (size_t)row_floats * sizeof(float));
            continue;
        }
        int32_t first;
        const int32_t n = filter_at(j->header.height_px, j->out_height, y, &first, a.row_taps, 1);
        for (int32_t row = next > first ? next : first; row < first + n; row++) {
            read_row(j, row, a.source);
            for (int32_t p = 0; p < j->n_planes; p++)
                resize_row(j, a.source + p * j->layout.source_stride,
                           a.ring + ((int64_t)(row % taps) * 3 + p) * width);
        }
        next = first + n;
        for (int32_t p = 0; p < j->n_planes; p++)
            mix_rows(j, &a, p, first, n);
        store_row(j, &a, out);
    }
}

static void run_frame(const sono_cpu_call *call, int32_t frame)
{
    const sono_preprocess_args *args = &call->op->args.preprocess;
    job j = {.call = call,
             .layout = make_layout(args),
             .out_width = args->width_px,
             .out_height = args->height_px};
    memcpy(&j.header, (const sono_frame_header *)call->in[1].data + frame, sizeof j.header);
    region_crop(&j.header);
    j.pixels = (const uint8_t *)call->in[0].data + j.header.pixels_at_bytes;
    j.image = (float *)call->out[0].data + frame * call->out[0].batch_stride;
    if (args->fit == SONO_FIT_LETTERBOX) {
        const int32_t longest = longest_side_px(j.header.width_px, j.header.height_px);
        j.out_width = letterbox_px(j.header.width_px, longest, args->width_px);
        j.out_height = letterbox_px(j.header.height_px, longest, args->width_px);
    }
    const int is_grey = j.header.format == SONO_PIXEL_GRAY8 || j.header.format == SONO_PIXEL_GRAY16;
    j.n_channels = args->is_luma ? 1 : 3;
    j.n_planes = is_grey ? 1 : j.n_channels;
    j.tables = area_of(call, &j.layout, 0);
    make_tables(&j);
    sono_pool_run(call->pool, run_band, &j, (args->height_px + BAND_ROWS - 1) / BAND_ROWS);
}

void SONO_KERNEL(sono_cpu_preprocess)(const sono_cpu_call *call)
{
    for (int32_t frame = 0; frame < call->out[0].n; frame++)
        run_frame(call, frame);
}
