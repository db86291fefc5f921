// SPDX-License-Identifier: Apache-2.0
/* One set of the suite through the pipelines that are open. */
#ifndef SONOSEG_TOOL_SUITE_RUN_H
#define SONOSEG_TOOL_SUITE_RUN_H

#include "evaluate_suite.h"
#include "feed.h"
#include "suite_frames.h"

typedef struct suite {
    pipeline_args *args;
    const suite_options *options;
    const char *output, *json_path;
    const char *real; /* folder; NULL = none */
    int32_t n_frames;
    sono_pipeline *pipelines[SUITE_PRECISIONS];
    int has_opened; /* pipelines, once at least */
    float threshold;
    sono_state_mode state_mode;
    feed *feeds[SUITE_SET_COUNT][SUITE_MAX_PARTS]; /* NULL = not open */
    feed *feed;                                    /* that is being run */
    suite_frames frames;                           /* of the set that is being run */
    suite_report report;
} suite;

/* Beside a GPU all sets are drawn at once, each by a thread. One that cannot be opened says so when its turn
 * comes. */
void suite_open_feeds(suite *self);

void suite_close_feeds(suite *self);

/* Runs the set and puts its figures into the report. Returns an exit status. */
int suite_run_set(suite *self, suite_set set);

#endif
