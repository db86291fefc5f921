// SPDX-License-Identifier: Apache-2.0
/*
 * The ledger: every crossing between host and device, booked where it happens. A crossing is a copy, a host
 * wait or a device allocation; graph launches are booked beside them. What a captured graph will copy is
 * booked while it is captured, and charged to every frame that replays it. Thread-safety: booking is
 * thread-safe as long as each account has one user at a time; captures are not.
 */
#ifndef SONO_TELEMETRY_LEDGER_H
#define SONO_TELEMETRY_LEDGER_H

#include "base/status.h"
#include "sonoseg/diagnostics.h"

#include <stdatomic.h>

/* One frame's crossings, or one graph's. */
typedef struct sono_ledger_account {
    int64_t n[SONO_CROSSING_COUNT];
    int64_t bytes[SONO_CROSSING_COUNT];
    int64_t n_chains; /* uploads behind a download */
} sono_ledger_account;

typedef struct sono_ledger {
    sono_phase
        phase; /* OPEN: whatever is booked, trial frames too; LOOP, CLOSE: what is on no frame's account */
    atomic_int_fast64_t n[SONO_PHASE_COUNT][SONO_CROSSING_COUNT];
    atomic_int_fast64_t bytes[SONO_PHASE_COUNT][SONO_CROSSING_COUNT];
    atomic_int_fast64_t n_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT];
    atomic_int_fast64_t bytes_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT];
    atomic_int_fast64_t n_chains; /* of frames after open */
    sono_ledger_account *capture; /* where a capture in progress is booked; NULL = none */
} sono_ledger;

/* frame: the account of the frame it happened in; NULL = outside of any, booked on the phase in force. */
void sono_ledger_book(sono_ledger *ledger, sono_ledger_account *frame, sono_place place,
                      sono_crossing crossing, int64_t bytes);

/* Books one launch of a graph and everything that is in it: copies by their direction as the frame's upload
 * and download, whatever place they were captured at. */
void sono_ledger_book_graph(sono_ledger *ledger, sono_ledger_account *frame,
                            const sono_ledger_account *graph);

void sono_ledger_totals_of(const sono_ledger_account *frame, sono_ledger_totals *out);

/* Everything booked so far; leaves the ops of the stages alone. */
void sono_ledger_counts(sono_ledger *ledger, sono_audit_counts *out);

#endif
