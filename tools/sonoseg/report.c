// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void report_texts_add(report_texts *list, const char *key, const char *format, ...)
{
    va_list args;
    char *value = NULL;
    if (!list->items)
        list->items = calloc(REPORT_MAX_TEXTS, sizeof *list->items);
    if (!list->items || list->n == REPORT_MAX_TEXTS) {
        list->n_beyond++;
        return;
    }
    va_start(args, format);
    if (vasprintf(&value, format, args) < 0)
        value = NULL;
    va_end(args);
    char *name = strdup(key);
    if (!value || !name) {
        free(value);
        free(name);
        list->n_beyond++;
        return;
    }
    list->items[list->n].key = name;
    list->items[list->n++].value = value;
}

void report_texts_free(report_texts *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].key);
        free(list->items[i].value);
    }
    free(list->items);
    *list = (report_texts){0};
}

/* ---- values -------------------------------------------------------------------------------------------- */

static const struct {
    const char *heading, *unit;
    int decimals;
} values[] = {
#define REPORT_VALUE_ROW(name, heading, unit, decimals) {heading, unit, decimals},
    REPORT_VALUE_MAP(REPORT_VALUE_ROW)
#undef REPORT_VALUE_ROW
};

const char *report_value_heading(int value)
{
    return value < REPORT_STAGE ? values[value].heading : sono_stage_name((sono_stage)(value - REPORT_STAGE));
}

const char *report_value_unit(int value)
{
    return values[value < REPORT_STAGE ? value : REPORT_STAGE].unit;
}

int report_value_decimals(int value)
{
    return values[value < REPORT_STAGE ? value : REPORT_STAGE].decimals;
}

/* ---- frames -------------------------------------------------------------------------------------------- */

report_frame *report_series_add(report_series *series)
{
    if (series->n_frames == REPORT_MAX_FRAMES) {
        series->n_beyond++;
        return NULL;
    }
    if (series->n_frames == series->capacity) {
        const size_t capacity = series->capacity ? 2 * series->capacity : 1024;
        report_frame *frames = realloc(series->frames, capacity * sizeof *frames);
        if (!frames) {
            series->is_out_of_memory = 1;
            series->n_beyond++;
            return NULL;
        }
        series->frames = frames;
        series->capacity = capacity;
    }
    report_frame *frame = &series->frames[series->n_frames++];
    *frame = (report_frame){
        .time_s = NAN, .state = REPORT_UNKNOWN, .reason = REPORT_UNKNOWN, .is_processed = REPORT_UNKNOWN};
    for (int i = 0; i < REPORT_N_VALUES; i++)
        frame->values[i] = NAN;
    return frame;
}

int8_t report_series_reason(report_series *series, const char *name)
{
    for (int i = 0; i < series->n_reasons; i++)
        if (!strncmp(series->reasons[i], name, sizeof series->reasons[0] - 1))
            return (int8_t)i;
    if (series->n_reasons == REPORT_MAX_REASONS)
        return REPORT_UNKNOWN;
    snprintf(series->reasons[series->n_reasons], sizeof series->reasons[0], "%s", name);
    return (int8_t)series->n_reasons++;
}

int8_t report_state(const char *name)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, sono_state_name((sono_state)i)))
            return (int8_t)i;
    return REPORT_UNKNOWN;
}

int report_has(const report_series *series, int value)
{
    for (size_t i = 0; i < series->n_frames; i++)
        if (!isnan(series->frames[i].values[value]))
            return 1;
    return 0;
}

void report_count(report_counts *counts, const char *name)
{
    const int room = (int)(sizeof counts->items / sizeof counts->items[0]);
    int i = 0;
    while (i < counts->n && strncmp(counts->items[i].name, name, sizeof counts->items[0].name - 1) != 0)
        i++;
    if (i == room)
        i = room - 1;
    if (i == counts->n) {
        snprintf(counts->items[i].name, sizeof counts->items[0].name, "%s", i == room - 1 ? "others" : name);
        counts->n++;
    }
    counts->items[i].n++;
}

static void free_series(report_series *series)
{
    free(series->frames);
    report_texts_free(&series->files);
    report_texts_free(&series->damages);
    report_texts_free(&series->facts);
}

void report_free(report *self)
{
    for (int i = 0; i < self->n_series; i++)
        free_series(&self->series[i]);
    for (int i = 0; i < self->events.n; i++)
        free(self->events.list[i].text);
    report_texts_free(&self->facts);
    report_texts_free(&self->notes);
    report_texts_free(&self->left_out);
    report_texts_free(&self->commands);
}

/* ---- lines --------------------------------------------------------------------------------------------- */

int report_lines_open(report_lines *lines, const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat facts;
    *lines = (report_lines){0};
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return -1;
    if (fstat(file, &facts) || !S_ISREG(facts.st_mode)) {
        close(file);
        errno = EINVAL;
        return -1;
    }
    lines->stream = fdopen(file, "r");
    lines->text = malloc(REPORT_LINE_BYTES);
    if (lines->stream && lines->text)
        return 0;
    if (!lines->stream)
        close(file);
    report_lines_close(lines);
    errno = ENOMEM;
    return -1;
}

int report_lines_next(report_lines *lines)
{
    size_t n = 0;
    int c, has_zero = 0, is_long = 0;
    lines->place = ftello(lines->stream);
    while ((c = getc_unlocked(lines->stream)) != EOF && c != '\n') {
        has_zero |= c == 0;
        if (n + 1 < REPORT_LINE_BYTES)
            lines->text[n++] = (char)c;
        else
            is_long = 1;
    }
    if (c == EOF && !n && !is_long)
        return 0;
    n -= n && lines->text[n - 1] == '\r';
    lines->text[n] = 0;
    lines->number++;
    lines->why = is_long ? "longer than 1 MiB" : has_zero ? "a zero byte in it" : NULL;
    return 1;
}

void report_lines_close(report_lines *lines)
{
    if (lines->stream)
        fclose(lines->stream);
    free(lines->text);
    *lines = (report_lines){0};
}
