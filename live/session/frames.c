// SPDX-License-Identifier: Apache-2.0
#include "session/machine.h"

#include <string.h>

/* The frame's end without a mask: counted once, told once. */
static void end_frame(sono_session *s, sono_session_actions *out, sono_session_action_kind kind,
                      uint64_t frame, sono_session_drop why)
{
    sono_session_action *action = sono_session_push(out, kind);
    action->frame = frame;
    action->drop = why;
    s->counts.dropped[why]++;
}

/* Takes number i out of a list of *n frames. */
static sono_session_frame take_out(sono_session_frame *list, int32_t *n, int32_t i)
{
    const sono_session_frame frame = list[i];
    --*n;
    memmove(list + i, list + i + 1, (size_t)(*n - i) * sizeof *list);
    memset(list + *n, 0, sizeof *list);
    return frame;
}

/* ---- arriving ---- */

/* A number that is new is counted. */
static int count_in(sono_session *s, uint64_t frame)
{
    if (frame <= s->last_frame)
        return 0;
    s->last_frame = frame;
    s->counts.received++;
    sono_session_link_heard(s);
    return 1;
}

static void put_in_mailbox(sono_session *s, sono_session_actions *out, uint64_t frame, int64_t received_ns)
{
    if (s->n_waiting == s->limits.n_waiting) {
        const sono_session_frame oldest = take_out(s->waiting, &s->n_waiting, 0);
        end_frame(s, out, SONO_SESSION_DROP, oldest.frame, SONO_SESSION_DROP_SUPERSEDED);
    }
    sono_session_frame *place = &s->waiting[s->n_waiting++];
    place->frame = frame;
    place->received_ns = received_ns < 0 ? 0 : received_ns > s->now_ns ? s->now_ns : received_ns;
}

void sono_session_accept(sono_session *s, sono_session_actions *out, const sono_session_event *event)
{
    if (!count_in(s, event->frame))
        return;
    if (s->link != SONO_LINK_UP) {
        end_frame(s, out, SONO_SESSION_DROP, event->frame, SONO_SESSION_DROP_STOPPED);
        return;
    }
    s->has_frame = 1;
    s->backoff_ns = s->limits.backoff_min_ns;
    sono_session_link_whole(s);
    sono_session_clear(s, SONO_SESSION_FAULT_REFUSED);
    if (sono_session_holds(s, SONO_SESSION_FAULT_PAUSED))
        end_frame(s, out, SONO_SESSION_DROP, event->frame, SONO_SESSION_DROP_PAUSED);
    else if (s->engine != SONO_ENGINE_UP)
        end_frame(s, out, SONO_SESSION_DROP, event->frame, SONO_SESSION_DROP_NO_ENGINE);
    else
        put_in_mailbox(s, out, event->frame, event->received_ns);
}

void sono_session_refuse(sono_session *s, sono_session_actions *out, const sono_session_event *event)
{
    const sono_session_drop why = event->drop;
    if (why < 0 || why >= SONO_SESSION_DROP_COUNT || !count_in(s, event->frame))
        return;
    end_frame(s, out, SONO_SESSION_DROP, event->frame, why);
    /* While the engine is not there, images that it has no place for still show that the source does not
     * stall. With the engine they do not: a mask would stay on the screens. */
    if (s->link == SONO_LINK_UP && s->engine != SONO_ENGINE_UP && why == SONO_SESSION_DROP_NO_ENGINE)
        sono_session_link_whole(s);
    if (s->link == SONO_LINK_UP &&
        (why == SONO_SESSION_DROP_UNSUPPORTED || why == SONO_SESSION_DROP_TOO_LARGE)) {
        sono_session_link_whole(s);
        sono_session_raise(s, out, SONO_SESSION_FAULT_REFUSED);
    }
}

/* ---- into the engine ---- */

static int is_too_old(const sono_session *s, const sono_session_frame *frame)
{
    return s->limits.max_age_ns && s->now_ns - frame->received_ns > s->limits.max_age_ns;
}

void sono_session_take(sono_session *s, sono_session_actions *out)
{
    int n_too_old = 0;
    while (s->engine == SONO_ENGINE_UP && s->n_waiting && s->n_in_engine < s->limits.depth) {
        sono_session_frame frame = take_out(s->waiting, &s->n_waiting, 0);
        if (is_too_old(s, &frame)) {
            end_frame(s, out, SONO_SESSION_DROP, frame.frame, SONO_SESSION_DROP_AGE);
            n_too_old++;
            continue;
        }
        frame.submitted_ns = s->now_ns;
        s->in_engine[s->n_in_engine++] = frame;
        sono_session_push(out, SONO_SESSION_SUBMIT)->frame = frame.frame;
    }
    /* Frames come, all too late, and no result is under way: the mask on the screens is older than all of
     * them. */
    if (n_too_old && !sono_session_hopes(s))
        sono_session_raise(s, out, SONO_SESSION_FAULT_LATE);
}

