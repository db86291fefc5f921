// SPDX-License-Identifier: Apache-2.0
#include "serve/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char sono_service_latency_head[] =
    "frame,source_timestamp,received_utc_ns,received_ns,submitted_ns,done_ns,"
    "first_byte_ns,last_byte_ns,client";

static void copy_counts(const sono_session_counts *counts, sono_serve_snapshot *out)
{
    _Static_assert(SONO_SESSION_DROP_COUNT <= SONO_SERVE_SNAPSHOT_DROPS, "every reason has a place");
    out->received = counts->received;
    out->processed = counts->processed;
    out->n_drops = SONO_SESSION_DROP_COUNT;
    memcpy(out->dropped, counts->dropped, sizeof counts->dropped);
    out->waiting = counts->waiting;
    out->in_engine = counts->in_engine;
    out->engine_opens = counts->engine_opens;
}

/* 1 = every frame is where it belongs. */
static int adds_up(const sono_serve_snapshot *s)
{
    uint64_t sum = s->processed + s->waiting + s->in_engine;
    for (int32_t i = 0; i < s->n_drops; ++i) {
        sum += s->dropped[i];
    }
    return sum == s->received;
}

static void copy_engine(const sono_serve_engine_info *info, sono_serve_snapshot *out)
{
    memcpy(out->engine_kind, info->kind, sizeof out->engine_kind);
    memcpy(out->backend, info->backend, sizeof out->backend);
    memcpy(out->precision, info->precision, sizeof out->precision);
    memcpy(out->detector, info->detector, sizeof out->detector);
    memcpy(out->segmenter, info->segmenter, sizeof out->segmenter);
    memcpy(out->detector_sha256, info->detector_sha256, sizeof out->detector_sha256);
    memcpy(out->segmenter_sha256, info->segmenter_sha256, sizeof out->segmenter_sha256);
}

static void copy_recording(sono_serve_recording *recording, int is_paused, sono_serve_snapshot *out)
{
    sono_serve_recording_facts facts;
    if (!recording) {
        return;
    }
    sono_serve_recording_query(recording, &facts);
    out->is_recording = facts.is_on && !is_paused;
    out->recorded = facts.recorded;
    out->record_dropped = facts.dropped;
    memcpy(out->record_error, facts.error, sizeof out->record_error);
}

static void rates(sono_serve_kpi *kpi, int64_t now_ns, sono_serve_snapshot *out)
{
    double s = (double)(now_ns - kpi->last_at_ns) * 1e-9;
    if (s > 0) {
        out->rate_in_hz = (double)(out->received - kpi->last_received) / s;
        out->rate_out_hz = (double)(out->processed - kpi->last_processed) / s;
    }
    kpi->last_at_ns = now_ns;
    kpi->last_received = out->received;
    kpi->last_processed = out->processed;
}

void sono_service_snapshot(sono_service *service)
{
    sono_serve_snapshot *out = &service->snapshot;
    sono_serve_kpi *kpi = &service->kpi;
    const sono_session *session = &service->session;
    int64_t now_ns = sono_serve_now_ns();
    sono_session_fault fault = sono_session_worst(session);
    out->utc_ns = sono_serve_utc_ns();
    out->uptime_ns = now_ns - kpi->started_ns;
    copy_counts(&session->counts, out);
    snprintf(out->fault, sizeof out->fault, "%s", sono_session_fault_name(fault));
    snprintf(out->fault_text, sizeof out->fault_text, "%s", sono_session_fault_text(fault));
    snprintf(out->state, sizeof out->state, "%s",
             session->state < 0 ? "NONE" : sono_state_name((sono_state)session->state));
    out->last_frame = kpi->last_frame;
    out->last_shown_ns = kpi->last_shown_ns ? now_ns - kpi->last_shown_ns : -1;
    sono_serve_recent_quantiles(&kpi->latency_ms, &out->latency_ms_p50, &out->latency_ms_p95,
                                &out->latency_ms_p99);
    sono_serve_recent_quantiles(&kpi->engine_ms, &out->engine_ms_p50, &out->engine_ms_p95,
                                &out->engine_ms_p99);
    sono_serve_source_snapshot(service->source, out);
    sono_serve_sink_snapshot(service->sink, out);
    copy_recording(service->recording, service->recording_is_paused, out);
    copy_engine(&service->info, out);
    out->log_dropped = sono_serve_lines_dropped(service->log.lines) +
                       sono_serve_lines_dropped(service->audit) + sono_serve_lines_dropped(service->latency);
}

