// SPDX-License-Identifier: Apache-2.0
#include "io/folder/jsonl.h"

#include "io/folder/names.h"
#include "sonoseg/io.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* text: UTF-8 without control characters. */
static void write_text(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            fprintf(stream, "\\%c", *text);
        else
            fputc(*text, stream);
    fputc('"', stream);
}

void sono_json_write_name(FILE *stream, const char *name)
{
    fputc('"', stream);
    while (*name) {
        char unit[SONO_NAME_UNIT_BYTES];
        size_t n_unit = 0;
        if (*name == '"' || *name == '\\')
            fputc('\\', stream);
        name += sono_name_unit(name, unit, &n_unit);
        fwrite(unit, 1, n_unit, stream);
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

/* Every digit there is, none that is not. */
static void write_seconds(FILE *stream, int64_t ns)
{
    char text[32];
    const int64_t second_ns = 1000000000, whole = ns / second_ns;
    int64_t rest = ns % second_ns;
    if (rest < 0)
        rest = -rest;
    int n = snprintf(text, sizeof text, "%s%lld.%09lld", ns < 0 && !whole ? "-" : "", (long long)whole,
                     (long long)rest);
    while (text[n - 1] == '0')
        n--;
    n -= text[n - 1] == '.';
    fprintf(stream, "%.*s", n, text);
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
    const float *box = object->bbox_xyxy_px;
    const int has_box =
        state == SONO_STATE_RELOCALIZING ? box[2] > box[0] || box[3] > box[1] : state != SONO_STATE_LOST;
    fputs("\"score\": ", stream);
    write_float(stream, object->score);
    fputs(", \"bbox_xyxy_px\": ", stream);
    if (!has_box)
        fputs("null", stream);
    for (int i = 0; i < 4 && has_box; i++) {
        fputs(i ? ", " : "[", stream);
        write_float(stream, box[i]);
        fputs(i == 3 ? "]" : "", stream);
    }
    fputs(", \"iou_predicted\": ", stream);
    write_float(stream, object->iou_predicted);
    fprintf(stream, ", \"mask_area_px\": %" PRId64, object->mask_area_px);
}

static void write_coordinate(FILE *stream, double value, int n_decimals)
{
    char text[40];
    snprintf(text, sizeof text, "%.*f", n_decimals, value);
    write_decimal(stream, text);
}

/* [[[x, y], [x, y], ...], ...]: an array a line. */
static void write_lines(FILE *stream, const sono_surface_view *surface, const double scale[2],
                        const int n_decimals[2])
{
    fputc('[', stream);
    for (int32_t k = 0; k < surface->n_lines; k++) {
        fputs(k ? ", [" : "[", stream);
        for (int32_t i = surface->line_starts[k]; i < surface->line_starts[k + 1]; i++) {
            fputs(i == surface->line_starts[k] ? "[" : ", [", stream);
            write_coordinate(stream, scale[0] * (double)surface->points_px[2 * i], n_decimals[0]);
            fputs(", ", stream);
            write_coordinate(stream, scale[1] * (double)surface->points_px[2 * i + 1], n_decimals[1]);
            fputc(']', stream);
        }
        fputc(']', stream);
    }
    fputc(']', stream);
}

/* Where it was asked for; millimetres where the spacing is known. */
static void write_surface(FILE *stream, const sono_packet *packet)
{
    static const int px_decimals[2] = {0, 2}, mm_decimals[2] = {3, 3}; /* columns are whole */
    static const double one[2] = {1, 1};
    const double *spacing_mm = packet->info->spacing_mm;
    sono_surface_view surface;
    if (sono_packet_surface(packet, &surface) != SONO_STATUS_OK)
        return;
    fputs(", \"surface_px\": ", stream);
    write_lines(stream, &surface, one, px_decimals);
    if (!(spacing_mm[0] > 0 && spacing_mm[1] > 0))
        return;
    fputs(", \"surface_mm\": ", stream);
    write_lines(stream, &surface, spacing_mm, mm_decimals);
}

/* What the state was decided by. Permille; null = unknown. */
static void write_parts(FILE *stream, const sono_parts *parts, const sono_state_report *report)
{
    const struct {
        const char *key;
        int32_t value;
    } shares[] = {{"quality", report->quality},    {"frame_agreement", report->agreement},
                  {"score", parts->score},         {"iou", parts->iou},
                  {"sharpness", parts->sharpness}, {"contrast", parts->contrast},
                  {"shadow", parts->shadow},       {"continuity", parts->continuity},
                  {"agreement", parts->agreement}, {"surface", parts->surface}};
    fputs(", \"parts\": {", stream);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        if (shares[i].value < 0)
            fprintf(stream, "\"%s\": null, ", shares[i].key);
        else
            fprintf(stream, "\"%s\": %d, ", shares[i].key, shares[i].value);
    fprintf(stream,
            "\"is_repeat\": %d, \"moved_x\": %d, \"moved_y\": %d, \"has_box\": %d, "
            "\"is_recalled\": %d, \"reasons\": %d, \"dt_us\": %d}",
            parts->is_repeat, parts->moved_x, parts->moved_y, parts->has_box, parts->is_recalled,
            report->reasons, report->dt_us);
}

/* Only where it is not the whole frame. */
static void write_region(FILE *stream, const sono_packet *packet)
{
    sono_region r;
    if (sono_packet_region(packet, &r) == SONO_STATUS_OK &&
        (r.width_px != packet->width_px || r.height_px != packet->height_px))
        fprintf(stream, ", \"region_px\": [%d, %d, %d, %d]", r.x_px, r.y_px, r.width_px, r.height_px);
}

static void write_latency(FILE *stream, const sono_packet *packet)
{
    fputs(", \"latency_ms\": {", stream);
    for (int i = 0; i < sono_stage_count(); i++) {
        fprintf(stream, "\"%s\": ", sono_stage_name((sono_stage)i));
        write_number(stream, sono_packet_stage_ms(packet, (sono_stage)i), 6);
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
    fprintf(stream, "{\"schema\": 1, \"frame_id\": %" PRIu64 ", \"source\": ", packet->info->frame_id);
    sono_json_write_name(stream, slash ? slash + 1 : path);
    fputs(", \"path\": ", stream);
    sono_json_write_name(stream, path);
    fputs(", \"stem\": ", stream);
    write_text(stream, stem);
    fputs(", \"timestamp_s\": ", stream);
    write_seconds(stream, packet->info->timestamp_ns);
    fprintf(stream, ", \"width_px\": %d, \"height_px\": %d, \"state\": \"%s\", ", packet->width_px,
            packet->height_px, sono_state_name(packet->state));
    write_object_keys(stream, sono_packet_object(packet, 0), packet->state);
    write_region(stream, packet);
    for (int32_t i = 0; packet->n_objects > 1 && i < packet->n_objects; i++) {
        const sono_object *object = sono_packet_object(packet, i);
        fprintf(stream, "%s{\"class_id\": %d, ", i ? ", " : ", \"objects\": [", object->class_id);
        write_object_keys(stream, object, packet->state);
        fputs(i == packet->n_objects - 1 ? "}]" : "}", stream);
    }
    if (sono_packet_parts(packet))
        write_parts(stream, sono_packet_parts(packet), sono_packet_report(packet));
    write_surface(stream, packet);
    fprintf(stream, ", \"backend\": \"%s\", \"precision\": \"%s\"", sono_backend_name(packet->backend),
            sono_precision_name(packet->precision));
    write_latency(stream, packet);
    write_ledger(stream, &packet->ledger);
    fputs("}\n", stream);
}
