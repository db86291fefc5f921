// SPDX-License-Identifier: Apache-2.0
/*
 * Chains (choice/chain.h): LINEAR, LAYER_NORM, GATED_NORM, ADD, UNARY, ATTENTION of few keys,
 * DEFORM_ATTENTION, FDR_BOX and LQE_STAT, one after the other, in one launch. Semantics of each: its own
 * kernel's.
 *
 * A cluster of 8 blocks takes a tile of up to 32 rows of one map through all steps. Every block holds all
 * that later steps need of the tile, in float32, in its own shared memory. LINEAR: a block makes an eighth of
 * the columns and writes them into the memory of all eight; where one LINEAR alone reads what another made,
 * each block keeps its columns, multiplies them by their part of the depth, and sums of parts are read from
 * block to block. DEFORM_ATTENTION: a block takes an eighth of the tile's heads. All else every block does
 * for itself: cheaper than passing it on. A barrier of the cluster stands where the plan says so, one of the
 * block before every other step.
 *
 * Products: float16 weights; an element of x is the sum of two halves, each multiplied apart (22 bits), so
 * that with weights that are halves the result is as good as float32's. A warp has 16 rows, up to 4 tiles of
 * 8 columns and a slice of the depth, 32 at a time: lane 4 g + t holds columns 8 t to 8 t + 7 of them of row
 * g, of x and of the weight alike, which is two products' operands in another order of the depth. The weights
 * of a step are on their way before its barrier, those of the whole chain are asked into the second-level
 * cache at the start. Results do not depend on the run. Test: tests/gpu/test_chain.c.
 */
#include "engine/cuda/choice/chain.h"
#include "engine/cuda/choice/families.h"
#include "engine/cuda/kernels/deform_sample.cuh"
#include "engine/cuda/kernels/mma.cuh"
#include "engine/cuda/kernels/rows.cuh"
#include "engine/cuda/kernels/sm90/cluster.cuh"

#define CLUSTER   SONO_CHAIN_CLUSTER
#define THREADS   SONO_CHAIN_THREADS
#define WARPS     (THREADS / SONO_WARP)
#define MOST      SONO_CHAIN_WARP_TILES
#define AHEAD     4 /* pieces of 32 of the depth whose weights are in registers */
#define LINE      128
#define SIDE      8 /* lanes of a box's side */
#define ALL       0xffffffffu
#define IS_LOAD   (-1)
#define IS_STORE  (-2)
#define NORM_ROWS (SONO_CHAIN_MAX_ROWS / WARPS) /* of a warp */
#define NORM_MAX  2                             /* float4 of a lane: 256 channels */
#define QUARTER   8                             /* channels of a lane of ATTENTION */

typedef struct chain_step {
    int32_t kind; /* sono_op_kind, IS_LOAD or IS_STORE */
    int32_t waits, is_local_out, is_local_in;
    sono_chain_place in[3], out; /* those of the op that are rows, in order */
    int32_t k, n;                /* channels of x, of the result */
    int32_t constants_at;        /* bias of the block's columns; gamma, then beta; project */
    int32_t weight_pitch;
    int32_t per_block, per_warp;  /* LINEAR: tiles of columns that are multiplied */
    int32_t slice_bits, n_pieces; /* slices of the depth: 1 << slice_bits; pieces of 32 of a block's depth */
    int32_t part_pitch;           /* of partial sums */
    int32_t own_tiles, own_bits;  /* tiles that a block finishes; bits of the number of their halves */
    int32_t next_linear;          /* the next step of the kind; n_steps: there is none */
    const void *weight; /* LINEAR: F16 [n padded][k padded]; norms: gamma; DEFORM: value; FDR: project */
    const float *bias;  /* norms: beta */
    int64_t value_pitch, value_stride;
    sono_rows global; /* what is loaded, or where the result goes; data NULL: nowhere */
    int32_t global_rows, is_wide, value_is_half;
    sono_act act;
    float eps, clamp, scale;
    int32_t a, b; /* ATTENTION: heads; FDR_BOX, LQE_STAT: bins, top_k; UNARY: fn */
    sono_epilogue epilogue;
} chain_step;

static_assert(sizeof(chain_step) <= 64 * sizeof(float) && sizeof(chain_step) % 16 == 0,
              "the plan has room for steps in shared memory");

typedef struct chain_args {
    int32_t n_steps, n_rows, tile_rows, tiles_per_map, part_at, steps_at, deform_points, first_linear;
    sono_deform_args deform;
    chain_step steps[SONO_CHAIN_MAX_STEPS];
} chain_args;

extern __shared__ __align__(128) float chain_area[];

/* Something to point at where nothing is read. */
static __device__ float chain_no_values[4];

/* What a block knows of itself. */
struct chain_block {
    uint32_t others[CLUSTER]; /* the area's address in each block of the cluster */
    int rank, map, first_row, warp, lane;
    int valid; /* rows of the tile that exist */
};

/* ---- steps ---- */

/* The steps into shared memory, all at once: read one by one from the arguments each would be waited for. By
 * a pointer that the compiler cannot follow, or it would read them so. */
static __device__ __forceinline__ void take_steps(const chain_args &p)
{
    const chain_step *from = p.steps;
    uint4 *to = reinterpret_cast<uint4 *>(chain_area + p.steps_at);
    asm volatile("" : "+l"(from));
    const int n = p.n_steps * (int)(sizeof(chain_step) / sizeof(uint4));
    for (int i = (int)threadIdx.x; i < n; i += THREADS)
        to[i] = reinterpret_cast<const uint4 *>(from)[i];
    __syncthreads(); /* all steps are there */
}

/* A step in registers: behind a pointer it would have to be read again after every store. */
static __device__ __forceinline__ chain_step step_at(const chain_args &p, int i)
{
    return reinterpret_cast<const chain_step *>(chain_area + p.steps_at)[i];
}

/* ---- memory ---- */

