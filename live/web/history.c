// SPDX-License-Identifier: Apache-2.0
#include "web/history.h"

#include <stdio.h>
#include <string.h>

const char *sono_web_stage_name(sono_web_stage stage)
{
    static const char *const names[] = {
#define SONO_WEB_STAGE_TEXT(name, text) text,
        SONO_WEB_STAGE_MAP(SONO_WEB_STAGE_TEXT)
#undef SONO_WEB_STAGE_TEXT
    };
    return (unsigned)stage < SONO_WEB_STAGE_COUNT ? names[stage] : "";
}

void sono_web_history_init(sono_web_history *history)
{
    memset(history, 0, sizeof *history);
}

static void add(sono_web_history *history, sono_web_stage stage, int64_t span_ns)
{
    const int32_t bucket = sono_web_bucket(span_ns);
    uint16_t *n = &history->spans_of[history->second][stage][bucket];
    sono_web_totals_add(&history->totals[stage], span_ns);
    if (*n == UINT16_MAX) {
        return;
    }
    ++*n;
    history->minute[stage].n[bucket]++;
    history->minute[stage].n_all++;
    history->all[stage].n[bucket]++;
    history->all[stage].n_all++;
}

static void arrive(sono_web_history *history, sono_web_trip *trip, int64_t last_ns)
{
    add(history, SONO_WEB_STAGE_SENDING, last_ns - trip->shown_ns);
    if (!trip->sent_ns) {
        trip->sent_ns = last_ns;
    }
}

void sono_web_history_trip(sono_web_history *history, const sono_web_trip *trip)
{
    sono_web_trip *kept = &history->trips[history->n_trips++ % SONO_WEB_TRIPS];
    *kept = *trip;
    add(history, SONO_WEB_STAGE_END_TO_END, trip->shown_ns - trip->received_ns);
    add(history, SONO_WEB_STAGE_WAITING, trip->submitted_ns - trip->received_ns);
    add(history, SONO_WEB_STAGE_ENGINE, trip->done_ns - trip->submitted_ns);
    add(history, SONO_WEB_STAGE_SHOWING, trip->shown_ns - trip->done_ns);
    for (uint64_t i = 0; i < history->n_early; i++) {
        if (history->early[i].frame == trip->frame) {
            arrive(history, kept, history->early[i].last_ns);
        }
    }
    history->n_early = 0;
}

void sono_web_history_sent(sono_web_history *history, uint64_t frame, int64_t last_ns)
{
    const uint64_t n = history->n_trips < SONO_WEB_TRIPS ? history->n_trips : SONO_WEB_TRIPS;
    for (uint64_t i = 1; i <= n; i++) {
        sono_web_trip *trip = &history->trips[(history->n_trips - i) % SONO_WEB_TRIPS];
        if (trip->frame == frame) {
            arrive(history, trip, last_ns);
            return;
        }
    }
    const int is_newer = !n || frame > history->trips[(history->n_trips - 1) % SONO_WEB_TRIPS].frame;
    if (is_newer && history->n_early < SONO_WEB_EARLY) {
        history->early[history->n_early].frame = frame;
        history->early[history->n_early++].last_ns = last_ns;
    }
}

int sono_web_history_state(sono_web_history *history, int64_t utc_ns, const char *state, const char *fault)
{
    const sono_web_span *last = sono_web_history_span(history, 0);
    if (last && !strcmp(last->state, state) && !strcmp(last->fault, fault)) {
        return 0;
    }
    sono_web_span *span = &history->spans[history->n_spans++ % SONO_WEB_SPANS];
    *span = (sono_web_span){.from_utc_ns = utc_ns};
    snprintf(span->state, sizeof span->state, "%s", state);
    snprintf(span->fault, sizeof span->fault, "%s", fault);
    return 1;
}

/* What a row holds leaves a window. */
static void leave(sono_web_history *history, sono_web_window *windows, int32_t row)
{
    for (int stage = 0; stage < SONO_WEB_STAGE_COUNT; stage++) {
        for (int32_t i = 0; i < SONO_WEB_BUCKETS; i++) {
            const uint16_t n = history->spans_of[row][stage][i];
            windows[stage].n[i] -= n;
            windows[stage].n_all -= n;
        }
    }
}

static sono_web_window window_of(const sono_web_history *history, int stage)
{
    sono_web_window window = {.n_all = 0};
    for (int32_t i = 0; i < SONO_WEB_BUCKETS; i++) {
        window.n[i] = history->spans_of[history->second][stage][i];
        window.n_all += window.n[i];
    }
    return window;
}

void sono_web_history_second(sono_web_history *history, const sono_web_point *point)
{
    sono_web_point *kept = &history->points[history->n_points++ % SONO_WEB_SECONDS];
    *kept = *point;
    for (int stage = 0; stage < SONO_WEB_STAGE_COUNT; stage++) {
        const sono_web_window window = window_of(history, stage);
        kept->p95_ms[stage] = sono_web_window_ms(&window, 0.95);
        if (stage == SONO_WEB_STAGE_END_TO_END) {
            kept->latency_ms[0] = sono_web_window_ms(&window, 0.5);
            kept->latency_ms[1] = kept->p95_ms[stage];
            kept->latency_ms[2] = sono_web_window_ms(&window, 0.99);
        }
    }
    history->second = (history->second + 1) % SONO_WEB_SECONDS;
    leave(history, history->minute,
          (history->second + SONO_WEB_SECONDS - SONO_WEB_MINUTE) % SONO_WEB_SECONDS);
    leave(history, history->all, history->second);
    memset(history->spans_of[history->second], 0, sizeof history->spans_of[0]);
}

const sono_web_point *sono_web_history_point(const sono_web_history *history, uint64_t n)
{
    const int is_there = n < history->n_points && n < SONO_WEB_SECONDS;
    return is_there ? &history->points[(history->n_points - 1 - n) % SONO_WEB_SECONDS] : NULL;
}

const sono_web_trip *sono_web_history_trip_at(const sono_web_history *history, uint64_t n)
{
    const int is_there = n < history->n_trips && n < SONO_WEB_TRIPS;
    return is_there ? &history->trips[(history->n_trips - 1 - n) % SONO_WEB_TRIPS] : NULL;
}

const sono_web_span *sono_web_history_span(const sono_web_history *history, uint64_t n)
{
    const int is_there = n < history->n_spans && n < SONO_WEB_SPANS;
    return is_there ? &history->spans[(history->n_spans - 1 - n) % SONO_WEB_SPANS] : NULL;
}
