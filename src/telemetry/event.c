// SPDX-License-Identifier: Apache-2.0
/* One event: making it, reading it, and its line of text. */
#include "telemetry/event.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void sono_event_make(sono_event_record *record, sono_event_kind kind, const uint64_t *frame_id,
                     const sono_event_field *fields, int32_t n_fields)
{
    record->event = (sono_event){.struct_size = sizeof record->event,
                                 .kind = kind,
                                 .has_frame = frame_id != NULL,
                                 .frame_id = frame_id ? *frame_id : 0,
                                 .timestamp_ns = sono_clock_epoch_ns()};
    record->n_fields = n_fields;
    memcpy(record->fields, fields, (size_t)n_fields * sizeof *fields);
}

const char *sono_event_name(sono_event_kind kind)
{
    switch (kind) {
#define SONO_EVENT_CASE(name, number, text)                                                                  \
    case SONO_EVENT_##name:                                                                                  \
        return text;
        SONO_EVENT_MAP(SONO_EVENT_CASE)
#undef SONO_EVENT_CASE
    }
    return "";
}

const sono_event_field *sono_event_field_at(const sono_event *event, int32_t index)
{
    const sono_event_record *record = (const sono_event_record *)(const void *)event;
    return record && index >= 0 && index < record->n_fields ? &record->fields[index] : NULL;
}

const sono_event_field *sono_event_find(const sono_event *event, const char *key)
{
    const sono_event_field *field;
    for (int32_t i = 0; key && (field = sono_event_field_at(event, i)); i++)
        if (strcmp(field->key, key) == 0)
            return field;
    return NULL;
}

/* ---- text ---- */

typedef struct line {
    char *out;
    size_t n_bytes; /* of out */
    size_t at;      /* grows on where out ends */
} line;

static void put_char(line *l, char c)
{
    if (l->at + 1 < l->n_bytes)
        l->out[l->at] = c;
    l->at++;
}

__attribute__((format(printf, 2, 3))) static void put(line *l, const char *format, ...)
{
    char text[400]; /* a double of 308 digits, with decimals */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (const char *c = text; *c; c++)
        put_char(l, *c);
}

static void put_value(line *l, const char *text)
{
    for (; *text; text++)
        put_char(l, (unsigned char)*text <= ' ' || *text == 0x7f ? '_' : *text);
}

static void put_field(line *l, const sono_event_field *field)
{
    put(l, " %s=", field->key);
    switch (field->type) {
    case SONO_EVENT_INTEGER:
        put(l, "%" PRId64, field->integer);
        break;
    case SONO_EVENT_NUMBER:
        put(l, "%.*f", field->n_decimals, field->number);
        break;
    case SONO_EVENT_TEXT:
        put_value(l, field->text);
        break;
    }
}

size_t sono_event_format(const sono_event *event, char *out, size_t n_bytes)
{
    line l = {out, out ? n_bytes : 0, 0};
    const sono_event_field *field;
    if (l.n_bytes)
        *out = '\0';
    if (!event)
        return 0;
    put(&l, "ts=%" PRId64 ".%06" PRId64 " event=%s", event->timestamp_ns / 1000000000,
        event->timestamp_ns % 1000000000 / 1000, sono_event_name(event->kind));
    if (event->has_frame)
        put(&l, " frame=%" PRIu64, event->frame_id);
    for (int32_t i = 0; (field = sono_event_field_at(event, i)); i++)
        put_field(&l, field);
    if (l.n_bytes)
        out[l.at < l.n_bytes ? l.at : l.n_bytes - 1] = '\0';
    return l.at;
}
