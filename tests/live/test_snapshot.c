// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* The JSON of a snapshot, and the board that other threads read (live/serve/snapshot.h). */
#include "serve/snapshot.h"
#include "session/session.h"
#include "test.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sono_serve_snapshot snapshot;
static char json[65000];

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static const char *string(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

static void fill(void)
{
    memset(&snapshot, 0, sizeof snapshot);
    snapshot.received = 110;
    snapshot.processed = 100;
    snapshot.n_drops = SONO_SESSION_DROP_COUNT;
    snapshot.dropped[SONO_SESSION_DROP_SUPERSEDED] = 7;
    snapshot.dropped[SONO_SESSION_DROP_CHECKSUM] = 1;
    snapshot.waiting = snapshot.in_engine = 1;
    snapshot.rate_in_hz = NAN;
    snapshot.last_shown_ns = 1500000;
    snapshot.latency_ms_p99 = 12.3456;
    snprintf(snapshot.state, sizeof snapshot.state, "%s", "VISIBLE");
    snprintf(snapshot.fault, sizeof snapshot.fault, "%s", "OK");
    snprintf(snapshot.source_device, sizeof snapshot.source_device, "%s", "a\"b\\c\n\xff\xc3\xa4");
    snprintf(snapshot.engine_kind, sizeof snapshot.engine_kind, "%s", "null");
    snapshot.source_is_up = 1;
    snapshot.n_clients = 2;
    snprintf(snapshot.clients[1].address, sizeof snapshot.clients[1].address, "%s", "127.0.0.1:5");
    snapshot.clients[1].bytes = 1ull << 40;
}

static void test_json(void **state)
{
    (void)state;
    fill();
    size_t n = sono_serve_snapshot_json(&snapshot, json, sizeof json);
    assert_int_equal(n, strlen(json));
    assert_null(strchr(json, '\n'));
    cJSON *root = cJSON_Parse(json);
    assert_non_null(root);
    assert_true(number(root, "schema") == 1);
    assert_true(number(root, "received") == 110 && number(root, "processed") == 100);
    assert_true(number(root, "dropped") == 8);
    const cJSON *drops = cJSON_GetObjectItem(root, "drops");
    assert_int_equal(cJSON_GetArraySize(drops), SONO_SESSION_DROP_COUNT);
    assert_true(number(drops, "superseded") == 7 && number(drops, "checksum") == 1);
    assert_true(number(root, "rate_in_hz") == 0); /* JSON has no NaN */
    assert_true(fabs(number(root, "latency_ms_p99") - 12.346) < 1e-9);
    assert_true(number(root, "last_shown_ms") == 1.5);
    const cJSON *source = cJSON_GetObjectItem(root, "source");
    assert_string_equal(string(source, "device"), "a\"b\\c\n\xef\xbf\xbd\xc3\xa4");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(source, "up")));
    assert_string_equal(string(cJSON_GetObjectItem(root, "engine"), "kind"), "null");
    const cJSON *clients = cJSON_GetObjectItem(root, "clients");
    assert_int_equal(cJSON_GetArraySize(clients), 2);
    assert_true(number(cJSON_GetArrayItem(clients, 1), "bytes") == 1099511627776.0);
    cJSON_Delete(root);
}

static void test_json_of_nothing(void **state)
{
    (void)state;
    memset(&snapshot, 0, sizeof snapshot);
    sono_serve_snapshot_json(&snapshot, json, sizeof json);
    cJSON *root = cJSON_Parse(json);
    assert_non_null(root);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "clients")), 0);
    cJSON_Delete(root);
}

/* Whatever room there is: the same length is told, what fits is written, a 0 byte ends it. */
static void test_json_is_cut(void **state)
{
    (void)state;
    fill();
    size_t n = sono_serve_snapshot_json(&snapshot, json, sizeof json);
    char *small = malloc(n + 1);
    for (size_t room = 0; room <= n; room += room < 64 ? 1 : 61) {
        memset(small, 'x', n + 1);
        assert_int_equal(sono_serve_snapshot_json(&snapshot, small, room), n);
        if (room > 1) {
            assert_memory_equal(small, json, room - 1);
            assert_int_equal(small[room - 1], 0);
        }
        assert_int_equal(small[room], 'x');
    }
    free(small);
}

/* The largest there can be fits the memory that the service has for it. */
static void test_json_has_a_bound(void **state)
{
    (void)state;
    fill();
    snapshot.n_clients = SONO_SERVE_SNAPSHOT_CLIENTS;
    for (int i = 0; i < SONO_SERVE_SNAPSHOT_CLIENTS; ++i) {
        memset(&snapshot.clients[i], 0xff, sizeof snapshot.clients[i]);
        memset(snapshot.clients[i].address, 1, sizeof snapshot.clients[i].address - 1);
        snapshot.clients[i].address[63] = 0;
    }
    memset(snapshot.record_error, 2, sizeof snapshot.record_error - 1);
    assert_true(sono_serve_snapshot_json(&snapshot, json, sizeof json) < sizeof json);
}

typedef struct reader {
    sono_serve_board *board;
    _Atomic int is_over;
    uint64_t n_reads;
    int is_torn;
} reader;

static void *read_on(void *user)
{
    reader *r = user;
    sono_serve_snapshot *copy = malloc(sizeof *copy);
    uint64_t last = 0;
    while (!atomic_load(&r->is_over)) {
        sono_serve_snapshot_read(r->board, copy);
        r->is_torn |= copy->received != copy->processed || copy->received < last ||
                      copy->clients[SONO_SERVE_SNAPSHOT_CLIENTS - 1].bytes != copy->received;
        last = copy->received;
        ++r->n_reads;
    }
    free(copy);
    return NULL;
}

static void test_board(void **state)
{
    reader r = {.board = sono_serve_board_new()};
    pthread_t thread;
    (void)state;
    assert_non_null(r.board);
    memset(&snapshot, 0, sizeof snapshot);
    assert_int_equal(pthread_create(&thread, NULL, read_on, &r), 0);
    for (uint64_t i = 1; i <= 20000; ++i) {
        snapshot.received = snapshot.processed = i;
        snapshot.clients[SONO_SERVE_SNAPSHOT_CLIENTS - 1].bytes = i;
        sono_serve_snapshot_write(r.board, &snapshot);
    }
    atomic_store(&r.is_over, 1);
    pthread_join(thread, NULL);
    assert_false(r.is_torn);
    sono_serve_snapshot out;
    sono_serve_snapshot_read(r.board, &out);
    assert_memory_equal(&out, &snapshot, sizeof out);
    sono_serve_board_free(r.board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),        cmocka_unit_test(test_json_of_nothing),
        cmocka_unit_test(test_json_is_cut), cmocka_unit_test(test_json_has_a_bound),
        cmocka_unit_test(test_board),
    };
    return sono_test_run("live/snapshot", tests, sizeof(tests) / sizeof(tests[0]));
}