/* ---- out of the engine ---- */

static int32_t find_in_engine(const sono_session *s, uint64_t frame)
{
    int32_t i = 0;
    while (i < s->n_in_engine && s->in_engine[i].frame != frame)
        i++;
    return i < s->n_in_engine ? i : -1;
}

static int is_late(const sono_session *s, const sono_session_frame *frame)
{
    return s->limits.max_latency_ns && s->now_ns - frame->received_ns > s->limits.max_latency_ns;
}

/* A frame is through, with a mask or without: of older ones nothing is shown. 0 where this is one of them. */
static int go_past(sono_session *s, uint64_t frame)
{
    if (frame <= s->hidden_through)
        return 0;
    s->hidden_through = frame;
    s->hidden_why = SONO_SESSION_DROP_SUPERSEDED;
    return 1;
}

void sono_session_finish(sono_session *s, sono_session_actions *out, const sono_session_event *event)
{
    const int32_t i = find_in_engine(s, event->frame);
    if (i < 0)
        return;
    const sono_session_frame frame = take_out(s->in_engine, &s->n_in_engine, i);
    s->losses_in_row = 0;
    s->engine_backoff_ns = s->limits.backoff_min_ns;
    if (!go_past(s, frame.frame)) {
        end_frame(s, out, SONO_SESSION_DISCARD, frame.frame, s->hidden_why);
    } else if (is_late(s, &frame)) {
        end_frame(s, out, SONO_SESSION_DISCARD, frame.frame, SONO_SESSION_DROP_LATE);
        sono_session_raise(s, out, SONO_SESSION_FAULT_LATE);
    } else {
        sono_session_push(out, SONO_SESSION_SHOW)->frame = frame.frame;
        s->counts.processed++;
        s->state = event->state;
        s->is_empty_told = 0;
        sono_session_clear(s, SONO_SESSION_FAULT_LATE);
        sono_session_clear(s, SONO_SESSION_FAULT_ENGINE);
    }
}

int sono_session_lose(sono_session *s, sono_session_actions *out, uint64_t frame, int *is_hidden)
{
    const int32_t i = find_in_engine(s, frame);
    if (i < 0)
        return 0;
    take_out(s->in_engine, &s->n_in_engine, i);
    end_frame(s, out, SONO_SESSION_DROP, frame, SONO_SESSION_DROP_DEVICE);
    *is_hidden = !go_past(s, frame);
    return 1;
}

void sono_session_drop_waiting(sono_session *s, sono_session_actions *out, sono_session_drop why)
{
    while (s->n_waiting)
        end_frame(s, out, SONO_SESSION_DROP, take_out(s->waiting, &s->n_waiting, 0).frame, why);
}

void sono_session_drop_in_engine(sono_session *s, sono_session_actions *out, sono_session_drop why)
{
    while (s->n_in_engine)
        end_frame(s, out, SONO_SESSION_DROP, take_out(s->in_engine, &s->n_in_engine, 0).frame, why);
}

/* ---- what may still be shown ---- */

void sono_session_hide(sono_session *s, sono_session_actions *out, sono_session_drop why)
{
    sono_session_drop_waiting(s, out, why);
    s->hidden_through = s->last_frame;
    s->hidden_why = why;
}

int sono_session_hopes(const sono_session *s)
{
    for (int32_t i = 0; i < s->n_in_engine; i++)
        if (s->in_engine[i].frame > s->hidden_through)
            return 1;
    return 0;
}

int64_t sono_session_late_at(const sono_session *s)
{
    const int64_t limit = s->limits.max_latency_ns;
    int64_t first = SONO_SESSION_NEVER;
    if (!limit || sono_session_holds(s, SONO_SESSION_FAULT_LATE))
        return first;
    for (int32_t i = 0; i < s->n_in_engine; i++) {
        const sono_session_frame *frame = &s->in_engine[i];
        if (frame->frame > s->hidden_through && limit < first - frame->received_ns)
            first = frame->received_ns + limit + 1;
    }
    return first;
}
