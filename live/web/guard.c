// SPDX-License-Identifier: Apache-2.0
#include "web/guard.h"
#include "web/request.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define SESSION_NS (INT64_C(12) * 3600 * 1000000000)
#define CHANGE_NS  INT64_C(200000000)
#define CHANGES    20

sono_status sono_web_guard_open(sono_web_guard *guard, const char *host, const char *names,
                                const char *token_file, sono_error *error)
{
    memset(guard, 0, sizeof *guard);
    if (*token_file) {
        const sono_status status = sono_web_token_read(token_file, guard->token, error);
        if (status != SONO_STATUS_OK) {
            return status;
        }
    }
    const int is_any = !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
    snprintf(guard->names, sizeof guard->names, "localhost,127.0.0.1,::1,%s,%s", is_any ? "" : host, names);
    pthread_mutex_init(&guard->mutex, NULL);
    return SONO_STATUS_OK;
}

void sono_web_guard_close(sono_web_guard *guard)
{
    pthread_mutex_destroy(&guard->mutex);
    explicit_bzero(guard, sizeof *guard);
}

sono_web_leave sono_web_guard_address(sono_web_guard *guard, const sono_web_claims *claims)
{
    char name[SONO_WEB_NAME_BYTES];
    if (sono_web_host_name(claims->host, name) || !sono_web_name_is_listed(name, guard->names)) {
        return SONO_WEB_BAD_HOST;
    }
    if (claims->origin && !sono_web_origin_is_ours(claims->origin, claims->host)) {
        return SONO_WEB_BAD_ORIGIN;
    }
    return SONO_WEB_GRANTED;
}

/* With the mutex: the session of a cookie; -1 = none. Every entry is compared, whichever fits. */
static int session_of(const sono_web_guard *guard, const char *cookie, int64_t now_ns)
{
    char id[SONO_WEB_SESSION_CHARS + 1];
    int found = -1;
    if (sono_web_cookie_get(cookie, SONO_WEB_COOKIE, id, sizeof id) || !*id) {
        return -1;
    }
    for (int i = 0; i < SONO_WEB_SESSIONS; i++) {
        const int fits = sono_web_token_equal(id, guard->sessions[i].id);
        found = fits && guard->sessions[i].until_ns > now_ns ? i : found;
    }
    return found;
}

/* With the mutex: by cookie or bearer. */
static sono_web_leave identify(sono_web_guard *guard, const sono_web_claims *claims, int64_t now_ns)
{
    const char *bearer = sono_web_bearer(claims->authorization);
    if (session_of(guard, claims->cookie, now_ns) >= 0) {
        return SONO_WEB_GRANTED;
    }
    if (!bearer || !guard->token[0]) {
        return SONO_WEB_NEEDS_TOKEN;
    }
    if (!sono_web_tries_may(&guard->tries, claims->peer, now_ns)) {
        return SONO_WEB_TOO_OFTEN;
    }
    if (sono_web_token_equal(bearer, guard->token)) {
        return SONO_WEB_GRANTED;
    }
    sono_web_tries_count(&guard->tries, claims->peer, now_ns);
    return SONO_WEB_NEEDS_TOKEN;
}

sono_web_leave sono_web_guard_read(sono_web_guard *guard, const sono_web_claims *claims, int64_t now_ns)
{
    char name[SONO_WEB_NAME_BYTES] = "";
    const sono_web_leave leave = sono_web_guard_address(guard, claims);
    if (leave != SONO_WEB_GRANTED) {
        return leave;
    }
    sono_web_host_name(claims->host, name);
    if (!claims->was_forwarded && sono_web_name_is_loopback(claims->peer) &&
        sono_web_name_is_loopback(name)) {
        return SONO_WEB_GRANTED;
    }
    pthread_mutex_lock(&guard->mutex);
    const sono_web_leave known = identify(guard, claims, now_ns);
    pthread_mutex_unlock(&guard->mutex);
    return known;
}

sono_web_leave sono_web_guard_control(sono_web_guard *guard, const sono_web_claims *claims, int64_t now_ns)
{
    sono_web_leave leave = sono_web_guard_address(guard, claims);
    if (leave != SONO_WEB_GRANTED) {
        return leave;
    }
    if (!guard->token[0]) {
        return SONO_WEB_CONTROL_OFF;
    }
    pthread_mutex_lock(&guard->mutex);
    leave = identify(guard, claims, now_ns);
    if (leave == SONO_WEB_GRANTED) {
        guard->control_ns = guard->control_ns > now_ns ? guard->control_ns : now_ns;
        if (guard->control_ns > now_ns + (CHANGES - 1) * CHANGE_NS) {
            leave = SONO_WEB_TOO_OFTEN;
        } else {
            guard->control_ns += CHANGE_NS;
        }
    }
    pthread_mutex_unlock(&guard->mutex);
    return leave;
}

int sono_web_guard_is_known(sono_web_guard *guard, const sono_web_claims *claims, int64_t now_ns)
{
    const char *bearer = sono_web_bearer(claims->authorization);
    pthread_mutex_lock(&guard->mutex);
    int is_known = session_of(guard, claims->cookie, now_ns) >= 0;
    if (!is_known && bearer) {
        is_known = identify(guard, claims, now_ns) == SONO_WEB_GRANTED;
    }
    pthread_mutex_unlock(&guard->mutex);
    return is_known;
}

static int make_id(char id[SONO_WEB_SESSION_CHARS + 1])
{
    unsigned char bytes[SONO_WEB_SESSION_CHARS / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return -1;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    }
    return 0;
}

sono_web_leave sono_web_guard_login(sono_web_guard *guard, const char *peer, const char *token,
                                    int64_t now_ns, char id[SONO_WEB_SESSION_CHARS + 1])
{
    sono_web_leave leave = SONO_WEB_GRANTED;
    int at = 0;
    if (!guard->token[0]) {
        return SONO_WEB_CONTROL_OFF;
    }
    pthread_mutex_lock(&guard->mutex);
    if (!sono_web_tries_may(&guard->tries, peer, now_ns)) {
        leave = SONO_WEB_TOO_OFTEN;
    } else if (!sono_web_token_equal(token, guard->token)) {
        sono_web_tries_count(&guard->tries, peer, now_ns);
        leave = SONO_WEB_NEEDS_TOKEN;
    } else if (make_id(id)) {
        leave = SONO_WEB_TOO_OFTEN;
    } else { /* in the place of the one that ends first */
        for (int i = 1; i < SONO_WEB_SESSIONS; i++) {
            at = guard->sessions[i].until_ns < guard->sessions[at].until_ns ? i : at;
        }
        memcpy(guard->sessions[at].id, id, sizeof guard->sessions[at].id);
        guard->sessions[at].until_ns = now_ns + SESSION_NS;
    }
    pthread_mutex_unlock(&guard->mutex);
    return leave;
}

void sono_web_guard_logout(sono_web_guard *guard, const sono_web_claims *claims)
{
    pthread_mutex_lock(&guard->mutex);
    const int at = session_of(guard, claims->cookie, 0);
    if (at >= 0) {
        memset(&guard->sessions[at], 0, sizeof guard->sessions[at]);
    }
    pthread_mutex_unlock(&guard->mutex);
}
