// SPDX-License-Identifier: Apache-2.0
/* The metrics of one scrape, from one snapshot. */
#include "web/facts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The family that is being written. */
typedef struct page {
    sono_web_text *text;
    int is_open; /* OpenMetrics */
} page;

/* name: of a counter without its "_total". */
static void family(const page *p, const char *name, const char *type, const char *unit, const char *help)
{
    const int is_counter = !strcmp(type, "counter");
    const char *ending = is_counter && !p->is_open ? "_total" : "";
    sono_web_text_add(p->text, "# TYPE sonoseg_%s%s %s\n", name, ending,
                      !p->is_open && !strcmp(type, "info") ? "gauge" : type);
    if (p->is_open && *unit) {
        sono_web_text_add(p->text, "# UNIT sonoseg_%s %s\n", name, unit);
    }
    sono_web_text_add(p->text, "# HELP sonoseg_%s%s %s\n", name, ending, help);
}

static void put_value(const page *p, double value)
{
    if (isnan(value)) {
        sono_web_text_add(p->text, " NaN\n");
    } else if (value == floor(value) && fabs(value) < 1e15) {
        sono_web_text_add(p->text, " %.0f\n", value);
    } else {
        sono_web_text_add(p->text, " %.15g\n", value);
    }
}

/* labels: "" or `a="b"`. */
static void sample(const page *p, const char *name, const char *ending, const char *labels, double value)
{
    sono_web_text_add(p->text, "sonoseg_%s%s%s%s%s", name, ending, *labels ? "{" : "", labels,
                      *labels ? "}" : "");
    put_value(p, value);
}

static void counter(const page *p, const char *name, const char *unit, const char *help, double value)
{
    family(p, name, "counter", unit, help);
    sample(p, name, "_total", "", value);
}

static void gauge(const page *p, const char *name, const char *unit, const char *help, double value)
{
    if (!isnan(value)) {
        family(p, name, "gauge", unit, help);
        sample(p, name, "", "", value);
    }
}

/* A label's value: quotes, backslashes and line ends escaped, cut to its room. */
static void escape(const char *value, char *out, size_t n_bytes)
{
    size_t n = 0;
    for (; *value && n + 3 < n_bytes; value++) {
        if (*value == '"' || *value == '\\') {
            out[n++] = '\\';
        }
        out[n++] = (char)((unsigned char)*value < 0x20 || (unsigned char)*value >= 0x7f ? '_' : *value);
    }
    out[n] = 0;
}

static void put_frames(const page *p, const sono_serve_snapshot *s)
{
    char labels[64];
    counter(p, "frames_received", "", "Frames that came whole, or were refused.", (double)s->received);
    counter(p, "frames_processed", "", "Frames whose masks were shown.", (double)s->processed);
    family(p, "frames_dropped", "counter", "", "Frames that ended without a mask, by reason.");
    for (int32_t i = 0; i < s->n_drops; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", sono_serve_snapshot_drop_name(i));
        sample(p, "frames_dropped", "_total", labels, (double)s->dropped[i]);
    }
    family(p, "frames_in_flight", "gauge", "",
           "Frames under way, by place; received = processed + dropped + in flight in every scrape.");
    sample(p, "frames_in_flight", "", "place=\"waiting\"", s->waiting);
    sample(p, "frames_in_flight", "", "place=\"engine\"", s->in_engine);
    gauge(p, "last_frame_age_seconds", "seconds", "Age of the last mask that was shown.",
          s->last_shown_ns < 0 ? NAN : (double)s->last_shown_ns * 1e-9);
}

static void put_histogram(const page *p, const char *stage, const sono_web_totals *totals)
{
    char labels[96];
    uint64_t n = 0;
    for (int i = 0; i < SONO_WEB_BOUNDS; i++) {
        n += totals->n[i];
        if (isinf(sono_web_bounds_s[i])) {
            snprintf(labels, sizeof labels, "stage=\"%s\",le=\"+Inf\"", stage);
        } else { /* OpenMetrics writes floats of whole numbers as 1.0 */
            snprintf(labels, sizeof labels, "stage=\"%s\",le=\"%.*f\"", stage,
                     sono_web_bounds_s[i] == floor(sono_web_bounds_s[i]) ? 1 : 3, sono_web_bounds_s[i]);
        }
        sample(p, "frame_duration_seconds", "_bucket", labels, (double)n);
    }
    snprintf(labels, sizeof labels, "stage=\"%s\"", stage);
    sample(p, "frame_duration_seconds", "_sum", labels, totals->sum_s);
    sample(p, "frame_duration_seconds", "_count", labels, (double)n);
}