/* Hashes of the models come seconds after the engine. */
static void follow_hashes(sono_service *service)
{
    sono_serve_engine_info info;
    sono_serve_engine_query(service->engine, &info);
    if (strcmp(info.detector_sha256, service->info.detector_sha256) != 0 && info.detector_sha256[0]) {
        service->info = info;
        sono_serve_sink_describe(service->sink, &info);
    }
}

void sono_service_text(sono_service *service)
{
    follow_hashes(service);
    sono_service_snapshot(service);
    rates(&service->kpi, sono_serve_now_ns(), &service->snapshot);
    if (!adds_up(&service->snapshot)) {
        sono_serve_log_format(&service->log, "counts_differ", "received=%llu processed=%llu",
                              (unsigned long long)service->snapshot.received,
                              (unsigned long long)service->snapshot.processed);
    }
    sono_serve_snapshot_write(service->board, &service->snapshot);
    if (service->web) {
        sono_web_second(service->web);
    }
    if (!service->config.sink_text && !service->snapshot_file) {
        return;
    }
    size_t n = sono_serve_snapshot_json(&service->snapshot, service->json, sizeof service->json);
    if (n < sizeof service->json) {
        sono_serve_snapshot_file_put(service->snapshot_file, service->json, n);
        if (service->config.sink_text) {
            sono_serve_sink_text(service->sink, service->json);
        }
    }
}

void sono_service_shown(sono_service *service, const sono_serve_frame *frame, const sono_serve_result *result)
{
    sono_serve_kpi *kpi = &service->kpi;
    int64_t now_ns = sono_serve_now_ns();
    sono_serve_shown *shown = &kpi->shown[kpi->n_shown++ % SONO_SERVE_SHOWN];
    *shown = (sono_serve_shown){.id = frame->id,
                                .timestamp = frame->timestamp,
                                .received_utc_ns = sono_serve_utc_ns() - (now_ns - frame->received_ns),
                                .received_ns = frame->received_ns,
                                .submitted_ns = frame->submitted_ns,
                                .done_ns = frame->done_ns};
    kpi->last_frame = frame->id;
    kpi->last_shown_ns = now_ns;
    sono_serve_recent_add(&kpi->engine_ms, result->latency_ms);
}

void sono_service_sent(void *user, int32_t client, uint64_t frame, int64_t first_ns, int64_t last_ns)
{
    sono_service *service = user;
    sono_serve_kpi *kpi = &service->kpi;
    uint64_t n = kpi->n_shown < SONO_SERVE_SHOWN ? kpi->n_shown : SONO_SERVE_SHOWN;
    char line[256];
    if (service->web) {
        sono_web_sent(service->web, frame, last_ns);
    }
    for (uint64_t i = 1; service->latency && i <= n; ++i) { /* the newest first */
        const sono_serve_shown *s = &kpi->shown[(kpi->n_shown - i) % SONO_SERVE_SHOWN];
        if (s->id == frame) {
            snprintf(line, sizeof line,
                     "%" PRIu64 ",%016" PRIx64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                     ",%" PRId64 ",%" PRId32,
                     s->id, s->timestamp, s->received_utc_ns, s->received_ns, s->submitted_ns, s->done_ns,
                     first_ns, last_ns, client);
            sono_serve_lines_put(service->latency, line);
            return;
        }
    }
}
