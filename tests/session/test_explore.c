// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300 cost=40
/*
 * Walks every state that the session can reach under small limits, breadth first: from each, every event of a
 * list, possible or not, now or some units of time later. tests/support/session_model.c checks each step.
 * Over all that was reached: from every state that is not stopping, events of a friendly world lead to a
 * mask, and from every state STOP ends the service, though the world is dead.
 *
 * In the environment: SONO_EXPLORE=long explores larger limits too, for minutes; SONO_EXPLORE=<setting> that
 * one.
 */
#include "session_pack.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EVENTS 512
#define NO_STATE   UINT32_MAX

/* One setting that is explored. Spans in units of time. */
typedef struct setting {
    const char *name;
    sono_session_limits limits;
    int32_t n_jumps, jumps[3]; /* how much later an event may come */
    int32_t n_ages, ages[3];   /* how long before it is told a frame's last byte came */
    int32_t n_states;          /* results are of so many sono_states */
    int32_t has_no_drain;
    int32_t size; /* 0 = explored always, 1 = not under sanitizers, 2 = in the long form only */
} setting;

/* clang-format off */
static const setting settings[] = {
    {.name = "no limits", .n_jumps = 2, .jumps = {0, 5}, .n_ages = 1, .n_states = 2, .has_no_drain = 1,
     .limits = {.depth = 2, .frame_error_limit = 1, .keep_alive_ns = 3, .text_ns = 2}},
    {.name = "depth 2", .n_jumps = 2, .jumps = {0, 1}, .n_ages = 1, .n_states = 1,
     .limits = {.depth = 2, .max_latency_ns = 2, .engine_ns = 3, .stall_ns = 2}},
    {.name = "slow to open", .n_jumps = 2, .jumps = {0, 1}, .n_ages = 1, .n_states = 1,
     .limits = {.open_ns = 3, .engine_ns = 3}},
    {.name = "in order", .size = 1, .n_jumps = 2, .jumps = {0, 1}, .n_ages = 1, .n_states = 1,
     .limits = {.in_order = 1, .n_waiting = 2, .max_age_ns = 1, .stall_ns = 2, .engine_ns = 3}},
    {.name = "lateness", .size = 1, .n_jumps = 2, .jumps = {0, 1}, .n_ages = 2, .ages = {0, 2}, .n_states = 2,
     .limits = {.max_age_ns = 1, .max_latency_ns = 2, .engine_ns = 4, .stall_ns = 3}},
    {.name = "link", .size = 1, .n_jumps = 2, .jumps = {0, 2}, .n_ages = 1, .n_states = 1,
     .limits = {.read_ns = 4, .stall_ns = 3, .connect_ns = 3, .backoff_max_ns = 3}},
    {.name = "all, depth 2", .n_jumps = 3, .jumps = {0, 1, 4}, .n_ages = 2, .ages = {0, 2}, .n_states = 2, .size = 2,
     .limits = {.depth = 2, .max_age_ns = 1, .max_latency_ns = 3, .engine_ns = 4, .open_ns = 5, .read_ns = 3, .stall_ns = 2,
                .keep_alive_ns = 5, .text_ns = 3}},
    {.name = "in order, depth 2", .n_jumps = 2, .jumps = {0, 1}, .n_ages = 1, .n_states = 1, .size = 2,
     .limits = {.in_order = 1, .depth = 2, .n_waiting = 2, .max_latency_ns = 2, .engine_ns = 3, .stall_ns = 2}},
};
/* clang-format on */

/* Limits that a setting leaves at 0, and that have to be above it. */
static void complete(sono_session_limits *l, const setting *set)
{
    *l = set->limits;
    l->depth = l->depth ? l->depth : 1;
    l->n_waiting = l->n_waiting ? l->n_waiting : 1;
    l->connect_ns = l->connect_ns ? l->connect_ns : 2;
    l->backoff_min_ns = 1;
    l->backoff_max_ns = l->backoff_max_ns ? l->backoff_max_ns : 2;
    l->keep_alive_ns = l->keep_alive_ns ? l->keep_alive_ns : SESSION_PACK_FAR;
    l->close_ns = 2;
    l->drain_ns = set->has_no_drain ? 0 : 2;
    l->frame_error_limit = l->frame_error_limit ? l->frame_error_limit : 2;
}

