// SPDX-License-Identifier: Apache-2.0
/*
 * FIND_REGION: pixels of N frames of any size and format, headers, kept? U8 [1, 1, 1, 64] -> headers with the
 * region that the networks are to see, region I32 [N, 1, 1, 4], counts I32 [N, 1, 1, ..]: working memory; the
 * same kept. Semantics: the CPU twin; formulas: engine/find_region.h. Exact: whole numbers only, whatever the
 * order of the threads. Test: tests/ops/test_find_region.c.
 *
 * Two launches, three for a batch. count_kernel reads the pixels once: a warp has a strip of cells, a lane a
 * pixel column; rows are counted by ballots, columns and cells in registers. find_kernel, a block a frame:
 * the cells' components by union-find in shared memory, where the lowest cell of each becomes its root, then
 * the borders from the counts of pixel rows and columns. settle_kernel: one thread takes what was found in
 * the frames of a batch through the stream, one after the other; for one frame find_kernel does so itself.
 */
#include "engine/cuda/kernels/rows.cuh"
#include "engine/find_region.h"

#define ALL          0xffffffffu
#define COUNT_WARPS  4
#define FIND_THREADS 1024
#define PADDED       (REGION_CELLS + 2)
#define NONE         (-1)
#define MOST_PARTS   (REGION_MOST_S / SONO_WARP) /* of a cell that is wider than a warp */

typedef struct find_args {
    const uint8_t *pixels;
    const sono_frame_header *headers;
    sono_frame_header *out;
    int32_t *regions, *counts;
    region_kept *kept; /* NULL = none */
    int64_t regions_stride, counts_stride;
    int32_t side, n_frames;
} find_args;

static __device__ __forceinline__ int32_t *counts_of(const find_args &p, int32_t frame)
{
    return p.counts + frame * p.counts_stride;
}

/* ---- counts ---- */

/* The bits of region_pixel(); 0 beyond the frame. */
static __device__ __forceinline__ int32_t pixel_at(const sono_frame_header &header, const uint8_t *row,
                                                   const uint8_t *below, int32_t x)
{
    if (x >= header.width_px)
        return 0;
    const int32_t grey = grey_of(&header, row, x);
    const int32_t right = x + 1 < header.width_px ? grey_of(&header, row, x + 1) : grey;
    return region_pixel(grey, right, grey_of(&header, below, x));
}

/* What a lane counts in its pixel column: of all three in one number, 10 bits each (256 rows at most). */
static __device__ __forceinline__ uint32_t packed(int32_t bits)
{
    return (uint32_t)((bits & 1) | (bits & 2) << 9 | (bits & 4) << 18);
}

/* The cells of one strip: 32 / s cells of s pixels, or one cell in s / 32 parts. Whole warp. */
template <int FORMAT, int PARTS>
static __device__ __forceinline__ void count_strip(const find_args &p, const sono_frame_header &header,
                                                   const region_grid &g, int32_t strip, int32_t cell_y)
{
    const int32_t lane = threadIdx.x % SONO_WARP, first_y = cell_y * g.s;
    const int32_t x0 = strip * PARTS * SONO_WARP, width = g.s < SONO_WARP ? g.s : SONO_WARP;
    const int32_t n_y = min(g.s, g.height - first_y), cell_x = x0 / g.s + lane / width;
    const uint32_t own = (width == SONO_WARP ? ALL : (1u << width) - 1) << lane / width * width;
    const bool is_first = lane % width == 0 && cell_x < g.n_x && (PARTS == 1 || lane == 0);
    const uint8_t *pixels = frame_pixels_of(p.pixels, &header) + (int64_t)first_y * header.pitch_bytes;
    int32_t *counts = counts_of(p, blockIdx.z);
    uint8_t *rows = region_rows_of(counts, p.side) + (int64_t)first_y * REGION_CELLS;
    uint32_t columns[PARTS] = {};
#pragma unroll(PARTS == 1 ? 4 : 1)
    for (int32_t y = 0; y < n_y; y++) {
        const uint8_t *row = pixels + (int64_t)y * header.pitch_bytes;
        const uint8_t *below = first_y + y + 1 < g.height ? row + header.pitch_bytes : row;
        int32_t n_grain = 0;
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
            const int32_t bits = pixel_at(header, row, below, x0 + part * SONO_WARP + lane);
            columns[part] += packed(bits);
            n_grain += __popc(__ballot_sync(ALL, bits & 1) & own);
        }
        if (is_first)
            rows[(int64_t)y * REGION_CELLS + cell_x] = region_byte(n_grain);
    }
    int32_t of_cell[SONO_REGION_COUNTS] = {};
