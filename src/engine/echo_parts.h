// SPDX-License-Identifier: Apache-2.0
/*
 * How an image looks where a mask lies, in whole numbers, as ECHO_PARTS decides on every backend. C and
 * CUDA C. Grey values are those of engine/grey.h, 0..255.
 *
 * Sums of a frame of n <= 2^28 pixels (SONO_PROFILE_MAX_PIXELS): |Laplacian| <= 1020 < 2^10, so that the sum
 * of its squares stays below 2^48, and n_in n_out <= (n / 2)^2 = 2^54, times 1000 still below 2^64.
 */
#ifndef SONO_ENGINE_ECHO_PARTS_H
#define SONO_ENGINE_ECHO_PARTS_H

#include "graph/program.h"

#ifdef __CUDACC__
#define SONO_ECHO_FN static inline __host__ __device__
#else
#define SONO_ECHO_FN static inline
#endif

#define SONO_ECHO_LEVELS 256

/* What one pixel adds to a frame's fingerprint: 64 well mixed bits (two rounds of multiplication and shift,
 * as in splitmix64), so that a sum of them, in any order, changes when a pixel changes or two change places.
 */
SONO_ECHO_FN uint64_t fingerprint_of(int64_t position, int32_t grey)
{
    uint64_t bits = (uint64_t)(position * SONO_ECHO_LEVELS + grey + 1) * 0x9e3779b97f4a7c15u;
    bits = (bits ^ (bits >> 32)) * 0xbf58476d1ce4e5b9u;
    return bits ^ (bits >> 32);
}

/* Lengths in pixels that grow with the image, so that the parts do not depend on its size. */
typedef struct sono_echo_scale {
    int32_t step;  /* of the Laplacian, and the gap between mask and bands: 1/280 of the height, rounded */
    int32_t above; /* thickness of the band above the mask: 2 % of the height */
    int32_t below; /* of the one below: 6 % */
} sono_echo_scale;

SONO_ECHO_FN sono_echo_scale echo_scale_of(int32_t height_px)
{
    sono_echo_scale scale;
    scale.step = (height_px + 140) / 280 < 1 ? 1 : (height_px + 140) / 280;
    scale.above = (height_px + 25) / 50 < 2 ? 2 : (height_px + 25) / 50;
    scale.below = 3 * scale.above;
    return scale;
}

/* The rows [top, bottom) of a column that has `count` > 0 mask pixels with this sum of y. Where they are not
 * one run: those of the one run with the same count and sum, rounded down. */
typedef struct sono_echo_run {
    int32_t top, bottom;
} sono_echo_run;

SONO_ECHO_FN sono_echo_run echo_run_of(int32_t count, int32_t sum_y)
{
    const uint32_t n = (uint32_t)count; /* below 2^16, so that 2 sum_y and n^2 are below 2^32 */
    sono_echo_run run;
    run.top = (int32_t)((2 * (uint32_t)sum_y - n * (n - 1)) / (2 * n));
    run.bottom = run.top + count;
    return run;
}

/* Which histogram a pixel counts in. */
enum { SONO_ECHO_INSIDE, SONO_ECHO_ABOVE, SONO_ECHO_BELOW, SONO_ECHO_BANDS, SONO_ECHO_NONE = -1 };

/* Of a pixel that is not in the mask, in a column with that run. */
SONO_ECHO_FN int32_t echo_band_of(sono_echo_run run, sono_echo_scale scale, int32_t y)
{
    if (y < run.top - scale.step && y >= run.top - scale.step - scale.above)
        return SONO_ECHO_ABOVE;
    if (y >= run.bottom + scale.step && y < run.bottom + scale.step + scale.below)
        return SONO_ECHO_BELOW;
    return SONO_ECHO_NONE;
}

/* Sums over the pixels that have all four neighbours at a distance of `step` in the frame, and of which the
 * mask holds one of the five: the echo and its edge. */
