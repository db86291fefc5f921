// SPDX-License-Identifier: Apache-2.0
/* Numbers in headers, with a decimal point whatever the locale. Blanks around them are passed over; each
 * function returns 0, or -1 for anything else, *out untouched. Thread-safe. */
#ifndef SONO_IO_NUMBERS_H
#define SONO_IO_NUMBERS_H

#include <stdint.h>

/* n whole numbers within [low, high], separated by blanks, and nothing else. */
int sono_numbers_whole(const char *text, int64_t low, int64_t high, int n, int64_t *out);

/* n finite numbers, separated by blanks, and nothing else. */
int sono_numbers_double(const char *text, int n, double *out);
int sono_numbers_float(const char *text, int n, float *out); /* rounded once, from the text */

/* Seconds in decimal ("345.627957", "-1.5e3") as nanoseconds: exact, digits below a nanosecond cut off. */
int sono_numbers_ns(const char *text, int64_t *out);

/* A number of 64 bits as 16 hex digits. */
int sono_numbers_hex(const char *text, uint64_t *out);

#endif
