// SPDX-License-Identifier: Apache-2.0
#include "session/machine.h"

static uint32_t bit(sono_session_fault fault)
{
    return UINT32_C(1) << fault;
}

int sono_session_holds(const sono_session *s, sono_session_fault fault)
{
    return ((s->faults | s->due) & bit(fault)) != 0;
}

/* ---- faults ---- */

static int is_of_source(sono_session_fault fault)
{
    return fault == SONO_SESSION_FAULT_NO_SOURCE || fault == SONO_SESSION_FAULT_STALLED ||
           fault == SONO_SESSION_FAULT_REFUSED;
}

/* Why frames under way are not shown any more when the fault begins; COUNT = they still may be. */
static sono_session_drop hides(sono_session_fault fault)
{
    if (fault == SONO_SESSION_FAULT_PAUSED)
        return SONO_SESSION_DROP_PAUSED;
    if (fault == SONO_SESSION_FAULT_REFUSED)
        return SONO_SESSION_DROP_SUPERSEDED;
    return is_of_source(fault) ? SONO_SESSION_DROP_STOPPED : SONO_SESSION_DROP_COUNT;
}

static void begin_fault(sono_session *s, sono_session_actions *out, sono_session_fault fault)
{
    const sono_session_drop why = hides(fault);
    s->faults |= bit(fault);
    if (why == SONO_SESSION_DROP_COUNT)
        return;
    sono_session_hide(s, out, why);
    /* Lateness and losses last until a good result, which now does not come: they must not outshine this
     * fault. */
    s->faults &= ~bit(SONO_SESSION_FAULT_LATE);
    if (s->engine == SONO_ENGINE_UP)
        s->faults &= ~bit(SONO_SESSION_FAULT_ENGINE);
}

/* In in-order mode faults of the source wait for frames whose results may still be shown. */
static int waits(const sono_session *s)
{
    return s->limits.in_order && (s->n_waiting > 0 || sono_session_hopes(s));
}

void sono_session_raise(sono_session *s, sono_session_actions *out, sono_session_fault fault)
{
    if (sono_session_holds(s, fault))
        return;
    if (is_of_source(fault) && waits(s))
        s->due |= bit(fault);
    else
        begin_fault(s, out, fault);
}

void sono_session_clear(sono_session *s, sono_session_fault fault)
{
    s->faults &= ~bit(fault);
    s->due &= ~bit(fault);
}

void sono_session_health_deadlines(sono_session *s, sono_session_actions *out)
{
    for (int i = 0; s->due && !waits(s) && i < SONO_SESSION_FAULT_COUNT; i++)
        if (s->due & bit((sono_session_fault)i)) {
            s->due &= ~bit((sono_session_fault)i);
            begin_fault(s, out, (sono_session_fault)i);
        }
    if (s->now_ns >= sono_session_late_at(s))
        sono_session_raise(s, out, SONO_SESSION_FAULT_LATE);
}

sono_session_fault sono_session_worst(const sono_session *s)
{
    int i = 0;
    while (i < SONO_SESSION_FAULT_COUNT && !(s->faults & bit((sono_session_fault)i)))
        i++;
    return (sono_session_fault)i;
}

/* ---- telling ---- */

static void push_status(const sono_session *s, sono_session_actions *out, int32_t client)
{
    sono_session_action *status = sono_session_push(out, SONO_SESSION_STATUS);
    status->client = client;
    status->fault = sono_session_worst(s);
    status->state = s->state;
}

static void push_empty(const sono_session *s, sono_session_actions *out, int32_t client)
{
    sono_session_action *empty = sono_session_push(out, SONO_SESSION_EMPTY);
    empty->client = client;
    empty->fault = sono_session_worst(s);
}

void sono_session_tell(sono_session *s, sono_session_actions *out)
{
    const sono_session_fault worst = sono_session_worst(s);
    if (worst != SONO_SESSION_FAULT_NONE) {
        s->state = -1;
        if (s->has_frame && !s->is_empty_told) {
            push_empty(s, out, -1);
            s->is_empty_told = 1;
            s->counts.empties++;
        }
    }
    if (worst != s->told || s->state != s->told_state || s->now_ns >= s->status_at) {
        push_status(s, out, -1);
        s->told = worst;
        s->told_state = s->state;
        s->status_at = sono_session_after(s, s->limits.keep_alive_ns);
    }
    if (s->now_ns >= s->text_at) {
        sono_session_push(out, SONO_SESSION_TEXT);
        s->text_at = sono_session_after(s, s->limits.text_ns);
    }
}

/* What a client showed before it lost us may still be on its screen: it gets an empty mask now, or with the
 * next fault, unless the next result replaces it. */
void sono_session_greet(sono_session *s, sono_session_actions *out, int32_t client)
{
    if (client < 0)
        return;
    if (s->has_frame && sono_session_worst(s) != SONO_SESSION_FAULT_NONE)
        push_empty(s, out, client);
    else
        s->is_empty_told = 0;
    push_status(s, out, client);
}
