// SPDX-License-Identifier: Apache-2.0
/*
 * The slot ring: which frame is where. A slot goes round FREE -> FILLING -> QUEUED -> RUNNING -> DONE -> LENT
 * -> FREE; frames leave in the order they came. Only numbers live here; what a slot holds belongs to the
 * pipeline. Thread-safety: one thread submits, one runs, one receives and releases.
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

typedef struct sono_slots {
    pthread_mutex_t mutex;
    pthread_cond_t queued; /* a slot was queued, or stop */
    pthread_cond_t done;   /* a slot is done, or stop */
    int32_t n_slots;
    int32_t stop;
    uint64_t n_submitted; /* order of the next frame to be queued, ... */
    uint64_t n_taken;     /* ... run, */
    uint64_t n_received;  /* ... received */
    sono_slot_state state[SONO_MAX_SLOTS];
    uint64_t order[SONO_MAX_SLOTS]; /* of the frame in the slot, from QUEUED on */
} sono_slots;

void sono_slots_init(sono_slots *slots, int32_t n_slots);
void sono_slots_destroy(sono_slots *slots);

int32_t sono_slots_acquire(sono_slots *slots);           /* FREE -> FILLING; -1 = none is free */
void sono_slots_cancel(sono_slots *slots, int32_t slot); /* FILLING -> FREE */
void sono_slots_queue(sono_slots *slots, int32_t slot);  /* FILLING -> QUEUED */
int32_t sono_slots_take(sono_slots *slots);              /* waits; QUEUED -> RUNNING; -1 = stop */
int32_t sono_slots_take_now(sono_slots *slots);          /* the same without waiting; -1 = none is queued */
void sono_slots_finish(sono_slots *slots, int32_t slot); /* RUNNING -> DONE */
int32_t sono_slots_receive(sono_slots *slots);           /* waits; DONE -> LENT; -1 = nothing is in flight */
int sono_slots_release(sono_slots *slots, int32_t slot); /* LENT -> FREE; 0 = was not lent */
void sono_slots_stop(sono_slots *slots);                 /* take returns -1 from now on */

#endif
