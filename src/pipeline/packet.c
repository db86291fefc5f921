// SPDX-License-Identifier: Apache-2.0
#include "pipeline/packet.h"

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

static const uint8_t *mask_of(const uint8_t *masks, int64_t offset)
{
    return masks ? masks + offset : NULL;
}

static const float *map_of(const float *maps, int64_t offset)
{
    return maps ? maps + offset : NULL;
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
        const int64_t offset = k * outputs->max_pixels;
        storage->objects[k] = (sono_object){
            .bbox_xyxy_px = {d->x1, d->y1, d->x2, d->y2},
            .score = d->score,
            .class_id = (int32_t)d->class_id,
            .iou_predicted = valid ? outputs->iou[k * outputs->iou_stride] : 0.0f,
            .mask_area_px = valid ? outputs->area_px[k] : 0,
            .mask = mask_of(outputs->mask, offset),
            .edge = map_of(outputs->edge, offset),
            .inside = map_of(outputs->inside, offset),
            .outside = map_of(outputs->outside, offset),
        };
        packet->n_objects++;
    }
}
