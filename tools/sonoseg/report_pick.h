// SPDX-License-Identifier: Apache-2.0
/* Which frames are shown as pictures. */
#ifndef SONOSEG_TOOL_REPORT_PICK_H
#define SONOSEG_TOOL_REPORT_PICK_H

#include "report.h"

#define REPORT_MAX_PICKS 200

typedef enum report_criterion {
    REPORT_LOWEST,  /* score, the lowest first */
    REPORT_FLIPS,   /* the state is another than in the frame before; those that last for the fewest frames
                       first */
    REPORT_SLOWEST, /* latency, the longest first */
    REPORT_STRIP,   /* evenly over the series */
    REPORT_N_CRITERIA
} report_criterion;

typedef struct report_picks {
    size_t frames[REPORT_N_CRITERIA][REPORT_MAX_PICKS]; /* numbers in the series */
    int n[REPORT_N_CRITERIA];
    uint64_t n_flips; /* all there are */
} report_picks;

/* n_worst of each criterion, n_strip: at most REPORT_MAX_PICKS. */
void report_pick(const report_series *series, int n_worst, int n_strip, report_picks *out);

#endif
