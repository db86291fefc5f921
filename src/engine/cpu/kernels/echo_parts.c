// SPDX-License-Identifier: Apache-2.0
/*
 * ECHO_PARTS: pixels U8 of N frames of any size and format, headers, mask U8 (packed), profile I32
 * [N, 1, 3, side], detections [N, 1, K, 8] -> echo I32 [N, 1, 1, 16], rows of SONO_ECHO_INTS, about its first
 * mask; sums I32 [N, 1, 1, 1024]: working memory, not needed here.
 *
 * The formulas, with their sources, are in engine/echo_parts.h. One frame a thread. Test:
 * tests/ops/test_echo_parts.c.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/echo_parts.h"
#include "engine/grey.h"

#include <string.h>

typedef struct job {
    sono_frame_header header;
    const uint8_t *pixels, *mask;
    const int32_t *columns, *heights; /* of the profile */
    sono_echo_scale scale;
    sono_echo_sums sums;
    uint64_t fingerprint;
    int64_t histograms[SONO_ECHO_BANDS][SONO_ECHO_LEVELS];
} job;

static int32_t grey_at(const job *j, int32_t x, int32_t y)
{
    return grey_of(&j->header, j->pixels + (int64_t)y * j->header.pitch_bytes, x);
}

static int is_set(const job *j, int32_t x, int32_t y)
{
    return j->mask[(int64_t)y * j->header.width_px + x] != 0;
}

static void add_edge(job *j, int32_t x, int32_t y, int32_t grey)
{
    const int32_t s = j->scale.step;
    if (x < s || y < s || x >= j->header.width_px - s || y >= j->header.height_px - s ||
        !(is_set(j, x, y) || is_set(j, x - s, y) || is_set(j, x + s, y) || is_set(j, x, y - s) ||
          is_set(j, x, y + s)))
        return;
    const int64_t laplacian =
        4 * grey - grey_at(j, x - s, y) - grey_at(j, x + s, y) - grey_at(j, x, y - s) - grey_at(j, x, y + s);
    j->sums.n_pixels++;
    j->sums.laplacian += laplacian;
    j->sums.laplacian_squares += laplacian * laplacian;
    j->sums.grey += grey;
    j->sums.grey_squares += (int64_t)grey * grey;
}

static void add_rank(job *j, int32_t x, int32_t y, int32_t grey)
{
    if (!j->columns[x])
        return;
    const sono_echo_run run = echo_run_of(j->columns[x], j->heights[x]);
    const int32_t band = is_set(j, x, y) ? SONO_ECHO_INSIDE : echo_band_of(run, j->scale, y);
    if (band != SONO_ECHO_NONE)
        j->histograms[band][grey]++;
}

static void add_pixels(job *j)
{
    for (int32_t y = 0; y < j->header.height_px; y++)
        for (int32_t x = 0; x < j->header.width_px; x++) {
            const int32_t grey = grey_at(j, x, y);
            j->fingerprint += fingerprint_of((int64_t)y * j->header.width_px + x, grey);
            add_edge(j, x, y, grey);
            add_rank(j, x, y, grey);
        }
}

static int32_t rank_of(const job *j, int32_t band)
{
    const int64_t *inside = j->histograms[SONO_ECHO_INSIDE], *outside = j->histograms[band];
    int64_t n_inside = 0, n_darker = 0; /* n_darker: of those outside, and in the end all of them */
    uint64_t twice_u = 0;
    for (int32_t level = 0; level < SONO_ECHO_LEVELS; level++) {
        twice_u += (uint64_t)inside[level] * (uint64_t)(2 * n_darker + outside[level]);
        n_inside += inside[level];
        n_darker += outside[level];
    }
    return echo_rank(twice_u, n_inside, n_darker);
}

/* From the first to the last column with mask. */
static sono_echo_columns columns_of_mask(const job *j)
{
    sono_echo_columns columns = {0, j->header.width_px};
    while (!j->columns[columns.first])
        columns.first++;
    while (!j->columns[columns.end - 1])
        columns.end--;
    return columns;
}

static int32_t continuity_of(const job *j, const sono_detection *box)
{
    sono_echo_columns columns = echo_columns_of(box, j->header.width_px);
    int32_t n_together = 0;
    if (columns.first == columns.end)
        columns = columns_of_mask(j);
    for (int32_t x = columns.first; x + 1 < columns.end; x++)
        n_together += echo_hangs_together(j->columns[x], j->heights[x], j->columns[x + 1], j->heights[x + 1]);
    return echo_continuity(n_together, columns.end - columns.first - 1);
}

static void write_echo(const job *j, const sono_detection *box, int32_t echo[SONO_ECHO_INTS])
{
    int32_t area_px = 0;
    for (int32_t x = 0; x < j->header.width_px; x++)
        area_px += j->columns[x];
    memset(echo, 0, SONO_ECHO_INTS * sizeof *echo);
    echo[SONO_ECHO_SHARPNESS] = area_px ? echo_sharpness(&j->sums) : -1;
    echo[SONO_ECHO_CONTRAST] = area_px ? rank_of(j, SONO_ECHO_ABOVE) : -1;
    echo[SONO_ECHO_SHADOW] = area_px ? rank_of(j, SONO_ECHO_BELOW) : -1;
    echo[SONO_ECHO_CONTINUITY] = area_px ? continuity_of(j, box) : -1;
    echo[SONO_ECHO_FINGERPRINT_LOW] = (int32_t)(uint32_t)j->fingerprint;
    echo[SONO_ECHO_FINGERPRINT_HIGH] = (int32_t)(uint32_t)(j->fingerprint >> 32);
    echo[SONO_ECHO_AREA_PX] = area_px;
}

static void run_frame(void *context, int64_t frame, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_cpu_tensor *profile = &call->in[3], *detections = &call->in[4], *out = &call->out[0];
    job j = {.columns = (const int32_t *)profile->data + frame * profile->batch_stride};
    sono_detection box;
    (void)thread;
    memcpy(&j.header, (const sono_frame_header *)call->in[1].data + frame, sizeof j.header);
    memcpy(&box, (const float *)detections->data + frame * detections->batch_stride, sizeof box);
    j.heights = j.columns + profile->c;
    j.pixels = frame_pixels_of(call->in[0].data, &j.header);
    j.mask = (const uint8_t *)call->in[2].data + j.header.maps_at_bytes;
    j.scale = echo_scale_of(j.header.height_px);
    add_pixels(&j);
    write_echo(&j, &box, (int32_t *)out->data + frame * out->batch_stride);
}

void SONO_KERNEL(sono_cpu_echo_parts)(const sono_cpu_call *call)
{
    sono_pool_run(call->pool, run_frame, (void *)call, call->out[0].n);
}
