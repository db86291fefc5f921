// SPDX-License-Identifier: Apache-2.0
/* The report's page: one file of HTML without anything from elsewhere. */
#ifndef SONOSEG_TOOL_REPORT_PAGE_H
#define SONOSEG_TOOL_REPORT_PAGE_H

#include "report.h"

typedef struct report_options {
    const char *title; /* NULL = the folder's name */
    int32_t n_worst, n_strip;
    const char *command; /* that made this report */
} report_options;

/* Write errors stay in the stream (ferror). 0, or -1: out of memory. */
int report_write_page(FILE *stream, const report *self, const report_options *options);

/* A series' section (report_section.c); number: of the report's series. Likewise. */
int report_write_section(FILE *stream, const report *self, int number, const report_options *options);

#endif
