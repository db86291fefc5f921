// SPDX-License-Identifier: Apache-2.0
#include "stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int samples_reserve(samples *list, size_t capacity)
{
    if (capacity <= list->capacity)
        return 0;
    double *values = realloc(list->values, capacity * sizeof *values);
    if (!values)
        return -1;
    memset(values + list->count, 0, (capacity - list->count) * sizeof *values);
    list->values = values;
    list->capacity = capacity;
    return 0;
}

int samples_add(samples *list, double value)
{
    if (list->count == list->capacity && samples_reserve(list, list->capacity ? 2 * list->capacity : 256))
        return -1;
    list->values[list->count++] = value;
    return 0;
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double samples_percentile(samples *list, double percent)
{
    if (!list->count)
        return 0;
    qsort(list->values, list->count, sizeof *list->values, compare);
    const double place = percent / 100 * (double)(list->count - 1);
    const size_t below = (size_t)place;
    const size_t above = below + 1 < list->count ? below + 1 : below;
    const double share = place - (double)below;
    return list->values[below] * (1 - share) + list->values[above] * share;
}

void samples_free(samples *list)
{
    free(list->values);
    *list = (samples){0};
}

double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void sleep_until_s(double at_s)
{
    struct timespec at = {.tv_sec = (time_t)at_s};
    at.tv_nsec = (long)((at_s - (double)at.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}
