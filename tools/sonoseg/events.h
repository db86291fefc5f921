// SPDX-License-Identifier: Apache-2.0
/* Where KPI events go: a file or stderr, as lines of text or of JSON. */
#ifndef SONOSEG_TOOL_EVENTS_H
#define SONOSEG_TOOL_EVENTS_H

#include "sonoseg/sonoseg.h"

#include <stdio.h>

typedef struct events {
    FILE *stream; /* NULL = nobody listens */
    int as_json;
} events;

/* path "-" is stderr. Returns 0, or -1 after report_error(). */
int events_open(events *out, const char *path, int as_json);

/* A sono_event_fn; user is the events. An event that cannot be written is lost: events never fail a frame. */
void events_write(void *user, const sono_event *event);

/* An event of the command itself, pipeline_left_out: device, frames_again. Nothing where nobody listens. */
void events_note_left_out(events *out, const char *device, int32_t n_frames_again);

/* Returns 0, or -1 after report_error() when something could not be written. */
int events_close(events *out);

#endif
