// SPDX-License-Identifier: Apache-2.0
/* Everything that is told at one moment, and how it is written: JSON of the API, CSV, Prometheus. Writing is
 * pure: facts in, text out. */
#ifndef SONO_WEB_FACTS_H
#define SONO_WEB_FACTS_H

#include "serve/snapshot.h"
#include "web/gpu.h"
#include "web/history.h"
#include "web/process.h"
#include "web/text.h"
#include "web/verdict.h"

#include "sonoseg/sonoseg.h"

typedef struct sono_web_ledger_facts {
    int32_t is_known; /* 0: the backend books nothing */
    sono_ledger_totals last, worst;
    uint64_t n_offending;     /* frames beyond 0 allocations, 1 h2d, 1 launch, 1 d2h, 1 wait */
    double residency_percent; /* NaN = unknown */
} sono_web_ledger_facts;

typedef struct sono_web_facts {
    int32_t has_snapshot;
    sono_serve_snapshot snapshot;
    int64_t told_ns;                            /* monotonic: when the loop last told */
    char state[16], fault[24], fault_text[128]; /* as told at once, not once a second */
    sono_web_verdict verdict;
    sono_web_gpu_facts gpu;
    sono_web_process process;
    sono_web_ledger_facts ledger;
    double threshold;
    uint64_t n_sockets, n_refused, n_painted, n_feed_dropped, n_frame_streams;
    int32_t max_sockets, has_control;
} sono_web_facts;

/* A frame beyond the sync rule counts as offending. */
void sono_web_ledger_add(sono_web_ledger_facts *ledger, const sono_ledger_totals *frame);
/* What the limits are held against. */
void sono_web_find(const sono_web_facts *facts, const sono_web_history *history, int64_t now_ns,
                   sono_web_findings *out);
/* Drops that neither somebody wished (overtaken, above the rate, paused, stopped) nor a fault explains (no
 * engine). */
uint64_t sono_web_lost(const sono_serve_snapshot *snapshot);
uint64_t sono_web_dropped(const sono_serve_snapshot *snapshot);

/* ---- JSON: whole objects; `type` is the first member where it is not NULL ---- */

void sono_web_write_latest(sono_web_text *text, const char *type, const sono_web_facts *facts,
                           const sono_web_history *history);
void sono_web_write_health(sono_web_text *text, const sono_web_verdict *verdict, int64_t utc_ns);
void sono_web_write_history(sono_web_text *text, const sono_web_history *history, uint64_t last_n);
void sono_web_write_history_csv(sono_web_text *text, const sono_web_history *history, uint64_t last_n);
void sono_web_write_timeline(sono_web_text *text, const sono_web_history *history, int64_t utc_ns);
/* Trips from number `since` on, counted from 0; at most last_n of them. */
void sono_web_write_trips(sono_web_text *text, const char *type, const sono_web_history *history,
                          uint64_t since, uint64_t last_n);
void sono_web_write_trips_csv(sono_web_text *text, const sono_web_history *history, uint64_t last_n);

/* Prometheus' text format 0.0.4, or OpenMetrics 1.0.0. */
void sono_web_write_metrics(sono_web_text *text, const sono_web_facts *facts, const sono_web_history *history,
                            int is_openmetrics);
/* The commit that was built, "" = unknown. */
const char *sono_web_commit(void);

#endif
