// SPDX-License-Identifier: Apache-2.0
/*
 * KPI events: one line each, "ts=<epoch seconds> event=<name> key=value ...", values without blanks.
 *
 * Emitting formats the line into a bounded ring and returns; a thread of its own hands the lines on, in the
 * order in which they were claimed. When the ring is full the event is lost and counted: the listener gets
 * `event=events_dropped n=<how many since the last one>` instead. Thread-safety: any number of threads may
 * emit; open and close need the caller's exclusion.
 */
#ifndef SONO_TELEMETRY_EVENTS_H
#define SONO_TELEMETRY_EVENTS_H

#include "base/status.h"

#define SONO_EVENT_LINE_BYTES 512 /* a longer line is cut */
#define SONO_EVENT_RING_LINES 256 /* power of two */

typedef struct sono_event_ring sono_event_ring;

typedef struct sono_events {
    sono_event_ring *ring; /* NULL = nobody listens */
} sono_events;

/* Starts the thread that calls fn; with fn NULL nothing is made and emitting does nothing. Errors:
 * OUT_OF_MEMORY, IO (no thread). */
sono_status sono_events_open(sono_events *events, sono_event_fn fn, void *user, sono_error *error);

/* Hands on what is still in the ring, then stops. A zeroed one is allowed. */
void sono_events_close(sono_events *events);

/* Formats one event; never fails, never blocks: no lock, no allocation, no system call. `keys` is a printf
 * format of "key=value key=value". */
void sono_event_emit(const sono_events *events, const char *name, const char *keys, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies text with every blank and control character replaced by '_', for use as a value. Returns buffer. */
const char *sono_event_value(char *buffer, size_t n_bytes, const char *text);

#endif
