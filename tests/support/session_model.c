// SPDX-License-Identifier: Apache-2.0
#include "session_model.h"

#include <string.h>

#define CHECK(condition, text)                                                                               \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return (text);                                                                                   \
    } while (0)

/* What a step of the model knows. */
typedef struct step {
    session_model *m;
    const sono_session_event *event;
    int32_t wanted;  /* before it the session wanted frames */
    int32_t greeted; /* STATUS went to the client that joined */
    int32_t was_old; /* before it, of other clients */
    int32_t is_possible;
} step;

void session_model_init(session_model *m, const sono_session_limits *limits)
{
    memset(m, 0, sizeof *m);
    m->limits = *limits;
    if (!limits->in_order)
        m->limits.n_waiting = 1;
    m->state = m->told_state = -1;
    m->told = SONO_SESSION_FAULT_NONE;
}

const char *session_model_event_name(sono_session_event_kind kind)
{
    static const char *const names[] = {
        "?",      "START",   "TICK",      "SOURCE_UP",   "SOURCE_DOWN", "SOURCE_HEARD",
        "FRAME",  "REFUSED", "ENGINE_UP", "ENGINE_DOWN", "RESULT",      "LOSS",
        "CLIENT", "PAUSE",   "RESUME",    "STOP",        "REOPEN"};
    return names[kind >= SONO_SESSION_START && kind <= SONO_SESSION_REOPEN ? kind : 0];
}

/* ---- frames ---- */

static int32_t find(const session_model *m, uint64_t frame)
{
    for (int32_t i = 0; i < m->n_frames; i++)
        if (m->frames[i].frame == frame)
            return i;
    return -1;
}

static int32_t count(const session_model *m, int32_t is_in_engine)
{
    int32_t n = 0;
    for (int32_t i = 0; i < m->n_frames; i++)
        n += m->frames[i].is_in_engine == is_in_engine;
    return n;
}

static void end_frame(session_model *m, int32_t i)
{
    m->n_frames--;
    memmove(m->frames + i, m->frames + i + 1, (size_t)(m->n_frames - i) * sizeof *m->frames);
    memset(m->frames + m->n_frames, 0, sizeof *m->frames);
}

/* ---- events ---- */

int session_model_can(const session_model *m, const sono_session_event *event)
{
    const int32_t i = find(m, event->frame);
    if (m->is_over)
        return 0;
    if (!m->is_started)
        return event->kind == SONO_SESSION_START || event->kind == SONO_SESSION_STOP;
    switch (event->kind) {
    case SONO_SESSION_START:
        return 0;
    case SONO_SESSION_SOURCE_UP:
        return m->link == MODEL_ATTEMPT;
    case SONO_SESSION_SOURCE_DOWN:
        return m->link != MODEL_UNLINKED;
    case SONO_SESSION_SOURCE_HEARD:
        return m->link == MODEL_LINKED;
    case SONO_SESSION_REFUSED:
        return event->frame > m->last && event->drop >= 0 && event->drop < SONO_SESSION_DROP_COUNT;
    case SONO_SESSION_FRAME:
        return event->frame > m->last;
    case SONO_SESSION_ENGINE_UP:
        return m->engine == MODEL_OPENING;
    case SONO_SESSION_ENGINE_DOWN:
        return m->engine == MODEL_OPENING || m->engine == MODEL_CLOSING;
    case SONO_SESSION_RESULT:
    case SONO_SESSION_LOSS:
        return i >= 0 && m->frames[i].is_in_engine;
    case SONO_SESSION_CLIENT:
        return event->client >= 0;
    case SONO_SESSION_TICK:
    case SONO_SESSION_PAUSE:
    case SONO_SESSION_RESUME:
    case SONO_SESSION_STOP:
        return 1;
    case SONO_SESSION_REOPEN:
        return !m->is_stopping && (m->engine == MODEL_OPEN || m->engine == MODEL_OPENING);
    }
    return 0;
}

static void set_link(session_model *m, session_model_link link)
{
    m->link = link;
    m->link_at = m->heard_at = m->image_at = m->now_ns;
}

static void set_engine(session_model *m, session_model_engine engine)
{
    m->engine = engine;
    m->engine_at = m->now_ns;
}

