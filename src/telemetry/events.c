// SPDX-License-Identifier: Apache-2.0
#include "telemetry/events.h"

#include "base/alloc.h"
#include "telemetry/event.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* How often the thread looks: waking it would cost the frame path a system call. */
#define LOOK_NS (5 * 1000 * 1000)

/* Cell i serves the records i, i + N, i + 2 N, ...: `turn` is the number of the record that may be written
 * next, or that number + 1 while the record waits to be read. */
typedef struct cell {
    atomic_uint_fast64_t turn;
    sono_event_record record;
} cell;

struct sono_event_ring {
    sono_event_fn fn;
    void *user;
    pthread_t thread;
    atomic_int stop;
    uint64_t n_read; /* by the thread alone */
    uint64_t n_told; /* dropped events that the listener knows of */
    _Alignas(64) atomic_uint_fast64_t n_claimed;
    _Alignas(64) atomic_uint_fast64_t n_dropped;
    cell cells[SONO_EVENT_RING_RECORDS];
};

/* ---- reading: the ring's thread ---- */

static void tell_of_dropped(sono_event_ring *ring)
{
    const uint64_t n_dropped = atomic_load(&ring->n_dropped);
    sono_event_record record;
    if (n_dropped == ring->n_told)
        return;
    const sono_event_field n = sono_event_integer("n", (int64_t)(n_dropped - ring->n_told));
    sono_event_make(&record, SONO_EVENT_EVENTS_DROPPED, NULL, &n, 1);
    ring->n_told = n_dropped;
    ring->fn(ring->user, &record.event);
}

/* Hands on what is complete. */
static void drain(sono_event_ring *ring)
{
    for (;;) {
        cell *c = &ring->cells[ring->n_read % SONO_EVENT_RING_RECORDS];
        if (atomic_load_explicit(&c->turn, memory_order_acquire) != ring->n_read + 1)
            break;
        ring->fn(ring->user, &c->record.event);
        atomic_store_explicit(&c->turn, ring->n_read + SONO_EVENT_RING_RECORDS, memory_order_release);
        ring->n_read++;
    }
    tell_of_dropped(ring);
}

static void *hand_on(void *user)
{
    sono_event_ring *ring = user;
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    while (!atomic_load(&ring->stop)) {
        drain(ring);
        (void)nanosleep(&pause, NULL);
    }
    drain(ring);
    return NULL;
}

/* ---- open and close ---- */

sono_status sono_events_open(sono_events *events, sono_event_fn fn, void *user, sono_error *error)
{
    events->ring = NULL;
    if (!fn)
        return SONO_STATUS_OK;
    sono_event_ring *ring = sono_alloc(sizeof *ring);
    if (!ring)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the events");
    ring->fn = fn;
    ring->user = user;
    for (uint64_t i = 0; i < SONO_EVENT_RING_RECORDS; i++)
        atomic_init(&ring->cells[i].turn, i);
    const int code = pthread_create(&ring->thread, NULL, hand_on, ring);
    if (code != 0) {
        sono_free(ring);
        return SONO_FAIL_NATIVE(
            error, IO, code, "cannot start the thread of events: %s (see ulimit -v and -u)", strerror(code));
    }
    events->ring = ring;
    return SONO_STATUS_OK;
}

void sono_events_close(sono_events *events)
{
    sono_event_ring *ring = events->ring;
    events->ring = NULL;
    if (!ring)
        return;
    atomic_store(&ring->stop, 1);
    pthread_join(ring->thread, NULL);
    sono_free(ring);
}

/* ---- writing: any thread ---- */

/* The next record's cell, and its number; NULL when the ring is full. */
static cell *claim(sono_event_ring *ring, uint64_t *number)
{
    uint_fast64_t next = atomic_load_explicit(&ring->n_claimed, memory_order_relaxed);
    for (;;) {
        cell *c = &ring->cells[next % SONO_EVENT_RING_RECORDS];
        const uint64_t turn = atomic_load_explicit(&c->turn, memory_order_acquire);
        if (turn < next)
            return NULL;
        if (turn > next) {
            next = atomic_load_explicit(&ring->n_claimed, memory_order_relaxed);
            continue;
        }
        if (atomic_compare_exchange_weak_explicit(&ring->n_claimed, &next, next + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *number = next;
            return c;
        }
    }
}

void sono_event_emit(const sono_events *events, sono_event_kind kind, const uint64_t *frame_id,
                     const sono_event_field *fields, int32_t n_fields)
{
    uint64_t number = 0;
    if (!events->ring)
        return;
    cell *c = claim(events->ring, &number);
    if (!c) {
        atomic_fetch_add_explicit(&events->ring->n_dropped, 1, memory_order_relaxed);
        return;
    }
    sono_event_make(&c->record, kind, frame_id, fields, n_fields);
    atomic_store_explicit(&c->turn, number + 1, memory_order_release);
}
