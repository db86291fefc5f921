// SPDX-License-Identifier: Apache-2.0
#include "web/body.h"
#include "web/request.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct reading {
    const char *bytes;
    size_t n_bytes, at;
} reading;

static int peek(const reading *r)
{
    return r->at < r->n_bytes ? (unsigned char)r->bytes[r->at] : -1;
}

static void skip(reading *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r') {
        r->at++;
    }
}

static int take(reading *r, char wanted)
{
    skip(r);
    if (peek(r) != wanted) {
        return -1;
    }
    r->at++;
    return 0;
}

static int take_word(reading *r, const char *word)
{
    const size_t n = strlen(word);
    if (r->n_bytes - r->at < n || memcmp(r->bytes + r->at, word, n) != 0) {
        return -1;
    }
    r->at += n;
    return 0;
}

/* Four hexadecimal digits; -1 where there are none. */
static int32_t take_hex(reading *r)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const int c = peek(r);
        const char *digits = "0123456789abcdef",
                   *at = c > 0 ? strchr(digits, c | (c > '9' ? 0x20 : 0)) : NULL;
        if (!at) {
            return -1;
        }
        value = 16 * value + (int32_t)(at - digits);
        r->at++;
    }
    return value;
}

/* \uXXXX, of the Basic Multilingual Plane and not 0: who needs others writes them as they are. */
static int put_escaped(reading *r, char *out, size_t *n)
{
    const int32_t code = take_hex(r);
    if (code <= 0 || (code >= 0xd800 && code < 0xe000)) {
        return -1;
    }
    if (code < 0x80) {
        out[(*n)++] = (char)code;
    } else if (code < 0x800) {
        out[(*n)++] = (char)(0xc0 | code >> 6);
        out[(*n)++] = (char)(0x80 | (code & 63));
    } else {
        out[(*n)++] = (char)(0xe0 | code >> 12);
        out[(*n)++] = (char)(0x80 | (code >> 6 & 63));
        out[(*n)++] = (char)(0x80 | (code & 63));
    }
    return 0;
}

static int take_string(reading *r, char *out, size_t n_bytes)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t n = 0;
    if (take(r, '"')) {
        return -1;
    }
    while (n + 4 < n_bytes) {
        const int c = peek(r);
        r->at++;
        if (c == '"') {
            out[n] = 0;
            return 0;
        }
        if (c < 0x20) { /* the end, too */
            return -1;
        }
        if (c != '\\') {
            out[n++] = (char)c;
            continue;
        }
        const int escaped = peek(r);
        const char *at = escaped > 0 ? strchr(from, escaped) : NULL;
        r->at++;
        if (at) {
            out[n++] = to[at - from];
        } else if (escaped != 'u' || put_escaped(r, out, &n)) {
            return -1;
        }
    }
    return -1;
}

static int take_number(reading *r, double *out)
{
    char text[65];
    size_t n = 0;
    while (n + 1 < sizeof text && peek(r) > 0 && strchr("+-0123456789.eE", peek(r))) {
        text[n++] = (char)peek(r);
        r->at++;
    }
    text[n] = 0;
    const char *digits = text + (*text == '-');
    if (*digits == '0' && digits[1] >= '0' && digits[1] <= '9') {
        return -1;
    }
    return sono_web_take_number(text, -1e300, 1e300, out);
}

static int take_value(reading *r, sono_web_value *value)
{
    skip(r);
    if (peek(r) == '"') {
        value->kind = SONO_WEB_STRING;
        return take_string(r, value->text, sizeof value->text);
    }
    if (!take_word(r, "true") || !take_word(r, "false")) {
        value->kind = SONO_WEB_BOOLEAN;
        value->number = r->bytes[r->at - 2] == 'u';
        return 0;
    }
    value->kind = SONO_WEB_NUMBER;
    return take_number(r, &value->number);
}

int sono_web_body_read(const char *bytes, size_t n_bytes, sono_web_value *value, char *why, size_t n_why)
{
    reading r = {.bytes = bytes, .n_bytes = n_bytes};
    char key[SONO_WEB_VALUE_BYTES];
    value->kind = SONO_WEB_NOTHING;
    value->text[0] = 0;
    value->number = 0;
    skip(&r);
    if (r.at == n_bytes) {
        return 0;
    }
    snprintf(why, n_why, "the body is not one JSON object with plain values");
    if (take(&r, '{')) {
        return -1;
    }
    skip(&r);
    if (peek(&r) != '}') {
        if (take_string(&r, key, sizeof key) || take(&r, ':')) {
            return -1;
        }
        if (strcmp(key, value->key) != 0) {
            snprintf(why, n_why, "the body has a key that is not known here: only \"%s\" is", value->key);
            return -1;
        }
        if (take_value(&r, value)) {
            value->kind = SONO_WEB_NOTHING;
            return -1;
        }
    }
    const int is_over = !take(&r, '}');
    skip(&r);
    return is_over && r.at == n_bytes ? 0 : -1;
}
