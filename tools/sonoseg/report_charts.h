// SPDX-License-Identifier: Apache-2.0
/* Plots of a series: as places in the page, and as the numbers that the page's script draws there. */
#ifndef SONOSEG_TOOL_REPORT_CHARTS_H
#define SONOSEG_TOOL_REPORT_CHARTS_H

#include "report.h"

#define REPORT_POINTS                                                                                        \
    1500 /* of a line at most: above, each step shows the smallest and the largest of its frames */
#define REPORT_BINS 40

/* The time axis of a series: seconds since its first frame, where all times are known and none goes back;
 * else frames. */
typedef struct report_axis {
    int is_time;
    double start_s;
} report_axis;

report_axis report_axis_of(const report_series *series);

/* A lane a state, as an inline SVG. */
void report_write_timeline(FILE *stream, const report_series *series);

/* <figure>s with a <canvas> each, for what the series has. */
void report_write_charts(FILE *stream, const report_series *series, int number);

/* Their numbers, one JSON array for all series. */
void report_write_chart_data(FILE *stream, const report *self);

#endif
