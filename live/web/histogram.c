// SPDX-License-Identifier: Apache-2.0
#include "web/histogram.h"

#include <math.h>

#define STEPS    8 /* an octave */
#define FIRST_NS 1000.0

const double sono_web_bounds_s[SONO_WEB_BOUNDS] = {0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03,
                                                   0.05,  0.1,   0.2,   0.5,   1.0,  5.0,  INFINITY};

int32_t sono_web_bucket(int64_t span_ns)
{
    if (span_ns <= FIRST_NS) {
        return 0;
    }
    const double at = floor(log2((double)span_ns / FIRST_NS) * STEPS);
    return at >= SONO_WEB_BUCKETS ? SONO_WEB_BUCKETS - 1 : (int32_t)at;
}

double sono_web_bucket_ms(int32_t bucket)
{
    return exp2((bucket + 0.5) / STEPS) * FIRST_NS * 1e-6;
}

void sono_web_totals_add(sono_web_totals *totals, int64_t span_ns)
{
    const double s = span_ns > 0 ? (double)span_ns * 1e-9 : 0;
    int at = 0;
    while (s > sono_web_bounds_s[at]) {
        at++;
    }
    totals->n[at]++;
    totals->sum_s += s;
}

double sono_web_window_ms(const sono_web_window *window, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)window->n_all), n = 0;
    if (!window->n_all) {
        return NAN;
    }
    for (int32_t i = 0; i < SONO_WEB_BUCKETS; i++) {
        n += window->n[i];
        if (n >= wanted) {
            return sono_web_bucket_ms(i);
        }
    }
    return sono_web_bucket_ms(SONO_WEB_BUCKETS - 1);
}

sono_web_quantiles sono_web_window_quantiles(const sono_web_window *window)
{
    return (sono_web_quantiles){.n = window->n_all,
                                .p50 = sono_web_window_ms(window, 0.5),
                                .p95 = sono_web_window_ms(window, 0.95),
                                .p99 = sono_web_window_ms(window, 0.99),
                                .max = sono_web_window_ms(window, 1.0)};
}
