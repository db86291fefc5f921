// SPDX-License-Identifier: Apache-2.0
#include "monitor/events.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

void sono_event_emit(const sono_events *events, const char *name, const char *keys, ...)
{
    if (!events->fn)
        return;
    char line[512];
    const int n = snprintf(line, sizeof line, "ts=%.6f event=%s ", sono_clock_epoch_s(), name);
    va_list args;
    va_start(args, keys);
    vsnprintf(line + n, sizeof line - (size_t)n, keys, args);
    va_end(args);
    events->fn(events->user, line);
}

const char *sono_event_value(char *buffer, size_t n_bytes, const char *text)
{
    size_t i = 0;
    for (; text[i] && i + 1 < n_bytes; i++)
        buffer[i] = (unsigned char)text[i] <= ' ' || text[i] == 0x7f ? '_' : text[i];
    buffer[i] = '\0';
    return buffer;
}
