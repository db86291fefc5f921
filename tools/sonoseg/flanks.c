// SPDX-License-Identifier: Apache-2.0
#include "flanks.h"

#include <math.h>
#include <stddef.h>

#define TIP_PX                                                                                               \
    3 /* so much of the mask's end is its end; as many columns where the image's edge cuts it off */

typedef struct place {
    double x, y;
} place;

static double apart(place a, place b)
{
    return hypot(a.x - b.x, a.y - b.y);
}

static int is_on_side(int32_t x, place crest, int side)
{
    return side == FLANK_LEFT ? x < crest.x : x >= crest.x;
}

/* How far out a pixel is: from the crest, or along x where the image's edge cuts the bone off. */
static double reach(place at, place crest, int is_cut)
{
    return is_cut ? fabs(at.x - crest.x) : apart(at, crest);
}

/* The middle of the pixels that are farthest out on that side; the crest where there are none. */
static place find_end(const uint8_t *mask, int32_t width_px, int32_t height_px, place crest, int side,
                      int is_cut)
{
    double farthest = -1;
    place sum = {0};
    int64_t n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int32_t y = 0; y < height_px; y++)
            for (int32_t x = 0; x < width_px; x++) {
                if (!mask[(size_t)y * (size_t)width_px + (size_t)x] || !is_on_side(x, crest, side))
                    continue;
                const double far = reach((place){x, y}, crest, is_cut);
                if (!pass) {
                    farthest = fmax(farthest, far);
                } else if (far > farthest - TIP_PX) {
                    sum = (place){sum.x + x, sum.y + y};
                    n++;
                }
            }
    return n ? (place){sum.x / (double)n, sum.y / (double)n} : crest;
}

/* The point of the line from a to b that is nearest to at. */
static place nearest(place at, place a, place b)
{
    const double length = apart(a, b);
    if (!(length > 0))
        return a;
    const double along = ((at.x - a.x) * (b.x - a.x) + (at.y - a.y) * (b.y - a.y)) / (length * length);
    const double share = fmin(fmax(along, 0), 1);
    return (place){a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)};
}

void flanks_measure(const uint8_t *mask, int32_t width_px, int32_t height_px, const flank_marks *marks,
                    double off_px[FLANK_COUNT])
{
    const place crest = {(double)marks->crest_px[0], (double)marks->crest_px[1]};
    for (int side = 0; side < FLANK_COUNT; side++) {
        const float *mark = marks->end_px[side];
        const place first = {(double)mark[0], (double)mark[1]}, last = {(double)mark[2], (double)mark[3]};
        const int is_cut = first.x < 1 || first.x > width_px - 2;
        const place found = find_end(mask, width_px, height_px, crest, side, is_cut);
        const double off = apart(found, nearest(found, first, last));
        const double missing = reach(first, crest, is_cut) - reach(found, crest, is_cut);
        off_px[side] = missing > (is_cut ? TIP_PX : 0) ? -off : off;
    }
}
