// SPDX-License-Identifier: Apache-2.0
#include "draw.h"

#include <math.h>
#include <string.h>

typedef struct pen {
    GstVideoFrame *frame;
    int32_t width_px, height_px;
    int32_t line_px;
    uint8_t ink[4];    /* a pixel's bytes in the frame's order */
    int n_bytes;       /* of a pixel */
    int n_bytes_inked; /* alpha stays */
} pen;

static void dot(const pen *self, int32_t x, int32_t y)
{
    uint8_t *row = (uint8_t *)GST_VIDEO_FRAME_PLANE_DATA(self->frame, 0) +
                   (ptrdiff_t)y * GST_VIDEO_FRAME_PLANE_STRIDE(self->frame, 0);
    memcpy(row + (ptrdiff_t)x * self->n_bytes, self->ink, (size_t)self->n_bytes_inked);
}

static void set_ink(pen *self, sono_state state, int gray16_white)
{
    static const uint8_t green[] = {0, 230, 118}, amber[] = {255, 171, 0};
    self->n_bytes = GST_VIDEO_FRAME_COMP_PSTRIDE(self->frame, 0);
    self->n_bytes_inked = MIN(self->n_bytes, 3);
    if (GST_VIDEO_FRAME_N_COMPONENTS(self->frame) >= 3) {
        memcpy(self->ink, state == SONO_STATE_VISIBLE ? green : amber, 3);
    } else if (self->n_bytes == 2) {
        const uint16_t white = (uint16_t)gray16_white;
        memcpy(self->ink, &white, sizeof white);
    } else {
        self->ink[0] = 255;
    }
}

static int32_t limit(int32_t value, int32_t high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

/* Whether a pixel outside the mask lies within the line's width; the frame's border does not count. */
static gboolean is_contour(const pen *self, const sono_map_view *mask, int32_t x, int32_t y)
{
    const int32_t x0 = limit(x - self->line_px, self->width_px - 1);
    const int32_t x1 = limit(x + self->line_px, self->width_px - 1);
    const int32_t y1 = limit(y + self->line_px, self->height_px - 1);
    for (int32_t v = limit(y - self->line_px, self->height_px - 1); v <= y1; v++) {
        const uint8_t *row = (const uint8_t *)mask->data + (size_t)v * mask->pitch_bytes;
        if (memchr(row + x0, 0, (size_t)(x1 - x0 + 1)))
            return TRUE;
    }
    return FALSE;
}

static void draw_outline(const pen *self, const sono_map_view *mask)
{
    for (int32_t y = 0; y < self->height_px; y++) {
        const uint8_t *row = (const uint8_t *)mask->data + (size_t)y * mask->pitch_bytes;
        for (int32_t x = 0; x < self->width_px; x++)
            if (row[x] && is_contour(self, mask, x, y))
                dot(self, x, y);
    }
}

static void draw_box(const pen *self, const float xyxy[4])
{
    if (xyxy[2] <= xyxy[0] && xyxy[3] <= xyxy[1])
        return; /* a state may be uncertain without a box */
    const int32_t x0 = limit((int32_t)lroundf(xyxy[0]), self->width_px - 1);
    const int32_t y0 = limit((int32_t)lroundf(xyxy[1]), self->height_px - 1);
    const int32_t x1 = limit((int32_t)lroundf(xyxy[2]), self->width_px - 1);
    const int32_t y1 = limit((int32_t)lroundf(xyxy[3]), self->height_px - 1);
    for (int32_t x = x0; x <= x1; x++) {
        dot(self, x, y0);
        dot(self, x, y1);
    }
    for (int32_t y = y0; y <= y1; y++) {
        dot(self, x0, y);
        dot(self, x1, y);
    }
}

void sono_gst_draw_overlay(GstVideoFrame *frame, const sono_packet *packet, int gray16_white)
{
    if (packet->state == SONO_STATE_LOST)
        return;
    pen self = {.frame = frame, .width_px = packet->width_px, .height_px = packet->height_px};
    self.line_px = 1 + MIN(self.width_px, self.height_px) / 400;
    set_ink(&self, packet->state, gray16_white);
    for (int32_t i = 0; i < packet->n_objects; i++) {
        sono_map_view mask;
        if (sono_packet_map(packet, i, SONO_MAP_MASK, &mask) == SONO_STATUS_OK)
            draw_outline(&self, &mask);
        draw_box(&self, sono_packet_object(packet, i)->bbox_xyxy_px);
    }
}

void sono_gst_draw_mask(GstVideoFrame *frame, const sono_packet *packet)
{
    const size_t width = (size_t)packet->width_px;
    for (int32_t i = 0; i < packet->n_objects; i++) {
        sono_map_view mask;
        const gboolean has_mask = sono_packet_map(packet, i, SONO_MAP_MASK, &mask) == SONO_STATUS_OK;
        for (int32_t y = 0; y < packet->height_px; y++) {
            uint8_t *out = (uint8_t *)GST_VIDEO_FRAME_PLANE_DATA(frame, 0) +
                           (ptrdiff_t)y * GST_VIDEO_FRAME_PLANE_STRIDE(frame, 0);
            const uint8_t *in = has_mask ? (const uint8_t *)mask.data + (size_t)y * mask.pitch_bytes : NULL;
            if (i == 0)
                memset(out, 0, width);
            for (size_t x = 0; in && x < width; x++)
                out[x] |= in[x];
        }
    }
}
