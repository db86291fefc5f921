// SPDX-License-Identifier: Apache-2.0
/* Text that grows: JSON, CSV and metrics are written into it. One thread at a time. After a failure (no
 * memory, above SONO_WEB_TEXT_LIMIT) it stays empty and says so; nothing is to be checked before the end. */
#ifndef SONO_WEB_TEXT_H
#define SONO_WEB_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define SONO_WEB_TEXT_LIMIT (4 << 20)

typedef struct sono_web_text {
    char *bytes; /* ends in a 0 that n_bytes does not count; NULL while nothing was put */
    size_t n_bytes, capacity;
    int is_failed;
} sono_web_text;

void sono_web_text_free(sono_web_text *text);
void sono_web_text_put(sono_web_text *text, const char *bytes, size_t n_bytes);
__attribute__((format(printf, 2, 3))) void sono_web_text_add(sono_web_text *text, const char *format, ...);

/* JSON. A key of NULL writes the value alone; each value ends in a comma, which _close() takes away. */
void sono_web_json_open(sono_web_text *text, const char *key, char bracket);        /* '{' or '[' */
void sono_web_json_close(sono_web_text *text, char bracket, int with_comma);        /* '}' or ']' */
void sono_web_json_string(sono_web_text *text, const char *key, const char *value); /* not UTF-8: U+FFFD */
void sono_web_json_count(sono_web_text *text, const char *key, uint64_t value);
void sono_web_json_integer(sono_web_text *text, const char *key, int64_t value);
/* n_decimals 0 to 9. What is not finite becomes null. */
void sono_web_json_number(sono_web_text *text, const char *key, double value, int n_decimals);
void sono_web_json_flag(sono_web_text *text, const char *key, int value);
void sono_web_json_null(sono_web_text *text, const char *key);

#endif