typedef struct sono_echo_sums {
    int64_t n_pixels;
    int64_t laplacian, laplacian_squares; /* 4 v - the four neighbours */
    int64_t grey, grey_squares;
} sono_echo_sums;

/* n times the variance: sum of squares - sum^2 / n, rounded; n > 0. sum^2 may not fit into 64 bits, but with
 * sum = q n + r it is sum^2 / n = q^2 n + 2 q r + r^2 / n, and |r| < n <= 2^28. */
SONO_ECHO_FN int64_t echo_deviation(int64_t n, int64_t sum, int64_t squares)
{
    const int64_t q = sum / n, r = sum % n;
    return squares - q * q * n - 2 * q * r - r * r / n;
}

/* Variance of the Laplacian in units of the brightness's own variance there (speckle), from 20 for white
 * noise down to 0 for a flat image: Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR
 * 2000, made independent of gain. r becomes 1000 r / (r + 1). */
SONO_ECHO_FN int32_t echo_sharpness(const sono_echo_sums *sums)
{
    if (sums->n_pixels == 0)
        return -1;
    const int64_t edge = echo_deviation(sums->n_pixels, sums->laplacian, sums->laplacian_squares);
    const int64_t speckle = echo_deviation(sums->n_pixels, sums->grey, sums->grey_squares);
    return edge + speckle > 0 ? (int32_t)(1000 * edge / (edge + speckle)) : 0;
}

/* 2 AUC - 1 in permille, and 0 where it is negative: how much more often a pixel inside is brighter than one
 * outside than the other way round (Mann-Whitney's U; ranks alone, so that neither gain nor gamma matters).
 * twice_u: over all pairs, 2 where the one inside is brighter, 1 where they are equal. */
SONO_ECHO_FN int32_t echo_rank(uint64_t twice_u, int64_t n_inside, int64_t n_outside)
{
    const uint64_t n_pairs = (uint64_t)n_inside * (uint64_t)n_outside;
    if (n_pairs == 0)
        return -1;
    return twice_u > n_pairs ? (int32_t)((twice_u - n_pairs) * 1000 / n_pairs) : 0;
}

/* Columns [first, end) that a mask is to fill. */
typedef struct sono_echo_columns {
    int32_t first, end;
} sono_echo_columns;

/* The box's; [0, 0) where there is no box. */
SONO_ECHO_FN sono_echo_columns echo_columns_of(const sono_detection *box, int32_t width_px)
{
    sono_echo_columns columns = {0, 0};
    if (!(box->x2 > box->x1) || !(box->y2 > box->y1) || !(box->x1 < (float)width_px) || !(box->x2 > 0.0f))
        return columns;
    columns.first = box->x1 > 0.0f ? (int32_t)box->x1 : 0;
    columns.end = box->x2 < (float)width_px ? (int32_t)box->x2 : width_px;
    if (columns.end < width_px && (float)columns.end < box->x2)
        columns.end++; /* rounded outwards */
    return columns;
}

/* Whether the masks of two neighbouring columns touch: their centres are not further apart than half of what
 * both are thick. Counts are below 2^16 and sums below 2^31: below 2^50 in all. */
SONO_ECHO_FN int echo_hangs_together(int32_t count_a, int32_t sum_a, int32_t count_b, int32_t sum_b)
{
    const int64_t a = count_a, b = count_b;
    const int64_t apart = sum_a * b - sum_b * a; /* a b times the distance of the centres */
    return a > 0 && b > 0 && 2 * (apart < 0 ? -apart : apart) <= a * b * (a + b);
}

/* n_pairs: neighbours of which both are among those columns; 0 where it is a single one, with mask. */
SONO_ECHO_FN int32_t echo_continuity(int32_t n_together, int32_t n_pairs)
{
    return n_pairs > 0 ? (int32_t)((int64_t)n_together * 1000 / n_pairs) : 1000;
}

#endif