#pragma unroll
    for (int part = 0; part < PARTS; part++) {
        const int32_t x = x0 + part * SONO_WARP + lane;
        if (x < g.width)
            region_columns_of(counts)[(int64_t)cell_y * p.side + x] = region_byte(columns[part] & 1023);
#pragma unroll
        for (int i = 0; i < SONO_REGION_COUNTS; i++)
            of_cell[i] += columns[part] >> 10 * i & 1023;
    }
    for (int32_t offset = width / 2; offset > 0; offset /= 2)
#pragma unroll
        for (int i = 0; i < SONO_REGION_COUNTS; i++)
            of_cell[i] += __shfl_down_sync(ALL, of_cell[i], offset, SONO_WARP);
    if (is_first)
#pragma unroll
        for (int i = 0; i < SONO_REGION_COUNTS; i++)
            counts[i * REGION_PLACES + cell_y * REGION_CELLS + cell_x] = of_cell[i];
}

template <int FORMAT> static __device__ __forceinline__ void count_warp(const find_args &p)
{
    sono_frame_header header = p.headers[blockIdx.z];
    const region_grid g = region_grid_of(&header);
    const int32_t parts = max(g.s / SONO_WARP, 1);
    const int32_t strip = blockIdx.x * COUNT_WARPS + threadIdx.x / SONO_WARP, cell_y = blockIdx.y;
    header.format = FORMAT; /* known when compiling */
    if (strip * parts * SONO_WARP >= g.width || cell_y >= g.n_y)
        return;
    if (parts == 1)
        count_strip<FORMAT, 1>(p, header, g, strip, cell_y);
    else if (parts == 2)
        count_strip<FORMAT, 2>(p, header, g, strip, cell_y);
    else if (parts == 4)
        count_strip<FORMAT, 4>(p, header, g, strip, cell_y);
    else
        count_strip<FORMAT, MOST_PARTS>(p, header, g, strip, cell_y);
}

/* blockIdx: strips of cells, rows of cells, frames. */
static __global__ void __launch_bounds__(COUNT_WARPS *SONO_WARP) count_kernel(const find_args p)
{
    switch (p.headers[blockIdx.z].format) {
    case SONO_PIXEL_GRAY8:
        count_warp<SONO_PIXEL_GRAY8>(p);
        break;
    case SONO_PIXEL_GRAY16:
        count_warp<SONO_PIXEL_GRAY16>(p);
        break;
    case SONO_PIXEL_RGBA8:
        count_warp<SONO_PIXEL_RGBA8>(p);
        break;
    default:
        count_warp<SONO_PIXEL_RGB8>(p);
    }
}

/* ---- cells to the image ---- */

/* What a block knows of its frame. */
struct cells {
    uint8_t is_textured[REGION_PLACES];
    uint8_t grown[PADDED * PADDED]; /* textured, or one of the 8 around it is; with a rim around the grid */
    int32_t parent[REGION_PLACES];  /* in its component, lower ones; NONE = of none */
    int32_t
        mass[REGION_PLACES]; /* of the component with that root; later: whether a way's places are image */
    uint8_t is_image[REGION_PLACES]; /* the component with that root is the image, or a piece of it */
    region_found found;
    unsigned long long best; /* mass << 32 | lowest root first */
    int32_t borders[4];
};

static __device__ __forceinline__ int32_t root_of(volatile int32_t *parent, int32_t at)
{
    while (parent[at] != at)
        at = parent[at];
    return at;
}

