// SPDX-License-Identifier: Apache-2.0
/* What is read by GET. */
#include "web/parts.h"
#include "web/pictures.h"
#include "web/request.h"

#include <string.h>

#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define PROMETHEUS  "text/plain; version=0.0.4; charset=utf-8"
#define WAIT_NS     INT64_C(250000000) /* for a frame that comes after the question */

/* ---- queries --------------------------------------------------------------------------------------------
 */

/* last_n, in [1, most]. 0, or -1 after an error was answered. */
static int take_last_n(const sono_web_call *call, long most, long usual, long *out)
{
    char value[16];
    const int found = sono_web_query_get(call->query, "last_n", value, sizeof value);
    *out = usual;
    if (found < 0 || (!found && sono_web_take_count(value, 1, most, out))) {
        sono_web_answer_error(call, 400, "last_n",
                              "last_n is one whole number, at least 1, and not above what is kept");
        return -1;
    }
    return 0;
}

/* 1 = CSV, 0 = JSON, -1 after an error was answered. */
static int take_format(const sono_web_call *call)
{
    char value[8];
    const int found = sono_web_query_get(call->query, "format", value, sizeof value);
    const int is_csv = !found && !strcmp(value, "csv");
    if (found < 0 || (!found && !is_csv && strcmp(value, "json") != 0)) {
        sono_web_answer_error(call, 400, "format", "format is json or csv");
        return -1;
    }
    return is_csv;
}

static void answer_csv(const sono_web_call *call, const char *extra, sono_web_text *text)
{
    if (text->is_failed) {
        sono_web_answer_error(call, 503, "memory", "there is no memory for the answer");
    } else {
        sono_web_answer_bytes(call, 200, "text/csv; charset=utf-8", extra, text->bytes, text->n_bytes);
    }
    sono_web_text_free(text);
}

/* ---- endpoints ------------------------------------------------------------------------------------------
 */

static void answer_health(const sono_web_call *call)
{
    sono_web *web = call->web;
    sono_web_text text = {0};
    pthread_mutex_lock(&web->mutex);
    sono_web_refresh(web, sono_web_now_ns());
    const int is_critical = web->facts.verdict.level == SONO_WEB_CRITICAL;
    sono_web_write_health(&text, &web->facts.verdict, sono_web_utc_ns());
    pthread_mutex_unlock(&web->mutex);
    sono_web_answer_json(call, is_critical ? 503 : 200, &text);
}

static void answer_latest(const sono_web_call *call)
{
    sono_web *web = call->web;
    sono_web_text text = {0};
    pthread_mutex_lock(&web->mutex);
    sono_web_refresh(web, sono_web_now_ns());
    sono_web_write_latest(&text, NULL, &web->facts, &web->history);
    pthread_mutex_unlock(&web->mutex);
    sono_web_answer_json(call, 200, &text);
}

static void answer_timeline(const sono_web_call *call)
{
    sono_web_text text = {0};
    pthread_mutex_lock(&call->web->mutex);
    sono_web_write_timeline(&text, &call->web->history, sono_web_utc_ns());
    pthread_mutex_unlock(&call->web->mutex);
    sono_web_answer_json(call, 200, &text);
}

static void answer_history(const sono_web_call *call)
{
    sono_web *web = call->web;
    sono_web_text text = {0};
    long last_n;
    const int is_csv = take_format(call);
    if (is_csv < 0 || take_last_n(call, SONO_WEB_SECONDS, SONO_WEB_MINUTE, &last_n)) {
        return;
    }
    pthread_mutex_lock(&web->mutex);
    if (is_csv) {
        sono_web_write_history_csv(&text, &web->history, (uint64_t)last_n);
    } else {
        sono_web_write_history(&text, &web->history, (uint64_t)last_n);
    }
    pthread_mutex_unlock(&web->mutex);
    if (is_csv) {
        answer_csv(call, "Content-Disposition: attachment; filename=\"sonoseg_history.csv\"\r\n", &text);
    } else {
        sono_web_answer_json(call, 200, &text);
    }
}

static void answer_trips(const sono_web_call *call)
{
    sono_web *web = call->web;
    sono_web_text text = {0};
    long last_n;
    const int is_csv = take_format(call);
    if (is_csv < 0 || take_last_n(call, SONO_WEB_TRIPS, 100, &last_n)) {
        return;
    }
    pthread_mutex_lock(&web->mutex);
    if (is_csv) {
        sono_web_write_trips_csv(&text, &web->history, (uint64_t)last_n);
    } else {
        sono_web_write_trips(&text, NULL, &web->history, 0, (uint64_t)last_n);
    }
    pthread_mutex_unlock(&web->mutex);
    if (is_csv) {
        answer_csv(call, "Content-Disposition: attachment; filename=\"sonoseg_trips.csv\"\r\n", &text);
    } else {
        sono_web_answer_json(call, 200, &text);
    }
}

