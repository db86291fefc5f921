// SPDX-License-Identifier: Apache-2.0
/* How long a GPU stands still within a frame: the gaps in which no kernel and no copy runs. */
#ifndef SONOSEG_TOOL_GAPS_H
#define SONOSEG_TOOL_GAPS_H

#include "sonoseg/diagnostics.h"

#include <stdint.h>
#include <stdio.h>

#define GAPS_BINS 8 /* up to 0.5, 1, 1.5, 2, 3, 5, 10 us, and longer */

typedef struct gaps {
    int64_t n_frames;         /* spans from an upload to the download behind it */
    int64_t n[GAPS_BINS];     /* gaps of that length, ... */
    double sum_us[GAPS_BINS]; /* ... and what they come to */
    double busy_us;           /* at least one kernel or copy ran */
    double overlap_us;        /* at least two did */
} gaps;

/* records: of a trace, ordered by start. What lies between frames does not count. */
void gaps_of(const sono_trace_record *records, int64_t n_records, gaps *out);

double gaps_bin_end_us(int bin); /* of the last bin: 0, it has none */

void gaps_print(const gaps *self, FILE *stream);

/* "gaps": {...}, without a comma behind it; figures a frame. */
void gaps_write_json(const gaps *self, FILE *stream);

#endif
