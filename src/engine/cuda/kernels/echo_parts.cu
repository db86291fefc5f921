// SPDX-License-Identifier: Apache-2.0
/*
 * ECHO_PARTS: pixels U8 of N frames of any size and format, headers, mask U8 (packed), profile I32
 * [N, 1, 3, side], detections [N, 1, K, 8], sums I32 [N, 1, 1, 1024], all 0 -> echo I32 [N, 1, 1, 16], a
 * row of SONO_ECHO_INTS a frame, about its first mask. Semantics: the CPU twin; formulas:
 * engine/echo_parts.h. Exact: the sums are whole numbers, whatever the order of the threads.
 *
 * One launch. Blocks walk over tiles of 32 x 32 pixels of their frame (blockIdx.y): a lane has a column, and
 * of the profile's column the two bands; a warp has four rows. Loads are made for all four at once: first
 * what every pixel needs (its grey value, for the fingerprint, and what the profile says), then, near a mask
 * only, the mask and what the Laplacian reads. Histograms lie in shared memory; what a block has goes to the
 * frame's sums by atomics. The last block of a frame turns them into parts. Test:
 * tests/ops/test_echo_parts.c.
 */
#include "engine/cuda/kernels/state_sums.cuh"
#include "engine/cuda/kernels/totals.cuh"
#include "engine/grey.h"

#define TILE           32
#define THREADS        256
#define WARPS          (THREADS / SONO_WARP)
#define ROWS           (TILE / WARPS) /* of a tile, that a warp takes */
#define BLOCKS_PER_SM  4
#define ALL_SUMS       6 /* those of sono_echo_sums and the fingerprint */
#define SONO_ALL_LANES 0xffffffffu

static_assert(offsetof(state_sums, fingerprint) == (ALL_SUMS - 1) * sizeof(int64_t),
              "the first sums of a frame are those that a block has, one after the other");

static_assert(THREADS == SONO_ECHO_LEVELS, "in the end every thread has a level of grey");

typedef struct echo_args {
    const uint8_t *pixels;
    const sono_frame_header *headers;
    const uint8_t *maps;
    const int32_t *profile;
    const float *detections;
    int32_t *echo, *sums;
    int64_t profile_stride, detections_stride, echo_stride, sums_stride;
    int32_t side;
} echo_args;

/* A frame as every thread sees it. */
struct frame {
    const uint8_t *pixels, *mask;
    const int32_t *columns, *heights, *rows; /* of the profile */
    int32_t width, height;
    sono_frame_header header; /* a copy, so that what is used of it stays in registers */
    sono_echo_scale scale;
};

/* What one thread adds up: at most 2^28 / THREADS = 2^20 pixels, so that sums of values (below 2^10) fit into
 * 32 bits where those of squares do not. */
struct sums_of_thread {
    int32_t n_pixels, laplacian, grey;
    int64_t laplacian_squares, grey_squares;
    uint64_t fingerprint;
};

static __device__ __forceinline__ frame frame_of(const echo_args &p)
{
    frame f;
    f.header = p.headers[blockIdx.y];
    f.pixels = frame_pixels_of(p.pixels, &f.header);
    f.mask = p.maps + f.header.maps_at_bytes;
    f.columns = p.profile + blockIdx.y * p.profile_stride;
    f.heights = f.columns + SONO_PROFILE_HEIGHTS * p.side;
    f.rows = f.columns + SONO_PROFILE_ROWS * p.side;
    f.width = f.header.width_px;
    f.height = f.header.height_px;
    f.scale = echo_scale_of(f.height);
    return f;
}

static __device__ __forceinline__ int32_t grey_at(const frame &f, int32_t x, int32_t y)
{
    return grey_of(&f.header, f.pixels + (int64_t)y * f.header.pitch_bytes, x);
}

static __device__ __forceinline__ bool is_set(const frame &f, int32_t x, int32_t y)
{
    return f.mask[(int64_t)y * f.width + x] != 0;
}

/* Bit i: row first_y + i, or one of those that the Laplacian of its pixels reads, has mask, and all are in
 * the frame. For all lanes of a warp. */
static __device__ __forceinline__ uint32_t rows_near(const frame &f, int32_t first_y)
{
    const int32_t lane = threadIdx.x % SONO_WARP, row = lane % ROWS, s = f.scale.step;
    const int32_t y = first_y + row + (lane / ROWS - 1) * s; /* the rows above, these, the rows below */
    const bool is_in = y >= 0 && y < f.height, has_mask = lane < 3 * ROWS && is_in && f.rows[y] > 0;
    const uint32_t masks = __ballot_sync(SONO_ALL_LANES, has_mask);
    const bool fits = lane < ROWS && first_y + row >= s && first_y + row < f.height - s;
    return (masks | masks >> ROWS | masks >> 2 * ROWS) & __ballot_sync(SONO_ALL_LANES, fits);
}

