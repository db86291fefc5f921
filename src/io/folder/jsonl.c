// SPDX-License-Identifier: Apache-2.0
#include "io/folder/jsonl.h"

#include "io/folder/rle.h"
#include "io/folder/values.h"

#include <inttypes.h>
#include <string.h>

/* score, box, ...: the keys that each object has */
static void write_object_keys(sono_text *text, const sono_packet *packet, int32_t index,
                              const sono_jsonl_style *style)
{
    const sono_object *object = sono_packet_object(packet, index);
    const sono_state state = packet->state;
    sono_map_view mask;
    const float *box = object->bbox_xyxy_px;
    const int has_box =
        state == SONO_STATE_RELOCALIZING ? box[2] > box[0] || box[3] > box[1] : state != SONO_STATE_LOST;
    sono_text_add(text, "\"score\": ");
    sono_text_add_float(text, object->score);
    sono_text_add(text, ", \"bbox_xyxy_px\": ");
    if (!has_box)
        sono_text_add(text, "null");
    for (int i = 0; i < 4 && has_box; i++) {
        sono_text_add(text, i ? ", " : "[");
        sono_text_add_float(text, box[i]);
        sono_text_add(text, i == 3 ? "]" : "");
    }
    sono_text_add(text, ", \"iou_predicted\": ");
    sono_text_add_float(text, object->iou_predicted);
    sono_text_format(text, ", \"mask_area_px\": %" PRId64, object->mask_area_px);
    if (style->with_rle && sono_packet_map(packet, index, SONO_MAP_MASK, &mask) == SONO_STATUS_OK) {
        sono_text_add(text, ", \"mask_rle\": ");
        sono_rle_write(text, mask.data, mask.width_px, mask.height_px);
    }
}

/* [[[x, y], [x, y], ...], ...]: an array a line. */
static void write_lines(sono_text *text, const sono_surface_view *surface, const double scale[2],
                        const int n_decimals[2])
{
    sono_text_add(text, "[");
    for (int32_t k = 0; k < surface->n_lines; k++) {
        sono_text_add(text, k ? ", [" : "[");
        for (int32_t i = surface->line_starts[k]; i < surface->line_starts[k + 1]; i++) {
            sono_text_add(text, i == surface->line_starts[k] ? "[" : ", [");
            sono_text_add_fixed(text, scale[0] * (double)surface->points_px[2 * i], n_decimals[0]);
            sono_text_add(text, ", ");
            sono_text_add_fixed(text, scale[1] * (double)surface->points_px[2 * i + 1], n_decimals[1]);
            sono_text_add(text, "]");
        }
        sono_text_add(text, "]");
    }
    sono_text_add(text, "]");
}

/* Where it was asked for; millimetres where the spacing is known. */
static void write_surface(sono_text *text, const sono_packet *packet)
{
    static const int px_decimals[2] = {0, 2}, mm_decimals[2] = {3, 3}; /* columns are whole */
    static const double one[2] = {1, 1};
    const double *spacing_mm = packet->info->spacing_mm;
    sono_surface_view surface;
    if (sono_packet_surface(packet, &surface) != SONO_STATUS_OK)
        return;
    sono_text_add(text, ", \"surface_px\": ");
    write_lines(text, &surface, one, px_decimals);
    if (!(spacing_mm[0] > 0 && spacing_mm[1] > 0))
        return;
    sono_text_add(text, ", \"surface_mm\": ");
    write_lines(text, &surface, spacing_mm, mm_decimals);
}

/* What the state was decided by. Permille; null = unknown. */
static void write_parts(sono_text *text, const sono_parts *parts, const sono_state_report *report)
{
    const struct {
        const char *key;
        int32_t value;
    } shares[] = {{"quality", report->quality},    {"frame_agreement", report->agreement},
                  {"score", parts->score},         {"iou", parts->iou},
                  {"sharpness", parts->sharpness}, {"contrast", parts->contrast},
                  {"shadow", parts->shadow},       {"continuity", parts->continuity},
                  {"agreement", parts->agreement}, {"surface", parts->surface}};
    sono_text_add(text, ", \"parts\": {");
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        if (shares[i].value < 0)
            sono_text_format(text, "\"%s\": null, ", shares[i].key);
        else
            sono_text_format(text, "\"%s\": %d, ", shares[i].key, shares[i].value);
    sono_text_format(text,
                     "\"is_repeat\": %d, \"moved_x\": %d, \"moved_y\": %d, \"has_box\": %d, "
                     "\"is_recalled\": %d, \"reasons\": %d, \"dt_us\": %d}",
                     parts->is_repeat, parts->moved_x, parts->moved_y, parts->has_box, parts->is_recalled,
                     report->reasons, report->dt_us);
}

