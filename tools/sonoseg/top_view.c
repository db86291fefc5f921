// SPDX-License-Identifier: Apache-2.0
#include "top_view.h"

#include "json_find.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define PATH_BYTES 128

typedef struct view {
    FILE *stream;
    const char *metrics;
    int has_colour;
} view;

/* The word itself says it; the colour only draws the eye. */
static const char *colour_of(const view *v, const char *word)
{
    if (!v->has_colour)
        return "";
    if (!strcmp(word, "OK") || !strcmp(word, "VISIBLE"))
        return "\033[1;32m";
    return !strcmp(word, "WARNING") || !strcmp(word, "RELOCALIZING") ? "\033[1;33m"
           : !strcmp(word, "LOST") || !strcmp(word, "NONE")          ? "\033[1m"
                                                                     : "\033[1;37;41m";
}

static void put_word(const view *v, const char *word)
{
    fprintf(v->stream, "%s%s%s", colour_of(v, word), *word ? word : "-", v->has_colour ? "\033[0m" : "");
}

static void put_title(const view *v, const char *title)
{
    fprintf(v->stream, "%s%-10s%s", v->has_colour ? "\033[1m" : "", title, v->has_colour ? "\033[0m" : "");
}

/* A number in a field of this width, with so many digits behind the point. */
static void put_number(const view *v, const char *path, int width, int digits)
{
    const double value = json_number(v->metrics, path);
    if (isnan(value))
        fprintf(v->stream, "%*s", width, "-");
    else
        fprintf(v->stream, "%*.*f", width, digits, value);
}

static void put_named(const view *v, const char *name, const char *path, int digits, const char *unit)
{
    fprintf(v->stream, "%s ", name);
    put_number(v, path, 0, digits);
    fprintf(v->stream, "%s", unit);
}

static const char *text_of(const view *v, const char *path, char *out, size_t n_bytes)
{
    return *json_text(v->metrics, path, out, n_bytes) ? out : "-";
}

static void put_head(const view *v, const char *address)
{
    char version[64], commit[64];
    const double uptime_s = json_number(v->metrics, "uptime_s");
    const int64_t s = uptime_s >= 0 && uptime_s < 1e12 ? (int64_t)uptime_s : 0;
    fprintf(v->stream, "sonoseg %s %s   %s   up %" PRId64 ":%02d:%02d   pid ",
            text_of(v, "process.version", version, sizeof version),
            text_of(v, "process.commit", commit, sizeof commit), address, s / 3600, (int)(s / 60 % 60),
            (int)(s % 60));
    put_number(v, "process.pid", 0, 0);
    fprintf(v->stream, "\n\n");
}

static void put_verdict(const view *v)
{
    char word[64], text[256];
    put_title(v, "verdict");
    put_word(v, json_text(v->metrics, "verdict.level", word, sizeof word));
    const char *reasons = json_find(v->metrics, "verdict.reasons"), *reason;
    for (int i = 0; (reason = json_element(reasons, i, NULL, 0)) != NULL; i++)
        fprintf(v->stream, "%s%s", i ? "\n          " : "  ", json_text(reason, "text", text, sizeof text));
    fprintf(v->stream, "\n");
    put_title(v, "state");
    if (strcmp(json_text(v->metrics, "fault", word, sizeof word), "OK") != 0) {
        put_word(v, word);
        fprintf(v->stream, "  %s\n\n", json_text(v->metrics, "fault_text", text, sizeof text));
        return;
    }
    put_word(v, json_text(v->metrics, "state", word, sizeof word));
    put_named(v, "  newest mask", "frames.last_shown_ms", 1, " ms ago\n\n");
}

static void put_frames(const view *v)
{
    char name[64];
    put_title(v, "frames");
    put_named(v, "received", "frames.received", 0, "  ");
    put_named(v, "processed", "frames.processed", 0, "  ");
    put_named(v, "in flight", "frames.in_flight", 0, "  ");
    put_named(v, "dropped", "frames.dropped", 0, "\n");
    const char *drops = json_find(v->metrics, "frames.drops"), *drop;
    int n_shown = 0;
    for (int i = 0; (drop = json_element(drops, i, name, sizeof name)) != NULL; i++) {
        const double n = json_number(drop, "");
        if (n > 0)
            fprintf(v->stream, "%s%s %.0f", n_shown++ ? ", " : "          dropped: ", name, n);
    }
    fprintf(v->stream, "%s", n_shown ? "\n" : "");
    put_title(v, "a second");
    put_named(v, "in", "frames.rate_in_hz", 1, "  ");
    put_named(v, "out", "frames.rate_out_hz", 1, "\n\n");
}

