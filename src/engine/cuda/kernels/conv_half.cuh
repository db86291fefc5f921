// SPDX-License-Identifier: Apache-2.0
/*
 * CONV and LINEAR on F16 x: y [M, N] = A [M, K] x weight [N, K]^T on the tensor cores, sums in float32.
 *
 * A block makes one BM x BN tile of y, or a split of its depth. Steps of BK columns of A (gathered) and of
 * weight travel through a ring of STAGES buffers in shared memory, STAGES - 1 steps ahead of the products. A
 * warp owns WM x WN of the tile and every WK-th slice of 16 columns of a step (small tiles, where more warps
 * along M and N would only read the same operands again). At the end the sums pass through shared memory, 16
 * rows of a warp at a time, which adds the WK parts in order and gives every lane 8 neighbouring columns: one
 * access each of residual and y.
 *
 * Shared memory: a row of a stage is BK halves = BK / 8 chunks of 16 bytes, chunk c of row r at place c ^ (r
 * mod 8) for BK = 64 and c ^ (r / 2 mod 4) for BK = 32, so that the 8 rows that ldmatrix reads together lie
 * in 8 different bank groups. Numbers: a different order of float32 sums a tile shape. Test:
 * tests/ops/test_conv.c.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_CONV_HALF_CUH
#define SONO_ENGINE_CUDA_KERNELS_CONV_HALF_CUH

#include "engine/cuda/kernels/conv_finish.cuh"
#include "engine/cuda/kernels/conv_gather.cuh"

/* BLOCKS: that should fit on a multiprocessor; it bounds the registers. */
template <int BM_, int BN_, int BK_, int WM_, int WN_, int WK_, int STAGES_, int BLOCKS_>
struct conv_half_tile {
    static constexpr int BM = BM_, BN = BN_, BK = BK_, WM = WM_, WN = WN_, WK = WK_, BLOCKS = BLOCKS_;
    static constexpr int WARPS_M = BM / WM, WARPS_N = BN / WN;
    static constexpr int THREADS = WARPS_M * WARPS_N * WK * SONO_WARP;
    static constexpr int MI = WM / 16, NI = WN / 8; /* products of 16 x 8 that make a warp's part */
    static constexpr int A_BYTES = BM * BK * 2, STAGE_BYTES = (BM + BN) * BK * 2;
    static constexpr int SUM_PITCH = WN + 8;    /* floats: the 4 rows of a half warp in different banks */
    static constexpr int PART = WM * SUM_PITCH; /* floats: the sums of one warp */
    static constexpr int SUM_BYTES = WARPS_M * WARPS_N * WK * PART * 4;
    static constexpr int MAX_STAGES = STAGES_;
#if SONO_HAS_ASYNC
    static constexpr int STAGES = STAGES_;
#else
    static constexpr int STAGES = 2;
#endif
    static_assert(NI % 2 == 0 && BK % (16 * WK) == 0, "ldmatrix brings 16 columns of N");

    static __device__ __forceinline__ int at(int row, int chunk)
    {
        return BK == 64 ? row * 128 + ((chunk ^ (row & 7)) << 4) : row * 64 + ((chunk ^ (row >> 1 & 3)) << 4);
    }
};

/* Where a warp works in its block's tile. */
template <class T> struct conv_half_place {
    int wm, wn, wk, lane;

    __device__ __forceinline__ conv_half_place()
    {
        const int warp = (int)threadIdx.x / SONO_WARP;
        lane = (int)threadIdx.x % SONO_WARP;
        wn = warp % T::WARPS_N;
        wm = warp / T::WARPS_N % T::WARPS_M;
        wk = warp / (T::WARPS_N * T::WARPS_M);
    }
};

/* Columns [k, k + BK) of the weight's rows [col, col + BN): inside of the padded weight always. */
template <class T>
static __device__ __forceinline__ void conv_half_load_weight(const conv_args &p, int32_t col, int32_t k,
                                                             uint32_t tile)
{
    constexpr int CHUNKS = T::BK / 8, ROWS_A_PASS = T::THREADS / CHUNKS, PASSES = T::BN / ROWS_A_PASS;
    static_assert(T::BN % ROWS_A_PASS == 0, "whole passes");
    const int row = (int)threadIdx.x / CHUNKS, chunk = (int)threadIdx.x % CHUNKS;
    const __half *from =
        static_cast<const __half *>(p.weight) + (int64_t)(col + row) * p.weight_pitch + k + chunk * 8;
#pragma unroll
    for (int i = 0; i < PASSES; i++)
        sono_copy16(tile + T::at(row + i * ROWS_A_PASS, chunk),
                    from + (int64_t)i * ROWS_A_PASS * p.weight_pitch, true);
}

/* The products of one step; WHOLE: all BK columns count, else the first `depth`. */
template <class T, bool WHOLE>
static __device__ __forceinline__ void conv_half_multiply(const conv_half_place<T> &w, uint32_t stage,
                                                          int32_t depth, float sum[T::MI][T::NI][4])
{
    const uint32_t a_tile = stage, b_tile = stage + T::A_BYTES;
    const int a_row = w.wm * T::WM + (w.lane & 15), a_chunk = w.lane >> 4;
    const int b_row = w.wn * T::WN + (w.lane & 7) + (w.lane >> 4 << 3), b_chunk = w.lane >> 3 & 1;
#pragma unroll
    for (int i = 0; i < T::BK / 16 / T::WK; i++) {
        const int slice = i * T::WK + w.wk;
        if (!WHOLE && slice * 16 >= depth)
            break;
        uint32_t a[T::MI][4], b[T::NI / 2][4];
#pragma unroll
        for (int mi = 0; mi < T::MI; mi++)
            sono_ldmatrix(a[mi], a_tile + T::at(a_row + mi * 16, slice * 2 + a_chunk));
#pragma unroll
        for (int ni = 0; ni < T::NI / 2; ni++)
            sono_ldmatrix(b[ni], b_tile + T::at(b_row + ni * 16, slice * 2 + b_chunk));
#pragma unroll
        for (int mi = 0; mi < T::MI; mi++)
#pragma unroll
            for (int ni = 0; ni < T::NI; ni++)
                sono_mma(sum[mi][ni], a[mi], b[ni / 2][ni % 2 * 2], b[ni / 2][ni % 2 * 2 + 1]);
    }
}

