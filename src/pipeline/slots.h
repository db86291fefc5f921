// SPDX-License-Identifier: Apache-2.0
/*
 * The slot ring: which frame is where, and who waits for it. A slot goes round FREE -> FILLING -> QUEUED ->
 * RUNNING -> DONE -> LENT -> FREE; frames leave in the order in which they were queued. Only numbers live
 * here; what a slot holds belongs to the pipeline. Thread-safety: any thread may call anything, but one at a
 * time takes, and one at a time waits or receives.
 */
#ifndef SONO_PIPELINE_SLOTS_H
#define SONO_PIPELINE_SLOTS_H

#include "base/status.h"

#include <pthread.h>

#define SONO_MAX_SLOTS 16

typedef enum sono_slot_state {
    SONO_SLOT_FREE,
    SONO_SLOT_FILLING,
    SONO_SLOT_QUEUED,
    SONO_SLOT_RUNNING,
    SONO_SLOT_DONE,
    SONO_SLOT_LENT
} sono_slot_state;

/* What a waiting thread is told, the first that applies. */
typedef enum sono_slots_news {
    SONO_SLOTS_READY, /* the oldest slot is DONE */
    SONO_SLOTS_BUSY,  /* another thread waits already */
    SONO_SLOTS_END,   /* nothing is in flight, and nothing will come */
    SONO_SLOTS_WOKEN, /* by sono_slots_wake(), since the last time that this was said */
    SONO_SLOTS_TIMEOUT,
} sono_slots_news;

typedef struct sono_slots {
    pthread_mutex_t mutex;
    pthread_cond_t queued; /* a slot was queued, or stop */
    pthread_cond_t news;   /* something for who waits; on the monotonic clock */
    int32_t n_slots;
    int32_t is_stopped; /* take has no more to give */
    int32_t is_shut;    /* nothing is queued any more */
    int32_t is_woken;
    int32_t is_waiting;   /* a thread is */
    int32_t is_receiving; /* and it completes slots itself meanwhile */
    int32_t event_fd;     /* -1 until it is asked for */
    int32_t is_signalled; /* what event_fd says */
    uint64_t n_queued;    /* order of the next frame to be queued, ... */
    uint64_t n_taken;     /* ... run, */
    uint64_t n_received;  /* ... received */
    sono_slot_state state[SONO_MAX_SLOTS];
    uint64_t order[SONO_MAX_SLOTS]; /* of the frame in the slot, from QUEUED on */
} sono_slots;

void sono_slots_init(sono_slots *slots, int32_t n_slots);
void sono_slots_destroy(sono_slots *slots);

/* ---- in ---- */

/* FREE -> FILLING; -1 = none is free. */
int32_t sono_slots_acquire(sono_slots *slots);
/* FILLING -> FREE */
void sono_slots_cancel(sono_slots *slots, int32_t slot);
/* FILLING -> QUEUED; not after a shut. */
void sono_slots_queue(sono_slots *slots, int32_t slot);
/* Refuses what is queued from now on; who waits is told END once nothing is in flight. */
void sono_slots_shut(sono_slots *slots);
int sono_slots_is_shut(sono_slots *slots);

/* ---- through ---- */

/* Waits; QUEUED -> RUNNING, the oldest first, while nobody receives; -1 = stopped. */
int32_t sono_slots_take(sono_slots *slots);
/* RUNNING -> DONE; in the order in which they were taken. */
void sono_slots_finish(sono_slots *slots, int32_t slot);
/* take returns -1 once nothing is queued any more. */
void sono_slots_stop(sono_slots *slots);

/* ---- out ---- */

/* Waits for news; timeout_ns < 0 = for ever. */
sono_slots_news sono_slots_wait(sono_slots *slots, int64_t timeout_ns);
/* Waits for the oldest slot that is in flight: READY (*slot says which; it stays DONE), BUSY, or END (nothing
 * is in flight now). A slot that nobody has taken yet goes QUEUED -> RUNNING -> DONE here: complete(user,
 * slot) is called, and no other thread has to be woken. */
sono_slots_news sono_slots_receive(sono_slots *slots, void (*complete)(void *user, int32_t slot), void *user,
                                   int32_t *slot);
/* DONE -> LENT, for the slot that receive named. */
void sono_slots_hand_over(sono_slots *slots, int32_t slot);
/* LENT -> FREE */
void sono_slots_release(sono_slots *slots, int32_t slot);
/* Makes the thread that waits, or the next that does, see WOKEN; several wakes may be seen as one. */
void sono_slots_wake(sono_slots *slots);
/* A descriptor that is readable exactly while sono_slots_wait() would not wait: for poll() and epoll, not to
 * be read or written. The ring's, made on the first call; -1 with errno = it cannot be made. */
int32_t sono_slots_event_fd(sono_slots *slots);

#endif