typedef struct origin {
    uint32_t state; /* from which this one was reached first */
    uint16_t event; /* number in that state's list */
} origin;

typedef struct edge {
    uint32_t from, to;
} edge;

typedef struct explorer {
    const setting *set;
    sono_session_limits limits;
    int8_t (*states)[SESSION_PACK_BYTES];
    origin *origins;
    uint32_t n_states, room;
    uint32_t *table; /* hash -> state */
    uint32_t table_size;
    edge *edges; /* by events of a friendly world */
    size_t n_edges, edge_room;
    uint8_t *shows; /* such an event leads from the state to a mask */
    uint64_t n_steps;
    int32_t most_actions;
} explorer;

/* ---- events ---- */

typedef struct event_list {
    int32_t n;
    sono_session_event events[MAX_EVENTS];
    uint8_t is_friendly[MAX_EVENTS]; /* the world is at work and nothing fails */
} event_list;

static sono_session_event *add(event_list *list, sono_session_event_kind kind, int64_t now_ns,
                               int is_friendly)
{
    if (list->n == MAX_EVENTS)
        fail_msg("more than %d events", MAX_EVENTS);
    sono_session_event *event = &list->events[list->n];
    memset(event, 0, sizeof *event);
    event->kind = kind;
    event->now_ns = now_ns;
    list->is_friendly[list->n++] = (uint8_t)is_friendly;
    return event;
}

static void add_frames(event_list *list, const setting *set, const session_model *m, int64_t now_ns)
{
    static const sono_session_drop drops[] = {SONO_SESSION_DROP_CHECKSUM, SONO_SESSION_DROP_UNSUPPORTED,
                                              SONO_SESSION_DROP_NO_ENGINE, SONO_SESSION_DROP_COUNT};
    sono_session_event *event;
    for (int i = 0; i < set->n_ages; i++) {
        event = add(list, SONO_SESSION_FRAME, now_ns, set->ages[i] == 0);
        event->frame = m->last + 1;
        event->received_ns = now_ns - set->ages[i];
    }
    add(list, SONO_SESSION_FRAME, now_ns, 0)->frame = m->last; /* which is not new */
    for (size_t i = 0; i < sizeof drops / sizeof *drops; i++) {
        event = add(list, SONO_SESSION_REFUSED, now_ns, 0);
        event->frame = m->last + 1;
        event->drop = drops[i];
    }
}

static void add_results(event_list *list, const setting *set, const session_model *m, int64_t now_ns)
{
    for (int32_t i = 0; i < m->n_frames; i++) {
        for (int32_t state = 0; state < set->n_states; state++) {
            sono_session_event *event = add(list, SONO_SESSION_RESULT, now_ns, 1);
            event->frame = m->frames[i].frame;
            event->state = state;
        }
        add(list, SONO_SESSION_LOSS, now_ns, 0)->frame = m->frames[i].frame;
    }
    add(list, SONO_SESSION_RESULT, now_ns, 0)->frame = m->last + 1;
    add(list, SONO_SESSION_LOSS, now_ns, 0)->frame = m->last + 1;
}

static void list_events(const setting *set, const session_model *m, event_list *list)
{
    /* A friendly world lets time pass for a new attempt alone: a stall, say, must not be what mends things.
     */
    const int may_wait = m->link != MODEL_LINKED || m->engine != MODEL_OPEN;
    list->n = 0;
    for (int i = 0; i < set->n_jumps; i++) {
        const int64_t now_ns = m->now_ns + set->jumps[i];
        const int32_t n_before = list->n;
        add(list, SONO_SESSION_START, now_ns, 0);
        add(list, SONO_SESSION_TICK, now_ns, 1);
        add(list, SONO_SESSION_SOURCE_UP, now_ns, 1);
        add(list, SONO_SESSION_SOURCE_DOWN, now_ns, 0);
        add(list, SONO_SESSION_SOURCE_HEARD, now_ns, 1);
        add_frames(list, set, m, now_ns);
        add(list, SONO_SESSION_ENGINE_UP, now_ns, 1);
        add(list, SONO_SESSION_ENGINE_DOWN, now_ns, m->engine == MODEL_CLOSING);
        add_results(list, set, m, now_ns);
        add(list, SONO_SESSION_CLIENT, now_ns, 1);
        add(list, SONO_SESSION_CLIENT, now_ns, 0)->client = -1;
        add(list, SONO_SESSION_PAUSE, now_ns, 0);
        add(list, SONO_SESSION_RESUME, now_ns, 1);
        add(list, SONO_SESSION_STOP, now_ns, 0);
        add(list, SONO_SESSION_REOPEN, now_ns, 0);
        add(list, (sono_session_event_kind)99, now_ns, 0);
        if (set->jumps[i] && !may_wait)
            memset(list->is_friendly + n_before, 0, (size_t)(list->n - n_before));
    }
}

