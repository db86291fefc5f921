// SPDX-License-Identifier: Apache-2.0
/*
 * What the last ten minutes brought: spans of each stage second by second, one point a second, the trips of
 * the last frames, the states over time. Its memory is fixed. One thread at a time.
 */
#ifndef SONO_WEB_HISTORY_H
#define SONO_WEB_HISTORY_H

#include "web/histogram.h"

#define SONO_WEB_SECONDS 600
#define SONO_WEB_MINUTE  60
#define SONO_WEB_TRIPS   256
#define SONO_WEB_SPANS   512
#define SONO_WEB_EARLY   64

/* Parts of a frame's way. NAME, name. */
#define SONO_WEB_STAGE_MAP(X)                                                                                \
    X(END_TO_END, "end_to_end") /* received to queued for the clients */                                     \
    X(WAITING, "waiting")       /* received to submitted to the engine */                                    \
    X(ENGINE, "engine")         /* submitted to done */                                                      \
    X(SHOWING, "showing")       /* done to queued for the clients */                                         \
    X(SENDING, "sending")       /* queued to the last byte taken by the kernel; one a client */

typedef enum sono_web_stage {
#define SONO_WEB_STAGE_ENUM(name, text) SONO_WEB_STAGE_##name,
    SONO_WEB_STAGE_MAP(SONO_WEB_STAGE_ENUM)
#undef SONO_WEB_STAGE_ENUM
        SONO_WEB_STAGE_COUNT
} sono_web_stage;

const char *sono_web_stage_name(sono_web_stage stage);

/* One frame that was shown. Times are monotonic; sent_ns 0 = no client has all of it yet. */
typedef struct sono_web_trip {
    uint64_t frame;
    int64_t received_utc_ns, received_ns, submitted_ns, done_ns, shown_ns, sent_ns;
    int32_t state; /* sono_state */
} sono_web_trip;

/* One second. NaN = unknown. */
typedef struct sono_web_point {
    int64_t utc_ns;
    int32_t level; /* sono_web_level */
    char state[16], fault[24];
    double rate_in_hz, rate_out_hz;
    uint64_t received, processed, dropped;
    uint64_t lost; /* of the dropped: not overtaken, nor dropped because somebody asked for it */
    uint32_t waiting, in_engine, n_clients;
    double latency_ms[3];                /* end to end: p50, p95, p99 */
    double p95_ms[SONO_WEB_STAGE_COUNT]; /* of each stage */
    double gpu_use_percent, gpu_memory_percent, gpu_temperature_celsius, gpu_power_watts;
} sono_web_point;

typedef struct sono_web_span {
    int64_t from_utc_ns;
    char state[16], fault[24];
} sono_web_span;

typedef struct sono_web_history {
    uint16_t spans_of[SONO_WEB_SECONDS][SONO_WEB_STAGE_COUNT][SONO_WEB_BUCKETS];
    int32_t second; /* the row that is being filled */
    sono_web_window minute[SONO_WEB_STAGE_COUNT], all[SONO_WEB_STAGE_COUNT];
    sono_web_totals totals[SONO_WEB_STAGE_COUNT];
    sono_web_point points[SONO_WEB_SECONDS];
    uint64_t n_points;
    sono_web_trip trips[SONO_WEB_TRIPS];
    uint64_t n_trips;
    sono_web_span spans[SONO_WEB_SPANS];
    uint64_t n_spans;
    struct {
        uint64_t frame;
        int64_t last_ns;
    } early[SONO_WEB_EARLY]; /* sent before their trips were told */
    uint64_t n_early;
} sono_web_history;

void sono_web_history_init(sono_web_history *history);
void sono_web_history_trip(sono_web_history *history, const sono_web_trip *trip);
/* A client has all of a frame; its trip may be told later. One that is no longer among the last trips is
 * passed over. */
void sono_web_history_sent(sono_web_history *history, uint64_t frame, int64_t last_ns);
/* 1 = state or fault differ from the last ones: a new span begins. */
int sono_web_history_state(sono_web_history *history, int64_t utc_ns, const char *state, const char *fault);
/* The second is over: its spans go into the point's quantiles, and the point is kept. */
void sono_web_history_second(sono_web_history *history, const sono_web_point *point);
/* The n-th newest, 0 = the newest; NULL where there is none. */
const sono_web_point *sono_web_history_point(const sono_web_history *history, uint64_t n);
const sono_web_trip *sono_web_history_trip_at(const sono_web_history *history, uint64_t n);
const sono_web_span *sono_web_history_span(const sono_web_history *history, uint64_t n);

#endif
