// SPDX-License-Identifier: Apache-2.0
/* A client's queue without a socket: which sets are dropped, what is replaced, and that a message of which a
 * byte was sent stays, for every way to cut the stream. */
#include "serve/queue.h"
#include "test.h"

#include <string.h>

typedef struct bench {
    sono_serve_blobs blobs;
    sono_serve_queue queue;
    uint64_t done[64]; /* numbers of sets whose message was done; 1000 + kind for others */
    int n_done;
} bench;

static int setup(void **state)
{
    static bench self;
    memset(&self, 0, sizeof self);
    sono_serve_blobs_init(&self.blobs, 4 << 20);
    *state = &self;
    return 0;
}

static int teardown(void **state)
{
    bench *self = *state;
    sono_serve_queue_clear(&self->queue, &self->blobs);
    const int is_balanced = self->blobs.n_lent == 0;
    sono_serve_blobs_trim(&self->blobs);
    return is_balanced ? 0 : -1;
}

static int add(bench *self, sono_serve_queue_kind kind, uint64_t set, size_t n_bytes)
{
    sono_serve_blob *blob = sono_serve_blobs_take(&self->blobs, n_bytes);
    assert_non_null(blob);
    blob->n_bytes = n_bytes;
    memset(blob->bytes, (int)(set ? set : 100 + n_bytes), n_bytes);
    const sono_serve_entry entry = {.blob = blob, .kind = kind, .set = set, .queued_ns = (int64_t)set};
    const int failed = sono_serve_queue_add(&self->queue, &self->blobs, &entry);
    sono_serve_blobs_give(&self->blobs, blob);
    return failed;
}

/* A set of two messages of ten bytes; returns how many sets it cost. */
static int32_t add_set(bench *self, uint64_t set, int32_t max_sets)
{
    const int32_t n_dropped = sono_serve_queue_make_room(&self->queue, &self->blobs, max_sets);
    assert_int_equal(add(self, SONO_SERVE_QUEUE_SET, set, 10), 0);
    assert_int_equal(add(self, SONO_SERVE_QUEUE_SET, set, 10), 0);
    return n_dropped;
}

static void on_done(void *user, const sono_serve_entry *entry, int64_t first_ns, int64_t last_ns)
{
    bench *self = user;
    assert_true(first_ns <= last_ns);
    self->done[self->n_done++] = entry->set ? entry->set : 1000 + (uint64_t)entry->kind;
}

/* Sends n_bytes; what leaves must be the bytes that parts say. */
static void send_some(bench *self, size_t n_bytes)
{
    struct iovec parts[8];
    const int32_t n = sono_serve_queue_parts(&self->queue, parts, 8);
    size_t sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += parts[i].iov_len;
    assert_true(sum >= n_bytes);
    sono_serve_queue_advance(&self->queue, &self->blobs, n_bytes, 5, on_done, self);
}

static void assert_done(const bench *self, const uint64_t *expected, int n)
{
    assert_int_equal(self->n_done, n);
    assert_memory_equal(self->done, expected, (size_t)n * sizeof *expected);
}

static void the_oldest_waiting_set_is_dropped(void **state)
{
    bench *self = *state;
    assert_int_equal(add_set(self, 1, 2), 0);
    assert_int_equal(add_set(self, 2, 2), 0);
    assert_int_equal(add_set(self, 3, 2), 1);
    assert_int_equal(self->queue.n_bytes, 40);
    assert_int_equal(sono_serve_queue_oldest_ns(&self->queue), 2);
    assert_int_equal(add_set(self, 4, 1), 2);
    send_some(self, 20);
    assert_done(self, (const uint64_t[]){4, 4}, 2);
    assert_true(sono_serve_queue_oldest_ns(&self->queue) == INT64_MAX);
}

