// SPDX-License-Identifier: Apache-2.0
/* Follows Peterande/D-FINE @ 4a1f73a, src/zoo/dfine/dfine_decoder.py:731 _generate_anchors. */
#include "nets/dfine/anchors.h"

#include <math.h>

#define ROUNDED_PART 0.00390625f /* 2^-8: half a unit of bfloat16's last place */
#define ROUNDED_REST 0.001f

static int is_centre(float found, int32_t index, int32_t n)
{
    const float position = ((float)index + 0.5f) / (float)n;
    const float wanted = logf(position / (1.0f - position));
    return !isfinite(found) || fabsf(found - wanted) <= ROUNDED_PART * fabsf(wanted) + ROUNDED_REST;
}

int64_t sono_anchors_count(const sono_anchor_grid *grid)
{
    int64_t n = 0;
    for (int32_t level = 0, stride = grid->finest_stride_px; level < grid->n_levels; level++, stride *= 2)
        n += (int64_t)(grid->height_px / stride) * (grid->width_px / stride);
    return n;
}

int sono_anchors_fit(const float *anchors, const sono_anchor_grid *grid)
{
    for (int32_t level = 0, stride = grid->finest_stride_px; level < grid->n_levels; level++, stride *= 2) {
        const int32_t h = grid->height_px / stride, w = grid->width_px / stride;
        for (int32_t y = 0; y < h; y++)
            for (int32_t x = 0; x < w; x++, anchors += 4)
                if (!is_centre(anchors[0], x, w) || !is_centre(anchors[1], y, h))
                    return 0;
    }
    return 1;
}

static int most_are_finite(const float *anchors, int64_t n)
{
    int64_t n_finite = 0;
    for (int64_t i = 0; i < n; i++)
        n_finite += isfinite(anchors[4 * i]) && isfinite(anchors[4 * i + 1]);
    return 2 * n_finite > n;
}

int sono_anchors_find_size(const float *anchors, int64_t n, sono_anchor_grid *grid)
{
    const int32_t step = grid->finest_stride_px << (grid->n_levels - 1);
    sono_anchor_grid smallest = *grid;
    smallest.height_px = smallest.width_px = step;
    const int64_t unit = sono_anchors_count(&smallest); /* every step x step pixels have as many */
    if (n % unit != 0 || n / unit > INT32_MAX / step || !most_are_finite(anchors, n))
        return 0;
    for (int64_t rows = 1; rows <= n / unit; rows++) {
        const int64_t columns = n / unit / rows;
        sono_anchor_grid tried = *grid;
        if (rows * columns != n / unit)
            continue;
        tried.height_px = (int32_t)rows * step;
        tried.width_px = (int32_t)columns * step;
        if (sono_anchors_fit(anchors, &tried)) {
            *grid = tried;
            return 1;
        }
    }
    return 0;
}
