// SPDX-License-Identifier: Apache-2.0
#include "web/request.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

/* ---- hosts ----------------------------------------------------------------------------------------------
 */

static int is_port(const char *text)
{
    long port;
    return sono_web_take_count(text, 0, 65535, &port) == 0;
}

int sono_web_host_name(const char *host, char out[SONO_WEB_NAME_BYTES])
{
    if (!host) {
        return -1;
    }
    const int is_bracketed = *host == '[';
    const char *begin = host + is_bracketed;
    const size_t n = is_bracketed ? strcspn(begin, "]") : strspn(begin, NAME_LETTERS);
    const char *rest = begin + n + (is_bracketed && begin[n]);
    struct in6_addr six;
    if (!n || n >= SONO_WEB_NAME_BYTES || (is_bracketed && begin[n] != ']') ||
        (*rest && (*rest != ':' || !is_port(rest + 1)))) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)(begin[i] >= 'A' && begin[i] <= 'Z' ? begin[i] + 32 : begin[i]);
    }
    out[n] = 0;
    return is_bracketed && inet_pton(AF_INET6, out, &six) != 1 ? -1 : 0;
}

int sono_web_name_is_loopback(const char *name)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, name, &four) == 1) {
        return ntohl(four.s_addr) >> 24 == 127;
    }
    return !strcmp(name, "localhost") || (inet_pton(AF_INET6, name, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six));
}

int sono_web_name_is_listed(const char *name, const char *list)
{
    const size_t n_name = strlen(name);
    for (size_t n; *list; list += n) {
        list += strspn(list, ", ");
        n = strcspn(list, ", ");
        if (n && n == n_name && !strncasecmp(list, name, n)) {
            return 1;
        }
    }
    return 0;
}

/* Its length without the default port's ":80". */
static size_t without_port(const char *host, const char *port)
{
    const size_t n = strlen(host), n_port = strlen(port);
    return n > n_port && !strcmp(host + n - n_port, port) ? n - n_port : n;
}

int sono_web_origin_is_ours(const char *origin, const char *host)
{
    const int is_tls = !strncasecmp(origin, "https://", 8);
    if (!host || (!is_tls && strncasecmp(origin, "http://", 7) != 0)) {
        return 0;
    }
    const char *port = is_tls ? ":443" : ":80";
    const char *from = origin + (is_tls ? 8 : 7);
    const size_t n = without_port(from, port);
    return n && n == without_port(host, port) && !strncasecmp(from, host, n);
}

/* ---- queries --------------------------------------------------------------------------------------------
 */

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char small = (char)(c | 0x20);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

/* n bytes of a query, decoded. 0, or -1. */
static int decode(const char *text, size_t n, char *out, size_t n_bytes)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        int c = text[i] == '+' ? ' ' : text[i];
        if (text[i] == '%') {
            if (n - i < 3 || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) {
                return -1;
            }
            c = 16 * digit(text[i + 1]) + digit(text[i + 2]);
            i += 2;
        }
        if (!c || at + 1 >= n_bytes) {
            return -1;
        }
        out[at++] = (char)c;
    }
    out[at] = 0;
    return 0;
}

int sono_web_query_get(const char *query, const char *key, char *out, size_t n_bytes)
{
    const size_t n_key = strlen(key);
    int found = 1;
    for (const char *at = query ? query : ""; *at;) {
        const size_t n = strcspn(at, "&");
        const char *equals = memchr(at, '=', n);
        const size_t n_name = equals ? (size_t)(equals - at) : n;
        if (n_name == n_key && !memcmp(at, key, n_key)) {
            const size_t n_value = equals ? n - n_name - 1 : 0;
            if (found == 0 || decode(equals ? equals + 1 : "", n_value, out, n_bytes)) {
                return -1;
            }
            found = 0;
        }
        at += n + (at[n] == '&');
    }
    return found;
}

