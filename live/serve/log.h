// SPDX-License-Identifier: Apache-2.0
/*
 * The service's events, one a line: `ts=<seconds> event=<name> key=value key="value with blanks" ...`, or the
 * same as JSON. Thread-safe but for open and close.
 */
#ifndef SONO_SERVE_LOG_H
#define SONO_SERVE_LOG_H

#include "serve/lines.h"
#include "serve/log_level.h"

typedef struct sono_serve_log {
    sono_serve_lines *lines;
    int is_json;
    sono_serve_lines *errors; /* warnings and errors, once more; NULL = there is none */
    int has_levels;           /* 0 = every line is kept */
    sono_serve_levels levels;
    /* Optional: told of every line, too, from whichever thread puts it. */
    void (*listener)(void *user, const char *event, const char *text);
    void *user;
} sono_serve_log;

/* Errors: those of sono_serve_lines_open(). */
sono_status sono_serve_log_open(sono_serve_log *log, const char *path, int is_json, sono_error *error);
void sono_serve_log_close(sono_serve_log *log);

/* text: `key=value ...`, "" = nothing. A value with blanks stands in double quotes, which end before a blank
 * or at the end; a word without '=' becomes part of `text` in JSON. At most 1200 bytes or so are kept. */
void sono_serve_log_put(sono_serve_log *log, const char *event, const char *text);
__attribute__((format(printf, 3, 4))) void sono_serve_log_format(sono_serve_log *log, const char *event,
                                                                 const char *format, ...);

/* The line itself, without a newline; its length, cut to n_bytes - 1. Pure, for its test. */
size_t sono_serve_log_line(int is_json, int64_t utc_ns, const char *event, const char *text, char *out,
                           size_t n_bytes);

#endif
