// SPDX-License-Identifier: Apache-2.0
/*
 * FIND_REGION: pixels of N frames of any size and format, headers, kept? U8 [1, 1, 1, 64] -> headers with the
 * region that the networks are to see, region I32 [N, 1, 1, 4] (x, y, width, height in pixels), counts I32
 * [N, 1, 1, ..]: working memory; the same kept. What a region is: engine/find_region.h. A row of cells a
 * task, then one frame after the other. Whole numbers only, so that backends agree to the bit. Test:
 * tests/ops/test_find_region.c.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/find_region.h"

#include <string.h>

#define PADDED (REGION_CELLS + 2)
#define NONE   (-1)

typedef struct job {
    sono_frame_header header;
    const uint8_t *pixels;
    region_grid grid;
    int32_t side;
    int32_t *counts;
    uint8_t *columns, *rows; /* [REGION_CELLS][side], [side][REGION_CELLS] */
} job;

static job job_of(const sono_cpu_call *call, int64_t frame)
{
    const sono_region_args *args = &call->op->args.region;
    job j = {.side = region_side_of(args->max_width_px, args->max_height_px)};
    memcpy(&j.header, (const sono_frame_header *)call->in[1].data + frame, sizeof j.header);
    j.pixels = frame_pixels_of(call->in[0].data, &j.header);
    j.grid = region_grid_of(&j.header);
    j.counts = (int32_t *)call->out[2].data + frame * call->out[2].batch_stride;
    j.columns = region_columns_of(j.counts);
    j.rows = region_rows_of(j.counts, j.side);
    return j;
}

/* ---- counts ---- */

/* One pixel row of a cell; adds to its counts and to those of its pixel columns, [s]. */
static void count_cell_row(const job *j, int32_t y, int32_t cell_x, int32_t counts[SONO_REGION_COUNTS],
                           int32_t *columns)
{
    const uint8_t *row = j->pixels + (int64_t)y * j->header.pitch_bytes;
    const uint8_t *below = y + 1 < j->grid.height ? row + j->header.pitch_bytes : row;
    const int32_t first = cell_x * j->grid.s,
                  end = first + j->grid.s < j->grid.width ? first + j->grid.s : j->grid.width;
    int32_t n_grain = 0, grey = grey_of(&j->header, row, first);
    for (int32_t x = first; x < end; x++) {
        const int32_t right = x + 1 < j->grid.width ? grey_of(&j->header, row, x + 1) : grey;
        const int32_t bits = region_pixel(grey, right, grey_of(&j->header, below, x));
        n_grain += bits & 1;
        columns[x - first] += bits & 1;
        counts[REGION_FINES] += bits >> 1 & 1;
        counts[REGION_STEEPS] += bits >> 2;
        grey = right;
    }
    counts[REGION_GRAIN] += n_grain;
    j->rows[(int64_t)y * REGION_CELLS + cell_x] = region_byte(n_grain);
}

static void count_cell(const job *j, int32_t cell_x, int32_t cell_y)
{
    int32_t counts[SONO_REGION_COUNTS] = {0}, columns[REGION_MOST_S] = {0};
    const int32_t first_x = cell_x * j->grid.s, first_y = cell_y * j->grid.s;
    for (int32_t y = first_y; y < first_y + j->grid.s && y < j->grid.height; y++)
        count_cell_row(j, y, cell_x, counts, columns);
    for (int i = 0; i < SONO_REGION_COUNTS; i++)
        j->counts[i * REGION_PLACES + cell_y * REGION_CELLS + cell_x] = counts[i];
    for (int32_t x = first_x; x < first_x + j->grid.s && x < j->grid.width; x++)
        j->columns[(int64_t)cell_y * j->side + x] = region_byte(columns[x - first_x]);
}

static void run_cells(void *context, int64_t task, int32_t thread)
{
    const job j = job_of(context, task / REGION_CELLS);
    const int32_t cell_y = (int32_t)(task % REGION_CELLS);
    (void)thread;
    for (int32_t cell_x = 0; cell_y < j.grid.n_y && cell_x < j.grid.n_x; cell_x++)
        count_cell(&j, cell_x, cell_y);
}

/* ---- cells to the image ---- */