/* Pixels (x, first_y + i) of the rows that are near; set: bit i says whether it is in the mask. All masks are
 * loaded before they are used, and so are all grey values, of the nearest pixel that has all neighbours where
 * this one has not. By all lanes of a warp. */
static __device__ __forceinline__ void add_edge(const frame &f, int32_t x, int32_t first_y, uint32_t near,
                                                const int32_t grey[ROWS], uint32_t set, sums_of_thread &sums)
{
    const int32_t s = f.scale.step, in_x = min(max(x, s), f.width - 1 - s);
    uint32_t touches = set;
    if (near == 0 || f.width <= 2 * s)
        return; /* no row, or no column, has such a pixel */
#pragma unroll
    for (int32_t i = 0; i < ROWS; i++) {
        const int32_t y = min(max(first_y + i, s), f.height - 1 - s);
        touches |= (uint32_t)(is_set(f, in_x - s, y) | is_set(f, in_x + s, y) | is_set(f, in_x, y - s) |
                              is_set(f, in_x, y + s))
                   << i;
    }
    touches &= x == in_x ? near : 0;
    if (!__any_sync(SONO_ALL_LANES, touches))
        return;
#pragma unroll
    for (int32_t i = 0; i < ROWS; i++) {
        const int32_t y = min(max(first_y + i, s), f.height - 1 - s);
        const int32_t laplacian = 4 * grey[i] - grey_at(f, in_x - s, y) - grey_at(f, in_x + s, y) -
                                  grey_at(f, in_x, y - s) - grey_at(f, in_x, y + s);
        const int32_t one = touches >> i & 1; /* no branch, which would keep the loads apart */
        sums.n_pixels += one;
        sums.laplacian += one * laplacian;
        sums.laplacian_squares += one * laplacian * laplacian;
        sums.grey += one * grey[i];
        sums.grey_squares += one * grey[i] * grey[i];
    }
}

/* By all lanes of a warp. */
static __device__ __forceinline__ void add_tile(const frame &f, int32_t tile,
                                                int32_t (*histograms)[SONO_ECHO_LEVELS], sums_of_thread &sums)
{
    const int32_t n_across = (f.width + TILE - 1) / TILE;
    const int32_t x = tile % n_across * TILE + threadIdx.x % SONO_WARP;
    const int32_t first_y = tile / n_across * TILE + (int32_t)threadIdx.x / SONO_WARP * ROWS;
    const int32_t end_y = x < f.width ? f.height : 0; /* of the lane's pixels */
    const int32_t count = x < f.width ? f.columns[x] : 0, height = x < f.width ? f.heights[x] : 0;
    int32_t grey[ROWS];
    uint32_t set = 0;
#pragma unroll
    for (int32_t i = 0; i < ROWS; i++)
        grey[i] = grey_at(f, min(x, f.width - 1), min(first_y + i, f.height - 1));
    const uint32_t near = rows_near(f, first_y);
#pragma unroll
    for (int32_t i = 0; i < ROWS; i++)
        if (first_y + i < end_y)
            sums.fingerprint += fingerprint_of((int64_t)(first_y + i) * f.width + x, grey[i]);
    if (near == 0 && !__any_sync(SONO_ALL_LANES, count)) /* the same for all lanes */
        return;
#pragma unroll
    for (int32_t i = 0; i < ROWS; i++) /* a column without pixels has none here either */
        set |= (uint32_t)(count > 0 && first_y + i < end_y && is_set(f, x, first_y + i)) << i;
    add_edge(f, x, first_y, near, grey, set, sums);
    if (count == 0)
        return;
    const sono_echo_run run = echo_run_of(count, height);
#pragma unroll
    for (int32_t i = 0; i < ROWS; i++) {
        const int32_t band = set >> i & 1 ? SONO_ECHO_INSIDE : echo_band_of(run, f.scale, first_y + i);
        if (band != SONO_ECHO_NONE && first_y + i < end_y)
            atomicAdd(&histograms[band][grey[i]], 1);
    }
}

/* All tiles of a block. The format is a constant, so that loads of several pixels stand side by side. */
template <sono_pixel_format FORMAT>
static __device__ void add_tiles(const echo_args &p, int32_t (*histograms)[SONO_ECHO_LEVELS],
                                 sums_of_thread &sums)
{
    frame f = frame_of(p);
    const int32_t n_tiles = (f.width + TILE - 1) / TILE * ((f.height + TILE - 1) / TILE);
    f.header.format = FORMAT;
    for (int32_t tile = blockIdx.x; tile < n_tiles; tile += gridDim.x)
        add_tile(f, tile, histograms, sums);
}

