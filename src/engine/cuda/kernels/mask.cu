// SPDX-License-Identifier: Apache-2.0
/*
 * HYPER_MASK: up [NK, 1, 65536, 32], hyper [NK, 1, 1, 32] -> logits [NK, 256, 256, 1], their dot products;
 * rows of up in the order in which two 2 x 2 transposed convolutions leave them. Four threads a logit, 8
 * channels each: a warp reads whole rows of up and writes 8 neighbouring logits.
 *
 * UPSAMPLE_MASK: logits [NK, 256, 256, 1], detections [N, 1, K, 8], headers -> mask U8 (H rows of W
 * bytes, 0 / 255, packed: graph/map_layout.h), area I32 [NK, 1, 1, 1], source logits? [NK, 1, 1, maxH *
 * maxW]. Outside of a frame's region all is 0. Each axis has one filter of three neighbouring taps that
 * composes both bilinear steps. Blocks walk over tiles of 64 x 16 source pixels: the frame's size is read
 * from the header; 80 threads find the tile's filters in double precision, then every thread mixes 3 x 3
 * logits a pixel. A block adds its count of set pixels to the area once, in whole numbers, so that the order
 * does not matter; the area is zeroed before, on the same stream.
 *
 * Semantics, sources and numbers: the CPU twin. Test: tests/ops/test_mask.c.
 */
#include "engine/cuda/kernels/rows.cuh"
#include "engine/frames.h"
#include "engine/letterbox.h"
#include "engine/region.h"
#include "graph/map_layout.h"

#define THREADS       256
#define LOGIT_LANES   4 /* threads of one dot product */
#define VECTOR_WIDTH  (8 * LOGIT_LANES)
#define BLOCKS_PER_SM 4
#define TILE_W        64
#define TILE_H        16
#define TAPS          3

/* ---- HYPER_MASK ---- */

typedef struct hyper_args {
    const void *up, *hyper;
    void *out;
    int64_t up_pitch, up_stride, hyper_stride, out_pitch, out_stride;
    int32_t c, side; /* side of the logits' map */
    int32_t hyper_is_half, out_is_half;
} hyper_args;

/* Row of up that holds logit (y, x): cell of 4 x 4, then bit by bit dy1 dx1 dy2 dx2. */
static __device__ __forceinline__ int32_t hyper_row(int32_t side, int32_t y, int32_t x)
{
    return (y / 4 * (side / 4) + x / 4) * 16 + (y >> 1 & 1) * 8 + (x >> 1 & 1) * 4 + (y & 1) * 2 + (x & 1);
}

/* VECTOR: 32 channels in rows of up on multiples of 16 bytes. */
template <typename T, bool VECTOR> __global__ void __launch_bounds__(THREADS) hyper_kernel(hyper_args p)
{
    const int32_t part = threadIdx.x % LOGIT_LANES, n_logits = p.side * p.side;
    const int32_t step = gridDim.x * (THREADS / LOGIT_LANES);
    const T *up = (const T *)p.up + blockIdx.y * p.up_stride;
    const int64_t hyper = blockIdx.y * p.hyper_stride;
    float weights[8];
#pragma unroll
    for (int i = 0; i < 8; i++)
        weights[i] = VECTOR ? sono_load_either(p.hyper, hyper + part * 8 + i, p.hyper_is_half) : 0.0f;
    /* The bound is the same for all lanes of a warp, which meet in the sums. */
    for (int32_t first = blockIdx.x * (THREADS / LOGIT_LANES); first < n_logits; first += step) {
        const int32_t i = first + threadIdx.x / LOGIT_LANES, logit = min(i, n_logits - 1);
        const T *row = up + hyper_row(p.side, logit / p.side, logit % p.side) * p.up_pitch;
        float sum = 0.0f;
        if (VECTOR) {
            float v[8];
            sono_load8(row + part * 8, v);
#pragma unroll
            for (int c = 0; c < 8; c++)
                sum += v[c] * weights[c];
        } else {
            for (int32_t c = part; c < p.c; c += LOGIT_LANES)
                sum += sono_load(row + c) * sono_load_either(p.hyper, hyper + c, p.hyper_is_half);
        }
        sum = sono_lanes_sum<LOGIT_LANES>(sum);
        if (part == 0 && i < n_logits)
            sono_store_either(p.out, blockIdx.y * p.out_stride + i * p.out_pitch, sum, p.out_is_half);
    }
}

