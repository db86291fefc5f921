// SPDX-License-Identifier: Apache-2.0
/*
 * MBConv in one launch (choice/mbconv.h): y = e(W3 e(dw(e(W1 x))) + x), W1 from 64 to E channels, dw 3 x 3,
 * W3 back to 64; e is GELU behind a bias; semantics those of LINEAR and DWCONV. x, y [n, h, w, 64] F16; W1,
 * W3 F16 packed (kernels.h), dw F32 [1, 3, 3, E].
 *
 * What lies between, 4 E bytes a position, never leaves the multiprocessor. A block makes 16 x 8 positions:
 * the 18 x 10 below them of x are in shared memory, and 64 of the E channels at a time pass through: W1 and e
 * by products on all 180 positions, dw and e with 2 channels a lane and 2 columns a warp, W3 by products
 * whose sums stay in registers. Positions outside of the map are zero for dw, whatever W1 makes of them.
 * Weights of the next 64 channels are on their way meanwhile. Rows of 64 halves in shared memory, chunk c of
 * 8 of row r at place c ^ (r mod 8): conv_half.cuh. Numbers: float32 sums, each result between rounded to
 * half as when it is stored. 256 x 256 positions, E = 256: 512 blocks. Test: tests/ops/test_mbconv.c.
 */
#include "engine/cuda/choice/mbconv.h"
#include "engine/cuda/kernels/mma.cuh"

#define THREADS    256
#define C          SONO_MBCONV_CHANNELS
#define TILE_W     SONO_MBCONV_TILE_W
#define TILE_H     SONO_MBCONV_TILE_H
#define POSITIONS  (TILE_W * TILE_H)
#define HALO_W     (TILE_W + 2)
#define HALO       (HALO_W * (TILE_H + 2))
#define HALO_ROWS  192 /* HALO in whole products */
#define ROW_BYTES  (C * 2)
#define SLICE      64 /* of E */
#define UP_TILES   3  /* of 16 positions of a warp, 4 warps; 4 tiles of 8 channels, 2 warps */
#define DOWN_TILES 2
#define X_AT       0
#define H_AT       (X_AT + HALO_ROWS * ROW_BYTES)
#define D_AT       (H_AT + HALO_ROWS * ROW_BYTES)
#define W_AT       (D_AT + POSITIONS * ROW_BYTES)
#define W_BYTES    (SLICE * ROW_BYTES) /* of W1's slice, and of W3's */

static_assert(W_AT + 2 * 2 * W_BYTES == SONO_MBCONV_BYTES, "the choice knows another size");

typedef struct mbconv_args {
    const __half *x, *up, *down; /* up: W1 [E][64], down: W3 [64][E] */
    const float *up_bias, *dw, *dw_bias, *down_bias;
    __half *y;
    int64_t x_stride, y_stride, dw_pitch;
    int32_t x_pitch, y_pitch, up_pitch, down_pitch;
    int32_t h, w, n_slices, tiles_across;
} mbconv_args;

static __device__ __forceinline__ uint32_t place(int row, int chunk)
{
    return (uint32_t)(row * ROW_BYTES + ((chunk ^ (row & 7)) << 4));
}

/* Two neighbouring channels of a row. */
static __device__ __forceinline__ uint32_t *pair_at(unsigned char *area, int row, int channel)
{
    return reinterpret_cast<uint32_t *>(area + place(row, channel / 8) + channel % 8 * 2);
}

static __device__ __forceinline__ float2 unpack(uint32_t pair)
{
    return __half22float2(*reinterpret_cast<const __half2 *>(&pair));
}

/* GELU of two channels. */
static __device__ __forceinline__ uint32_t gelu_pair(float a, float b)
{
    return sono_pack(sono_gelu_of_halves(a), sono_gelu_of_halves(b));
}

static __device__ __forceinline__ bool is_inside(const mbconv_args &p, int y, int x)
{
    return (uint32_t)y < (uint32_t)p.h && (uint32_t)x < (uint32_t)p.w;
}

