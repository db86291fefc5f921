// SPDX-License-Identifier: Apache-2.0
#include "pipeline/packet.h"

#include "engine/ridge.h"
#include "pipeline/maps.h"

#include <string.h>

_Static_assert(sizeof(sono_map_view) == 2 * sizeof(void *) + 16,
               "programs bring their own: it never changes");
_Static_assert(offsetof(sono_packet_storage, packet) == 0, "programs hold a pointer to that field");

void sono_packet_begin(sono_packet_storage *storage, const sono_frame *frame, const sono_region *region)
{
    memset(storage, 0, offsetof(sono_packet_storage, points_px)); /* no points yet */
    sono_packet *packet = &storage->packet;
    packet->struct_size = sizeof *packet;
    storage->info = frame->info;
    packet->info = &storage->info;
    packet->width_px = frame->image.width_px;
    packet->height_px = frame->image.height_px;
    storage->region = region->width_px ? *region : (sono_region){0, 0, packet->width_px, packet->height_px};
}

/* The gate was applied where SELECT_BOXES ran, the rules where STATE did: nothing is decided again here. */
static void fill_state(sono_packet_storage *storage, const sono_packet_outputs *outputs)
{
    storage->is_judged = outputs->verdict != NULL;
    storage->packet.state = outputs->detections[0].valid > 0.0f ? SONO_STATE_VISIBLE : SONO_STATE_LOST;
    if (!outputs->verdict)
        return;
    sono_state_show(outputs->verdict, &storage->parts, &storage->report);
    storage->packet.state = storage->report.state;
}

/* Rows of columns -> points of lines. */
static void fill_surface(sono_packet_storage *storage, const int32_t *rows)
{
    const ridge_sizes sizes = ridge_sizes_of(storage->packet.width_px, storage->packet.height_px);
    storage->has_surface = rows != NULL;
    storage->n_points = storage->n_lines = 0;
    for (int32_t i = 0; rows && i < sizes.n_columns; i++) {
        if (rows[i] == RIDGE_NONE)
            continue;
        if (i == 0 || !ridge_joins(rows, sizes.n_columns, i, i - 1, sizes.jump))
            storage->line_starts[storage->n_lines++] = storage->n_points;
        storage->points_px[storage->n_points][0] = (float)(i * sizes.step_px);
        storage->points_px[storage->n_points++][1] = (float)rows[i] / RIDGE_UNIT;
    }
    storage->line_starts[storage->n_lines] = storage->n_points;
}

void sono_packet_fill(sono_packet_storage *storage, const sono_packet_outputs *outputs)
{
    sono_packet *packet = &storage->packet;
    fill_state(storage, outputs);
    fill_surface(storage, outputs->surface);
    if (outputs->region)
        storage->region =
            (sono_region){outputs->region[0], outputs->region[1], outputs->region[2], outputs->region[3]};
    packet->n_objects = 0;
    storage->maps = outputs->maps;
    storage->map_element_bytes = outputs->map_element_bytes;
    for (int32_t k = 0; k < outputs->max_objects; k++) {
        const sono_detection *d = &outputs->detections[k];
        const int valid = d->valid > 0.0f;
        if (k > 0 && !valid)
            break;
        storage->objects[k] = (sono_object){
            .struct_size = sizeof(sono_object),
            .bbox_xyxy_px = {d->x1, d->y1, d->x2, d->y2},
            .score = d->score,
            .class_id = (int32_t)d->class_id,
            .iou_predicted = valid && outputs->iou ? outputs->iou[k * outputs->iou_stride] : 0.0f,
            .mask_area_px = valid && outputs->area_px ? outputs->area_px[k] : 0,
        };
        packet->n_objects++;
    }
}

/* ---- what programs ask a packet ---- */

static const sono_packet_storage *storage_of(const sono_packet *packet)
{
    return (const sono_packet_storage *)packet;
}

const sono_object *sono_packet_object(const sono_packet *packet, int32_t object)
{
    return packet && object >= 0 && object < packet->n_objects ? &storage_of(packet)->objects[object] : NULL;
}

const sono_parts *sono_packet_parts(const sono_packet *packet)
{
    return packet && storage_of(packet)->is_judged ? &storage_of(packet)->parts : NULL;
}

const sono_state_report *sono_packet_report(const sono_packet *packet)
{
    return packet && storage_of(packet)->is_judged ? &storage_of(packet)->report : NULL;
}

sono_status sono_packet_surface(const sono_packet *packet, sono_surface_view *out)
{
    if (!packet || !out)
        return SONO_STATUS_INVALID_ARGUMENT;
    const sono_packet_storage *s = storage_of(packet);
    if (!s->has_surface)
        return SONO_STATUS_UNSUPPORTED;
    *out = (sono_surface_view){.points_px = s->points_px[0],
                               .line_starts = s->line_starts,
                               .n_points = s->n_points,
                               .n_lines = s->n_lines};
    return SONO_STATUS_OK;
}

sono_status sono_packet_region(const sono_packet *packet, sono_region *out)
{
    if (!packet || !out)
        return SONO_STATUS_INVALID_ARGUMENT;
    *out = storage_of(packet)->region;
    return SONO_STATUS_OK;
}

double sono_packet_stage_ms(const sono_packet *packet, sono_stage stage)
{
    return packet && (unsigned)stage < SONO_STAGE_COUNT ? storage_of(packet)->stage_ms[stage] : 0.0;
}

sono_status sono_packet_map(const sono_packet *packet, int32_t object, sono_map which, sono_map_view *out)
{
    if (!sono_packet_object(packet, object) || (unsigned)which > SONO_MAP_OUTSIDE || !out)
        return SONO_STATUS_INVALID_ARGUMENT;
    const sono_packet_storage *s = storage_of(packet);
    if (!s->maps || (which != SONO_MAP_MASK && !s->map_element_bytes))
        return SONO_STATUS_UNSUPPORTED;
    const int32_t element_bytes = which == SONO_MAP_MASK ? 1 : s->map_element_bytes;
    const int64_t n_pixels = (int64_t)packet->width_px * packet->height_px;
    *out = (sono_map_view){.data = s->maps + sono_map_at(which, object, n_pixels, s->map_element_bytes),
                           .pitch_bytes = (size_t)packet->width_px * (size_t)element_bytes,
                           .dtype = element_bytes == 1 ? SONO_MAP_DTYPE_U8 : SONO_MAP_DTYPE_F32,
                           .width_px = packet->width_px,
                           .height_px = packet->height_px};
    return SONO_STATUS_OK;
}
