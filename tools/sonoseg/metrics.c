// SPDX-License-Identifier: Apache-2.0
#include "metrics.h"

#include "surface.h"

#include <math.h>
#include <stdlib.h>

#define N_LABELS         256
#define SURFACE_PERCENT  95
#define RECALL_STEP      0.01
#define N_RECALLS        101
#define N_IOU_THRESHOLDS 10
#define FIRST_IOU        0.5
#define IOU_STEP         0.05

static size_t pixel_count(const metrics_truth *truth)
{
    return (size_t)truth->width_px * (size_t)truth->height_px;
}

metrics_overlap metrics_mask_overlap(const uint8_t *mask, const metrics_truth *truth)
{
    int64_t n_label[N_LABELS] = {0}, n_both[N_LABELS] = {0}, n_mask = 0;
    const size_t n_pixels = pixel_count(truth);
    for (size_t i = 0; i < n_pixels; i++) {
        const int is_inside = mask[i] != 0;
        n_label[truth->labels[i]]++;
        n_both[truth->labels[i]] += is_inside;
        n_mask += is_inside;
    }
    metrics_overlap best = {0};
    for (int32_t label = 1; label < N_LABELS; label++) {
        if (!n_label[label])
            continue;
        const double iou = (double)n_both[label] / (double)(n_mask + n_label[label] - n_both[label]);
        if (!best.label || iou > best.iou)
            best =
                (metrics_overlap){label, iou, 2 * (double)n_both[label] / (double)(n_mask + n_label[label])};
    }
    return best;
}

typedef struct span {
    int32_t x1, y1, x2, y2; /* x2, y2: one behind the last; 0 = nothing yet */
} span;

static void find_boxes(const metrics_truth *truth, span boxes[N_LABELS])
{
    const uint8_t *label = truth->labels;
    for (int32_t y = 0; y < truth->height_px; y++)
        for (int32_t x = 0; x < truth->width_px; x++, label++) {
            span *box = &boxes[*label];
            if (!box->y2)
                *box = (span){x, y, x + 1, y + 1};
            box->x1 = x < box->x1 ? x : box->x1;
            box->x2 = x >= box->x2 ? x + 1 : box->x2;
            box->y2 = y + 1;
        }
}

static double area(double x1, double y1, double x2, double y2)
{
    return x2 > x1 && y2 > y1 ? (x2 - x1) * (y2 - y1) : 0;
}

double metrics_box_iou(const float bbox_xyxy_px[4], const metrics_truth *truth)
{
    span boxes[N_LABELS] = {{0}};
    find_boxes(truth, boxes);
    const double x1 = (double)bbox_xyxy_px[0], y1 = (double)bbox_xyxy_px[1];
    const double x2 = (double)bbox_xyxy_px[2], y2 = (double)bbox_xyxy_px[3];
    double best = 0;
    for (int32_t label = 1; label < N_LABELS; label++) {
        const span *box = &boxes[label];
        if (!box->y2)
            continue;
        const double both = area(fmax(x1, box->x1), fmax(y1, box->y1), fmin(x2, box->x2), fmin(y2, box->y2));
        const double either = area(x1, y1, x2, y2) + area(box->x1, box->y1, box->x2, box->y2) - both;
        best = fmax(best, both / either);
    }
    return best;
}

static int shows_structure(const metrics_truth *truth)
{
    const size_t n_pixels = pixel_count(truth);
    for (size_t i = 0; i < n_pixels; i++)
        if (truth->labels[i])
            return 1;
    return 0;
}

static int measure_surface(const uint8_t *mask, const metrics_truth *truth, int32_t label, double *out)
{
    samples distances = {0};
    const surface_region found = {mask, UINT8_MAX}, real = {truth->labels, (uint8_t)label};
    const int result = surface_distances(found, real, truth->width_px, truth->height_px, &distances);
    if (!result)
        *out = samples_percentile(&distances, SURFACE_PERCENT);
    samples_free(&distances);
    return result;
}

int metrics_measure(const sono_object *best, const uint8_t *mask, const metrics_truth *truth, float threshold,
                    metrics_frame *out)
{
    *out = (metrics_frame){
        .is_positive = shows_structure(truth),
        .is_found = best->score >= threshold,
        .score = (double)best->score,
        .iou_predicted = (double)best->iou_predicted,
        .box_iou = metrics_box_iou(best->bbox_xyxy_px, truth),
        .surface95_px = NAN,
    };
    if (!out->is_positive || !out->is_found)
        return 0;
    const metrics_overlap overlap = metrics_mask_overlap(mask, truth);
    out->mask_iou = overlap.iou;
    out->dice = overlap.dice;
    return best->mask_area_px ? measure_surface(mask, truth, overlap.label, &out->surface95_px) : 0;
}

static int compare_scores(const void *left, const void *right)
{
    const metrics_frame *a = *(const metrics_frame *const *)left, *b = *(const metrics_frame *const *)right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a > b) - (a < b);
}

static int is_match(const metrics_frame *frame, double iou_threshold)
{
    return frame->is_positive && frame->box_iou >= iou_threshold;
}

