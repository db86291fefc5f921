// SPDX-License-Identifier: Apache-2.0
#include "session_play.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

#define MS INT64_C(1000000)

void session_play_limits(sono_session_limits *limits)
{
    sono_session_limits_init(limits);
    limits->keep_alive_ns = INT64_MAX;
    limits->text_ns = 0;
}

void session_play_new(session_play *play, const sono_session_limits *limits)
{
    memset(play, 0, sizeof *play);
    assert_int_equal(0, sono_session_init(&play->session, limits));
    session_model_init(&play->model, limits);
}

static const char *whom(const sono_session_action *action, char text[16])
{
    if (action->client == -1)
        return "all";
    (void)snprintf(text, 16, "%d", (int)action->client);
    return text;
}

static void write_action(const sono_session_action *a, char *text, size_t n_bytes)
{
    static const char *const names[] = {"?",      "CONNECT", "DISCONNECT", "OPEN_ENGINE", "CLOSE_ENGINE",
                                        "SUBMIT", "DROP",    "SHOW",       "DISCARD",     "EMPTY",
                                        "STATUS", "TEXT",    "EXIT"};
    const char *name = names[a->kind];
    const char *fault = sono_session_fault_name(a->fault);
    char client[16];
    switch (a->kind) {
    case SONO_SESSION_SUBMIT:
    case SONO_SESSION_SHOW:
        (void)snprintf(text, n_bytes, "%s %d", name, (int)a->frame);
        break;
    case SONO_SESSION_DROP:
    case SONO_SESSION_DISCARD:
        (void)snprintf(text, n_bytes, "%s %d %s", name, (int)a->frame, sono_session_drop_name(a->drop));
        break;
    case SONO_SESSION_EMPTY:
        (void)snprintf(text, n_bytes, "%s %s %s", name, whom(a, client), fault);
        break;
    case SONO_SESSION_STATUS:
        if (a->fault == SONO_SESSION_FAULT_NONE)
            (void)snprintf(text, n_bytes, "%s %s OK %d", name, whom(a, client), (int)a->state);
        else
            (void)snprintf(text, n_bytes, "%s %s %s", name, whom(a, client), fault);
        break;
    case SONO_SESSION_EXIT:
        (void)snprintf(text, n_bytes, "%s %d", name, (int)a->status);
        break;
    default:
        (void)snprintf(text, n_bytes, "%s", name);
    }
}

const char *session_play_event(session_play *play, const sono_session_event *event)
{
    const char *wrong = session_model_step(&play->model, &play->session, event, &play->out);
    if (wrong)
        fail_msg("%s at %lld ms: %s", session_model_event_name(event->kind), (long long)(event->now_ns / MS),
                 wrong);
    size_t n_bytes = 0;
    play->text[0] = 0;
    for (int32_t i = 0; i < play->out.n; i++) {
        char text[64];
        write_action(&play->out.list[i], text, sizeof text);
        n_bytes +=
            (size_t)snprintf(play->text + n_bytes, sizeof play->text - n_bytes, "%s%s", i ? ", " : "", text);
        assert_true(n_bytes < sizeof play->text);
    }
    return play->text;
}

const char *session_play_step(session_play *play, int64_t at_ms, sono_session_event_kind kind,
                              uint64_t number)
{
    const sono_session_event event = {.kind = kind,
                                      .now_ns = at_ms * MS,
                                      .frame = number,
                                      .received_ns = at_ms * MS,
                                      .client = (int32_t)number};
    return session_play_event(play, &event);
}

const char *session_play_refused(session_play *play, int64_t at_ms, uint64_t frame, sono_session_drop why)
{
    const sono_session_event event = {
        .kind = SONO_SESSION_REFUSED, .now_ns = at_ms * MS, .frame = frame, .drop = why};
    return session_play_event(play, &event);
}

const char *session_play_result(session_play *play, int64_t at_ms, uint64_t frame, int32_t state)
{
    const sono_session_event event = {
        .kind = SONO_SESSION_RESULT, .now_ns = at_ms * MS, .frame = frame, .state = state};
    return session_play_event(play, &event);
}

const char *session_play_old_frame(session_play *play, int64_t at_ms, uint64_t frame, int64_t received_ms)
{
    const sono_session_event event = {
        .kind = SONO_SESSION_FRAME, .now_ns = at_ms * MS, .frame = frame, .received_ns = received_ms * MS};
    return session_play_event(play, &event);
}

void session_play_serve(session_play *play, const sono_session_limits *limits)
{
    session_play_new(play, limits);
    PLAY(play, 0, START, 0, "CONNECT, OPEN_ENGINE, STATUS all ENGINE_OPENING");
    PLAY(play, 0, SOURCE_UP, 0, "");
    PLAY(play, 0, ENGINE_UP, 0, "STATUS all OK -1");
}

int64_t session_play_deadline(const session_play *play)
{
    const int64_t deadline = sono_session_deadline(&play->session);
    return deadline == INT64_MAX ? -1 : deadline / MS;
}
