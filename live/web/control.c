// SPDX-License-Identifier: Apache-2.0
/* What is POSTed: logging in, and changes. */
#include "web/body.h"
#include "web/parts.h"
#include "web/request.h"

#include <civetweb.h>
#include <stdio.h>
#include <string.h>

#define BODY_NS INT64_C(5000000000) /* a body may take so long */

/* ---- bodies ---------------------------------------------------------------------------------------------
 */

/* 0, or -1 after an error was answered. */
static int read_bytes(const sono_web_call *call, char bytes[SONO_WEB_BODY_BYTES], size_t *n_bytes)
{
    const struct mg_request_info *info = mg_get_request_info(call->connection);
    const int64_t until_ns = sono_web_now_ns() + BODY_NS;
    *n_bytes = 0;
    if (sono_web_header(call, "Transfer-Encoding") || info->content_length > SONO_WEB_BODY_BYTES) {
        sono_web_answer_error(call, 413, "too_large",
                              "a body of 4096 bytes at most is read, with a Content-Length");
        return -1;
    }
    while (info->content_length > 0 && *n_bytes < (size_t)info->content_length) {
        const int n = mg_read(call->connection, bytes + *n_bytes, (size_t)info->content_length - *n_bytes);
        if (n <= 0 || sono_web_now_ns() > until_ns) {
            sono_web_answer_error(call, 400, "body", "the body did not come as a whole, or in time");
            return -1;
        }
        *n_bytes += (size_t)n;
    }
    return 0;
}

/* value->key is wanted, as `kind`; NOTHING: no body is needed. 0, or -1 after an error was answered. */
static int read_body(const sono_web_call *call, sono_web_value *value, sono_web_value_kind kind)
{
    char bytes[SONO_WEB_BODY_BYTES], why[160];
    size_t n_bytes;
    if (read_bytes(call, bytes, &n_bytes)) {
        return -1;
    }
    if (n_bytes && !sono_web_is_type(sono_web_header(call, "Content-Type"), "application/json")) {
        sono_web_answer_error(call, 415, "type", "a body has Content-Type: application/json");
        return -1;
    }
    if (sono_web_body_read(bytes, n_bytes, value, why, sizeof why)) {
        sono_web_answer_error(call, 400, "body", why);
        return -1;
    }
    if (value->kind != kind) {
        snprintf(why, sizeof why, "the body has to be {\"%s\": %s}", value->key,
                 kind == SONO_WEB_NUMBER    ? "0.4"
                 : kind == SONO_WEB_BOOLEAN ? "true"
                                            : "\"...\"");
        sono_web_answer_error(call, 400, "body",
                              kind == SONO_WEB_NOTHING ? "no body, or {}, is expected" : why);
        return -1;
    }
    return 0;
}

/* ---- the audit log --------------------------------------------------------------------------------------
 */

static void audit(const sono_web_call *call, const char *command, const char *value, const char *refusal)
{
    char line[400];
    snprintf(line, sizeof line, "peer=%s by=web command=%s value=\"%s\" result=%s%s%.200s%s",
             call->claims.peer, command, value, refusal ? "refused" : "granted", refusal ? " reason=\"" : "",
             refusal ? refusal : "", refusal ? "\"" : "");
    call->web->setup.log(call->web->setup.user, "audit", line);
}

static void refuse(const sono_web_call *call, const char *command, const char *value, sono_web_leave leave)
{
    static const struct {
        int status;
        const char *code, *text;
    } answers[] = {
        [SONO_WEB_NEEDS_TOKEN] = {401, "token", "a token is needed, and this is none"},
        [SONO_WEB_CONTROL_OFF] = {403, "control_off", "control is off here: see control.token_file"},
        [SONO_WEB_TOO_OFTEN] = {429, "rate", "too often: wait a moment"},
    };
    atomic_fetch_add(&call->web->n_refused, 1);
    audit(call, command, value, answers[leave].text);
    sono_web_answer_error(call, answers[leave].status, answers[leave].code, answers[leave].text);
}

/* ---- logging in -----------------------------------------------------------------------------------------
 */

