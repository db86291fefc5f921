// SPDX-License-Identifier: Apache-2.0
/*
 * The exact distance transform in two passes, after Felzenszwalb and Huttenlocher (Distance transforms of
 * sampled functions, 2012) and, in integers, Meijster, Roerdink and Hesselink (A general algorithm for
 * computing distance transforms in linear time, 2000): first the distance along each column, then for each
 * row the lower envelope of the parabolas (x - i)^2 + column[i]^2.
 */
#include "surface.h"

#include <math.h>
#include <stdlib.h>

typedef struct transform {
    int32_t width_px, height_px;
    uint8_t *is_left, *is_right; /* [height, width]: on the surface */
    int32_t *column_px;          /* [height, width]: to the nearest surface pixel of the same column */
    int64_t *squared_px;         /* [width]: of one row, to the nearest surface pixel */
    int32_t *place, *start; /* [width]: the envelope's parabolas and where each begins to be the lowest */
} transform;

static void mark_surface(surface_region region, int32_t width_px, int32_t height_px, uint8_t *out)
{
    for (int32_t y = 0; y < height_px; y++)
        for (int32_t x = 0; x < width_px; x++) {
            const size_t at = (size_t)y * (size_t)width_px + (size_t)x;
            const uint8_t *here = region.pixels + at;
            const uint8_t value = region.value;
            const int is_inner = x > 0 && x < width_px - 1 && y > 0 && y < height_px - 1 &&
                                 here[-1] == value && here[1] == value && *(here - width_px) == value &&
                                 here[width_px] == value;
            out[at] = *here == value && !is_inner;
        }
}

/* A column without a surface pixel is farther than any pixel of the image. */
static void measure_columns(transform *self, const uint8_t *surface)
{
    const size_t width = (size_t)self->width_px;
    const size_t n_pixels = width * (size_t)self->height_px;
    for (size_t i = 0; i < n_pixels; i++) {
        const int32_t above = i < width ? self->width_px + self->height_px : self->column_px[i - width];
        self->column_px[i] = surface[i] ? 0 : above + 1;
    }
    for (size_t i = n_pixels - width; i-- > 0;)
        if (self->column_px[i + width] + 1 < self->column_px[i])
            self->column_px[i] = self->column_px[i + width] + 1;
}

static int64_t square(int64_t value)
{
    return value * value;
}

/* The parabola over column i at x. */
static int64_t parabola(const int32_t *column_px, int32_t i, int32_t x)
{
    return square(x - i) + square(column_px[i]);
}

/* The first place where the parabola over `right` is lower than the one over `left`, which is the lower one
 * somewhere further left. */
static int64_t crossing(const int32_t *column_px, int32_t left, int32_t right)
{
    const int64_t rise = square(right) - square(left) + square(column_px[right]) - square(column_px[left]);
    return 1 + rise / (2 * (right - left));
}

static void measure_row(transform *self, int32_t y)
{
    const int32_t *column_px = self->column_px + (size_t)y * (size_t)self->width_px;
    int32_t last = 0;
    self->place[0] = self->start[0] = 0;
    for (int32_t x = 1; x < self->width_px; x++) {
        while (last >= 0 && parabola(column_px, self->place[last], self->start[last]) >
                                parabola(column_px, x, self->start[last]))
            last--;
        const int64_t from = last < 0 ? 0 : crossing(column_px, self->place[last], x);
        if (from >= self->width_px)
            continue;
        last++;
        self->place[last] = x;
        self->start[last] = (int32_t)from;
    }
    for (int32_t x = self->width_px - 1; x >= 0; x--) {
        self->squared_px[x] = parabola(column_px, self->place[last], x);
        last -= x == self->start[last];
    }
}

/* From each pixel of `from` to the nearest of `to`. */
static int add_distances(transform *self, const uint8_t *from, const uint8_t *to, samples *out)
{
    measure_columns(self, to);
    for (int32_t y = 0; y < self->height_px; y++) {
        measure_row(self, y);
        for (int32_t x = 0; x < self->width_px; x++)
            if (from[(size_t)y * (size_t)self->width_px + (size_t)x] &&
                samples_add(out, sqrt((double)self->squared_px[x])))
                return -1;
    }
    return 0;
}

int surface_distances(surface_region left, surface_region right, int32_t width_px, int32_t height_px,
                      samples *out)
{
    const size_t width = (size_t)width_px, n_pixels = width * (size_t)height_px;
    transform self = {
        .width_px = width_px,
        .height_px = height_px,
        .is_left = malloc(n_pixels),
        .is_right = malloc(n_pixels),
        .column_px = malloc(n_pixels * sizeof *self.column_px),
        .squared_px = malloc(width * sizeof *self.squared_px),
        .place = malloc(width * sizeof *self.place),
        .start = malloc(width * sizeof *self.start),
    };
    int result = -1;
    if (self.is_left && self.is_right && self.column_px && self.squared_px && self.place && self.start) {
        mark_surface(left, width_px, height_px, self.is_left);
        mark_surface(right, width_px, height_px, self.is_right);
        result = add_distances(&self, self.is_left, self.is_right, out) ||
                         add_distances(&self, self.is_right, self.is_left, out)
                     ? -1
                     : 0;
    }
    free(self.is_left);
    free(self.is_right);
    free(self.column_px);
    free(self.squared_px);
    free(self.place);
    free(self.start);
    return result;
}