static void bring_frame(session_model *m, const sono_session_event *event)
{
    session_model_frame *frame = &m->frames[m->n_frames++];
    memset(frame, 0, sizeof *frame);
    frame->frame = m->last = event->frame;
    frame->received_ns = event->received_ns > m->now_ns ? m->now_ns
                         : event->received_ns < 0       ? 0
                                                        : event->received_ns;
    m->received++;
    m->heard_at = m->now_ns;
    if (m->link != MODEL_LINKED)
        return;
    if (event->kind == SONO_SESSION_FRAME) {
        m->has_image = 1;
        m->newest = event->frame;
        m->is_refused = 0;
    } else if (event->drop == SONO_SESSION_DROP_UNSUPPORTED || event->drop == SONO_SESSION_DROP_TOO_LARGE) {
        m->is_refused = 1;
    } else if (event->drop != SONO_SESSION_DROP_NO_ENGINE || m->engine == MODEL_OPEN) {
        return;
    }
    m->image_at = m->now_ns;
    m->is_stalled = 0;
}

/* What the event is to the surroundings, before the session is told. */
static void happen(session_model *m, const sono_session_event *event)
{
    switch (event->kind) {
    case SONO_SESSION_START:
        m->is_started = m->is_cut = 1;
        m->status_at = m->text_at = m->now_ns;
        break;
    case SONO_SESSION_SOURCE_UP:
        set_link(m, MODEL_LINKED);
        m->is_cut = 0;
        break;
    case SONO_SESSION_SOURCE_DOWN:
        set_link(m, MODEL_UNLINKED);
        m->is_cut = 1;
        break;
    case SONO_SESSION_SOURCE_HEARD:
        m->heard_at = m->now_ns;
        break;
    case SONO_SESSION_FRAME:
    case SONO_SESSION_REFUSED:
        bring_frame(m, event);
        break;
    case SONO_SESSION_ENGINE_UP:
        set_engine(m, MODEL_OPEN);
        m->was_open = 1;
        break;
    case SONO_SESSION_ENGINE_DOWN:
        m->was_open |= m->engine == MODEL_OPENING; /* or would not open: that is no longer "being loaded" */
        set_engine(m, MODEL_CLOSED);
        break;
    case SONO_SESSION_REOPEN:
        m->was_open = 0;
        break;
    case SONO_SESSION_PAUSE:
    case SONO_SESSION_RESUME:
        m->is_paused = event->kind == SONO_SESSION_PAUSE;
        break;
    case SONO_SESSION_CLIENT:
        m->is_old = 1;
        break;
    case SONO_SESSION_RESULT:
    case SONO_SESSION_LOSS:
        for (int32_t i = 0; m->frames[i].frame < event->frame; i++)
            m->frames[i].is_barred = 1;
        break;
    case SONO_SESSION_STOP:
        m->is_stopping = 1;
        break;
    default:
        break;
    }
}

/* ---- actions ---- */

static const char *do_submit(step *t, const sono_session_action *a)
{
    session_model *m = t->m;
    const int32_t i = find(m, a->frame);
    CHECK(i >= 0 && !m->frames[i].is_in_engine, "SUBMIT of a frame that does not wait");
    CHECK(m->engine == MODEL_OPEN, "SUBMIT to an engine that is not open");
    CHECK(count(m, 1) < m->limits.depth, "SUBMIT to an engine that is full");
    CHECK(!m->frames[i].is_barred, "SUBMIT of a frame that must not be shown");
    CHECK(!m->is_paused, "SUBMIT while paused");
    CHECK(!m->limits.max_age_ns || m->now_ns - m->frames[i].received_ns <= m->limits.max_age_ns,
          "SUBMIT of a frame that is too old");
    for (int32_t j = 0; j < m->n_frames; j++)
        CHECK(j < i ? m->frames[j].is_in_engine : j == i || !m->frames[j].is_in_engine, "SUBMIT out of turn");
    m->frames[i].is_in_engine = 1;
    m->frames[i].submitted_ns = m->now_ns;
    return NULL;
}

