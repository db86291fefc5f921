// SPDX-License-Identifier: Apache-2.0
#include "serve/outline.h"

#include <stdlib.h>
#include <string.h>

/* A crack is a pixel's side between the mask and what is not. Corners are those of pixels: corner (x, y) is
 * the top left one of pixel (x, y). */
typedef struct grid {
    const uint8_t *mask;
    int32_t width, height;
} grid;

typedef struct crack {
    int32_t x, y; /* the corner where it begins */
    int32_t heading;
} crack;

enum { EAST, SOUTH, WEST, NORTH };
static const int8_t step_x[4] = {1, 0, -1, 0};
static const int8_t step_y[4] = {0, 1, 0, -1};
/* From a corner, the pixels ahead to the left and to the right of a heading. */
static const int8_t left_x[4] = {0, 0, -1, -1}, left_y[4] = {-1, 0, 0, -1};
static const int8_t right_x[4] = {0, -1, -1, 0}, right_y[4] = {0, 0, -1, -1};

static void *array(size_t n, size_t bytes)
{
    return calloc(n ? n : 1, bytes);
}

int sono_serve_outline_open(sono_serve_outline *outline, uint64_t max_pixels, uint32_t max_points,
                            uint32_t max_lines)
{
    *outline =
        (sono_serve_outline){.max_pixels = max_pixels, .max_points = max_points, .max_lines = max_lines};
    outline->points_px = array(max_points, sizeof *outline->points_px);
    outline->begins = array((size_t)max_lines + 1, sizeof *outline->begins);
    outline->seen = array((size_t)(max_pixels / 64 + 1), sizeof *outline->seen);
    if (outline->points_px && outline->begins && outline->seen)
        return 0;
    sono_serve_outline_close(outline);
    return -1;
}

void sono_serve_outline_close(sono_serve_outline *outline)
{
    free(outline->points_px);
    free(outline->begins);
    free(outline->seen);
    memset(outline, 0, sizeof *outline);
}

void sono_serve_outline_clear(sono_serve_outline *outline)
{
    outline->n_points = outline->n_lines = outline->n_left_out = 0;
    outline->begins[0] = 0;
}

static int is_set(const grid *in, int32_t x, int32_t y)
{
    return x >= 0 && y >= 0 && x < in->width && y < in->height &&
           in->mask[(size_t)y * (size_t)in->width + (size_t)x];
}

/* The crack that follows. Where two pixels of the mask meet at a corner the line goes on along the other. */
static crack follow(const grid *in, crack from)
{
    crack next = {from.x + step_x[from.heading], from.y + step_y[from.heading], from.heading};
    if (is_set(in, next.x + left_x[from.heading], next.y + left_y[from.heading]))
        next.heading = (from.heading + 3) & 3;
    else if (!is_set(in, next.x + right_x[from.heading], next.y + right_y[from.heading]))
        next.heading = (from.heading + 1) & 3;
    return next;
}

/* The way from the middle of a crack to the middle of the next, as a number: equal ways are one straight. */
static int way_of(crack from, crack to)
{
    return 3 * (step_x[from.heading] + step_x[to.heading]) + step_y[from.heading] + step_y[to.heading];
}

static void add_point(sono_serve_outline *outline, crack at)
{
    if (outline->n_points < outline->max_points) {
        float *point = outline->points_px[outline->n_points];
        point[0] = (float)at.x - 0.5f + 0.5f * (float)step_x[at.heading];
        point[1] = (float)at.y - 0.5f + 0.5f * (float)step_y[at.heading];
    }
    outline->n_points++; /* beyond the limit: taken back at the line's end */
}

/* One line, from the crack above pixel (x, y) around to it again. */
static void trace_line(sono_serve_outline *outline, const grid *in, int32_t x, int32_t y)
{
    const uint32_t begin = outline->n_points;
    const crack start = {x, y, EAST};
    crack at = start, next = follow(in, at);
    const int first_way = way_of(at, next);
    int way = first_way;
    do {
        if (at.heading == EAST) {
            const uint64_t pixel = (uint64_t)at.y * (uint64_t)in->width + (uint64_t)at.x;
            outline->seen[pixel / 64] |= (uint64_t)1 << (pixel & 63);
        }
        at = next;
        next = follow(in, at);
        const int next_way = way_of(at, next);
        if (next_way != way)
            add_point(outline, at);
        way = next_way;
    } while (at.x != start.x || at.y != start.y || at.heading != start.heading);
    if (outline->n_points > outline->max_points || outline->n_lines == outline->max_lines) {
        outline->n_points = begin;
        outline->n_left_out++;
        return;
    }
    outline->begins[++outline->n_lines] = outline->n_points;
}

/* Pixels at a row's start that have no crack above, in steps of 32; above: the row above. */
static size_t passed_over(const uint8_t *row, const uint8_t *above, size_t n)
{
    size_t x = 0;
    for (; x + 32 <= n; x += 32) {
        uint64_t here[4], over[4];
        memcpy(here, row + x, sizeof here);
        memcpy(over, above + x, sizeof over);
        if ((here[0] & ~over[0]) | (here[1] & ~over[1]) | (here[2] & ~over[2]) | (here[3] & ~over[3]))
            break;
    }
    return x;
}

/* Every line has a crack above one of the mask's pixels: found row by row, from the left. */
static void trace_row(sono_serve_outline *outline, const grid *in, int32_t y)
{
    const size_t width = (size_t)in->width;
    const uint8_t *row = in->mask + (size_t)y * width;
    const uint64_t first = (uint64_t)y * width;
    for (size_t x = 0; x < width;) {
        if (y > 0)
            x += passed_over(row + x, row + x - width, width - x);
        const size_t end = x + 32 < width ? x + 32 : width;
        for (; x < end; x++) {
            const uint64_t pixel = first + x;
            if (row[x] && (y == 0 || !*(row + x - width)) && !(outline->seen[pixel / 64] >> (pixel & 63) & 1))
                trace_line(outline, in, (int32_t)x, y);
        }
    }
}

int sono_serve_outline_trace(sono_serve_outline *outline, const uint8_t *mask, int32_t width_px,
                             int32_t height_px)
{
    sono_serve_outline_clear(outline);
    if (width_px < 1 || height_px < 1 || width_px > UINT16_MAX || height_px > UINT16_MAX ||
        (uint64_t)width_px * (uint64_t)height_px > outline->max_pixels)
        return -1;
    const grid in = {mask, width_px, height_px};
    const size_t n_words = (size_t)width_px * (size_t)height_px / 64 + 1;
    memset(outline->seen, 0, n_words * sizeof *outline->seen);
    for (int32_t y = 0; y < height_px; y++)
        trace_row(outline, &in, y);
    return 0;
}

void sono_serve_outline_to_mm(const sono_igtl_image *image, const float point_px[2], float out_mm[3])
{
    double from_centre[3];
    for (int axis = 0; axis < 3; axis++) {
        const double at = axis < 2 ? (double)point_px[axis] : 0;
        from_centre[axis] = at + image->offset[axis] - ((double)image->size[axis] - 1) / 2;
    }
    for (int i = 0; i < 3; i++) {
        double sum = image->matrix[9 + i];
        for (int axis = 0; axis < 3; axis++)
            sum += (double)image->matrix[3 * axis + i] * from_centre[axis];
        out_mm[i] = (float)sum;
    }
}
