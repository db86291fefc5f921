// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include "base/stages.h"

#include <stdio.h>
#include <string.h>

static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

sono_status sono_error_set(sono_error *error, sono_status status, int32_t native_code, int64_t offset_bytes,
                           const char *where, const char *format, ...)
{
    if (!error)
        return status;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    if (offset_bytes >= 0 && n >= 0 && (size_t)n < sizeof error->text)
        snprintf(error->text + n, sizeof error->text - (size_t)n, " (at byte %lld)", (long long)offset_bytes);
    make_printable(error->text);
    error->status = status;
    error->native_code = native_code;
    error->offset_bytes = offset_bytes;
    snprintf(error->where, sizeof error->where, "%s", where);
    return status;
}

void sono_error_prefix(sono_error *error, const char *prefix)
{
    if (!error)
        return;
    char text[sizeof error->text];
    memcpy(text, error->text, sizeof text);
    const int length = snprintf(error->text, sizeof error->text, "%.200s: ", prefix);
    memcpy(error->text + length, text, sizeof text - (size_t)length - 1);
    error->text[sizeof error->text - 1] = '\0';
    make_printable(error->text);
}
