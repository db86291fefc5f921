// SPDX-License-Identifier: Apache-2.0
/*
 * COCO's JSON, as pycocotools reads it: a line an image, a line an annotation. Numbers of images and
 * annotations count from 1: 0 means "none" in COCO's evaluation (PythonAPI/pycocotools/cocoeval.py:292-298
 * @ 8c9bcc3cf640524c4c20a9c40e89cb6a2f2fa0e9 of cocodataset/cocoapi).
 */
#include "io/export/export.h"

#include "io/folder/rle.h"
#include "io/folder/values.h"

#include <inttypes.h>

/* Of a mask: the smallest rectangle around its pixels, and how many there are. */
typedef struct extent {
    int32_t x0_px, y0_px, x1_px, y1_px; /* x1_px, y1_px: behind it */
    int64_t area_px;
} extent;

static extent measure(const uint8_t *mask, int32_t width_px, int32_t height_px)
{
    extent out = {width_px, height_px, 0, 0, 0};
    for (int32_t y = 0; y < height_px; y++)
        for (int32_t x = 0; x < width_px; x++, mask++) {
            if (!*mask)
                continue;
            out.x0_px = x < out.x0_px ? x : out.x0_px;
            out.y0_px = y < out.y0_px ? y : out.y0_px;
            out.x1_px = x >= out.x1_px ? x + 1 : out.x1_px;
            out.y1_px = y + 1;
            out.area_px++;
        }
    return out;
}

static sono_status coco_open(sono_export *self, sono_error *error)
{
    (void)error;
    sono_text_format(&self->text,
                     "{\"info\": {\"description\": \"results of sonoseg\", \"version\": \"%s\"},\n"
                     "\"licenses\": [],\n\"images\": [",
                     sono_version());
    return SONO_STATUS_OK;
}

static sono_status coco_describe(sono_export *self, const sono_export_frame *frame, sono_error *error)
{
    (void)error;
    sono_text *text = &self->text;
    const sono_frame_info *info = frame->info;
    sono_text_format(text, "%s{\"id\": %" PRId64 ", \"file_name\": ", self->n_described ? ",\n" : "\n",
                     self->n_described + 1);
    sono_text_add_name(text, frame->name);
    sono_text_format(text, ", \"width\": %d, \"height\": %d, \"frame_id\": %" PRIu64 ", \"state\": \"%s\"",
                     frame->width_px, frame->height_px, info->frame_id, sono_state_name(frame->state));
    if (info->timestamp_ns) {
        sono_text_add(text, ", \"timestamp_s\": ");
        sono_text_add_seconds(text, info->timestamp_ns);
    }
    sono_text_add_place(text, info);
    sono_text_add(text, "}");
    return SONO_STATUS_OK;
}

static sono_status coco_described(sono_export *self, sono_error *error)
{
    (void)error;
    sono_text_add(&self->text, "\n],\n\"annotations\": [");
    return SONO_STATUS_OK;
}

/* [x, y, width, height] */
static void add_box(sono_text *text, const float box[4])
{
    sono_text_add(text, "[");
    for (int i = 0; i < 4; i++) {
        sono_text_add_float(text, i < 2 ? box[i] : box[i] - box[i - 2]);
        sono_text_add(text, i < 3 ? ", " : "]");
    }
}

static void add_annotation(sono_export *self, const sono_export_frame *frame,
                           const sono_export_object *object)
{
    sono_text *text = &self->text;
    const float *box = object->bbox_xyxy_px;
    const int has_box = box[2] > box[0] && box[3] > box[1];
    extent found = {0};
    if (object->mask)
        found = measure(object->mask, frame->width_px, frame->height_px);
    if (object->mask ? !found.area_px : !has_box)
        return;
    sono_text_format(
        text, "%s{\"id\": %" PRId64 ", \"image_id\": %" PRId64 ", \"category_id\": %d, \"iscrowd\": 0",
        self->n_annotations ? ",\n" : "\n", self->n_annotations + 1, self->n_added + 1, object->class_id + 1);
    sono_text_add(text, ", \"score\": ");
    sono_text_add_float(text, object->score);
    if (object->mask) {
        sono_text_format(text, ", \"area\": %" PRId64 ", \"bbox\": [%d, %d, %d, %d]", found.area_px,
                         found.x0_px, found.y0_px, found.x1_px - found.x0_px, found.y1_px - found.y0_px);
        sono_text_add(text, ", \"segmentation\": ");
        sono_rle_write(text, object->mask, frame->width_px, frame->height_px);
    } else {
        sono_text_add(text, ", \"area\": ");
        sono_text_add_float(text, (box[2] - box[0]) * (box[3] - box[1]));
        sono_text_add(text, ", \"bbox\": ");
        add_box(text, box);
    }
    if (object->mask && has_box) {
        sono_text_add(text, ", \"detector_bbox\": ");
        add_box(text, box);
    }
    sono_text_add(text, "}");
    self->has_class[object->class_id] = 1;
    self->n_annotations++;
}

static sono_status coco_add(sono_export *self, const sono_export_frame *frame,
                            const sono_export_object *objects, int32_t n_objects,
                            const sono_export_surface *surface, sono_error *error)
{
    (void)surface;
    (void)error;
    for (int32_t k = 0; k < n_objects; k++)
        add_annotation(self, frame, &objects[k]);
    return SONO_STATUS_OK;
}

/* Class 0 is there always, so that a file without annotations has a category. */
static sono_status coco_end(sono_export *self, sono_error *error)
{
    (void)error;
    sono_text *text = &self->text;
    sono_text_add(text, "\n],\n\"categories\": [");
    for (int32_t k = 0; k < SONO_EXPORT_CLASSES; k++) {
        char number[16] = "";
        if (k && !self->has_class[k])
            continue;
        sono_text_format(text, "%s{\"id\": %d, \"name\": ", k ? ",\n" : "\n", k + 1);
        sono_text_add_name(text, self->category);
        if (k) {
            snprintf(number, sizeof number, " %d\"", k);
            text->n_bytes -= !text->is_short; /* the closing quote */
            sono_text_add(text, number);
        }
        sono_text_add(text, ", \"supercategory\": \"\"}");
    }
    sono_text_add(text, "\n]}\n");
    return SONO_STATUS_OK;
}

const sono_export_ops sono_export_coco = {
    .open = coco_open,
    .describe = coco_describe,
    .described = coco_described,
    .add = coco_add,
    .end = coco_end,
};