static const char *do_drop(step *t, const sono_session_action *a)
{
    session_model *m = t->m;
    const int32_t i = find(m, a->frame);
    CHECK(i >= 0, "DROP of a frame that ended before");
    CHECK(a->drop >= 0 && a->drop < SONO_SESSION_DROP_COUNT, "DROP without a reason");
    const session_model_frame *frame = &m->frames[i];
    const uint64_t newest = m->newest;
    const int is_own = t->is_possible && t->event->frame == a->frame;
    if (is_own && t->event->kind == SONO_SESSION_REFUSED) {
        CHECK(a->drop == t->event->drop, "a refused frame is dropped for another reason");
    } else {
        CHECK(!is_own || t->event->kind != SONO_SESSION_LOSS || a->drop == SONO_SESSION_DROP_DEVICE,
              "a lost frame is not DEVICE");
        CHECK(!frame->is_in_engine || a->drop == SONO_SESSION_DROP_DEVICE ||
                  a->drop == SONO_SESSION_DROP_STOPPED ||
                  (a->drop == SONO_SESSION_DROP_NO_ENGINE && t->event->kind == SONO_SESSION_REOPEN),
              "DROP of a frame in the engine");
        CHECK(a->drop != SONO_SESSION_DROP_AGE ||
                  (m->limits.max_age_ns && m->now_ns - frame->received_ns > m->limits.max_age_ns),
              "AGE of a frame that is young");
        CHECK(a->drop != SONO_SESSION_DROP_SUPERSEDED || !m->limits.in_order || !t->wanted,
              "a newer frame wins in in-order mode");
    }
    m->dropped[a->drop]++;
    end_frame(m, i);
    /* Too old to be analysed, but one before it is under way: what comes of that decides. */
    for (int32_t j = 0; a->drop == SONO_SESSION_DROP_AGE && a->frame == newest && j < m->n_frames; j++)
        if (m->frames[j].is_in_engine && !m->frames[j].is_barred)
            m->newest = m->frames[j].frame;
    return NULL;
}

static const char *do_result(step *t, const sono_session_action *a)
{
    session_model *m = t->m;
    const int32_t i = find(m, a->frame);
    CHECK(t->event->kind == SONO_SESSION_RESULT && t->is_possible && t->event->frame == a->frame,
          "SHOW or DISCARD of what is no result of this step");
    CHECK(i >= 0, "a frame ends twice");
    const session_model_frame frame = m->frames[i];
    const int is_late = m->limits.max_latency_ns && m->now_ns - frame.received_ns > m->limits.max_latency_ns;
    end_frame(m, i);
    if (a->kind == SONO_SESSION_DISCARD) {
        CHECK(is_late || frame.is_barred, "DISCARD of a good result");
        CHECK(a->drop >= 0 && a->drop < SONO_SESSION_DROP_COUNT, "DISCARD without a reason");
        m->dropped[a->drop]++;
        return NULL;
    }
    CHECK(!frame.is_barred, "SHOW of a frame from before a fault");
    CHECK(!is_late, "SHOW of a result that is late");
    CHECK(frame.frame > m->shown, "SHOW goes back");
    m->shown = frame.frame;
    m->state = t->event->state;
    m->view = MODEL_MASK;
    m->is_old = 0;
    m->processed++;
    return NULL;
}

static const char *do_link(step *t, const sono_session_action *a)
{
    session_model *m = t->m;
    if (a->kind == SONO_SESSION_CONNECT) {
        CHECK(m->link == MODEL_UNLINKED, "CONNECT while connected");
        CHECK(!m->is_stopping, "CONNECT while stopping");
        set_link(m, MODEL_ATTEMPT);
        return NULL;
    }
    CHECK(m->link != MODEL_UNLINKED, "DISCONNECT of nothing");
    set_link(m, MODEL_UNLINKED);
    if (!m->is_stopping)
        m->is_cut = 1;
    return NULL;
}

static const char *do_engine(step *t, const sono_session_action *a)
{
    session_model *m = t->m;
    if (a->kind == SONO_SESSION_OPEN_ENGINE) {
        CHECK(m->engine == MODEL_CLOSED, "OPEN_ENGINE of one that is open");
        CHECK(!m->is_stopping, "OPEN_ENGINE while stopping");
        set_engine(m, MODEL_OPENING);
        return NULL;
    }
    CHECK(m->engine == MODEL_OPEN || m->engine == MODEL_OPENING, "CLOSE_ENGINE of one that is closed");
    CHECK(count(m, 1) == 0 && count(m, 0) == 0, "CLOSE_ENGINE with frames under way");
    if (a->fault == SONO_SESSION_FAULT_ENGINE && m->engine == MODEL_OPENING) {
        CHECK(m->limits.open_ns && m->now_ns - m->engine_at >= m->limits.open_ns,
              "an engine in time is said to hang");
        m->was_open = 1; /* as one that would not open */
    }
    set_engine(m, MODEL_CLOSING);
    return NULL;
}

