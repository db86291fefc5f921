// SPDX-License-Identifier: Apache-2.0
#include "serve/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

sono_status sono_serve_fail(sono_error *error, sono_status status, const char *where, const char *format, ...)
{
    int code = status == SONO_STATUS_IO ? errno : 0;
    if (error) {
        va_list arguments;
        *error = (sono_error){.status = status, .native_code = code, .offset_bytes = -1};
        snprintf(error->where, sizeof error->where, "%s", where);
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return status;
}
