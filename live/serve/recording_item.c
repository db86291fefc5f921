// SPDX-License-Identifier: Apache-2.0
#include "serve/recording_item.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64 /* pixels begin at a multiple of it */

static size_t element_bytes(const sono_image *image)
{
    return image->format == SONO_PIXEL_GRAY16 ? 2 : 1;
}

static int32_t components(const sono_image *image)
{
    return image->format == SONO_PIXEL_RGB8 ? 3 : image->format == SONO_PIXEL_RGBA8 ? 4 : 1;
}

static size_t pixel_bytes(const sono_image *image)
{
    return (size_t)image->width_px * (size_t)image->height_px * element_bytes(image) *
           (size_t)components(image);
}

static size_t head_bytes(const sono_serve_frame *frame)
{
    const size_t n_transforms = (size_t)frame->n_transforms;
    const size_t n_bytes =
        sizeof(sono_serve_item) + n_transforms * (sizeof(sono_record_transform) + SONO_SERVE_NAME_BYTES);
    return (n_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t sono_serve_item_image_bytes(const sono_serve_frame *frame)
{
    return head_bytes(frame) + pixel_bytes(&frame->pixels);
}

/* Those that a recording can hold; names behind the transforms. */
static void put_transforms(sono_serve_item *item, const sono_serve_frame *frame)
{
    sono_record_transform *out = (void *)(item + 1);
    char(*names)[SONO_SERVE_NAME_BYTES] = (void *)(out + frame->n_transforms);
    int32_t n = 0;
    for (int32_t i = 0; i < frame->n_transforms; i++) {
        const sono_serve_transform *from = &frame->transforms[i];
        if (!sono_record_name_is_valid(from->name))
            continue;
        memcpy(names[n], from->name, sizeof from->name);
        out[n] = (sono_record_transform){.name = names[n], .is_valid = from->is_valid};
        out[n].matrix[15] = 1;
        for (int k = 0; k < 12; k++)
            out[n].matrix[k % 3 * 4 + k / 3] = from->matrix[k];
        n++;
    }
    item->frame.transforms = out;
    item->frame.n_transforms = n;
}

__attribute__((format(printf, 3, 4))) static void put_field(sono_serve_item *item, const char *name,
                                                            const char *format, ...)
{
    va_list args;
    char *text = item->texts[item->n_fields];
    va_start(args, format);
    vsnprintf(text, sizeof item->texts[0], format, args);
    va_end(args);
    item->fields[item->n_fields++] = (sono_record_field){name, text};
    item->frame.fields = item->fields;
    item->frame.n_fields = item->n_fields;
}

static sono_serve_item *item_new(const sono_serve_frame *frame, const void *pixels, size_t n_bytes)
{
    const size_t head = head_bytes(frame);
    sono_serve_item *item = malloc(head + n_bytes);
    if (!item)
        return NULL;
    memset(item, 0, sizeof *item);
    item->n_bytes = head + n_bytes;
    item->orientation = frame->info.orientation;
    memcpy(item->device, frame->device, sizeof item->device);
    item->frame.width_px = frame->pixels.width_px;
    item->frame.height_px = frame->pixels.height_px;
    item->frame.id = frame->id;
    item->frame.timestamp_ns = frame->info.timestamp_ns;
    item->frame.raw_timestamp = frame->timestamp;
    memcpy(item->frame.spacing_mm, frame->info.spacing_mm, sizeof item->frame.spacing_mm);
    put_transforms(item, frame);
    if (n_bytes) {
        memcpy((uint8_t *)item + head, pixels, n_bytes);
        item->frame.pixels = (uint8_t *)item + head;
    }
    return item;
}

sono_serve_item *sono_serve_item_image(const sono_serve_frame *frame)
{
    const float *m = frame->image.matrix;
    sono_serve_item *item = item_new(frame, frame->pixels.pixels, pixel_bytes(&frame->pixels));
    if (!item)
        return NULL;
    item->frame.element = element_bytes(&frame->pixels) == 2 ? SONO_ELEMENT_U16 : SONO_ELEMENT_U8;
    item->frame.components = components(&frame->pixels);
    put_field(item, "ImageMatrix", "%.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g",
              (double)m[0], (double)m[1], (double)m[2], (double)m[3], (double)m[4], (double)m[5],
              (double)m[6], (double)m[7], (double)m[8], (double)m[9], (double)m[10], (double)m[11]);
    return item;
}

/* What the state was decided from, so that a replay of these frames gives the same states. */
static void put_judgement(sono_serve_item *item, const sono_serve_result *result)
{
    const sono_parts *p = &result->parts;
    put_field(item, "Quality", "%d", result->quality);
    put_field(item, "Agreement", "%d", result->agreement);
    put_field(item, "Parts", "%d %d %d %d %d %d %d %d %d %d %d %d %d", p->score, p->iou, p->sharpness,
              p->contrast, p->shadow, p->continuity, p->agreement, p->surface, p->is_repeat, p->moved_x,
              p->moved_y, p->has_box, p->is_recalled);
}

sono_serve_item *sono_serve_item_mask(const sono_serve_frame *frame, const sono_serve_result *result,
                                      const char *reason)
{
    const int is_shown = result && !reason;
    const size_t n_bytes = is_shown ? (size_t)result->width_px * (size_t)result->height_px : 0;
    sono_serve_item *item = item_new(frame, is_shown ? result->mask : NULL, n_bytes);
    if (!item)
        return NULL;
    item->is_mask = 1;
    item->is_empty = !is_shown;
    item->frame.element = SONO_ELEMENT_U8;
    item->frame.components = 1;
    put_field(item, "State", "%s", sono_state_name(is_shown ? result->state : SONO_STATE_LOST));
    put_field(item, "Reason", "%s", is_shown ? "OK" : reason);
    put_field(item, "Processed", "%d", result != NULL);
    if (!result)
        return item;
    const float *box = result->bbox_xyxy_px;
    put_field(item, "Score", "%.9g", (double)result->score);
    put_field(item, "BBox", "%.9g %.9g %.9g %.9g", (double)box[0], (double)box[1], (double)box[2],
              (double)box[3]);
    if (result->region.width_px)
        put_field(item, "Region", "%d %d %d %d", (int)result->region.x_px, (int)result->region.y_px,
                  (int)result->region.width_px, (int)result->region.height_px);
    put_field(item, "PredictedIoU", "%.9g", (double)result->iou_predicted);
    put_field(item, "AreaPx", "%lld", (long long)result->mask_area_px);
    put_field(item, "EngineMs", "%.3f", result->latency_ms);
    if (result->is_judged)
        put_judgement(item, result);
    return item;
}
