// SPDX-License-Identifier: Apache-2.0
/* Notes from the event loop's thread to the keeper's: one writer, one reader, no locks. What finds no room is
 * dropped and counted: the writer never waits. */
#ifndef SONO_WEB_FEED_H
#define SONO_WEB_FEED_H

#include "web/history.h"

#include "sonoseg/sonoseg.h"

#include <stdatomic.h>

#define SONO_WEB_NOTES 1024

typedef enum sono_web_note_kind {
    SONO_WEB_NOTE_SECOND = 1,
    SONO_WEB_NOTE_TRIP,
    SONO_WEB_NOTE_SENT, /* trip.frame, trip.sent_ns */
    SONO_WEB_NOTE_STATE,
    SONO_WEB_NOTE_EMPTIED, /* trip.frame = the last that was shown; state.fault */
    SONO_WEB_NOTE_LEDGER,
    SONO_WEB_NOTE_RESIDENCY,
    SONO_WEB_NOTE_THRESHOLD
} sono_web_note_kind;

typedef struct sono_web_note {
    sono_web_note_kind kind;
    int64_t utc_ns;
    union {
        sono_web_trip trip;
        struct {
            uint64_t frame;
            char state[16], fault[24], text[128];
        } state;
        sono_ledger_totals ledger;
        double number;
    };
} sono_web_note;

typedef struct sono_web_feed {
    _Atomic uint64_t n_written, n_read, n_dropped;
    sono_web_note notes[SONO_WEB_NOTES];
} sono_web_feed;

void sono_web_feed_put(sono_web_feed *feed, const sono_web_note *note);
int sono_web_feed_take(sono_web_feed *feed, sono_web_note *out); /* 1 = there was one */

#endif
