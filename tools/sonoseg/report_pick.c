// SPDX-License-Identifier: Apache-2.0
#include "report_pick.h"

#include <math.h>
#include <string.h>

/* The n frames with the smallest keys, earlier ones first among equals. */
typedef struct smallest {
    size_t *frames;
    double keys[REPORT_MAX_PICKS];
    int n, most;
} smallest;

static void offer(smallest *self, size_t frame, double key)
{
    int at = self->n;
    if (isnan(key) || self->most < 1 || (self->n == self->most && key >= self->keys[self->n - 1]))
        return;
    self->n += self->n < self->most;
    at = at < self->n ? at : self->n - 1;
    for (; at > 0 && key < self->keys[at - 1]; at--) {
        self->keys[at] = self->keys[at - 1];
        self->frames[at] = self->frames[at - 1];
    }
    self->keys[at] = key;
    self->frames[at] = frame;
}

static uint64_t pick_flips(const report_series *series, smallest *out)
{
    uint64_t n_flips = 0;
    size_t since = 0; /* the last flip; 0 = none */
    for (size_t i = 1; i < series->n_frames; i++) {
        const int before = series->frames[i - 1].state, now = series->frames[i].state;
        if (before == REPORT_UNKNOWN || now == REPORT_UNKNOWN || before == now)
            continue;
        if (since)
            offer(out, since, (double)(i - since));
        since = i;
        n_flips++;
    }
    if (since)
        offer(out, since, (double)(series->n_frames - since));
    return n_flips;
}

void report_pick(const report_series *series, int n_worst, int n_strip, report_picks *out)
{
    smallest lists[REPORT_STRIP];
    memset(out, 0, sizeof *out);
    for (int i = 0; i < REPORT_STRIP; i++) {
        lists[i].frames = out->frames[i];
        lists[i].n = 0;
        lists[i].most = n_worst;
    }
    for (size_t i = 0; i < series->n_frames; i++) {
        offer(&lists[REPORT_LOWEST], i, (double)series->frames[i].values[REPORT_SCORE]);
        offer(&lists[REPORT_SLOWEST], i, -(double)series->frames[i].values[REPORT_LATENCY]);
    }
    out->n_flips = pick_flips(series, &lists[REPORT_FLIPS]);
    for (int i = 0; i < REPORT_STRIP; i++)
        out->n[i] = lists[i].n;
    const size_t n = series->n_frames < (size_t)n_strip ? series->n_frames : (size_t)n_strip;
    for (size_t i = 0; i < n; i++)
        out->frames[REPORT_STRIP][i] = n > 1 ? i * (series->n_frames - 1) / (n - 1) : 0;
    out->n[REPORT_STRIP] = (int)n;
}
