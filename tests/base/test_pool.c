// SPDX-License-Identifier: Apache-2.0
// labels: threads
#include "base/alloc.h"
#include "base/pool.h"
#include "test.h"

#include <stdatomic.h>
#include <time.h>

#define MAX_TASKS 5000

typedef struct work {
    int32_t n_threads;
    atomic_int n_bad_threads;
    atomic_int busy[8]; /* by thread: inside fn now */
    int32_t
        times_run[MAX_TASKS]; /* plain: each task belongs to one thread, and the loop's end publishes it */
    int64_t results[MAX_TASKS];
} work;

static void note_task(void *context, int64_t task, int32_t thread)
{
    work *w = context;
    if (thread < 0 || thread >= w->n_threads || atomic_exchange(&w->busy[thread], 1))
        atomic_fetch_add(&w->n_bad_threads, 1);
    w->times_run[task]++;
    w->results[task] = task * task;
    if (thread >= 0 && thread < w->n_threads)
        atomic_store(&w->busy[thread], 0);
}

static void run_and_check(sono_pool *pool, work *w, int64_t n_tasks)
{
    for (int64_t i = 0; i < MAX_TASKS; i++)
        w->times_run[i] = 0;
    sono_pool_run(pool, note_task, w, n_tasks);
    for (int64_t i = 0; i < MAX_TASKS; i++) {
        assert_int_equal(w->times_run[i], i < n_tasks ? 1 : 0);
        if (i < n_tasks)
            assert_int_equal(w->results[i], i * i);
    }
    assert_int_equal(atomic_load(&w->n_bad_threads), 0);
}

static void test_every_task_runs_once(void **state)
{
    (void)state;
    static const int64_t counts[] = {0, 1, 2, 3, 7, 64, 1000, MAX_TASKS};
    for (int32_t n_threads = 1; n_threads <= 5; n_threads += 2) {
        sono_pool *pool = NULL;
        sono_error error = {0};
        work *w = sono_alloc(sizeof *w);
        assert_non_null(w);
        w->n_threads = n_threads;
        assert_ok(sono_pool_open(n_threads, &pool, &error), &error);
        assert_int_equal(sono_pool_n_threads(pool), n_threads);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            run_and_check(pool, w, counts[i]);
        sono_pool_close(pool);
        sono_free(w);
    }
}

static void add_one(void *context, int64_t task, int32_t thread)
{
    (void)thread;
    ((int32_t *)context)[task]++;
}

static void test_many_short_loops_in_a_row(void **state)
{
    (void)state;
    enum { N_TASKS = 5, N_LOOPS = 20000 };
    int32_t counts[N_TASKS] = {0};
    sono_pool *pool = NULL;
    sono_error error = {0};
    assert_ok(sono_pool_open(3, &pool, &error), &error);
    for (int32_t i = 0; i < N_LOOPS; i++)
        sono_pool_run(pool, add_one, counts, N_TASKS);
    for (int32_t i = 0; i < N_TASKS; i++)
        assert_int_equal(counts[i], N_LOOPS);
    sono_pool_close(pool);
}

static void test_threads_that_went_to_sleep_wake_up(void **state)
{
    (void)state;
    int32_t counts[64] = {0};
    const struct timespec nap = {.tv_nsec = 3000000};
    sono_pool *pool = NULL;
    sono_error error = {0};
    assert_ok(sono_pool_open(4, &pool, &error), &error);
    for (int32_t i = 0; i < 20; i++) {
        nanosleep(&nap, NULL);
        sono_pool_run(pool, add_one, counts, 64);
    }
    for (int32_t i = 0; i < 64; i++)
        assert_int_equal(counts[i], 20);
    nanosleep(&nap, NULL);
    sono_pool_close(pool);
}

static void sleep_once(void *context, int64_t task, int32_t thread)
{
    const struct timespec nap = {.tv_nsec = 2000000};
    (void)thread;
    if (task == 0)
        nanosleep(&nap, NULL);
    atomic_fetch_add((atomic_int *)context, 1);
}

static void test_the_loop_ends_with_its_slowest_task(void **state)
{
    (void)state;
    sono_pool *pool = NULL;
    sono_error error = {0};
    assert_ok(sono_pool_open(2, &pool, &error), &error);
    for (int32_t i = 0; i < 20; i++) {
        atomic_int n_done = 0;
        sono_pool_run(pool, sleep_once, &n_done, 4);
        assert_int_equal(atomic_load(&n_done), 4);
    }
    sono_pool_close(pool);
}

static void test_loops_allocate_nothing(void **state)
{
    (void)state;
    int32_t counts[16] = {0};
    sono_pool *pool = NULL;
    sono_error error = {0};
    assert_ok(sono_pool_open(2, &pool, &error), &error);
    const uint64_t before = sono_alloc_count();
    for (int32_t i = 0; i < 100; i++)
        sono_pool_run(pool, add_one, counts, 16);
    assert_int_equal(sono_alloc_count(), before);
    sono_pool_close(pool);
}

static void test_open(void **state)
{
    (void)state;
    sono_pool *const untouched = (sono_pool *)state;
    sono_pool *pool = untouched;
    sono_error error = {0};
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pool_open(-1, &pool, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pool_open(257, &pool, NULL), NULL);
    assert_ptr_equal(pool, untouched);
    assert_ok(sono_pool_open(0, &pool, &error), &error);
    assert_in_range(sono_pool_n_threads(pool), 1, 256);
    sono_pool_close(pool);
    sono_pool_close(NULL);
}

static void test_open_without_memory(void **state)
{
    (void)state;
    sono_pool *const untouched = (sono_pool *)state;
    sono_error error = {0};
    for (uint64_t n = 1;; n++) {
        sono_pool *pool = untouched;
        sono_alloc_fail_from(n);
        const sono_status status = sono_pool_open(2, &pool, &error);
        sono_alloc_fail_from(0);
        if (status == SONO_STATUS_OK) {
            sono_pool_close(pool);
            assert_true(n > 1);
            return;
        }
        assert_status(SONO_STATUS_OUT_OF_MEMORY, status, &error);
        assert_ptr_equal(pool, untouched);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_many_short_loops_in_a_row),
        cmocka_unit_test(test_threads_that_went_to_sleep_wake_up),
        cmocka_unit_test(test_the_loop_ends_with_its_slowest_task),
        cmocka_unit_test(test_loops_allocate_nothing),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_open_without_memory),
    };
    return sono_test_run("base/pool", tests, sizeof(tests) / sizeof(tests[0]));
}