/* The block's sums to the frame's. */
static __device__ void add_block(state_sums *all, const int32_t (*histograms)[SONO_ECHO_LEVELS],
                                 const sums_of_thread &mine)
{
    __shared__ int64_t parts[ALL_SUMS][WARPS];
    const int64_t sums[ALL_SUMS] = {mine.n_pixels, mine.laplacian,    mine.laplacian_squares,
                                    mine.grey,     mine.grey_squares, (int64_t)mine.fingerprint};
    const bool has_edge = __any_sync(SONO_ALL_LANES, mine.n_pixels);
#pragma unroll
    for (int32_t i = 0; i < ALL_SUMS; i++) {
        const int64_t total = has_edge || i == ALL_SUMS - 1 ? sono_warp_total(sums[i]) : 0;
        if (threadIdx.x % SONO_WARP == 0)
            parts[i][threadIdx.x / SONO_WARP] = total;
    }
    __syncthreads(); /* every warp's parts are there, and the histograms are complete */
    if (threadIdx.x < ALL_SUMS) {
        int64_t total = 0;
#pragma unroll
        for (int32_t w = 0; w < WARPS; w++)
            total += parts[threadIdx.x][w];
        if (total != 0)
            sono_add64((int64_t *)all + threadIdx.x, total);
    }
    for (int32_t band = 0; band < SONO_ECHO_BANDS; band++)
        if (histograms[band][threadIdx.x])
            atomicAdd(&all->histograms[band][threadIdx.x], histograms[band][threadIdx.x]);
}

/* Of each band how many pixels are no brighter than thread t's level: `own` pixels are of that level. Counts
 * of both bands share a number: they stay below 2^32. */
static __device__ uint64_t up_to_level(uint64_t own)
{
    __shared__ uint64_t warps[WARPS];
    const int32_t lane = threadIdx.x % SONO_WARP, warp = threadIdx.x / SONO_WARP;
    uint64_t up_to = own;
#pragma unroll
    for (int32_t step = 1; step < SONO_WARP; step *= 2) {
        const uint64_t before = __shfl_up_sync(SONO_ALL_LANES, up_to, step);
        up_to += lane >= step ? before : 0;
    }
    if (lane == SONO_WARP - 1)
        warps[warp] = up_to;
    __syncthreads(); /* every warp's count is there */
#pragma unroll
    for (int32_t w = 0; w < WARPS; w++)
        up_to += w < warp ? warps[w] : 0;
    return up_to;
}

/* From the first to the last column with mask. */
static __device__ sono_echo_columns columns_of_mask(const frame &f)
{
    __shared__ sono_echo_columns columns;
    if (threadIdx.x == 0)
        columns = {f.width, 0};
    __syncthreads(); /* columns are empty */
    for (int32_t x = threadIdx.x; x < f.width; x += THREADS)
        if (f.columns[x]) {
            atomicMin(&columns.first, x);
            atomicMax(&columns.end, x + 1);
        }
    __syncthreads(); /* every column was seen */
    return columns;
}

/* What the last block adds up over its threads. */
enum { TWICE_U_ABOVE, TWICE_U_BELOW, N_INSIDE, N_BANDS, N_TOGETHER, LAST_SUMS };

