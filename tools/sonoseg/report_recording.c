// SPDX-License-Identifier: Apache-2.0
/* Recordings: the images' files, and those of masks and states beside them. */
#include "report.h"
#include "report_walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double number_of(const char *text)
{
    char *end;
    const double number = strtod(text, &end);
    return end > text && !*end && isfinite(number) ? number : NAN;
}

static void take_field(report_series *series, report_frame *frame, const sono_source_field *field)
{
    static const struct {
        const char *name;
        int value;
    } numbers[] = {{"Score", REPORT_SCORE},     {"PredictedIoU", REPORT_IOU},
                   {"AreaPx", REPORT_AREA},     {"EngineMs", REPORT_LATENCY},
                   {"Quality", REPORT_QUALITY}, {"Agreement", REPORT_AGREEMENT}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!strcmp(field->name, numbers[i].name))
            frame->values[numbers[i].value] = (float)number_of(field->value);
    if (!strcmp(field->name, "State"))
        frame->state = report_state(field->value);
    else if (!strcmp(field->name, "Processed") && (field->value[0] == '0' || field->value[0] == '1'))
        frame->is_processed = (int8_t)(field->value[0] - '0');
    else if (!strcmp(field->name, "Reason") && strcmp(field->value, "OK") != 0)
        frame->reason = report_series_reason(series, field->value);
}

/* What the files say of themselves, once each. */
static void take_file_field(report_series *series, const char *name, const char *value)
{
    static const char *const wanted[] = {"RecordedBy",     "SonosegVersion",
                                         "DeviceName",     "UltrasoundImageOrientation",
                                         "ElementSpacing", "DimSize"};
    for (size_t i = 0; i < series->facts.n; i++)
        if (!strcmp(series->facts.items[i].key, name))
            return;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!strcmp(name, wanted[i]))
            report_texts_add(&series->facts, name, "%s", value);
}

static void take_fields(report_series *series, const sono_source *source, report_frame *frame)
{
    const int32_t n = sono_source_field_count(source);
    for (int32_t i = 0; i < n; i++) {
        sono_source_field field;
        if (sono_source_field_at(source, i, &field, NULL))
            continue;
        if (field.is_of_frame)
            take_field(series, frame, &field);
        else
            take_file_field(series, field.name, field.value);
    }
}

static void take_frame(void *user, const report_step *step)
{
    report_series *series = user;
    report_frame *frame = report_series_add(series);
    if (!frame)
        return;
    frame->id = step->id;
    frame->file = step->file;
    frame->place = step->index;
    frame->time_s = step->time_ns ? (double)step->time_ns * 1e-9 : NAN;
    take_fields(series, step->images, frame);
    if (step->masks)
        take_fields(series, step->masks, frame);
}

void report_read_recording(report *self, report_series *series)
{
    report_walk walk = {.folder = self->folder, .series = series, .as_stored = 1, .notes = &self->notes};
    report_walk_all(&walk, take_frame, series);
}
