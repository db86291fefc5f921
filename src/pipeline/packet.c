// SPDX-License-Identifier: Apache-2.0
#include "pipeline/packet.h"

#include "pipeline/maps.h"

#include <string.h>

void sono_packet_begin(sono_packet_storage *storage, const sono_frame *frame)
{
    memset(storage, 0, sizeof *storage);
    sono_packet *packet = &storage->packet;
    storage->info = frame->info;
    packet->info = &storage->info;
    packet->width_px = frame->image.width_px;
    packet->height_px = frame->image.height_px;
    packet->objects = storage->objects;
}

/* NULL where there is no such map. */
static const void *map_of(const sono_packet_outputs *outputs, const sono_packet *packet, int32_t object,
                          sono_map which)
{
    if (!outputs->maps || (which != SONO_MAP_MASK && !outputs->map_element_bytes))
        return NULL;
    return outputs->maps + sono_map_at(which, object, (int64_t)packet->width_px * packet->height_px,
                                       outputs->map_element_bytes);
}

void sono_packet_fill(sono_packet_storage *storage, const sono_packet_outputs *outputs, sono_state state)
{
    sono_packet *packet = &storage->packet;
    packet->state = state;
    packet->n_objects = 0;
    for (int32_t k = 0; k < outputs->max_objects; k++) {
        const sono_detection *d = &outputs->detections[k];
        const int valid = d->valid > 0.0f;
        if (k > 0 && !valid)
            break;
        storage->objects[k] = (sono_object){
            .bbox_xyxy_px = {d->x1, d->y1, d->x2, d->y2},
            .score = d->score,
            .class_id = (int32_t)d->class_id,
            .iou_predicted = valid ? outputs->iou[k * outputs->iou_stride] : 0.0f,
            .mask_area_px = valid ? outputs->area_px[k] : 0,
            .mask = map_of(outputs, packet, k, SONO_MAP_MASK),
            .edge = map_of(outputs, packet, k, SONO_MAP_EDGE),
            .inside = map_of(outputs, packet, k, SONO_MAP_INSIDE),
            .outside = map_of(outputs, packet, k, SONO_MAP_OUTSIDE),
        };
        packet->n_objects++;
    }
}
