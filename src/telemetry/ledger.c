// SPDX-License-Identifier: Apache-2.0
#include "telemetry/ledger.h"

/* A download is followed by an upload: data may have gone to the host and back. */
static int64_t is_chain(const sono_ledger_account *account, sono_crossing crossing)
{
    return crossing == SONO_CROSSING_H2D && account->n[SONO_CROSSING_D2H] > 0;
}

static void add(sono_ledger *ledger, sono_ledger_account *frame, sono_place place, sono_crossing crossing,
                int64_t n, int64_t bytes)
{
    const sono_phase phase = frame && ledger->phase != SONO_PHASE_OPEN ? SONO_PHASE_FRAME : ledger->phase;
    atomic_fetch_add_explicit(&ledger->n[phase][crossing], n, memory_order_relaxed);
    atomic_fetch_add_explicit(&ledger->bytes[phase][crossing], bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&ledger->n_at[place][crossing], n, memory_order_relaxed);
    atomic_fetch_add_explicit(&ledger->bytes_at[place][crossing], bytes, memory_order_relaxed);
    if (frame) {
        frame->n[crossing] += n;
        frame->bytes[crossing] += bytes;
    }
}

static void add_chains(sono_ledger *ledger, sono_ledger_account *frame, int64_t n)
{
    frame->n_chains += n;
    if (n && ledger->phase != SONO_PHASE_OPEN)
        atomic_fetch_add_explicit(&ledger->n_chains, n, memory_order_relaxed);
}

void sono_ledger_book(sono_ledger *ledger, sono_ledger_account *frame, sono_place place,
                      sono_crossing crossing, int64_t bytes)
{
    sono_ledger_account *capture = ledger->capture;
    if (capture) {
        capture->n_chains += is_chain(capture, crossing);
        capture->n[crossing]++;
        capture->bytes[crossing] += bytes;
        return;
    }
    if (frame)
        add_chains(ledger, frame, is_chain(frame, crossing));
    add(ledger, frame, place, crossing, 1, bytes);
}

static sono_place place_in_graph(sono_crossing crossing)
{
    if (crossing == SONO_CROSSING_H2D)
        return SONO_PLACE_UPLOAD;
    return crossing == SONO_CROSSING_D2H ? SONO_PLACE_DOWNLOAD : SONO_PLACE_LAUNCH;
}

void sono_ledger_book_graph(sono_ledger *ledger, sono_ledger_account *frame, const sono_ledger_account *graph)
{
    if (frame)
        add_chains(ledger, frame,
                   graph->n_chains + (graph->n[SONO_CROSSING_H2D] && is_chain(frame, SONO_CROSSING_H2D)));
    for (int i = 0; i < SONO_CROSSING_COUNT; i++)
        if (i != SONO_CROSSING_LAUNCH)
            add(ledger, frame, place_in_graph((sono_crossing)i), (sono_crossing)i, graph->n[i],
                graph->bytes[i]);
    add(ledger, frame, SONO_PLACE_LAUNCH, SONO_CROSSING_LAUNCH, 1, 0);
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

void sono_ledger_counts(sono_ledger *ledger, sono_audit_counts *out)
{
    for (int phase = 0; phase < SONO_PHASE_COUNT; phase++)
        for (int i = 0; i < SONO_CROSSING_COUNT; i++) {
            out->n[phase][i] = atomic_load_explicit(&ledger->n[phase][i], memory_order_relaxed);
            out->bytes[phase][i] = atomic_load_explicit(&ledger->bytes[phase][i], memory_order_relaxed);
        }
    for (int place = 0; place < SONO_PLACE_COUNT; place++)
        for (int i = 0; i < SONO_CROSSING_COUNT; i++) {
            out->n_at[place][i] = atomic_load_explicit(&ledger->n_at[place][i], memory_order_relaxed);
            out->bytes_at[place][i] = atomic_load_explicit(&ledger->bytes_at[place][i], memory_order_relaxed);
        }
    out->n_chains = atomic_load_explicit(&ledger->n_chains, memory_order_relaxed);
}
