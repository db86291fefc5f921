// SPDX-License-Identifier: Apache-2.0
#include "json_find.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64

static const char *skip_blank(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
        p++;
    return p;
}

/* Behind a number or a word at p. */
static const char *skip_word(const char *p)
{
    static const uint8_t ends[256] = {[0] = 1,   [','] = 1, [':'] = 1, [']'] = 1,  ['}'] = 1,  ['['] = 1,
                                      ['{'] = 1, ['"'] = 1, [' '] = 1, ['\t'] = 1, ['\r'] = 1, ['\n'] = 1};
    while (!ends[(uint8_t)*p])
        p++;
    return p;
}

/* p at a quote; behind the closing one, or NULL. */
static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && !*++p)
            return NULL;
    }
    return *p ? p + 1 : NULL;
}

/* Behind the value at p, or NULL. Brackets are counted, not matched by kind. */
static const char *skip_value(const char *p)
{
    int depth = 0;
    p = skip_blank(p);
    do {
        p = skip_blank(p);
        if (*p == '"') {
            p = skip_string(p);
            if (!p)
                return NULL;
        } else if (*p == '{' || *p == '[') {
            if (++depth > MAX_DEPTH)
                return NULL;
            p++;
        } else if (*p == '}' || *p == ']') {
            if (--depth < 0)
                return NULL;
            p++;
        } else if (depth && (*p == ',' || *p == ':')) {
            p++;
        } else {
            const char *end = skip_word(p);
            if (end == p)
                return NULL;
            p = end;
        }
    } while (depth);
    return p;
}

/* The next member of an object or element of an array, with p behind its bracket or comma; *end gets what is
 * behind it. */
static const char *next(const char *p, int is_object, const char **key, size_t *n_key, const char **end)
{
    p = skip_blank(p);
    if (is_object) {
        const char *closed = *p == '"' ? skip_string(p) : NULL;
        if (!closed)
            return NULL;
        *key = p + 1;
        *n_key = (size_t)(closed - p) - 2;
        p = skip_blank(closed);
        if (*p != ':')
            return NULL;
        p = skip_blank(p + 1);
    }
    *end = *p && *p != ']' && *p != '}' ? skip_value(p) : NULL;
    return *end ? p : NULL;
}

static const char *find_member(const char *p, const char *wanted, size_t n_wanted)
{
    const char *key, *end;
    size_t n_key;
    p = skip_blank(p);
    if (*p != '{')
        return NULL;
    for (;;) {
        const char *value = next(p + 1, 1, &key, &n_key, &end);
        if (!value || (n_key == n_wanted && !memcmp(key, wanted, n_key)))
            return value;
        p = skip_blank(end);
        if (*p != ',')
            return NULL;
    }
}

const char *json_find(const char *text, const char *path)
{
    const char *value = text ? skip_blank(text) : NULL;
    while (value && *path) {
        const size_t n = strcspn(path, ".");
        value = find_member(value, path, n);
        path += n + (path[n] == '.');
    }
    return value;
}

int json_members(const char *text, json_member *out, int most)
{
    const char *p = text ? skip_blank(text) : "", *end;
    int n = 0;
    if (*p != '{')
        return 0;
    while (n < most) {
        out[n].value = next(p + 1, 1, &out[n].key, &out[n].n_key, &end);
        if (!out[n].value)
            break;
        n++;
        p = skip_blank(end);
        if (*p != ',')
            break;
    }
    return n;
}

const char *json_value(const json_member *members, int n, const char *key)
{
    const size_t n_key = strlen(key);
    for (int i = 0; i < n; i++)
        if (members[i].n_key == n_key && !memcmp(members[i].key, key, n_key))
            return members[i].value;
    return NULL;
}

const char *json_element(const char *value, int i, char *key, size_t n_key)
{
    const char *name = "", *end;
    size_t n_name = 0;
    if (!value)
        return NULL;
    const char *p = skip_blank(value);
    const int is_object = *p == '{';
    if (!is_object && *p != '[')
        return NULL;
    for (;; i--) {
        const char *found = next(p + 1, is_object, &name, &n_name, &end);
        if (!found)
            return NULL;
        if (i <= 0) {
            if (key && n_key) {
                n_name = n_name < n_key ? n_name : n_key - 1;
                memcpy(key, name, n_name);
                key[n_name] = 0;
            }
            return found;
        }
        p = skip_blank(end);
        if (*p != ',')
            return NULL;
    }
}

int json_each_member(const char *text,
                     void (*take)(void *user, const char *key, size_t n_key, const char *value), void *user)
{
    const char *key, *end, *p = skip_blank(text);
    size_t n_key;
    if (*p != '{')
        return -1;
    end = skip_blank(p + 1);
    if (*end == '}')
        return *skip_blank(end + 1) ? -1 : 0;
    do {
        const char *value = next(p + 1, 1, &key, &n_key, &end);
        if (!value)
            return -1;
        take(user, key, n_key, value);
        p = skip_blank(end);
    } while (*p == ',');
    return *p == '}' && !*skip_blank(p + 1) ? 0 : -1;
}

double json_number(const char *text, const char *path)
{
    const char *value = json_find(text, path);
    if (!value || (*value != '-' && (*value < '0' || *value > '9')))
        return NAN;
    return strtod(value, NULL);
}

int json_is_true(const char *text, const char *path)
{
    const char *value = json_find(text, path);
    return value && !strncmp(value, "true", 4);
}

const char *json_text(const char *text, const char *path, char *out, size_t n_bytes)
{
    const char *p = json_find(text, path);
    size_t n = 0;
    for (p = p && *p == '"' ? p + 1 : ""; *p && *p != '"' && n + 1 < n_bytes; p++) {
        char c = *p;
        if (c == '\\') {
            c = *++p;
            if (!c)
                break;
            c = c == '"' || c == '\\' || c == '/' ? c : '?';
        }
        out[n++] = (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
    }
    out[n] = 0;
    return out;
}