/* After any number of bytes: the set under way comes whole, those behind it are dropped. */
static void a_set_under_way_is_sent_to_its_end(void **state)
{
    bench *self = *state;
    for (size_t cut = 1; cut < 20; cut++) {
        self->n_done = 0;
        add_set(self, 1, 2);
        send_some(self, cut);
        add_set(self, 2, 2);
        add_set(self, 3, 2);
        assert_int_equal(add_set(self, 4, 2), 1);
        assert_int_equal(sono_serve_queue_make_room(&self->queue, &self->blobs, 0), 2);
        assert_int_equal(self->queue.n_bytes, 20 - cut);
        add_set(self, 5, 0);
        send_some(self, 40 - cut);
        assert_done(self, (const uint64_t[]){1, 1, 5, 5}, 4);
        assert_int_equal(self->queue.n, 0);
        /* The numbers are used again: as those of a new client. */
        self->queue.begun_set = 0;
    }
}

/* A message of a set whose other messages were sent already is none that waits. */
static void a_sets_later_messages_stay(void **state)
{
    bench *self = *state;
    assert_int_equal(add(self, SONO_SERVE_QUEUE_SET, 1, 10), 0);
    send_some(self, 10);
    assert_int_equal(add(self, SONO_SERVE_QUEUE_SET, 1, 10), 0);
    assert_int_equal(sono_serve_queue_make_room(&self->queue, &self->blobs, 0), 0);
    send_some(self, 10);
    assert_done(self, (const uint64_t[]){1, 1}, 2);
}

static void status_and_text_replace_their_like(void **state)
{
    bench *self = *state;
    add(self, SONO_SERVE_QUEUE_STATUS, 0, 3);
    add(self, SONO_SERVE_QUEUE_TEXT, 0, 4);
    add(self, SONO_SERVE_QUEUE_STATUS, 0, 5);
    assert_int_equal(self->queue.n, 2);
    assert_int_equal(self->queue.n_bytes, 9);
    send_some(self, 1); /* begun: it stays, the next one stands behind */
    add(self, SONO_SERVE_QUEUE_STATUS, 0, 6);
    assert_int_equal(self->queue.n, 3);
    add(self, SONO_SERVE_QUEUE_STATUS, 0, 7);
    assert_int_equal(self->queue.n, 3);
    add(self, SONO_SERVE_QUEUE_ANSWER, 0, 8);
    add(self, SONO_SERVE_QUEUE_ANSWER, 0, 8);
    assert_int_equal(self->queue.n_answers, 2);
    assert_int_equal(sono_serve_queue_make_room(&self->queue, &self->blobs, 0), 0);
    send_some(self, 4 + 4 + 7 + 8 + 8);
    assert_done(self, (const uint64_t[]){1002, 1003, 1002, 1004, 1004}, 5);
    assert_int_equal(self->queue.n_answers, 0);
    assert_int_equal(self->queue.n_bytes, 0);
}

static void the_most_that_may_wait_fits(void **state)
{
    bench *self = *state;
    for (uint64_t set = 1; set <= SONO_SERVE_QUEUE_SETS + 1; set++)
        for (int i = 0; i < 6; i++)
            assert_int_equal(add(self, SONO_SERVE_QUEUE_SET, set, 1), 0);
    for (int i = 0; i < SONO_SERVE_QUEUE_ANSWERS; i++)
        assert_int_equal(add(self, SONO_SERVE_QUEUE_ANSWER, 0, 1), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(add(self, SONO_SERVE_QUEUE_STATUS, 0, 1), 0);
        assert_int_equal(add(self, SONO_SERVE_QUEUE_TEXT, 0, 1), 0);
    }
    while (self->queue.n < SONO_SERVE_QUEUE_ENTRIES)
        assert_int_equal(add(self, SONO_SERVE_QUEUE_ANSWER, 0, 1), 0);
    assert_int_equal(add(self, SONO_SERVE_QUEUE_ANSWER, 0, 1), -1);
}

int main(void)
{
#define ON_BENCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ON_BENCH(the_oldest_waiting_set_is_dropped), ON_BENCH(a_set_under_way_is_sent_to_its_end),
        ON_BENCH(a_sets_later_messages_stay),        ON_BENCH(status_and_text_replace_their_like),
        ON_BENCH(the_most_that_may_wait_fits),
    };
    return sono_test_run("live/queue", tests, sizeof(tests) / sizeof(tests[0]));
}
