// SPDX-License-Identifier: Apache-2.0
#include "serve/snapshot.h"
#include "session/session.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---------------------------------------------------------------------------------------------- */

/* n_bytes counts on behind the end of out, as snprintf() does. */
typedef struct text {
    char *out;
    size_t capacity, n_bytes;
} text;

__attribute__((format(printf, 2, 3))) static void put(text *t, const char *format, ...)
{
    size_t left = t->n_bytes < t->capacity ? t->capacity - t->n_bytes : 0;
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(left ? t->out + t->n_bytes : NULL, left, format, arguments);
    va_end(arguments);
    t->n_bytes += n > 0 ? (size_t)n : 0;
}

/* Length of the UTF-8 sequence at s, 0 where there is none. Overlong forms and surrogates are none. */
static size_t utf8(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : 4;
    if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < n; ++i) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f)) {
        return 0;
    }
    return n;
}

static void put_string(text *t, const char *key, const char *value)
{
    put(t, "\"%s\":\"", key);
    for (const unsigned char *s = (const unsigned char *)value; *s;) {
        size_t n = utf8(s);
        if (!n) {
            put(t, "\\ufffd");
            ++s;
        } else if (*s == '"' || *s == '\\') {
            put(t, "\\%c", *s++);
        } else if (*s < 0x20 || *s == 0x7f) {
            put(t, "\\u%04x", *s++);
        } else {
            put(t, "%.*s", (int)n, (const char *)s);
            s += n;
        }
    }
    put(t, "\",");
}

static void put_count(text *t, const char *key, uint64_t value)
{
    put(t, "\"%s\":%llu,", key, (unsigned long long)value);
}

static void put_integer(text *t, const char *key, int64_t value)
{
    put(t, "\"%s\":%lld,", key, (long long)value);
}

static void put_flag(text *t, const char *key, int value)
{
    put(t, "\"%s\":%s,", key, value ? "true" : "false");
}

static void put_number(text *t, const char *key, double value)
{
    put(t, "\"%s\":%.3f,", key, isfinite(value) ? value : 0.0);
}

/* The comma behind the last entry becomes the bracket that closes. */
static void end(text *t, char bracket)
{
    if (t->n_bytes - 1 < t->capacity) {
        t->out[t->n_bytes - 1] = bracket;
    }
}

static void put_frames(text *t, const sono_serve_snapshot *s)
{
    uint64_t dropped = 0;
    put_count(t, "received", s->received);
    put_count(t, "processed", s->processed);
    for (int32_t i = 0; i < s->n_drops; ++i) {
        dropped += s->dropped[i];
    }
    put_count(t, "dropped", dropped);
    put_count(t, "waiting", s->waiting);
    put_count(t, "in_engine", s->in_engine);
    put(t, "\"drops\":{");
    for (int32_t i = 0; i < s->n_drops; ++i) {
        put_count(t, sono_session_drop_name((sono_session_drop)i), s->dropped[i]);
    }
    put(t, "%s", s->n_drops ? "" : " ");
    end(t, '}');
    put(t, ",");
    put_string(t, "state", s->state);
    put_count(t, "last_frame", s->last_frame);
    put_number(t, "last_shown_ms", s->last_shown_ns < 0 ? -1 : (double)s->last_shown_ns * 1e-6);
    put_number(t, "rate_in_hz", s->rate_in_hz);
    put_number(t, "rate_out_hz", s->rate_out_hz);
    put_number(t, "latency_ms_p50", s->latency_ms_p50);
    put_number(t, "latency_ms_p95", s->latency_ms_p95);
    put_number(t, "latency_ms_p99", s->latency_ms_p99);
}

static void put_source(text *t, const sono_serve_snapshot *s)
{
    put(t, "\"source\":{");
    put_string(t, "address", s->source_address);
    put_string(t, "device", s->source_device);
    put_flag(t, "up", s->source_is_up);
    put_count(t, "connections", s->source_connections);
    put_count(t, "bytes", s->source_bytes);
    put_count(t, "messages", s->source_messages);
    put_count(t, "refused", s->source_refused);
    put_count(t, "unknown", s->source_unknown);
    put_count(t, "bad_crc", s->source_bad_crc);
    end(t, '}');
    put(t, ",");
}

static void put_engine(text *t, const sono_serve_snapshot *s)
{
    put(t, "\"engine\":{");
    put_string(t, "kind", s->engine_kind);
    put_string(t, "backend", s->backend);
    put_string(t, "precision", s->precision);
    put_string(t, "detector", s->detector);
    put_string(t, "segmenter", s->segmenter);
    put_string(t, "detector_sha256", s->detector_sha256);
    put_string(t, "segmenter_sha256", s->segmenter_sha256);
    put_count(t, "opens", s->engine_opens);
    put_number(t, "ms_p50", s->engine_ms_p50);
    put_number(t, "ms_p95", s->engine_ms_p95);
    put_number(t, "ms_p99", s->engine_ms_p99);
    end(t, '}');
    put(t, ",");
}

