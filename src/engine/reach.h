// SPDX-License-Identifier: Apache-2.0
/* Which pieces of a mask belong to its structure, as CLEAN_MASK decides on every backend. C and CUDA C. */
#ifndef SONO_ENGINE_REACH_H
#define SONO_ENGINE_REACH_H

#include "graph/program.h"

#include <stdint.h>

#ifdef __CUDACC__
#define SONO_REACH_FN static inline __host__ __device__
#else
#define SONO_REACH_FN static inline
#endif

/* Columns [x0, x1] and rows [y0, y1] of pixels. */
typedef struct sono_reach {
    int32_t x0, y0, x1, y1;
} sono_reach;

/* floor(x) within [0, most]; most for NaN. */
SONO_REACH_FN int32_t reach_bound(float x, int32_t most)
{
    return x <= 0.0f ? 0 : x < (float)most ? (int32_t)x : most;
}

/* The box, grown by a quarter of its sides; of what is no box, the whole frame. A quarter of a float32 is
 * exact and each bound is one rounding, so that host and device agree. */
SONO_REACH_FN sono_reach reach_of(const sono_detection *box, int32_t width_px, int32_t height_px)
{
    const float dx = (box->x2 - box->x1) * 0.25f, dy = (box->y2 - box->y1) * 0.25f;
    sono_reach reach = {0, 0, width_px - 1, height_px - 1};
    if (!(box->x2 > box->x1) || !(box->y2 > box->y1))
        return reach;
    reach.x0 = reach_bound(box->x1 - dx, width_px - 1);
    reach.y0 = reach_bound(box->y1 - dy, height_px - 1);
    reach.x1 = reach_bound(box->x2 + dx + 1.0f, width_px - 1);
    reach.y1 = reach_bound(box->y2 + dy + 1.0f, height_px - 1);
    return reach;
}

SONO_REACH_FN int is_in_reach(const sono_reach *reach, int32_t x, int32_t y)
{
    return x >= reach->x0 && x <= reach->x1 && y >= reach->y0 && y <= reach->y1;
}

/* A piece's count: its pixels, and this where one of them is within reach. */
#define SONO_PIECE_IN_REACH (1 << 30)

/* Pixels of a piece within reach; 0 of others. */
SONO_REACH_FN int32_t piece_area(int32_t count)
{
    return count & SONO_PIECE_IN_REACH ? count & ~SONO_PIECE_IN_REACH : 0;
}

SONO_REACH_FN int piece_stays(int32_t count, int32_t largest, int32_t permille)
{
    return piece_area(count) > 0 && (int64_t)piece_area(count) * 1000 >= (int64_t)largest * permille;
}

#endif
