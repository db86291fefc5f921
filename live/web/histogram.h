// SPDX-License-Identifier: Apache-2.0
/*
 * How long things took. `buckets`: a span's place on a scale of eight steps an octave from 1 microsecond to
 * 67 s, so that a quantile is known within 4.5 %; `bounds`: the few of a Prometheus histogram. Pure.
 */
#ifndef SONO_WEB_HISTOGRAM_H
#define SONO_WEB_HISTOGRAM_H

#include <stdint.h>

#define SONO_WEB_BUCKETS 208 /* 26 octaves */
#define SONO_WEB_BOUNDS  14

/* Upper bounds in seconds; the last is infinite. */
extern const double sono_web_bounds_s[SONO_WEB_BOUNDS];

/* Everything since the start, for Prometheus. */
typedef struct sono_web_totals {
    uint64_t n[SONO_WEB_BOUNDS]; /* in the bound's own step, not below it */
    double sum_s;
} sono_web_totals;

typedef struct sono_web_window {
    uint32_t n[SONO_WEB_BUCKETS];
    uint64_t n_all;
} sono_web_window;

typedef struct sono_web_quantiles {
    uint64_t n;                /* 0: the others are NaN */
    double p50, p95, p99, max; /* milliseconds */
} sono_web_quantiles;

/* The place of a span on the scale, [0, SONO_WEB_BUCKETS); negative spans are 0. */
int32_t sono_web_bucket(int64_t span_ns);
/* The middle of a bucket, in milliseconds. */
double sono_web_bucket_ms(int32_t bucket);
void sono_web_totals_add(sono_web_totals *totals, int64_t span_ns);
/* The least value that so great a share (0, 1] of the spans does not exceed; NaN without spans. */
double sono_web_window_ms(const sono_web_window *window, double share);
/* max is that of the bucket of the longest one. */
sono_web_quantiles sono_web_window_quantiles(const sono_web_window *window);

#endif