static void put_state(const page *p, const sono_web_facts *facts)
{
    static const char *const states[] = {"VISIBLE", "RELOCALIZING", "LOST", "NONE"};
    char labels[64];
    family(p, "state", "gauge", "", "1 for the state of what is shown, 0 for the others.");
    for (int i = 0; i < 4; i++) {
        snprintf(labels, sizeof labels, "state=\"%s\"", states[i]);
        sample(p, "state", "", labels, !strcmp(facts->state, states[i]));
    }
    gauge(p, "health_level", "", "0 OK, 1 WARNING, 2 CRITICAL.", facts->verdict.level);
    gauge(p, "fault", "", "1 while a fault keeps masks from being shown.", strcmp(facts->fault, "OK") != 0);
    gauge(p, "uptime_seconds", "seconds", "Since the service began.",
          (double)facts->snapshot.uptime_ns * 1e-9);
}

static void put_links(const page *p, const sono_serve_snapshot *s)
{
    uint64_t queued = 0;
    int64_t lag_ns = 0;
    for (int32_t i = 0; i < s->n_clients; i++) {
        queued += s->clients[i].queued_bytes;
        lag_ns = s->clients[i].lag_ns > lag_ns ? s->clients[i].lag_ns : lag_ns;
    }
    gauge(p, "source_up", "", "1 while the image source is connected.", s->source_is_up);
    counter(p, "source_connections", "", "Connections that were made to the image source.",
            (double)s->source_connections);
    counter(p, "source_received_bytes", "bytes", "Bytes from the image source.", (double)s->source_bytes);
    counter(p, "source_messages", "", "Messages from the image source.", (double)s->source_messages);
    counter(p, "source_bad_checksums", "", "Messages whose checksum did not fit.", (double)s->source_bad_crc);
    gauge(p, "clients", "", "OpenIGTLink clients that are connected.", s->n_clients);
    gauge(p, "clients_queued_bytes", "bytes", "Bytes that wait for clients.", (double)queued);
    gauge(p, "clients_lag_seconds", "seconds", "Age of the oldest frame that waits for a client.",
          (double)lag_ns * 1e-9);
    counter(p, "engine_opens", "", "How often the engine was opened.", (double)s->engine_opens);
    gauge(p, "recording", "", "1 while images are recorded.", s->is_recording);
    counter(p, "recording_dropped_frames", "", "Frames that a slow disk kept from being recorded.",
            (double)s->record_dropped);
    counter(p, "log_dropped_lines", "", "Lines of logs that found no room.", (double)s->log_dropped);
}

static void put_ledger(const page *p, const sono_web_ledger_facts *ledger)
{
    if (!ledger->is_known) {
        return;
    }
    counter(p, "ledger_offending_frames", "",
            "Frames beyond 0 allocations, 1 upload, 1 launch, 1 download and 1 wait.",
            (double)ledger->n_offending);
    gauge(p, "ledger_last_frame_uploads", "", "Uploads of the last frame.", ledger->last.n_h2d);
    gauge(p, "ledger_last_frame_downloads", "", "Downloads of the last frame.", ledger->last.n_d2h);
    gauge(p, "residency_ratio", "ratio", "Share of operations whose data stay in device memory.",
          ledger->residency_percent / 100);
}

static void put_gpu(const page *p, const sono_web_gpu_facts *gpu)
{
    if (!gpu->is_known) {
        return;
    }
    gauge(p, "gpu_utilization_ratio", "ratio", "How busy the GPU is.", gpu->use_percent / 100);
    gauge(p, "gpu_memory_used_bytes", "bytes", "Memory of the GPU that is taken.",
          (double)gpu->memory_used_bytes);
    gauge(p, "gpu_memory_total_bytes", "bytes", "Memory of the GPU.", (double)gpu->memory_total_bytes);
    gauge(p, "gpu_temperature_celsius", "celsius", "Temperature of the GPU.", gpu->temperature_celsius);
    gauge(p, "gpu_power_watts", "watts", "Power of the GPU.", gpu->power_watts);
    gauge(p, "gpu_clock_hertz", "hertz", "Clock of the GPU's multiprocessors.", (double)gpu->clock_sm_hz);
}

