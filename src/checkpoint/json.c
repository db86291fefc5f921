// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/json.h"

#include "base/alloc.h"

#include <string.h>

#define FAIL_HERE(json, name, ...) SONO_FAIL_AT(error, name, (json)->base_offset + (json)->at, __VA_ARGS__)

static const int64_t max_integer = (int64_t)1 << 53;

char sono_json_peek(sono_json *json)
{
    while (json->at < json->n_bytes && strchr(" \t\r\n", json->text[json->at]) && json->text[json->at])
        json->at++;
    return json->at < json->n_bytes ? json->text[json->at] : 0;
}

sono_status sono_json_take(sono_json *json, char wanted, sono_error *error)
{
    if (sono_json_peek(json) != wanted)
        return FAIL_HERE(json, FORMAT, "JSON: expected '%c'", wanted);
    json->at++;
    return SONO_STATUS_OK;
}

sono_status sono_json_next(sono_json *json, char end, int *first, int *more, sono_error *error)
{
    const char next = sono_json_peek(json);
    *more = next != end;
    if (!*more || (next == ',' && !*first))
        json->at++;
    else if (!*first || !next)
        return FAIL_HERE(json, FORMAT, "JSON: expected ',' or '%c'", end);
    *first = 0;
    return SONO_STATUS_OK;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
        return (digit | 0x20) - 'a' + 10;
    return -1;
}

