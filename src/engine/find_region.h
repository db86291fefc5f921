// SPDX-License-Identifier: Apache-2.0
/*
 * Where on a screen the ultrasound image is, as FIND_REGION decides on every backend. C and CUDA C; whole
 * numbers only, so that all agree to the bit. docs/region.md says it in words.
 *
 * The frame lies under a grid of square cells, at most 64 a side. A pixel is grainy where its grey differs
 * from both its right and its lower neighbour's: speckle nearly always does, flat areas and straight edges
 * never, letters at few pixels. Of those, fine ones differ by little; steep pixels differ by much. A cell is
 * textured that has many fine pixels and few steep ones for that: letters and lines of a screen have flat
 * ground and steep edges. The component of textured cells that has most fine pixels is the image; where grain
 * begins along its sides is its border.
 */
#ifndef SONO_ENGINE_FIND_REGION_H
#define SONO_ENGINE_FIND_REGION_H

#include "engine/grey.h"
#include "engine/region.h"

#define REGION_CELLS   SONO_REGION_CELLS
#define REGION_PLACES  (REGION_CELLS * REGION_CELLS)
#define REGION_LEAST_S 8                                        /* px: side of the smallest cell, ... */
#define REGION_MOST_S  (SONO_REGION_MAX_SIDE_PX / REGION_CELLS) /* ... and of the largest */

/* Grey levels between neighbours. */
#define REGION_FINE  32 /* up to this a pixel that is grainy is fine */
#define REGION_STEEP 48 /* above it a pixel is steep */

/* Shares, as the number that the part is multiplied with. */
#define REGION_FINE_SHARE  5  /* textured: a fifth of the pixels is fine, ... */
#define REGION_STEEP_SHARE 8  /* ... and there are less than an eighth as many steep ones */
#define REGION_EDGE_SHARE  20 /* a row within the image has a 20th of its rows' mean grain */
#define REGION_SIDE_SHARE  6  /* the image has a sixth of each of the frame's sides */
#define REGION_PIECE_SHARE 2  /* a component beside the heaviest joins it with half of its mass */
#define REGION_FILL_SHARE  5  /* ... a fifth of its rectangle's cells */

/* What is counted in a cell. */
enum { REGION_GRAIN, REGION_FINES, REGION_STEEPS };
static_assert(REGION_STEEPS + 1 == SONO_REGION_COUNTS, "a count each");

typedef struct region_grid {
    int32_t s;        /* side of a cell, px: a power of two */
    int32_t n_x, n_y; /* cells; those at the right and at the bottom may be cut off by the frame */
    int32_t width, height;
} region_grid;

SONO_REGION_FN region_grid region_grid_of(const sono_frame_header *header)
{
    region_grid g = {REGION_LEAST_S, 0, 0, header->width_px, header->height_px};
    const int32_t longest = g.width > g.height ? g.width : g.height;
    while (g.s * REGION_CELLS < longest)
        g.s *= 2;
    g.n_x = (g.width + g.s - 1) / g.s;
    g.n_y = (g.height + g.s - 1) / g.s;
    return g;
}

/* ---- the tensor of counts ---- */

/* A frame's: counts of the cells, int32 [SONO_REGION_COUNTS][REGION_PLACES], cell (x, y) at y * REGION_CELLS
 * + x; then, as bytes, the grain of each pixel column in each row of cells, [REGION_CELLS][side], and that of
 * each pixel row in each column of cells, [side][REGION_CELLS]. A count above 255 is kept as 255. */
SONO_REGION_FN int32_t region_side_of(int32_t max_width_px, int32_t max_height_px)
{
    return ((max_width_px > max_height_px ? max_width_px : max_height_px) + 3) / 4 * 4;
}

SONO_REGION_FN int64_t region_counts_ints(int32_t side)
{
    return SONO_REGION_COUNTS * REGION_PLACES + 2 * REGION_CELLS * (int64_t)side / 4;
}

SONO_REGION_FN uint8_t *region_columns_of(int32_t *counts)
{
    return (uint8_t *)(counts + SONO_REGION_COUNTS * REGION_PLACES);
}

SONO_REGION_FN uint8_t *region_rows_of(int32_t *counts, int32_t side)
{
    return region_columns_of(counts) + (int64_t)REGION_CELLS * side;
}

SONO_REGION_FN uint8_t region_byte(int32_t count)
{
    return (uint8_t)(count < 255 ? count : 255);
}

/* ---- pixels and cells ---- */

/* Bits 0, 1, 2: the pixel counts as REGION_GRAIN, ... right, below: its neighbours, or itself at the border.
 */
SONO_REGION_FN int32_t region_pixel(int32_t grey, int32_t right, int32_t below)
{
    const int32_t dx = right > grey ? right - grey : grey - right;
    const int32_t dy = below > grey ? below - grey : grey - below;
    const int32_t most = dx > dy ? dx : dy;
    const int32_t is_grainy = dx && dy;
    return is_grainy | (is_grainy && most <= REGION_FINE) << 1 | (most > REGION_STEEP) << 2;
}

