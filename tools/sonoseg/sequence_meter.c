// SPDX-License-Identifier: Apache-2.0
#include "sequence_meter.h"

#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_NS      40000000 /* from frame to frame where timestamps are unknown */
#define STILL_MM      0.05     /* a probe that moved less stands still, ... */
#define STILL_EIGHTHS 4        /* ... and without poses, an outline that moved by at most so many 1/8 px */
#define MIN_COLUMNS   8        /* that two frames must share for the jitter of the surface */
#define N_POSE        12

static double overlap(const float a[4], const float b[4])
{
    const double width = fmin((double)a[2], (double)b[2]) - fmax((double)a[0], (double)b[0]);
    const double height = fmin((double)a[3], (double)b[3]) - fmax((double)a[1], (double)b[1]);
    return width > 0 && height > 0 ? width * height : 0;
}

/* The structure that the box overlaps most, the first where there is none that it does. */
static int matching_structure(const sono_truth *truth, const float *box)
{
    int best = 0;
    for (int k = 1; k < truth->n_structures; k++)
        if (overlap(truth->structures[k].bbox_xyxy_px, box) >
            overlap(truth->structures[best].bbox_xyxy_px, box))
            best = k;
    return best;
}

static void copy_truth(const sono_truth *truth, int structure, sequence_frame *out)
{
    out->has_truth = 1;
    out->kind = (int32_t)truth->event;
    out->is_visible = truth->is_visible;
    out->is_borderline = truth->is_borderline;
    out->stale_ms = (int32_t)lround(truth->stale_s * 1000);
    if (truth->n_structures)
        memcpy(out->true_bbox_xyxy_px, truth->structures[structure].bbox_xyxy_px,
               sizeof out->true_bbox_xyxy_px);
}

static int reserve(sequence_meter *self, int32_t width_px)
{
    if (width_px <= self->capacity_px)
        return 0;
    const size_t n_bytes = (size_t)width_px * sizeof(double);
    double *errors = realloc(self->errors_mm, n_bytes);
    self->errors_mm = errors ? errors : self->errors_mm;
    double *last = realloc(self->last_mm, n_bytes);
    self->last_mm = last ? last : self->last_mm;
    if (!errors || !last)
        return -1;
    self->capacity_px = width_px;
    return 0;
}

static void count_error(double error_mm, sequence_frame *out)
{
    const double bin = fabs(error_mm) / SEQUENCE_BIN_MM;
    out->surface_bins[bin < SEQUENCE_SURFACE_BINS ? (int)bin : SEQUENCE_SURFACE_BINS - 1]++;
}

/* Fills in errors_mm. true_px: NULL = unknown, the depth itself counts. */
static void measure_surface(sequence_meter *self, const sequence_result *result, const float *true_px,
                            sequence_frame *out)
{
    const double mm = result->info->spacing_mm[1];
    for (int32_t x = 0; x < result->width_px; x++) {
        const double found = result->surface_px ? (double)result->surface_px[x] : -1;
        const double real = true_px ? (double)true_px[x] : 0;
        out->n_true_columns += true_px && real >= 0;
        self->errors_mm[x] = (double)NAN;
        if (found < 0 || real < 0 || !(mm > 0))
            continue;
        self->errors_mm[x] = (found - real) * mm;
        if (true_px)
            count_error(self->errors_mm[x], out);
    }
}

/* The median of how far errors moved in the columns of both frames. */
static int measure_jitter(const sequence_meter *self, const sequence_result *result, sequence_frame *out)
{
    samples moves = {0};
    int has_failed = 0;
    for (int32_t x = 0; x < result->width_px; x++)
        if (!isnan(self->errors_mm[x]) && !isnan(self->last_mm[x]))
            has_failed |= samples_add(&moves, fabs(self->errors_mm[x] - self->last_mm[x]));
    if (moves.count >= MIN_COLUMNS)
        out->surface_jitter_mm = samples_percentile(&moves, 50);
    samples_free(&moves);
    return has_failed;
}

/* Whether nothing moved, as far as poses or the outline say. */
static int is_still(const sequence_meter *self, const sequence_result *result)
{
    const sono_parts *parts = result->parts;
    if (!result->info->has_pose || !self->had_pose)
        return parts->agreement >= 0 && abs(parts->moved_x) <= STILL_EIGHTHS &&
               abs(parts->moved_y) <= STILL_EIGHTHS;
    double worst_mm = 0;
    for (int i = 0; i < N_POSE; i++)
        worst_mm = fmax(worst_mm, fabs((double)(result->info->image_to_reference[i] - self->last_pose[i])));
    return worst_mm <= STILL_MM;
}

static void keep(sequence_meter *self, const sequence_result *result, int32_t sweep)
{
    double *last = self->last_mm;
    self->last_mm = self->errors_mm;
    self->errors_mm = last;
    self->last_width_px = result->width_px;
    self->sweep = sweep;
    self->had_pose = result->info->has_pose;
    memcpy(self->last_pose, result->info->image_to_reference, sizeof self->last_pose);
    self->n_frames++;
}

int sequence_measure(sequence_meter *self, const sequence_result *result, const sono_truth *truth,
                     int32_t sweep, sequence_frame *out)
{
    const int has_last = self->n_frames && self->sweep == sweep && self->last_width_px == result->width_px;
    const int structure = truth ? matching_structure(truth, result->bbox_xyxy_px) : 0;
    const float *true_px = truth ? truth->surface_px[structure] : NULL;
    *out = (sequence_frame){
        .sweep = sweep,
        .time_ns = result->info->timestamp_ns ? result->info->timestamp_ns : (self->n_frames + 1) * FRAME_NS,
        .quality = result->quality,
        .score = result->score,
        .has_box = result->mask_area_px > 0,
        .surface_jitter_mm = (double)NAN,
    };
    memcpy(out->bbox_xyxy_px, result->bbox_xyxy_px, sizeof out->bbox_xyxy_px);
    if (truth)
        copy_truth(truth, structure, out);
    if (reserve(self, result->width_px))
        return -1;
    measure_surface(self, result, true_px, out);
    if (has_last) {
        out->is_still = is_still(self, result);
        if (measure_jitter(self, result, out))
            return -1;
        if (!truth && !out->is_still)
            out->surface_jitter_mm = (double)NAN;
    }
    keep(self, result, sweep);
    return 0;
}

void sequence_meter_free(sequence_meter *self)
{
    free(self->errors_mm);
    free(self->last_mm);
    *self = (sequence_meter){0};
}
