// SPDX-License-Identifier: Apache-2.0
#include "result.h"

#include <gst/video/video.h>
#include <math.h>

void sono_gst_result_register(void)
{
    /* Boxes are in pixels of this picture: what scales, crops or turns it drops them. */
    static const char *tags[] = {GST_META_TAG_VIDEO_STR, GST_META_TAG_VIDEO_SIZE_STR,
                                 GST_META_TAG_VIDEO_ORIENTATION_STR, NULL};
    if (!gst_meta_get_info(SONO_GST_META))
        gst_meta_register_custom(SONO_GST_META, tags, NULL, NULL, NULL);
}

static void fill_object(GstStructure *structure, const sono_object *object)
{
    gst_structure_set(structure, "score", G_TYPE_DOUBLE, (double)object->score, "x1", G_TYPE_DOUBLE,
                      (double)object->bbox_xyxy_px[0], "y1", G_TYPE_DOUBLE, (double)object->bbox_xyxy_px[1],
                      "x2", G_TYPE_DOUBLE, (double)object->bbox_xyxy_px[2], "y2", G_TYPE_DOUBLE,
                      (double)object->bbox_xyxy_px[3], "class-id", G_TYPE_INT, (int)object->class_id, "iou",
                      G_TYPE_DOUBLE, (double)object->iou_predicted, "mask-area", G_TYPE_INT64,
                      (gint64)object->mask_area_px, NULL);
}

static void fill_objects(GstStructure *structure, const sono_packet *packet)
{
    GValue list = G_VALUE_INIT;
    gst_value_array_init(&list, (guint)packet->n_objects);
    for (int32_t i = 0; i < packet->n_objects; i++) {
        GValue item = G_VALUE_INIT;
        GstStructure *one = gst_structure_new_empty("object");
        fill_object(one, sono_packet_object(packet, i));
        g_value_init(&item, GST_TYPE_STRUCTURE);
        g_value_take_boxed(&item, one);
        gst_value_array_append_and_take_value(&list, &item);
    }
    gst_structure_take_value(structure, "objects", &list);
}

static void fill_region(GstStructure *structure, const sono_packet *packet)
{
    sono_region region;
    if (sono_packet_region(packet, &region) != SONO_STATUS_OK ||
        (region.width_px == packet->width_px && region.height_px == packet->height_px))
        return;
    gst_structure_set(structure, "region-x", G_TYPE_INT, (int)region.x_px, "region-y", G_TYPE_INT,
                      (int)region.y_px, "region-width", G_TYPE_INT, (int)region.width_px, "region-height",
                      G_TYPE_INT, (int)region.height_px, NULL);
}

void sono_gst_result_fill(GstStructure *structure, const sono_packet *packet)
{
    const sono_object *best = sono_packet_object(packet, 0);
    const sono_state_report *report = sono_packet_report(packet);
    gst_structure_set(structure, "frame-id", G_TYPE_UINT64, (guint64)packet->info->frame_id, "state",
                      G_TYPE_STRING, sono_state_name(packet->state), "score", G_TYPE_DOUBLE,
                      (double)best->score, "latency-ms", G_TYPE_DOUBLE, packet->latency_ms, "n-objects",
                      G_TYPE_INT, packet->state == SONO_STATE_LOST ? 0 : (int)packet->n_objects, "width",
                      G_TYPE_INT, (int)packet->width_px, "height", G_TYPE_INT, (int)packet->height_px,
                      "backend", G_TYPE_STRING, sono_backend_name(packet->backend), NULL);
    fill_region(structure, packet);
    if (packet->state != SONO_STATE_LOST) {
        fill_object(structure, best);
        if (packet->n_objects > 1)
            fill_objects(structure, packet);
    }
    if (report)
        gst_structure_set(structure, "quality", G_TYPE_INT, (int)report->quality, "agreement", G_TYPE_INT,
                          (int)report->agreement, "reasons", G_TYPE_INT, (int)report->reasons, NULL);
}

/* The pixels that a box touches, where there is a box. */
static void attach_box(GstBuffer *buffer, const sono_object *object)
{
    const float *xyxy = object->bbox_xyxy_px;
    if (xyxy[2] <= xyxy[0] && xyxy[3] <= xyxy[1])
        return;
    const int x1 = (int)floorf(xyxy[0]), y1 = (int)floorf(xyxy[1]);
    const int width = (int)floorf(xyxy[2]) - x1 + 1, height = (int)floorf(xyxy[3]) - y1 + 1;
    gst_buffer_add_video_region_of_interest_meta(buffer, "sonoseg", (guint)x1, (guint)y1, (guint)width,
                                                 (guint)height);
}

const GstStructure *sono_gst_result_attach(GstBuffer *buffer, const sono_packet *packet)
{
    GstCustomMeta *meta = gst_buffer_add_custom_meta(buffer, SONO_GST_META);
    GstStructure *structure = gst_custom_meta_get_structure(meta);
    sono_gst_result_fill(structure, packet);
    for (int32_t i = 0; packet->state != SONO_STATE_LOST && i < packet->n_objects; i++)
        attach_box(buffer, sono_packet_object(packet, i));
    return structure;
}
