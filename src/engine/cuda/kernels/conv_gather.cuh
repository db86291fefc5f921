// SPDX-License-Identifier: Apache-2.0
/*
 * Brings ROWS rows x DEPTH columns of A into shared memory, in chunks of 16 bytes. A thread keeps the same
 * chunk column throughout, so that it works out a tap once a step and a row once a tile. VECTOR: c_in, pitch
 * and offset are multiples of a chunk, so that a chunk lies within one tap and is one asynchronous copy.
 * Otherwise (3-channel stems, odd channel slices) element by element: F32 by asynchronous 4-byte copies, F16
 * through registers. LAYOUT::at(row, chunk) is the chunk's byte in the tile.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_CONV_GATHER_CUH
#define SONO_ENGINE_CUDA_KERNELS_CONV_GATHER_CUH

#include "engine/cuda/kernels/conv_args.cuh"
#include "engine/cuda/kernels/mma.cuh"

template <class E, class LAYOUT, int ROWS, int DEPTH, int THREADS, bool VECTOR> struct conv_gather {
    static constexpr int CHUNK = 16 / (int)sizeof(E);
    static constexpr int CHUNKS = DEPTH / CHUNK;
    static constexpr int ROWS_A_PASS = THREADS / CHUNKS;
    static constexpr int PASSES = (ROWS + ROWS_A_PASS - 1) / ROWS_A_PASS;
    static_assert(THREADS % CHUNKS == 0, "a thread keeps its chunk column");

    conv_row rows[PASSES];

    __device__ __forceinline__ void start(const conv_args &p, int32_t first_row)
    {
#pragma unroll
        for (int i = 0; i < PASSES; i++)
            rows[i] = conv_row_at(p, first_row + row(i));
    }

    static __device__ __forceinline__ int row(int pass)
    {
        return (int)threadIdx.x / CHUNKS + pass * ROWS_A_PASS;
    }

    static __device__ __forceinline__ int chunk(void)
    {
        return (int)threadIdx.x % CHUNKS;
    }

    /* The tile's last pass may reach past its rows. */
    static __device__ __forceinline__ bool is_mine(int pass)
    {
        return ROWS % ROWS_A_PASS == 0 || row(pass) < ROWS;
    }

    __device__ __forceinline__ void load(const conv_args &p, int32_t k, uint32_t tile) const
    {
        k += chunk() * CHUNK;
        if (VECTOR)
            load_chunks(p, k, tile);
        else if (sizeof(E) == 4)
            load_words(p, k, tile);
        else
            load_halves(p, k, tile);
    }

  private:
    /* 0 outside. In unsigned arithmetic: the compiler would widen both signed parts to 64 bits and add those.
     */
    static __device__ __forceinline__ int32_t element(const conv_row &row, const conv_tap &tap, bool inside)
    {
        return (int32_t)(((uint32_t)row.offset + (uint32_t)tap.offset) & (0u - (uint32_t)inside));
    }

    __device__ __forceinline__ void load_chunks(const conv_args &p, int32_t k, uint32_t tile) const
    {
        const E *x = static_cast<const E *>(p.x);
        const conv_tap tap = conv_tap_at(p, k);
#pragma unroll
        for (int i = 0; i < PASSES; i++) {
            const bool inside = conv_is_inside(p, rows[i], tap);
            if (is_mine(i))
                sono_copy16(tile + LAYOUT::at(row(i), chunk()), x + element(rows[i], tap, inside), inside);
        }
    }

    __device__ __forceinline__ void load_words(const conv_args &p, int32_t k, uint32_t tile) const
    {
        const E *x = static_cast<const E *>(p.x);
#pragma unroll
        for (int e = 0; e < CHUNK; e++) {
            const conv_tap tap = conv_tap_at(p, k + e);
#pragma unroll
            for (int i = 0; i < PASSES; i++) {
                const bool inside = conv_is_inside(p, rows[i], tap);
                if (is_mine(i))
                    sono_copy4(tile + LAYOUT::at(row(i), chunk()) + 4 * e, x + element(rows[i], tap, inside),
                               inside);
            }
        }
    }

    __device__ __forceinline__ void load_halves(const conv_args &p, int32_t k, uint32_t tile) const
    {
        const uint16_t *x = static_cast<const uint16_t *>(p.x);
        uint32_t pairs[PASSES][4] = {};
#pragma unroll
        for (int e = 0; e < CHUNK; e++) {
            const conv_tap tap = conv_tap_at(p, k + e);
#pragma unroll
            for (int i = 0; i < PASSES; i++)
                if (conv_is_inside(p, rows[i], tap))
                    pairs[i][e / 2 % 4] |= (uint32_t)x[element(rows[i], tap, true)] << 16 * (e % 2);
        }
#pragma unroll
        for (int i = 0; i < PASSES; i++)
            if (is_mine(i))
                sono_put16(tile + LAYOUT::at(row(i), chunk()), pairs[i]);
    }
};

#endif
