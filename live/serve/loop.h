// SPDX-License-Identifier: Apache-2.0
/* The event loop: one thread, epoll, one deadline. Everything of live/serve but opening the engine and
 * writing recordings runs in it, so nothing in it needs a lock. */
#ifndef SONO_SERVE_LOOP_H
#define SONO_SERVE_LOOP_H

#include <stdint.h>

/* Told of a descriptor that is ready; events as of epoll (EPOLLIN, ...). It may remove and close any watch.
 */
typedef void (*sono_serve_ready_fn)(void *user, uint32_t events);

/* One descriptor in the loop. The owner's memory, alive until removed. */
typedef struct sono_serve_watch {
    int fd; /* -1 = not in the loop */
    uint32_t events;
    sono_serve_ready_fn ready;
    void *user;
} sono_serve_watch;

typedef struct sono_serve_loop {
    int epoll;
    int is_over;
    int32_t n_pending, at; /* of the round under way: watches removed in it are struck out */
    void *pending;
} sono_serve_loop;

/* CLOCK_MONOTONIC, and nanoseconds since 1970 UTC. */
int64_t sono_serve_now_ns(void);
int64_t sono_serve_utc_ns(void);

int sono_serve_loop_open(sono_serve_loop *loop); /* 0, or -1 with errno */
void sono_serve_loop_close(sono_serve_loop *loop);
/* 0, or -1 with errno. */
int sono_serve_loop_add(sono_serve_loop *loop, sono_serve_watch *watch, int fd, uint32_t events,
                        sono_serve_ready_fn ready, void *user);
int sono_serve_loop_change(sono_serve_loop *loop, sono_serve_watch *watch, uint32_t events);
/* Takes it out; does not close the descriptor. Nothing of this round is told to it any more. */
void sono_serve_loop_remove(sono_serve_loop *loop, sono_serve_watch *watch);
/* Waits until something is ready or deadline_ns (INT64_MAX = for ever) and tells it. 0, or -1 with errno. */
int sono_serve_loop_round(sono_serve_loop *loop, int64_t deadline_ns);

#endif
