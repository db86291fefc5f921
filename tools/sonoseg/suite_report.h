// SPDX-License-Identifier: Apache-2.0
/* What the suite found, as text and as JSON. What was not measured is "-" in a table and null in JSON. */
#ifndef SONOSEG_TOOL_SUITE_REPORT_H
#define SONOSEG_TOOL_SUITE_REPORT_H

#include "metrics.h"
#include "real_frames.h"
#include "suite_sets.h"

#include "sonoseg/sonoseg.h"

#include <stdio.h>

#define SUITE_PRECISIONS   2
#define SUITE_NAME_BYTES   96
#define SUITE_WORST        5  /* frames that are named */
#define SUITE_FLANK_PX     10 /* of what is counted as far off */
#define SUITE_REASON_BYTES 256

typedef struct suite_frame {
    char name[SUITE_NAME_BYTES];
    int is_visible;
    double score;
    int has_marks;
    double flank_px[FLANK_COUNT]; /* with marks (flanks.h) */
} suite_frame;

/* Of real frames, which have no outline to compare with. */
typedef struct suite_real {
    int64_t n_frames, n_visible;
    double score_low, score_median, score_high;
    int64_t n_flanks; /* with marks */
    double flank_median_px, flank_worst_px;
    int64_t n_far;                  /* frames of which a flank is more than SUITE_FLANK_PX off */
    suite_frame worst[SUITE_WORST]; /* by score: the highest where there is no bone, else the lowest */
    int n_worst;
} suite_real;

typedef struct suite_result {
    int is_measured;
    char reason[SUITE_REASON_BYTES]; /* why it was not */
    metrics_summary phantom[SUITE_PRECISIONS];
    suite_real real[SUITE_PRECISIONS];
} suite_result;

typedef struct suite_report {
    sono_pipeline_info info; /* of the first precision */
    sono_precision precisions[SUITE_PRECISIONS];
    int n_precisions;
    double threshold;
    int32_t fold;
    const char *state_mode;
    const char *only_one; /* why there is no second precision; NULL = none was asked for, or it is there */
    uint32_t sets;        /* that were asked for */
    suite_result results[SUITE_SET_COUNT];
} suite_report;

/* frames are sorted by falling score. Returns 0, or -1 when out of memory. */
int suite_real_summarise(suite_frame *frames, size_t n_frames, int has_bone, suite_real *out);

void suite_report_table(FILE *stream, const suite_report *report);

/* The members of an object, without its braces. */
void suite_report_json(FILE *stream, const suite_report *report);

#endif