/* Pixels of a cell that are within the frame. */
SONO_REGION_FN int32_t region_area(const region_grid *g, int32_t cell_x, int32_t cell_y)
{
    const int32_t right = (cell_x + 1) * g->s < g->width ? (cell_x + 1) * g->s : g->width;
    const int32_t bottom = (cell_y + 1) * g->s < g->height ? (cell_y + 1) * g->s : g->height;
    return (right - cell_x * g->s) * (bottom - cell_y * g->s);
}

SONO_REGION_FN int32_t region_is_textured(int32_t n_fine, int32_t n_steep, int32_t area)
{
    return n_fine * REGION_FINE_SHARE >= area && n_steep * REGION_STEEP_SHARE < n_fine;
}

/* Speckle so bright that much of it is steep: seven of eight pixels are grainy, which letters' are not. Such
 * cells belong to a component, but do not speak for it. */
SONO_REGION_FN int32_t region_is_dense(int32_t n_grain, int32_t area)
{
    return n_grain * 8 >= area * 7;
}

/* ---- the component that has most fine pixels ---- */

/* Where echoes are sparse an image falls into pieces: a component joins the heaviest one when it has enough
 * mass, and a cell in that one's rectangle or so many cells from it. */
#define REGION_PIECE_REACH 2
/* mass: its own; heaviest: the other's. */
SONO_REGION_FN int32_t region_is_piece(int32_t mass, int32_t heaviest)
{
    return (int64_t)mass * REGION_PIECE_SHARE >= heaviest;
}

/* Its cells lie in columns [x0, x1) and rows [y0, y1). */
typedef struct region_found {
    int32_t x0, y0, x1, y1;
    int32_t n_cells;
    int32_t mass, all_mass; /* fine pixels of its textured cells, and of all there are */
    int32_t n_outside;      /* textured cells beyond its rectangle */
    int32_t grain;          /* grainy pixels in its rectangle */
} region_found;

SONO_REGION_FN int32_t region_is_beside(const region_found *f, int32_t cell_x, int32_t cell_y)
{
    return cell_x >= f->x0 - REGION_PIECE_REACH && cell_x < f->x1 + REGION_PIECE_REACH &&
           cell_y >= f->y0 - REGION_PIECE_REACH && cell_y < f->y1 + REGION_PIECE_REACH;
}

/* ---- borders, pixel by pixel ---- */

/* Places along one axis on which a border may lie, from inside the component outwards: place i is pixel row
 * or column first + i * step; the first n_inner lie in the component's outermost two cells, the others in
 * three cells beyond: those at an image's border are steep, and may be no part of it. */
typedef struct region_way {
    int32_t first, step, n_inner, n;
} region_way;

/* Cells [c0, c1) of s pixels, of a frame with n pixels along this axis. is_end: the border behind c1. */
SONO_REGION_FN region_way region_way_of(int32_t s, int32_t c0, int32_t c1, int32_t n, int32_t is_end)
{
    region_way way;
    const int32_t begin = c0 * s, end = c1 * s < n ? c1 * s : n, middle = (begin + end) / 2;
    if (is_end) {
        way.first = end - 2 * s > middle ? end - 2 * s : middle;
        way.step = 1;
        way.n_inner = end - way.first;
        way.n = (end + 3 * s < n ? end + 3 * s : n) - way.first;
    } else {
        way.first = (begin + 2 * s < middle ? begin + 2 * s : middle) - (middle > begin);
        way.step = -1;
        way.n_inner = way.first - begin + 1;
        way.n = way.first - (begin > 3 * s ? begin - 3 * s : 0) + 1;
    }
    return way;
}
#define REGION_WAY_MOST(s) (5 * (s))

/* Whether a row or column of `count` grainy pixels in the component's rectangle is one of an image. length:
 * rows or columns of the rectangle, which have `grain` together. */
SONO_REGION_FN int32_t region_is_image(int32_t count, int32_t grain, int32_t length)
{
    return count > 1 && (int64_t)count * length * REGION_EDGE_SHARE >= grain;
}

/* The outermost pixel row or column: in the component's own cells the last that is image (their end where
 * none is), from there on as far as each is, or the one behind it: images that were enlarged by repeating
 * pixels have rows without grain. is_image: [way->n] */
SONO_REGION_FN int32_t region_border(const region_way *way, const uint8_t *is_image)
{
    int32_t last = way->n_inner - 1;
    while (last > 0 && !is_image[last])
        last--;
    if (!is_image[last])
        last = way->n_inner - 1;
    for (;;) {
        if (last + 1 < way->n && is_image[last + 1])
            last++;
        else if (last + 2 < way->n && is_image[last + 2])
            last += 2;
        else
            break;
    }
    return way->first + last * way->step;
}

/* ---- the verdict on a frame ---- */

/* Returns 1 with the region: the rectangle of pixels [left, right] x [top, bottom], or the whole frame where
 * that is about all of it; 0: nothing here looks like an ultrasound image for certain. On a flat ground the
 * outermost grainy pixels are the image's own: one of the ground has no other grey below it. */