static const char *do_tell(step *t, const sono_session_action *a)
{
    session_model *m = t->m;
    const int is_empty = a->kind == SONO_SESSION_EMPTY;
    CHECK(!is_empty || (a->fault >= 0 && a->fault < SONO_SESSION_FAULT_NONE), "EMPTY without a reason");
    CHECK(!is_empty || m->has_image, "EMPTY before there is a geometry");
    if (a->client != -1) {
        CHECK(t->event->kind == SONO_SESSION_CLIENT && a->client == t->event->client, "told to nobody");
        if (is_empty)
            m->is_old = t->was_old;
        else
            t->greeted = 1;
        return NULL;
    }
    if (is_empty) {
        CHECK(m->view == MODEL_MASK || m->is_old, "EMPTY where nothing is shown");
        m->view = MODEL_EMPTY;
        m->is_old = 0;
        m->state = -1;
    } else {
        m->told = a->fault;
        m->told_state = a->state;
        m->status_at = m->now_ns;
    }
    return NULL;
}

static const char *do_exit(step *t, const sono_session_action *a)
{
    session_model *m = t->m;
    CHECK(a->status == (m->engine == MODEL_CLOSED ? 0 : 1), "EXIT with the wrong status");
    CHECK(m->n_frames == 0, "EXIT with frames under way");
    CHECK(m->link == MODEL_UNLINKED, "EXIT with a connection");
    CHECK(m->told == SONO_SESSION_FAULT_STOPPING, "EXIT without a word");
    CHECK(m->view != MODEL_MASK && (!m->is_old || !m->has_image), "EXIT with a mask on the screens");
    m->is_over = 1;
    return NULL;
}

static const char *carry_out(step *t, const sono_session_action *a)
{
    CHECK(!t->m->is_over, "an action after EXIT");
    switch (a->kind) {
    case SONO_SESSION_CONNECT:
    case SONO_SESSION_DISCONNECT:
        return do_link(t, a);
    case SONO_SESSION_OPEN_ENGINE:
    case SONO_SESSION_CLOSE_ENGINE:
        return do_engine(t, a);
    case SONO_SESSION_SUBMIT:
        return do_submit(t, a);
    case SONO_SESSION_DROP:
        return do_drop(t, a);
    case SONO_SESSION_SHOW:
    case SONO_SESSION_DISCARD:
        return do_result(t, a);
    case SONO_SESSION_EMPTY:
    case SONO_SESSION_STATUS:
        return do_tell(t, a);
    case SONO_SESSION_TEXT:
        t->m->text_at = t->m->now_ns;
        return NULL;
    case SONO_SESSION_EXIT:
        return do_exit(t, a);
    }
    return "an action that there is none of";
}

/* ---- after a step ---- */

/* Faults that empty the mask for good, as the surroundings see them: bit per sono_session_fault. In in-order
 * mode those of the source begin when nothing is under way that may be shown. */
static uint32_t blocking_faults(const session_model *m)
{
    int32_t is_through = 1;
    for (int32_t i = 0; i < m->n_frames; i++)
        is_through &= !m->limits.in_order || m->frames[i].is_barred;
    uint32_t faults = 0;
    if (m->engine != MODEL_OPEN)
        faults |= 1u << (m->was_open ? SONO_SESSION_FAULT_ENGINE : SONO_SESSION_FAULT_OPENING);
    if (m->is_paused)
        faults |= 1u << SONO_SESSION_FAULT_PAUSED;
    if (is_through)
        faults |= (uint32_t)m->is_cut << SONO_SESSION_FAULT_NO_SOURCE |
                  (uint32_t)m->is_stalled << SONO_SESSION_FAULT_STALLED |
                  (uint32_t)m->is_refused << SONO_SESSION_FAULT_REFUSED;
    return faults;
}

static const char *check_counts(const session_model *m, const sono_session *s)
{
    const sono_session_counts *c = &s->counts;
    uint64_t n = c->processed + c->waiting + c->in_engine;
    for (int i = 0; i < SONO_SESSION_DROP_COUNT; i++) {
        n += c->dropped[i];
        CHECK(c->dropped[i] == m->dropped[i], "dropped frames are miscounted");
    }
    CHECK(c->received == n, "received is not processed + dropped + in flight");
    CHECK(c->received == m->received && c->processed == m->processed, "frames are miscounted");
    CHECK(c->waiting == (uint32_t)count(m, 0) && c->in_engine == (uint32_t)count(m, 1),
          "frames under way are miscounted");
    CHECK(count(m, 0) <= m->limits.n_waiting, "the mailbox is too full");
    CHECK(m->engine != MODEL_OPEN || !count(m, 0) || count(m, 1) == m->limits.depth,
          "a frame waits although the engine has room");
    CHECK(m->engine == MODEL_OPEN || !m->n_frames, "a frame waits for an engine that is not open");
    return NULL;
}

