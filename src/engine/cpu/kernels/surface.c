// SPDX-License-Identifier: Apache-2.0
/*
 * SURFACE: pixels and headers of N frames, mask U8 (H rows of W bytes, 0 / 255, packed: graph/map_layout.h)
 * -> surface I32 [N, 1, 1, SONO_SURFACE_COLUMNS]: of the frame's first object, the row of the echo's ridge
 * in every step-th column, 1 / RIDGE_UNIT px, row 0's middle = 0; RIDGE_NONE where there is none and behind
 * the frame's last column. runs I32 [N, 1, RIDGE_RUNS, SONO_SURFACE_COLUMNS]: the ridges of a column's runs,
 * heaviest first: working memory.
 *
 * What a ridge is and how columns are joined: engine/ridge.h. One thread a band of columns, then one a frame.
 * Whole numbers only, so that backends agree to the bit. Test: tests/ops/test_surface.c.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/ridge.h"

#include <string.h>

#define BAND_COLUMNS 64
#define N_BANDS      (SONO_SURFACE_COLUMNS / BAND_COLUMNS)

typedef struct job {
    sono_frame_header header;
    const uint8_t *pixels, *mask;
    int32_t *runs, *surface; /* [RIDGE_RUNS][runs_pitch], [SONO_SURFACE_COLUMNS] */
    int64_t runs_pitch;
    ridge_sizes sizes;
} job;

static job job_of(const sono_cpu_call *call, int32_t frame)
{
    job j = {.runs_pitch = call->out[1].pitch};
    memcpy(&j.header, (const sono_frame_header *)call->in[1].data + frame, sizeof j.header);
    j.pixels = frame_pixels_of(call->in[0].data, &j.header);
    j.mask = (const uint8_t *)call->in[2].data + j.header.maps_at_bytes;
    j.surface = (int32_t *)call->out[0].data + frame * call->out[0].batch_stride;
    j.runs = (int32_t *)call->out[1].data + frame * call->out[1].batch_stride;
    j.sizes = ridge_sizes_of(j.header.width_px, j.header.height_px);
    return j;
}

/* The run of rows [first, last] in column x. */
static void add_run(const job *j, int32_t x, int32_t first, int32_t last, ridge_runs *runs)
{
    int32_t least = INT32_MAX, most = -1, top = first, mass = 0;
    for (int32_t y = first; y <= last; y++) {
        const int32_t level = ridge_level(&j->header, j->pixels, x, y);
        mass += level;
        least = level < least ? level : least;
        if (level > most) {
            most = level;
            top = y;
        }
    }
    int32_t row = (first + last) * (RIDGE_UNIT / 2);
    if (most > least) {
        int32_t begin = top;
        int64_t excess = 0, moment = 0;
        while (begin > first &&
               ridge_excess(ridge_level(&j->header, j->pixels, x, begin - 1), least, most) > 0)
            begin--;
        for (int32_t y = begin; y <= last; y++) {
            const int32_t e = ridge_excess(ridge_level(&j->header, j->pixels, x, y), least, most);
            if (e <= 0)
                break;
            excess += e;
            moment += (int64_t)e * (y - begin);
        }
        row = ridge_centroid(begin, excess, moment);
    }
    ridge_add_run(runs, mass + 1, row);
}

static void find_runs(const job *j, int32_t column)
{
    const int32_t x = column * j->sizes.step_px, width = j->header.width_px, height = j->header.height_px;
    ridge_runs runs = {{0}, {0}};
    for (int32_t y = 0; y < height; y++) {
        const int32_t first = y;
        while (y < height && j->mask[(int64_t)y * width + x])
            y++;
        if (y > first)
            add_run(j, x, first, y - 1, &runs);
    }
    for (int32_t k = 0; k < RIDGE_RUNS; k++)
        j->runs[k * j->runs_pitch + column] = runs.mass[k] ? runs.row[k] : RIDGE_NONE;
}

static void run_band(void *context, int64_t task, int32_t thread)
{
    const job j = job_of(context, (int32_t)(task / N_BANDS));
    const int32_t first = (int32_t)(task % N_BANDS) * BAND_COLUMNS;
    (void)thread;
    for (int32_t i = first; i < first + BAND_COLUMNS && i < j.sizes.n_columns; i++)
        find_runs(&j, i);
}

static void run_line(void *context, int64_t task, int32_t thread)
{
    const job j = job_of(context, (int32_t)task);
    const int32_t n = j.sizes.n_columns;
    int32_t line[SONO_SURFACE_COLUMNS], even[SONO_SURFACE_COLUMNS];
    (void)thread;
    for (int32_t i = 0; i < n; i++)
        line[i] = ridge_continued(j.runs, j.runs_pitch, &j.sizes, i);
    for (int32_t i = 0; i < n; i++)
        even[i] = line[i] == RIDGE_NONE ? RIDGE_NONE : ridge_median(line, n, i, RIDGE_MEDIAN_REACH);
    for (int32_t i = 0; i < n; i++)
        line[i] = even[i] != RIDGE_NONE && ridge_stays(even, &j.sizes, i) ? even[i] : RIDGE_NONE;
    for (int32_t i = 0; i < SONO_SURFACE_COLUMNS; i++)
        j.surface[i] = i < n && line[i] != RIDGE_NONE ? ridge_smooth(line, &j.sizes, i) : RIDGE_NONE;
}

void SONO_KERNEL(sono_cpu_surface)(const sono_cpu_call *call)
{
    sono_pool_run(call->pool, run_band, (void *)call, (int64_t)call->out[0].n * N_BANDS);
    sono_pool_run(call->pool, run_line, (void *)call, call->out[0].n);
}
