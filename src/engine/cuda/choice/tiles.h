// SPDX-License-Identifier: Apache-2.0
/*
 * The tiles of CONV and LINEAR: what a block computes at a time, and how long that takes. The kernels are
 * made from the same lists (kernels/conv.cu), which checks the bytes and threads below against theirs.
 */
#ifndef SONO_ENGINE_CUDA_CHOICE_TILES_H
#define SONO_ENGINE_CUDA_CHOICE_TILES_H

#include <stdint.h>

/* ID, text, then BM, BN, BK, WM, WN, WK, stages, blocks as in conv_half.cuh; rate, latency, is_vector as
 * below. The scalar ones serve stems: K = 27 is one step of 32. */
#define SONO_CONV_HALF_TILES(X)                                                                              \
    X(HALF_128X128, "half 128x128", 128, 128, 64, 64, 32, 1, 3, 2, 600, 1950, 1)                             \
    X(HALF_128X64, "half 128x64", 128, 64, 64, 64, 32, 1, 3, 3, 540, 1300, 1)                                \
    X(HALF_128X32, "half 128x32", 128, 32, 64, 32, 32, 1, 3, 3, 420, 750, 1)                                 \
    X(HALF_64X64, "half 64x64", 64, 64, 64, 32, 32, 1, 4, 3, 450, 750, 1)                                    \
    X(HALF_64X32, "half 64x32", 64, 32, 64, 32, 32, 2, 4, 4, 360, 430, 1)                                    \
    X(HALF_32X32, "half 32x32", 32, 32, 64, 32, 32, 4, 4, 4, 260, 290, 1)                                    \
    X(HALF_128X32_SCALAR, "half 128x32 scalar", 128, 32, 32, 32, 32, 1, 2, 4, 120, 700, 0)                   \
    X(HALF_64X64_SCALAR, "half 64x64 scalar", 64, 64, 32, 32, 32, 1, 2, 4, 100, 700, 0)

/* ID, text, then TM, TN, TY, TX, slices, BK, stages, blocks as in conv_float.cuh; rate, latency, is_vector.
 */
#define SONO_CONV_FLOAT_TILES(X)                                                                             \
    X(FLOAT_128X128, "float 128x128", 8, 8, 16, 16, 1, 16, 3, 2, 110, 1100, 1)                               \
    X(FLOAT_64X64, "float 64x64", 8, 4, 8, 16, 2, 32, 3, 2, 95, 700, 1)                                      \
    X(FLOAT_32X32, "float 32x32", 8, 4, 4, 8, 8, 64, 3, 2, 85, 500, 1)                                       \
    X(FLOAT_24X32, "float 24x32", 6, 4, 4, 8, 8, 64, 3, 2, 80, 450, 1)                                       \
    X(FLOAT_16X32, "float 16x32", 4, 4, 4, 8, 8, 64, 3, 3, 65, 400, 1)                                       \
    X(FLOAT_64X64_SCALAR, "float 64x64 scalar", 8, 4, 8, 16, 2, 32, 3, 2, 95, 700, 0)                        \
    X(FLOAT_32X32_SCALAR, "float 32x32 scalar", 8, 4, 4, 8, 8, 64, 3, 2, 85, 500, 0)

#define SONO_CONV_HALF_THREADS(BM, BN, WM, WN, WK) ((BM) / (WM) * ((BN) / (WN)) * (WK)*32)
#define SONO_CONV_HALF_STAGE(BM, BN, BK)           (((BM) + (BN)) * (BK)*2)
#define SONO_CONV_HALF_SUMS(BM, BN, WM, WN, WK)    ((BM) / (WM) * ((BN) / (WN)) * (WK) * (WM) * ((WN) + 8) * 4)
#define SONO_CONV_FLOAT_STAGE(BM, BN, BK)          ((BM) * ((BK) + 4) * 4 + (BK) * (BN)*4)
#define SONO_CONV_FLOAT_SUMS(BM, BN, slices)       ((slices) * (BM) * (BN)*4)

typedef enum sono_conv_tile_id {
#define SONO_CONV_TILE_ENUM(id, ...) SONO_CONV_##id,
    SONO_CONV_HALF_TILES(SONO_CONV_TILE_ENUM) SONO_CONV_FLOAT_TILES(SONO_CONV_TILE_ENUM)
#undef SONO_CONV_TILE_ENUM
        SONO_CONV_TILE_COUNT
} sono_conv_tile_id;

typedef struct sono_conv_tile {
    int32_t bm, bn, bk, threads, max_stages, stage_bytes, sum_bytes;
    int32_t blocks;    /* a multiprocessor, by registers */
    float rate;        /* multiply-adds a clock and multiprocessor, when it is full */
    float latency;     /* clocks of a step of one block alone, at least */
    int32_t is_half;   /* of x and weight */
    int32_t is_vector; /* reads x in 16-byte pieces of a tap's channels; else channel by channel */
} sono_conv_tile;

extern const sono_conv_tile sono_conv_tiles[SONO_CONV_TILE_COUNT];

/* Shared memory of one multiprocessor; a block may have 1 KB less of it from compute capability 8.0 on. */
static inline int32_t sono_shared_bytes(int32_t compute_capability)
{
    switch (compute_capability) {
    case 75:
        return 64 << 10;
    case 80:
        return 164 << 10;
    case 86:
    case 89:
    case 120:
        return 100 << 10;
    default:
        return compute_capability < 80 ? 64 << 10 : compute_capability < 90 ? 100 << 10 : 228 << 10;
    }
}

/* Shared memory of a block that takes so many steps through the depth. */
static inline int32_t sono_conv_block_bytes(const sono_conv_tile *t, int32_t steps,
                                            int32_t compute_capability)
{
    const int32_t ring = compute_capability < 80 ? 2 : t->max_stages;
    const int32_t stages = (steps < ring ? steps : ring) * t->stage_bytes;
    return stages > t->sum_bytes ? stages : t->sum_bytes;
}

#endif