template <typename T> static void launch_hyper(const sono_cuda_call *call, const hyper_args *p)
{
    const int64_t needed = sono_ceil_div((int64_t)p->side * p->side * LOGIT_LANES, THREADS);
    const int64_t most = (int64_t)BLOCKS_PER_SM * call->n_multiprocessors;
    const dim3 grid((unsigned)(needed < most ? needed : most), (unsigned)call->out[0].n);
    if (p->c == VECTOR_WIDTH && sono_is_aligned16(&call->in[0]))
        hyper_kernel<T, true><<<grid, THREADS, 0, call->stream>>>(*p);
    else
        hyper_kernel<T, false><<<grid, THREADS, 0, call->stream>>>(*p);
}

extern "C" cudaError_t sono_cuda_hyper_mask(const sono_cuda_call *call)
{
    const sono_cuda_tensor *up = &call->in[0], *hyper = &call->in[1], *out = &call->out[0];
    const hyper_args p = {
        up->data,   hyper->data,       out->data, up->pitch, up->batch_stride,    hyper->batch_stride,
        out->pitch, out->batch_stride, up->c,     out->w,    sono_is_half(hyper), sono_is_half(out)};
    if (sono_is_half(up))
        launch_hyper<__half>(call, &p);
    else
        launch_hyper<float>(call, &p);
    return cudaGetLastError();
}

/* ---- UPSAMPLE_MASK ---- */

typedef struct upsample_args {
    const void *low;
    const float *detections;
    const sono_frame_header *headers;
    uint8_t *maps;
    int32_t *area;
    void *logits; /* NULL = not wanted */
    int64_t low_pitch, low_stride, detections_pitch, detections_stride, area_stride, logits_stride;
    int32_t low_w, low_h, image_size;
    int32_t n_objects; /* of a frame */
    int32_t map_element_bytes;
    int32_t low_is_half, logits_is_half;
} upsample_args;

typedef struct axis {
    int32_t n_low, n_high, n_crop, n_out;
} axis;

/* Output sample = the sum of weights[t] * sample first + t. */
struct filter {
    int32_t first;
    float weights[TAPS];
};

/* Bilinear neighbours of output sample i as torch finds them (align_corners=False). */
static __device__ __forceinline__ void neighbours(int32_t n_in, double scale, int32_t i, int32_t *low,
                                                  int32_t *high, double *part)
{
    const double at = scale * (i + 0.5) - 0.5;
    const double clamped = at > 0.0 ? at : 0.0;
    *low = min((int32_t)clamped, n_in - 1);
    *high = min(*low + 1, n_in - 1);
    *part = clamped - *low;
}

static __device__ filter compose(const axis &a, int32_t i)
{
    const double up = (double)a.n_low / a.n_high;
    double sums[TAPS] = {}, high_part;
    int32_t high[2];
    filter f = {};
    neighbours(a.n_crop, (double)a.n_crop / a.n_out, i, &high[0], &high[1], &high_part);
#pragma unroll
    for (int s = 0; s < 2; s++) {
        const double weight = s ? high_part : 1.0 - high_part;
        int32_t low, next;
        double low_part;
        neighbours(a.n_low, up, high[s], &low, &next, &low_part);
        if (s == 0)
            f.first = min(low, a.n_low - TAPS);
#pragma unroll
        for (int t = 0; t < TAPS; t++) {
            sums[t] += low - f.first == t ? weight * (1.0 - low_part) : 0.0;
            sums[t] += next - f.first == t ? weight * low_part : 0.0;
        }
    }
#pragma unroll
    for (int t = 0; t < TAPS; t++)
        f.weights[t] = (float)sums[t];
    return f;
}

