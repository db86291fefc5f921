// SPDX-License-Identifier: Apache-2.0
/* KPI events: one line each, "ts=<epoch seconds> event=<name> key=value ...", values without blanks. */
#ifndef SONO_MONITOR_EVENTS_H
#define SONO_MONITOR_EVENTS_H

#include "sonoseg/sonoseg.h"

typedef struct sono_events {
    sono_event_fn fn; /* NULL = nobody listens */
    void *user;
} sono_events;

/* Formats and hands on one event; never fails. `keys` is a printf format of "key=value key=value". A line
 * longer than 512 bytes is cut. No allocation, no lock: the listener decides what it costs. */
void sono_event_emit(const sono_events *events, const char *name, const char *keys, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies text with every blank and control character replaced by '_', for use as a value. Returns buffer. */
const char *sono_event_value(char *buffer, size_t n_bytes, const char *text);

#endif
