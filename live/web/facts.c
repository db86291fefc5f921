// SPDX-License-Identifier: Apache-2.0
#include "web/facts.h"

#include <math.h>
#include <string.h>

#ifndef SONO_COMMIT
#define SONO_COMMIT ""
#endif

const char *sono_web_commit(void)
{
    return SONO_COMMIT;
}

static int32_t most(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

void sono_web_ledger_add(sono_web_ledger_facts *ledger, const sono_ledger_totals *frame)
{
    sono_ledger_totals *worst = &ledger->worst;
    ledger->is_known = 1;
    ledger->last = *frame;
    worst->n_allocations = most(worst->n_allocations, frame->n_allocations);
    worst->n_h2d = most(worst->n_h2d, frame->n_h2d);
    worst->n_launches = most(worst->n_launches, frame->n_launches);
    worst->n_d2h = most(worst->n_d2h, frame->n_d2h);
    worst->n_waits = most(worst->n_waits, frame->n_waits);
    ledger->n_offending += frame->n_allocations > 0 || frame->n_h2d > 1 || frame->n_launches > 1 ||
                           frame->n_d2h > 1 || frame->n_waits > 1;
}

uint64_t sono_web_dropped(const sono_serve_snapshot *snapshot)
{
    uint64_t n = 0;
    for (int32_t i = 0; i < snapshot->n_drops; i++) {
        n += snapshot->dropped[i];
    }
    return n;
}

uint64_t sono_web_lost(const sono_serve_snapshot *snapshot)
{
    static const char *const wished[] = {"superseded", "paused", "rate", "stopped", "no_engine"};
    uint64_t n = sono_web_dropped(snapshot);
    for (int32_t i = 0; i < snapshot->n_drops; i++) {
        for (size_t k = 0; k < sizeof wished / sizeof *wished; k++) {
            n -= strcmp(sono_serve_snapshot_drop_name(i), wished[k]) ? 0 : snapshot->dropped[i];
        }
    }
    return n;
}

/* Of the last minute's frames; NaN without frames. */
static double drop_percent(const sono_web_facts *facts, const sono_web_history *history)
{
    const sono_web_point *then = NULL;
    for (uint64_t n = SONO_WEB_MINUTE - 1; !then && n < SONO_WEB_MINUTE; n--) { /* or the oldest there is */
        then = sono_web_history_point(history, n);
    }
    const uint64_t received = facts->snapshot.received - (then ? then->received : 0);
    const uint64_t lost = sono_web_lost(&facts->snapshot) - (then ? then->lost : 0);
    return received ? 100.0 * (double)lost / (double)received : NAN;
}

void sono_web_find(const sono_web_facts *facts, const sono_web_history *history, int64_t now_ns,
                   sono_web_findings *out)
{
    const sono_serve_snapshot *s = &facts->snapshot;
    const sono_web_gpu_facts *gpu = &facts->gpu;
    *out = (sono_web_findings){
        .has_snapshot = facts->has_snapshot,
        .silent_ns = now_ns - facts->told_ns,
        .fault = facts->fault,
        .fault_text = facts->fault_text,
        .received = s->received,
        .processed = s->processed,
        .dropped = sono_web_dropped(s),
        .in_flight = (uint64_t)s->waiting + s->in_engine,
        .is_on_cuda = !strcmp(s->backend, "cuda"),
        .rate_in_hz = s->rate_in_hz,
        .rate_out_hz = s->rate_out_hz,
        .p95_ms = sono_web_window_ms(&history->minute[SONO_WEB_STAGE_END_TO_END], 0.95),
        .drop_percent = facts->has_snapshot ? drop_percent(facts, history) : NAN,
        .gpu_use_percent = gpu->is_known ? gpu->use_percent : NAN,
        .gpu_memory_percent = gpu->memory_total_bytes
                                  ? 100.0 * (double)gpu->memory_used_bytes / (double)gpu->memory_total_bytes
                                  : NAN,
        .gpu_temperature_celsius = gpu->is_known ? gpu->temperature_celsius : NAN,
        .is_over_budget = facts->ledger.n_offending > 0,
        .record_error = s->record_error,
    };
}