/* One source pixel's logit, mixed along x, then y. */
static __device__ __forceinline__ float mix_logits(const upsample_args &p, const filter &column,
                                                   const filter &row)
{
    float sum = 0.0f;
#pragma unroll
    for (int ty = 0; ty < TAPS; ty++) {
        const int64_t at =
            blockIdx.y * p.low_stride + ((int64_t)(row.first + ty) * p.low_w + column.first) * p.low_pitch;
        float mixed = 0.0f;
#pragma unroll
        for (int tx = 0; tx < TAPS; tx++)
            mixed += column.weights[tx] * sono_load_either(p.low, at + tx * p.low_pitch, p.low_is_half);
        sum += row.weights[ty] * mixed;
    }
    return sum;
}

/* Where this block's object has its mask. */
static __device__ __forceinline__ uint8_t *mask_of(const upsample_args &p, const sono_frame_header &header)
{
    const int64_t n_pixels = (int64_t)header.width_px * header.height_px;
    return p.maps + header.maps_at_bytes +
           blockIdx.y % p.n_objects * object_maps_bytes(n_pixels, p.map_element_bytes);
}

/* Whether a row or column of the frame is one of the region's, which begins at `first`. */
static __device__ __forceinline__ bool is_within(int32_t at, int32_t first, int32_t n)
{
    return at >= first && at - first < n;
}

/* The pixels of one tile with its filters; returns how many this thread set. */
static __device__ __forceinline__ int32_t fill_tile(const upsample_args &p, const sono_frame_header &header,
                                                    const region_rect &region, uint8_t *mask,
                                                    const filter *columns, const filter *rows,
                                                    int32_t first_x, int32_t first_y)
{
    const int32_t x = threadIdx.x % TILE_W;
    int32_t count = 0;
    if (first_x + x >= header.width_px)
        return 0;
    const bool has_column = is_within(first_x + x, region.x, region.w);
    const filter column = has_column ? columns[x] : filter{};
    for (int32_t y = threadIdx.x / TILE_W; y < TILE_H && first_y + y < header.height_px;
         y += THREADS / TILE_W) {
        const int64_t at = (int64_t)(first_y + y) * header.width_px + first_x + x;
        const bool has_logit = has_column && is_within(first_y + y, region.y, region.h);
        const float logit = has_logit ? mix_logits(p, column, rows[y]) : 0.0f;
        const bool set = logit > 0.0f;
        mask[at] = set ? 255 : 0;
        if (p.logits)
            sono_store_either(p.logits, blockIdx.y * p.logits_stride + at, logit, p.logits_is_half);
        count += set;
    }
    return count;
}

static __device__ __forceinline__ void clear_object(const upsample_args &p, const sono_frame_header &header)
{
    const int64_t n_pixels = (int64_t)header.width_px * header.height_px;
    uint8_t *mask = mask_of(p, header);
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n_pixels;
         i += (int64_t)gridDim.x * THREADS) {
        mask[i] = 0;
        if (p.logits)
            sono_store_either(p.logits, blockIdx.y * p.logits_stride + i, 0.0f, p.logits_is_half);
    }
}

