// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include "args.h"
#include "output_file.h"
#include "sonoseg/io.h"

#include <string.h>

int events_open(events *out, const char *path, int as_json)
{
    out->as_json = as_json;
    out->stream = strcmp(path, "-") ? output_file_open(path) : stderr;
    return out->stream ? 0 : -1;
}

void events_write(void *user, const sono_event *event)
{
    const events *out = user;
    char line[1024];
    flockfile(out->stream);
    if (out->as_json) {
        sono_event_write_json(out->stream, event);
    } else {
        sono_event_format(event, line, sizeof line);
        fputs(line, out->stream);
    }
    fputc('\n', out->stream);
    funlockfile(out->stream);
}

int events_close(events *out)
{
    FILE *stream = out->stream;
    out->stream = NULL;
    if (!stream || stream == stderr)
        return 0;
    const int has_failed = ferror(stream);
    if (!fclose(stream) && !has_failed)
        return 0;
    report_error("some event lines could not be written");
    return -1;
}
