// SPDX-License-Identifier: Apache-2.0
/* Events as lines of text or JSON, and small JSON files of figures. */
#include "json_find.h"
#include "report.h"

#include "serve/log_level.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FACT_BYTES (256 * 1024)

typedef struct event_line {
    double time_s;
    char name[40], reason[40];
    const char *text; /* what follows */
} event_line;

/* The value of KEY=... in pairs, up to a blank. */
static const char *pair(const char *text, const char *key, char *out, size_t n_bytes)
{
    const size_t n_key = strlen(key);
    out[0] = 0;
    while (text && *text) {
        if (!strncmp(text, key, n_key) && text[n_key] == '=') {
            const size_t n = strcspn(text + n_key + 1, " ");
            snprintf(out, n_bytes, "%.*s", (int)n, text + n_key + 1);
            return out;
        }
        text = strchr(text, ' ');
        if (text)
            text++;
    }
    return out;
}

/* 0, or -1: no event. */
static int parse_text(const char *line, event_line *out)
{
    char *end;
    if (strncmp(line, "ts=", 3) != 0)
        return -1;
    out->time_s = strtod(line + 3, &end);
    if (end == line + 3 || strncmp(end, " event=", 7) != 0)
        return -1;
    const size_t n = strcspn(end + 7, " ");
    if (!n || n >= sizeof out->name)
        return -1;
    memcpy(out->name, end + 7, n);
    out->name[n] = 0;
    out->text = end + 7 + n;
    out->text += *out->text == ' ';
    pair(out->text, "reason", out->reason, sizeof out->reason);
    return 0;
}

static void ignore(void *user, const char *key, size_t n_key, const char *value)
{
    (void)user;
    (void)key;
    (void)n_key;
    (void)value;
}

static int parse_json(const char *line, event_line *out)
{
    if (*line != '{' || json_each_member(line, ignore, NULL))
        return -1;
    out->time_s = json_number(line, "ts");
    json_text(line, "event", out->name, sizeof out->name);
    json_text(line, "reason", out->reason, sizeof out->reason);
    out->text = line;
    return isnan(out->time_s) || !*out->name ? -1 : 0;
}

static int level_of(const event_line *event)
{
    char fault[48], pairs[64];
    sono_serve_area area;
    sono_serve_level level;
    const char *text = event->text;
    if (*text == '{') {
        json_text(text, "fault", fault, sizeof fault);
        snprintf(pairs, sizeof pairs, "%s%s", *fault ? "fault=" : "", fault);
        text = pairs;
    }
    sono_serve_level_of(event->name, text, &area, &level);
    return (int)level;
}

/* Models, device and settings, as the events say them. */
static void take_facts(report *self, const char *file, const event_line *event)
{
    static const char *const names[] = {"init_models", "models_hashed", "engine_up", "backend_fallback",
                                        "warmup"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(event->name, names[i]))
            report_texts_add(&self->facts, file, "%s\t%s", event->name, event->text);
}

static void take_event(report *self, const char *file, const event_line *event)
{
    report_events *events = &self->events;
    const int level = level_of(event);
    report_count(&events->names, event->name);
    if (!strcmp(event->name, "drop"))
        report_count(&events->drops, *event->reason ? event->reason : "no reason given");
    take_facts(self, file, event);
    if (level > SONO_SERVE_LEVEL_WARNING)
        return;
    events->n_errors += level == SONO_SERVE_LEVEL_ERROR;
    events->n_warnings += level == SONO_SERVE_LEVEL_WARNING;
    if (events->n == REPORT_MAX_TEXTS)
        return;
    report_event *kept = &events->list[events->n];
    *kept = (report_event){.time_s = event->time_s, .level = level};
    snprintf(kept->name, sizeof kept->name, "%s", event->name);
    snprintf(kept->file, sizeof kept->file, "%s", file);
    kept->text = strndup(event->text, 1000);
    events->n += kept->text != NULL;
}

void report_read_events(report *self, const char *name)
{
    report_lines lines;
    uint64_t n_damaged = 0;
    int64_t first = 0;
    if (report_lines_open(&lines, self->folder, name)) {
        report_texts_add(&self->notes, name, "cannot be read: %s", strerror(errno));
        return;
    }
    self->events.has_any = 1;
    while (report_lines_next(&lines)) {
        event_line event = {0};
        if (!lines.why && (!parse_text(lines.text, &event) || !parse_json(lines.text, &event))) {
            self->events.n_lines++;
            take_event(self, name, &event);
        } else {
            first = n_damaged++ ? first : lines.number;
        }
    }
    if (n_damaged)
        report_texts_add(&self->notes, name, "%llu of %lld lines are no events, the first is line %lld",
                         (unsigned long long)n_damaged, (long long)lines.number, (long long)first);
    self->events.n_damaged += n_damaged;
    report_lines_close(&lines);
}

/* ---- figures and counters ------------------------------------------------------------------------------ */

typedef struct fact_reading {
    report *self;
    const char *file;
} fact_reading;

/* Scalars, and lists of texts or numbers as they are written. */
static void take_fact(void *user, const char *key, size_t n_key, const char *value)
{
    const fact_reading *reading = user;
    char text[600], member[64], inner[200];
    if (*value == '"') {
        json_text(value, "", text, sizeof text);
    } else if (*value == '{') {
        size_t at = 0;
        const char *found;
        text[0] = 0;
        for (int i = 0; i < 24 && (found = json_element(value, i, member, sizeof member)); i++) {
            if (*found == '{' || *found == '[')
                continue;
            if (*found == '"')
                json_text(found, "", inner, sizeof inner);
            else
                snprintf(inner, sizeof inner, "%.*s", (int)strcspn(found, ",}] \r\n"), found);
            const int n = snprintf(text + at, sizeof text - at, "%s%s %s", at ? ", " : "", member, inner);
            at += n > 0 && at + (size_t)n < sizeof text ? (size_t)n : 0;
        }
    } else if (*value == '[') {
        return;
    } else {
        snprintf(text, sizeof text, "%.*s", (int)strcspn(value, ",}] \r\n"), value);
    }
    report_texts_add(&reading->self->facts, reading->file, "%.*s\t%s", (int)(n_key < 80 ? n_key : 80), key,
                     text);
}

void report_read_facts(report *self, const char *name)
{
    report_lines lines;
    fact_reading reading = {self, name};
    size_t n = 0;
    char *text = calloc(1, MAX_FACT_BYTES);
    if (!text || report_lines_open(&lines, self->folder, name)) {
        report_texts_add(&self->notes, name, "cannot be read: %s", text ? strerror(errno) : "out of memory");
        free(text);
        return;
    }
    n = fread(text, 1, MAX_FACT_BYTES - 1, lines.stream);
    if (n == MAX_FACT_BYTES - 1)
        report_texts_add(&self->left_out, name, "more than 256 KiB");
    else if (strlen(text) != n || json_each_member(text, ignore, NULL))
        report_texts_add(&self->notes, name, "no whole JSON object: not shown");
    else
        json_each_member(text, take_fact, &reading);
    report_lines_close(&lines);
    free(text);
}