static __device__ __forceinline__ void read4(const float *p, float v[4])
{
    const float4 f = *reinterpret_cast<const float4 *>(p);
    v[0] = f.x;
    v[1] = f.y;
    v[2] = f.z;
    v[3] = f.w;
}

/* 4 elements of a row in device memory, aligned. */
static __device__ __forceinline__ void load4(const float *p, float v[4])
{
    read4(p, v);
}

static __device__ __forceinline__ void load4(const __half *p, float v[4])
{
    const uint2 raw = *reinterpret_cast<const uint2 *>(p);
    const float2 a = __half22float2(*reinterpret_cast<const __half2 *>(&raw.x));
    const float2 c = __half22float2(*reinterpret_cast<const __half2 *>(&raw.y));
    v[0] = a.x;
    v[1] = a.y;
    v[2] = c.x;
    v[3] = c.y;
}

static __device__ __forceinline__ void write4(float *p, const float v[4])
{
    *reinterpret_cast<float4 *>(p) = make_float4(v[0], v[1], v[2], v[3]);
}

static __device__ __forceinline__ void add4(float v[4], const float other[4])
{
#pragma unroll
    for (int j = 0; j < 4; j++)
        v[j] += other[j];
}

/* 4 channels of a row of the tile to device memory, as far as there are that many. */
static __device__ __forceinline__ void store4(const chain_step &s, const chain_block &b, int row, int column,
                                              const float v[4])
{
    const int place = b.first_row + row;
    if (row >= b.valid || place >= s.global_rows)
        return;
    const int64_t at = sono_rows_at(s.global, b.map, place) + column;
    if (s.is_wide && column + 4 <= s.n) {
        sono_rows_store<4>(s.global, at, v);
        return;
    }
#pragma unroll
    for (int j = 0; j < 4; j++)
        if (column + j < s.n)
            sono_rows_store<1>(s.global, at + j, v + j);
}

static __device__ __forceinline__ void keep4(const chain_step &s, const chain_block &b, int row, int column,
                                             const float v[4])
{
    write4(chain_area + s.out.at + row * s.out.pitch + column, v);
}

/* Zeroes from column `first` on, behind a result's last, to the end of a piece of the depth: what lies there
 * may be no number. */
static __device__ __forceinline__ void pad_rows(const chain_step &s, const chain_block &b, int tile_rows,
                                                int first)
{
    const int column = first + b.lane;
    if (s.out.at < 0 || s.n % 32 == 0 || column >= (s.n + 31) / 32 * 32)
        return;
    for (int row = b.warp; row < tile_rows; row += WARPS)
        chain_area[s.out.at + row * s.out.pitch + column] = 0.0f;
}

/* A share of the rows of what every block has. */
static __device__ __forceinline__ void store_rows(const chain_step &s, const chain_block &b, int tile_rows)
{
    for (int row = b.rank + b.warp * CLUSTER; row < tile_rows; row += WARPS * CLUSTER)
        for (int column = b.lane * 4; column < s.n; column += SONO_WARP * 4) {
            float v[4];
            read4(chain_area + s.in[0].at + row * s.in[0].pitch + column, v);
            store4(s, b, row, column, v);
        }
}

static __device__ __forceinline__ const float *row_of(const chain_block &b, const sono_chain_place &place,
                                                      int row)
{
    return chain_area + place.at + min(row, place.rows - 1) * place.pitch;
}

/* Rows of the tile from device memory; what is float32 and aligned is on its way when this returns. */
static __device__ __forceinline__ void load_rows(const chain_step &s, const chain_block &b, int tile_rows)
{
    for (int row = b.warp; row < tile_rows; row += WARPS) {
        const int place = b.first_row + row;
        const bool is_there = row < b.valid && place < s.global_rows;
        const int64_t at = is_there ? sono_rows_at(s.global, b.map, place) : 0;
        float *to = chain_area + s.out.at + row * s.out.pitch;
        if (s.is_wide && s.n % 4 == 0 && !s.global.is_half) {
            for (int column = b.lane * 4; column < s.n; column += SONO_WARP * 4)
                sono_copy16(sono_shared_address(to + column), s.global.data + (at + column) * 4, is_there);
            continue;
        }
        if (s.is_wide && s.n % 4 == 0) {
            for (int column = b.lane * 4; column < s.n; column += SONO_WARP * 4) {
                float v[4] = {0.0f, 0.0f, 0.0f, 0.0f};
                if (is_there)
                    load4(reinterpret_cast<const __half *>(s.global.data) + at + column, v);
                write4(to + column, v);
            }
            continue;
        }
        for (int column = b.lane; column < s.n; column += SONO_WARP)
            to[column] = is_there ? sono_rows_value(s.global, at + column) : 0.0f;
    }
    pad_rows(s, b, tile_rows, s.n);
}

/* Columns of the result that a block finishes: the first, and how many at most. */
static __device__ __forceinline__ int columns_of_block(const chain_step &s)
{
    return ((s.n + 7) / 8 + CLUSTER - 1) / CLUSTER * 8;
}

/* n floats, a multiple of 4, on their way into the area; zeroes from the last of `given` on. */
static __device__ __forceinline__ void bring(const float *from, int n, int given, int at, int lane)
{
    for (int j = lane; j < n; j += SONO_WARP)
        sono_copy4(sono_shared_address(chain_area + at + j), j < given ? from + j : chain_no_values,
                   j < given);
}

/* A warp's share of what does not depend on the frame: small vectors are on their way into the area, and
 * every weight is asked into the second-level cache, a share of it by each block of the launch. */
