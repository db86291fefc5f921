// SPDX-License-Identifier: Apache-2.0
#include "io/folder/text.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void sono_text_clear(sono_text *text)
{
    text->n_bytes = 0;
    text->is_short = 0;
}

void sono_text_add_bytes(sono_text *text, const char *bytes, size_t n_bytes)
{
    void *memory = text->bytes;
    if (text->is_short || sono_alloc_grow(&memory, &text->capacity_bytes, text->n_bytes + n_bytes, 1)) {
        text->is_short = 1;
        return;
    }
    text->bytes = memory;
    if (n_bytes)
        memcpy(text->bytes + text->n_bytes, bytes, n_bytes);
    text->n_bytes += n_bytes;
}

void sono_text_add(sono_text *text, const char *words)
{
    sono_text_add_bytes(text, words, strlen(words));
}

void sono_text_format(sono_text *text, const char *format, ...)
{
    char words[256];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (n > 0)
        sono_text_add_bytes(text, words, (size_t)n < sizeof words ? (size_t)n : sizeof words - 1);
}

void sono_text_reset(sono_text *text)
{
    sono_free(text->bytes);
    *text = (sono_text){0};
}
