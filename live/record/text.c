// SPDX-License-Identifier: Apache-2.0
#include "record/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_bytes(sono_record_text *text, const char *bytes, size_t n)
{
    if (text->is_full || n > text->capacity_bytes - text->n_bytes) {
        text->is_full = 1;
        return;
    }
    memcpy(text->bytes + text->n_bytes, bytes, n);
    text->n_bytes += n;
}

void sono_record_text_add(sono_record_text *text, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line)
        text->is_full = 1;
    else
        add_bytes(text, line, (size_t)n);
}

void sono_record_text_add_seconds(sono_record_text *text, int64_t ns)
{
    const uint64_t size = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    char line[40];
    int n = snprintf(line, sizeof line, "%s%" PRIu64 ".%09" PRIu64, ns < 0 ? "-" : "", size / 1000000000u,
                     size % 1000000000u);
    while (line[n - 1] == '0')
        n--;
    add_bytes(text, line, (size_t)(line[n - 1] == '.' ? n - 1 : n));
}

/* With a point even where the locale has a comma. */
static void add_number(sono_record_text *text, char *line)
{
    char *comma = strchr(line, ',');
    if (comma)
        *comma = '.';
    add_bytes(text, line, strlen(line));
}

void sono_record_text_add_float(sono_record_text *text, float value)
{
    char line[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(line, sizeof line, "%.*g", digits, (double)value);
        if (strtof(line, NULL) == value)
            break;
    }
    add_number(text, line);
}

void sono_record_text_add_double(sono_record_text *text, double value)
{
    char line[32];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(line, sizeof line, "%.*g", digits, value);
        if (strtod(line, NULL) == value)
            break;
    }
    add_number(text, line);
}

static int is_hex(char letter)
{
    return (letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'F');
}

void sono_record_text_add_value(sono_record_text *text, const char *value)
{
    const size_t n = strlen(value);
    for (size_t i = 0; i < n; i++) {
        const unsigned char letter = (unsigned char)value[i];
        const int is_end_blank = letter == ' ' && (i == 0 || i + 1 == n);
        if (letter < 0x20 || letter == 0x7f || is_end_blank ||
            (letter == '%' && is_hex(value[i + 1]) && is_hex(value[i + 2])))
            sono_record_text_add(text, "%%%02X", letter);
        else
            add_bytes(text, value + i, 1);
    }
}
