// SPDX-License-Identifier: Apache-2.0
/*
 * Which gaps of a mask are bridged, as BRIDGE_MASK decides on every backend: whole numbers only. C and CUDA
 * C.
 *
 * A gap is a row of columns without mask between two that have some. The bridge is a band between the two
 * ends: its upper and its lower edge run straight from the mean of the last columns on the left to that of
 * the first ones on the right. It is built where the band is as bright as the ends: at least three
 * quarters of the way from the grey of what lies above and below to theirs.
 */
#ifndef SONO_ENGINE_BRIDGE_H
#define SONO_ENGINE_BRIDGE_H

#include "engine/grey.h"

#define BRIDGE_END      8   /* columns of an end that say where the band begins, and how bright it is */
#define BRIDGE_UNIT     256 /* a pixel */
#define BRIDGE_LEAST    16  /* of 255: ends that stand out less from what is around them show nothing */
#define BRIDGE_PERMILLE 750 /* of a gap's columns must be as bright by themselves */

/* The longest run of mask in a column, the upper one of equals. first < 0: there is none. */
typedef struct bridge_run {
    int32_t first, last;
} bridge_run;

SONO_GREY_FN void bridge_take(bridge_run *longest, int32_t first, int32_t last)
{
    if (longest->first >= 0 && last - first <= longest->last - longest->first)
        return;
    longest->first = first;
    longest->last = last;
}

/* Most columns of a gap: a share of the box's width; of what is no box, of the frame's. At least 0. */
SONO_GREY_FN int32_t bridge_most(const sono_detection *box, int32_t width_px, int32_t permille)
{
    const float width = box->x2 - box->x1;
    const int32_t whole = width > 0.0f && width < (float)width_px ? (int32_t)width : width_px;
    return (int32_t)((int64_t)whole * permille / 1000);
}

/* A gap: columns left and right have mask, none between them has. Edges of the ends: mean rows, and the mean
 * columns that they belong to, in 1 / BRIDGE_UNIT px. */
typedef struct bridge_gap {
    int32_t left, right;
    int32_t n_left, n_right; /* columns of the ends, at most BRIDGE_END */
    int32_t left_at, left_top, left_bottom;
    int32_t right_at, right_top, right_bottom;
} bridge_gap;

/* One end, from column x outwards (direction -1 or 1): rows of its runs. */
SONO_GREY_FN int32_t bridge_end(const int32_t *firsts, const int32_t *lasts, int32_t width_px, int32_t x,
                                int32_t direction, int32_t *at, int32_t *top, int32_t *bottom)
{
    int32_t n = 0, tops = 0, bottoms = 0;
    for (int32_t i = x; n < BRIDGE_END && i >= 0 && i < width_px && firsts[i] >= 0; i += direction) {
        tops += firsts[i];
        bottoms += lasts[i];
        n++;
    }
    *at = x * BRIDGE_UNIT + direction * (n - 1) * (BRIDGE_UNIT / 2);
    *top = tops * BRIDGE_UNIT / n;
    *bottom = bottoms * BRIDGE_UNIT / n;
    return n;
}

/* The gap between columns left and right. firsts, lasts: [width_px], a column's longest run. */
SONO_GREY_FN bridge_gap bridge_gap_of(const int32_t *firsts, const int32_t *lasts, int32_t width_px,
                                      int32_t left, int32_t right)
{
    bridge_gap g;
    g.left = left;
    g.right = right;
    g.n_left = bridge_end(firsts, lasts, width_px, left, -1, &g.left_at, &g.left_top, &g.left_bottom);
    g.n_right = bridge_end(firsts, lasts, width_px, right, 1, &g.right_at, &g.right_top, &g.right_bottom);
    return g;
}

/* Whether its ends lie at like depths: no further apart than the gap is wide and the mask is thick. */
SONO_GREY_FN int bridge_is_level(const bridge_gap *g)
{
    const int32_t rise = g->right_top + g->right_bottom - g->left_top - g->left_bottom;  /* twice */
    const int32_t thick = g->right_bottom - g->right_top + g->left_bottom - g->left_top; /* twice */
    const int32_t wide = 2 * (g->right - g->left) * BRIDGE_UNIT;
    return (rise < 0 ? -rise : rise) <= wide + thick;
}

/* An edge of the band in column x, in whole rows. */
SONO_GREY_FN int32_t bridge_edge(const bridge_gap *g, int32_t from, int32_t to, int32_t x)
{
    const int64_t along = (int64_t)(to - from) * (x * BRIDGE_UNIT - g->left_at);
    return (from + (int32_t)(along / (g->right_at - g->left_at)) + BRIDGE_UNIT / 2) / BRIDGE_UNIT;
}

