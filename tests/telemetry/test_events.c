// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* Events: records in order, from several threads, lost and counted when nobody takes them, none lost at
 * close; their accessors, their line of text and their JSON. */
#include "base/clock.h"
#include "sonoseg/io.h"
#include "telemetry/event.h"
#include "test.h"

#include <math.h>
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
    char texts[8][400], jsons[8][400];
    int n_events;
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

static void keep(void *user, const sono_event *event)
{
    heard *h = user;
    const int i = h->n_events++ % 8;
    sono_event_format(event, h->texts[i], sizeof h->texts[i]);
    FILE *stream = fmemopen(h->jsons[i], sizeof h->jsons[i], "w");
    if (stream) {
        sono_event_write_json(stream, event);
        fclose(stream);
    }
}

static void count(void *user, const sono_event *event)
{
    heard *h = user;
    while (atomic_load(&h->is_blocked))
        pause_ms(1);
    if (event->kind == SONO_EVENT_EVENTS_DROPPED) {
        h->n_dropped += sono_event_find(event, "n")->integer;
        return;
    }
    const sono_event_field *thread = sono_event_find(event, "thread");
    if (!thread || !event->has_frame || thread->integer < 0 || thread->integer >= N_THREADS ||
        (int64_t)event->frame_id < h->next[thread->integer]) {
        h->n_disordered++;
        return;
    }
    h->next[thread->integer] = (int64_t)event->frame_id + 1;
    h->n_taken++;
}

/* ---- forms ---- */

/* Of a text or JSON that begins with prefix, digits, a point and six digits: what comes behind them. */
static const char *behind_time(const char *text, const char *prefix)
{
    assert_memory_equal(text, prefix, strlen(prefix));
    text += strlen(prefix);
    const double now_s = 1e-9 * (double)sono_clock_epoch_ns();
    assert_true(fabs(strtod(text, NULL) - now_s) < 60);
    const char *point = strchr(text, '.');
    assert_non_null(point);
    assert_int_equal(strspn(point + 1, "0123456789"), 6);
    return point + 7;
}

/* The lines are those of the release before records, to the byte but for the time. */
static void test_forms(void **state)
{
    (void)state;
    static heard h;
    static const char *const texts[] = {
        " event=frame_in frame=18446744073709551615 width=422 height=558 format=1 device=cpu",
        " event=infer_frame frame=0 latency_ms=9.500 conf=0.1235 state=LOST",
        " event=family_assumed family=dfine detector_file=a_b__c\".pth", " event=warmup ms=nan"};
    static const char *const jsons[] = {
        ", \"event\": \"frame_in\", \"frame\": 18446744073709551615, \"width\": 422, \"height\": 558, "
        "\"format\": 1, \"device\": \"cpu\"}",
        ", \"event\": \"infer_frame\", \"frame\": 0, \"latency_ms\": 9.500, \"conf\": 0.1235, \"state\": "
        "\"LOST\"}",
        ", \"event\": \"family_assumed\", \"family\": \"dfine\", \"detector_file\": \"a b%09%F6c\\\".pth\"}",
        ", \"event\": \"warmup\", \"ms\": null}"};
    const uint64_t last = UINT64_MAX, first = 0;
    sono_events events = {0};
    assert_ok(sono_events_open(&events, keep, &h, NULL), NULL);
    SONO_EMIT(&events, FRAME_IN, &last, sono_event_integer("width", 422), sono_event_integer("height", 558),
              sono_event_integer("format", 1), sono_event_text("device", "cpu"));
    SONO_EMIT(&events, INFER_FRAME, &first, sono_event_number("latency_ms", 3, 9.5),
              sono_event_number("conf", 4, 0.12345678), sono_event_text("state", "LOST"));
    SONO_EMIT(&events, FAMILY_ASSUMED, NULL, sono_event_text("family", "dfine"),
              sono_event_text("detector_file", "a b\t\xf6"
                                               "c\".pth"));
    SONO_EMIT(&events, WARMUP, NULL, sono_event_number("ms", 1, (double)NAN));
    sono_events_close(&events);
    assert_null(events.ring);
    assert_int_equal(h.n_events, 4);
    for (int i = 0; i < 4; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "%s", texts[i]);
        char *byte = strstr(expected, "__c");
        if (byte)
            byte[1] = '\xf6'; /* a byte of a name that is no UTF-8 stays in the text */
        assert_string_equal(behind_time(h.texts[i], "ts="), expected);
        assert_string_equal(behind_time(h.jsons[i], "{\"schema\": 1, \"ts\": "), jsons[i]);
    }
}

