// SPDX-License-Identifier: Apache-2.0
/*
 * CONV and LINEAR on F32 x: y [M, N] = A [M, K] x weight [K, N] in float32 multiply-adds (no tf32).
 *
 * conv_float: a block makes a BM x BN tile, a thread TM x TN of it, from the same ring of stages as
 * conv_half.cuh. Small tiles (300 queries) have SLICES groups of threads, each with its own part of a step's
 * depth, so that a tile of 32 x 32 keeps 8 warps busy; shared memory adds their sums in order at the end.
 * Shared memory of a stage: A [BM][BK + 4], read 4 or 2 columns at once, and weight [BK][BN]; a thread's rows
 * are TY apart and its groups of 4 columns 4 * TX, so that lanes side by side read side by side.
 *
 * conv_thin: LINEAR with few rows (7 tokens), where reading the weight once over many multiprocessors is all
 * that counts: a block takes 8 rows x 8 columns, its 256 threads 128 places of K x 2 groups of 4 columns,
 * straight from global memory. Numbers: sums in the order of each layout. Test: tests/ops/test_conv.c.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_CONV_FLOAT_CUH
#define SONO_ENGINE_CUDA_KERNELS_CONV_FLOAT_CUH

#include "engine/cuda/kernels/conv_finish.cuh"
#include "engine/cuda/kernels/conv_gather.cuh"

template <int TM_, int TN_, int TY_, int TX_, int SLICES_, int BK_, int STAGES_, int BLOCKS_>
struct conv_float_tile {
    static constexpr int TM = TM_, TN = TN_, TY = TY_, TX = TX_, SLICES = SLICES_, BK = BK_, BLOCKS = BLOCKS_;
    static constexpr int BM = TM * TY, BN = TN * TX, THREADS = TY * TX * SLICES;
    static constexpr int SLICE_DEPTH = BK / SLICES;      /* of a step */
    static constexpr int A_PITCH = BK + 4;               /* floats */
    static constexpr int A_WIDTH = TM * TN < 64 ? 4 : 2; /* columns of A in one read: registers bound it */
    static constexpr int A_BYTES = BM * A_PITCH * 4, STAGE_BYTES = A_BYTES + BK * BN * 4;
    static constexpr int SUM_BYTES = SLICES * BM * BN * 4;
    static constexpr int MAX_STAGES = STAGES_;
#if SONO_HAS_ASYNC
    static constexpr int STAGES = STAGES_;
#else
    static constexpr int STAGES = 2;
#endif
    static_assert(TN % 4 == 0 && SLICE_DEPTH % 4 == 0, "whole float4");

    static __device__ __forceinline__ int at(int row, int chunk)
    {
        return (row * A_PITCH + chunk * 4) * 4;
    }
};

/* Rows [k, k + BK) of the weight, columns [n0, n0 + BN), zero outside. */
template <class T>
static __device__ __forceinline__ void conv_float_load_weight(const conv_args &p, int32_t n0, int32_t k,
                                                              uint32_t tile)
{
    constexpr int CHUNKS = T::BN / 4, ROWS_A_PASS = T::THREADS / CHUNKS, PASSES = T::BK / ROWS_A_PASS;
    static_assert(T::THREADS % CHUNKS == 0 && T::BK % ROWS_A_PASS == 0, "whole passes");
    const int chunk = (int)threadIdx.x % CHUNKS;
    const int32_t col = n0 + chunk * 4;
    const float *weight = static_cast<const float *>(p.weight);
#pragma unroll
    for (int i = 0; i < PASSES; i++) {
        const int row = (int)threadIdx.x / CHUNKS + i * ROWS_A_PASS;
        const uint32_t to = tile + (row * T::BN + chunk * 4) * 4;
        const float *from = weight + (int64_t)(k + row) * p.weight_pitch + col;
        const bool inside = k + row < p.k && col < p.n;
        if (p.weight_vector) {
            sono_copy16(to, inside ? from : weight, inside);
            continue;
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const bool take = inside && col + j < p.n;
            sono_copy4(to + 4 * j, take ? from + j : weight, take);
        }
    }
}

/* N neighbouring floats, N = 2 or 4; p aligned to them. */
template <int N> static __device__ __forceinline__ void conv_float_read(const float *p, float v[N])
{
    if (N == 4) {
        conv_load<4>(p, v);
        return;
    }
    const float2 f = *reinterpret_cast<const float2 *>(p);
    v[0] = f.x;
    v[1] = f.y;
}

