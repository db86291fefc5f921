// SPDX-License-Identifier: Apache-2.0
/* D-FINE's anchors for an input of any size (dfine_decoder.py:731 _generate_anchors @ 4a1f73a). */
#ifndef SONO_TESTS_ANCHORS_H
#define SONO_TESTS_ANCHORS_H

#include <math.h>
#include <stdint.h>

typedef struct anchors_size {
    int32_t width_px, height_px;
} anchors_size;

static inline float anchors_logit(double x)
{
    return (float)log(x / (1.0 - x));
}

/* Writes the rows of four, infinity where a side is out of (0.01, 0.99). Returns how many rows. */
static inline int64_t anchors_fill(const anchors_size *size, int32_t finest_stride_px, int32_t n_levels,
                                   float *out)
{
    const float *first = out;
    double side = 0.05;
    for (int32_t level = 0, stride = finest_stride_px; level < n_levels; level++, stride *= 2, side *= 2) {
        const int32_t w = size->width_px / stride, h = size->height_px / stride;
        for (int32_t t = 0; t < h * w; t++, out += 4) {
            const double x = (t % w + 0.5) / w, y = (t / w + 0.5) / h;
            const int inside = x > 0.01 && x < 0.99 && y > 0.01 && y < 0.99;
            out[0] = inside ? anchors_logit(x) : INFINITY;
            out[1] = inside ? anchors_logit(y) : INFINITY;
            out[2] = out[3] = inside ? anchors_logit(side) : INFINITY;
        }
    }
    return (out - first) / 4;
}

#endif
