// SPDX-License-Identifier: Apache-2.0
#include "web/facts.h"

#include <math.h>
#include <stdio.h>

/* ---- parts of the newest facts --------------------------------------------------------------------------
 */

static void put_seconds(sono_web_text *text, const char *key, int64_t utc_ns)
{
    sono_web_json_number(text, key, (double)utc_ns * 1e-9, 6);
}

static void put_reasons(sono_web_text *text, const sono_web_verdict *verdict)
{
    sono_web_json_string(text, "level", sono_web_level_name(verdict->level));
    sono_web_json_open(text, "reasons", '[');
    for (int32_t i = 0; i < verdict->n; i++) {
        sono_web_json_open(text, NULL, '{');
        sono_web_json_string(text, "level", sono_web_level_name(verdict->reasons[i].level));
        sono_web_json_string(text, "code", verdict->reasons[i].code);
        sono_web_json_string(text, "text", verdict->reasons[i].text);
        sono_web_json_close(text, '}', 1);
    }
    sono_web_json_close(text, ']', 1);
}

static void put_frames(sono_web_text *text, const sono_serve_snapshot *s)
{
    sono_web_json_open(text, "frames", '{');
    sono_web_json_count(text, "received", s->received);
    sono_web_json_count(text, "processed", s->processed);
    sono_web_json_count(text, "dropped", sono_web_dropped(s));
    sono_web_json_count(text, "in_flight", (uint64_t)s->waiting + s->in_engine);
    sono_web_json_count(text, "waiting", s->waiting);
    sono_web_json_count(text, "in_engine", s->in_engine);
    sono_web_json_open(text, "drops", '{');
    for (int32_t i = 0; i < s->n_drops; i++) {
        sono_web_json_count(text, sono_serve_snapshot_drop_name(i), s->dropped[i]);
    }
    sono_web_json_close(text, '}', 1);
    sono_web_json_number(text, "rate_in_hz", s->rate_in_hz, 3);
    sono_web_json_number(text, "rate_out_hz", s->rate_out_hz, 3);
    sono_web_json_count(text, "last_frame", s->last_frame);
    sono_web_json_number(text, "last_shown_ms", s->last_shown_ns < 0 ? NAN : (double)s->last_shown_ns * 1e-6,
                         3);
    sono_web_json_close(text, '}', 1);
}

static void put_quantiles(sono_web_text *text, const char *key, const sono_web_window windows[])
{
    sono_web_json_open(text, key, '{');
    for (int stage = 0; stage < SONO_WEB_STAGE_COUNT; stage++) {
        const sono_web_quantiles q = sono_web_window_quantiles(&windows[stage]);
        sono_web_json_open(text, sono_web_stage_name((sono_web_stage)stage), '{');
        sono_web_json_count(text, "n", q.n);
        sono_web_json_number(text, "p50", q.p50, 3);
        sono_web_json_number(text, "p95", q.p95, 3);
        sono_web_json_number(text, "p99", q.p99, 3);
        sono_web_json_number(text, "max", q.max, 3);
        sono_web_json_close(text, '}', 1);
    }
    sono_web_json_close(text, '}', 1);
}

static void put_source(sono_web_text *text, const sono_serve_snapshot *s)
{
    sono_web_json_open(text, "source", '{');
    sono_web_json_string(text, "address", s->source_address);
    sono_web_json_string(text, "device", s->source_device);
    sono_web_json_flag(text, "up", s->source_is_up);
    sono_web_json_count(text, "connections", s->source_connections);
    sono_web_json_count(text, "bytes", s->source_bytes);
    sono_web_json_count(text, "messages", s->source_messages);
    sono_web_json_count(text, "refused", s->source_refused);
    sono_web_json_count(text, "unknown", s->source_unknown);
    sono_web_json_count(text, "bad_crc", s->source_bad_crc);
    sono_web_json_close(text, '}', 1);
}

