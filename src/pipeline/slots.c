// SPDX-License-Identifier: Apache-2.0
#include "pipeline/slots.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

void sono_slots_init(sono_slots *slots, int32_t n_slots)
{
    pthread_condattr_t monotonic;
    memset(slots, 0, sizeof *slots);
    slots->n_slots = n_slots;
    slots->event_fd = -1;
    pthread_mutex_init(&slots->mutex, NULL);
    pthread_cond_init(&slots->queued, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&slots->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void sono_slots_destroy(sono_slots *slots)
{
    if (slots->event_fd >= 0)
        close(slots->event_fd);
    pthread_cond_destroy(&slots->news);
    pthread_cond_destroy(&slots->queued);
    pthread_mutex_destroy(&slots->mutex);
}

/* ---- under the mutex ---- */

/* The slot in `state` whose frame is number `order`; FREE slots have none: any. -1 = no such slot. */
static int32_t find(const sono_slots *slots, sono_slot_state state, uint64_t order)
{
    for (int32_t i = 0; i < slots->n_slots; i++)
        if (slots->state[i] == state && (state == SONO_SLOT_FREE || slots->order[i] == order))
            return i;
    return -1;
}

static int is_idle(const sono_slots *slots)
{
    return slots->n_received == slots->n_queued;
}

/* What there is to say without waiting; TIMEOUT = nothing. */
static sono_slots_news news_of(const sono_slots *slots)
{
    if (find(slots, SONO_SLOT_DONE, slots->n_received) >= 0)
        return SONO_SLOTS_READY;
    if (slots->is_shut && is_idle(slots))
        return SONO_SLOTS_END;
    return slots->is_woken ? SONO_SLOTS_WOKEN : SONO_SLOTS_TIMEOUT;
}

/* Makes the descriptor say whether there is news. A write of 1 to an empty event counter, or a read of a full
 * one, cannot fail. */
static void tell_descriptor(sono_slots *slots)
{
    const int32_t has_news = news_of(slots) != SONO_SLOTS_TIMEOUT;
    uint64_t count = 1;
    if (slots->event_fd < 0 || slots->is_signalled == has_news)
        return;
    slots->is_signalled = has_news;
    const ssize_t n =
        has_news ? write(slots->event_fd, &count, sizeof count) : read(slots->event_fd, &count, sizeof count);
    (void)n;
}

static void tell(sono_slots *slots)
{
    tell_descriptor(slots);
    pthread_cond_signal(&slots->news);
}

/* Waits until `at` on the monotonic clock, NULL = for ever; whether that has passed. */
static int has_passed(sono_slots *slots, const struct timespec *at)
{
    if (at)
        return pthread_cond_timedwait(&slots->news, &slots->mutex, at) == ETIMEDOUT;
    pthread_cond_wait(&slots->news, &slots->mutex);
    return 0;
}

/* ---- in ---- */

int32_t sono_slots_acquire(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    const int32_t slot = find(slots, SONO_SLOT_FREE, 0);
    if (slot >= 0)
        slots->state[slot] = SONO_SLOT_FILLING;
    pthread_mutex_unlock(&slots->mutex);
    return slot;
}

static void move_to(sono_slots *slots, int32_t slot, sono_slot_state state)
{
    pthread_mutex_lock(&slots->mutex);
    slots->state[slot] = state;
    pthread_mutex_unlock(&slots->mutex);
}

void sono_slots_cancel(sono_slots *slots, int32_t slot)
{
    move_to(slots, slot, SONO_SLOT_FREE);
}

void sono_slots_queue(sono_slots *slots, int32_t slot)
{
    pthread_mutex_lock(&slots->mutex);
    slots->order[slot] = slots->n_queued++;
    slots->state[slot] = SONO_SLOT_QUEUED;
    pthread_cond_signal(&slots->queued);
    pthread_mutex_unlock(&slots->mutex);
}

void sono_slots_shut(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    slots->is_shut = 1;
    tell(slots);
    pthread_mutex_unlock(&slots->mutex);
}

int sono_slots_is_shut(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    const int is_shut = slots->is_shut;
    pthread_mutex_unlock(&slots->mutex);
    return is_shut;
}

/* ---- through ---- */

/* Under the mutex: the oldest slot that nobody has taken yet is taken; -1 = there is none. */
static int32_t take_oldest(sono_slots *slots)
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
    int32_t slot = -1;
    pthread_mutex_lock(&slots->mutex);
    while ((slots->is_receiving || (slot = take_oldest(slots)) < 0) && !slots->is_stopped)
        pthread_cond_wait(&slots->queued, &slots->mutex);
    if (slot < 0)
        slot = take_oldest(slots); /* stopped: what is left */
    pthread_mutex_unlock(&slots->mutex);
    return slot;
}

void sono_slots_finish(sono_slots *slots, int32_t slot)
{
    pthread_mutex_lock(&slots->mutex);
    slots->state[slot] = SONO_SLOT_DONE;
    tell(slots);
    pthread_mutex_unlock(&slots->mutex);
}

void sono_slots_stop(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    slots->is_stopped = 1;
    pthread_cond_broadcast(&slots->queued);
    pthread_mutex_unlock(&slots->mutex);
}

/* ---- out ---- */

static struct timespec deadline_of(int64_t timeout_ns)
{
    const int64_t second_ns = 1000000000, now_ns = sono_clock_ns();
    const int64_t at_ns = timeout_ns < INT64_MAX - now_ns ? now_ns + timeout_ns : INT64_MAX;
    return (struct timespec){.tv_sec = (time_t)(at_ns / second_ns), .tv_nsec = (long)(at_ns % second_ns)};
}

sono_slots_news sono_slots_wait(sono_slots *slots, int64_t timeout_ns)
{
    const struct timespec at = deadline_of(timeout_ns > 0 ? timeout_ns : 0);
    sono_slots_news news = SONO_SLOTS_BUSY;
    int is_late = timeout_ns == 0;
    pthread_mutex_lock(&slots->mutex);
    if (!slots->is_waiting) {
        slots->is_waiting = 1;
        while ((news = news_of(slots)) == SONO_SLOTS_TIMEOUT && !is_late)
            is_late = has_passed(slots, timeout_ns > 0 ? &at : NULL);
        slots->is_waiting = 0;
        if (news == SONO_SLOTS_WOKEN) {
            slots->is_woken = 0;
            tell_descriptor(slots);
        }
    }
    pthread_mutex_unlock(&slots->mutex);
    return news;
}

/* Under the mutex, which it gives up meanwhile: completes the oldest slot in flight unless the other thread
 * has it. Returns whether it did. */
static int complete_oldest(sono_slots *slots, void (*complete)(void *user, int32_t slot), void *user)
{
    const int32_t slot = slots->n_taken == slots->n_received ? take_oldest(slots) : -1;
    if (slot < 0)
        return 0;
    pthread_mutex_unlock(&slots->mutex);
    complete(user, slot);
    pthread_mutex_lock(&slots->mutex);
    slots->state[slot] = SONO_SLOT_DONE;
    tell_descriptor(slots);
    return 1;
}

sono_slots_news sono_slots_receive(sono_slots *slots, void (*complete)(void *user, int32_t slot), void *user,
                                   int32_t *slot)
{
    sono_slots_news news = SONO_SLOTS_BUSY;
    pthread_mutex_lock(&slots->mutex);
    if (!slots->is_waiting) {
        slots->is_waiting = slots->is_receiving = 1;
        while ((*slot = find(slots, SONO_SLOT_DONE, slots->n_received)) < 0 && !is_idle(slots))
            if (!complete_oldest(slots, complete, user))
                (void)has_passed(slots, NULL);
        slots->is_waiting = slots->is_receiving = 0;
        if (slots->n_taken < slots->n_queued)
            pthread_cond_signal(&slots->queued); /* the other thread's again */
        news = *slot >= 0 ? SONO_SLOTS_READY : SONO_SLOTS_END;
    }
    pthread_mutex_unlock(&slots->mutex);
    return news;
}

void sono_slots_hand_over(sono_slots *slots, int32_t slot)
{
    pthread_mutex_lock(&slots->mutex);
    slots->state[slot] = SONO_SLOT_LENT;
    slots->n_received++;
    tell_descriptor(slots);
    pthread_mutex_unlock(&slots->mutex);
}

void sono_slots_release(sono_slots *slots, int32_t slot)
{
    move_to(slots, slot, SONO_SLOT_FREE);
}

void sono_slots_wake(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    slots->is_woken = 1;
    tell(slots);
    pthread_mutex_unlock(&slots->mutex);
}

int32_t sono_slots_event_fd(sono_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    if (slots->event_fd < 0) {
        slots->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        slots->is_signalled = 0;
        tell_descriptor(slots);
    }
    const int32_t event_fd = slots->event_fd;
    pthread_mutex_unlock(&slots->mutex);
    return event_fd;
}
