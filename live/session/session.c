// SPDX-License-Identifier: Apache-2.0
#include "session/machine.h"

#include <string.h>

#define MS INT64_C(1000000)

/* One step at most: each frame that was under way, and one that came, ends; the engine is filled once; the
 * rest is one each of CONNECT or DISCONNECT, CLOSE_ENGINE and OPEN_ENGINE, EMPTY and STATUS for a client and
 * for all, TEXT, EXIT, and a second DISCONNECT to spare. */
enum { MOST_ACTIONS = SONO_SESSION_MAX_WAITING + SONO_SESSION_MAX_DEPTH + 1 + SONO_SESSION_MAX_DEPTH + 10 };
_Static_assert(MOST_ACTIONS <= SONO_SESSION_MAX_ACTIONS, "a step's actions do not fit");

/* ---- what parts share ---- */

int64_t sono_session_after(const sono_session *s, int64_t span_ns)
{
    return !span_ns || span_ns > SONO_SESSION_NEVER - s->now_ns ? SONO_SESSION_NEVER : s->now_ns + span_ns;
}

sono_session_action *sono_session_push(sono_session_actions *out, sono_session_action_kind kind)
{
    sono_session_action *action = &out->list[out->n < SONO_SESSION_MAX_ACTIONS - 1 ? out->n++ : out->n];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    action->client = -1;
    action->fault = SONO_SESSION_FAULT_NONE;
    return action;
}

/* ---- limits ---- */

void sono_session_limits_init(sono_session_limits *limits)
{
    memset(limits, 0, sizeof *limits);
    limits->depth = 1;
    limits->n_waiting = 8;
    limits->max_age_ns = 500 * MS;
    limits->stall_ns = 1000 * MS;
    limits->read_ns = 3000 * MS;
    limits->connect_ns = 2000 * MS;
    limits->backoff_min_ns = 100 * MS;
    limits->backoff_max_ns = 5000 * MS;
    limits->keep_alive_ns = 1000 * MS;
    limits->text_ns = 1000 * MS;
    limits->engine_ns = 10000 * MS;
    limits->open_ns = 600000 * MS;
    limits->close_ns = 10000 * MS;
    limits->drain_ns = 2000 * MS;
    limits->frame_error_limit = 3;
}

static int are_good(const sono_session_limits *l)
{
    return l->depth >= 1 && l->depth <= SONO_SESSION_MAX_DEPTH && l->n_waiting >= 1 &&
           l->n_waiting <= SONO_SESSION_MAX_WAITING && (l->in_order == 0 || l->in_order == 1) &&
           l->max_age_ns >= 0 && l->max_latency_ns >= 0 && l->stall_ns >= 0 && l->read_ns >= 0 &&
           l->connect_ns >= 1 && l->backoff_min_ns >= 1 && l->backoff_max_ns >= l->backoff_min_ns &&
           l->keep_alive_ns >= 1 && l->text_ns >= 0 && l->engine_ns >= 0 && l->open_ns >= 0 &&
           l->close_ns >= 1 && l->drain_ns >= 0 && l->frame_error_limit >= 1;
}