static void answer_metrics(const sono_web_call *call)
{
    sono_web *web = call->web;
    sono_web_text text = {0};
    const int is_openmetrics = sono_web_wants_openmetrics(sono_web_header(call, "Accept"));
    pthread_mutex_lock(&web->mutex);
    sono_web_refresh(web, sono_web_now_ns());
    sono_web_write_metrics(&text, &web->facts, &web->history, is_openmetrics);
    pthread_mutex_unlock(&web->mutex);
    if (text.is_failed) {
        sono_web_answer_error(call, 503, "memory", "there is no memory for the answer");
    } else {
        sono_web_answer_bytes(call, 200, is_openmetrics ? OPENMETRICS : PROMETHEUS, "Vary: Accept\r\n",
                              text.bytes, text.n_bytes);
    }
    sono_web_text_free(&text);
}

static void answer_session(const sono_web_call *call)
{
    sono_web_text text = {0};
    sono_web_guard *guard = &call->web->guard;
    const int64_t now_ns = sono_web_now_ns();
    const int is_known = sono_web_guard_is_known(guard, &call->claims, now_ns);
    const int may_read = sono_web_guard_read(guard, &call->claims, now_ns) == SONO_WEB_GRANTED;
    sono_web_json_open(&text, NULL, '{');
    sono_web_json_integer(&text, "schema", 1);
    sono_web_json_flag(&text, "reading", may_read);
    sono_web_json_string(&text, "control", !guard->token[0] ? "off" : is_known ? "granted" : "token_needed");
    sono_web_json_close(&text, '}', 0);
    sono_web_answer_json(call, 200, &text);
}

/* ---- the newest frame -----------------------------------------------------------------------------------
 */

typedef enum picture_kind { AS_JSON, AS_JPEG, AS_PNG } picture_kind;

static void answer_picture(const sono_web_call *call, picture_kind kind)
{
    sono_web *web = call->web;
    const int64_t now_ns = sono_web_now_ns();
    sono_web_painter_ask(web->painter, kind == AS_PNG, now_ns);
    sono_web_picture *picture =
        sono_web_hub_wait_picture(&web->hub, now_ns, kind == AS_PNG, now_ns + WAIT_NS);
    const int is_missing =
        !picture || (kind != AS_JSON && picture->head.is_empty) || (kind == AS_PNG && !picture->n_png);
    if (is_missing) {
        sono_web_answer_error(call, 404, "no_frame",
                              picture && picture->head.is_empty ? "no mask is shown: a fault holds"
                                                                : "no frame was shown yet");
    } else if (kind == AS_JSON) {
        sono_web_text text = {0};
        sono_web_write_head(&text, picture->head.is_empty ? "empty" : "frame", &picture->head,
                            sono_web_now_ns());
        sono_web_answer_json(call, 200, &text);
    } else if (kind == AS_PNG) {
        sono_web_answer_bytes(call, 200, "image/png", "", picture->bytes + picture->n_jpeg, picture->n_png);
    } else {
        sono_web_answer_bytes(call, 200, "image/jpeg", "", picture->bytes, picture->n_jpeg);
    }
    sono_web_picture_drop(picture);
}

static void answer_json_head(const sono_web_call *call)
{
    answer_picture(call, AS_JSON);
}

static void answer_jpeg(const sono_web_call *call)
{
    answer_picture(call, AS_JPEG);
}

static void answer_png(const sono_web_call *call)
{
    answer_picture(call, AS_PNG);
}

int sono_web_api(const sono_web_call *call)
{
    static const struct {
        const char *path, *keys; /* of the query */
        void (*answer)(const sono_web_call *call);
    } endpoints[] = {
        {"/api/health", "", answer_health},
        {"/api/metrics/latest", "", answer_latest},
        {"/api/metrics/history", "last_n,format", answer_history},
        {"/api/timeline", "", answer_timeline},
        {"/api/trips", "last_n,format", answer_trips},
        {"/api/session", "", answer_session},
        {"/api/frames/latest.json", "", answer_json_head},
        {"/api/frames/latest.jpg", "", answer_jpeg},
        {"/api/frames/latest.png", "", answer_png},
        {"/metrics", NULL, answer_metrics}, /* scrapers may be told to send what they like */
    };
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        if (strcmp(call->path, endpoints[i].path) != 0) {
            continue;
        }
        if (endpoints[i].keys && !sono_web_query_is_known(call->query, endpoints[i].keys)) {
            sono_web_answer_error(call, 400, "query", "the address has a query that is not known here");
        } else {
            endpoints[i].answer(call);
        }
        return 1;
    }
    return 0;
}
