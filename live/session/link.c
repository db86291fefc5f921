// SPDX-License-Identifier: Apache-2.0
#include "session/machine.h"

void sono_session_link_begin(sono_session *s, sono_session_actions *out)
{
    s->link = SONO_LINK_CONNECTING;
    s->retry_at = SONO_SESSION_NEVER;
    s->connect_at = sono_session_after(s, s->limits.connect_ns);
    s->counts.connects++;
    sono_session_push(out, SONO_SESSION_CONNECT);
}

void sono_session_link_up(sono_session *s)
{
    if (s->link != SONO_LINK_CONNECTING)
        return;
    s->link = SONO_LINK_UP;
    s->connect_at = SONO_SESSION_NEVER;
    s->counts.connections++;
    sono_session_clear(s, SONO_SESSION_FAULT_NO_SOURCE);
}

/* The link is gone; the next attempt comes after a pause. A source that takes connections and closes them at
 * once is not called faster and faster: only a whole frame resets the pause. */
static void lose_link(sono_session *s, sono_session_actions *out)
{
    s->link = SONO_LINK_WAITING;
    s->connect_at = SONO_SESSION_NEVER;
    s->retry_at = sono_session_after(s, s->backoff_ns);
    s->backoff_ns =
        s->backoff_ns > s->limits.backoff_max_ns / 2 ? s->limits.backoff_max_ns : s->backoff_ns * 2;
    sono_session_raise(s, out, SONO_SESSION_FAULT_NO_SOURCE);
}

void sono_session_link_down(sono_session *s, sono_session_actions *out)
{
    if (s->link == SONO_LINK_CONNECTING || s->link == SONO_LINK_UP)
        lose_link(s, out);
}

void sono_session_link_heard(sono_session *s)
{
    if (s->link == SONO_LINK_UP && s->is_reading)
        s->read_at = sono_session_after(s, s->limits.read_ns);
}

void sono_session_link_whole(sono_session *s)
{
    sono_session_clear(s, SONO_SESSION_FAULT_STALLED);
    if (s->is_reading)
        s->stall_at = sono_session_after(s, s->limits.stall_ns);
}

void sono_session_link_end(sono_session *s, sono_session_actions *out)
{
    if (s->link == SONO_LINK_CONNECTING || s->link == SONO_LINK_UP)
        sono_session_push(out, SONO_SESSION_DISCONNECT);
    s->link = SONO_LINK_IDLE;
    s->connect_at = s->retry_at = SONO_SESSION_NEVER;
}

void sono_session_link_deadlines(sono_session *s, sono_session_actions *out)
{
    const int is_mute = s->link == SONO_LINK_UP && s->now_ns >= s->read_at;
    const int is_unanswered = s->link == SONO_LINK_CONNECTING && s->now_ns >= s->connect_at;
    if (s->link == SONO_LINK_UP && s->now_ns >= s->stall_at) {
        s->stall_at = SONO_SESSION_NEVER;
        sono_session_raise(s, out, SONO_SESSION_FAULT_STALLED);
    }
    if (is_mute || is_unanswered) {
        sono_session_push(out, SONO_SESSION_DISCONNECT);
        lose_link(s, out);
    } else if (s->link == SONO_LINK_WAITING && s->now_ns >= s->retry_at) {
        sono_session_link_begin(s, out);
    }
}

void sono_session_link_watch(sono_session *s)
{
    const int is_reading = sono_session_wants_frames(s);
    if (!is_reading) {
        s->read_at = s->stall_at = SONO_SESSION_NEVER;
    } else if (!s->is_reading) {
        s->read_at = sono_session_after(s, s->limits.read_ns);
        s->stall_at = sono_session_holds(s, SONO_SESSION_FAULT_STALLED)
                          ? SONO_SESSION_NEVER
                          : sono_session_after(s, s->limits.stall_ns);
    }
    s->is_reading = is_reading;
}