static void put_latency(const view *v)
{
    static const char *const stages[] = {"end_to_end", "waiting", "engine", "showing", "sending"};
    static const char *const names[] = {"end to end", "waiting", "engine", "showing", "sending"};
    static const char *const windows[] = {"1m", "10m"}, *const spans[] = {"p50", "p95", "p99", "max"};
    put_title(v, "latency");
    fprintf(v->stream, "%34s   %36s\n          ms%8s%9s%9s%9s   %9s%9s%9s%9s\n", "last minute",
            "last ten minutes", "50 %", "95 %", "99 %", "most", "50 %", "95 %", "99 %", "most");
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        fprintf(v->stream, "%-11s", names[i]);
        for (size_t j = 0; j < 8; j++) {
            char path[PATH_BYTES];
            snprintf(path, sizeof path, "latency.%s.%s.%s", windows[j / 4], stages[i], spans[j % 4]);
            if (j == 4)
                fprintf(v->stream, "   ");
            put_number(v, path, 9, 3);
        }
        fprintf(v->stream, "\n");
    }
    fprintf(v->stream, "\n");
}

static void put_peers(const view *v)
{
    char address[128], device[128];
    put_title(v, "queues");
    put_named(v, "waiting", "queues.waiting", 0, "  ");
    put_named(v, "in the engine", "queues.in_engine", 0, "  ");
    put_named(v, "for clients", "queues.clients_bytes", 0, " bytes  ");
    put_named(v, "log lines lost", "queues.log_dropped", 0, "\n");
    put_title(v, "source");
    put_word(v, json_is_true(v->metrics, "source.up") ? "OK" : "DOWN");
    fprintf(v->stream, "  %s  %s  ", text_of(v, "source.address", address, sizeof address),
            text_of(v, "source.device", device, sizeof device));
    put_named(v, "messages", "source.messages", 0, "  ");
    put_named(v, "bad CRC", "source.bad_crc", 0, "\n");
    const char *clients = json_find(v->metrics, "clients"), *client;
    for (int i = 0; (client = json_element(clients, i, NULL, 0)) != NULL; i++) {
        const view one = {v->stream, client, v->has_colour};
        put_title(v, "client");
        fprintf(v->stream, "%s  ", text_of(&one, "address", address, sizeof address));
        put_named(&one, "version", "version", 0, "  ");
        put_named(&one, "sent", "messages", 0, "  ");
        put_named(&one, "dropped", "dropped", 0, "  ");
        put_named(&one, "lag", "lag_ms", 1, " ms\n");
    }
}

static void put_engine(const view *v)
{
    char kind[64], backend[64], precision[64], detector[96], segmenter[96], text[256];
    put_title(v, "engine");
    fprintf(v->stream, "%s %s %s  %s + %s  ", text_of(v, "engine.kind", kind, sizeof kind),
            text_of(v, "engine.backend", backend, sizeof backend),
            text_of(v, "engine.precision", precision, sizeof precision),
            text_of(v, "engine.detector.name", detector, sizeof detector),
            text_of(v, "engine.segmenter.name", segmenter, sizeof segmenter));
    put_named(v, "threshold", "engine.threshold", 2, "\n");
    put_title(v, "ledger");
    if (json_is_true(v->metrics, "ledger.known"))
        put_word(v, json_is_true(v->metrics, "ledger.green") ? "OK" : "RED");
    else
        fprintf(v->stream, "-");
    fprintf(v->stream, "  %s\n", text_of(v, "ledger.text", text, sizeof text));
    if (!isnan(json_number(v->metrics, "gpu.memory_total_bytes"))) {
        put_title(v, "gpu");
        fprintf(v->stream, "%s  ", text_of(v, "gpu.name", text, sizeof text));
        put_named(v, "use", "gpu.use_percent", 0, " %  ");
        fprintf(v->stream, "memory %.0f of %.0f MB  ", json_number(v->metrics, "gpu.memory_used_bytes") / 1e6,
                json_number(v->metrics, "gpu.memory_total_bytes") / 1e6);
        put_number(v, "gpu.temperature_celsius", 0, 0);
        fprintf(v->stream, " degrees  ");
        put_number(v, "gpu.power_watts", 0, 0);
        fprintf(v->stream, " W\n");
    }
    put_title(v, "process");
    put_named(v, "CPU", "process.cpu_percent", 0, " %  ");
    fprintf(v->stream, "memory %.0f MB  ", json_number(v->metrics, "process.resident_bytes") / 1e6);
    put_named(v, "threads", "process.threads", 0, "  ");
    put_named(v, "web sockets", "web.sockets", 0, "\n");
}

void top_view_write(FILE *stream, const char *metrics, const char *address, int has_colour)
{
    const view v = {stream, metrics, has_colour};
    put_head(&v, address);
    put_verdict(&v);
    put_frames(&v);
    put_latency(&v);
    put_peers(&v);
    put_engine(&v);
}