static __device__ __forceinline__ void load_x(const mbconv_args &p, uint32_t shared, int y0, int x0)
{
    const __half *x = p.x + blockIdx.y * p.x_stride;
    for (int i = (int)threadIdx.x; i < HALO_ROWS * 8; i += THREADS) {
        const int row = i / 8, chunk = i % 8, hy = row / HALO_W, y = y0 + hy, column = x0 + row - hy * HALO_W;
        const bool take = row < HALO && is_inside(p, y, column);
        const __half *from = take ? x + ((int64_t)y * p.w + column) * p.x_pitch + chunk * 8 : x;
        sono_copy16(shared + X_AT + place(row, chunk), from, take);
    }
}

/* Slice s of both weights into buffer s mod 2. */
static __device__ __forceinline__ void load_weights(const mbconv_args &p, uint32_t shared, int s)
{
    const uint32_t up = shared + W_AT + s % 2 * 2 * W_BYTES, down = up + W_BYTES;
    for (int i = (int)threadIdx.x; i < SLICE * 8; i += THREADS) {
        const int row = i / 8, chunk = i % 8;
        sono_copy16(up + place(row, chunk), p.up + (int64_t)(s * SLICE + row) * p.up_pitch + chunk * 8, true);
        sono_copy16(down + place(row, chunk), p.down + (int64_t)row * p.down_pitch + s * SLICE + chunk * 8,
                    true);
    }
}

/* sum += rows [row, row + 16 TILES) of a times rows [column, column + 32) of b, 64 deep. */
template <int TILES>
static __device__ __forceinline__ void multiply(uint32_t a, int row, uint32_t b, int column, int lane,
                                                float (&sum)[TILES][4][4])
{
#pragma unroll
    for (int k = 0; k < C / 16; k++) {
        uint32_t left[TILES][4], right[2][4];
#pragma unroll
        for (int m = 0; m < TILES; m++)
            sono_ldmatrix(left[m], a + place(row + m * 16 + (lane & 15), k * 2 + (lane >> 4)));
#pragma unroll
        for (int n = 0; n < 2; n++)
            sono_ldmatrix(right[n], b + place(column + n * 16 + (lane & 7) + (lane >> 4 << 3),
                                              k * 2 + (lane >> 3 & 1)));
#pragma unroll
        for (int m = 0; m < TILES; m++)
#pragma unroll
            for (int n = 0; n < 4; n++)
                sono_mma(sum[m][n], left[m], right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1]);
    }
}

/* W1 and GELU of slice s on all positions below the tile. Rows of a lane are 8 apart: its place within the
 * first is its place within each. */
static __device__ __forceinline__ void expand(const mbconv_args &p, unsigned char *area, uint32_t shared,
                                              int s, int warp, int lane, uint32_t inside)
{
    const int row = warp / 2 * UP_TILES * 16, column = warp % 2 * 32, g = lane / 4;
    float sum[UP_TILES][4][4] = {};
    multiply<UP_TILES>(shared + X_AT, row, shared + W_AT + s % 2 * 2 * W_BYTES, column, lane, sum);
#pragma unroll
    for (int n = 0; n < 4; n++) {
        const float2 bias =
            *reinterpret_cast<const float2 *>(p.up_bias + s * SLICE + column + n * 8 + 2 * (lane % 4));
        unsigned char *to = area + H_AT + place(row + g, column / 8 + n) + lane % 4 * 4;
#pragma unroll
        for (int i = 0; i < 2 * UP_TILES; i++) {
            const float *v = sum[i / 2][n] + i % 2 * 2;
            const uint32_t pair = gelu_pair(v[0] + bias.x, v[1] + bias.y);
            *reinterpret_cast<uint32_t *>(to + i * 8 * ROW_BYTES) = inside >> i & 1 ? pair : 0;
        }
    }
}

/* Which of the rows that a lane makes in expand() lie inside of the map. */
static __device__ __forceinline__ uint32_t rows_inside(const mbconv_args &p, int y0, int x0, int warp,
                                                       int lane)
{
    uint32_t inside = 0;
#pragma unroll
    for (int i = 0; i < 2 * UP_TILES; i++) {
        const int row = warp / 2 * UP_TILES * 16 + i * 8 + lane / 4, hy = row / HALO_W;
        inside |= (uint32_t)(row < HALO && is_inside(p, y0 + hy, x0 + row - hy * HALO_W)) << i;
    }
    return inside;
}

