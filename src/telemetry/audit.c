// SPDX-License-Identifier: Apache-2.0
/* The audit's arithmetic: what was booked, held against the budget and against a trace. Test:
 * tests/budget/test_ledger.c. */
#include "sonoseg/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *sono_crossing_name(sono_crossing crossing)
{
    static const char *const names[] = {"allocation", "h2d", "launch", "d2h", "wait"};
    return (unsigned)crossing < SONO_CROSSING_COUNT ? names[crossing] : "unknown";
}

const char *sono_phase_name(sono_phase phase)
{
    static const char *const names[] = {"open", "loop", "frame", "close"};
    return (unsigned)phase < SONO_PHASE_COUNT ? names[phase] : "unknown";
}

const char *sono_place_name(sono_place place)
{
    static const char *const names[] = {
#define NAME(name, text) text,
        SONO_PLACE_MAP(NAME)
#undef NAME
    };
    return (unsigned)place < SONO_PLACE_COUNT ? names[place] : "unknown";
}

/* What one frame may have. */
static const int64_t budget[SONO_CROSSING_COUNT] = {
    [SONO_CROSSING_H2D] = 1, [SONO_CROSSING_LAUNCH] = 1, [SONO_CROSSING_D2H] = 1, [SONO_CROSSING_WAIT] = 1};

static void figures_of(const sono_ledger_totals *frame, int64_t n[SONO_CROSSING_COUNT])
{
    n[SONO_CROSSING_ALLOCATION] = frame->n_allocations;
    n[SONO_CROSSING_H2D] = frame->n_h2d;
    n[SONO_CROSSING_LAUNCH] = frame->n_launches;
    n[SONO_CROSSING_D2H] = frame->n_d2h;
    n[SONO_CROSSING_WAIT] = frame->n_waits;
}

/* A launch is no crossing: too many of them leave nothing on the host. */
static void blame(sono_audit *audit, sono_crossing crossing, int64_t n)
{
    if (n > 0)
        *(crossing == SONO_CROSSING_LAUNCH ? &audit->n_medium : &audit->n_critical) += n;
}

void sono_audit_start(sono_audit *audit, const sono_audit_counts *before)
{
    memset(audit, 0, sizeof *audit);
    audit->before = *before;
}

static void keep_most(sono_ledger_totals *most, const sono_ledger_totals *frame)
{
#define KEEP(field)                                                                                          \
    if (frame->field > most->field)                                                                          \
    most->field = frame->field
    KEEP(n_allocations);
    KEEP(n_h2d);
    KEEP(n_launches);
    KEEP(n_d2h);
    KEEP(n_waits);
    KEEP(bytes_h2d);
    KEEP(bytes_d2h);
#undef KEEP
}

void sono_audit_frame(sono_audit *audit, const sono_ledger_totals *frame)
{
    int64_t n[SONO_CROSSING_COUNT];
    figures_of(frame, n);
    for (int i = 0; i < SONO_CROSSING_COUNT; i++) {
        audit->n[i] += n[i];
        blame(audit, (sono_crossing)i, n[i] - budget[i]);
    }
    audit->bytes[SONO_CROSSING_H2D] += frame->bytes_h2d;
    audit->bytes[SONO_CROSSING_D2H] += frame->bytes_d2h;
    keep_most(&audit->most, frame);
    audit->n_frames++;
}

static void take_places(sono_audit *audit, const sono_audit_counts *after)
{
    for (int place = 0; place < SONO_PLACE_COUNT; place++)
        for (int i = 0; i < SONO_CROSSING_COUNT; i++) {
            audit->n_at[place][i] = after->n_at[place][i] - audit->before.n_at[place][i];
            audit->bytes_at[place][i] = after->bytes_at[place][i] - audit->before.bytes_at[place][i];
        }
}

static void judge_residency(sono_audit *audit, const sono_audit_counts *after)
{
    int64_t n_ops = 0, n_resident = 0;
    for (int i = 0; i < sono_stage_count(); i++) {
        audit->residency[i] = after->n_ops[i] ? (double)after->n_resident[i] / after->n_ops[i] : 1.0;
        n_ops += after->n_ops[i];
        n_resident += after->n_resident[i];
    }
    audit->residency_all = n_ops ? (double)n_resident / (double)n_ops : 1.0;
}

int32_t sono_audit_finish(sono_audit *audit, const sono_audit_counts *after)
{
    const sono_audit_counts *before = &audit->before;
    for (int i = 0; i < SONO_CROSSING_COUNT; i++) {
        const int64_t in_frames = after->n[SONO_PHASE_FRAME][i] - before->n[SONO_PHASE_FRAME][i];
        /* Booked on a frame, yet in no packet's ledger: behind the packet's back. */
        blame(audit, (sono_crossing)i, in_frames - audit->n[i]);
        audit->n_medium += after->n[SONO_PHASE_LOOP][i] - before->n[SONO_PHASE_LOOP][i];
        if (i != SONO_CROSSING_LAUNCH)
            audit->n_minor += after->n[SONO_PHASE_OPEN][i] + after->n[SONO_PHASE_CLOSE][i];
    }
    audit->n_chains = after->n_chains - before->n_chains;
    take_places(audit, after);
    judge_residency(audit, after);
    int64_t most[SONO_CROSSING_COUNT];
    figures_of(&audit->most, most);
    int32_t is_within = audit->n_frames > 0;
    for (int i = 0; i < SONO_CROSSING_COUNT; i++)
        is_within = is_within && most[i] <= budget[i];
    return is_within && !audit->n_critical && !audit->n_medium && !audit->n_chains &&
           audit->residency_all >= 1.0;
}

/* ---- ledger against trace ---- */

typedef struct report {
    char *text;
    size_t n_bytes, at;
    int32_t n_lines;
} report;

static void say(report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(report *r, const char *format, ...)
{
    va_list args;
    r->n_lines++;
    if (r->at + 1 >= r->n_bytes)
        return;
    va_start(args, format);
    const int n = vsnprintf(r->text + r->at, r->n_bytes - r->at, format, args);
    va_end(args);
    r->at += n > 0 ? (size_t)n : 0;
}

int32_t sono_trace_compare(const sono_trace_totals *seen, const sono_audit_counts *before,
                           const sono_audit_counts *after, char *text, size_t n_bytes)
{
    static const int has_bytes[SONO_CROSSING_COUNT] = {[SONO_CROSSING_H2D] = 1, [SONO_CROSSING_D2H] = 1};
    report r = {.text = text, .n_bytes = n_bytes};
    if (n_bytes)
        text[0] = '\0';
    if (seen->n_dropped)
        say(&r, "%lld trace records were lost\n", (long long)seen->n_dropped);
    for (int i = 0; i < SONO_CROSSING_COUNT; i++) {
        int64_t n = 0, bytes = 0;
        for (int phase = SONO_PHASE_LOOP; phase <= SONO_PHASE_FRAME; phase++) {
            n += after->n[phase][i] - before->n[phase][i];
            bytes += after->bytes[phase][i] - before->bytes[phase][i];
        }
        const char *name = sono_crossing_name((sono_crossing)i);
        if (n != seen->n[i])
            say(&r, "%s: %lld booked, %lld seen\n", name, (long long)n, (long long)seen->n[i]);
        if (has_bytes[i] && bytes != seen->bytes[i])
            say(&r, "%s: %lld bytes booked, %lld seen\n", name, (long long)bytes, (long long)seen->bytes[i]);
    }
    return r.n_lines;
}