/* Four hex digits at text[at], or -1. */
static int32_t read_hex4(const sono_json *json, size_t at)
{
    int32_t value = 0;
    if (json->n_bytes < 4 || at > json->n_bytes - 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        const int digit = hex_value(json->text[at + i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    const size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | code);
    return n;
}

/* The escape behind a backslash at json->at; writes at most 4 bytes, returns how many, 0 = malformed. */
static size_t read_escape(sono_json *json, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char kind = json->at < json->n_bytes ? json->text[json->at++] : 0;
    const char *simple = kind ? strchr(from, kind) : NULL;
    if (simple) {
        *out = to[simple - from];
        return 1;
    }
    if (kind != 'u')
        return 0;
    int32_t code = read_hex4(json, json->at);
    json->at += 4;
    if (code >= 0xd800 && code < 0xdc00) {
        if (json->n_bytes < 2 || json->at > json->n_bytes - 2 || memcmp(json->text + json->at, "\\u", 2) != 0)
            return 0;
        const int32_t low = read_hex4(json, json->at + 2);
        json->at += 6;
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return 0;
    }
    return code > 0 ? put_utf8(out, (uint32_t)code) : 0;
}

/* Bytes up to the closing quote, backslashes stepped over; json->n_bytes when there is none. */
static size_t find_quote(const sono_json *json)
{
    size_t at = json->at;
    while (at < json->n_bytes && json->text[at] != '"')
        at += json->text[at] == '\\' ? 2 : 1;
    return at < json->n_bytes ? at : json->n_bytes;
}

sono_status sono_json_string(sono_json *json, char **out, sono_error *error)
{
    SONO_TRY(sono_json_take(json, '"', error));
    const size_t end = find_quote(json);
    if (end == json->n_bytes)
        return FAIL_HERE(json, FORMAT, "JSON: string without an end");
    char *text = sono_alloc(end - json->at + 1); /* no escape is shorter than what it stands for */
    if (!text)
        return FAIL_HERE(json, OUT_OF_MEMORY, "out of memory for a JSON string");
    size_t n = 0;
    while (json->at < end) {
        const unsigned char byte = (unsigned char)json->text[json->at++];
        const size_t made = byte == '\\' ? read_escape(json, text + n) : 1;
        if (byte < 0x20 || !made || json->at > end) {
            sono_free(text);
            return FAIL_HERE(json, FORMAT, "JSON: control character or bad escape in a string");
        }
        if (byte != '\\')
            text[n] = (char)byte;
        n += made;
    }
    json->at = end + 1;
    *out = text;
    return SONO_STATUS_OK;
}

sono_status sono_json_integer(sono_json *json, int64_t *out, sono_error *error)
{
    const char first = sono_json_peek(json);
    const size_t start = json->at;
    if (first < '0' || first > '9')
        return FAIL_HERE(json, FORMAT, "JSON: expected an integer that is not negative");
    int64_t value = 0;
    while (json->at < json->n_bytes && json->text[json->at] >= '0' && json->text[json->at] <= '9') {
        value = value * 10 + (json->text[json->at++] - '0');
        if (value > max_integer)
            return FAIL_HERE(json, FORMAT, "JSON: integer above 2^53");
    }
    const char after = json->at < json->n_bytes ? json->text[json->at] : 0;
    if ((first == '0' && json->at > start + 1) || after == '.' || after == 'e' || after == 'E')
        return FAIL_HERE(json, FORMAT,
                         "JSON: expected an integer without leading zeros, fraction or exponent");
    *out = value;
    return SONO_STATUS_OK;
}

static size_t skip_digits(sono_json *json)
{
    const size_t start = json->at;
    while (json->at < json->n_bytes && json->text[json->at] >= '0' && json->text[json->at] <= '9')
        json->at++;
    return json->at - start;
}

/* Whether one of the letters stands here; takes it. */
static int take_one_of(sono_json *json, const char *letters)
{
    const char next = json->at < json->n_bytes ? json->text[json->at] : 0;
    const int is_one = next && strchr(letters, next);
    json->at += is_one ? 1 : 0;
    return is_one;
}

static sono_status skip_number(sono_json *json, sono_error *error)
{
    (void)take_one_of(json, "-");
    const int leads_with_zero = json->at < json->n_bytes && json->text[json->at] == '0';
    const size_t n_digits = skip_digits(json);
    int is_good = n_digits == 1 || (n_digits && !leads_with_zero);
    if (take_one_of(json, "."))
        is_good &= skip_digits(json) > 0;
    if (take_one_of(json, "eE")) {
        (void)take_one_of(json, "+-");
        is_good &= skip_digits(json) > 0;
    }
    return is_good ? SONO_STATUS_OK : FAIL_HERE(json, FORMAT, "JSON: malformed value");
}

/* A string, a number, or a word. */
static sono_status skip_scalar(sono_json *json, sono_error *error)
{
    static const char *const words[] = {"null", "true", "false"};
    char *text = NULL;
    if (sono_json_peek(json) == '"') {
        SONO_TRY(sono_json_string(json, &text, error));
        sono_free(text);
        return SONO_STATUS_OK;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t n = strlen(words[i]);
        if (json->n_bytes - json->at >= n && memcmp(json->text + json->at, words[i], n) == 0) {
            json->at += n;
            return SONO_STATUS_OK;
        }
    }
    return skip_number(json, error);
}

/* Steps over arrays and objects one after the other: closers[] is what ends those that are open. */
sono_status sono_json_skip(sono_json *json, int depth, sono_error *error)
{
    char closers[SONO_JSON_MAX_DEPTH];
    int n_open = 0, first = 0, more = 1;
    do {
        if (n_open)
            SONO_TRY(sono_json_next(json, closers[n_open - 1], &first, &more, error));
        if (!more) {
            n_open--;
            first = 0;
            continue;
        }
        if (n_open && closers[n_open - 1] == '}') {
            char *key = NULL;
            SONO_TRY(sono_json_string(json, &key, error));
            sono_free(key);
            SONO_TRY(sono_json_take(json, ':', error));
        }
        const char next = sono_json_peek(json);
        if (next != '[' && next != '{') {
            SONO_TRY(skip_scalar(json, error));
            continue;
        }
        if (depth + n_open >= SONO_JSON_MAX_DEPTH)
            return FAIL_HERE(json, FORMAT, "JSON: nested deeper than %d levels", SONO_JSON_MAX_DEPTH);
        json->at++;
        closers[n_open++] = next == '[' ? ']' : '}';
        first = 1;
    } while (n_open);
    return SONO_STATUS_OK;
}