/* A line of 4 positions, 2 channels each, from position `first` + 2 warp on. places: of the lane's channels
 * in rows 2 warp, 2 warp + 1, ..., in 8 of which they differ. */
static __device__ __forceinline__ void read_line(const unsigned char *area, int first,
                                                 const uint32_t places[8], float2 line[4])
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        line[i] = unpack(
            *reinterpret_cast<const uint32_t *>(area + (first + i) * ROW_BYTES + places[(first + i) & 7]));
}

/* dw and GELU of slice s: two channels a lane, two columns a warp. */
static __device__ __forceinline__ void filter(const mbconv_args &p, unsigned char *area, int s, int warp,
                                              int lane)
{
    const int channel = 2 * lane;
    const unsigned char *from = area + H_AT + 2 * warp * ROW_BYTES;
    unsigned char *to = area + D_AT + 2 * warp * ROW_BYTES;
    float2 weight[9], bias = make_float2(0.0f, 0.0f), line[3][4];
    uint32_t places[8];
#pragma unroll
    for (int i = 0; i < 8; i++)
        places[i] = (uint32_t)(((lane / 4) ^ ((2 * warp + i) & 7)) << 4 | lane % 4 * 4);
#pragma unroll
    for (int tap = 0; tap < 9; tap++)
        weight[tap] = *reinterpret_cast<const float2 *>(p.dw + tap * p.dw_pitch + s * SLICE + channel);
    if (p.dw_bias)
        bias = *reinterpret_cast<const float2 *>(p.dw_bias + s * SLICE + channel);
    read_line(from, 0, places, line[0]);
    read_line(from, HALO_W, places, line[1]);
#pragma unroll
    for (int y = 0; y < TILE_H; y++) {
        read_line(from, (y + 2) * HALO_W, places, line[(y + 2) % 3]);
#pragma unroll
        for (int x = 0; x < 2; x++) {
            float2 sum = bias;
#pragma unroll
            for (int tap = 0; tap < 9; tap++) {
                const float2 v = line[(y + tap / 3) % 3][x + tap % 3];
                sum.x = fmaf(weight[tap].x, v.x, sum.x);
                sum.y = fmaf(weight[tap].y, v.y, sum.y);
            }
            *reinterpret_cast<uint32_t *>(to + (y * TILE_W + x) * ROW_BYTES + places[x]) =
                gelu_pair(sum.x, sum.y);
        }
    }
}

/* GELU of the sum with x, and the tile into shared memory in the place of what dw made. */
static __device__ __forceinline__ void contract(const mbconv_args &p, unsigned char *area, int warp, int lane,
                                                const float (&sum)[DOWN_TILES][4][4])
{
    const int row = warp / 2 * DOWN_TILES * 16, column = warp % 2 * 32;
#pragma unroll
    for (int n = 0; n < 4; n++) {
        const int channel = column + n * 8 + 2 * (lane % 4);
        const float2 bias = *reinterpret_cast<const float2 *>(p.down_bias + channel);
#pragma unroll
        for (int m = 0; m < DOWN_TILES; m++)
#pragma unroll
            for (int r = 0; r < 2; r++) {
                const int position = row + m * 16 + r * 8 + lane / 4;
                const int below = (position / TILE_W + 1) * HALO_W + position % TILE_W + 1;
                const float2 x = unpack(*pair_at(area + X_AT, below, channel));
                *pair_at(area + D_AT, position, channel) =
                    gelu_pair(sum[m][n][2 * r] + bias.x + x.x, sum[m][n][2 * r + 1] + bias.y + x.y);
            }
    }
}

