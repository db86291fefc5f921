// SPDX-License-Identifier: Apache-2.0
/* The secret of those who may change something. Pure but for reading the file. */
#ifndef SONO_WEB_TOKEN_H
#define SONO_WEB_TOKEN_H

#include "sonoseg/sonoseg.h"

#define SONO_WEB_TOKEN_BYTES 257
#define SONO_WEB_TOKEN_LEAST 16

/* The first line of a file: 16 to 256 printable characters without blanks. Errors: IO, INVALID_ARGUMENT (too
 * short, too long, other characters; or others than owner and group may read the file). */
sono_status sono_web_token_read(const char *path, char out[SONO_WEB_TOKEN_BYTES], sono_error *error);

/* 1 = equal. How long it takes says nothing of where they differ. Both of at most SONO_WEB_TOKEN_BYTES - 1.
 */
int sono_web_token_equal(const char *is, const char *wanted);

/* ---- how often ---- */

#define SONO_WEB_PEERS 64

/* Who tried in vain how often: 5 at once, then one in 2 s, by address. The caller locks. */
typedef struct sono_web_tries {
    struct {
        char peer[48];
        int64_t until_ns; /* its account: at most BURST * PAUSE ahead of now */
    } list[SONO_WEB_PEERS];
} sono_web_tries;

/* 1 = this peer may try. */
int sono_web_tries_may(const sono_web_tries *tries, const char *peer, int64_t now_ns);
/* It tried in vain. */
void sono_web_tries_count(sono_web_tries *tries, const char *peer, int64_t now_ns);

#endif