/* What the cells of a frame are, cell (x, y) at y * REGION_CELLS + x. */
typedef struct cells {
    uint8_t is_textured[REGION_PLACES];
    uint8_t grown[PADDED * PADDED];   /* textured, or one of the 8 around it is; with a rim around the grid */
    uint8_t is_joined[REGION_PLACES]; /* of a component: textured, closed, or dense */
    int32_t root[REGION_PLACES];      /* lowest cell of its component; NONE = of none */
    int32_t mass[REGION_PLACES];      /* of the component with that root */
    uint8_t is_image[REGION_PLACES];  /* the component with that root is the image, or a piece of it */
} cells;

static int32_t count_of(const job *j, int32_t which, int32_t place)
{
    return j->counts[which * REGION_PLACES + place];
}

/* Where `grown` has a cell: (-1, -1) comes first. */
static int32_t padded_at(int32_t x, int32_t y)
{
    return (y + 1) * PADDED + x + 1;
}

static void grow_texture(const job *j, cells *c)
{
    memset(c->grown, 0, sizeof c->grown);
    for (int32_t y = 0; y < j->grid.n_y; y++)
        for (int32_t x = 0; x < j->grid.n_x; x++) {
            const int32_t place = y * REGION_CELLS + x;
            c->is_textured[place] =
                (uint8_t)region_is_textured(count_of(j, REGION_FINES, place),
                                            count_of(j, REGION_STEEPS, place), region_area(&j->grid, x, y));
            for (int32_t i = 0; c->is_textured[place] && i < 9; i++)
                c->grown[padded_at(x + i % 3 - 1, y + i / 3 - 1)] = 1;
        }
}

/* Gaps of up to two cells are closed: a cell joins where all nine around it have grown. */
static void join_cells(const job *j, cells *c)
{
    grow_texture(j, c);
    for (int32_t y = 0; y < j->grid.n_y; y++)
        for (int32_t x = 0; x < j->grid.n_x; x++) {
            const int32_t place = y * REGION_CELLS + x;
            int is_closed = 1;
            for (int32_t i = 0; i < 9; i++)
                is_closed &= c->grown[padded_at(x + i % 3 - 1, y + i / 3 - 1)];
            c->is_joined[place] = (uint8_t)(is_closed || region_is_dense(count_of(j, REGION_GRAIN, place),
                                                                         region_area(&j->grid, x, y)));
            c->root[place] = NONE;
        }
}

/* Gives all cells that hang together with this one, by their sides, this one as root. */
static void fill(const region_grid *g, cells *c, int32_t root)
{
    int32_t stack[REGION_PLACES], n = 0;
    c->root[root] = root;
    stack[n++] = root;
    while (n) {
        const int32_t at = stack[--n], x = at % REGION_CELLS, y = at / REGION_CELLS;
        const int32_t next[4] = {x > 0 ? at - 1 : NONE, x + 1 < g->n_x ? at + 1 : NONE,
                                 y > 0 ? at - REGION_CELLS : NONE, y + 1 < g->n_y ? at + REGION_CELLS : NONE};
        for (int i = 0; i < 4; i++)
            if (next[i] != NONE && c->is_joined[next[i]] && c->root[next[i]] == NONE) {
                c->root[next[i]] = root;
                stack[n++] = next[i];
            }
    }
}

/* Returns the root of the component with most fine pixels, of several the lowest; NONE = there are none. */
static int32_t heaviest(const job *j, cells *c, region_found *found)
{
    int32_t best = NONE;
    memset(c->mass, 0, sizeof c->mass);
    for (int32_t place = 0; place < j->grid.n_y * REGION_CELLS; place++) {
        if (place % REGION_CELLS >= j->grid.n_x || !c->is_joined[place])
            continue;
        if (c->root[place] == NONE)
            fill(&j->grid, c, place);
        const int32_t mass = c->is_textured[place] ? count_of(j, REGION_FINES, place) : 0;
        c->mass[c->root[place]] += mass;
        found->all_mass += mass;
    }
    for (int32_t place = 0; place < j->grid.n_y * REGION_CELLS; place++)
        if (c->mass[place] > (best == NONE ? 0 : c->mass[best]))
            best = place;
    return best;
}

/* Adds the cells of the component with that root to the image. */
static void add_component(const job *j, cells *c, int32_t root, region_found *f)
{
    c->is_image[root] = 1;
    f->mass += c->mass[root];
    for (int32_t y = 0; y < j->grid.n_y; y++)
        for (int32_t x = 0; x < j->grid.n_x; x++) {
            if (c->root[y * REGION_CELLS + x] != root)
                continue;
            f->n_cells++;
            f->x0 = x < f->x0 ? x : f->x0;
            f->y0 = y < f->y0 ? y : f->y0;
            f->x1 = x + 1 > f->x1 ? x + 1 : f->x1;
            f->y1 = y + 1 > f->y1 ? y + 1 : f->y1;
        }
}

