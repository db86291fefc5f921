// SPDX-License-Identifier: Apache-2.0
/*
 * The ridge of an echo within a mask, as SURFACE finds it on every backend: whole numbers only. C and CUDA C.
 *
 * A column is looked at by itself first. Each run of its mask has a level, the mean grey around a pixel, and
 * its ridge is the centroid of what the lobe of the brightest pixel has above a third of the run's range.
 * Then columns are looked at together: of several runs the one that continues its neighbours is taken, a
 * median of 5 removes single jumps, short pieces are dropped, and the rest is smoothed along the line.
 *
 * Where it lies: an echo that reaches further down from the surface than up, as the phantom's does (0.42 and
 * 0.22 bands, docs/phantom.md), has its centroid below it. On 80 phantoms by 0.10 mm on average (bands: 0.9
 * to 1.7 mm), with true masks and with the shipped models' alike; tests/ops/test_surface.c measures it on
 * some.
 */
#ifndef SONO_ENGINE_RIDGE_H
#define SONO_ENGINE_RIDGE_H

#include "engine/grey.h"

#define RIDGE_RUNS         SONO_SURFACE_RUNS /* those with the most brightness */
#define RIDGE_NONE         (-1)              /* no surface in this column */
#define RIDGE_UNIT         256               /* a pixel */
#define RIDGE_MEDIAN_REACH 2                 /* columns to either side */

/* What is done along the line; columns are those that are looked at. */
typedef struct ridge_sizes {
    int32_t step_px;   /* from one column to the next */
    int32_t n_columns; /* at most SONO_SURFACE_COLUMNS */
    int32_t reach;     /* columns to either side that say which run continues */
    int32_t smooth;    /* columns to either side that are averaged */
    int32_t least;     /* columns of a piece that is not dropped */
    int32_t jump;      /* 1 / RIDGE_UNIT px: neighbours that are further apart belong to two pieces */
} ridge_sizes;

SONO_GREY_FN ridge_sizes ridge_sizes_of(int32_t width_px, int32_t height_px)
{
    ridge_sizes s;
    s.step_px = (width_px + SONO_SURFACE_COLUMNS - 1) / SONO_SURFACE_COLUMNS;
    s.n_columns = (width_px + s.step_px - 1) / s.step_px;
    s.reach = s.n_columns / 48 + 1;
    s.smooth = s.n_columns / 64 + 1;
    s.least = s.n_columns / 64 + 1;
    s.jump = (6 * s.step_px + height_px / 100) * RIDGE_UNIT;
    return s;
}