/* This slice's part of a step: a, b point at the thread's first row and first columns. */
template <class T>
static __device__ __forceinline__ void conv_float_multiply(const float *a, const float *b,
                                                           float sum[T::TM][T::TN])
{
#pragma unroll
    for (int k = 0; k < T::SLICE_DEPTH; k += T::A_WIDTH) {
        float left[T::TM][T::A_WIDTH];
#pragma unroll
        for (int i = 0; i < T::TM; i++)
            conv_float_read<T::A_WIDTH>(a + i * T::TY * T::A_PITCH + k, left[i]);
#pragma unroll
        for (int kk = 0; kk < T::A_WIDTH; kk++) {
            float right[T::TN];
#pragma unroll
            for (int j = 0; j < T::TN; j += 4)
                conv_load<4>(b + (k + kk) * T::BN + j * T::TX, right + j);
#pragma unroll
            for (int i = 0; i < T::TM; i++)
#pragma unroll
                for (int j = 0; j < T::TN; j++)
                    sum[i][j] = fmaf(left[i][kk], right[j], sum[i][j]);
        }
    }
}

/* The sums of all slices through shared memory, where they are added in order; 4 columns a thread. */
template <class T>
static __device__ __forceinline__ void conv_float_deliver(const conv_args &p, int32_t m0, int32_t n0,
                                                          const float sum[T::TM][T::TN], float *shared)
{
    constexpr int LANES_A_ROW = T::BN / 4, ROWS_A_PASS = T::THREADS / LANES_A_ROW;
    constexpr int PASSES = (T::BM + ROWS_A_PASS - 1) / ROWS_A_PASS;
    static_assert(PASSES == 1 || T::BM % ROWS_A_PASS == 0, "whole passes");
    const int t = (int)threadIdx.x % (T::TY * T::TX), slice = (int)threadIdx.x / (T::TY * T::TX);
    float *mine = shared + slice * T::BM * T::BN + t / T::TX * T::BN + t % T::TX * 4;
#pragma unroll
    for (int i = 0; i < T::TM; i++)
#pragma unroll
        for (int j = 0; j < T::TN; j += 4)
            conv_save<4>(mine + i * T::TY * T::BN + j * T::TX, sum[i] + j);
    __syncthreads(); /* every slice's sums are there */
    const int row = (int)threadIdx.x / LANES_A_ROW, col = (int)threadIdx.x % LANES_A_ROW * 4;
    if (row < T::BM)
        conv_deliver<true, 4, T::SLICES, PASSES>(p, m0 + row, ROWS_A_PASS, n0 + col,
                                                 shared + row * T::BN + col, ROWS_A_PASS * T::BN,
                                                 T::BM * T::BN);
}

template <class T, bool VECTOR>
static __global__ void __launch_bounds__(T::THREADS, T::BLOCKS) conv_float(conv_args p)
{
    /* stages [STAGES][A tile, weight tile], then sums */
    extern __shared__ __align__(128) unsigned char conv_shared[];
    const int32_t tile_m = conv_divide((int32_t)blockIdx.x, p.n_tiles_inverse);
    const int32_t m0 = tile_m * T::BM, n0 = ((int32_t)blockIdx.x - tile_m * p.n_tiles) * T::BN;
    const int32_t k0 = (int32_t)blockIdx.y * p.steps * T::BK;
    const int32_t steps = min(p.steps, (p.k - k0 + T::BK - 1) / T::BK);
    const uint32_t ring = sono_shared_address(conv_shared);
    conv_gather<float, T, T::BM, T::BK, T::THREADS, VECTOR> a;
    a.start(p, m0);

#pragma unroll
    for (int s = 0; s < T::STAGES - 1; s++) {
        if (s < steps) {
            conv_float_load_weight<T>(p, n0, k0 + s * T::BK, ring + s * T::STAGE_BYTES + T::A_BYTES);
            a.load(p, k0 + s * T::BK, ring + s * T::STAGE_BYTES);
        }
        sono_copies_commit();
    }
    const int t = (int)threadIdx.x % (T::TY * T::TX), slice = (int)threadIdx.x / (T::TY * T::TX);
    const int a_at = t / T::TX * T::A_PITCH + slice * T::SLICE_DEPTH;
    const int b_at = slice * T::SLICE_DEPTH * T::BN + t % T::TX * 4;
    float sum[T::TM][T::TN] = {};
    int slot = 0;
    for (int32_t s = 0; s < steps; s++) {
        sono_copies_wait<T::STAGES - 2>();
        __syncthreads(); /* step s has arrived for all threads, and all have read the slot of step s - 1 */
        const int32_t ahead = s + T::STAGES - 1;
        const uint32_t free_slot = ring + (slot == 0 ? T::STAGES - 1 : slot - 1) * T::STAGE_BYTES;
        if (ahead < steps) {
            conv_float_load_weight<T>(p, n0, k0 + ahead * T::BK, free_slot + T::A_BYTES);
            a.load(p, k0 + ahead * T::BK, free_slot);
        }
        sono_copies_commit();
        const unsigned char *stage = conv_shared + slot * T::STAGE_BYTES;
        conv_float_multiply<T>(reinterpret_cast<const float *>(stage) + a_at,
                               reinterpret_cast<const float *>(stage + T::A_BYTES) + b_at, sum);
        slot = slot + 1 == T::STAGES ? 0 : slot + 1;
    }
    __syncthreads(); /* the stages have been read: the sums take their place (no copy is under way any more)
                      */
    conv_float_deliver<T>(p, m0, n0, sum, reinterpret_cast<float *>(conv_shared));
}