/* Two cells hang together: the lower of their roots becomes that of both. */
static __device__ __forceinline__ void unite(int32_t *parent, int32_t a, int32_t b)
{
    for (;;) {
        a = root_of(parent, a);
        b = root_of(parent, b);
        if (a == b)
            return;
        const int32_t low = min(a, b), high = max(a, b), was = atomicMin(&parent[high], low);
        if (was == high)
            return;
        a = low;
        b = was;
    }
}

static __device__ __forceinline__ int32_t padded_at(int32_t x, int32_t y)
{
    return (y + 1) * PADDED + x + 1;
}

/* Every thread: cells to components. Ends with all of them at the same place. */
static __device__ void join_cells(const region_grid &g, const int32_t *counts, cells &c)
{
    for (int32_t i = threadIdx.x; i < PADDED * PADDED; i += FIND_THREADS)
        c.grown[i] = 0;
    __syncthreads(); /* nothing has grown */
    for (int32_t i = threadIdx.x; i < REGION_PLACES; i += FIND_THREADS) {
        const int32_t x = i % REGION_CELLS, y = i / REGION_CELLS;
        const bool is_cell = x < g.n_x && y < g.n_y;
        c.is_textured[i] =
            is_cell && region_is_textured(counts[REGION_FINES * REGION_PLACES + i],
                                          counts[REGION_STEEPS * REGION_PLACES + i], region_area(&g, x, y));
        c.mass[i] = 0;
        for (int32_t k = 0; c.is_textured[i] && k < 9; k++)
            c.grown[padded_at(x + k % 3 - 1, y + k / 3 - 1)] = 1;
    }
    __syncthreads(); /* all has grown */
    for (int32_t i = threadIdx.x; i < REGION_PLACES; i += FIND_THREADS) {
        const int32_t x = i % REGION_CELLS, y = i / REGION_CELLS;
        bool is_closed = true;
        for (int32_t k = 0; k < 9; k++)
            is_closed = is_closed && c.grown[padded_at(x + k % 3 - 1, y + k / 3 - 1)];
        const bool is_cell = x < g.n_x && y < g.n_y;
        c.parent[i] = is_cell && (is_closed || region_is_dense(counts[REGION_GRAIN * REGION_PLACES + i],
                                                               region_area(&g, x, y)))
                          ? i
                          : NONE;
    }
    __syncthreads(); /* every cell is its own root */
    for (int32_t i = threadIdx.x; i < REGION_PLACES; i += FIND_THREADS) {
        if (c.parent[i] == NONE)
            continue;
        if (i % REGION_CELLS + 1 < REGION_CELLS && c.parent[i + 1] != NONE)
            unite(c.parent, i, i + 1);
        if (i + REGION_CELLS < REGION_PLACES && c.parent[i + REGION_CELLS] != NONE)
            unite(c.parent, i, i + REGION_CELLS);
    }
    __syncthreads(); /* components are complete */
}

/* Every thread: which component is the heaviest. Ends with all of them at the same place. */
static __device__ void weigh(const int32_t *counts, cells &c)
{
    if (threadIdx.x == 0) {
        c.found = region_found{REGION_CELLS, REGION_CELLS, 0, 0, 0, 0, 0, 0, 0};
        c.best = 0;
    }
    __syncthreads(); /* nothing is found */
    for (int32_t i = threadIdx.x; i < REGION_PLACES; i += FIND_THREADS) {
        if (c.parent[i] == NONE || !c.is_textured[i])
            continue;
        const int32_t mass = counts[REGION_FINES * REGION_PLACES + i];
        atomicAdd(&c.mass[root_of(c.parent, i)], mass);
        atomicAdd(&c.found.all_mass, mass);
    }
    __syncthreads(); /* masses are complete */
    for (int32_t i = threadIdx.x; i < REGION_PLACES; i += FIND_THREADS)
        if (c.mass[i] > 0)
            atomicMax(&c.best, (unsigned long long)c.mass[i] << 32 | (uint32_t)(REGION_PLACES - 1 - i));
    __syncthreads(); /* the heaviest is known */
}

/* Every thread: adds the cells of components with is_image == `kind` to the image. Ends with all of them at
 * the same place. */