int sono_session_init(sono_session *s, const sono_session_limits *limits)
{
    if (!are_good(limits))
        return -1;
    memset(s, 0, sizeof *s);
    s->limits = *limits;
    if (!limits->in_order)
        s->limits.n_waiting = 1;
    s->backoff_ns = s->engine_backoff_ns = limits->backoff_min_ns;
    s->told = SONO_SESSION_FAULT_COUNT;
    s->state = -1;
    s->told_state = INT32_MIN;
    s->is_empty_told = 1;
    s->exit_status = -1;
    s->connect_at = s->retry_at = s->read_at = s->stall_at = s->engine_retry_at = s->open_at = s->close_at =
        s->drain_at = s->status_at = s->text_at = SONO_SESSION_NEVER;
    return 0;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

int sono_session_reload(sono_session *s, const sono_session_limits *limits)
{
    if (!are_good(limits))
        return -1;
    const sono_session_limits old = s->limits;
    s->limits = *limits;
    s->limits.depth = old.depth;
    s->limits.n_waiting = old.n_waiting;
    s->limits.in_order = old.in_order;
    s->backoff_ns = clamp(s->backoff_ns, limits->backoff_min_ns, limits->backoff_max_ns);
    s->engine_backoff_ns = clamp(s->engine_backoff_ns, limits->backoff_min_ns, limits->backoff_max_ns);
    if (!s->is_started || s->is_over)
        return 0;
    /* What runs periodically begins anew; a connection, a close or a drain under way keeps its deadline. */
    s->is_reading = 0;
    sono_session_link_watch(s);
    s->status_at = sono_session_after(s, limits->keep_alive_ns);
    s->text_at = sono_session_after(s, limits->text_ns);
    return 0;
}

/* ---- steps ---- */

static void start(sono_session *s, sono_session_actions *out)
{
    if (s->is_started)
        return;
    s->is_started = 1;
    s->status_at = sono_session_after(s, s->limits.keep_alive_ns);
    s->text_at = sono_session_after(s, s->limits.text_ns);
    sono_session_raise(s, out, SONO_SESSION_FAULT_OPENING);
    sono_session_raise(s, out, SONO_SESSION_FAULT_NO_SOURCE);
    sono_session_link_begin(s, out);
    sono_session_engine_begin(s, out);
}

/* The source is closed first, so that no frame comes only to be dropped. A second one does not wait for the
 * engine. */
static void stop(sono_session *s, sono_session_actions *out)
{
    if (s->is_stopping) {
        s->exit_status = 1;
        return;
    }
    s->is_stopping = 1;
    s->drain_at = sono_session_after(s, s->limits.drain_ns);
    sono_session_link_end(s, out);
    sono_session_drop_waiting(s, out, SONO_SESSION_DROP_STOPPED);
}

static void handle(sono_session *s, const sono_session_event *event, sono_session_actions *out)
{
    switch (event->kind) {
    case SONO_SESSION_START:
        start(s, out);
        break;
    case SONO_SESSION_TICK:
        break;
    case SONO_SESSION_SOURCE_UP:
        sono_session_link_up(s);
        break;
    case SONO_SESSION_SOURCE_DOWN:
        sono_session_link_down(s, out);
        break;
    case SONO_SESSION_SOURCE_HEARD:
        sono_session_link_heard(s);
        break;
    case SONO_SESSION_FRAME:
        sono_session_accept(s, out, event);
        break;
    case SONO_SESSION_REFUSED:
        sono_session_refuse(s, out, event);
        break;
    case SONO_SESSION_ENGINE_UP:
        sono_session_engine_up(s);
        break;
    case SONO_SESSION_ENGINE_DOWN:
        sono_session_engine_down(s, out);
        break;
    case SONO_SESSION_RESULT:
        sono_session_finish(s, out, event);
        break;
    case SONO_SESSION_LOSS:
        sono_session_engine_loss(s, out, event->frame);
        break;
    case SONO_SESSION_CLIENT:
        sono_session_greet(s, out, event->client);
        break;
    case SONO_SESSION_PAUSE:
        sono_session_raise(s, out, SONO_SESSION_FAULT_PAUSED);
        break;
    case SONO_SESSION_RESUME:
        sono_session_clear(s, SONO_SESSION_FAULT_PAUSED);
        break;
    case SONO_SESSION_STOP:
        stop(s, out);
        break;
    case SONO_SESSION_REOPEN:
        sono_session_engine_reopen(s, out);
        break;
    }
}

/* While stopping: results under way are shown until there are none, or time is up; then the fault begins. */
static void end_drain(sono_session *s, sono_session_actions *out)
{
    const int is_drained = !s->limits.drain_ns || !sono_session_hopes(s) || s->now_ns >= s->drain_at;
    if (!s->is_stopping || !(is_drained || s->exit_status >= 0))
        return;
    s->drain_at = SONO_SESSION_NEVER;
    sono_session_drop_in_engine(s, out, SONO_SESSION_DROP_STOPPED);
    sono_session_raise(s, out, SONO_SESSION_FAULT_STOPPING);
}

/* Clients know by now: the engine is closed, then the service ends. */
static void end(sono_session *s, sono_session_actions *out)
{
    if (!sono_session_holds(s, SONO_SESSION_FAULT_STOPPING))
        return;
    if (s->exit_status < 0)
        sono_session_engine_close(s, out, SONO_SESSION_FAULT_NONE);
    if (s->exit_status < 0 && s->engine == SONO_ENGINE_CLOSED)
        s->exit_status = 0;
    if (s->exit_status < 0)
        return;
    sono_session_link_end(s, out);
    s->is_over = 1;
    sono_session_push(out, SONO_SESSION_EXIT)->status = s->exit_status;
}

void sono_session_step(sono_session *s, const sono_session_event *event, sono_session_actions *out)
{
    out->n = 0;
    if (s->is_over ||
        (!s->is_started && event->kind != SONO_SESSION_START && event->kind != SONO_SESSION_STOP))
        return;
    if (event->now_ns > s->now_ns)
        s->now_ns = event->now_ns;
    handle(s, event, out);
    sono_session_link_deadlines(s, out);
    sono_session_engine_deadlines(s, out);
    sono_session_take(s, out);
    end_drain(s, out);
    sono_session_health_deadlines(s, out);
    sono_session_link_watch(s);
    sono_session_tell(s, out);
    end(s, out);
    s->counts.waiting = (uint32_t)s->n_waiting;
    s->counts.in_engine = (uint32_t)s->n_in_engine;
}

/* ---- questions ---- */

int64_t sono_session_deadline(const sono_session *s)
{
    const int64_t all[] = {s->connect_at,
                           s->retry_at,
                           s->read_at,
                           s->stall_at,
                           s->engine_retry_at,
                           s->open_at,
                           s->close_at,
                           s->drain_at,
                           s->status_at,
                           s->text_at,
                           sono_session_hang_at(s),
                           sono_session_late_at(s)};
    int64_t first = SONO_SESSION_NEVER;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] < first)
            first = all[i];
    return s->is_over ? SONO_SESSION_NEVER : first;
}

