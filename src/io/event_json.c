// SPDX-License-Identifier: Apache-2.0
/* The JSON form of an event. */
#include "sonoseg/io.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* With a point even where the locale has a comma. */
static void write_number(FILE *stream, const sono_event_field *field)
{
    char text[400] = "null"; /* a double of 308 digits, with decimals */
    if (isfinite(field->number))
        snprintf(text, sizeof text, "%.*f", field->n_decimals, field->number);
    char *comma = strchr(text, ',');
    if (comma)
        *comma = '.';
    fputs(text, stream);
}

static void write_field(FILE *stream, const sono_event_field *field)
{
    fprintf(stream, ", \"%s\": ", field->key);
    switch (field->type) {
    case SONO_EVENT_INTEGER:
        fprintf(stream, "%" PRId64, field->integer);
        break;
    case SONO_EVENT_NUMBER:
        write_number(stream, field);
        break;
    case SONO_EVENT_TEXT:
        sono_json_write_name(stream, field->text);
        break;
    }
}

void sono_event_write_json(FILE *stream, const sono_event *event)
{
    const sono_event_field *field;
    fprintf(stream, "{\"schema\": 1, \"ts\": %" PRId64 ".%06" PRId64 ", \"event\": \"%s\"",
            event->timestamp_ns / 1000000000, event->timestamp_ns % 1000000000 / 1000,
            sono_event_name(event->kind));
    if (event->has_frame)
        fprintf(stream, ", \"frame\": %" PRIu64, event->frame_id);
    for (int32_t i = 0; (field = sono_event_field_at(event, i)); i++)
        write_field(stream, field);
    fputc('}', stream);
}
