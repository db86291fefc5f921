// SPDX-License-Identifier: Apache-2.0
#include "serve/log.h"
#include "serve/loop.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 1200

typedef struct line {
    char *out;
    size_t n_bytes, at;
} line;

static void put(line *l, const char *bytes, size_t n)
{
    size_t room = l->n_bytes - 1 - l->at;
    n = n < room ? n : room;
    memcpy(l->out + l->at, bytes, n);
    l->at += n;
}

static void put_text(line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* In quotes. Bytes above 126 as \u00XX: what they mean is for who reads it to say. */
static void put_quoted(line *l, const char *text, size_t n)
{
    put_text(l, "\"");
    for (size_t i = 0; i < n; ++i) {
        unsigned char c = (unsigned char)text[i];
        char escape[8];
        if (c == '"' || c == '\\') {
            snprintf(escape, sizeof escape, "\\%c", c);
            put_text(l, escape);
        } else if (c < 0x20 || c >= 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            put_text(l, escape);
        } else {
            put(l, text + i, 1);
        }
    }
    put_text(l, "\"");
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?, at most 15 digits: a number of JSON that every reader keeps. */
static int is_number(const char *text, size_t n)
{
    size_t i = n && text[0] == '-', digits = 0, first = i;
    for (; i < n && text[i] >= '0' && text[i] <= '9'; ++i) {
        ++digits;
    }
    if (!digits || (digits > 1 && text[first] == '0')) {
        return 0;
    }
    if (i < n && text[i] == '.') {
        size_t from = ++i;
        for (; i < n && text[i] >= '0' && text[i] <= '9'; ++i) {
            ++digits;
        }
        if (i == from) {
            return 0;
        }
    }
    return i == n && digits <= 15;
}

/* Length of the value at text: a word, or up to the quote that a blank or the end follows. */
static size_t value_length(const char *text, int *is_quoted)
{
    *is_quoted = text[0] == '"';
    if (!*is_quoted) {
        return strcspn(text, " ");
    }
    size_t n = 1;
    while (text[n] && !(text[n] == '"' && (text[n + 1] == ' ' || !text[n + 1]))) {
        ++n;
    }
    return n;
}

static void put_pairs(line *l, const char *text)
{
    while (*text) {
        size_t n_key = strcspn(text, " =");
        int is_quoted;
        put_text(l, ",");
        if (text[n_key] != '=') { /* words without a key: the rest as one text */
            put_text(l, "\"text\":");
            put_quoted(l, text, strlen(text));
            return;
        }
        put_quoted(l, text, n_key);
        put_text(l, ":");
        text += n_key + 1;
        size_t n = value_length(text, &is_quoted);
        if (is_quoted) {
            put_quoted(l, text + 1, n - 1);
            n += text[n] == '"';
        } else if (is_number(text, n)) {
            put(l, text, n);
        } else {
            put_quoted(l, text, n);
        }
        text += n;
        text += strspn(text, " ");
    }
}

size_t sono_serve_log_line(int is_json, int64_t utc_ns, const char *event, const char *text, char *out,
                           size_t n_bytes)
{
    line l = {.out = out, .n_bytes = n_bytes};
    char time[48];
    snprintf(time, sizeof time, "%lld.%06lld", (long long)(utc_ns / 1000000000),
             (long long)(utc_ns % 1000000000 / 1000));
    put_text(&l, is_json ? "{\"ts\":" : "ts=");
    put_text(&l, time);
    put_text(&l, is_json ? ",\"event\":" : " event=");
    if (is_json) {
        put_quoted(&l, event, strlen(event));
        put_pairs(&l, text);
        put_text(&l, "}");
    } else {
        put_text(&l, event);
        put_text(&l, *text ? " " : "");
        put_text(&l, text);
    }
    out[l.at] = 0;
    return l.at;
}

sono_status sono_serve_log_open(sono_serve_log *log, const char *path, int is_json, sono_error *error)
{
    log->is_json = is_json;
    return sono_serve_lines_open(path, NULL, &log->lines, error);
}

void sono_serve_log_close(sono_serve_log *log)
{
    sono_serve_lines_close(log->lines);
    log->lines = NULL;
}

void sono_serve_log_put(sono_serve_log *log, const char *event, const char *text)
{
    char out[6 * TEXT_BYTES + 256], kept[TEXT_BYTES]; /* a byte may become six */
    sono_serve_area area;
    sono_serve_level level;
    snprintf(kept, sizeof kept, "%s", text);
    sono_serve_level_of(event, kept, &area, &level);
    sono_serve_log_line(log->is_json, sono_serve_utc_ns(), event, kept, out, sizeof out);
    if (!log->has_levels || level <= log->levels.of[area] || !strcmp(event, "audit")) {
        sono_serve_lines_put(log->lines, out);
    }
    if (level <= SONO_SERVE_LEVEL_WARNING) {
        sono_serve_lines_put(log->errors, out);
    }
    if (log->listener) {
        log->listener(log->user, event, kept);
    }
}

void sono_serve_log_format(sono_serve_log *log, const char *event, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sono_serve_log_put(log, event, text);
}