/* ---- states that were seen ---- */

static void *grow(void *old, size_t n_bytes)
{
    void *grown = realloc(old, n_bytes);
    if (!grown)
        fail_msg("no memory for %zu bytes of states", n_bytes);
    return grown;
}

static uint32_t hash(const int8_t *bytes)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325), word;
    for (int i = 0; i < SESSION_PACK_BYTES; i += 8) {
        memcpy(&word, bytes + i, 8);
        value = (value ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        value ^= value >> 29;
    }
    return (uint32_t)(value >> 16);
}

static void put_in_table(explorer *x, uint32_t state)
{
    uint32_t i = hash(x->states[state]) & (x->table_size - 1);
    while (x->table[i] != NO_STATE)
        i = (i + 1) & (x->table_size - 1);
    x->table[i] = state;
}

static void make_room(explorer *x)
{
    x->room = x->room ? 2 * x->room : 1 << 12;
    x->states = grow(x->states, (size_t)x->room * SESSION_PACK_BYTES);
    x->origins = grow(x->origins, x->room * sizeof *x->origins);
    x->table_size = 4 * x->room;
    x->table = grow(x->table, x->table_size * sizeof *x->table);
    memset(x->table, 0xff, x->table_size * sizeof *x->table);
    for (uint32_t i = 0; i < x->n_states; i++)
        put_in_table(x, i);
}

/* Number of the world's state; a new one is put at the end of the list. */
static uint32_t intern(explorer *x, const session_world *world, uint32_t from, int32_t event)
{
    if (x->n_states == x->room)
        make_room(x);
    int8_t *bytes = x->states[x->n_states];
    session_pack(world, bytes);
    uint32_t i = hash(bytes) & (x->table_size - 1);
    for (; x->table[i] != NO_STATE; i = (i + 1) & (x->table_size - 1))
        if (memcmp(x->states[x->table[i]], bytes, SESSION_PACK_BYTES) == 0)
            return x->table[i];
    x->table[i] = x->n_states;
    x->origins[x->n_states] = (origin){.state = from, .event = (uint16_t)event};
    return x->n_states++;
}

/* ---- what went wrong ---- */

static void print_event(const sono_session_event *event, const session_model *m)
{
    print_error("  +%d %s frame %d (received %d before) client %d drop %s\n",
                (int)(event->now_ns - m->now_ns), session_model_event_name(event->kind), (int)event->frame,
                (int)(event->now_ns - event->received_ns), (int)event->client,
                sono_session_drop_name(event->drop));
}

/* The events that lead to the state, first to last. */
static void print_path(const explorer *x, uint32_t state)
{
    static session_world world;
    static event_list list;
    if (x->origins[state].state == NO_STATE)
        return;
    print_path(x, x->origins[state].state);
    session_unpack(&x->limits, x->states[x->origins[state].state], &world);
    list_events(x->set, &world.model, &list);
    print_event(&list.events[x->origins[state].event], &world.model);
}

static void report(const explorer *x, uint32_t state, const sono_session_event *last, const session_model *m,
                   const char *wrong)
{
    print_error("%s: %s, after\n", x->set->name, wrong);
    print_path(x, state);
    if (last)
        print_event(last, m);
    fail_msg("%s: %s", x->set->name, wrong);
}

/* ---- walking ---- */

