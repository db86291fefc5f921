// SPDX-License-Identifier: Apache-2.0
/*
 * KPI events as records: sonoseg.h has the kinds and what each states.
 *
 * Emitting copies a record into a bounded ring and returns; a thread of its own hands the records on, in the
 * order in which their places were claimed. When the ring is full the event is lost and counted: the listener
 * gets an EVENTS_DROPPED with how many since the last one instead. Thread-safety: any number of threads may
 * emit; open and close need the caller's exclusion.
 */
#ifndef SONO_TELEMETRY_EVENTS_H
#define SONO_TELEMETRY_EVENTS_H

#include "base/status.h"

#define SONO_EVENT_MAX_FIELDS   8
#define SONO_EVENT_PATH_BYTES   160 /* of a file as events name it; what is longer is cut */
#define SONO_EVENT_RING_RECORDS 256 /* power of two */

typedef struct sono_event_ring sono_event_ring;

typedef struct sono_events {
    sono_event_ring *ring; /* NULL = nobody listens */
} sono_events;

/* Starts the thread that calls fn; with fn NULL nothing is made and emitting does nothing. Errors:
 * OUT_OF_MEMORY, IO (no thread). */
sono_status sono_events_open(sono_events *events, sono_event_fn fn, void *user, sono_error *error);

/* Hands on what is still in the ring, then stops. A zeroed one is allowed. */
void sono_events_close(sono_events *events);

static inline sono_event_field sono_event_integer(const char *key, int64_t value)
{
    return (sono_event_field){sizeof(sono_event_field), key, SONO_EVENT_INTEGER, 0, value, 0.0, NULL};
}

static inline sono_event_field sono_event_number(const char *key, int32_t n_decimals, double value)
{
    return (sono_event_field){sizeof(sono_event_field), key, SONO_EVENT_NUMBER, n_decimals, 0, value, NULL};
}

/* text: not copied. It must stay as it is until the events are closed. */
static inline sono_event_field sono_event_text(const char *key, const char *text)
{
    return (sono_event_field){sizeof(sono_event_field), key, SONO_EVENT_TEXT, 0, 0, 0.0, text};
}

/* Copies one event into the ring; never fails, never blocks: no lock, no allocation, no system call.
 * frame_id: NULL = it is about no frame. keys of fields: static storage. */
void sono_event_emit(const sono_events *events, sono_event_kind kind, const uint64_t *frame_id,
                     const sono_event_field *fields, int32_t n_fields);

/* SONO_EMIT(&events, DROP, &frame_id, sono_event_text("reason", "no_free_slot")); */
#define SONO_EMIT(events, kind, frame_id, ...)                                                               \
    do {                                                                                                     \
        const sono_event_field fields_[] = {__VA_ARGS__};                                                    \
        _Static_assert(sizeof fields_ / sizeof *fields_ <= SONO_EVENT_MAX_FIELDS, "too many fields");        \
        sono_event_emit(events, SONO_EVENT_##kind, frame_id, fields_,                                        \
                        (int32_t)(sizeof fields_ / sizeof *fields_));                                        \
    } while (0)

#endif
