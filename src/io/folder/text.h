// SPDX-License-Identifier: Apache-2.0
/* A text that grows, in memory of base/alloc.h. Zero-initialised = empty. What did not find memory is left
 * out, and is_short says so. One thread at a time. */
#ifndef SONO_IO_FOLDER_TEXT_H
#define SONO_IO_FOLDER_TEXT_H

#include <stddef.h>

typedef struct sono_text {
    char *bytes; /* [n_bytes]; no 0 byte behind them */
    size_t n_bytes, capacity_bytes;
    int is_short;
} sono_text;

void sono_text_clear(sono_text *text); /* keeps the memory */
void sono_text_add_bytes(sono_text *text, const char *bytes, size_t n_bytes);
void sono_text_add(sono_text *text, const char *words);
/* One call adds 255 bytes at most. */
void sono_text_format(sono_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sono_text_reset(sono_text *text); /* frees the memory */

#endif