static __device__ __forceinline__ void load_constants(const chain_args &p, const chain_block &b)
{
    for (int i = b.warp; i < p.n_steps; i += WARPS) {
        const chain_step s = step_at(p, i);
        const float *gamma = static_cast<const float *>(s.weight);
        if (s.kind == SONO_OP_LINEAR) {
            const int n = columns_of_block(s), first = b.rank * n;
            const int64_t n_lines = (int64_t)s.n * s.weight_pitch * 2 / LINE;
            const char *from = static_cast<const char *>(s.weight);
            bring(s.bias + first, n, s.bias ? s.n - first : 0, s.constants_at, b.lane);
            for (int64_t line = blockIdx.x * SONO_WARP + b.lane; line < n_lines;
                 line += gridDim.x * SONO_WARP)
                asm volatile("prefetch.global.L2 [%0];" ::"l"(from + line * LINE));
        } else if (s.kind == SONO_OP_LAYER_NORM || s.kind == SONO_OP_GATED_NORM) {
            bring(gamma, s.n, s.n, s.constants_at, b.lane);
            bring(s.bias, s.n, s.n, s.constants_at + s.n, b.lane);
        } else if (s.kind == SONO_OP_FDR_BOX) {
            bring(gamma, s.a, s.a, s.constants_at, b.lane);
        }
    }
}

/* ---- LINEAR ---- */

/* What a warp multiplies. */
struct chain_share {
    int slice;          /* of the depth */
    int first_row;      /* 16 rows of the tile */
    int first, n_tiles; /* tiles of columns, among the block's */
    int block_first;    /* tile of the block's first */
};

static __device__ __forceinline__ chain_share share_of(const chain_step &s, const chain_block &b,
                                                       int tile_rows)
{
    chain_share h;
    const int is_tall = tile_rows > 16, warp = is_tall ? b.warp / 2 : b.warp;
    h.block_first = s.is_local_in ? 0 : b.rank * s.per_block;
    h.first_row = is_tall ? b.warp % 2 * 16 : 0;
    h.slice = warp & ((1 << s.slice_bits) - 1);
    h.first = (warp >> s.slice_bits) * s.per_warp;
    h.n_tiles = min(min(s.per_warp, s.per_block - h.first), (s.n + 7) / 8 - h.block_first - h.first);
    return h;
}

/* The weights of this warp's pieces [i, i + AHEAD), as the lane needs them. */
static __device__ __forceinline__ void fetch_weights(const chain_step &s, const chain_block &b,
                                                     const chain_share &h, int i, uint4 (&w)[AHEAD][MOST])
{
    const int depth = (s.is_local_in ? b.rank * (s.k / CLUSTER) : 0) + 8 * (b.lane % 4);
    const int row = (h.block_first + h.first) * 8 + b.lane / 4;
    const __half *from[MOST];
#pragma unroll
    for (int n = 0; n < MOST; n++)
        from[n] = static_cast<const __half *>(s.weight) + (row + n * 8) * s.weight_pitch + depth;
#pragma unroll
    for (int j = 0; j < AHEAD; j++) {
        const int piece = h.slice + ((i + j) << s.slice_bits);
        if (piece >= s.n_pieces)
            break;
#pragma unroll
        for (int n = 0; n < MOST; n++)
            if (n < h.n_tiles)
                w[j][n] = __ldg(reinterpret_cast<const uint4 *>(from[n] + piece * 32));
    }
}

/* 8 columns of a row as halves, and what those lack of float32. */
static __device__ __forceinline__ void split8(const float *row, uint32_t high[4], uint32_t low[4])
{
    float v[8];
    read4(row, v);
    read4(row + 4, v + 4);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        high[j] = sono_pack(v[2 * j], v[2 * j + 1]);
        const float2 back = __half22float2(*reinterpret_cast<const __half2 *>(&high[j]));
        low[j] = sono_pack(v[2 * j] - back.x, v[2 * j + 1] - back.y);
    }
}

/* One piece; upper, lower: where the lane's columns of its two rows are. */
static __device__ __forceinline__ void multiply(const float *upper, const float *lower,
                                                const uint4 (&w)[MOST], float (&sum)[MOST][4])
{
    uint32_t high[2][4], low[2][4];
    split8(upper, high[0], low[0]);
    split8(lower, high[1], low[1]);
    const uint32_t a[4][4] = {{high[0][0], high[1][0], high[0][1], high[1][1]},
                              {low[0][0], low[1][0], low[0][1], low[1][1]},
                              {high[0][2], high[1][2], high[0][3], high[1][3]},
                              {low[0][2], low[1][2], low[0][3], low[1][3]}};
#pragma unroll
    for (int q = 0; q < 4; q++)
#pragma unroll
        for (int n = 0; n < MOST; n++)
            sono_mma(sum[n], a[q], q < 2 ? w[n].x : w[n].z, q < 2 ? w[n].y : w[n].w);
}

/* The warp's sums into [slice][row][tile][8]. */
static __device__ __forceinline__ void leave_sums(const chain_block &b, const chain_share &h, int tile_rows,
                                                  int pitch, float *parts, const float (&sum)[MOST][4])
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int row = h.first_row + r * 8 + b.lane / 4;
        float *to = parts + (h.slice * tile_rows + row) * pitch + h.first * 8 + 2 * (b.lane % 4);
        if (row >= tile_rows)
            continue;
#pragma unroll
        for (int n = 0; n < MOST; n++)
            if (n < h.n_tiles)
                *reinterpret_cast<float2 *>(to + n * 8) = make_float2(sum[n][2 * r], sum[n][2 * r + 1]);
    }
}