/* What the source knew of the image; no keys for what it did not. */
static void write_known(sono_text *text, const sono_frame_info *info)
{
    static const char *const orientations[] = {"", "MF", "MN", "UF", "UN"};
    sono_text_add_place(text, info);
    if (info->orientation > SONO_ORIENTATION_UNKNOWN && info->orientation <= SONO_ORIENTATION_UN)
        sono_text_format(text, ", \"orientation\": \"%s\"", orientations[info->orientation]);
}

/* Only where it is not the whole frame. */
static void write_region(sono_text *text, const sono_packet *packet)
{
    sono_region r;
    if (sono_packet_region(packet, &r) == SONO_STATUS_OK &&
        (r.width_px != packet->width_px || r.height_px != packet->height_px))
        sono_text_format(text, ", \"region_px\": [%d, %d, %d, %d]", r.x_px, r.y_px, r.width_px, r.height_px);
}

static void write_latency(sono_text *text, const sono_packet *packet)
{
    sono_text_add(text, ", \"latency_ms\": {");
    for (int i = 0; i < sono_stage_count(); i++) {
        sono_text_format(text, "\"%s\": ", sono_stage_name((sono_stage)i));
        sono_text_add_number(text, sono_packet_stage_ms(packet, (sono_stage)i), 6);
        sono_text_add(text, ", ");
    }
    sono_text_add(text, "\"total\": ");
    sono_text_add_number(text, packet->latency_ms, 6);
    sono_text_add(text, "}");
}

static void write_ledger(sono_text *text, const sono_ledger_totals *ledger)
{
    sono_text_format(
        text,
        ", \"ledger\": {\"n_allocations\": %d, \"n_h2d\": %d, \"n_launches\": %d, \"n_d2h\": %d, "
        "\"n_waits\": %d"
        ", \"bytes_h2d\": %" PRId64 ", \"bytes_d2h\": %" PRId64 "}",
        ledger->n_allocations, ledger->n_h2d, ledger->n_launches, ledger->n_d2h, ledger->n_waits,
        ledger->bytes_h2d, ledger->bytes_d2h);
}

static void write_objects(sono_text *text, const sono_packet *packet, const sono_jsonl_style *style)
{
    for (int32_t i = 0; i < packet->n_objects; i++) {
        sono_text_format(text, "%s{\"class_id\": %d, ", i ? ", " : ", \"objects\": [",
                         sono_packet_object(packet, i)->class_id);
        write_object_keys(text, packet, i, style);
        sono_text_add(text, i == packet->n_objects - 1 ? "}]" : "}");
    }
}

void sono_jsonl_packet(sono_text *text, const sono_packet *packet, const char *path, const char *stem,
                       const sono_jsonl_style *style)
{
    const char *slash = strrchr(path, '/');
    sono_text_format(text, "{\"schema\": 1, \"frame_id\": %" PRIu64 ", \"source\": ", packet->info->frame_id);
    sono_text_add_name(text, slash ? slash + 1 : path);
    sono_text_add(text, ", \"path\": ");
    sono_text_add_name(text, path);
    sono_text_add(text, ", \"stem\": ");
    sono_text_add_words(text, stem);
    sono_text_add(text, ", \"timestamp_s\": ");
    sono_text_add_seconds(text, packet->info->timestamp_ns);
    sono_text_format(text, ", \"width_px\": %d, \"height_px\": %d, \"state\": \"%s\", ", packet->width_px,
                     packet->height_px, sono_state_name(packet->state));
    write_object_keys(text, packet, 0, style);
    write_region(text, packet);
    if (packet->n_objects > 1)
        write_objects(text, packet, style);
    else if (sono_packet_object(packet, 0)->class_id)
        sono_text_format(text, ", \"class_id\": %d", sono_packet_object(packet, 0)->class_id);
    write_known(text, packet->info);
    if (sono_packet_parts(packet))
        write_parts(text, sono_packet_parts(packet), sono_packet_report(packet));
    write_surface(text, packet);
    sono_text_format(text, ", \"backend\": \"%s\", \"precision\": \"%s\"", sono_backend_name(packet->backend),
                     sono_precision_name(packet->precision));
    if (!style->without_times) {
        write_latency(text, packet);
        write_ledger(text, &packet->ledger);
    }
    sono_text_add(text, "}\n");
}
