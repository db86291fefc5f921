// SPDX-License-Identifier: Apache-2.0
/*
 * SURFACE: pixels and headers of N frames, masks -> rows I32 [N, 1, 1, SONO_SURFACE_COLUMNS] of the ridge in
 * the first object's mask, runs I32 [N, 1, RIDGE_RUNS, SONO_SURFACE_COLUMNS]. Semantics: the CPU twin.
 * Exact: sums, least and most of whole numbers, whatever the order of the lanes.
 *
 * Two launches. In the first a warp takes a column: it finds the runs of its mask from 1024 rows at a time,
 * and of each run its levels, one row a lane; most runs are shorter than a warp, and a level is computed once
 * then. In the second a block takes a frame's line, a thread a column, in shared memory.
 *
 * Test: tests/ops/test_surface.c.
 */
#include "engine/cuda/kernels/columns.cuh"
#include "engine/ridge.h"

#define THREADS 128
#define WARPS   (THREADS / SONO_WARP)

typedef struct surface_args {
    const uint8_t *pixels;
    const sono_frame_header *headers;
    const uint8_t *maps;
    int32_t *rows, *runs;
    int64_t rows_stride, runs_pitch, runs_stride;
} surface_args;

/* ridge_level(), with the usual format as a constant, so that its 25 loads do not wait for one another. */
static __device__ __forceinline__ int32_t level_of(const sono_frame_header *header, const uint8_t *pixels,
                                                   int32_t x, int32_t y)
{
    if (header->format != SONO_PIXEL_GRAY8)
        return ridge_level(header, pixels, x, y);
    sono_frame_header plain = *header;
    plain.format = SONO_PIXEL_GRAY8;
    return ridge_level(&plain, pixels, x, y);
}

/* A run's levels: lane l has those of rows first + l, first + l + 32, ..., the first of them kept. */
struct run_levels {
    const sono_frame_header *header;
    const uint8_t *pixels;
    int32_t x, first, last, kept;

    __device__ __forceinline__ int32_t operator()(int32_t y) const
    {
        return y - first < SONO_WARP ? kept : level_of(header, pixels, x, y);
    }
};

/* Centroid of the lobe of the brightest row. All lanes get it. */
static __device__ int32_t lobe_row(const run_levels &level, int32_t least, int32_t most, int32_t top)
{
    const int32_t lane = threadIdx.x % SONO_WARP;
    int64_t before = level.first - 1, behind = -(int64_t)(level.last + 1); /* rows that end the lobe */
    for (int32_t y = level.first + lane; y <= level.last; y += SONO_WARP) {
        if (ridge_excess(level(y), least, most) > 0)
            continue;
        if (y < top)
            before = y;
        else if (-(int64_t)y > behind)
            behind = -(int64_t)y;
    }
    const int32_t begin = (int32_t)sono_warp_most_whole(before) + 1;
    const int32_t end = -(int32_t)sono_warp_most_whole(behind);
    int64_t excess = 0, moment = 0;
    for (int32_t y = level.first + lane; y <= level.last; y += SONO_WARP) {
        if (y < begin || y >= end)
            continue;
        const int32_t e = ridge_excess(level(y), least, most);
        excess += e;
        moment += (int64_t)e * (y - begin);
    }
    return ridge_centroid(begin, sono_warp_sum_whole(excess), sono_warp_sum_whole(moment));
}

