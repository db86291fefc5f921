// SPDX-License-Identifier: Apache-2.0
#include "gpu/ledger.h"

const char *sono_crossing_name(sono_crossing crossing)
{
    static const char *const names[] = {"allocation", "h2d", "launch", "d2h", "wait"};
    return (unsigned)crossing < SONO_CROSSING_COUNT ? names[crossing] : "unknown";
}

static void add(sono_ledger *ledger, sono_ledger_account *frame, sono_crossing crossing, int64_t n,
                int64_t bytes)
{
    const sono_phase phase = frame ? SONO_PHASE_FRAME : ledger->phase;
    atomic_fetch_add_explicit(&ledger->n[phase][crossing], n, memory_order_relaxed);
    atomic_fetch_add_explicit(&ledger->bytes[phase][crossing], bytes, memory_order_relaxed);
    if (frame) {
        frame->n[crossing] += n;
        frame->bytes[crossing] += bytes;
    }
}

void sono_ledger_book(sono_ledger *ledger, sono_ledger_account *frame, sono_crossing crossing, int64_t bytes)
{
    if (ledger->capture) {
        ledger->capture->n[crossing]++;
        ledger->capture->bytes[crossing] += bytes;
        return;
    }
    add(ledger, frame, crossing, 1, bytes);
}

void sono_ledger_book_graph(sono_ledger *ledger, sono_ledger_account *frame, const sono_ledger_account *graph)
{
    for (int i = 0; i < SONO_CROSSING_COUNT; i++)
        if (i != SONO_CROSSING_LAUNCH)
            add(ledger, frame, (sono_crossing)i, graph->n[i], graph->bytes[i]);
    add(ledger, frame, SONO_CROSSING_LAUNCH, 1, 0);
}

void sono_ledger_totals_of(const sono_ledger_account *frame, sono_ledger_totals *out)
{
    *out = (sono_ledger_totals){.n_allocations = (int32_t)frame->n[SONO_CROSSING_ALLOCATION],
                                .n_h2d = (int32_t)frame->n[SONO_CROSSING_H2D],
                                .n_launches = (int32_t)frame->n[SONO_CROSSING_LAUNCH],
                                .n_d2h = (int32_t)frame->n[SONO_CROSSING_D2H],
                                .n_waits = (int32_t)frame->n[SONO_CROSSING_WAIT],
                                .bytes_h2d = frame->bytes[SONO_CROSSING_H2D],
                                .bytes_d2h = frame->bytes[SONO_CROSSING_D2H]};
}
