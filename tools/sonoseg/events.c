// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include "args.h"
#include "output_file.h"
#include "sonoseg/io.h"

#include <string.h>
#include <time.h>

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

void events_note_left_out(events *out, const char *device, int32_t n_frames_again)
{
    struct timespec at;
    if (!out->stream)
        return;
    clock_gettime(CLOCK_REALTIME, &at);
    const long long s = (long long)at.tv_sec, us = at.tv_nsec / 1000;
    flockfile(out->stream);
    if (out->as_json)
        fprintf(out->stream,
                "{\"schema\": 1, \"ts\": %lld.%06lld, \"event\": \"pipeline_left_out\", \"device\": \"%s\", "
                "\"frames_again\": %d}\n",
                s, us, device, n_frames_again);
    else
        fprintf(out->stream, "ts=%lld.%06lld event=pipeline_left_out device=%s frames_again=%d\n", s, us,
                device, n_frames_again);
    fflush(out->stream);
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
