// SPDX-License-Identifier: Apache-2.0
#include "serve/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define ROUND_EVENTS 64

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t sono_serve_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t sono_serve_utc_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

int sono_serve_loop_open(sono_serve_loop *loop)
{
    *loop = (sono_serve_loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    return loop->epoll < 0 ? -1 : 0;
}

void sono_serve_loop_close(sono_serve_loop *loop)
{
    if (loop->epoll >= 0) {
        close(loop->epoll);
    }
    loop->epoll = -1;
}

int sono_serve_loop_add(sono_serve_loop *loop, sono_serve_watch *watch, int fd, uint32_t events,
                        sono_serve_ready_fn ready, void *user)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    *watch = (sono_serve_watch){.fd = -1, .events = events, .ready = ready, .user = user};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event)) {
        return -1;
    }
    watch->fd = fd;
    return 0;
}

int sono_serve_loop_change(sono_serve_loop *loop, sono_serve_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (watch->events == events) {
        return 0;
    }
    if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event)) {
        return -1;
    }
    watch->events = events;
    return 0;
}

void sono_serve_loop_remove(sono_serve_loop *loop, sono_serve_watch *watch)
{
    struct epoll_event *pending = loop->pending;
    if (watch->fd < 0) {
        return;
    }
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
    for (int32_t i = loop->at; pending && i < loop->n_pending; ++i) {
        if (pending[i].data.ptr == watch) {
            pending[i].data.ptr = NULL;
        }
    }
}

/* Milliseconds to wait, rounded up so that a deadline has passed when it is told. */
static int timeout_ms(int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX) {
        return -1;
    }
    int64_t left_ns = deadline_ns - sono_serve_now_ns();
    if (left_ns <= 0) {
        return 0;
    }
    return left_ns > 3600000000000 ? 3600000 : (int)((left_ns + 999999) / 1000000);
}

int sono_serve_loop_round(sono_serve_loop *loop, int64_t deadline_ns)
{
    struct epoll_event events[ROUND_EVENTS];
    int n = epoll_wait(loop->epoll, events, ROUND_EVENTS, timeout_ms(deadline_ns));
    if (n < 0) {
        return errno == EINTR ? 0 : -1;
    }
    loop->pending = events;
    loop->n_pending = n;
    for (loop->at = 0; loop->at < n;) {
        sono_serve_watch *watch = events[loop->at].data.ptr;
        uint32_t ready = events[loop->at++].events;
        if (watch) {
            watch->ready(watch->user, ready);
        }
    }
    loop->pending = NULL;
    loop->n_pending = loop->at = 0;
    return 0;
}