#define CONV_THIN_ROWS    8
#define CONV_THIN_COLUMNS 8
#define CONV_THIN_THREADS 256
#define CONV_THIN_PLACES  (CONV_THIN_THREADS / (CONV_THIN_COLUMNS / 4)) /* of K at a time */

static __device__ __forceinline__ float4 conv_thin_weight(const conv_args &p, int32_t k, int32_t col)
{
    const float *from = static_cast<const float *>(p.weight) + (int64_t)k * p.weight_pitch + col;
    if (p.weight_vector && col < p.n)
        return *reinterpret_cast<const float4 *>(from);
    return make_float4(col < p.n ? from[0] : 0.0f, col + 1 < p.n ? from[1] : 0.0f,
                       col + 2 < p.n ? from[2] : 0.0f, col + 3 < p.n ? from[3] : 0.0f);
}

/* Sums 32 values over the 16 lanes of equal parity; lane i is left with values (i & 30) and the next in v[0],
 * v[1]. */
static __device__ __forceinline__ void conv_thin_reduce(float v[32], int lane)
{
#pragma unroll
    for (int keep = 16; keep >= 2; keep /= 2) {
        const bool upper = (lane & keep) != 0;
#pragma unroll
        for (int i = 0; i < keep; i++) {
            const float other = __shfl_xor_sync(0xffffffffu, upper ? v[i] : v[i + keep], keep);
            v[i] = (upper ? v[i + keep] : v[i]) + other;
        }
    }
}

static __global__ void __launch_bounds__(CONV_THIN_THREADS, 2) conv_thin(conv_args p)
{
    __shared__ __align__(16) float sums[CONV_THIN_THREADS / SONO_WARP][2][32];
    const int half = (int)threadIdx.x % 2, lane = (int)threadIdx.x % SONO_WARP;
    const int32_t m0 = (int32_t)blockIdx.y * CONV_THIN_ROWS, n0 = (int32_t)blockIdx.x * CONV_THIN_COLUMNS;
    const float *rows[CONV_THIN_ROWS]; /* past the last: the last again, for nothing */
    float v[CONV_THIN_ROWS * 4] = {};
#pragma unroll
    for (int i = 0; i < CONV_THIN_ROWS; i++)
        rows[i] = static_cast<const float *>(p.x) + conv_row_offset(p.x_rows, min(m0 + i, p.m - 1));
#pragma unroll 2
    for (int32_t k = (int32_t)threadIdx.x / 2; k < p.k; k += CONV_THIN_PLACES) {
        const float4 w = conv_thin_weight(p, k, n0 + half * 4);
#pragma unroll
        for (int i = 0; i < CONV_THIN_ROWS; i++) {
            const float x = rows[i][k];
            v[4 * i] = fmaf(x, w.x, v[4 * i]);
            v[4 * i + 1] = fmaf(x, w.y, v[4 * i + 1]);
            v[4 * i + 2] = fmaf(x, w.z, v[4 * i + 2]);
            v[4 * i + 3] = fmaf(x, w.w, v[4 * i + 3]);
        }
    }
    conv_thin_reduce(v, lane);
    sums[threadIdx.x / SONO_WARP][half][lane & 30] = v[0];
    sums[threadIdx.x / SONO_WARP][half][(lane & 30) + 1] = v[1];
    __syncthreads(); /* every warp's sums are there */
    if (threadIdx.x >= CONV_THIN_ROWS * 2)
        return;
    conv_deliver<true, 4, CONV_THIN_THREADS / SONO_WARP, 1>(
        p, m0 + (int32_t)threadIdx.x / 2, 0, n0 + half * 4, &sums[0][half][threadIdx.x / 2 * 4], 0, 2 * 32);
}

#endif
