// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* Events: lines in order, from several threads, lost and counted when nobody takes them, none lost at close.
 */
#include "telemetry/events.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N_THREADS 4
#define N_EVENTS  5000 /* of each thread */

/* What a listener got. It is called from one thread only; the main thread looks after close. */
typedef struct heard {
    char lines[64][SONO_EVENT_LINE_BYTES];
    int n_lines;
    int64_t n_dropped;
    int64_t n_taken;
    int64_t next[N_THREADS]; /* number that each thread's next event must at least have */
    int n_disordered;
    atomic_int is_blocked; /* the listener does not return while it is set */
} heard;

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void keep_line(void *user, const char *line)
{
    heard *h = user;
    while (atomic_load(&h->is_blocked))
        pause_ms(1);
    if (h->n_lines < 64)
        snprintf(h->lines[h->n_lines], sizeof h->lines[0], "%s", line);
    h->n_lines++;
}

/* "ts=... event=E thread=T number=N" and "ts=... event=events_dropped n=N". */
static void count_line(void *user, const char *line)
{
    heard *h = user;
    int thread = 0;
    long long number = 0;
    while (atomic_load(&h->is_blocked))
        pause_ms(1);
    const char *event = strstr(line, " event=");
    if (event && sscanf(event, " event=events_dropped n=%lld", &number) == 1) {
        h->n_dropped += number;
        return;
    }
    if (!event || sscanf(event, " event=e thread=%d number=%lld", &thread, &number) != 2 || thread < 0 ||
        thread >= N_THREADS || number < h->next[thread]) {
        h->n_disordered++;
        return;
    }
    h->next[thread] = number + 1;
    h->n_taken++;
}

static void test_lines(void **state)
{
    (void)state;
    static heard h;
    char value[8], longer[SONO_EVENT_LINE_BYTES + 100];
    sono_events events = {0};
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_ok(sono_events_open(&events, keep_line, &h, NULL), NULL);
    sono_event_emit(&events, "first", "a=%d b=%s", 1, sono_event_value(value, sizeof value, "x y\tz"));
    sono_event_emit(&events, "second", "a=%.2f", 0.5);
    sono_event_emit(&events, "third", "a=%s", longer);
    sono_events_close(&events);
    assert_null(events.ring);
    assert_int_equal(h.n_lines, 3);
    for (int i = 0; i < 3; i++)
        assert_memory_equal(h.lines[i], "ts=", 3);
    assert_non_null(strstr(h.lines[0], " event=first a=1 b=x_y_z"));
    assert_non_null(strstr(h.lines[1], " event=second a=0.50"));
    assert_int_equal(strlen(h.lines[2]), SONO_EVENT_LINE_BYTES - 1);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    sono_events events = {0};
    assert_ok(sono_events_open(&events, NULL, NULL, NULL), NULL);
    sono_event_emit(&events, "lost", "a=1");
    sono_events_close(&events);
    sono_events_close(&events);
}

/* A listener that hangs holds up nobody; it hears how many it missed. */
static void test_full_ring(void **state)
{
    (void)state;
    static heard h;
    const int n = 3 * SONO_EVENT_RING_LINES;
    sono_events events = {0};
    atomic_store(&h.is_blocked, 1);
    assert_ok(sono_events_open(&events, count_line, &h, NULL), NULL);
    for (int i = 0; i < n; i++)
        sono_event_emit(&events, "e", "thread=0 number=%d", i);
    atomic_store(&h.is_blocked, 0);
    sono_events_close(&events);
    assert_int_equal(h.n_disordered, 0);
    assert_true(h.n_taken >= SONO_EVENT_RING_LINES && h.n_dropped >= SONO_EVENT_RING_LINES);
    assert_int_equal(h.n_taken + h.n_dropped, n);
}

typedef struct emitter {
    const sono_events *events;
    int thread;
} emitter;

static void *emit_many(void *user)
{
    const emitter *e = user;
    for (int i = 0; i < N_EVENTS; i++) {
        sono_event_emit(e->events, "e", "thread=%d number=%d", e->thread, i);
        if (i % 32 == 31)
            pause_ms(1);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static heard h;
    sono_events events = {0};
    pthread_t threads[N_THREADS];
    emitter emitters[N_THREADS];
    assert_ok(sono_events_open(&events, count_line, &h, NULL), NULL);
    for (int i = 0; i < N_THREADS; i++) {
        emitters[i] = (emitter){&events, i};
        assert_int_equal(pthread_create(&threads[i], NULL, emit_many, &emitters[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    sono_events_close(&events);
    assert_int_equal(h.n_disordered, 0);
    assert_int_equal(h.n_taken + h.n_dropped, N_THREADS * N_EVENTS);
    assert_true(h.n_taken >= SONO_EVENT_RING_LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_threads),
    };
    return sono_test_run("monitor/events", tests, sizeof tests / sizeof tests[0]);
}
