// SPDX-License-Identifier: Apache-2.0
/* Who may: the same questions for every request and every upgrade. Thread-safe. */
#ifndef SONO_WEB_GUARD_H
#define SONO_WEB_GUARD_H

#include "web/token.h"

#include <pthread.h>

#define SONO_WEB_SESSIONS      32
#define SONO_WEB_SESSION_CHARS 64
#define SONO_WEB_COOKIE        "sonoseg_session"

typedef enum sono_web_leave {
    SONO_WEB_GRANTED,
    SONO_WEB_BAD_HOST,
    SONO_WEB_BAD_ORIGIN,
    SONO_WEB_NEEDS_TOKEN,
    SONO_WEB_CONTROL_OFF,
    SONO_WEB_TOO_OFTEN
} sono_web_leave;

/* What a request says of itself; NULL = the header is not there. */
typedef struct sono_web_claims {
    const char *host, *origin, *authorization, *cookie;
    const char *peer;      /* its address */
    int32_t was_forwarded; /* a proxy says so: it is not from this machine */
} sono_web_claims;

typedef struct sono_web_guard {
    char names[2048];                 /* hosts' names that are allowed, with commas */
    char token[SONO_WEB_TOKEN_BYTES]; /* "" = none */
    pthread_mutex_t mutex;
    sono_web_tries tries;
    int64_t control_ns; /* account of changes: 20 at once, then 5 a second */
    struct {
        char id[SONO_WEB_SESSION_CHARS + 1]; /* "" = free */
        int64_t until_ns;
    } sessions[SONO_WEB_SESSIONS];
} sono_web_guard;

/* names: beside loopback's. token_file: "" = none. Errors: as of sono_web_token_read(). */
sono_status sono_web_guard_open(sono_web_guard *guard, const char *host, const char *names,
                                const char *token_file, sono_error *error);
void sono_web_guard_close(sono_web_guard *guard);

/* Host and Origin alone. */
sono_web_leave sono_web_guard_address(sono_web_guard *guard, const sono_web_claims *claims);
/* All of it. A wrong token counts. */
sono_web_leave sono_web_guard_read(sono_web_guard *guard, const sono_web_claims *claims, int64_t now_ns);
sono_web_leave sono_web_guard_control(sono_web_guard *guard, const sono_web_claims *claims, int64_t now_ns);
/* As _control(), but nothing is counted: to tell the page what it may. */
int sono_web_guard_is_known(sono_web_guard *guard, const sono_web_claims *claims, int64_t now_ns);

/* GRANTED: a session of twelve hours for whoever knows the token. Errors: NEEDS_TOKEN (wrong), TOO_OFTEN,
 * CONTROL_OFF (there is no token). */
sono_web_leave sono_web_guard_login(sono_web_guard *guard, const char *peer, const char *token,
                                    int64_t now_ns, char id[SONO_WEB_SESSION_CHARS + 1]);
void sono_web_guard_logout(sono_web_guard *guard, const sono_web_claims *claims);

#endif
