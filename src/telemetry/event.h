// SPDX-License-Identifier: Apache-2.0
/* What lies behind a sono_event. */
#ifndef SONO_TELEMETRY_EVENT_H
#define SONO_TELEMETRY_EVENT_H

#include "telemetry/events.h"

typedef struct sono_event_record {
    sono_event event; /* first: a sono_event is the start of one of these */
    int32_t n_fields;
    sono_event_field fields[SONO_EVENT_MAX_FIELDS];
} sono_event_record;

/* Fills a record in, stamped with the wall clock's time. */
void sono_event_make(sono_event_record *record, sono_event_kind kind, const uint64_t *frame_id,
                     const sono_event_field *fields, int32_t n_fields);

#endif