int sono_session_wants_frames(const sono_session *s)
{
    if (s->link != SONO_LINK_UP)
        return 0;
    return !s->limits.in_order || (s->engine == SONO_ENGINE_UP && s->n_waiting < s->limits.n_waiting);
}

/* ---- names ---- */

const char *sono_session_drop_name(sono_session_drop drop)
{
    static const char *const names[] = {
#define NAME(name, text) text,
        SONO_SESSION_DROP_MAP(NAME)
#undef NAME
    };
    return drop >= 0 && drop < SONO_SESSION_DROP_COUNT ? names[drop] : "";
}

typedef struct fault_words {
    uint16_t code;
    const char *name;
    const char *text;
} fault_words;

/* Of NONE for what is none. */
static const fault_words *words_of(sono_session_fault fault)
{
    static const fault_words words[] = {
#define WORDS(name, code, status, text) {code, status, text},
        SONO_SESSION_FAULT_MAP(WORDS)
#undef WORDS
            {1, "OK", ""}};
    return &words[fault >= 0 && fault < SONO_SESSION_FAULT_COUNT ? fault : SONO_SESSION_FAULT_NONE];
}

const char *sono_session_fault_name(sono_session_fault fault)
{
    return words_of(fault)->name;
}

const char *sono_session_fault_text(sono_session_fault fault)
{
    return words_of(fault)->text;
}

uint16_t sono_session_fault_code(sono_session_fault fault)
{
    return words_of(fault)->code;
}