static __device__ void add_components(cells &c, int32_t kind)
{
    region_found &f = c.found;
    for (int32_t i = threadIdx.x; i < REGION_PLACES; i += FIND_THREADS) {
        if (c.parent[i] == NONE || c.is_image[root_of(c.parent, i)] != kind)
            continue;
        if (c.parent[i] == i)
            atomicAdd(&f.mass, c.mass[i]);
        atomicAdd(&f.n_cells, 1);
        atomicMin(&f.x0, i % REGION_CELLS);
        atomicMin(&f.y0, i / REGION_CELLS);
        atomicMax(&f.x1, i % REGION_CELLS + 1);
        atomicMax(&f.y1, i / REGION_CELLS + 1);
    }
    __syncthreads(); /* the rectangle is complete */
}

/* Every thread: how far the image reaches: the heaviest component, and its pieces by the rectangle that it
 * has without them. Ends with all of them at the same place. */
static __device__ void measure(const region_grid &g, const int32_t *counts, cells &c)
{
    const int32_t root = REGION_PLACES - 1 - (int32_t)(uint32_t)c.best, heaviest = (int32_t)(c.best >> 32);
    region_found &f = c.found;
    for (int32_t i = threadIdx.x; i < REGION_PLACES; i += FIND_THREADS)
        c.is_image[i] = i == root;
    __syncthreads(); /* the heaviest component is the image */
    add_components(c, 1);
    const region_found alone = f;
    __syncthreads(); /* everyone has its rectangle */
    for (int32_t i = threadIdx.x; i < REGION_PLACES; i += FIND_THREADS) {
        const int32_t x = i % REGION_CELLS, y = i / REGION_CELLS;
        if (c.parent[i] == NONE || !region_is_beside(&alone, x, y))
            continue;
        const int32_t of = root_of(c.parent, i);
        if (of != root && region_is_piece(c.mass[of], heaviest))
            c.is_image[of] = 2;
    }
    __syncthreads(); /* its pieces are known */
    add_components(c, 2);
    for (int32_t i = threadIdx.x; i < REGION_PLACES; i += FIND_THREADS) {
        const int32_t x = i % REGION_CELLS, y = i / REGION_CELLS;
        if (x >= g.n_x || y >= g.n_y)
            continue;
        if (x >= f.x0 && x < f.x1 && y >= f.y0 && y < f.y1)
            atomicAdd(&f.grain, counts[REGION_GRAIN * REGION_PLACES + i]);
        else if (c.is_textured[i])
            atomicAdd(&f.n_outside, 1);
    }
    __syncthreads(); /* so is what lies in and outside of it */
}

/* ---- its borders ---- */

/* Grain of a pixel column (is_y: row) within the component's rectangle. */
static __device__ __forceinline__ int32_t grain_of(const find_args &p, int32_t *counts, const region_found &f,
                                                   bool is_y, int32_t at)
{
    int32_t n = 0;
    if (is_y) {
        const uint8_t *row = region_rows_of(counts, p.side) + (int64_t)at * REGION_CELLS;
        for (int32_t x = f.x0; x < f.x1; x++)
            n += row[x];
    } else {
        const uint8_t *columns = region_columns_of(counts) + at;
        for (int32_t y = f.y0; y < f.y1; y++)
            n += columns[(int64_t)y * p.side];
    }
    return n;
}

/* Every thread, a quarter of them a border: left, top, right, bottom. */
static __device__ void find_borders(const find_args &p, const region_grid &g, int32_t *counts, cells &c)
{
    const int32_t quarter = FIND_THREADS / 4, k = threadIdx.x / quarter;
    const bool is_y = k % 2, is_end = k >= 2;
    const int32_t n = is_y ? g.height : g.width, c0 = is_y ? c.found.y0 : c.found.x0,
                  c1 = is_y ? c.found.y1 : c.found.x1;
    const int32_t length = min(c1 * g.s, n) - c0 * g.s;
    const region_way way = region_way_of(g.s, c0, c1, n, is_end);
    uint8_t *is_image = (uint8_t *)c.mass + k * REGION_WAY_MOST(REGION_MOST_S); /* masses are read no more */
    for (int32_t i = threadIdx.x % quarter; i < way.n; i += quarter)
        is_image[i] = region_is_image(grain_of(p, counts, c.found, is_y, way.first + i * way.step),
                                      c.found.grain, length);
    __syncthreads(); /* every place is known */
    if (threadIdx.x % quarter == 0)
        c.borders[k] = region_border(&way, is_image);
    __syncthreads(); /* the borders are there */
}