static void put_clients(sono_web_text *text, const sono_serve_snapshot *s)
{
    uint64_t queued = 0;
    sono_web_json_open(text, "clients", '[');
    for (int32_t i = 0; i < s->n_clients; i++) {
        const sono_serve_snapshot_client *client = &s->clients[i];
        queued += client->queued_bytes;
        sono_web_json_open(text, NULL, '{');
        sono_web_json_string(text, "address", client->address);
        sono_web_json_integer(text, "version", client->version);
        sono_web_json_count(text, "messages", client->messages);
        sono_web_json_count(text, "bytes", client->bytes);
        sono_web_json_count(text, "dropped", client->dropped);
        sono_web_json_count(text, "queued_bytes", client->queued_bytes);
        sono_web_json_number(text, "lag_ms", (double)client->lag_ns * 1e-6, 3);
        put_seconds(text, "since", client->since_utc_ns);
        sono_web_json_close(text, '}', 1);
    }
    sono_web_json_close(text, ']', 1);
    sono_web_json_open(text, "queues", '{');
    sono_web_json_count(text, "waiting", s->waiting);
    sono_web_json_count(text, "in_engine", s->in_engine);
    sono_web_json_count(text, "clients_bytes", queued);
    sono_web_json_count(text, "log_dropped", s->log_dropped);
    sono_web_json_close(text, '}', 1);
}

static void put_model(sono_web_text *text, const char *key, const char *name, const char *sha256)
{
    sono_web_json_open(text, key, '{');
    sono_web_json_string(text, "name", name);
    sono_web_json_string(text, "sha256", sha256);
    sono_web_json_close(text, '}', 1);
}

static void put_engine(sono_web_text *text, const sono_web_facts *facts)
{
    const sono_serve_snapshot *s = &facts->snapshot;
    sono_web_json_open(text, "engine", '{');
    sono_web_json_string(text, "kind", s->engine_kind);
    sono_web_json_string(text, "backend", s->backend);
    sono_web_json_string(text, "precision", s->precision);
    sono_web_json_count(text, "opens", s->engine_opens);
    sono_web_json_number(text, "threshold", facts->threshold, 4);
    put_model(text, "detector", s->detector, s->detector_sha256);
    put_model(text, "segmenter", s->segmenter, s->segmenter_sha256);
    sono_web_json_close(text, '}', 1);
}

static void put_totals(sono_web_text *text, const sono_ledger_totals *totals)
{
    sono_web_json_integer(text, "allocations", totals->n_allocations);
    sono_web_json_integer(text, "h2d", totals->n_h2d);
    sono_web_json_integer(text, "launches", totals->n_launches);
    sono_web_json_integer(text, "d2h", totals->n_d2h);
    sono_web_json_integer(text, "waits", totals->n_waits);
}

static void put_ledger(sono_web_text *text, const sono_web_ledger_facts *ledger)
{
    const int is_resident = isnan(ledger->residency_percent) || ledger->residency_percent >= 100;
    sono_web_json_open(text, "ledger", '{');
    sono_web_json_flag(text, "known", ledger->is_known);
    sono_web_json_flag(text, "green", ledger->is_known && !ledger->n_offending && is_resident);
    put_totals(text, &ledger->last);
    sono_web_json_open(text, "worst", '{');
    put_totals(text, &ledger->worst);
    sono_web_json_close(text, '}', 1);
    sono_web_json_count(text, "offending_frames", ledger->n_offending);
    sono_web_json_number(text, "residency_percent", ledger->residency_percent, 2);
    char line[160];
    snprintf(line, sizeof line,
             "%d allocations, %d uploads, %d launches, %d downloads, %d waits in the last frame",
             ledger->last.n_allocations, ledger->last.n_h2d, ledger->last.n_launches, ledger->last.n_d2h,
             ledger->last.n_waits);
    sono_web_json_string(text, "text",
                         ledger->is_known ? line : "this backend has no device memory to cross to");
    sono_web_json_close(text, '}', 1);
}

static void put_gpu(sono_web_text *text, const sono_web_gpu_facts *gpu)
{
    if (!gpu->is_known) {
        sono_web_json_null(text, "gpu");
        return;
    }
    sono_web_json_open(text, "gpu", '{');
    sono_web_json_string(text, "name", gpu->name);
    sono_web_json_number(text, "use_percent", gpu->use_percent, 0);
    sono_web_json_count(text, "memory_used_bytes", gpu->memory_used_bytes);
    sono_web_json_count(text, "memory_total_bytes", gpu->memory_total_bytes);
    sono_web_json_number(text, "temperature_celsius", gpu->temperature_celsius, 0);
    sono_web_json_number(text, "power_watts", gpu->power_watts, 1);
    sono_web_json_number(text, "power_limit_watts", gpu->power_limit_watts, 1);
    sono_web_json_count(text, "clock_sm_hz", gpu->clock_sm_hz);
    sono_web_json_count(text, "clock_memory_hz", gpu->clock_memory_hz);
    sono_web_json_close(text, '}', 1);
}

