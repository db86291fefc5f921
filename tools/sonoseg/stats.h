// SPDX-License-Identifier: Apache-2.0
/* A growing list of numbers and its percentiles. */
#ifndef SONOSEG_TOOL_STATS_H
#define SONOSEG_TOOL_STATS_H

#include <stddef.h>

typedef struct samples {
    double *values;
    size_t count;
    size_t capacity;
} samples;

int samples_add(samples *list, double value); /* 0, or -1 when out of memory */

/* Sorts the list; linear interpolation between neighbours; 0 when empty. percent in [0, 100]. */
double samples_percentile(samples *list, double percent);

void samples_free(samples *list);

double now_s(void); /* monotonic */

#endif