static void add_edge(explorer *x, uint32_t from, uint32_t to)
{
    if (x->n_edges == x->edge_room) {
        x->edge_room = x->edge_room ? 2 * x->edge_room : 1 << 14;
        x->edges = grow(x->edges, x->edge_room * sizeof *x->edges);
    }
    x->edges[x->n_edges++] = (edge){from, to};
}

/* A mask was sent, and is not taken back at once. */
static int shows(const sono_session_actions *out, const session_model *m)
{
    for (int32_t i = 0; i < out->n; i++)
        if (out->list[i].kind == SONO_SESSION_SHOW)
            return m->view == MODEL_MASK;
    return 0;
}

/* Every event in one state. Returns 1 when a friendly one shows a mask at once. */
static int expand(explorer *x, uint32_t state)
{
    static session_world here, there;
    static event_list list;
    static sono_session_actions out;
    int is_showing = 0;
    session_unpack(&x->limits, x->states[state], &here);
    const char *wrong = here.model.is_over ? NULL : session_model_stops(&here.model, &here.session);
    if (wrong)
        report(x, state, NULL, NULL, wrong);
    list_events(x->set, &here.model, &list);
    for (int32_t i = 0; i < list.n; i++) {
        there = here;
        wrong = session_model_step(&there.model, &there.session, &list.events[i], &out);
        if (wrong)
            report(x, state, &list.events[i], &here.model, wrong);
        x->n_steps++;
        if (out.n > x->most_actions)
            x->most_actions = out.n;
        const uint32_t to = intern(x, &there, state, i);
        if (list.is_friendly[i] && to != state)
            add_edge(x, state, to);
        is_showing |= list.is_friendly[i] && shows(&out, &there.model);
    }
    return is_showing;
}

static void walk(explorer *x)
{
    static session_world first;
    assert_int_equal(0, sono_session_init(&first.session, &x->limits));
    session_model_init(&first.model, &x->limits);
    intern(x, &first, NO_STATE, 0);
    for (uint32_t i = 0; i < x->n_states; i++) {
        x->shows = grow(x->shows, x->room);
        x->shows[i] = (uint8_t)expand(x, i);
    }
}

/* Events that a friendly world needs at most to bring a mask from any state; fails where there is no way. */
static int32_t longest_way_back(const explorer *x)
{
    static session_world world;
    uint8_t *reaches = grow(NULL, x->n_states);
    memcpy(reaches, x->shows, x->n_states);
    int32_t n_rounds = 1;
    for (int is_new = 1; is_new; n_rounds += is_new) {
        is_new = 0;
        for (size_t i = 0; i < x->n_edges; i++)
            if (!reaches[x->edges[i].from] && reaches[x->edges[i].to] == n_rounds) {
                reaches[x->edges[i].from] = (uint8_t)(n_rounds + 1);
                is_new = 1;
            }
        assert_true(n_rounds < 200);
    }
    for (uint32_t i = 0; i < x->n_states; i++) {
        session_unpack(&x->limits, x->states[i], &world);
        if (!reaches[i] && world.model.is_started && !world.model.is_stopping && !world.model.is_over)
            report(x, i, NULL, NULL, "there is no way back to a mask");
    }
    free(reaches);
    return n_rounds;
}

static void explore(const setting *set)
{
    explorer x = {.set = set};
    complete(&x.limits, set);
    walk(&x);
    const int32_t n_back = longest_way_back(&x);
    print_message("%s: %u states, %llu steps, at most %d actions, at most %d events back to a mask\n",
                  set->name, x.n_states, (unsigned long long)x.n_steps, x.most_actions, n_back);
    free(x.states);
    free(x.origins);
    free(x.table);
    free(x.edges);
    free(x.shows);
}

static void every_state_is_sound(void **state)
{
    (void)state;
    const char *form = getenv("SONO_EXPLORE");
    const int is_long = form && strcmp(form, "long") == 0;
    int32_t size = is_long ? 2 : 1;
#ifdef SONO_SANITIZED
    size = is_long ? 2 : 0;
#endif
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (form && !is_long ? strcmp(form, settings[i].name) == 0 : settings[i].size <= size)
            explore(&settings[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_state_is_sound)};
    return sono_test_run("session/explore", tests, sizeof(tests) / sizeof(tests[0]));
}
