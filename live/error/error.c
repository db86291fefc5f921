// SPDX-License-Identifier: Apache-2.0
#include "error/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sono_status sono_live_fail(sono_error *error, sono_status status, int code, const char *where,
                           const char *format, ...)
{
    char reason[128];
    if (!error)
        return status;
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    if (code && n >= 0 && (size_t)n < sizeof error->text)
        snprintf(error->text + n, sizeof error->text - (size_t)n, ": %s",
                 strerror_r(code, reason, sizeof reason));
    for (char *letter = error->text; *letter; letter++)
        if ((unsigned char)*letter < 0x20 || *letter == 0x7f)
            *letter = '?';
    error->status = status;
    error->native_code = code;
    error->offset_bytes = -1;
    snprintf(error->where, sizeof error->where, "%s", where);
    return status;
}
