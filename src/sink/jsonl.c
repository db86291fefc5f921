// SPDX-License-Identifier: Apache-2.0
#include "sink/jsonl.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 character at text, 0 when it is none (overlong forms, surrogates, cut short). */
static size_t utf8_length(const unsigned char *text)
{
    const unsigned char lead = text[0];
    size_t n = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : 4;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] > 0x9f) ||
        (lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] > 0x8f))
        return 0;
    return n;
}

void sono_jsonl_string(FILE *stream, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    fputc('"', stream);
    while (*at) {
        const size_t n = utf8_length(at);
        if (*at == '"' || *at == '\\')
            fprintf(stream, "\\%c", *at);
        else if (*at < 0x20 || *at == 0x7f)
            fprintf(stream, "\\u%04x", *at);
        else if (n)
            fwrite(at, 1, n, stream);
        else
            fputs("\\ufffd", stream);
        at += n ? n : 1;
    }
    fputc('"', stream);
}

/* What snprintf wrote, with a point even where the locale has a comma. */
static void write_decimal(FILE *stream, char *text)
{
    char *comma = strchr(text, ',');
    if (comma)
        *comma = '.';
    fputs(text, stream);
}

static void write_number(FILE *stream, double value, int n_digits)
{
    char text[40] = "null";
    if (isfinite(value))
        snprintf(text, sizeof text, "%.*g", n_digits, value);
    write_decimal(stream, text);
}

/* As few digits as give the float back exactly: at most nine. */
static void write_float(FILE *stream, float value)
{
    char text[40] = "null";
    for (int n_digits = 6; isfinite(value) && n_digits <= 9; n_digits++) {
        snprintf(text, sizeof text, "%.*g", n_digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    write_decimal(stream, text);
}

/* score, box, ...: the keys that each object has */
static void write_object_keys(FILE *stream, const sono_object *object, sono_state state)
{
    fputs("\"score\": ", stream);
    write_float(stream, object->score);
    fputs(", \"bbox_xyxy_px\": ", stream);
    if (state == SONO_STATE_LOST)
        fputs("null", stream);
    for (int i = 0; i < 4 && state != SONO_STATE_LOST; i++) {
        fputs(i ? ", " : "[", stream);
        write_float(stream, object->bbox_xyxy_px[i]);
        fputs(i == 3 ? "]" : "", stream);
    }
    fputs(", \"iou_predicted\": ", stream);
    write_float(stream, object->iou_predicted);
    fprintf(stream, ", \"mask_area_px\": %" PRId64, object->mask_area_px);
}

static void write_latency(FILE *stream, const sono_packet *packet)
{
    fputs(", \"latency_ms\": {", stream);
    for (int i = 0; i < SONO_STAGE_COUNT; i++) {
        fprintf(stream, "\"%s\": ", sono_stage_name((sono_stage)i));
        write_number(stream, packet->stage_ms[i], 6);
        fputs(", ", stream);
    }
    fputs("\"total\": ", stream);
    write_number(stream, packet->latency_ms, 6);
    fputs("}", stream);
}

static void write_ledger(FILE *stream, const sono_ledger_totals *ledger)
{
    fprintf(stream,
            ", \"ledger\": {\"n_allocations\": %d, \"n_h2d\": %d, \"n_launches\": %d, \"n_d2h\": %d, "
            "\"n_waits\": %d"
            ", \"bytes_h2d\": %" PRId64 ", \"bytes_d2h\": %" PRId64 "}",
            ledger->n_allocations, ledger->n_h2d, ledger->n_launches, ledger->n_d2h, ledger->n_waits,
            ledger->bytes_h2d, ledger->bytes_d2h);
}

void sono_jsonl_packet(FILE *stream, const sono_packet *packet, const char *path, const char *stem)
{
    const char *slash = strrchr(path, '/');
    fprintf(stream, "{\"frame_id\": %" PRIu64 ", \"source\": ", packet->frame_id);
    sono_jsonl_string(stream, slash ? slash + 1 : path);
    fputs(", \"path\": ", stream);
    sono_jsonl_string(stream, path);
    fputs(", \"stem\": ", stream);
    sono_jsonl_string(stream, stem);
    fputs(", \"timestamp_s\": ", stream);
    write_number(stream, packet->timestamp_s, 17);
    fprintf(stream, ", \"width_px\": %d, \"height_px\": %d, \"state\": \"%s\", ", packet->width_px,
            packet->height_px, sono_state_name(packet->state));
    write_object_keys(stream, &packet->objects[0], packet->state);
    for (int32_t i = 0; packet->n_objects > 1 && i < packet->n_objects; i++) {
        fprintf(stream, "%s{\"class_id\": %d, ", i ? ", " : ", \"objects\": [", packet->objects[i].class_id);
        write_object_keys(stream, &packet->objects[i], packet->state);
        fputs(i == packet->n_objects - 1 ? "}]" : "}", stream);
    }
    fprintf(stream, ", \"backend\": \"%s\", \"precision\": \"%s\"", sono_backend_name(packet->backend),
            sono_precision_name(packet->precision));
    write_latency(stream, packet);
    write_ledger(stream, &packet->ledger);
    fputs("}\n", stream);
}