static __device__ void add_run(const sono_frame_header *header, const uint8_t *pixels, int32_t x,
                               int32_t first, int32_t last, ridge_runs *runs)
{
    const int32_t lane = threadIdx.x % SONO_WARP;
    run_levels level = {header, pixels, x, first, last, 0};
    if (first + lane <= last)
        level.kept = level_of(header, pixels, x, first + lane);
    int64_t mass = 0, darkest = INT64_MIN, brightest = INT64_MIN;
    for (int32_t y = first + lane; y <= last; y += SONO_WARP) {
        const int32_t v = level(y);
        const int64_t key = (int64_t)v << 32 | (uint32_t)(INT32_MAX - y); /* of equal ones the upper */
        mass += v;
        darkest = -(int64_t)v > darkest ? -(int64_t)v : darkest;
        brightest = key > brightest ? key : brightest;
    }
    brightest = sono_warp_most_whole(brightest);
    const int32_t most = (int32_t)(brightest >> 32), top = INT32_MAX - (int32_t)(uint32_t)brightest;
    const int32_t least = -(int32_t)sono_warp_most_whole(darkest);
    const int32_t row = most > least ? lobe_row(level, least, most, top) : (first + last) * (RIDGE_UNIT / 2);
    ridge_add_run(runs, (int32_t)sono_warp_sum_whole(mass) + 1, row);
}

static __global__ void __launch_bounds__(THREADS) columns_kernel(surface_args p)
{
    const sono_frame_header *header = &p.headers[blockIdx.y];
    const ridge_sizes sizes = ridge_sizes_of(header->width_px, header->height_px);
    const int32_t first_column = blockIdx.x * WARPS;
    const int32_t column = first_column + (int32_t)threadIdx.x / SONO_WARP;
    if (first_column >= sizes.n_columns) /* the same for all threads */
        return;
    const uint8_t *pixels = frame_pixels_of(p.pixels, header);
    const int32_t x = column * sizes.step_px;
    ridge_runs runs = {};
    sono_column_runs<WARPS>(p.maps + header->maps_at_bytes, header->width_px, header->height_px, first_column,
                            sizes.step_px, sizes.n_columns, [&](int32_t first, int32_t last) {
                                add_run(header, pixels, x, first, last, &runs);
                            });
    int32_t *out = p.runs + blockIdx.y * p.runs_stride + column;
    if (threadIdx.x % SONO_WARP == 0 && column < sizes.n_columns)
#pragma unroll
        for (int32_t k = 0; k < RIDGE_RUNS; k++)
            out[k * p.runs_pitch] = runs.mass[k] ? runs.row[k] : RIDGE_NONE;
}

static __global__ void __launch_bounds__(SONO_SURFACE_COLUMNS) line_kernel(surface_args p)
{
    __shared__ int32_t line[SONO_SURFACE_COLUMNS], even[SONO_SURFACE_COLUMNS];
    const sono_frame_header *header = &p.headers[blockIdx.x];
    const ridge_sizes sizes = ridge_sizes_of(header->width_px, header->height_px);
    const int32_t n = sizes.n_columns, i = threadIdx.x;
    line[i] =
        i < n ? ridge_continued(p.runs + blockIdx.x * p.runs_stride, p.runs_pitch, &sizes, i) : RIDGE_NONE;
    __syncthreads(); /* line is whole */
    even[i] = line[i] == RIDGE_NONE ? RIDGE_NONE : ridge_median(line, n, i, RIDGE_MEDIAN_REACH);
    __syncthreads(); /* even is whole, and nobody reads line any more */
    line[i] = even[i] != RIDGE_NONE && ridge_stays(even, &sizes, i) ? even[i] : RIDGE_NONE;
    __syncthreads(); /* line is whole */
    p.rows[blockIdx.x * p.rows_stride + i] =
        line[i] == RIDGE_NONE ? RIDGE_NONE : ridge_smooth(line, &sizes, i);
}

extern "C" cudaError_t sono_cuda_surface(const sono_cuda_call *call)
{
    const sono_cuda_tensor *rows = &call->out[0], *runs = &call->out[1];
    const surface_args p = {(const uint8_t *)call->in[0].data,
                            (const sono_frame_header *)call->in[1].data,
                            (const uint8_t *)call->in[2].data,
                            (int32_t *)rows->data,
                            (int32_t *)runs->data,
                            rows->batch_stride,
                            runs->pitch,
                            runs->batch_stride};
    const dim3 grid(SONO_SURFACE_COLUMNS / WARPS, (unsigned)rows->n);
    columns_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    line_kernel<<<(unsigned)rows->n, SONO_SURFACE_COLUMNS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