static void put_clients(text *t, const sono_serve_snapshot *s)
{
    put(t, "\"clients\":[%s", s->n_clients ? "" : " ");
    for (int32_t i = 0; i < s->n_clients; ++i) {
        const sono_serve_snapshot_client *client = &s->clients[i];
        put(t, "{");
        put_string(t, "address", client->address);
        put_integer(t, "version", client->version);
        put_count(t, "messages", client->messages);
        put_count(t, "bytes", client->bytes);
        put_count(t, "dropped", client->dropped);
        put_count(t, "queued_bytes", client->queued_bytes);
        put_number(t, "lag_ms", (double)client->lag_ns * 1e-6);
        put_number(t, "since", (double)client->since_utc_ns * 1e-9);
        end(t, '}');
        put(t, ",");
    }
    end(t, ']');
    put(t, ",");
}

size_t sono_serve_snapshot_json(const sono_serve_snapshot *snapshot, char *out, size_t n_bytes)
{
    const sono_serve_snapshot *s = snapshot;
    text t = {.out = out, .capacity = n_bytes};
    put(&t, "{\"schema\":1,");
    put_number(&t, "time", (double)s->utc_ns * 1e-9);
    put_number(&t, "uptime_s", (double)s->uptime_ns * 1e-9);
    put_string(&t, "fault", s->fault);
    put_string(&t, "fault_text", s->fault_text);
    put_frames(&t, s);
    put_source(&t, s);
    put_engine(&t, s);
    put(&t, "\"recording\":{");
    put_flag(&t, "on", s->is_recording);
    put_count(&t, "recorded", s->recorded);
    put_count(&t, "dropped", s->record_dropped);
    put_string(&t, "error", s->record_error);
    end(&t, '}');
    put(&t, ",");
    put_clients(&t, s);
    end(&t, '}');
    if (n_bytes) {
        out[t.n_bytes < n_bytes ? t.n_bytes : n_bytes - 1] = 0;
    }
    return t.n_bytes;
}

const char *sono_serve_snapshot_drop_name(int32_t index)
{
    return sono_session_drop_name((sono_session_drop)index);
}

/* ---- the board ------------------------------------------------------------------------------------------
 */

#define N_WORDS ((sizeof(sono_serve_snapshot) + 7) / 8)

/* A sequence lock without fences: the data are written with release and read with acquire, so that who reads
 * a word of a newer snapshot also sees that its sequence is odd. On x86-64 all of it is plain moves. */
struct sono_serve_board {
    _Atomic uint64_t sequence; /* odd while it is written */
    _Atomic uint64_t words[N_WORDS];
};

sono_serve_board *sono_serve_board_new(void)
{
    return calloc(1, sizeof(sono_serve_board));
}

void sono_serve_board_free(sono_serve_board *board)
{
    free(board);
}

void sono_serve_snapshot_write(sono_serve_board *board, const sono_serve_snapshot *snapshot)
{
    uint64_t sequence = atomic_load_explicit(&board->sequence, memory_order_relaxed);
    atomic_store_explicit(&board->sequence, sequence + 1, memory_order_relaxed);
    for (size_t i = 0; i < N_WORDS; ++i) {
        uint64_t word = 0;
        size_t left = sizeof *snapshot - 8 * i;
        memcpy(&word, (const char *)snapshot + 8 * i, left < 8 ? left : 8);
        atomic_store_explicit(&board->words[i], word, memory_order_release);
    }
    atomic_store_explicit(&board->sequence, sequence + 2, memory_order_release);
}

static int read_once(const sono_serve_board *board, sono_serve_snapshot *out)
{
    uint64_t sequence = atomic_load_explicit(&board->sequence, memory_order_acquire);
    if (sequence & 1) {
        return 0;
    }
    for (size_t i = 0; i < N_WORDS; ++i) {
        uint64_t word = atomic_load_explicit(&board->words[i], memory_order_acquire);
        size_t left = sizeof *out - 8 * i;
        memcpy((char *)out + 8 * i, &word, left < 8 ? left : 8);
    }
    return atomic_load_explicit(&board->sequence, memory_order_relaxed) == sequence;
}

void sono_serve_snapshot_read(const sono_serve_board *board, sono_serve_snapshot *out)
{
    while (!read_once(board, out)) {
    }
}
