// SPDX-License-Identifier: Apache-2.0
/*
 * BRIDGE_MASK: pixels, headers, detections [N, 1, K, 8], masks -> the same masks with gaps bridged where the
 * frame has an echo, area I32 [NK, 1, 1, 1] with what was added, runs I32 [NK, 1, 2, side]. Semantics: the
 * CPU twin. Exact: sums of whole numbers, and no gap depends on another.
 *
 * Two launches. In the first a warp takes a column of an object's mask and finds its longest run. In the
 * second a warp takes 32 columns, and of each gap that begins in them one column a lane. In most frames there
 * is none.
 *
 * Test: tests/ops/test_bridge.c.
 */
#include "engine/bridge.h"
#include "engine/cuda/kernels/columns.cuh"
#include "engine/frames.h"
#include "graph/map_layout.h"

#define THREADS 128
#define WARPS   (THREADS / SONO_WARP)

typedef struct bridge_args {
    const uint8_t *pixels;
    const sono_frame_header *headers;
    const float *detections;
    uint8_t *maps;
    int32_t *area, *runs;
    int64_t detections_pitch, detections_stride, area_stride, runs_pitch, runs_stride;
    int32_t n_objects; /* of a frame */
    int32_t map_element_bytes, permille;
} bridge_args;

/* One object, as both kernels see it. */
struct object {
    const sono_frame_header *header;
    const uint8_t *pixels;
    uint8_t *mask;
    int32_t *firsts, *lasts; /* [width] */
};

static __device__ __forceinline__ object object_of(const bridge_args &p)
{
    object o;
    o.header = &p.headers[frame_of_object(blockIdx.y, p.n_objects)];
    o.pixels = frame_pixels_of(p.pixels, o.header);
    o.mask = p.maps + o.header->maps_at_bytes +
             blockIdx.y % p.n_objects *
                 object_maps_bytes((int64_t)o.header->width_px * o.header->height_px, p.map_element_bytes);
    o.firsts = p.runs + blockIdx.y * p.runs_stride;
    o.lasts = o.firsts + p.runs_pitch;
    return o;
}

static __global__ void __launch_bounds__(THREADS) runs_kernel(bridge_args p)
{
    const object o = object_of(p);
    const int32_t width = o.header->width_px, first_x = blockIdx.x * WARPS;
    const int32_t x = first_x + (int32_t)threadIdx.x / SONO_WARP;
    if (first_x >= width) /* the same for all threads */
        return;
    bridge_run longest = {-1, -1};
    sono_column_runs<WARPS>(o.mask, width, o.header->height_px, first_x, 1, width,
                            [&](int32_t first, int32_t last) { bridge_take(&longest, first, last); });
    if (threadIdx.x % SONO_WARP || x >= width)
        return;
    o.firsts[x] = longest.first;
    o.lasts[x] = longest.last;
}

/* The first column behind `left` with mask; past left + most + 1: -1. All lanes get it. */
static __device__ int32_t next_column(const object &o, int32_t left, int32_t most)
{
    const int32_t width = o.header->width_px;
    for (int32_t base = left + 1; base < width && base <= left + most + 1; base += SONO_WARP) {
        const int32_t x = base + (int32_t)(threadIdx.x % SONO_WARP);
        const uint32_t found = __ballot_sync(SONO_ALL_LANES, x < width && o.firsts[x] >= 0);
        if (found)
            return base + __ffs(found) - 1;
    }
    return -1;
}

static __device__ __forceinline__ bridge_sum summed(const bridge_sum &of_lane)
{
    return {sono_warp_sum_whole(of_lane.grey), sono_warp_sum_whole(of_lane.n)};
}