/* A warp's sums into its part of shared memory. */
template <class T>
static __device__ __forceinline__ void conv_half_spread(const conv_half_place<T> &w,
                                                        const float sum[T::MI][T::NI][4], float *part)
{
    const int g = w.lane / 4, t = w.lane % 4;
#pragma unroll
    for (int mi = 0; mi < T::MI; mi++)
#pragma unroll
        for (int ni = 0; ni < T::NI; ni++) {
            float *to = part + (mi * 16 + g) * T::SUM_PITCH + ni * 8 + 2 * t;
            *reinterpret_cast<float2 *>(to) = make_float2(sum[mi][ni][0], sum[mi][ni][1]);
            *reinterpret_cast<float2 *>(to + 8 * T::SUM_PITCH) = make_float2(sum[mi][ni][2], sum[mi][ni][3]);
        }
}

/* The WK warps of one part of the tile share its rows out among them. */
template <class T>
static __device__ __forceinline__ void conv_half_deliver(const conv_args &p, const conv_half_place<T> &w,
                                                         int32_t m0, int32_t n0,
                                                         const float sum[T::MI][T::NI][4], float *shared)
{
    constexpr int LANES_A_ROW = T::WN / 8, ROWS_A_PASS = SONO_WARP / LANES_A_ROW, ROWS = T::WM / T::WK;
    constexpr int PART_STEP = T::WARPS_M * T::WARPS_N * T::PART;
    static_assert(ROWS % ROWS_A_PASS == 0, "whole passes");
    float *parts = shared + (w.wm * T::WARPS_N + w.wn) * T::PART;
    conv_half_spread<T>(w, sum, parts + w.wk * PART_STEP);
    if (T::WK == 1)
        __syncwarp(); /* the warp's own sums are there */
    else
        __syncthreads(); /* those of the other WK warps too */
    const int row = w.wk * ROWS + w.lane / LANES_A_ROW, col = w.lane % LANES_A_ROW * 8;
    conv_deliver<false, 8, T::WK, ROWS / ROWS_A_PASS>(
        p, m0 + w.wm * T::WM + row, ROWS_A_PASS, n0 + w.wn * T::WN + col, parts + row * T::SUM_PITCH + col,
        ROWS_A_PASS * T::SUM_PITCH, PART_STEP);
}

template <class T, bool VECTOR>
static __global__ void __launch_bounds__(T::THREADS, T::BLOCKS) conv_half(conv_args p)
{
    /* stages [STAGES][A tile, weight tile], then sums */
    extern __shared__ __align__(128) unsigned char conv_shared[];
    const conv_half_place<T> w;
    const int32_t tile_m = conv_divide((int32_t)blockIdx.x, p.n_tiles_inverse);
    const int32_t m0 = tile_m * T::BM, n0 = ((int32_t)blockIdx.x - tile_m * p.n_tiles) * T::BN;
    const int32_t k0 = (int32_t)blockIdx.y * p.steps * T::BK;
    const int32_t steps = min(p.steps, (p.k - k0 + T::BK - 1) / T::BK);
    const uint32_t ring = sono_shared_address(conv_shared);
    conv_gather<__half, T, T::BM, T::BK, T::THREADS, VECTOR> a;
    a.start(p, m0);

#pragma unroll
    for (int s = 0; s < T::STAGES - 1; s++) {
        if (s < steps) {
            conv_half_load_weight<T>(p, n0, k0 + s * T::BK, ring + s * T::STAGE_BYTES + T::A_BYTES);
            a.load(p, k0 + s * T::BK, ring + s * T::STAGE_BYTES);
        }
        sono_copies_commit();
    }
    float sum[T::MI][T::NI][4] = {};
    int slot = 0;
    for (int32_t s = 0; s < steps; s++) {
        sono_copies_wait<T::STAGES - 2>();
        __syncthreads(); /* step s has arrived for all threads, and all have read the slot of step s - 1 */
        const int32_t ahead = s + T::STAGES - 1;
        const uint32_t free_slot = ring + (slot == 0 ? T::STAGES - 1 : slot - 1) * T::STAGE_BYTES;
        if (ahead < steps) {
            conv_half_load_weight<T>(p, n0, k0 + ahead * T::BK, free_slot + T::A_BYTES);
            a.load(p, k0 + ahead * T::BK, free_slot);
        }
        sono_copies_commit();
        const uint32_t stage = ring + slot * T::STAGE_BYTES;
        const int32_t depth = p.k - k0 - s * T::BK;
        if (depth >= T::BK)
            conv_half_multiply<T, true>(w, stage, T::BK, sum);
        else
            conv_half_multiply<T, false>(w, stage, depth, sum);
        slot = slot + 1 == T::STAGES ? 0 : slot + 1;
    }
    __syncthreads(); /* the stages have been read: the sums take their place (no copy is under way any more)
                      */
    conv_half_deliver<T>(p, w, m0, n0, sum, reinterpret_cast<float *>(conv_shared));
}

#endif
