// SPDX-License-Identifier: Apache-2.0
/* results.jsonl of `sonoseg run`, frames.jsonl of `sonoseg evaluate`. */
#include "json_find.h"
#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DAMAGES 8 /* named; the rest is counted */

typedef struct reading {
    report_series *series;
    report_frame frame; /* the line's */
    int has_id, has_result;
} reading;

static double number_at(const char *value)
{
    char *end;
    if (*value != '-' && (*value < '0' || *value > '9'))
        return NAN;
    const double number = strtod(value, &end);
    return end > value && strchr(",}] \t\r\n", *end) && isfinite(number) ? number : NAN;
}

/* Keys whose value is a number of a frame. */
static const struct {
    const char *key;
    int value;
} numbers[] = {
    {"score", REPORT_SCORE},      {"iou_predicted", REPORT_IOU},  {"mask_area_px", REPORT_AREA},
    {"box_iou", REPORT_TRUE_BOX}, {"mask_iou", REPORT_TRUE_MASK}, {"dice", REPORT_DICE},
    {"total", REPORT_LATENCY},    {"quality", REPORT_QUALITY},    {"frame_agreement", REPORT_AGREEMENT},
};

static int is_key(const char *key, size_t n_key, const char *wanted)
{
    return n_key == strlen(wanted) && !memcmp(key, wanted, n_key);
}

static void take_number(reading *self, const char *key, size_t n_key, const char *value)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (is_key(key, n_key, numbers[i].key))
            self->frame.values[numbers[i].value] = (float)number_at(value);
}

static void take_stage(void *user, const char *key, size_t n_key, const char *value)
{
    reading *self = user;
    take_number(self, key, n_key, value);
    for (int i = 0; i < REPORT_STAGES; i++)
        if (is_key(key, n_key, sono_stage_name((sono_stage)i)))
            self->frame.values[REPORT_STAGE + i] = (float)number_at(value);
}

static void take_part(void *user, const char *key, size_t n_key, const char *value)
{
    if (is_key(key, n_key, "quality") || is_key(key, n_key, "frame_agreement"))
        take_number(user, key, n_key, value);
}

/* The object that begins at value, in text of its own: json_each_member() wants nothing behind it. */
static void take_object(const char *value, void (*take)(void *, const char *, size_t, const char *),
                        void *user)
{
    char text[2048];
    const size_t n = strcspn(value, "}");
    if (*value != '{' || value[n] != '}' || n + 2 > sizeof text)
        return;
    memcpy(text, value, n + 1);
    text[n + 1] = 0;
    json_each_member(text, take, user);
}

/* [[[x, y], ...], ...] in millimetres: how long the lines are together. NAN for anything else. */
static double length_of(const char *at)
{
    double length = 0, last[2] = {0, 0}, point[2];
    int depth = 0, has_last = 0;
    do {
        if (*at == '[' && ++depth == 2)
            has_last = 0;
        depth -= *at == ']';
        if (depth == 3) {
            for (int i = 0; i < 2; i++) {
                char *end;
                point[i] = strtod(at + 1, &end);
                if (end == at + 1 || *end != (i ? ']' : ','))
                    return NAN;
                at = end;
            }
            length += has_last ? hypot(point[0] - last[0], point[1] - last[1]) : 0;
            memcpy(last, point, sizeof last);
            has_last = 1;
            depth--;
        }
        at++;
    } while (depth > 0 && *at);
    return depth ? NAN : length;
}

static void take_member(void *user, const char *key, size_t n_key, const char *value)
{
    reading *self = user;
    char text[16];
    if (is_key(key, n_key, "frame_id") && *value >= '0' && *value <= '9') {
        self->frame.id = strtoull(value, NULL, 10);
        self->has_id = 1;
    } else if (is_key(key, n_key, "timestamp_s")) {
        const double at_s = number_at(value);
        self->frame.time_s = at_s > 0 ? at_s : NAN; /* 0 is how an unknown one is written */
    } else if (is_key(key, n_key, "state")) {
        self->frame.state = report_state(json_text(value, "", text, sizeof text));
        self->has_result = self->frame.state != REPORT_UNKNOWN;
    } else if (is_key(key, n_key, "found")) {
        self->has_result = 1;
    } else if (is_key(key, n_key, "latency_ms")) {
        take_object(value, take_stage, self);
    } else if (is_key(key, n_key, "parts")) {
        take_object(value, take_part, self);
    } else if (is_key(key, n_key, "surface_mm")) {
        self->frame.values[REPORT_SURFACE] = (float)length_of(value);
    } else {
        take_number(self, key, n_key, value);
    }
}

static void take_setting(report_series *series, const char *line, const char *key)
{
    char text[64];
    if (*json_text(line, key, text, sizeof text))
        report_texts_add(&series->facts, key, "%s", text);
}

/* NULL, or what is wrong. */
static const char *take_line(report_series *series, const report_lines *lines, report_kind kind)
{
    reading self = {.series = series};
    self.frame = (report_frame){.time_s = NAN,
                                .place = lines->place,
                                .state = REPORT_UNKNOWN,
                                .reason = REPORT_UNKNOWN,
                                .is_processed = REPORT_UNKNOWN};
    for (int i = 0; i < REPORT_N_VALUES; i++)
        self.frame.values[i] = NAN;
    if (lines->why)
        return lines->why;
    if (json_each_member(lines->text, take_member, &self))
        return "no whole JSON object";
    if (!self.has_id || !self.has_result)
        return self.has_id ? (kind == REPORT_RESULTS ? "no state" : "no \"found\"") : "no frame_id";
    report_frame *frame = report_series_add(series);
    if (frame)
        *frame = self.frame;
    if (series->n_frames == 1) {
        take_setting(series, lines->text, "backend");
        take_setting(series, lines->text, "precision");
    }
    return NULL;
}

void report_read_results(report *self, const char *name, report_kind kind)
{
    report_lines lines;
    report_series *series = &self->series[self->n_series];
    if (report_lines_open(&lines, self->folder, name)) {
        report_texts_add(&self->notes, name, "cannot be read: %s", strerror(errno));
        return;
    }
    self->n_series++;
    series->kind = kind;
    snprintf(series->name, sizeof series->name, "%s", name);
    while (report_lines_next(&lines)) {
        const char *why = take_line(series, &lines, kind);
        if (why && series->n_damaged++ < MAX_DAMAGES)
            report_texts_add(&series->damages, "", "line %lld: %s", (long long)lines.number, why);
    }
    if (ferror(lines.stream))
        report_texts_add(&self->notes, name, "could not be read to its end");
    report_lines_close(&lines);
}
