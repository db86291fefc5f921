// SPDX-License-Identifier: Apache-2.0
#include "pipeline/slots.h"

#include <string.h>

void sono_slots_init(sono_slots *slots, int32_t n_slots)
{
    memset(slots, 0, sizeof *slots);
    slots->n_slots = n_slots;
    pthread_mutex_init(&slots->mutex, NULL);
    pthread_cond_init(&slots->queued, NULL);
    pthread_cond_init(&slots->done, NULL);
}

void sono_slots_destroy(sono_slots *slots)
{
    pthread_cond_destroy(&slots->done);
    pthread_cond_destroy(&slots->queued);
    pthread_mutex_destroy(&slots->mutex);
}

/* The slot in `state` whose frame is number `order`; FREE slots have none: any. -1 = no such slot. */
static int32_t find(const sono_slots *slots, sono_slot_state state, uint64_t order)
{
    for (int32_t i = 0; i < slots->n_slots; i++)
        if (slots->state[i] == state && (state == SONO_SLOT_FREE || slots->order[i] == order))
            return i;
    return -1;
}

static void move_to(sono_slots *slots, int32_t slot, sono_slot_state state)
{
    pthread_mutex_lock(&slots->mutex);
    slots->state[slot] = state;
    pthread_mutex_unlock(&slots->mutex);
}

int32_t sono_slots_acquire(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    const int32_t slot = find(slots, SONO_SLOT_FREE, 0);
    if (slot >= 0)
        slots->state[slot] = SONO_SLOT_FILLING;
    pthread_mutex_unlock(&slots->mutex);
    return slot;
}

void sono_slots_cancel(sono_slots *slots, int32_t slot)
{
    move_to(slots, slot, SONO_SLOT_FREE);
}

void sono_slots_queue(sono_slots *slots, int32_t slot)
{
    pthread_mutex_lock(&slots->mutex);
    slots->order[slot] = slots->n_submitted++;
    slots->state[slot] = SONO_SLOT_QUEUED;
    pthread_cond_signal(&slots->queued);
    pthread_mutex_unlock(&slots->mutex);
}

/* Under the mutex: the oldest queued slot starts running. */
static int32_t start_oldest(sono_slots *slots)
{
    const int32_t slot = find(slots, SONO_SLOT_QUEUED, slots->n_taken);
    if (slot >= 0) {
        slots->state[slot] = SONO_SLOT_RUNNING;
        slots->n_taken++;
    }
    return slot;
}

int32_t sono_slots_take(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    int32_t slot = -1;
    while (!slots->stop && (slot = start_oldest(slots)) < 0)
        pthread_cond_wait(&slots->queued, &slots->mutex);
    pthread_mutex_unlock(&slots->mutex);
    return slot;
}

int32_t sono_slots_take_now(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    const int32_t slot = start_oldest(slots);
    pthread_mutex_unlock(&slots->mutex);
    return slot;
}

void sono_slots_finish(sono_slots *slots, int32_t slot)
{
    pthread_mutex_lock(&slots->mutex);
    slots->state[slot] = SONO_SLOT_DONE;
    pthread_cond_signal(&slots->done);
    pthread_mutex_unlock(&slots->mutex);
}

int32_t sono_slots_receive(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    int32_t slot = -1;
    while (slots->n_received < slots->n_submitted &&
           (slot = find(slots, SONO_SLOT_DONE, slots->n_received)) < 0)
        pthread_cond_wait(&slots->done, &slots->mutex);
    if (slot >= 0) {
        slots->state[slot] = SONO_SLOT_LENT;
        slots->n_received++;
    }
    pthread_mutex_unlock(&slots->mutex);
    return slot;
}

int sono_slots_release(sono_slots *slots, int32_t slot)
{
    pthread_mutex_lock(&slots->mutex);
    const int lent = slots->state[slot] == SONO_SLOT_LENT;
    if (lent)
        slots->state[slot] = SONO_SLOT_FREE;
    pthread_mutex_unlock(&slots->mutex);
    return lent;
}

void sono_slots_stop(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    slots->stop = 1;
    pthread_cond_broadcast(&slots->queued);
    pthread_mutex_unlock(&slots->mutex);
}
