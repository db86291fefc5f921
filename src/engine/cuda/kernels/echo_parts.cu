// SPDX-License-Identifier: Apache-2.0
/*
 * ECHO_PARTS: pixels U8 of N frames of any size and format, headers, mask U8 (packed), profile I32
 * [N, 1, 3, side], detections [N, 1, K, 8], sums I32 [N, 1, 1, 1024], all 0 -> echo I32 [N, 1, 1, 16], a
 * row of SONO_ECHO_INTS a frame, about its first mask. Semantics: the CPU twin; formulas:
 * engine/echo_parts.h. Exact: the sums are whole numbers, whatever the order of the threads.
 *
 * One launch. Blocks walk over tiles of 32 x 32 pixels of their frame (blockIdx.y): a lane has a column, and
 * of the profile's column the two bands; rows without mask nearby cost one load a pixel, for the fingerprint.
 * Histograms lie in shared memory; what a block has goes to the frame's sums by atomics. The last block of a
 * frame turns them into parts. Test: tests/ops/test_echo_parts.c.
 */
#include "engine/cuda/kernels/state_sums.cuh"
#include "engine/cuda/kernels/totals.cuh"
#include "engine/grey.h"

#define TILE          32
#define THREADS       256
#define WARPS         (THREADS / SONO_WARP)
#define ROWS          (TILE / WARPS) /* of a tile, that a warp takes */
#define BLOCKS_PER_SM 4

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

/* Whether row y, or one of those that the Laplacian of its pixels reads, has mask; the same for a warp. */
static __device__ __forceinline__ bool is_row_near(const frame &f, int32_t y)
{
    const int32_t s = f.scale.step;
    return y >= s && y < f.height - s && (f.rows[y] | f.rows[y - s] | f.rows[y + s]) != 0;
}

static __device__ __forceinline__ void add_edge(const frame &f, int32_t x, int32_t y, int32_t grey,
                                                sums_of_thread &sums)
{
    const int32_t s = f.scale.step;
    if (x < s || x >= f.width - s ||
        !(is_set(f, x, y) || is_set(f, x - s, y) || is_set(f, x + s, y) || is_set(f, x, y - s) ||
          is_set(f, x, y + s)))
        return;
    const int32_t laplacian =
        4 * grey - grey_at(f, x - s, y) - grey_at(f, x + s, y) - grey_at(f, x, y - s) - grey_at(f, x, y + s);
    sums.n_pixels++;
    sums.laplacian += laplacian;
    sums.laplacian_squares += laplacian * laplacian;
    sums.grey += grey;
    sums.grey_squares += grey * grey;
}

static __device__ void add_tile(const frame &f, int32_t tile, int32_t (*histograms)[SONO_ECHO_LEVELS],
                                sums_of_thread &sums)
{
    const int32_t n_across = (f.width + TILE - 1) / TILE;
    const int32_t x = tile % n_across * TILE + threadIdx.x % SONO_WARP;
    const int32_t first_y = tile / n_across * TILE + (int32_t)threadIdx.x / SONO_WARP * ROWS;
    if (x >= f.width)
        return;
    const int32_t count = f.columns[x];
    sono_echo_run run = {0, 0};
    if (count)
        run = echo_run_of(count, f.heights[x]);
#pragma unroll
    for (int32_t i = 0; i < ROWS; i++) {
        const int32_t y = first_y + i;
        if (y >= f.height)
            break;
        const int32_t grey = grey_at(f, x, y);
        sums.fingerprint += fingerprint_of((int64_t)y * f.width + x, grey);
        if (is_row_near(f, y))
            add_edge(f, x, y, grey, sums);
        if (!count)
            continue;
        const int32_t band = is_set(f, x, y) ? SONO_ECHO_INSIDE : echo_band_of(run, f.scale, y);
        if (band != SONO_ECHO_NONE)
            atomicAdd(&histograms[band][grey], 1);
    }
}

static __device__ __forceinline__ void add_total(void *sum, int64_t v)
{
    const int64_t total = sono_block_total<WARPS>(v);
    if (threadIdx.x == 0 && total != 0)
        sono_add64(sum, total);
}

/* The block's sums to the frame's. */
static __device__ void add_block(state_sums *all, const int32_t (*histograms)[SONO_ECHO_LEVELS],
                                 const sums_of_thread &mine)
{
    add_total(&all->fingerprint, (int64_t)mine.fingerprint); /* it waits: the histograms are complete */
    if (__syncthreads_or(mine.n_pixels)) {
        add_total(&all->echo.n_pixels, mine.n_pixels);
        add_total(&all->echo.laplacian, mine.laplacian);
        add_total(&all->echo.laplacian_squares, mine.laplacian_squares);
        add_total(&all->echo.grey, mine.grey);
        add_total(&all->echo.grey_squares, mine.grey_squares);
    }
    for (int32_t band = 0; band < SONO_ECHO_BANDS; band++)
        if (histograms[band][threadIdx.x])
            atomicAdd(&all->histograms[band][threadIdx.x], histograms[band][threadIdx.x]);
}

