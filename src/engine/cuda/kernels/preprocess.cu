// SPDX-License-Identifier: Apache-2.0
/*
 * PREPROCESS: pixels of N frames of any size and format, headers -> image [N, H, W, C], resized, normalised,
 * padded; C is 3, or 1: luma. Of a frame with a region only that is there. Semantics: the CPU twin (separable
 * triangle filter, widened when shrinking).
 *
 * One block per tile of 64 x 16 output pixels of a frame (blockIdx.z); the frame's size is read from the
 * header. 80 threads find the filters of the tile's columns and rows (position in double precision); then
 * every thread sums over the source pixels below both filters: 2 x 2 when enlarging, unrolled, else about 2 s
 * x 2 s for a shrinking by s. All in one launch: a source pixel is looked at about 4 times, from the
 * first-level cache, which costs less than a second kernel as long as s is small. Results pass through shared
 * memory, so that the channels leave in whole rows. Numbers: weights from a float32 distance, divided
 * by their own sum. Test: tests/ops/test_preprocess.c.
 */
#include "engine/cuda/kernels/rows.cuh"
#include "engine/letterbox.h"
#include "engine/luma.h"
#include "engine/region.h"

#define TILE_W  64
#define TILE_H  16
#define THREADS 256

typedef struct preprocess_args {
    const uint8_t *pixels;
    const sono_frame_header *headers;
    void *out;
    int64_t out_pitch, out_stride;
    int32_t out_is_half;
    sono_preprocess_args op;
} preprocess_args;

/* Weight of tap t = 0..count-1 at sample first + t: gain * max(0, 1 - reach * |offset + t|). */
struct filter {
    int32_t first, count;
    float offset, reach, gain;
};

/* The filter of output sample i; samples n_in -> n_out. */
static __device__ filter filter_at(int32_t n_in, int32_t n_out, int32_t i)
{
    const double scale = (double)n_in / n_out;
    const double support = scale > 1.0 ? scale : 1.0;
    const double centre = scale * (i + 0.5);
    const double low = centre - support + 0.5, high = centre + support + 0.5;
    filter f;
    f.first = low > 0.0 ? (int32_t)low : 0;
    f.count = (high < n_in ? (int32_t)high : n_in) - f.first;
    f.offset = (float)(f.first - centre + 0.5);
    f.reach = (float)(1.0 / support);
    f.gain = 1.0f;
    float sum = 0.0f;
    for (int32_t t = 0; t < f.count; t++)
        sum += fmaxf(1.0f - fabsf(f.offset + t) * f.reach, 0.0f);
    f.gain = 1.0f / sum;
    return f;
}

static __device__ __forceinline__ float weight_of(const filter &f, int32_t t)
{
    return t < f.count ? fmaxf(1.0f - fabsf(f.offset + t) * f.reach, 0.0f) * f.gain : 0.0f;
}

/* A frame's first pixel: in the slot, or wherever in device memory its source left it. */
static __device__ __forceinline__ const uint8_t *pixels_of(const preprocess_args &p,
                                                           const sono_frame_header &header)
{
    return header.device_pixels ? (const uint8_t *)header.device_pixels : p.pixels + header.pixels_at_bytes;
}

/* FORMAT is the sono_pixel_format, which equals the bytes of a pixel; grey and luma fill value[0] only.
 * 16-bit samples are clipped at white before they are mixed. */
template <int FORMAT, int CHANNELS>
static __device__ __forceinline__ void add_pixel(const uint8_t *row, int32_t x, float weight, int32_t white,
                                                 float (&value)[CHANNELS])
{
    const uint8_t *at = row + x * FORMAT;
    if (FORMAT == SONO_PIXEL_GRAY16)
        value[0] += weight * (float)min(at[0] | at[1] << 8, white); /* rows may start on odd addresses */
    else if (FORMAT >= SONO_PIXEL_RGB8 && CHANNELS == 1)
        value[0] += weight * (float)luma_of(at);
    else
        value[0] += weight * (float)at[0];
    if (FORMAT >= SONO_PIXEL_RGB8)
#pragma unroll
        for (int c = 1; c < CHANNELS; c++)
            value[c] += weight * (float)at[c];
}

/* One output pixel in 0..255. TWO: both filters have at most 2 taps. */
template <int FORMAT, bool TWO, int CHANNELS>
static __device__ __forceinline__ void resize_pixel(const preprocess_args &p, const sono_frame_header &header,
                                                    const filter &column, const filter &row,
                                                    float (&value)[CHANNELS])
{
    const int32_t n_rows = TWO ? 2 : row.count, n_columns = TWO ? 2 : column.count;
#pragma unroll
    for (int c = 0; c < CHANNELS; c++)
        value[c] = 0.0f;
#pragma unroll(TWO ? 2 : 1)
    for (int32_t ty = 0; ty < n_rows; ty++) {
        const int32_t y = min(row.first + ty, header.height_px - 1); /* the second of TWO may have weight 0 */
        const uint8_t *source = pixels_of(p, header) + (int64_t)y * header.pitch_bytes;
        float mixed[CHANNELS] = {};
#pragma unroll(TWO ? 2 : 1)
        for (int32_t tx = 0; tx < n_columns; tx++)
            add_pixel<FORMAT>(source, min(column.first + tx, header.width_px - 1), weight_of(column, tx),
                              header.gray16_white, mixed);
        const float weight = weight_of(row, ty);
#pragma unroll
        for (int c = 0; c < CHANNELS; c++)
            value[c] += weight * mixed[c];
    }
    if (FORMAT == SONO_PIXEL_GRAY16)
        value[0] *= 255.0f / (float)header.gray16_white;
    if (FORMAT < SONO_PIXEL_RGB8)
#pragma unroll
        for (int c = 1; c < CHANNELS; c++)
            value[c] = value[0];
}

