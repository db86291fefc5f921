// SPDX-License-Identifier: Apache-2.0
#include "session/machine.h"

void sono_session_engine_begin(sono_session *s, sono_session_actions *out)
{
    s->engine = SONO_ENGINE_OPENING;
    s->is_reopening = 0;
    s->engine_retry_at = SONO_SESSION_NEVER;
    s->open_at = sono_session_after(s, s->limits.open_ns);
    s->counts.engine_opens++;
    sono_session_push(out, SONO_SESSION_OPEN_ENGINE);
}

void sono_session_engine_up(sono_session *s)
{
    if (s->engine != SONO_ENGINE_OPENING)
        return;
    s->engine = SONO_ENGINE_UP;
    s->open_at = SONO_SESSION_NEVER;
    s->losses_in_row = 0;
    sono_session_clear(s, SONO_SESSION_FAULT_OPENING);
    sono_session_clear(s, SONO_SESSION_FAULT_ENGINE);
}

void sono_session_engine_down(sono_session *s, sono_session_actions *out)
{
    if (s->engine != SONO_ENGINE_OPENING && s->engine != SONO_ENGINE_CLOSING)
        return;
    s->engine = SONO_ENGINE_CLOSED;
    s->open_at = s->close_at = SONO_SESSION_NEVER;
    if (s->is_stopping)
        return;
    if (s->is_reopening) {
        sono_session_engine_begin(s, out);
        return;
    }
    s->engine_retry_at = sono_session_after(s, s->engine_backoff_ns);
    s->engine_backoff_ns = s->engine_backoff_ns > s->limits.backoff_max_ns / 2 ? s->limits.backoff_max_ns
                                                                               : s->engine_backoff_ns * 2;
    sono_session_clear(s, SONO_SESSION_FAULT_OPENING);
    sono_session_raise(s, out, SONO_SESSION_FAULT_ENGINE);
}

void sono_session_engine_close(sono_session *s, sono_session_actions *out, sono_session_fault why)
{
    if (s->engine != SONO_ENGINE_OPENING && s->engine != SONO_ENGINE_UP)
        return;
    s->engine = SONO_ENGINE_CLOSING;
    s->open_at = SONO_SESSION_NEVER;
    s->close_at = sono_session_after(s, s->limits.close_ns);
    sono_session_push(out, SONO_SESSION_CLOSE_ENGINE)->fault = why;
}

/* It hangs, opening or with a frame, or loses frame after frame. Waiting frames lie in memory of the engine
 * that closes. */
static void reopen(sono_session *s, sono_session_actions *out, sono_session_fault why)
{
    sono_session_drop_waiting(s, out, SONO_SESSION_DROP_NO_ENGINE);
    sono_session_drop_in_engine(s, out, SONO_SESSION_DROP_DEVICE);
    sono_session_engine_close(s, out, why);
    sono_session_clear(s, SONO_SESSION_FAULT_OPENING);
    sono_session_raise(s, out, SONO_SESSION_FAULT_ENGINE);
}

/* Asked for, so nothing has failed, and nothing is waited for before it is opened again. */
void sono_session_engine_reopen(sono_session *s, sono_session_actions *out)
{
    if (s->is_stopping || (s->engine != SONO_ENGINE_OPENING && s->engine != SONO_ENGINE_UP))
        return;
    s->is_reopening = 1;
    sono_session_drop_waiting(s, out, SONO_SESSION_DROP_NO_ENGINE);
    sono_session_drop_in_engine(s, out, SONO_SESSION_DROP_NO_ENGINE);
    sono_session_engine_close(s, out, SONO_SESSION_FAULT_NONE);
    sono_session_clear(s, SONO_SESSION_FAULT_ENGINE);
    sono_session_raise(s, out, SONO_SESSION_FAULT_OPENING);
}

/* Every loss leaves the mask before it on the screens, so it is a fault until a good result comes; a frame
 * whose result would not have been shown leaves nothing. */
void sono_session_engine_loss(sono_session *s, sono_session_actions *out, uint64_t frame)
{
    int is_hidden = 0;
    if (!sono_session_lose(s, out, frame, &is_hidden))
        return;
    if (!is_hidden)
        sono_session_raise(s, out, SONO_SESSION_FAULT_ENGINE);
    if (++s->losses_in_row >= s->limits.frame_error_limit)
        reopen(s, out, SONO_SESSION_FAULT_NONE);
}

int64_t sono_session_hang_at(const sono_session *s)
{
    if (!s->n_in_engine || !s->limits.engine_ns)
        return SONO_SESSION_NEVER;
    const int64_t begun = s->in_engine[0].submitted_ns;
    return s->limits.engine_ns > SONO_SESSION_NEVER - begun ? SONO_SESSION_NEVER
                                                            : begun + s->limits.engine_ns;
}

void sono_session_engine_deadlines(sono_session *s, sono_session_actions *out)
{
    if (s->now_ns >= sono_session_hang_at(s) || (s->engine == SONO_ENGINE_OPENING && s->now_ns >= s->open_at))
        reopen(s, out, SONO_SESSION_FAULT_ENGINE);
    if (s->engine == SONO_ENGINE_CLOSED && !s->is_stopping && s->now_ns >= s->engine_retry_at)
        sono_session_engine_begin(s, out);
    if (s->engine == SONO_ENGINE_CLOSING && s->now_ns >= s->close_at) {
        s->is_stopping = 1;
        s->exit_status = 1;
    }
}