static void put_process(sono_web_text *text, const sono_web_facts *facts)
{
    const sono_web_process *process = &facts->process;
    sono_web_json_open(text, "process", '{');
    sono_web_json_integer(text, "pid", process->pid);
    sono_web_json_string(text, "version", sono_version());
    sono_web_json_string(text, "commit", sono_web_commit());
    sono_web_json_number(text, "cpu_percent", process->cpu_percent, 1);
    sono_web_json_count(text, "resident_bytes", process->resident_bytes);
    sono_web_json_integer(text, "threads", process->n_threads);
    sono_web_json_integer(text, "open_fds", process->n_open_fds);
    sono_web_json_close(text, '}', 1);
    sono_web_json_open(text, "recording", '{');
    sono_web_json_flag(text, "on", facts->snapshot.is_recording);
    sono_web_json_count(text, "recorded", facts->snapshot.recorded);
    sono_web_json_count(text, "dropped", facts->snapshot.record_dropped);
    sono_web_json_string(text, "error", facts->snapshot.record_error);
    sono_web_json_close(text, '}', 1);
    sono_web_json_open(text, "web", '{');
    sono_web_json_count(text, "sockets", facts->n_sockets);
    sono_web_json_integer(text, "max_sockets", facts->max_sockets);
    sono_web_json_count(text, "refused", facts->n_refused);
    sono_web_json_count(text, "frames_painted", facts->n_painted);
    sono_web_json_string(text, "control", facts->has_control ? "on" : "off");
    sono_web_json_close(text, '}', 1);
}

static void begin(sono_web_text *text, const char *type)
{
    sono_web_json_open(text, NULL, '{');
    if (type) {
        sono_web_json_string(text, "type", type);
    }
    sono_web_json_integer(text, "schema", 1);
}

/* ---- whole objects --------------------------------------------------------------------------------------
 */

void sono_web_write_latest(sono_web_text *text, const char *type, const sono_web_facts *facts,
                           const sono_web_history *history)
{
    const sono_serve_snapshot *s = &facts->snapshot;
    begin(text, type);
    put_seconds(text, "time", s->utc_ns);
    sono_web_json_number(text, "uptime_s", (double)s->uptime_ns * 1e-9, 3);
    sono_web_json_open(text, "verdict", '{');
    put_reasons(text, &facts->verdict);
    sono_web_json_close(text, '}', 1);
    sono_web_json_string(text, "state", facts->state);
    sono_web_json_string(text, "fault", facts->fault);
    sono_web_json_string(text, "fault_text", facts->fault_text);
    put_frames(text, s);
    sono_web_json_open(text, "latency", '{');
    put_quantiles(text, "1m", history->minute);
    put_quantiles(text, "10m", history->all);
    sono_web_json_close(text, '}', 1);
    put_source(text, s);
    put_clients(text, s);
    put_engine(text, facts);
    put_ledger(text, &facts->ledger);
    put_gpu(text, &facts->gpu);
    put_process(text, facts);
    sono_web_json_close(text, '}', 0);
}

void sono_web_write_health(sono_web_text *text, const sono_web_verdict *verdict, int64_t utc_ns)
{
    begin(text, NULL);
    put_seconds(text, "time", utc_ns);
    put_reasons(text, verdict);
    sono_web_json_close(text, '}', 0);
}

void sono_web_write_timeline(sono_web_text *text, const sono_web_history *history, int64_t utc_ns)
{
    uint64_t n = 0;
    const int64_t since_ns = utc_ns - SONO_WEB_SECONDS * INT64_C(1000000000);
    while (sono_web_history_span(history, n) &&
           (!n || sono_web_history_span(history, n - 1)->from_utc_ns > since_ns)) {
        n++;
    }
    begin(text, NULL);
    put_seconds(text, "now", utc_ns);
    sono_web_json_open(text, "spans", '[');
    while (n-- > 0) {
        const sono_web_span *span = sono_web_history_span(history, n);
        sono_web_json_open(text, NULL, '{');
        put_seconds(text, "from", span->from_utc_ns);
        if (n) {
            put_seconds(text, "to", sono_web_history_span(history, n - 1)->from_utc_ns);
        } else {
            sono_web_json_null(text, "to");
        }
        sono_web_json_string(text, "state", span->state);
        sono_web_json_string(text, "fault", span->fault);
        sono_web_json_close(text, '}', 1);
    }
    sono_web_json_close(text, ']', 1);
    sono_web_json_close(text, '}', 0);
}
