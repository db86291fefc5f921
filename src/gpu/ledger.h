// SPDX-License-Identifier: Apache-2.0
/*
 * The ledger: every crossing between host and device, booked where it happens. A crossing is a copy, a host
 * wait or a device allocation; graph launches are booked beside them. What a captured graph will copy is
 * booked while it is captured, and charged to every frame that replays it. Thread-safety: booking is
 * thread-safe as long as each account has one user at a time; captures are not.
 */
#ifndef SONO_GPU_LEDGER_H
#define SONO_GPU_LEDGER_H

#include "base/status.h"

#include <stdatomic.h>

typedef enum sono_crossing {
    SONO_CROSSING_ALLOCATION, /* device or pinned memory */
    SONO_CROSSING_H2D,
    SONO_CROSSING_LAUNCH, /* of a graph, or of a kernel outside of one */
    SONO_CROSSING_D2H,
    SONO_CROSSING_WAIT,
    SONO_CROSSING_COUNT
} sono_crossing;

/* When it happened. FRAME: between the start of a frame's upload and the end of its packet's download. */
typedef enum sono_phase {
    SONO_PHASE_OPEN,
    SONO_PHASE_LOOP, /* in the frame loop, outside of any frame */
    SONO_PHASE_FRAME,
    SONO_PHASE_CLOSE,
    SONO_PHASE_COUNT
} sono_phase;

/* One frame's crossings, or one graph's. */
typedef struct sono_ledger_account {
    int64_t n[SONO_CROSSING_COUNT];
    int64_t bytes[SONO_CROSSING_COUNT];
} sono_ledger_account;

typedef struct sono_ledger {
    sono_phase phase; /* of what is booked on no frame's account: OPEN, LOOP or CLOSE */
    atomic_int_fast64_t n[SONO_PHASE_COUNT][SONO_CROSSING_COUNT];
    atomic_int_fast64_t bytes[SONO_PHASE_COUNT][SONO_CROSSING_COUNT];
    sono_ledger_account *capture; /* where a capture in progress is booked; NULL = none */
} sono_ledger;

const char *sono_crossing_name(sono_crossing crossing);

/* frame: the account of the frame it happened in; NULL = outside of any, booked on the phase in force. */
void sono_ledger_book(sono_ledger *ledger, sono_ledger_account *frame, sono_crossing crossing, int64_t bytes);

/* Books one launch of a graph and everything that is in it. */
void sono_ledger_book_graph(sono_ledger *ledger, sono_ledger_account *frame,
                            const sono_ledger_account *graph);

void sono_ledger_totals_of(const sono_ledger_account *frame, sono_ledger_totals *out);

#endif