/* Bias, residual, activation; then to everyone, or to this block's own columns, and to device memory. */
static __device__ __forceinline__ void finish4(const chain_step &s, const chain_block &b, int row, int column,
                                               int own_column, float v[4])
{
    float bias[4], residual[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    read4(chain_area + s.constants_at + own_column, bias);
    add4(v, bias);
    if (s.in[1].at >= 0)
        read4(row_of(b, s.in[1], row) + column, residual);
    sono_finish_all<true, 4>(s.epilogue, v, residual);
    if (s.is_local_out) {
        keep4(s, b, row, own_column, v);
    } else if (s.out.at >= 0) {
        const uint32_t offset = (uint32_t)(s.out.at + row * s.out.pitch + column) * 4;
#pragma unroll
        for (int i = 0; i < CLUSTER; i++)
            sono_cluster_put4(b.others[i] + offset, v);
    }
    if (s.global.data)
        store4(s, b, row, column, v);
}

/* 4 columns of a row, summed over the slices of this block. */
static __device__ __forceinline__ void add_slices(const chain_args &p, const chain_step &s, int at,
                                                  float v[4])
{
    const float *from = chain_area + p.part_at + at;
    read4(from, v);
#pragma unroll
    for (int k = 1; k < 8; k++) {
        float other[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        if (k >> s.slice_bits == 0)
            read4(from + k * p.tile_rows * s.part_pitch, other);
        add4(v, other);
    }
}

/* The same over the blocks of the cluster, each with its part of the depth. */
static __device__ __forceinline__ void add_blocks(const chain_args &p, const chain_block &b, int at,
                                                  float v[4])
{
    float parts[CLUSTER][4];
#pragma unroll
    for (int k = 0; k < CLUSTER; k++)
        sono_cluster_get4(b.others[k] + (uint32_t)(p.part_at + at) * 4, parts[k]);
#pragma unroll
    for (int j = 0; j < 4; j++)
        v[j] = parts[0][j];
#pragma unroll
    for (int k = 1; k < CLUSTER; k++)
        add4(v, parts[k]);
}

/* This block's columns of the result. */
static __device__ __forceinline__ void finish(const chain_args &p, const chain_step &s, const chain_block &b)
{
    const int first = b.rank * s.own_tiles, n_groups = 2 * min(s.own_tiles, (s.n + 7) / 8 - first);
    for (int i = (int)threadIdx.x; i < p.tile_rows << s.own_bits; i += THREADS) {
        const int row = i >> s.own_bits, group = i & ((1 << s.own_bits) - 1);
        float v[4];
        if (group >= n_groups)
            continue;
        if (s.is_local_in)
            add_blocks(p, b, row * s.part_pitch + first * 8 + group * 4, v);
        else
            add_slices(p, s, row * s.part_pitch + group * 4, v);
        finish4(s, b, row, first * 8 + group * 4, group * 4, v);
    }
    if (!s.is_local_out) /* behind whole tiles, whose columns others write */
        pad_rows(s, b, p.tile_rows, (s.n + 7) / 8 * 8);
}

/* The weights that step i begins with; nothing where there is no such step. */
static __device__ __forceinline__ void fetch_first(const chain_args &p, int i, const chain_block &b,
                                                   uint4 (&w)[AHEAD][MOST])
{
    if (i >= p.n_steps)
        return;
    const chain_step s = step_at(p, i);
    const chain_share h = share_of(s, b, p.tile_rows);
    if (h.n_tiles > 0)
        fetch_weights(s, b, h, 0, w);
}

/* w: the step's first weights; then those of the next one, which so are on their way early. */
static __device__ __forceinline__ void sum_up(const chain_args &p, const chain_step &s, const chain_block &b,
                                              uint4 (&w)[AHEAD][MOST])
{
    const chain_share h = share_of(s, b, p.tile_rows);
    const int column = 8 * (b.lane % 4), row = h.first_row + b.lane / 4;
    const float *upper = row_of(b, s.in[0], row) + column, *lower = row_of(b, s.in[0], row + 8) + column;
    float sum[MOST][4] = {};
#pragma unroll 1
    for (int i = 0; h.n_tiles > 0 && h.slice + (i << s.slice_bits) < s.n_pieces; i += AHEAD) {
        if (i)
            fetch_weights(s, b, h, i, w);
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            const int piece = h.slice + ((i + j) << s.slice_bits);
            if (piece >= s.n_pieces)
                break;
            multiply(upper + piece * 32, lower + piece * 32, w[j], sum);
        }
    }
    if (h.n_tiles > 0)
        leave_sums(b, h, p.tile_rows, s.part_pitch, chain_area + p.part_at, sum);
    fetch_first(p, s.next_linear, b, w);
}

/* The step is read a second time rather than kept in registers. */
static __device__ __forceinline__ void linear(const chain_args &p, int i, const chain_block &b,
                                              uint4 (&w)[AHEAD][MOST])
{
    sum_up(p, step_at(p, i), b, w);
    if (step_at(p, i).is_local_in) {
        sono_cluster_arrive();
        sono_cluster_wait(); /* every block's sums are there */
    } else {
        __syncthreads(); /* every warp's sums are there */
    }
    finish(p, step_at(p, i), b);
}

/* ---- what every block does for itself ---- */

/* 4 channels of what goes into a norm. */
template <bool GATED>
static __device__ __forceinline__ void norm_input(const chain_step &s, const chain_block &b, int row,
                                                  int column, float v[4])
{
    float other[4], g[4];
    if (GATED) {
        read4(row_of(b, s.in[1], row) + column, v);
        read4(row_of(b, s.in[2], row) + column, other);
        const float *gates = row_of(b, s.in[0], row) + column;
        read4(gates, g);
#pragma unroll
        for (int j = 0; j < 4; j++)
            v[j] *= sono_sigmoid(g[j]);
        read4(gates + s.n, g);
#pragma unroll
        for (int j = 0; j < 4; j++)
            v[j] += sono_sigmoid(g[j]) * other[j];
        return;
    }
    read4(row_of(b, s.in[0], row) + column, v);
    if (s.in[1].at >= 0) {
        read4(row_of(b, s.in[1], row) + column, other);
        add4(v, other);
    }
#pragma unroll
    for (int j = 0; j < 4; j++)
        v[j] = s.clamp > 0.0f ? sono_clamp(v[j], s.clamp) : v[j];
}

template <bool GATED>
static __device__ __forceinline__ void norm_rows(const chain_args &p, const chain_step &s,
                                                 const chain_block &b)
{
    const float *gamma = chain_area + s.constants_at;
    float v[NORM_ROWS][NORM_MAX][4], sum[NORM_ROWS] = {}, squares[NORM_ROWS] = {};
#pragma unroll
    for (int r = 0; r < NORM_ROWS; r++)
#pragma unroll
        for (int i = 0; i < NORM_MAX; i++) {
            const int column = (i * SONO_WARP + b.lane) * 4;
            if (column >= s.n)
                continue;
            norm_input<GATED>(s, b, b.warp + r * WARPS, column, v[r][i]);
            sum[r] += v[r][i][0] + v[r][i][1] + v[r][i][2] + v[r][i][3];
        }
#pragma unroll
    for (int r = 0; r < NORM_ROWS; r++) {
        const float mean = sono_warp_sum(sum[r]) * s.scale;
#pragma unroll
        for (int i = 0; i < NORM_MAX; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                if ((i * SONO_WARP + b.lane) * 4 < s.n) {
                    v[r][i][j] -= mean;
                    squares[r] += v[r][i][j] * v[r][i][j];
                }
    }
#pragma unroll
    for (int r = 0; r < NORM_ROWS; r++) {
        const float inv_std = rsqrtf(sono_warp_sum(squares[r]) * s.scale + s.eps);
#pragma unroll
        for (int i = 0; i < NORM_MAX; i++) {
            const int column = (i * SONO_WARP + b.lane) * 4;
            float scale[4], offset[4];
            if (column >= s.n || b.warp + r * WARPS >= p.tile_rows)
                continue;
            read4(gamma + column, scale);
            read4(gamma + s.n + column, offset);
#pragma unroll
            for (int j = 0; j < 4; j++)
                v[r][i][j] = v[r][i][j] * inv_std * scale[j] + offset[j];
            keep4(s, b, b.warp + r * WARPS, column, v[r][i]);
        }
    }
}

static __device__ __forceinline__ float inverse_sigmoid(float x)
{
    const float low = x < 0.0f ? 0.0f : x; /* so that NaN stays NaN */
    const float q = low > 1.0f ? 1.0f : low;
    const float odds = q < 1e-5f ? 1e-5f : q, against = 1.0f - q;
    return logf(odds / (against < 1e-5f ? 1e-5f : against));
}

static __device__ __forceinline__ void elements(const chain_args &p, const chain_step &s,
                                                const chain_block &b)
{
    for (int row = b.warp; row < p.tile_rows; row += WARPS)
        for (int column = b.lane * 4; column < s.n; column += SONO_WARP * 4) {
            float v[4], other[4];
            read4(row_of(b, s.in[0], row) + column, v);
            if (s.kind == SONO_OP_ADD) {
                read4(row_of(b, s.in[1], row) + column, other);
                add4(v, other);
            } else {
#pragma unroll
                for (int j = 0; j < 4; j++)
                    v[j] = s.a == SONO_UNARY_GELU ? sono_gelu(v[j]) : inverse_sigmoid(v[j]);
            }
            keep4(s, b, row, column, v);
        }
    pad_rows(s, b, p.tile_rows, (s.n + 3) / 4 * 4);
}

/* A warp a head, four lanes a query, each with a quarter of the 32 channels; key after key. */
static __device__ __forceinline__ void attend(const chain_args &p, const chain_step &s, const chain_block &b)
{
    const int heads = s.a, blocks = (p.tile_rows + 7) / 8; /* of 8 queries */
    for (int i = b.warp; i < heads * blocks; i += WARPS) {
        const int head = i % heads, row = i / heads * 8 + b.lane / 4, at = (head * 4 + b.lane % 4) * QUARTER;
        float q[QUARTER], out[QUARTER] = {}, largest = -INFINITY, sum = 0.0f;
        read4(row_of(b, s.in[0], row) + at, q);
        read4(row_of(b, s.in[0], row) + at + 4, q + 4);
#pragma unroll 2
        for (int key = 0; key < p.n_rows; key++) {
            float k[QUARTER], v[QUARTER], dot = 0.0f;
            read4(row_of(b, s.in[1], key) + at, k);
            read4(row_of(b, s.in[1], key) + at + 4, k + 4);
            read4(row_of(b, s.in[2], key) + at, v);
            read4(row_of(b, s.in[2], key) + at + 4, v + 4);
#pragma unroll
            for (int c = 0; c < QUARTER; c++)
                dot += q[c] * k[c];
            const float score = sono_lanes_sum<4>(dot) * s.scale, most = fmaxf(largest, score);
            const float shrink = expf(largest - most), weight = expf(score - most);
            sum = sum * shrink + weight;
#pragma unroll
            for (int c = 0; c < QUARTER; c++)
                out[c] = out[c] * shrink + weight * v[c];
            largest = most;
        }
#pragma unroll
        for (int c = 0; c < QUARTER; c++)
            out[c] /= sum;
        if (row < p.tile_rows) {
            keep4(s, b, row, at, out);
            keep4(s, b, row, at + 4, out + 4);
        }
    }
}

/* ---- boxes: as in boxes.cu ---- */

static __device__ __forceinline__ float largest_of(const float *side, int n_bins, int lane)
{
    float largest = -INFINITY;
    for (int i = lane; i < n_bins; i += SIDE)
        largest = fmaxf(largest, side[i]);
    return sono_lanes_max<SIDE>(largest);
}

static __device__ __forceinline__ void keep1(const chain_step &s, const chain_block &b, int row, int column,
                                             float v)
{
    chain_area[s.out.at + row * s.out.pitch + column] = v;
}

static __device__ __forceinline__ void move_boxes(const chain_args &p, const chain_step &s,
                                                  const chain_block &b)
{
    const float *project = chain_area + s.constants_at;
    const int lane = b.lane % SIDE, side = b.lane / SIDE;
    for (int row = b.warp; row < p.tile_rows; row += WARPS) {
        const float *corners = row_of(b, s.in[0], row) + side * s.a, *box = row_of(b, s.in[1], row);
        const float centre = box[side % 2], size = box[2 + side % 2];
        const float largest = largest_of(corners, s.a, lane);
        float sum = 0.0f, moment = 0.0f;
        for (int i = lane; i < s.a; i += SIDE) {
            const float weight = expf(corners[i] - largest);
            sum += weight;
            moment += weight * project[i];
        }
        const float distance = sono_lanes_sum<SIDE>(moment) / sono_lanes_sum<SIDE>(sum);
        const float reach = (0.5f * s.scale + distance) * (size / s.scale);
        const float edge = side < 2 ? centre - reach : centre + reach;
        const float opposite = __shfl_xor_sync(ALL, edge, 2 * SIDE);
        if (lane == 0) /* sides 0, 1 write the centre, 2, 3 the size */
            keep1(s, b, row, side, side < 2 ? (edge + opposite) / 2.0f : edge - opposite);
    }
    pad_rows(s, b, p.tile_rows, s.n);
}

/* The largest of a side's logits behind (last, last_bin) in the order of value, then bin. */
static __device__ __forceinline__ void next_largest(const float *side, int n_bins, int lane, float *last,
                                                    int *last_bin)
{
    float best = -INFINITY;
    int best_bin = n_bins;
    for (int i = lane; i < n_bins; i += SIDE) {
        const float v = side[i];
        if ((v < *last || (v == *last && i > *last_bin)) && v > best) {
            best = v;
            best_bin = i;
        }
    }
#pragma unroll
    for (int offset = SIDE / 2; offset > 0; offset /= 2) {
        const float v = __shfl_xor_sync(ALL, best, offset);
        const int bin = __shfl_xor_sync(ALL, best_bin, offset);
        if (v > best || (v == best && bin < best_bin)) {
            best = v;
            best_bin = bin;
        }
    }
    *last = best;
    *last_bin = best_bin;
}

static __device__ __forceinline__ void box_quality(const chain_args &p, const chain_step &s,
                                                   const chain_block &b)
{
    const int lane = b.lane % SIDE, side = b.lane / SIDE;
    for (int row = b.warp; row < p.tile_rows; row += WARPS) {
        const float *corners = row_of(b, s.in[0], row) + side * s.a;
        const float largest = largest_of(corners, s.a, lane);
        float sum = 0.0f, mean = 0.0f, last = INFINITY;
        int last_bin = -1;
        for (int i = lane; i < s.a; i += SIDE)
            sum += expf(corners[i] - largest);
        sum = sono_lanes_sum<SIDE>(sum);
        for (int k = 0; k < s.b; k++) {
            next_largest(corners, s.a, lane, &last, &last_bin);
            const float probability = expf(last - largest) / sum;
            mean += probability;
            if (lane == 0)
                keep1(s, b, row, side * (s.b + 1) + k, probability);
        }
        if (lane == 0)
            keep1(s, b, row, side * (s.b + 1) + s.b, mean / (float)s.b);
    }
    pad_rows(s, b, p.tile_rows, s.n);
}

/* ---- DEFORM_ATTENTION ---- */

/* A point's four corners: where each is, and what it counts; 0 outside of the map. */
struct chain_corners {
    int32_t position[4];
    float weight[4];
};

static __device__ __forceinline__ chain_corners corners_of(const sample &own)
{
    const int32_t w = own.flags >> FLAG_BITS;
    const float x[2] = {1.0f - own.right, own.right}, y[2] = {1.0f - own.bottom, own.bottom};
    chain_corners c;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const bool is_inside = own.flags >> i & 1;
        c.position[i] = is_inside ? own.position + i / 2 * w + i % 2 : 0;
        c.weight[i] = is_inside ? own.weight * y[i / 2] * x[i % 2] : 0.0f;
    }
    return c;
}

/* One head of one query. Lanes are points first; then 8 of them are 4 channels each of a corner. */
template <typename T>
static __device__ __forceinline__ void sample_head(const chain_args &p, const chain_step &s,
                                                   const chain_block &b, int row, int head)
{
    const int n_points = p.deform_points, corner = b.lane / 8, column = head * SONO_WARP + b.lane % 8 * 4;
    const float *offsets = row_of(b, s.in[0], row) + head * n_points * 2;
    const float *logits = row_of(b, s.in[1], row) + head * n_points;
    const float *box = row_of(b, s.in[2], row);
    const T *value = static_cast<const T *>(s.weight) + b.map * s.value_stride + column;
    const float logit = b.lane < n_points ? logits[b.lane] : -INFINITY, largest = sono_warp_max(logit);
    sample own = {0.0f, 0.0f, 0.0f, 0, 0};
    int is_nan = 0;
    if (b.lane < n_points)
        own = sample_of(p.deform, b.lane, offsets[2 * b.lane], offsets[2 * b.lane + 1], expf(logit - largest),
                        box, &is_nan);
    const chain_corners c = corners_of(own);
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 4
    for (int i = 0; i < n_points; i++) {
        int32_t position = 0;
        float weight = 0.0f, v[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const int32_t other = __shfl_sync(ALL, c.position[k], i);
            const float part = __shfl_sync(ALL, c.weight[k], i);
            position = corner == k ? other : position;
            weight = corner == k ? part : weight;
        }
        load4(value + (int64_t)position * s.value_pitch, v);
#pragma unroll
        for (int j = 0; j < 4; j++)
            sum[j] += weight * v[j];
    }
    const float all = sono_warp_sum(own.weight);
    const bool is_spoilt = __any_sync(ALL, is_nan); /* by a location that is no number */
#pragma unroll
    for (int j = 0; j < 4; j++) {
        sum[j] += __shfl_xor_sync(ALL, sum[j], 8);
        sum[j] += __shfl_xor_sync(ALL, sum[j], 16);
        sum[j] = is_spoilt ? NAN : sum[j] / all;
    }
    if (s.out.at >= 0) { /* each corner's lanes write to two blocks */
        const uint32_t offset = (uint32_t)(s.out.at + row * s.out.pitch + column) * 4;
#pragma unroll
        for (int i = 0; i < CLUSTER; i++)
            if (i / 2 == corner)
                sono_cluster_put4(b.others[i] + offset, sum);
    }
    if (s.global.data && corner == 0)
        store4(s, b, row, column, sum);
}

static __device__ __forceinline__ void deform(const chain_args &p, const chain_step &s, const chain_block &b)
{
    const int n_heads = p.deform.n_heads;
    for (int i = b.rank * WARPS + b.warp; i < p.tile_rows * n_heads; i += CLUSTER * WARPS) {
        const int row = i / n_heads, head = i - row * n_heads;
        if (row >= b.valid)
            continue;
        if (s.value_is_half)
            sample_head<__half>(p, s, b, row, head);
        else
            sample_head<float>(p, s, b, row, head);
    }
}

/* ---- all of it ---- */

/* What only a detector's queries have. */
static __device__ __forceinline__ void run_query_step(const chain_args &p, const chain_step &s,
                                                      const chain_block &b)
{
    switch (s.kind) {
    case SONO_OP_GATED_NORM:
        norm_rows<true>(p, s, b);
        break;
    case SONO_OP_DEFORM_ATTENTION:
        deform(p, s, b);
        break;
    case SONO_OP_FDR_BOX:
        move_boxes(p, s, b);
        break;
    default:
        box_quality(p, s, b);
    }
}

static __device__ __forceinline__ bool is_query_kind(int32_t kind)
{
    return kind == SONO_OP_GATED_NORM || kind == SONO_OP_DEFORM_ATTENTION || kind == SONO_OP_FDR_BOX ||
           kind == SONO_OP_LQE_STAT;
}

template <bool QUERIES>
static __device__ __forceinline__ void run_step(const chain_args &p, const chain_step &s,
                                                const chain_block &b)
{
    if (QUERIES && is_query_kind(s.kind))
        run_query_step(p, s, b);
    else if (s.kind == SONO_OP_LAYER_NORM)
        norm_rows<false>(p, s, b);
    else if (!QUERIES && s.kind == SONO_OP_ATTENTION)
        attend(p, s, b);
    else if (s.kind == IS_STORE)
        store_rows(s, b, p.tile_rows);
    else
        elements(p, s, b);
}

static __device__ __forceinline__ chain_block block_of(const chain_args &p)
{
    chain_block b;
    const int tile = sono_cluster_id();
    b.rank = sono_cluster_rank();
    b.map = tile / p.tiles_per_map;
    b.first_row = (tile - b.map * p.tiles_per_map) * p.tile_rows;
    b.valid = min(p.tile_rows, p.n_rows - b.first_row);
    b.warp = __shfl_sync(ALL, (int)threadIdx.x / SONO_WARP, 0); /* known to be the same for all lanes */
    b.lane = (int)threadIdx.x % SONO_WARP;
    const uint32_t own = sono_shared_address_of(chain_area);
#pragma unroll
    for (int i = 0; i < CLUSTER; i++)
        b.others[i] = sono_cluster_address(own, i);
    return b;
}

/* Two kernels, for code that is not there need not be fetched. QUERIES: no ATTENTION, for that is of few
 * keys. */
template <bool QUERIES>
static __global__ void __launch_bounds__(THREADS, 1) chain_kernel(const __grid_constant__ chain_args p)
{
    take_steps(p);
    const chain_block b = block_of(p);
    uint4 w[AHEAD][MOST];
    int i = 0;
    for (; i < p.n_steps && step_at(p, i).kind == IS_LOAD; i++)
        load_rows(step_at(p, i), b, p.tile_rows);
    load_constants(p, b);
    sono_copies_commit();
    fetch_first(p, p.first_linear, b, w);
    sono_copies_wait<0>();
    sono_cluster_arrive();
    sono_cluster_wait(); /* every block is there, and what it has loaded */
#pragma unroll 1
    for (; i < p.n_steps; i++) {
        if (step_at(p, i).waits) {
            sono_cluster_arrive();
            sono_cluster_wait();
        } else {
            __syncthreads(); /* the step before is done in this block */
        }
        if (step_at(p, i).kind == SONO_OP_LINEAR)
            linear(p, i, b, w);
        else
            run_step<QUERIES>(p, step_at(p, i), b);
    }
    sono_cluster_arrive();
    sono_cluster_wait(); /* nobody writes here any more */
}

/* ---- host ---- */

static chain_step step_of(const sono_cuda_call *call, const sono_chain_step *plan)
{
    chain_step s = {};
    const sono_op *op = call->op;
    const int first = op->kind == SONO_OP_DEFORM_ATTENTION ? 1 : 0;
    const int second = op->kind == SONO_OP_LINEAR || op->kind == SONO_OP_LAYER_NORM ? 3 : first + 1;
    s.kind = op->kind;
    s.waits = plan->waits;
    s.is_local_out = plan->is_local_out;
    s.is_local_in = plan->is_local_in;
    s.in[0] = plan->in[first];
    s.in[1] = plan->in[second];
    s.in[2] = plan->in[first + 2];
    s.out = plan->out;
    s.constants_at = plan->constants_at;
    s.k = call->in[0].c;
    s.n = call->out[0].c;
    if (plan->tensor) {
        s.global = sono_rows_make(&call->out[0]);
        s.global_rows = call->out[0].h * call->out[0].w;
        s.is_wide = sono_rows_fit(&s.global, 4, 4);
    }
    return s;
}

/* Bits of the least power of two that is not below n. */
static int32_t bits_of(int32_t n)
{
    int32_t bits = 0;
    while (1 << bits < n)
        bits++;
    return bits;
}

static void add_share(chain_step *s, int32_t tile_rows)
{
    const int32_t all = (s->n + 7) / 8, each = (all + CLUSTER - 1) / CLUSTER;
    s->per_block = s->is_local_in ? all : each;
    const int32_t slices = s->is_local_in ? 1 : sono_chain_slices(s->per_block), /* blocks are slices then */
        groups = WARPS / (tile_rows > 16 ? 2 : 1) / slices;
    s->slice_bits = bits_of(slices);
    s->per_warp = (s->per_block + groups - 1) / groups;
    s->n_pieces = ((s->is_local_in ? s->k / CLUSTER : s->k) + 31) / 32;
    s->part_pitch = sono_chain_part_pitch(s->per_block);
    s->own_tiles = each;
    s->own_bits = bits_of(2 * each);
}

static void add_linear(chain_step *s, const sono_cuda_call *call, int32_t tile_rows)
{
    add_share(s, tile_rows);
    s->weight = call->in[1].data;
    s->weight_pitch = (int32_t)call->in[1].pitch;
    s->bias = (const float *)call->in[2].data;
    s->epilogue = call->op->args.conv.epilogue;
}

static void add_norm(chain_step *s, const sono_cuda_call *call, int gamma)
{
    s->weight = call->in[gamma].data;
    s->bias = (const float *)call->in[gamma + 1].data;
    s->eps = call->op->args.norm.eps;
    s->scale = 1.0f / (float)call->out[0].c;
    s->clamp = call->op->args.norm.clamp;
    s->act = call->op->args.norm.act;
}

static void add_value(chain_step *s, chain_args *p, const sono_cuda_call *call)
{
    s->weight = call->in[0].data;
    s->value_pitch = call->in[0].pitch;
    s->value_stride = call->in[0].batch_stride;
    s->value_is_half = call->in[0].dtype == SONO_DTYPE_F16;
    p->deform = call->op->args.deform;
    p->deform_points = 0;
    for (int32_t l = 0; l < p->deform.n_levels; l++)
        p->deform_points += p->deform.level_points[l];
}

static void add_bins(chain_step *s, const sono_cuda_call *call)
{
    s->a = call->op->args.bins.reg_max + 1;
    s->b = call->op->args.bins.top_k;
    s->scale = fabsf(call->op->args.bins.reg_scale);
    s->weight = call->in[2].data;
}

static chain_step make_step(chain_args *p, const sono_cuda_call *call, const sono_chain_step *plan)
{
    chain_step s = step_of(call, plan);
    if (plan->role == SONO_CHAIN_STORE) {
        s.kind = IS_STORE;
        s.in[0] = plan->in[0];
        return s;
    }
    switch (s.kind) {
    case SONO_OP_LINEAR:
        add_linear(&s, call, p->tile_rows);
        break;
    case SONO_OP_LAYER_NORM:
        add_norm(&s, call, 1);
        break;
    case SONO_OP_GATED_NORM:
        add_norm(&s, call, 3);
        break;
    case SONO_OP_ATTENTION:
        s.a = call->op->args.attention.n_heads;
        s.scale = call->op->args.attention.scale;
        break;
    case SONO_OP_DEFORM_ATTENTION:
        add_value(&s, p, call);
        break;
    case SONO_OP_UNARY:
        s.a = call->op->args.unary.fn;
        break;
    case SONO_OP_FDR_BOX:
    case SONO_OP_LQE_STAT:
        add_bins(&s, call);
        break;
    default:
        break;
    }
    return s;
}

/* What is loaded is an input of one of the chain's ops. */
static chain_step make_load(const sono_cuda_call *call, const sono_chain *chain, const sono_chain_step *plan)
{
    chain_step s = {};
    s.kind = IS_LOAD;
    s.out = plan->out;
    for (int32_t i = 0; i <= chain->last_op - chain->first_op; i++)
        for (int k = 0; k < SONO_OP_MAX_IN; k++) {
            const sono_cuda_tensor *t = &call->members[i].in[k];
            if (call->members[i].op->in[k] != plan->tensor)
                continue;
            s.n = t->c;
            s.global = sono_rows_make(t);
            s.global_rows = t->h * t->w;
            s.is_wide = sono_rows_fit(&s.global, 4, 4);
            return s;
        }
    return s;
}

static void make_args(const sono_cuda_call *call, chain_args *p)
{
    const sono_chain *chain = call->chain;
    p->n_steps = chain->n_steps;
    p->n_rows = chain->n_rows;
    p->tile_rows = chain->tile_rows;
    p->tiles_per_map = chain->tiles_per_map;
    p->part_at = chain->part_at;
    p->steps_at = chain->steps_at;
    for (int32_t i = 0; i < chain->n_steps; i++) {
        const sono_chain_step *plan = &chain->steps[i];
        p->steps[i] = plan->role == SONO_CHAIN_LOAD
                          ? make_load(call, chain, plan)
                          : make_step(p, &call->members[plan->op - chain->first_op], plan);
    }
    p->first_linear = chain->n_steps;
    for (int32_t i = chain->n_steps - 1; i >= 0; i--) {
        p->steps[i].next_linear = p->first_linear;
        if (p->steps[i].kind == SONO_OP_LINEAR)
            p->first_linear = i;
    }
}

/* Few rows a map are tokens of a prompt, more are a detector's queries. */
static int are_queries(const sono_chain *chain)
{
    return chain->n_rows > SONO_ATTENTION_NARROW_KEYS;
}

extern "C" cudaError_t sono_cuda_chain_prepare(const sono_cuda_call *call)
{
    (void)call;
    const cudaError_t error = cudaFuncSetAttribute(
        chain_kernel<true>, cudaFuncAttributeMaxDynamicSharedMemorySize, SONO_CHAIN_BYTES);
    return error != cudaSuccess
               ? error
               : cudaFuncSetAttribute(chain_kernel<false>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      SONO_CHAIN_BYTES);
}

extern "C" cudaError_t sono_cuda_chain(const sono_cuda_call *call)
{
    const sono_chain *chain = call->chain;
    chain_args p = {};
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attribute = {};
    make_args(call, &p);
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = CLUSTER;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    config.gridDim = dim3((unsigned)(chain->n_maps * chain->tiles_per_map * CLUSTER));
    config.blockDim = dim3(THREADS);
    config.dynamicSmemBytes = (size_t)chain->area_floats * sizeof(float);
    config.stream = call->stream;
    config.attrs = &attribute;
    config.numAttrs = 1;
    return are_queries(chain) ? cudaLaunchKernelEx(&config, chain_kernel<true>, p)
                              : cudaLaunchKernelEx(&config, chain_kernel<false>, p);
}