/* Rank of the mask's pixels among those of a band; thread t has level t. inside: how many have it. */
static __device__ int32_t rank_of(const state_sums *all, int32_t band, int32_t inside, int64_t n_inside)
{
    __shared__ uint32_t up_to[SONO_ECHO_LEVELS]; /* pixels of the band that are no brighter */
    const uint32_t outside = (uint32_t)__ldcg(&all->histograms[band][threadIdx.x]);
    __syncthreads(); /* nobody reads up_to of the band before any more */
    up_to[threadIdx.x] = outside;
    for (int32_t step = 1; step < SONO_ECHO_LEVELS; step *= 2) {
        __syncthreads(); /* the step before is there */
        const uint32_t before = (int32_t)threadIdx.x >= step ? up_to[threadIdx.x - step] : 0;
        __syncthreads(); /* and was read */
        up_to[threadIdx.x] += before;
    }
    const uint64_t twice_u =
        sono_block_total<WARPS>((uint64_t)inside * (2 * (uint64_t)up_to[threadIdx.x] - outside));
    return echo_rank(twice_u, n_inside, up_to[SONO_ECHO_LEVELS - 1]);
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

static __device__ int32_t continuity_of(const frame &f, const sono_detection *box)
{
    sono_echo_columns columns = echo_columns_of(box, f.width);
    int32_t n_together = 0;
    if (columns.first == columns.end) /* the same for all threads */
        columns = columns_of_mask(f);
    for (int32_t x = columns.first + threadIdx.x; x + 1 < columns.end; x += THREADS)
        n_together += echo_hangs_together(f.columns[x], f.heights[x], f.columns[x + 1], f.heights[x + 1]);
    return echo_continuity(sono_block_total<WARPS>(n_together), columns.end - columns.first - 1);
}

static __device__ int32_t area_of(const frame &f)
{
    int32_t area = 0;
    for (int32_t x = threadIdx.x; x < f.width; x += THREADS)
        area += f.columns[x];
    return sono_block_total<WARPS>(area);
}

/* One block, when all sums of a frame are there. */
static __device__ void write_echo(const frame &f, const state_sums *all, const sono_detection *box,
                                  int32_t *echo)
{
    const uint64_t fingerprint = __ldcg((const unsigned long long *)&all->fingerprint);
    const int32_t area_px = area_of(f);
    int32_t sharpness = -1, contrast = -1, shadow = -1, continuity = -1;
    if (area_px > 0) {
        const int32_t inside = __ldcg(&all->histograms[SONO_ECHO_INSIDE][threadIdx.x]);
        const long long *edge = (const long long *)&all->echo;
        const sono_echo_sums sums = {__ldcg(edge), __ldcg(edge + 1), __ldcg(edge + 2), __ldcg(edge + 3),
                                     __ldcg(edge + 4)};
        sharpness = echo_sharpness(&sums);
        contrast = rank_of(all, SONO_ECHO_ABOVE, inside, area_px);
        shadow = rank_of(all, SONO_ECHO_BELOW, inside, area_px);
        continuity = continuity_of(f, box);
    }
    if (threadIdx.x != 0)
        return;
    echo[SONO_ECHO_SHARPNESS] = sharpness;
    echo[SONO_ECHO_CONTRAST] = contrast;
    echo[SONO_ECHO_SHADOW] = shadow;
    echo[SONO_ECHO_CONTINUITY] = continuity;
    echo[SONO_ECHO_FINGERPRINT_LOW] = (int32_t)(uint32_t)fingerprint;
    echo[SONO_ECHO_FINGERPRINT_HIGH] = (int32_t)(uint32_t)(fingerprint >> 32);
    echo[SONO_ECHO_AREA_PX] = area_px;
    for (int32_t i = SONO_ECHO_AREA_PX + 1; i < SONO_ECHO_INTS; i++)
        echo[i] = 0;
}

static __global__ void __launch_bounds__(THREADS) echo_kernel(echo_args p)
{
    __shared__ int32_t histograms[SONO_ECHO_BANDS][SONO_ECHO_LEVELS];
    const frame f = frame_of(p);
    state_sums *all = (state_sums *)(p.sums + blockIdx.y * p.sums_stride);
    const int32_t n_tiles = (f.width + TILE - 1) / TILE * ((f.height + TILE - 1) / TILE);
    sums_of_thread mine = {};
    for (int32_t band = 0; band < SONO_ECHO_BANDS; band++)
        histograms[band][threadIdx.x] = 0;
    __syncthreads(); /* histograms are 0 */
    for (int32_t tile = blockIdx.x; tile < n_tiles; tile += gridDim.x)
        add_tile(f, tile, histograms, mine);
    add_block(all, histograms, mine);
    if (sono_is_last_block(&all->n_echo_blocks, (int32_t)gridDim.x))
        write_echo(f, all, (const sono_detection *)(p.detections + blockIdx.y * p.detections_stride),
                   p.echo + blockIdx.y * p.echo_stride);
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
    const int64_t needed = sono_ceil_div((int64_t)op->max_width_px * op->max_height_px, TILE * TILE);
    const int64_t most = (int64_t)BLOCKS_PER_SM * call->n_multiprocessors;
    const dim3 grid((unsigned)(needed < most ? needed : most), (unsigned)echo->n);
    echo_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