/* COCO's average precision: precision made to fall with recall, read at the recalls 0, 0.01 ... 1, which are
 * the products that COCO compares with. order: by score. precision: room for n_frames values. */
static double average_precision(const metrics_frame *const *order, size_t n_frames, int64_t n_positive,
                                double iou_threshold, double *precision)
{
    int64_t n_true = 0;
    for (size_t i = 0; i < n_frames; i++) {
        n_true += is_match(order[i], iou_threshold);
        precision[i] = (double)n_true / (double)(i + 1);
    }
    for (size_t i = n_frames; i-- > 1;)
        precision[i - 1] = fmax(precision[i - 1], precision[i]);
    double sum = 0;
    int k = 0;
    n_true = 0;
    for (size_t i = 0; i < n_frames; i++) {
        n_true += is_match(order[i], iou_threshold);
        for (; k < N_RECALLS && (double)n_true / (double)n_positive >= k * RECALL_STEP; k++)
            sum += precision[i];
    }
    return sum / N_RECALLS;
}

static int summarise_boxes(const metrics_frame *frames, size_t n_frames, metrics_summary *out)
{
    out->ap50 = out->ap50_95 = NAN;
    if (!out->n_positive)
        return 0;
    const metrics_frame **order = malloc(n_frames * sizeof *order);
    double *precision = malloc(n_frames * sizeof *precision);
    const int result = order && precision ? 0 : -1;
    if (!result) {
        double sum = 0;
        for (size_t i = 0; i < n_frames; i++)
            order[i] = &frames[i];
        qsort(order, n_frames, sizeof *order, compare_scores);
        for (int k = N_IOU_THRESHOLDS; k-- > 0;) {
            out->ap50 =
                average_precision(order, n_frames, out->n_positive, FIRST_IOU + k * IOU_STEP, precision);
            sum += out->ap50;
        }
        out->ap50_95 = sum / N_IOU_THRESHOLDS;
    }
    free(order);
    free(precision);
    return result;
}

/* Sums over the frames become means. */
static void summarise_masks(const metrics_frame *frames, size_t n_frames, metrics_summary *out)
{
    int64_t n_found = 0, n_alarms = 0;
    for (size_t i = 0; i < n_frames; i++) {
        const metrics_frame *frame = &frames[i];
        out->iou_mean += frame->mask_iou;
        out->dice_mean += frame->dice;
        n_alarms += !frame->is_positive && frame->is_found;
        if (!isnan(frame->surface95_px)) {
            out->surface95_px += frame->surface95_px;
            out->n_surface++;
        }
        if (frame->is_positive && frame->is_found) {
            out->iou_error += fabs(frame->iou_predicted - frame->mask_iou);
            n_found++;
        }
    }
    out->iou_mean /= (double)out->n_positive;
    out->dice_mean /= (double)out->n_positive;
    out->surface95_px /= (double)out->n_surface;
    out->iou_error /= (double)n_found;
    out->found_share = (double)n_found / (double)out->n_positive;
    out->false_alarm_share = (double)n_alarms / (double)out->n_empty;
}

static void summarise_calibration(const metrics_frame *frames, size_t n_frames, metrics_summary *out)
{
    for (size_t i = 0; i < n_frames; i++) {
        const int place = (int)(frames[i].score * METRICS_BINS);
        metrics_bin *bin = &out->bins[place < METRICS_BINS ? place : METRICS_BINS - 1];
        bin->n++;
        bin->score += frames[i].score;
        bin->iou += frames[i].box_iou;
        bin->right += is_match(&frames[i], FIRST_IOU);
    }
    for (int i = 0; i < METRICS_BINS; i++) {
        metrics_bin *bin = &out->bins[i];
        out->ece += fabs(bin->score - bin->iou);
        out->ece_right += fabs(bin->score - bin->right);
        bin->score /= (double)bin->n;
        bin->iou /= (double)bin->n;
        bin->right /= (double)bin->n;
    }
    out->ece /= (double)n_frames;
    out->ece_right /= (double)n_frames;
}

static void summarise_choices(const metrics_frame *frames, size_t n_frames, metrics_summary *out)
{
    for (int k = 0; k < METRICS_THRESHOLDS; k++) {
        metrics_choice *choice = &out->choices[k];
        const float threshold = (float)(k + 1) / (METRICS_THRESHOLDS + 1);
        int64_t n[2] = {0};
        for (size_t i = 0; i < n_frames; i++)
            n[frames[i].is_positive] += frames[i].score >= (double)threshold;
        *choice = (metrics_choice){(double)threshold, (double)n[1] / (double)out->n_positive,
                                   (double)n[0] / (double)out->n_empty};
    }
}

int metrics_summarise(const metrics_frame *frames, size_t n_frames, float threshold, metrics_summary *out)
{
    *out = (metrics_summary){.n_frames = (int64_t)n_frames, .threshold = (double)threshold};
    for (size_t i = 0; i < n_frames; i++)
        out->n_positive += frames[i].is_positive;
    out->n_empty = out->n_frames - out->n_positive;
    summarise_masks(frames, n_frames, out);
    summarise_calibration(frames, n_frames, out);
    summarise_choices(frames, n_frames, out);
    return summarise_boxes(frames, n_frames, out);
}