/* The source is read while it may be, and in in-order mode no frame is read that would be lost. */
static const char *check_reading(const session_model *m)
{
    const int has_place = m->engine == MODEL_OPEN && count(m, 0) < m->limits.n_waiting;
    const int may_read = m->link == MODEL_LINKED && (!m->limits.in_order || has_place);
    CHECK(!m->is_reading || may_read, "the source is read although frames would be lost");
    CHECK(m->is_reading || !may_read, "the source is not read");
    return NULL;
}

/* Each span has a limit, and the session's deadline comes before the first of them is over. */
static const char *check_spans(const session_model *m, const sono_session *s)
{
    const sono_session_limits *l = &m->limits;
    const int64_t now = m->now_ns;
    const int32_t is_running = !m->is_stopping;
    CHECK(sono_session_deadline(s) > now, "a deadline that is not in the future");
    CHECK(m->is_over || now - m->status_at < l->keep_alive_ns, "STATUS is overdue");
    CHECK(m->is_over || !l->text_ns || now - m->text_at < l->text_ns, "text is overdue");
    CHECK(m->link != MODEL_ATTEMPT || now - m->link_at < l->connect_ns, "an attempt takes too long");
    CHECK(m->link != MODEL_UNLINKED || !is_running || now - m->link_at < l->backoff_max_ns,
          "no new attempt is made");
    CHECK(m->engine != MODEL_CLOSED || !is_running || now - m->engine_at < l->backoff_max_ns,
          "the engine is not reopened");
    CHECK(m->engine != MODEL_OPENING || m->is_over || !l->open_ns || now - m->engine_at < l->open_ns,
          "an engine that does not open is waited for");
    CHECK(m->engine != MODEL_CLOSING || m->is_over || now - m->engine_at < l->close_ns,
          "an engine that does not close is waited for");
    CHECK(m->link != MODEL_LINKED || !m->is_reading || !l->read_ns || now - m->heard_at < l->read_ns,
          "a mute link is kept");
    for (int32_t i = 0; i < m->n_frames; i++)
        CHECK(!m->frames[i].is_in_engine || !l->engine_ns || now - m->frames[i].submitted_ns < l->engine_ns,
              "a hanging engine is kept");
    return NULL;
}

/* The mask on a screen is that of the newest image, or a newer result is under way and not overdue. */
static const char *check_freshness(const session_model *m)
{
    const sono_session_limits *l = &m->limits;
    int32_t n_hoped = 0;
    for (int32_t i = 0; i < m->n_frames; i++) {
        const session_model_frame *frame = &m->frames[i];
        if (frame->is_barred || (!frame->is_in_engine && !l->in_order))
            continue;
        n_hoped++;
        CHECK(!frame->is_in_engine || !l->max_latency_ns ||
                  m->now_ns - frame->received_ns <= l->max_latency_ns,
              "a mask stays although the next one is late");
    }
    if (n_hoped)
        return NULL;
    CHECK(m->view != MODEL_MASK || m->shown == m->newest, "a mask stays although newer images came");
    CHECK(!m->is_reading || !l->stall_ns || m->now_ns - m->image_at < l->stall_ns,
          "a mask stays although no images come");
    return NULL;
}

static const char *check_view(const session_model *m, const sono_session *s)
{
    const uint32_t temporary =
        1u << SONO_SESSION_FAULT_LATE | 1u << SONO_SESSION_FAULT_ENGINE | 1u << SONO_SESSION_FAULT_STOPPING;
    const uint32_t blocking = blocking_faults(m);
    const sono_session_fault worst = sono_session_worst(s);
    CHECK((s->faults & ~temporary) == (blocking & ~temporary), "faults are not what they are");
    CHECK(m->is_stopping || (s->faults & blocking) == blocking, "the engine's fault is not told");
    CHECK(!blocking || m->engine != MODEL_OPEN || !(s->faults & 1u << SONO_SESSION_FAULT_ENGINE),
          "a loss hides what is wrong now");
    CHECK(m->told == worst, "STATUS is not what it is");
    if (worst != SONO_SESSION_FAULT_NONE) {
        CHECK(m->view != MODEL_MASK, "a mask stays while a fault holds");
        CHECK(!m->is_old || !m->has_image, "a client keeps its old mask while a fault holds");
        return NULL;
    }
    CHECK(m->told_state == m->state, "STATUS tells another state");
    return m->view == MODEL_MASK || m->is_old ? check_freshness(m) : NULL;
}

