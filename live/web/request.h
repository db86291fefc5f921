// SPDX-License-Identifier: Apache-2.0
/* What stands in a request's head, read strictly. Texts come from anywhere; NULL = the header is not there.
 * Pure. */
#ifndef SONO_WEB_REQUEST_H
#define SONO_WEB_REQUEST_H

#include <stddef.h>

#define SONO_WEB_NAME_BYTES 256 /* of a host's name */

/* The name in a Host header, "name", "name:port" or "[::1]:port", in lower case and without brackets. 0, or
 * -1 where it is none. */
int sono_web_host_name(const char *host, char out[SONO_WEB_NAME_BYTES]);
/* 1 = localhost, 127.x.x.x or ::1. name: as above. */
int sono_web_name_is_loopback(const char *name);
/* 1 = the name stands in a list with commas; letters' case does not matter. */
int sono_web_name_is_listed(const char *name, const char *list);
/* 1 = the page that asks came from the same host and port as the request goes to: "http://HOST" or
 * "https://HOST", where HOST is the Host header. A default port may stand in either, or be left out. */
int sono_web_origin_is_ours(const char *origin, const char *host);

/* The value of `key` in a query ("a=1&b=2"), %HH and + decoded, with a 0. 0; 1 = the key is not there; -1 =
 * it is there twice, does not fit, or is badly escaped. */
int sono_web_query_get(const char *query, const char *key, char *out, size_t n_bytes);
/* 1 = every key of the query is one of `keys` (with commas). */
int sono_web_query_is_known(const char *query, const char *keys);
/* The value of a cookie in a Cookie header. 0; 1 = not there; -1 = does not fit. */
int sono_web_cookie_get(const char *header, const char *name, char *out, size_t n_bytes);
/* The token of "Authorization: Bearer TOKEN"; NULL = there is none. Points into header. */
const char *sono_web_bearer(const char *header);
/* 1 = the Accept header likes application/openmetrics-text at least as much as text/plain, and names it. */
int sono_web_wants_openmetrics(const char *accept);
/* 1 = a header's value is the media type `type`, with or without parameters. */
int sono_web_is_type(const char *header, const char *type);
/* 1 = a list with commas ("keep-alive, Upgrade") has the word; letters' case does not matter. */
int sono_web_has_word(const char *header, const char *word);
/* A whole number [low, high], digits only. 0, or -1. */
int sono_web_take_count(const char *text, long low, long high, long *out);
/* A number as JSON and queries have it, [low, high], without blanks, hexadecimals or infinities. 0, or -1. */
int sono_web_take_number(const char *text, double low, double high, double *out);

#endif