SONO_GREY_FN int32_t ridge_clamp(int32_t i, int32_t n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* The mean grey around a pixel, times 81: weights 1 2 3 2 1 across and down, the frame's edges repeated. */
SONO_GREY_FN int32_t ridge_level(const sono_frame_header *header, const uint8_t *pixels, int32_t x, int32_t y)
{
    int32_t sum = 0;
    for (int32_t dy = -2; dy <= 2; dy++) {
        const uint8_t *row = pixels + (int64_t)ridge_clamp(y + dy, header->height_px) * header->pitch_bytes;
        int32_t across = 0;
        for (int32_t dx = -2; dx <= 2; dx++)
            across += (3 - (dx < 0 ? -dx : dx)) * grey_of(header, row, ridge_clamp(x + dx, header->width_px));
        sum += (3 - (dy < 0 ? -dy : dy)) * across;
    }
    return sum;
}

/* How far a level is above a third of a run's range, times 3; 0 or less: not above it. */
SONO_GREY_FN int32_t ridge_excess(int32_t level, int32_t least, int32_t most)
{
    return 3 * level - 2 * least - most;
}

/* Centroid of a lobe: sums of excess and of excess times row, rows counted from `first`. */
SONO_GREY_FN int32_t ridge_centroid(int32_t first, int64_t excess, int64_t moment)
{
    return first * RIDGE_UNIT + (int32_t)((moment * RIDGE_UNIT + excess / 2) / excess);
}

/* A column's runs, heaviest first. mass 0 = there is none. */
typedef struct ridge_runs {
    int32_t mass[RIDGE_RUNS]; /* sum of levels */
    int32_t row[RIDGE_RUNS];  /* of the ridge, 1 / RIDGE_UNIT px */
} ridge_runs;

/* Runs come from top to bottom; of equal ones the upper one counts as heavier. mass > 0. */
SONO_GREY_FN void ridge_add_run(ridge_runs *runs, int32_t mass, int32_t row)
{
    for (int32_t k = 0; k < RIDGE_RUNS; k++) {
        if (mass <= runs->mass[k])
            continue;
        const int32_t mass_k = runs->mass[k], row_k = runs->row[k];
        runs->mass[k] = mass;
        runs->row[k] = row;
        mass = mass_k;
        row = row_k;
    }
}

/* Median of what there is among columns [i - reach, i + reach] of a line of n; the lower of two middle ones;
 * RIDGE_NONE where there is nothing. */
SONO_GREY_FN int32_t ridge_median(const int32_t *line, int32_t n, int32_t i, int32_t reach)
{
    const int32_t first = i - reach < 0 ? 0 : i - reach, last = i + reach < n ? i + reach : n - 1;
    int32_t n_there = 0;
    for (int32_t j = first; j <= last; j++)
        n_there += line[j] != RIDGE_NONE;
    for (int32_t j = first; j <= last; j++) {
        int32_t below = 0, equal = 0;
        for (int32_t k = first; k <= last; k++) {
            below += line[k] != RIDGE_NONE && line[k] < line[j];
            equal += line[k] == line[j];
        }
        const int32_t middle = (n_there - 1) / 2;
        if (line[j] != RIDGE_NONE && below <= middle && middle < below + equal)
            return line[j];
    }
    return RIDGE_NONE;
}

SONO_GREY_FN int32_t ridge_distance(int32_t a, int32_t b)
{
    return a < b ? b - a : a - b;
}

/* Of column i's runs the one that is nearest to the median of the heaviest ones around; of two equally near
 * ones the heavier. runs: [RIDGE_RUNS][pitch]. RIDGE_NONE where the column has none. */
SONO_GREY_FN int32_t ridge_continued(const int32_t *runs, int64_t pitch, const ridge_sizes *s, int32_t i)
{
    int32_t best = runs[i];
    if (best == RIDGE_NONE || runs[pitch + i] == RIDGE_NONE)
        return best;
    const int32_t around = ridge_median(runs, s->n_columns, i, s->reach);
    for (int32_t k = 1; k < RIDGE_RUNS && runs[k * pitch + i] != RIDGE_NONE; k++)
        if (ridge_distance(runs[k * pitch + i], around) < ridge_distance(best, around))
            best = runs[k * pitch + i];
    return best;
}

/* Whether columns i and j, which are neighbours, belong to one piece. */
SONO_GREY_FN int ridge_joins(const int32_t *line, int32_t n, int32_t i, int32_t j, int32_t jump)
{
    return j >= 0 && j < n && line[j] != RIDGE_NONE && ridge_distance(line[i], line[j]) <= jump;
}

/* Whether column i, which has a point, belongs to a piece of s->least columns. */
SONO_GREY_FN int ridge_stays(const int32_t *line, const ridge_sizes *s, int32_t i)
{
    int32_t first = i, last = i;
    while (last - first + 1 < s->least && ridge_joins(line, s->n_columns, first, first - 1, s->jump))
        first--;
    while (last - first + 1 < s->least && ridge_joins(line, s->n_columns, last, last + 1, s->jump))
        last++;
    return last - first + 1 >= s->least;
}

/* Column i, which has a point, averaged with as many columns on one side as on the other, so that slopes stay
 * as they are, with weights that fall to the sides; only within its piece. */
SONO_GREY_FN int32_t ridge_smooth(const int32_t *line, const ridge_sizes *s, int32_t i)
{
    int64_t sum = (int64_t)(s->smooth + 1) * line[i];
    int32_t weights = s->smooth + 1;
    for (int32_t d = 1; d <= s->smooth; d++) {
        if (!ridge_joins(line, s->n_columns, i - d + 1, i - d, s->jump) ||
            !ridge_joins(line, s->n_columns, i + d - 1, i + d, s->jump))
            break;
        sum += (int64_t)(s->smooth + 1 - d) * ((int64_t)line[i - d] + line[i + d]);
        weights += 2 * (s->smooth + 1 - d);
    }
    return (int32_t)((sum + weights / 2) / weights);
}

#endif