/* One block, when all sums of a frame are there: thread t has a level of grey, and every 256th column. */
static __device__ void write_echo(const echo_args &p, const state_sums *all)
{
    const frame f = frame_of(p);
    const sono_detection *box = (const sono_detection *)(p.detections + blockIdx.y * p.detections_stride);
    int32_t *echo = p.echo + blockIdx.y * p.echo_stride;
    __shared__ uint64_t parts[LAST_SUMS][WARPS];
    const int32_t t = threadIdx.x, warp = t / SONO_WARP;
    const uint32_t inside = (uint32_t)__ldcg(&all->histograms[SONO_ECHO_INSIDE][t]);
    const uint32_t above = (uint32_t)__ldcg(&all->histograms[SONO_ECHO_ABOVE][t]);
    const uint32_t below = (uint32_t)__ldcg(&all->histograms[SONO_ECHO_BELOW][t]);
    const uint64_t bands = (uint64_t)below << 32 | above;
    sono_echo_columns columns = echo_columns_of(box, f.width);
    if (columns.first == columns.end) /* the same for all threads */
        columns = columns_of_mask(f);
    uint64_t sums[LAST_SUMS] = {0, 0, inside, bands, 0};
#pragma unroll 4
    for (int32_t x = columns.first + t; x + 1 < columns.end; x += THREADS)
        sums[N_TOGETHER] +=
            echo_hangs_together(f.columns[x], f.heights[x], f.columns[x + 1], f.heights[x + 1]);
    const uint64_t up_to = up_to_level(bands);
    sums[TWICE_U_ABOVE] = inside * (2 * (up_to & 0xffffffffu) - above);
    sums[TWICE_U_BELOW] = inside * (2 * (up_to >> 32) - below);
#pragma unroll
    for (int32_t i = 0; i < LAST_SUMS; i++) {
        const uint64_t total = sono_warp_total(sums[i]);
        if (t % SONO_WARP == 0)
            parts[i][warp] = total;
    }
    __syncthreads(); /* every warp's parts are there */
    if (t % SONO_WARP != 0)
        return; /* from here on four warps have a part each */
#pragma unroll
    for (int32_t i = 0; i < LAST_SUMS; i++) {
        sums[i] = 0;
#pragma unroll
        for (int32_t w = 0; w < WARPS; w++)
            sums[i] += parts[i][w];
    }
    const int64_t area_px = (int64_t)sums[N_INSIDE], n_above = (int64_t)(sums[N_BANDS] & 0xffffffffu);
    const int64_t n_below = (int64_t)(sums[N_BANDS] >> 32);
    const bool is_known = area_px > 0;
    if (warp == 0) {
        echo[SONO_ECHO_CONTRAST] = is_known ? echo_rank(sums[TWICE_U_ABOVE], area_px, n_above) : -1;
    } else if (warp == 1) {
        echo[SONO_ECHO_SHADOW] = is_known ? echo_rank(sums[TWICE_U_BELOW], area_px, n_below) : -1;
    } else if (warp == 2) {
        const long long *edge = (const long long *)&all->echo;
        const sono_echo_sums edge_sums = {__ldcg(edge), __ldcg(edge + 1), __ldcg(edge + 2), __ldcg(edge + 3),
                                          __ldcg(edge + 4)};
        echo[SONO_ECHO_SHARPNESS] = is_known ? echo_sharpness(&edge_sums) : -1;
    } else if (warp == 3) {
        const uint64_t fingerprint = __ldcg((const unsigned long long *)&all->fingerprint);
        const int32_t n_pairs = columns.end - columns.first - 1;
        echo[SONO_ECHO_CONTINUITY] = is_known ? echo_continuity((int32_t)sums[N_TOGETHER], n_pairs) : -1;
        echo[SONO_ECHO_FINGERPRINT_LOW] = (int32_t)(uint32_t)fingerprint;
        echo[SONO_ECHO_FINGERPRINT_HIGH] = (int32_t)(uint32_t)(fingerprint >> 32);
        echo[SONO_ECHO_AREA_PX] = (int32_t)area_px;
        for (int32_t i = SONO_ECHO_AREA_PX + 1; i < SONO_ECHO_INTS; i++)
            echo[i] = 0;
    }
}

static __global__ void __launch_bounds__(THREADS, 3) echo_kernel(echo_args p)
{
    __shared__ int32_t histograms[SONO_ECHO_BANDS][SONO_ECHO_LEVELS];
    state_sums *all = (state_sums *)(p.sums + blockIdx.y * p.sums_stride);
    sums_of_thread mine = {};
    for (int32_t band = 0; band < SONO_ECHO_BANDS; band++)
        histograms[band][threadIdx.x] = 0;
    __syncthreads(); /* histograms are 0 */
    switch (p.headers[blockIdx.y].format) {
    case SONO_PIXEL_GRAY8:
        add_tiles<SONO_PIXEL_GRAY8>(p, histograms, mine);
        break;
    case SONO_PIXEL_GRAY16:
        add_tiles<SONO_PIXEL_GRAY16>(p, histograms, mine);
        break;
    case SONO_PIXEL_RGBA8:
        add_tiles<SONO_PIXEL_RGBA8>(p, histograms, mine);
        break;
    default:
        add_tiles<SONO_PIXEL_RGB8>(p, histograms, mine);
    }
    add_block(all, histograms, mine);
    if (sono_is_last_block(&all->n_echo_blocks, (int32_t)gridDim.x))
        write_echo(p, all);
}

extern "C" cudaError_t sono_cuda_echo_parts(const sono_cuda_call *call)
{
    const sono_segment_args *op = &call->op->args.segment;
    const sono_cuda_tensor *profile = &call->in[3], *echo = &call->out[0], *sums = &call->out[1];
    const echo_args p = {(const uint8_t *)call->in[0].data,
                         (const sono_frame_header *)call->in[1].data,
                         (const uint8_t *)call->in[2].data,
                         (const int32_t *)profile->data,
                         (const float *)call->in[4].data,
                         (int32_t *)echo->data,
                         (int32_t *)sums->data,
                         profile->batch_stride,
                         call->in[4].batch_stride,
                         echo->batch_stride,
                         sums->batch_stride,
                         profile->c};
    const int64_t needed = sono_ceil_div(op->max_width_px, TILE) * sono_ceil_div(op->max_height_px, TILE);
    const int64_t most = (int64_t)BLOCKS_PER_SM * call->n_multiprocessors;
    const dim3 grid((unsigned)(needed < most ? needed : most), (unsigned)echo->n);
    echo_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
