// SPDX-License-Identifier: Apache-2.0
/* The event loop (live/serve/loop.h): what is ready is told, what was removed is not, deadlines are kept. */
#include "serve/loop.h"
#include "test.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static sono_serve_loop loop;

typedef struct bell {
    sono_serve_watch watch;
    int fd;
    int n_told;
    struct bell *other; /* removed by the first that is told; NULL = none */
} bell;

static void on_bell(void *user, uint32_t events)
{
    bell *b = user;
    eventfd_t count;
    assert_true(events & EPOLLIN);
    ++b->n_told;
    eventfd_read(b->fd, &count);
    if (b->other) {
        sono_serve_loop_remove(&loop, &b->other->watch);
    }
}

static void hang_up(bell *b, bell *other)
{
    *b = (bell){.fd = eventfd(0, EFD_NONBLOCK), .other = other};
    assert_true(b->fd >= 0);
    assert_int_equal(sono_serve_loop_add(&loop, &b->watch, b->fd, EPOLLIN, on_bell, b), 0);
}

static void test_what_is_removed_is_not_told(void **state)
{
    bell a, b;
    (void)state;
    assert_int_equal(sono_serve_loop_open(&loop), 0);
    hang_up(&a, &b);
    hang_up(&b, &a);
    eventfd_write(a.fd, 1);
    eventfd_write(b.fd, 1);
    assert_int_equal(sono_serve_loop_round(&loop, 0), 0);
    assert_int_equal(a.n_told + b.n_told, 1); /* the first removed the second */
    sono_serve_loop_remove(&loop, &a.watch);  /* twice does no harm */
    sono_serve_loop_remove(&loop, &b.watch);
    assert_int_equal(sono_serve_loop_round(&loop, 0), 0);
    assert_int_equal(a.n_told + b.n_told, 1);
    close(a.fd);
    close(b.fd);
    sono_serve_loop_close(&loop);
}

static void test_a_deadline_has_passed_when_it_is_told(void **state)
{
    (void)state;
    assert_int_equal(sono_serve_loop_open(&loop), 0);
    int64_t deadline = sono_serve_now_ns() + 2500000;
    assert_int_equal(sono_serve_loop_round(&loop, deadline), 0);
    assert_true(sono_serve_now_ns() >= deadline);
    assert_int_equal(sono_serve_loop_round(&loop, deadline), 0); /* long gone: at once */
    sono_serve_loop_close(&loop);
}

static void test_interest_changes(void **state)
{
    bell a;
    (void)state;
    assert_int_equal(sono_serve_loop_open(&loop), 0);
    hang_up(&a, NULL);
    eventfd_write(a.fd, 1);
    assert_int_equal(sono_serve_loop_change(&loop, &a.watch, 0), 0);
    assert_int_equal(sono_serve_loop_round(&loop, 0), 0);
    assert_int_equal(a.n_told, 0);
    assert_int_equal(sono_serve_loop_change(&loop, &a.watch, EPOLLIN), 0);
    assert_int_equal(sono_serve_loop_round(&loop, INT64_MAX), 0);
    assert_int_equal(a.n_told, 1);
    assert_int_equal(sono_serve_loop_add(&loop, &a.watch, -1, EPOLLIN, on_bell, &a), -1);
    assert_int_equal(a.watch.fd, -1);
    close(a.fd);
    sono_serve_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_removed_is_not_told),
        cmocka_unit_test(test_a_deadline_has_passed_when_it_is_told),
        cmocka_unit_test(test_interest_changes),
    };
    return sono_test_run("live/loop", tests, sizeof(tests) / sizeof(tests[0]));
}
