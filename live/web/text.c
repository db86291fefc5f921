// SPDX-License-Identifier: Apache-2.0
#include "web/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 1024

void sono_web_text_free(sono_web_text *text)
{
    free(text->bytes);
    *text = (sono_web_text){0};
}

static int fail(sono_web_text *text)
{
    sono_web_text_free(text);
    text->is_failed = 1;
    return -1;
}

/* Room for so many more bytes and a 0. */
static int reserve(sono_web_text *text, size_t n_bytes)
{
    size_t capacity = text->capacity ? text->capacity : FIRST_BYTES;
    if (text->is_failed) {
        return -1;
    }
    if (n_bytes >= SONO_WEB_TEXT_LIMIT - text->n_bytes) {
        return fail(text);
    }
    while (capacity < text->n_bytes + n_bytes + 1) {
        capacity *= 2;
    }
    if (capacity != text->capacity) {
        char *bytes = realloc(text->bytes, capacity);
        if (!bytes) {
            return fail(text);
        }
        text->bytes = bytes;
        text->capacity = capacity;
    }
    return 0;
}

void sono_web_text_put(sono_web_text *text, const char *bytes, size_t n_bytes)
{
    if (!reserve(text, n_bytes)) {
        memcpy(text->bytes + text->n_bytes, bytes, n_bytes);
        text->n_bytes += n_bytes;
        text->bytes[text->n_bytes] = 0;
    }
}

void sono_web_text_add(sono_web_text *text, const char *format, ...)
{
    char small[512];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int n = vsnprintf(small, sizeof small, format, arguments);
    if (n >= 0 && (size_t)n < sizeof small) {
        sono_web_text_put(text, small, (size_t)n);
    } else if (n >= 0 && !reserve(text, (size_t)n)) {
        vsnprintf(text->bytes + text->n_bytes, (size_t)n + 1, format, again);
        text->n_bytes += (size_t)n;
    }
    va_end(again);
    va_end(arguments);
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

/* Length of the UTF-8 sequence at s, 0 where there is none. Overlong forms and surrogates are none. */
static size_t sequence(const unsigned char *s)
{
    static const struct {
        unsigned char low, high, second_low, second_high;
        size_t n;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (s[0] < forms[i].low || s[0] > forms[i].high) {
            continue;
        }
        if (forms[i].n > 1 && (s[1] < forms[i].second_low || s[1] > forms[i].second_high)) {
            return 0;
        }
        for (size_t at = 2; at < forms[i].n; at++) {
            if ((s[at] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return forms[i].n;
    }
    return 0;
}

static void put_key(sono_web_text *text, const char *key)
{
    if (key) {
        sono_web_text_add(text, "\"%s\":", key);
    }
}

void sono_web_json_open(sono_web_text *text, const char *key, char bracket)
{
    put_key(text, key);
    sono_web_text_put(text, &bracket, 1);
}

void sono_web_json_close(sono_web_text *text, char bracket, int with_comma)
{
    if (text->n_bytes && text->bytes[text->n_bytes - 1] == ',') {
        text->bytes[--text->n_bytes] = 0;
    }
    sono_web_text_put(text, &bracket, 1);
    sono_web_text_put(text, ",", with_comma ? 1 : 0);
}

void sono_web_json_string(sono_web_text *text, const char *key, const char *value)
{
    put_key(text, key);
    sono_web_text_put(text, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)value; *s;) {
        const size_t n = sequence(s);
        if (!n) {
            sono_web_text_put(text, "\\ufffd", 6);
            s++;
        } else if (*s == '"' || *s == '\\') {
            sono_web_text_add(text, "\\%c", *s++);
        } else if (*s < 0x20 || *s == 0x7f) {
            sono_web_text_add(text, "\\u%04x", *s++);
        } else {
            sono_web_text_put(text, (const char *)s, n);
            s += n;
        }
    }
    sono_web_text_put(text, "\",", 2);
}

void sono_web_json_count(sono_web_text *text, const char *key, uint64_t value)
{
    put_key(text, key);
    sono_web_text_add(text, "%llu,", (unsigned long long)value);
}

void sono_web_json_integer(sono_web_text *text, const char *key, int64_t value)
{
    put_key(text, key);
    sono_web_text_add(text, "%lld,", (long long)value);
}

void sono_web_json_number(sono_web_text *text, const char *key, double value, int n_decimals)
{
    if (!isfinite(value)) {
        sono_web_json_null(text, key);
        return;
    }
    put_key(text, key);
    sono_web_text_add(text, "%.*f,", n_decimals, value);
}

void sono_web_json_flag(sono_web_text *text, const char *key, int value)
{
    put_key(text, key);
    sono_web_text_add(text, "%s,", value ? "true" : "false");
}

void sono_web_json_null(sono_web_text *text, const char *key)
{
    put_key(text, key);
    sono_web_text_put(text, "null,", 5);
}