int sono_web_query_is_known(const char *query, const char *keys)
{
    for (const char *at = query ? query : ""; *at;) {
        const size_t n = strcspn(at, "&"), n_name = strcspn(at, "&=");
        char name[32];
        if (n_name >= sizeof name) {
            return 0;
        }
        memcpy(name, at, n_name);
        name[n_name] = 0;
        if (!sono_web_has_word(keys, name)) {
            return 0;
        }
        at += n + (at[n] == '&');
    }
    return 1;
}

/* ---- headers --------------------------------------------------------------------------------------------
 */

int sono_web_cookie_get(const char *header, const char *name, char *out, size_t n_bytes)
{
    const size_t n_name = strlen(name);
    for (const char *at = header ? header : ""; *at;) {
        at += strspn(at, "; ");
        const size_t n = strcspn(at, ";");
        if (n > n_name && !memcmp(at, name, n_name) && at[n_name] == '=') {
            const size_t n_value = n - n_name - 1;
            if (n_value >= n_bytes) {
                return -1;
            }
            memcpy(out, at + n_name + 1, n_value);
            out[n_value] = 0;
            return 0;
        }
        at += n;
    }
    return 1;
}

const char *sono_web_bearer(const char *header)
{
    if (!header || strncasecmp(header, "Bearer ", 7) != 0) {
        return NULL;
    }
    header += 7 + strspn(header + 7, " ");
    return *header ? header : NULL;
}

/* The weight of an entry of an Accept header, behind its media type. */
static double weight(const char *parameters, size_t n)
{
    for (size_t i = 0; i + 2 < n; i++) {
        if (parameters[i] == ';') {
            size_t at = i + 1;
            while (at < n && parameters[at] == ' ') {
                at++;
            }
            if (at + 2 < n && (parameters[at] | 0x20) == 'q' && parameters[at + 1] == '=') {
                const double q = strtod(parameters + at + 2, NULL);
                return q >= 0 && q <= 1 ? q : 0;
            }
        }
    }
    return 1;
}

int sono_web_wants_openmetrics(const char *accept)
{
    double open = 0, plain = 0;
    for (const char *at = accept ? accept : ""; *at;) {
        at += strspn(at, ", ");
        const size_t n = strcspn(at, ","), n_type = strcspn(at, ",; ");
        const double q = weight(at + n_type, n - n_type);
        if (n_type == 28 && !strncasecmp(at, "application/openmetrics-text", 28)) {
            open = q > open ? q : open;
        } else if (n_type == 10 && !strncasecmp(at, "text/plain", 10)) {
            plain = q > plain ? q : plain;
        }
        at += n;
    }
    return open > 0 && open >= plain;
}

int sono_web_is_type(const char *header, const char *type)
{
    const size_t n = strlen(type);
    return header && !strncasecmp(header, type, n) && (!header[n] || header[n] == ';' || header[n] == ' ');
}

int sono_web_has_word(const char *header, const char *word)
{
    return header && sono_web_name_is_listed(word, header);
}

/* ---- numbers --------------------------------------------------------------------------------------------
 */

int sono_web_take_count(const char *text, long low, long high, long *out)
{
    const size_t n = strspn(text, "0123456789");
    if (!n || n > 9 || text[n]) {
        return -1;
    }
    const long value = strtol(text, NULL, 10);
    if (value < low || value > high) {
        return -1;
    }
    *out = value;
    return 0;
}

int sono_web_take_number(const char *text, double low, double high, double *out)
{
    const size_t n = strlen(text);
    char *end = NULL;
    const char *digits = text + (*text == '-');
    if (!n || n > 64 || strspn(text, "+-0123456789.eE") != n || *digits < '0' || *digits > '9') {
        return -1;
    }
    const double value = strtod(text, &end);
    if (*end || !isfinite(value) || value < low || value > high) {
        return -1;
    }
    *out = value;
    return 0;
}