/* Rows of the band in a column of the gap. */
SONO_GREY_FN bridge_run bridge_band(const bridge_gap *g, int32_t x)
{
    bridge_run band;
    band.first = bridge_edge(g, g->left_top, g->right_top, x);
    band.last = bridge_edge(g, g->left_bottom, g->right_bottom, x);
    return band;
}

/* Grey summed over pixels. */
typedef struct bridge_sum {
    int64_t grey, n;
} bridge_sum;

SONO_GREY_FN void bridge_add(bridge_sum *sum, const sono_frame_header *header, const uint8_t *pixels,
                             int32_t x, int32_t first, int32_t last)
{
    const int32_t begin = first < 0 ? 0 : first,
                  end = last < header->height_px ? last + 1 : header->height_px;
    int32_t grey = 0; /* below 2^31: of fewer than 2^23 rows */
    if (header->format == SONO_PIXEL_GRAY8) {
        const uint8_t *at = pixels + x;
#ifdef __CUDA_ARCH__
#pragma unroll 4 /* so that loads overlap, which the choice of a format between them prevents */
#endif
        for (int32_t y = begin; y < end; y++)
            grey += at[(int64_t)y * header->pitch_bytes];
    } else {
        for (int32_t y = begin; y < end; y++)
            grey += grey_of(header, pixels + (int64_t)y * header->pitch_bytes, x);
    }
    sum->grey += grey;
    sum->n += begin < end ? end - begin : 0;
}

/* What is above and below a band and as thick as it is, a quarter of it and a pixel away. */
SONO_GREY_FN void bridge_add_around(bridge_sum *sum, const sono_frame_header *header, const uint8_t *pixels,
                                    int32_t x, bridge_run band)
{
    const int32_t thick = band.last - band.first + 1, away = thick / 4 + 1;
    bridge_add(sum, header, pixels, x, band.first - away - thick, band.first - away - 1);
    bridge_add(sum, header, pixels, x, band.last + away + 1, band.last + away + thick);
}

/* What a gap is judged by. */
typedef struct bridge_evidence {
    bridge_sum ends, band, around;
} bridge_evidence;

/* The part of column x = left - n_left + 1 ... right + n_right - 1. */
SONO_GREY_FN void bridge_look(bridge_evidence *e, const bridge_gap *g, const int32_t *firsts,
                              const int32_t *lasts, const sono_frame_header *header, const uint8_t *pixels,
                              int32_t x)
{
    const int is_end = x <= g->left || x >= g->right;
    bridge_run run;
    if (is_end) {
        run.first = firsts[x];
        run.last = lasts[x];
    } else {
        run = bridge_band(g, x);
    }
    bridge_add(is_end ? &e->ends : &e->band, header, pixels, x, run.first, run.last);
    bridge_add_around(&e->around, header, pixels, x, run);
}

/* Mean grey in sixteenths; 0 of nothing. */
SONO_GREY_FN int32_t bridge_mean(const bridge_sum *sum)
{
    return sum->n ? (int32_t)((sum->grey * 16 + sum->n / 2) / sum->n) : 0;
}

/* Four times the grey, in sixteenths, above which a band is an echo; -1: the ends do not stand out. Gaps of
 * true phantom masks are bridged at half of the way in 5 of 270 frames, at three quarters in 1; of gaps cut
 * into them 84 % and 79 % are. */
SONO_GREY_FN int32_t bridge_threshold(const bridge_evidence *e)
{
    const int32_t ends = bridge_mean(&e->ends), around = bridge_mean(&e->around);
    return ends - around < BRIDGE_LEAST * 16 ? -1 : 3 * ends + around;
}

/* Whether the band is an echo in column x and its neighbours in the gap. */
SONO_GREY_FN int bridge_is_bright(const bridge_gap *g, const sono_frame_header *header, const uint8_t *pixels,
                                  int32_t x, int32_t threshold)
{
    bridge_sum sum = {0, 0};
    for (int32_t i = x - 1; i <= x + 1; i++)
        if (i > g->left && i < g->right) {
            const bridge_run band = bridge_band(g, i);
            bridge_add(&sum, header, pixels, i, band.first, band.last);
        }
    return 4 * bridge_mean(&sum) > threshold;
}

/* n_bright: of the gap's columns, those that are. */
SONO_GREY_FN int bridge_holds(const bridge_gap *g, const bridge_evidence *e, int32_t threshold,
                              int32_t n_bright)
{
    return threshold >= 0 && 4 * bridge_mean(&e->band) > threshold &&
           (int64_t)n_bright * 1000 >= (int64_t)(g->right - g->left - 1) * BRIDGE_PERMILLE;
}

#endif
