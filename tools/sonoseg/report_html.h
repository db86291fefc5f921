// SPDX-License-Identifier: Apache-2.0
/* Writing the report's page: every text goes through here. */
#ifndef SONOSEG_TOOL_REPORT_HTML_H
#define SONOSEG_TOOL_REPORT_HTML_H

#include <stdint.h>
#include <stdio.h>

/* Any bytes, as text or as an attribute's value in double quotes: what is markup in HTML is escaped; control
 * characters and what is no UTF-8 become '%' and two hex digits, as in names everywhere
 * (sono_json_write_name()). */
void html_text(FILE *stream, const char *text);

/* printf, escaped as html_text() does; 4000 bytes at most. */
void html_format(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A number, or the sign for what is not known where it is NAN. */
void html_number(FILE *stream, double value, int n_decimals);
void html_count(FILE *stream, uint64_t value); /* with narrow blanks by the thousand */

/* UTC, "2026-11-30 22:28:49"; absent for NAN, and for what is before 1971: seconds of an unknown clock. */
void html_time(FILE *stream, double epoch_s);

#define HTML_ABSENT "<span class=\"absent\">not known</span>"

#endif