static void put_build(const page *p, const sono_web_facts *facts)
{
    const sono_serve_snapshot *s = &facts->snapshot;
    char labels[512], backend[40], detector[140], segmenter[140], version[40];
    escape(sono_version(), version, sizeof version);
    escape(s->backend, backend, sizeof backend);
    escape(s->detector, detector, sizeof detector);
    escape(s->segmenter, segmenter, sizeof segmenter);
    snprintf(labels, sizeof labels,
             "version=\"%s\",commit=\"%s\",backend=\"%s\",detector=\"%s\",segmenter=\"%s\"", version,
             sono_web_commit(), backend, detector, segmenter);
    /* By convention "_info" belongs to the name; OpenMetrics keeps it as the ending of a family of its own.
     */
    family(p, p->is_open ? "build" : "build_info", "info", "", "What runs; always 1.");
    sample(p, "build", "_info", labels, 1);
}

static void put_web(const page *p, const sono_web_facts *facts)
{
    gauge(p, "web_sockets", "", "Connections to the web service.", (double)facts->n_sockets);
    counter(p, "web_requests_refused", "", "Requests that were refused.", (double)facts->n_refused);
    counter(p, "web_frames_painted", "", "Pictures that were made for pages.", (double)facts->n_painted);
    counter(p, "web_feed_dropped", "", "Notes that the web service was too slow for.",
            (double)facts->n_feed_dropped);
}

static void put_process(const page *p, const sono_web_process *process)
{
    /* The names that every client library of Prometheus uses, without a prefix of ours. */
    const struct {
        const char *name, *type, *ending, *help;
        double value;
    } rows[] = {
        {"process_cpu_seconds", "counter", "_total", "User and system CPU time.", process->cpu_seconds},
        {"process_resident_memory_bytes", "gauge", "", "Resident memory.", (double)process->resident_bytes},
        {"process_virtual_memory_bytes", "gauge", "", "Virtual memory.", (double)process->virtual_bytes},
        {"process_open_fds", "gauge", "", "Open file descriptors.", (double)process->n_open_fds},
        {"process_max_fds", "gauge", "", "Most file descriptors.", (double)process->max_fds},
        {"process_threads", "gauge", "", "Threads.", (double)process->n_threads},
        {"process_start_time_seconds", "gauge", "", "Start, since 1970.", process->start_utc_s},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *ending = rows[i].ending;
        sono_web_text_add(p->text, "# TYPE %s%s %s\n# HELP %s%s %s\n", rows[i].name, p->is_open ? "" : ending,
                          rows[i].type, rows[i].name, p->is_open ? "" : ending, rows[i].help);
        sono_web_text_add(p->text, "%s%s", rows[i].name, ending);
        put_value(p, rows[i].value);
    }
}

void sono_web_write_metrics(sono_web_text *text, const sono_web_facts *facts, const sono_web_history *history,
                            int is_openmetrics)
{
    const page p = {.text = text, .is_open = is_openmetrics};
    put_build(&p, facts);
    if (facts->has_snapshot) {
        put_frames(&p, &facts->snapshot);
        family(&p, "frame_duration_seconds", "histogram", "seconds", "How long frames take, by stage.");
        for (int stage = 0; stage < SONO_WEB_STAGE_COUNT; stage++) {
            put_histogram(&p, sono_web_stage_name((sono_web_stage)stage), &history->totals[stage]);
        }
        put_state(&p, facts);
        put_links(&p, &facts->snapshot);
    }
    put_ledger(&p, &facts->ledger);
    put_gpu(&p, &facts->gpu);
    put_web(&p, facts);
    put_process(&p, &facts->process);
    if (is_openmetrics) {
        sono_web_text_add(text, "# EOF\n");
    }
}