static __device__ bool is_echo(const object &o, const bridge_gap &g)
{
    const int32_t lane = threadIdx.x % SONO_WARP;
    bridge_evidence evidence = {};
    int32_t n_bright = 0;
    for (int32_t x = g.left - g.n_left + 1 + lane; x < g.right + g.n_right; x += SONO_WARP)
        bridge_look(&evidence, &g, o.firsts, o.lasts, o.header, o.pixels, x);
    evidence.ends = summed(evidence.ends);
    evidence.band = summed(evidence.band);
    evidence.around = summed(evidence.around);
    const int32_t threshold = bridge_threshold(&evidence);
    for (int32_t x = g.left + 1 + lane; x < g.right; x += SONO_WARP)
        n_bright += bridge_is_bright(&g, o.header, o.pixels, x, threshold);
    return bridge_holds(&g, &evidence, threshold, (int32_t)sono_warp_sum_whole(n_bright));
}

/* All lanes of a warp together. Returns the pixels that this lane has added. */
static __device__ int32_t bridge(const object &o, int32_t left, int32_t right)
{
    const bridge_gap g = bridge_gap_of(o.firsts, o.lasts, o.header->width_px, left, right);
    int32_t added = 0;
    if (!bridge_is_level(&g) || !is_echo(o, g))
        return 0;
    for (int32_t x = left + 1 + (int32_t)(threadIdx.x % SONO_WARP); x < right; x += SONO_WARP) {
        const bridge_run band = bridge_band(&g, x);
        for (int32_t y = band.first; y <= band.last; y++)
            o.mask[(int64_t)y * o.header->width_px + x] = 255;
        added += band.last - band.first + 1;
    }
    return added;
}

static __global__ void __launch_bounds__(THREADS) gaps_kernel(bridge_args p)
{
    const object o = object_of(p);
    const int32_t width = o.header->width_px, x = blockIdx.x * THREADS + threadIdx.x;
    const sono_detection *box =
        (const sono_detection *)(p.detections + detection_at(blockIdx.y, p.n_objects, p.detections_pitch,
                                                             p.detections_stride));
    const int32_t most = bridge_most(box, width, p.permille);
    const bool begins = x + 1 < width && o.firsts[x] >= 0 && o.firsts[x + 1] < 0;
    int64_t added = 0;
    for (uint32_t gaps = __ballot_sync(SONO_ALL_LANES, begins); gaps; gaps &= gaps - 1) {
        const int32_t left = x - (int32_t)(threadIdx.x % SONO_WARP) + __ffs(gaps) - 1;
        const int32_t right = next_column(o, left, most);
        if (right >= 0 && right - left - 1 <= most)
            added += bridge(o, left, right);
    }
    added = sono_warp_sum_whole(added);
    if (threadIdx.x % SONO_WARP == 0 && added > 0)
        atomicAdd(p.area + blockIdx.y * p.area_stride, (int32_t)added);
}

extern "C" cudaError_t sono_cuda_bridge_mask(const sono_cuda_call *call)
{
    const sono_segment_args *op = &call->op->args.segment;
    const sono_cuda_tensor *detections = &call->in[2], *area = &call->out[1], *runs = &call->out[2];
    const bridge_args p = {(const uint8_t *)call->in[0].data,
                           (const sono_frame_header *)call->in[1].data,
                           (const float *)detections->data,
                           (uint8_t *)call->out[0].data,
                           (int32_t *)area->data,
                           (int32_t *)runs->data,
                           detections->pitch,
                           detections->batch_stride,
                           area->batch_stride,
                           runs->pitch,
                           runs->batch_stride,
                           detections->w,
                           op->map_element_bytes,
                           op->bridge_permille};
    const int64_t side = runs->c; /* no frame is wider */
    runs_kernel<<<dim3((unsigned)sono_ceil_div(side, WARPS), (unsigned)area->n), THREADS, 0, call->stream>>>(
        p);
    gaps_kernel<<<dim3((unsigned)sono_ceil_div(side, THREADS), (unsigned)area->n), THREADS, 0,
                  call->stream>>>(p);
    return cudaGetLastError();
}