static void look_around(session_model *m, const sono_session *s)
{
    const int32_t is_reading = sono_session_wants_frames(s);
    if (is_reading && !m->is_reading)
        m->heard_at = m->image_at = m->now_ns;
    m->is_reading = is_reading;
    if (blocking_faults(m))
        for (int32_t i = 0; i < m->n_frames; i++)
            m->frames[i].is_barred = 1;
}

/* An event that cannot be must do what TICK does. */
static const char *check_impossible(const sono_session *before, const sono_session *after,
                                    const sono_session_event *event, const sono_session_actions *out)
{
    const sono_session_event tick = {.kind = SONO_SESSION_TICK, .now_ns = event->now_ns};
    sono_session copy = *before;
    sono_session_actions ticked;
    sono_session_step(&copy, &tick, &ticked);
    CHECK(memcmp(&copy, after, sizeof copy) == 0, "an event that cannot be changes something");
    CHECK(ticked.n == out->n && memcmp(ticked.list, out->list, (size_t)out->n * sizeof *out->list) == 0,
          "an event that cannot be has an effect");
    return NULL;
}

const char *session_model_step(session_model *m, sono_session *s, const sono_session_event *event,
                               sono_session_actions *out)
{
    step t = {.m = m, .event = event, .wanted = sono_session_wants_frames(s)};
    const char *wrong = NULL;
    const int32_t was_over = m->is_over;
    t.is_possible = session_model_can(m, event);
    if (t.is_possible) {
        sono_session_step(s, event, out);
    } else {
        const sono_session before = *s;
        sono_session_step(s, event, out);
        wrong = check_impossible(&before, s, event, out);
    }
    CHECK(!wrong, wrong);
    CHECK(!was_over || out->n == 0, "an action after EXIT");
    if (event->now_ns > m->now_ns && (m->is_started || t.is_possible) && !was_over)
        m->now_ns = event->now_ns;
    t.was_old = m->is_old;
    if (t.is_possible)
        happen(m, event);
    CHECK(out->n >= 0 && out->n <= SONO_SESSION_MAX_ACTIONS - 16, "too many actions");
    if (m->is_reading && m->limits.stall_ns && m->now_ns - m->image_at >= m->limits.stall_ns &&
        m->link == MODEL_LINKED && !m->is_stopping)
        m->is_stalled = 1;
    for (int32_t i = 0; i < out->n && !wrong; i++)
        wrong = carry_out(&t, &out->list[i]);
    CHECK(!wrong, wrong);
    CHECK(event->kind != SONO_SESSION_CLIENT || !t.is_possible || t.greeted,
          "a client that joins is not told the status");
    look_around(m, s);
    if (!m->is_started && !m->is_over)
        return NULL;
    wrong = check_counts(m, s);
    CHECK(!wrong, wrong);
    wrong = check_reading(m);
    CHECK(!wrong, wrong);
    wrong = check_spans(m, s);
    CHECK(!wrong, wrong);
    return m->is_over ? NULL : check_view(m, s);
}

const char *session_model_stops(const session_model *model, const sono_session *session)
{
    session_model m = *model;
    sono_session s = *session;
    sono_session_actions out;
    sono_session_event event = {.kind = SONO_SESSION_STOP, .now_ns = m.now_ns};
    const char *wrong = session_model_step(&m, &s, &event, &out);
    session_model twice_m = m;
    sono_session twice = s;
    if (!wrong)
        wrong = session_model_step(&twice_m, &twice, &event, &out);
    CHECK(!wrong, wrong);
    CHECK(twice_m.is_over, "a second STOP does not end it");
    event.kind = SONO_SESSION_TICK;
    for (int i = 0; i < 40 && !m.is_over; i++) {
        event.now_ns = sono_session_deadline(&s);
        if (i >= 32) /* STATUS comes often, the end is far */
            event.now_ns += m.limits.drain_ns + m.limits.close_ns;
        wrong = session_model_step(&m, &s, &event, &out);
        CHECK(!wrong, wrong);
    }
    CHECK(m.is_over, "STOP does not end it");
    return NULL;
}