static __global__ void __launch_bounds__(THREADS) upsample_kernel(upsample_args p)
{
    __shared__ filter columns[TILE_W], rows[TILE_H];
    __shared__ int32_t set_pixels;
    const sono_frame_header header = p.headers[frame_of_object(blockIdx.y, p.n_objects)];
    const sono_detection *detection =
        (const sono_detection *)(p.detections + detection_at(blockIdx.y, p.n_objects, p.detections_pitch,
                                                             p.detections_stride));
    if (detection->valid != 1.0f) {
        clear_object(p, header);
        return;
    }
    const region_rect region = region_of(&header);
    const int32_t longest = longest_side_px(region.w, region.h);
    const axis across = {p.low_w, p.image_size, letterbox_px(region.w, longest, p.image_size), region.w};
    const axis down = {p.low_h, p.image_size, letterbox_px(region.h, longest, p.image_size), region.h};
    const int32_t tiles_x = (header.width_px + TILE_W - 1) / TILE_W,
                  n_tiles = tiles_x * ((header.height_px + TILE_H - 1) / TILE_H);
    uint8_t *mask = mask_of(p, header);
    int32_t count = 0;
    if (threadIdx.x == 0)
        set_pixels = 0;
    for (int32_t tile = blockIdx.x; tile < n_tiles; tile += gridDim.x) {
        const int32_t first_x = tile % tiles_x * TILE_W, first_y = tile / tiles_x * TILE_H;
        const int32_t i = threadIdx.x, y = i - TILE_W;
        __syncthreads(); /* all are done with the filters of the tile before; set_pixels is 0 */
        if (i < TILE_W && is_within(first_x + i, region.x, region.w))
            columns[i] = compose(across, first_x + i - region.x);
        else if (y >= 0 && y < TILE_H && is_within(first_y + y, region.y, region.h))
            rows[y] = compose(down, first_y + y - region.y);
        __syncthreads(); /* the filters are there */
        count += fill_tile(p, header, region, mask, columns, rows, first_x, first_y);
    }
    for (int offset = SONO_WARP / 2; offset > 0; offset /= 2)
        count += __shfl_xor_sync(0xffffffffu, count, offset);
    if (threadIdx.x % SONO_WARP == 0 && count > 0)
        atomicAdd(&set_pixels, count);
    __syncthreads(); /* all warps have added theirs */
    if (threadIdx.x == 0 && set_pixels > 0)
        atomicAdd(p.area + blockIdx.y * p.area_stride, set_pixels);
}

static upsample_args make_upsample_args(const sono_cuda_call *call)
{
    const sono_cuda_tensor *low = &call->in[0], *logits = &call->out[2];
    upsample_args p = {};
    p.low = low->data;
    p.low_pitch = low->pitch;
    p.low_stride = low->batch_stride;
    p.low_w = low->w;
    p.low_h = low->h;
    p.low_is_half = sono_is_half(low);
    p.image_size = call->op->args.segment.image_size;
    p.detections = (const float *)call->in[1].data;
    p.detections_pitch = call->in[1].pitch;
    p.detections_stride = call->in[1].batch_stride;
    p.n_objects = call->in[1].w;
    p.headers = (const sono_frame_header *)call->in[2].data;
    p.maps = (uint8_t *)call->out[0].data;
    p.map_element_bytes = call->op->args.segment.map_element_bytes;
    p.area = (int32_t *)call->out[1].data;
    p.area_stride = call->out[1].batch_stride;
    p.logits = logits->data;
    p.logits_stride = logits->batch_stride;
    p.logits_is_half = logits->data ? sono_is_half(logits) : 0;
    return p;
}

extern "C" cudaError_t sono_cuda_upsample_mask(const sono_cuda_call *call)
{
    const upsample_args p = make_upsample_args(call);
    const sono_segment_args *op = &call->op->args.segment;
    const int32_t n = call->in[0].n;
    const cudaError_t error = cudaMemset2DAsync(p.area, (size_t)p.area_stride * sizeof *p.area, 0,
                                                sizeof *p.area, (size_t)n, call->stream);
    if (error != cudaSuccess)
        return error;
    const int64_t tiles = sono_ceil_div(op->max_width_px, TILE_W) * sono_ceil_div(op->max_height_px, TILE_H);
    const int64_t most = (int64_t)BLOCKS_PER_SM * call->n_multiprocessors;
    const dim3 grid((unsigned)(tiles < most ? tiles : most), (unsigned)n);
    upsample_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
