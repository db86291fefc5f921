// SPDX-License-Identifier: Apache-2.0
#include "gaps.h"

#include <string.h>

static const double ends_us[GAPS_BINS] = {0.5, 1, 1.5, 2, 3, 5, 10, 0};

double gaps_bin_end_us(int bin)
{
    return ends_us[bin];
}

static int bin_of(double us)
{
    int bin = 0;
    while (bin < GAPS_BINS - 1 && us > ends_us[bin])
        bin++;
    return bin;
}

static int is_device_work(const sono_trace_record *record)
{
    return record->kind < SONO_TRACE_WAIT;
}

/* The span that is being added up: two ends are enough to tell one running thing from several. */
typedef struct span {
    int64_t from_ns;   /* when it began */
    int64_t latest_ns; /* until then something runs, ... */
    int64_t second_ns; /* ... and until then something else does, too */
    int is_open;
} span;

static void start_span(span *self, const sono_trace_record *upload)
{
    *self = (span){upload->start_ns, upload->end_ns, upload->start_ns, 1};
}

static void add(span *self, const sono_trace_record *record, gaps *out)
{
    const int64_t start_ns = record->start_ns, end_ns = record->end_ns;
    if (start_ns > self->latest_ns) {
        const double us = 1e-3 * (double)(start_ns - self->latest_ns);
        const int bin = bin_of(us);
        out->n[bin]++;
        out->sum_us[bin] += us;
        out->busy_us -= us; /* the frame's whole length is added at its end */
    }
    const int64_t busy_ns = self->latest_ns < end_ns ? self->latest_ns : end_ns;
    const int64_t from_ns = self->second_ns > start_ns ? self->second_ns : start_ns;
    if (busy_ns > from_ns) {
        out->overlap_us += 1e-3 * (double)(busy_ns - from_ns);
        self->second_ns = busy_ns;
    }
    if (end_ns > self->latest_ns)
        self->latest_ns = end_ns;
}

void gaps_of(const sono_trace_record *records, int64_t n_records, gaps *out)
{
    span frame = {0};
    memset(out, 0, sizeof *out);
    for (int64_t i = 0; i < n_records; i++) {
        const sono_trace_record *record = &records[i];
        if (!is_device_work(record))
            continue;
        if (record->kind == SONO_TRACE_H2D)
            start_span(&frame, record);
        else if (frame.is_open)
            add(&frame, record, out);
        if (record->kind == SONO_TRACE_D2H && frame.is_open) {
            out->busy_us += 1e-3 * (double)(frame.latest_ns - frame.from_ns);
            out->n_frames++;
            frame.is_open = 0;
        }
    }
}

void gaps_print(const gaps *self, FILE *stream)
{
    const double n_frames = self->n_frames > 0 ? (double)self->n_frames : 1;
    double idle_us = 0;
    for (int i = 0; i < GAPS_BINS; i++)
        idle_us += self->sum_us[i];
    fprintf(stream,
            "\ngaps in a frame (while it is traced, which makes it slower): idle %.1f us, busy %.1f us, two "
            "or more at work %.1f us\n%-12s %9s %9s\n",
            idle_us / n_frames, self->busy_us / n_frames, self->overlap_us / n_frames, "length", "gaps",
            "us");
    for (int i = 0; i < GAPS_BINS; i++) {
        char name[32];
        if (i < GAPS_BINS - 1)
            snprintf(name, sizeof name, "up to %g us", ends_us[i]);
        else
            snprintf(name, sizeof name, "longer");
        fprintf(stream, "%-12s %9.1f %9.1f\n", name, (double)self->n[i] / n_frames,
                self->sum_us[i] / n_frames);
    }
}

void gaps_write_json(const gaps *self, FILE *stream)
{
    const double n_frames = self->n_frames > 0 ? (double)self->n_frames : 1;
    fprintf(stream, "  \"gaps\": {\"frames\": %lld, \"busy_us\": %.2f, \"overlap_us\": %.2f, \"bins\": [",
            (long long)self->n_frames, self->busy_us / n_frames, self->overlap_us / n_frames);
    for (int i = 0; i < GAPS_BINS; i++)
        fprintf(stream, "%s{\"up_to_us\": %g, \"n\": %.2f, \"us\": %.2f}", i ? ", " : "", ends_us[i],
                (double)self->n[i] / n_frames, self->sum_us[i] / n_frames);
    fputs("]}", stream);
}
