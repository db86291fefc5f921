// SPDX-License-Identifier: Apache-2.0
/*
 * Input: 16 bytes of limits, then events of 3 bytes each: what happens, how much later, to which frame or
 * why. The session is watched by the model that the explorer uses (tests/support/session_model.h), with
 * limits and depths that the explorer cannot afford. Corpus: what libFuzzer kept of 10 million inputs,
 * merged.
 */
#include "../support/session_model.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct reader {
    const uint8_t *data;
    size_t size;
} reader;

static uint8_t take(reader *r)
{
    if (!r->size)
        return 0;
    r->size--;
    return *r->data++;
}

/* A span: 0, small, large, or beyond all times. */
static int64_t take_span(reader *r)
{
    const uint8_t byte = take(r);
    if (byte >= 254)
        return INT64_MAX;
    return byte < 128 ? byte : (int64_t)1 << (byte - 128) / 3;
}

static int64_t above_0(int64_t span)
{
    return span ? span : 1;
}

static void take_limits(reader *r, sono_session_limits *limits)
{
    memset(limits, 0, sizeof *limits);
    const uint8_t form = take(r);
    limits->in_order = form & 1;
    limits->depth = 1 + (form >> 1) % SONO_SESSION_MAX_DEPTH;
    limits->n_waiting = 1 + take(r) % SONO_SESSION_MAX_WAITING;
    limits->max_age_ns = take_span(r);
    limits->max_latency_ns = take_span(r);
    limits->stall_ns = take_span(r);
    limits->read_ns = take_span(r);
    limits->connect_ns = above_0(take_span(r));
    limits->backoff_min_ns = above_0(take_span(r));
    limits->backoff_max_ns = take_span(r);
    if (limits->backoff_max_ns < limits->backoff_min_ns)
        limits->backoff_max_ns = limits->backoff_min_ns;
    limits->keep_alive_ns = above_0(take_span(r));
    limits->text_ns = take_span(r);
    limits->engine_ns = take_span(r);
    limits->open_ns = take_span(r);
    limits->close_ns = above_0(take_span(r));
    limits->drain_ns = take_span(r);
    limits->frame_error_limit = 1 + take(r) % 4;
}

/* A frame that is under way, mostly; else a number that is none. */
static uint64_t choose_frame(const session_model *m, uint8_t byte)
{
    return byte < 240 && m->n_frames ? m->frames[byte % m->n_frames].frame : m->last + byte % 3;
}

static void take_event(reader *r, const session_model *m, const sono_session *s, sono_session_event *event)
{
    const uint8_t what = take(r), later = take(r), which = take(r);
    const int64_t deadline = sono_session_deadline(s);
    memset(event, 0, sizeof *event);
    event->kind = (sono_session_event_kind)(what % 19);
    /* Half of all times now, else exactly at the deadline, or any time after, up to the end of time. */
    event->now_ns = m->now_ns;
    if (later >= 192 && deadline < INT64_MAX)
        event->now_ns = deadline;
    else if (later >= 128)
        event->now_ns += later == 128 || m->now_ns > INT64_MAX / 2 ? (INT64_MAX - 1 - m->now_ns) / 2
                                                                   : (int64_t)1 << (later - 128) / 3;
    event->client = which == 255 ? -1 : which;
    event->state = which % 3;
    event->frame = choose_frame(m, which);
    if (event->kind == SONO_SESSION_FRAME || event->kind == SONO_SESSION_REFUSED) {
        event->frame = m->last + (which == 255 ? 0 : 1);
        event->received_ns = event->now_ns - which / 16;
        event->drop = (sono_session_drop)(which % 16);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sono_session session;
    static session_model model;
    static sono_session_actions out;
    reader r = {data, size};
    sono_session_limits limits;
    sono_session_event event = {.kind = SONO_SESSION_START};
    take_limits(&r, &limits);
    if (sono_session_init(&session, &limits) != 0)
        __builtin_trap();
    session_model_init(&model, &limits);
    const char *wrong = NULL;
    while (r.size && !wrong && !model.is_over) {
        wrong = session_model_step(&model, &session, &event, &out);
        take_event(&r, &model, &session, &event);
    }
    /* Where spans end before time does. */
    if (!wrong && !model.is_over && model.now_ns < INT64_MAX / 4 && limits.close_ns < INT64_MAX &&
        limits.drain_ns < INT64_MAX)
        wrong = session_model_stops(&model, &session);
    if (wrong)
        (void)fprintf(stderr, "%s\n", wrong);
    if (wrong)
        __builtin_trap();
    return 0;
}
