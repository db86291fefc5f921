// SPDX-License-Identifier: Apache-2.0
/* The figures of an evaluation over time as text: what was not measured is "-" in a table and null in JSON.
 */
#ifndef SONOSEG_TOOL_SEQUENCE_REPORT_H
#define SONOSEG_TOOL_SEQUENCE_REPORT_H

#include "sequence_set.h"

#include "sonoseg/phantom.h"

/* Whose states the figures are of. */
enum { SEQUENCE_BY_MACHINE, SEQUENCE_BY_THRESHOLD, SEQUENCE_WAYS };

typedef struct sequence_report {
    int has_truth;
    double threshold;
    sequence_rules rules;
    sequence_figures all[SEQUENCE_WAYS];
    sequence_figures kinds[SONO_PHANTOM_EVENT_COUNT][SEQUENCE_WAYS];
    sequence_roc by_quality, by_score;
} sequence_report;

/* Both ways over the same frames. Returns 0, or -1 when out of memory. */
int sequence_report_make(const sequence_set *set, const sequence_rules *rules, sequence_report *out);

void sequence_report_table(FILE *stream, const sequence_report *report);

/* The members of an object, without its braces. */
void sequence_report_json(FILE *stream, const sequence_report *report);

#endif
