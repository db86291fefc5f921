// SPDX-License-Identifier: Apache-2.0
/* Figures as text: what was not measured is "-" in a table and null in JSON. */
#ifndef SONOSEG_TOOL_METRICS_REPORT_H
#define SONOSEG_TOOL_METRICS_REPORT_H

#include "metrics.h"

#include <stdio.h>

/* One frame as one JSON object and a newline. source: where it came from, named without its folder. */
void metrics_report_line(FILE *stream, const sono_packet *packet, const char *source,
                         const metrics_frame *frame);

void metrics_report_table(FILE *stream, const metrics_summary *summary);

/* The members of an object, without its braces. */
void metrics_report_json(FILE *stream, const metrics_summary *summary);

#endif