static void answer_login(const sono_web_call *call)
{
    sono_web_value value = {.key = "token"};
    char id[SONO_WEB_SESSION_CHARS + 1], cookie[256];
    if (read_body(call, &value, SONO_WEB_STRING)) {
        return;
    }
    const sono_web_leave leave =
        sono_web_guard_login(&call->web->guard, call->claims.peer, value.text, sono_web_now_ns(), id);
    explicit_bzero(value.text, sizeof value.text);
    if (leave != SONO_WEB_GRANTED) {
        refuse(call, "login", "", leave);
        return;
    }
    const char *scheme = sono_web_header(call, "X-Forwarded-Proto");
    snprintf(cookie, sizeof cookie,
             "Set-Cookie: " SONO_WEB_COOKIE "=%s; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict%s\r\n", id,
             scheme && !strcmp(scheme, "https") ? "; Secure" : "");
    audit(call, "login", "", NULL);
    sono_web_answer_bytes(call, 204, "", cookie, "", 0);
}

static void answer_logout(const sono_web_call *call)
{
    sono_web_value value = {.key = ""};
    if (!read_body(call, &value, SONO_WEB_NOTHING)) {
        sono_web_guard_logout(&call->web->guard, &call->claims);
        sono_web_answer_bytes(
            call, 204, "",
            "Set-Cookie: " SONO_WEB_COOKIE "=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict\r\n", "", 0);
    }
}

/* ---- changes --------------------------------------------------------------------------------------------
 */

static const struct change {
    const char *name, *key;
    sono_web_value_kind kind;
    sono_web_action action;
} changes[] = {
    {"start", "", SONO_WEB_NOTHING, SONO_WEB_START},
    {"stop", "", SONO_WEB_NOTHING, SONO_WEB_STOP},
    {"threshold", "value", SONO_WEB_NUMBER, SONO_WEB_THRESHOLD},
    {"snapshot", "", SONO_WEB_NOTHING, SONO_WEB_SNAPSHOT},
    {"record", "on", SONO_WEB_BOOLEAN, SONO_WEB_RECORD},
};

static void answer_change(const sono_web_call *call, const struct change *change)
{
    sono_web_value value = {.key = change->key};
    sono_web_text text = {0};
    char words[SONO_WEB_ANSWER_BYTES] = "the service does not answer", number[32] = "";
    const sono_web_leave leave = sono_web_guard_control(&call->web->guard, &call->claims, sono_web_now_ns());
    if (leave != SONO_WEB_GRANTED) {
        refuse(call, change->name, "", leave);
        return;
    }
    if (read_body(call, &value, change->kind)) {
        return;
    }
    if (change->kind != SONO_WEB_NOTHING) {
        snprintf(number, sizeof number, "%g", value.number);
    }
    if (change->action == SONO_WEB_THRESHOLD && !(value.number >= 0 && value.number <= 1)) {
        sono_web_answer_error(call, 400, "body", "a threshold is a number from 0 to 1");
        return;
    }
    const sono_web_reply reply =
        sono_web_mailbox_ask(&call->web->mailbox, change->action, value.number, words);
    audit(call, change->name, number, reply == SONO_WEB_DONE ? NULL : words);
    if (reply == SONO_WEB_REFUSED) {
        sono_web_answer_error(call, 409, "refused", words);
    } else if (reply != SONO_WEB_DONE) {
        sono_web_answer_error(call, 503, "no_answer", words);
    } else {
        sono_web_json_open(&text, NULL, '{');
        sono_web_json_integer(&text, "schema", 1);
        sono_web_json_flag(&text, "done", 1);
        sono_web_json_string(&text, "text", words);
        sono_web_json_close(&text, '}', 0);
        sono_web_answer_json(call, 200, &text);
    }
}

int sono_web_control(const sono_web_call *call)
{
    static const char prefix[] = "/api/control/";
    const char *path = call->path;
    const int is_login = !strcmp(path, "/api/login"), is_logout = !strcmp(path, "/api/logout");
    const struct change *change = NULL;
    for (size_t i = 0; !strncmp(path, prefix, sizeof prefix - 1) && i < sizeof changes / sizeof *changes;
         i++) {
        change = strcmp(path + sizeof prefix - 1, changes[i].name) ? change : &changes[i];
    }
    if (!is_login && !is_logout && !change) {
        return 0;
    }
    if (strcmp(call->method, "POST") != 0) {
        sono_web_answer_error(call, 405, "method", "this is POSTed");
    } else if (call->query && *call->query) {
        sono_web_answer_error(call, 400, "query", "what is POSTed stands in the body, not in the address");
    } else if (is_login) {
        answer_login(call);
    } else if (is_logout) {
        answer_logout(call);
    } else {
        answer_change(call, change);
    }
    return 1;
}
