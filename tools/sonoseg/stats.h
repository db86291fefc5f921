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

/* Room for `capacity` numbers in all, its pages written, so that adding so many takes no memory from the
 * system. 0, or -1 when out of memory. */
int samples_reserve(samples *list, size_t capacity);

/* Sorts the list; linear interpolation between neighbours; 0 when empty. percent in [0, 100]. */
double samples_percentile(samples *list, double percent);

void samples_free(samples *list);

double now_s(void); /* monotonic */

void sleep_until_s(double at_s); /* of now_s()'s clock; returns at once when that has passed */

#endif
