// SPDX-License-Identifier: Apache-2.0
/* A GET over HTTP/1.1 without TLS: as much as reading the service's own API takes. */
#ifndef SONOSEG_TOOL_FETCH_H
#define SONOSEG_TOOL_FETCH_H

#include <stddef.h>

#define FETCH_PORT 8080 /* where an address names none */

typedef struct fetch_answer {
    int status;    /* 200 */
    char *body;    /* to be freed by the caller; ends with a zero; NULL after a failure */
    char why[256]; /* in words, after a failure */
} fetch_answer;

/* address: "127.0.0.1:8080" or "[::1]:8080"; token: NULL = none. Takes at most timeout_ms for each step, and
 * 4 MiB of body. 0, or -1 where there was no whole answer. */
int fetch(const char *address, const char *path, const char *token, int timeout_ms, fetch_answer *out);

#endif