static_assert(4 * REGION_WAY_MOST(REGION_MOST_S) <= REGION_PLACES * sizeof(int32_t),
              "all ways fit into mass");

/* One thread: a frame's region to where it is read. */
static __device__ void put_region(const find_args &p, int32_t frame, const region_rect &region)
{
    int32_t *row = p.regions + frame * p.regions_stride;
    p.out[frame] = p.headers[frame];
    region_put(p.out + frame, region);
    row[0] = region.x;
    row[1] = region.y;
    row[2] = region.w;
    row[3] = region.h;
}

/* A block a frame. Of one frame alone this is all; else what was found waits in `regions`, width 0 = nothing.
 */
static __global__ void __launch_bounds__(FIND_THREADS) find_kernel(const find_args p)
{
    __shared__ cells c;
    const int32_t frame = blockIdx.x;
    const region_grid g = region_grid_of(p.headers + frame);
    int32_t *counts = counts_of(p, frame);
    region_rect found = {0, 0, 0, 0};
    int32_t has_found = 0;
    join_cells(g, counts, c);
    weigh(counts, c);
    if (c.best) {
        measure(g, counts, c);
        find_borders(p, g, counts, c);
        has_found =
            region_judge(&g, &c.found, c.borders[0], c.borders[1], c.borders[2], c.borders[3], &found);
    }
    if (threadIdx.x)
        return;
    if (p.n_frames == 1) {
        put_region(p, 0, region_settle(p.headers, has_found, found, p.kept));
        return;
    }
    int32_t *row = p.regions + frame * p.regions_stride;
    row[0] = found.x;
    row[1] = found.y;
    row[2] = has_found ? found.w : 0;
    row[3] = found.h;
}

static __global__ void __launch_bounds__(1) settle_kernel(const find_args p)
{
    for (int32_t frame = 0; frame < p.n_frames; frame++) {
        const int32_t *row = p.regions + frame * p.regions_stride;
        const region_rect found = {row[0], row[1], row[2], row[3]};
        put_region(p, frame, region_settle(p.headers + frame, found.w > 0, found, p.kept));
    }
}

extern "C" cudaError_t sono_cuda_find_region(const sono_cuda_call *call)
{
    const sono_region_args *op = &call->op->args.region;
    const sono_cuda_tensor *regions = &call->out[1], *counts = &call->out[2];
    const find_args p = {(const uint8_t *)call->in[0].data,
                         (const sono_frame_header *)call->in[1].data,
                         (sono_frame_header *)call->out[0].data,
                         (int32_t *)regions->data,
                         (int32_t *)counts->data,
                         (region_kept *)call->out[3].data,
                         regions->batch_stride,
                         counts->batch_stride,
                         region_side_of(op->max_width_px, op->max_height_px),
                         call->out[0].n};
    /* The most strips and rows of cells that a frame can have, lying or upright: at most 64 of each. */
    const int32_t n_strips = (int32_t)sono_ceil_div(p.side, SONO_WARP);
    const dim3 grid((unsigned)sono_ceil_div(n_strips < REGION_CELLS ? n_strips : REGION_CELLS, COUNT_WARPS),
                    REGION_CELLS, (unsigned)p.n_frames);
    count_kernel<<<grid, COUNT_WARPS * SONO_WARP, 0, call->stream>>>(p);
    find_kernel<<<(unsigned)p.n_frames, FIND_THREADS, 0, call->stream>>>(p);
    if (p.n_frames > 1)
        settle_kernel<<<1, 1, 0, call->stream>>>(p);
    return cudaGetLastError();
}
