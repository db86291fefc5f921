// SPDX-License-Identifier: Apache-2.0
/*
 * How good predictions are: one frame against its truth, then the figures of a set of frames. The definitions
 * are docs/evaluation.md's. A figure that nothing was there to measure is NAN.
 */
#ifndef SONOSEG_TOOL_METRICS_H
#define SONOSEG_TOOL_METRICS_H

#include "sonoseg/sonoseg.h"

#define METRICS_BINS       10
#define METRICS_THRESHOLDS 19 /* 0.05, 0.10 ... 0.95 */

/* What a frame really shows: 0 = background, any other value is one structure's. */
typedef struct metrics_truth {
    const uint8_t *labels; /* height_px rows of width_px bytes */
    int32_t width_px, height_px;
} metrics_truth;

/* A mask and the structure that it overlaps most, the lowest label where several do. */
typedef struct metrics_overlap {
    int32_t label; /* 0 = the frame is empty, iou and dice are 0 */
    double iou, dice;
} metrics_overlap;

/* mask: as large as the truth, not 0 = inside. */
metrics_overlap metrics_mask_overlap(const uint8_t *mask, const metrics_truth *truth);

/* IoU of a box and the bounding box it overlaps most; 0 on an empty frame. */
double metrics_box_iou(const float bbox_xyxy_px[4], const metrics_truth *truth);

typedef struct metrics_frame {
    int is_positive; /* the frame shows a structure */
    int is_found;    /* the score reached the threshold */
    double score;
    double iou_predicted;
    double box_iou;        /* whatever the score is */
    double mask_iou, dice; /* 0 unless positive and found */
    double surface95_px;   /* NAN unless positive and found with a mask that is not empty */
} metrics_frame;

/* best: with its box, and its mask, whatever its score is. Returns 0, or -1 when out of memory. */
int metrics_measure(const sono_object *best, const uint8_t *mask, const metrics_truth *truth, float threshold,
                    metrics_frame *out);

typedef struct metrics_bin {
    int64_t n;
    double score, iou; /* means */
    double right; /* share of its frames whose best box is right: IoU of 0.5 or more with a structure's */
} metrics_bin;

/* What another threshold would give. */
typedef struct metrics_choice {
    double threshold, found_share, false_alarm_share;
} metrics_choice;

typedef struct metrics_summary {
    int64_t n_frames, n_positive, n_empty;
    double threshold;
    double ap50, ap50_95;
    double iou_mean, dice_mean;
    double surface95_px; /* mean over n_surface frames */
    int64_t n_surface;
    double found_share;       /* of the positive frames */
    double false_alarm_share; /* of the empty frames */
    double ece;               /* of the score against the box IoU */
    double ece_right;         /* against the share of right boxes */
    double iou_error;
    metrics_bin bins[METRICS_BINS]; /* of the score, a tenth each */
    metrics_choice choices[METRICS_THRESHOLDS];
} metrics_summary;

/* Returns 0, or -1 when out of memory. */
int metrics_summarise(const metrics_frame *frames, size_t n_frames, float threshold, metrics_summary *out);

#endif
