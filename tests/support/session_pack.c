// SPDX-License-Identifier: Apache-2.0
#include "session_pack.h"

#include "test.h"

#include <string.h>

#define BASE_NS 1000 /* "now" of an unpacked state */

/* Packed values that are none: */
enum { FAR = 126, NEVER = 127, NONE = -128 };

/* Writes fields into bytes, or reads them back: one list of fields serves both ways. */
typedef struct packer {
    int8_t *to; /* NULL: reads */
    const int8_t *from;
    int32_t n_bytes;
    int64_t now_ns;
} packer;

static void pack_small(packer *p, int64_t *value)
{
    if (p->n_bytes >= SESSION_PACK_BYTES)
        fail_msg("a state does not fit in %d bytes", SESSION_PACK_BYTES);
    if (p->to)
        p->to[p->n_bytes] = (int8_t)(*value < -1 ? NONE : *value > FAR ? NEVER : *value);
    else
        *value = p->from[p->n_bytes];
    p->n_bytes++;
}

#define SMALL(field)                                                                                         \
    do {                                                                                                     \
        int64_t small_value = (int64_t)(field);                                                              \
        pack_small(p, &small_value);                                                                         \
        memcpy(&(field), &(int64_t){small_value}, sizeof(field)); /* little endian, enums too */             \
    } while (0)

/* A time that was, as its age; ages above the cap are one, and what has no limit has no age. */
static void pack_age(packer *p, int64_t *time_ns, int64_t cap)
{
    int64_t age = p->now_ns - *time_ns;
    if (cap > FAR)
        cap = 0;
    if (age > cap)
        age = cap;
    pack_small(p, &age);
    *time_ns = p->now_ns - age;
}

static void pack_deadline(packer *p, int64_t *time_ns)
{
    int64_t ahead = *time_ns - p->now_ns;
    if (*time_ns == INT64_MAX)
        ahead = NEVER;
    else if (ahead > FAR)
        ahead = FAR;
    pack_small(p, &ahead);
    *time_ns = ahead == NEVER ? INT64_MAX : p->now_ns + (ahead == FAR ? SESSION_PACK_FAR : ahead);
}

static int64_t received_cap(const sono_session_limits *l)
{
    const int64_t longer = l->max_age_ns > l->max_latency_ns ? l->max_age_ns : l->max_latency_ns;
    return longer ? longer + 1 : 0;
}

static void pack_frames(packer *p, sono_session *s)
{
    SMALL(s->n_waiting);
    SMALL(s->n_in_engine);
    for (int32_t i = 0; i < s->n_waiting; i++) {
        SMALL(s->waiting[i].frame);
        pack_age(p, &s->waiting[i].received_ns, received_cap(&s->limits));
    }
    for (int32_t i = 0; i < s->n_in_engine; i++) {
        SMALL(s->in_engine[i].frame);
        pack_age(p, &s->in_engine[i].received_ns, received_cap(&s->limits));
        pack_age(p, &s->in_engine[i].submitted_ns, s->limits.engine_ns);
    }
}

static void pack_session(packer *p, sono_session *s)
{
    SMALL(s->link);
    SMALL(s->engine);
    SMALL(s->is_started);
    SMALL(s->is_stopping);
    SMALL(s->is_over);
    SMALL(s->is_reading);
    SMALL(s->has_frame);
    SMALL(s->is_reopening);
    SMALL(s->exit_status);
    pack_frames(p, s);
    int64_t faults[4] = {s->faults & 15, s->faults >> 4, s->due & 15, s->due >> 4};
    for (int i = 0; i < 4; i++)
        pack_small(p, &faults[i]);
    s->faults = (uint32_t)(faults[0] | faults[1] << 4);
    s->due = (uint32_t)(faults[2] | faults[3] << 4);
    SMALL(s->told);
    SMALL(s->told_state);
    SMALL(s->is_empty_told);
    SMALL(s->state);
    SMALL(s->losses_in_row);
    SMALL(s->last_frame);
    SMALL(s->hidden_through);
    SMALL(s->hidden_why);
    SMALL(s->backoff_ns);
    SMALL(s->engine_backoff_ns);
    int64_t *const deadlines[] = {&s->connect_at,      &s->retry_at, &s->read_at,  &s->stall_at,
                                  &s->engine_retry_at, &s->open_at,  &s->close_at, &s->drain_at,
                                  &s->status_at,       &s->text_at};
    for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++)
        pack_deadline(p, deadlines[i]);
}

static int64_t link_cap(const session_model *m)
{
    if (m->link == MODEL_ATTEMPT)
        return m->limits.connect_ns;
    return m->link == MODEL_UNLINKED && !m->is_stopping ? m->limits.backoff_max_ns : 0;
}