static __device__ __forceinline__ void store_y(const mbconv_args &p, unsigned char *area, int y0, int x0)
{
    __half *y = p.y + blockIdx.y * p.y_stride;
    for (int i = (int)threadIdx.x; i < POSITIONS * 8; i += THREADS) {
        const int position = i / 8, chunk = i % 8, row = y0 + 1 + position / TILE_W,
                  column = x0 + 1 + position % TILE_W;
        if (is_inside(p, row, column))
            *reinterpret_cast<uint4 *>(y + ((int64_t)row * p.w + column) * p.y_pitch + chunk * 8) =
                *reinterpret_cast<const uint4 *>(area + D_AT + place(position, chunk));
    }
}

static __global__ void __launch_bounds__(THREADS, 2) mbconv_kernel(const __grid_constant__ mbconv_args p)
{
    extern __shared__ __align__(128) unsigned char area[];
    const uint32_t shared = sono_shared_address(area);
    const int warp = (int)threadIdx.x / SONO_WARP, lane = (int)threadIdx.x % SONO_WARP;
    const int tile_y = (int)blockIdx.x / p.tiles_across, tile_x = (int)blockIdx.x - tile_y * p.tiles_across;
    const int y0 = tile_y * TILE_H - 1, x0 = tile_x * TILE_W - 1; /* of the position at the halo's corner */
    const uint32_t inside = rows_inside(p, y0, x0, warp, lane);
    float sum[DOWN_TILES][4][4] = {};
    load_x(p, shared, y0, x0);
    load_weights(p, shared, 0);
    sono_copies_commit();
#pragma unroll 1
    for (int s = 0; s < p.n_slices; s++) {
        sono_copies_wait<0>();
        __syncthreads(); /* x and slice s are there; the slice before is done, and so are its weights */
        if (s + 1 < p.n_slices)
            load_weights(p, shared, s + 1);
        sono_copies_commit();
        expand(p, area, shared, s, warp, lane, inside);
        __syncthreads(); /* what W1 makes is complete */
        filter(p, area, s, warp, lane);
        __syncthreads(); /* what dw makes is complete */
        multiply<DOWN_TILES>(shared + D_AT, warp / 2 * DOWN_TILES * 16,
                             shared + W_AT + s % 2 * 2 * W_BYTES + W_BYTES, warp % 2 * 32, lane, sum);
    }
    __syncthreads(); /* that has been read: the result takes its place */
    contract(p, area, warp, lane, sum);
    __syncthreads(); /* the tile is complete */
    store_y(p, area, y0, x0);
}

extern "C" cudaError_t sono_cuda_mbconv_prepare(const sono_cuda_call *call)
{
    (void)call;
    return cudaFuncSetAttribute(mbconv_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                SONO_MBCONV_BYTES);
}

extern "C" cudaError_t sono_cuda_mbconv(const sono_cuda_call *call)
{
    const sono_cuda_call *up = &call->members[0], *dw = &call->members[1], *down = &call->members[2];
    const sono_cuda_tensor *x = &up->in[0], *y = &down->out[0];
    mbconv_args p = {};
    p.x = (const __half *)x->data;
    p.y = (__half *)y->data;
    p.up = (const __half *)up->in[1].data;
    p.down = (const __half *)down->in[1].data;
    p.up_bias = (const float *)up->in[2].data;
    p.dw = (const float *)dw->in[1].data;
    p.dw_bias = (const float *)dw->in[2].data;
    p.down_bias = (const float *)down->in[2].data;
    p.x_stride = x->batch_stride;
    p.y_stride = y->batch_stride;
    p.x_pitch = (int32_t)x->pitch;
    p.y_pitch = (int32_t)y->pitch;
    p.up_pitch = (int32_t)up->in[1].pitch;
    p.down_pitch = (int32_t)down->in[1].pitch;
    p.dw_pitch = dw->in[1].pitch;
    p.h = y->h;
    p.w = y->w;
    p.n_slices = up->out[0].c / SLICE;
    p.tiles_across = (int32_t)sono_ceil_div(y->w, TILE_W);
    const dim3 grid((unsigned)(p.tiles_across * sono_ceil_div(y->h, TILE_H)), (unsigned)y->n);
    mbconv_kernel<<<grid, THREADS, SONO_MBCONV_BYTES, call->stream>>>(p);
    return cudaGetLastError();
}
