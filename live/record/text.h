// SPDX-License-Identifier: Apache-2.0
/* A header's text in memory of a fixed size: numbers and values as docs/recording.md says. Numbers have a
 * decimal point whatever the locale. Private to the recorder. */
#ifndef SONOSEG_LIVE_RECORD_TEXT_H
#define SONOSEG_LIVE_RECORD_TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct sono_record_text {
    char *bytes; /* capacity_bytes of them, the owner's; not terminated */
    size_t n_bytes;
    size_t capacity_bytes;
    int is_full; /* something did not fit: what is there is of no use behind the owner's last mark */
} sono_record_text;

void sono_record_text_add(sono_record_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A number of nanoseconds as seconds: "-0.000000001", "12.5", "3". Exact. */
void sono_record_text_add_seconds(sono_record_text *text, int64_t ns);

/* The shortest decimal text that reads back as the same number; finite. */
void sono_record_text_add_float(sono_record_text *text, float value);
void sono_record_text_add_double(sono_record_text *text, double value);

/* Escaped as sono_record_field says. */
void sono_record_text_add_value(sono_record_text *text, const char *value);

#endif
