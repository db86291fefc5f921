// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include "args.h"
#include "json.h"
#include "output_file.h"

#include <stdlib.h>
#include <string.h>

int events_open(events *out, const char *path, int as_json)
{
    out->as_json = as_json;
    out->stream = strcmp(path, "-") ? output_file_open(path) : stderr;
    return out->stream ? 0 : -1;
}

static int is_number(const char *text)
{
    char *end = NULL;
    if (!*text || text[strspn(text, "0123456789+-.eE")])
        return 0;
    const char *digits = text + (*text == '-');
    if (*digits < '0' || *digits > '9' ||
        (digits[0] == '0' && digits[1] && digits[1] != '.' && digits[1] != 'e'))
        return 0;
    strtod(text, &end);
    return !*end && end[-1] != '.' && !strstr(text, ".e") && !strstr(text, ".E");
}

static void write_json(FILE *stream, const char *line)
{
    char token[512];
    int n_keys = 0;
    flockfile(stream);
    fputc('{', stream);
    while (*line) {
        const size_t n = strcspn(line, " ");
        snprintf(token, sizeof token, "%.*s", (int)n, line);
        line += n + strspn(line + n, " ");
        char *equals = strchr(token, '=');
        if (!equals)
            continue;
        *equals = 0;
        fputs(n_keys++ ? ", " : "", stream);
        json_string(stream, token);
        fputs(": ", stream);
        if (is_number(equals + 1))
            fputs(equals + 1, stream);
        else
            json_string(stream, equals + 1);
    }
    fputs("}\n", stream);
    funlockfile(stream);
}

void events_write(void *user, const char *line)
{
    const events *out = user;
    if (out->as_json)
        write_json(out->stream, line);
    else
        fprintf(out->stream, "%s\n", line);
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