/* tile [TILE_H][TILE_W][CHANNELS]: normalised pixels, zero right of and below the resized frame. */
template <int FORMAT, bool TWO, int CHANNELS>
static __device__ __forceinline__ void fill_tile(const preprocess_args &p, const sono_frame_header &header,
                                                 const filter *columns, const filter *rows, int32_t width,
                                                 int32_t height, float *tile)
{
    const int32_t x = threadIdx.x % TILE_W;
    const filter column = columns[x];
    for (int32_t y = threadIdx.x / TILE_W; y < TILE_H; y += THREADS / TILE_W) {
        const bool inside = x < width && y < height;
        float value[CHANNELS];
        if (inside)
            resize_pixel<FORMAT, TWO, CHANNELS>(p, header, column, rows[y], value);
#pragma unroll
        for (int c = 0; c < CHANNELS; c++)
            tile[(y * TILE_W + x) * CHANNELS + c] =
                inside ? (value[c] - p.op.mean[c]) * p.op.inv_std[c] : 0.0f;
    }
}

template <int FORMAT, int CHANNELS>
static __device__ __forceinline__ void fill_tile_of(const preprocess_args &p, const sono_frame_header &header,
                                                    const filter *columns, const filter *rows, int32_t width,
                                                    int32_t height, int32_t two, float *tile)
{
    if (two)
        fill_tile<FORMAT, true, CHANNELS>(p, header, columns, rows, width, height, tile);
    else
        fill_tile<FORMAT, false, CHANNELS>(p, header, columns, rows, width, height, tile);
}

template <int CHANNELS> static __global__ void __launch_bounds__(THREADS) preprocess_kernel(preprocess_args p)
{
    __shared__ filter columns[TILE_W], rows[TILE_H];
    __shared__ float tile[TILE_H * TILE_W * CHANNELS];
    sono_frame_header header = p.headers[blockIdx.z];
    region_crop(&header);
    const int32_t image_width = p.op.width_px, image_height = p.op.height_px;
    const int32_t first_x = blockIdx.x * TILE_W, first_y = blockIdx.y * TILE_H;
    int32_t width = image_width, height = image_height; /* of the resized frame */
    if (p.op.fit == SONO_FIT_LETTERBOX) {
        const int32_t longest = longest_side_px(header.width_px, header.height_px);
        width = letterbox_px(header.width_px, longest, image_width);
        height = letterbox_px(header.height_px, longest, image_width);
    }
    const int32_t i = threadIdx.x, y = i - TILE_W;
    if (i < TILE_W && first_x + i < width)
        columns[i] = filter_at(header.width_px, width, first_x + i);
    else if (y >= 0 && y < TILE_H && first_y + y < height)
        rows[y] = filter_at(header.height_px, height, first_y + y);
    __syncthreads(); /* the filters are there */
    const int32_t two = header.width_px <= width && header.height_px <= height;
    const int32_t left = width - first_x, above = height - first_y;
    if (header.format == SONO_PIXEL_GRAY8)
        fill_tile_of<SONO_PIXEL_GRAY8, CHANNELS>(p, header, columns, rows, left, above, two, tile);
    else if (header.format == SONO_PIXEL_GRAY16)
        fill_tile_of<SONO_PIXEL_GRAY16, CHANNELS>(p, header, columns, rows, left, above, two, tile);
    else if (header.format == SONO_PIXEL_RGB8)
        fill_tile_of<SONO_PIXEL_RGB8, CHANNELS>(p, header, columns, rows, left, above, two, tile);
    else
        fill_tile_of<SONO_PIXEL_RGBA8, CHANNELS>(p, header, columns, rows, left, above, two, tile);
    __syncthreads(); /* the tile is complete: it leaves row by row */
    for (int32_t e = threadIdx.x; e < TILE_H * TILE_W * CHANNELS; e += THREADS) {
        const int32_t out_y = first_y + e / (TILE_W * CHANNELS), out_x = first_x + e / CHANNELS % TILE_W;
        if (out_x < image_width && out_y < image_height)
            sono_store_either(p.out,
                              blockIdx.z * p.out_stride +
                                  ((int64_t)out_y * image_width + out_x) * p.out_pitch + e % CHANNELS,
                              tile[e], p.out_is_half);
    }
}

extern "C" cudaError_t sono_cuda_preprocess(const sono_cuda_call *call)
{
    const sono_cuda_tensor *out = &call->out[0];
    const preprocess_args p = {(const uint8_t *)call->in[0].data,
                               (const sono_frame_header *)call->in[1].data,
                               out->data,
                               out->pitch,
                               out->batch_stride,
                               sono_is_half(out),
                               call->op->args.preprocess};
    const dim3 grid((unsigned)sono_ceil_div(p.op.width_px, TILE_W),
                    (unsigned)sono_ceil_div(p.op.height_px, TILE_H), (unsigned)out->n);
    if (p.op.is_luma)
        preprocess_kernel<1><<<grid, THREADS, 0, call->stream>>>(p);
    else
        preprocess_kernel<3><<<grid, THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