static int64_t engine_cap(const session_model *m)
{
    if (m->engine == MODEL_CLOSING)
        return m->limits.close_ns;
    if (m->engine == MODEL_OPENING)
        return m->limits.open_ns;
    return m->engine == MODEL_CLOSED && !m->is_stopping ? m->limits.backoff_max_ns : 0;
}

static void pack_model(packer *p, session_model *m)
{
    SMALL(m->link);
    SMALL(m->engine);
    SMALL(m->view);
    SMALL(m->is_started);
    SMALL(m->is_stopping);
    SMALL(m->is_over);
    SMALL(m->is_cut);
    SMALL(m->is_stalled);
    SMALL(m->is_refused);
    SMALL(m->is_paused);
    SMALL(m->was_open);
    SMALL(m->is_reading);
    SMALL(m->is_old);
    SMALL(m->has_image);
    SMALL(m->state);
    SMALL(m->told);
    SMALL(m->told_state);
    SMALL(m->last);
    SMALL(m->newest);
    SMALL(m->shown);
    pack_age(p, &m->image_at, m->is_reading ? m->limits.stall_ns : 0);
    pack_age(p, &m->heard_at, m->is_reading ? m->limits.read_ns : 0);
    pack_age(p, &m->link_at, link_cap(m));
    pack_age(p, &m->engine_at, engine_cap(m));
    pack_age(p, &m->status_at, m->limits.keep_alive_ns);
    pack_age(p, &m->text_at, m->limits.text_ns);
    SMALL(m->n_frames);
    for (int32_t i = 0; i < m->n_frames; i++) {
        session_model_frame *frame = &m->frames[i];
        SMALL(frame->frame);
        SMALL(frame->is_in_engine);
        SMALL(frame->is_barred);
        pack_age(p, &frame->received_ns, received_cap(&m->limits));
        pack_age(p, &frame->submitted_ns, frame->is_in_engine ? m->limits.engine_ns : 0);
    }
}

/* Of a number among the frames under way: those have 2, 4, ..., what lies between them an odd rank. */
static uint64_t rank_of(const session_model *m, uint64_t number)
{
    uint64_t rank = 1;
    for (int32_t i = 0; i < m->n_frames; i++) {
        if (m->frames[i].frame == number)
            return 2 * (uint64_t)(i + 1);
        if (m->frames[i].frame < number)
            rank = 2 * (uint64_t)(i + 1) + 1;
    }
    return rank;
}

static void renumber(session_world *w)
{
    const session_model old = w->model;
    sono_session *s = &w->session;
    session_model *m = &w->model;
    for (int32_t i = 0; i < s->n_waiting; i++)
        s->waiting[i].frame = rank_of(&old, s->waiting[i].frame);
    for (int32_t i = 0; i < s->n_in_engine; i++)
        s->in_engine[i].frame = rank_of(&old, s->in_engine[i].frame);
    for (int32_t i = 0; i < m->n_frames; i++)
        m->frames[i].frame = 2 * (uint64_t)(i + 1);
    s->last_frame = m->last = 2 * (uint64_t)m->n_frames + 1;
    s->hidden_through = rank_of(&old, s->hidden_through) | 1;
    m->shown = rank_of(&old, old.shown);
    /* The newest image is under way, or shown, or neither. */
    m->newest = rank_of(&old, old.newest);
    if (m->newest % 2)
        m->newest = old.newest == old.shown ? m->shown : FAR;
}

void session_pack(const session_world *world, int8_t bytes[SESSION_PACK_BYTES])
{
    static session_world w;
    w = *world;
    packer packing = {.to = bytes, .now_ns = w.session.now_ns};
    memset(bytes, 0, SESSION_PACK_BYTES);
    renumber(&w);
    pack_session(&packing, &w.session);
    pack_model(&packing, &w.model);
}

void session_unpack(const sono_session_limits *limits, const int8_t bytes[SESSION_PACK_BYTES],
                    session_world *world)
{
    packer packing = {.from = bytes, .now_ns = BASE_NS};
    sono_session *s = &world->session;
    if (sono_session_init(s, limits) != 0)
        fail_msg("the limits are out of range");
    session_model_init(&world->model, limits);
    s->now_ns = world->model.now_ns = BASE_NS;
    pack_session(&packing, s);
    pack_model(&packing, &world->model);
    s->counts.waiting = (uint32_t)s->n_waiting;
    s->counts.in_engine = (uint32_t)s->n_in_engine;
    s->counts.received = world->model.received = (uint64_t)s->n_waiting + (uint64_t)s->n_in_engine;
}