/* The heaviest component, and its pieces by the rectangle that it has without them. */
static void measure(const job *j, cells *c, int32_t heaviest_root, region_found *f)
{
    f->x0 = f->y0 = REGION_CELLS;
    memset(c->is_image, 0, sizeof c->is_image);
    add_component(j, c, heaviest_root, f);
    const region_found alone = *f;
    for (int32_t y = 0; y < j->grid.n_y; y++)
        for (int32_t x = 0; x < j->grid.n_x; x++) {
            const int32_t root = c->root[y * REGION_CELLS + x];
            if (root != NONE && !c->is_image[root] && region_is_piece(c->mass[root], alone.mass) &&
                region_is_beside(&alone, x, y))
                add_component(j, c, root, f);
        }
    for (int32_t y = 0; y < j->grid.n_y; y++)
        for (int32_t x = 0; x < j->grid.n_x; x++) {
            const int is_inside = x >= f->x0 && x < f->x1 && y >= f->y0 && y < f->y1;
            if (is_inside)
                f->grain += count_of(j, REGION_GRAIN, y * REGION_CELLS + x);
            else
                f->n_outside += c->is_textured[y * REGION_CELLS + x];
        }
}

/* ---- its borders ---- */

/* Grain of a pixel column (is_y: row) within the component's rectangle. */
static int32_t grain_of(const job *j, const region_found *f, int32_t is_y, int32_t at)
{
    int32_t n = 0;
    if (is_y)
        for (int32_t x = f->x0; x < f->x1; x++)
            n += j->rows[(int64_t)at * REGION_CELLS + x];
    else
        for (int32_t y = f->y0; y < f->y1; y++)
            n += j->columns[(int64_t)y * j->side + at];
    return n;
}

static int32_t border_of(const job *j, const region_found *f, int32_t is_y, int32_t is_end)
{
    uint8_t is_image[REGION_WAY_MOST(REGION_MOST_S)];
    const int32_t n = is_y ? j->grid.height : j->grid.width, s = j->grid.s;
    const int32_t c0 = is_y ? f->y0 : f->x0, c1 = is_y ? f->y1 : f->x1;
    const int32_t length = (c1 * s < n ? c1 * s : n) - c0 * s;
    const region_way way = region_way_of(s, c0, c1, n, is_end);
    for (int32_t i = 0; i < way.n; i++)
        is_image[i] =
            (uint8_t)region_is_image(grain_of(j, f, is_y, way.first + i * way.step), f->grain, length);
    return region_border(&way, is_image);
}

/* Returns whether a region was found. */
static int32_t find(const job *j, region_rect *out)
{
    cells c;
    region_found found = {0};
    join_cells(j, &c);
    const int32_t root = heaviest(j, &c, &found);
    if (root == NONE)
        return 0;
    measure(j, &c, root, &found);
    return region_judge(&j->grid, &found, border_of(j, &found, 0, 0), border_of(j, &found, 1, 0),
                        border_of(j, &found, 0, 1), border_of(j, &found, 1, 1), out);
}

static void put_region(const sono_cpu_call *call, int64_t frame, const sono_frame_header *header,
                       region_rect region)
{
    sono_frame_header out = *header;
    int32_t *row = (int32_t *)call->out[1].data + frame * call->out[1].batch_stride;
    region_put(&out, region);
    memcpy((sono_frame_header *)call->out[0].data + frame, &out, sizeof out);
    row[0] = region.x;
    row[1] = region.y;
    row[2] = region.w;
    row[3] = region.h;
}

void SONO_KERNEL(sono_cpu_find_region)(const sono_cpu_call *call)
{
    sono_pool_run(call->pool, run_cells, (void *)call, (int64_t)call->out[0].n * REGION_CELLS);
    for (int32_t frame = 0; frame < call->out[0].n; frame++) {
        const job j = job_of(call, frame);
        region_rect found = {0, 0, 0, 0};
        const int32_t has_found = find(&j, &found);
        put_region(call, frame, &j.header, region_settle(&j.header, has_found, found, call->out[3].data));
    }
}