SONO_REGION_FN int32_t region_judge(const region_grid *g, const region_found *f, int32_t left, int32_t top,
                                    int32_t right, int32_t bottom, region_rect *out)
{
    const int32_t n_box = (f->x1 - f->x0) * (f->y1 - f->y0), n_other = g->n_x * g->n_y - n_box;
    const int32_t near_x = g->width / 32 > g->s ? g->width / 32 : g->s,
                  near_y = g->height / 32 > g->s ? g->height / 32 : g->s;
    const region_rect whole = {0, 0, g->width, g->height};
    region_rect r;
    r.x = left;
    r.y = top;
    r.w = right + 1 - left;
    r.h = bottom + 1 - top;
    if (r.w * REGION_SIDE_SHARE < g->width || r.h * REGION_SIDE_SHARE < g->height ||
        f->n_cells * REGION_FILL_SHARE < n_box || (int64_t)f->mass * 10 < (int64_t)f->all_mass * 6)
        return 0;
    const int32_t n_touched = (r.x <= near_x) + (r.y <= near_y) + (g->width - r.x - r.w <= near_x) +
                              (g->height - r.y - r.h <= near_y);
    const int32_t is_whole = (int64_t)r.w * r.h * 10 >= (int64_t)g->width * g->height * 9 ||
                             (n_touched >= 3 && f->n_outside * 16 <= n_other);
    *out = is_whole ? whole : r;
    return 1;
}

/* ---- through a stream ---- */

/* Permille: regions with this IoU are the same one. */
#define REGION_SAME 900
/* Permille of its area: so much of a region lies in another that it is a part of that. */
#define REGION_PART 980
/* Frames in a row in which another region must be found before it counts. Echoes that fade make a region
 * smaller for a while, and nothing but another depth or layout makes it larger. */
#define REGION_GROWS_AFTER   5
#define REGION_SHRINKS_AFTER 60

/* What a stream keeps. All zero: there was no frame. */
typedef struct region_kept {
    int32_t width_px, height_px; /* of the last frame */
    int32_t has_region;          /* 1: `region` counts */
    region_rect region;
    int32_t n_pending; /* frames in a row that found `pending`, or much the same, instead */
    region_rect pending;
    int32_t reserved[4]; /* 0 */
} region_kept;
static_assert(sizeof(region_kept) == SONO_REGION_BYTES, "the tensor that is kept holds one");

SONO_REGION_FN int64_t region_overlap(region_rect a, region_rect b)
{
    const int32_t x0 = a.x > b.x ? a.x : b.x, y0 = a.y > b.y ? a.y : b.y;
    const int32_t x1 = a.x + a.w < b.x + b.w ? a.x + a.w : b.x + b.w;
    const int32_t y1 = a.y + a.h < b.y + b.h ? a.y + a.h : b.y + b.h;
    return x1 > x0 && y1 > y0 ? (int64_t)(x1 - x0) * (y1 - y0) : 0;
}

SONO_REGION_FN int32_t region_is_same(region_rect a, region_rect b)
{
    const int64_t both = region_overlap(a, b);
    return both * 1000 >= ((int64_t)a.w * a.h + (int64_t)b.w * b.h - both) * REGION_SAME;
}

/* Another region than the kept one was found. */
SONO_REGION_FN void region_doubt(region_kept *kept, region_rect found)
{
    const int32_t is_part =
        region_overlap(found, kept->region) * 1000 >= (int64_t)found.w * found.h * REGION_PART;
    kept->n_pending = kept->n_pending && region_is_same(kept->pending, found) ? kept->n_pending + 1 : 1;
    kept->pending = found;
    if (kept->n_pending < (is_part ? REGION_SHRINKS_AFTER : REGION_GROWS_AFTER))
        return;
    kept->region = found;
    kept->n_pending = 0;
}

/* The region of a frame. has_found: what region_judge() returned, with *found; kept: NULL = of the frame
 * alone. A placeholder in a batch changes nothing. */
SONO_REGION_FN region_rect region_settle(const sono_frame_header *header, int32_t has_found,
                                         region_rect found, region_kept *kept)
{
    const region_rect whole = {0, 0, header->width_px, header->height_px};
    const region_kept nothing = {0, 0, 0, {0, 0, 0, 0}, 0, {0, 0, 0, 0}, {0, 0, 0, 0}};
    if (!kept || header->stream == SONO_STREAM_NO_FRAME)
        return has_found ? found : whole;
    if (header->stream == SONO_STREAM_BEGINS || kept->width_px != header->width_px ||
        kept->height_px != header->height_px)
        *kept = nothing;
    kept->width_px = header->width_px;
    kept->height_px = header->height_px;
    if (has_found && !kept->has_region) {
        kept->has_region = 1;
        kept->region = found;
    } else if (has_found && region_is_same(kept->region, found)) {
        kept->n_pending = 0;
    } else if (has_found) {
        region_doubt(kept, found);
    }
    return kept->has_region ? kept->region : whole;
}

#endif