static void test_accessors(void **state)
{
    (void)state;
    char cut[10], whole[100];
    const uint64_t frame_id = 7;
    const sono_event_field reason = sono_event_text("reason", "no_free_slot");
    sono_event_record record;
    const sono_event *event = &record.event;
    sono_event_make(&record, SONO_EVENT_DROP, &frame_id, &reason, 1);
    assert_int_equal(event->struct_size, sizeof *event);
    assert_int_equal(event->kind, SONO_EVENT_DROP);
    assert_true(event->timestamp_ns > 0 && event->has_frame && event->frame_id == 7);
    const sono_event_field *field = sono_event_field_at(event, 0);
    assert_non_null(field);
    assert_ptr_equal(sono_event_find(event, "reason"), field);
    assert_int_equal(field->struct_size, sizeof *field);
    assert_int_equal(field->type, SONO_EVENT_TEXT);
    assert_string_equal(field->text, "no_free_slot");
    assert_null(sono_event_field_at(event, 1));
    assert_null(sono_event_field_at(event, -1));
    assert_null(sono_event_find(event, "frame"));
    assert_null(sono_event_find(event, NULL));
    const size_t n = sono_event_format(event, whole, sizeof whole);
    assert_int_equal(n, strlen(whole));
    assert_int_equal(sono_event_format(event, cut, sizeof cut), n);
    assert_int_equal(strlen(cut), sizeof cut - 1);
    assert_memory_equal(cut, whole, sizeof cut - 1);
    assert_int_equal(sono_event_format(event, NULL, 0), n);
    assert_int_equal(sono_event_format(event, cut, 1), n);
    assert_string_equal(cut, "");
    assert_null(sono_event_field_at(NULL, 0));
    assert_null(sono_event_find(NULL, "n"));
    assert_int_equal(sono_event_format(NULL, NULL, 0), 0);
}

/* Numbers are for ever; names are what logs are searched for. */
static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "init_models",
                                        "warmup",
                                        "frame_in",
                                        "sam_call_start",
                                        "sam_call_end",
                                        "infer_frame",
                                        "drop",
                                        "backend_fallback",
                                        "device_error",
                                        "family_assumed",
                                        "device_mismatch",
                                        "host_maps",
                                        "events_dropped",
                                        "models_hashed"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        assert_string_equal(sono_event_name((sono_event_kind)i), names[i]);
    assert_string_equal(sono_event_name((sono_event_kind)1000), "");
}

/* ---- the ring ---- */

static void test_nobody_listens(void **state)
{
    (void)state;
    sono_events events = {0};
    assert_ok(sono_events_open(&events, NULL, NULL, NULL), NULL);
    SONO_EMIT(&events, WARMUP, NULL, sono_event_number("ms", 1, 1));
    sono_events_close(&events);
    sono_events_close(&events);
}

/* A listener that hangs holds up nobody; it hears how many it missed. */
static void test_full_ring(void **state)
{
    (void)state;
    static heard h;
    const uint64_t n = 3 * SONO_EVENT_RING_RECORDS;
    sono_events events = {0};
    atomic_store(&h.is_blocked, 1);
    assert_ok(sono_events_open(&events, count, &h, NULL), NULL);
    for (uint64_t i = 0; i < n; i++)
        SONO_EMIT(&events, FRAME_IN, &i, sono_event_integer("thread", 0));
    atomic_store(&h.is_blocked, 0);
    sono_events_close(&events);
    assert_int_equal(h.n_disordered, 0);
    assert_true(h.n_taken >= SONO_EVENT_RING_RECORDS && h.n_dropped >= SONO_EVENT_RING_RECORDS);
    assert_int_equal(h.n_taken + h.n_dropped, n);
}

typedef struct emitter {
    const sono_events *events;
    int thread;
} emitter;

static void *emit_many(void *user)
{
    const emitter *e = user;
    for (uint64_t i = 0; i < N_EVENTS; i++) {
        SONO_EMIT(e->events, FRAME_IN, &i, sono_event_integer("thread", e->thread));
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
    assert_ok(sono_events_open(&events, count, &h, NULL), NULL);
    for (int i = 0; i < N_THREADS; i++) {
        emitters[i] = (emitter){&events, i};
        assert_int_equal(pthread_create(&threads[i], NULL, emit_many, &emitters[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    sono_events_close(&events);
    assert_int_equal(h.n_disordered, 0);
    assert_int_equal(h.n_taken + h.n_dropped, N_THREADS * N_EVENTS);
    assert_true(h.n_taken >= SONO_EVENT_RING_RECORDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),     cmocka_unit_test(test_accessors),
        cmocka_unit_test(test_names),     cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_full_ring), cmocka_unit_test(test_threads),
    };
    return sono_test_run("telemetry/events", tests, sizeof tests / sizeof tests[0]);
}
