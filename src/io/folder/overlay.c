// SPDX-License-Identifier: Apache-2.0
#include "io/folder/overlay.h"

#include "sonoseg/io.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct canvas {
    sono_picture picture;
    int32_t line_px; /* thickness of lines */
    int32_t dot_px;  /* size of a letter's dot */
} canvas;

/* Bright, far from grey and from each other. */
static const sono_colour object_colours[] = {
    {0, 230, 118},  {255, 196, 0}, {64, 156, 255},  {255, 64, 129},
    {29, 233, 182}, {255, 109, 0}, {179, 136, 255}, {205, 220, 57},
};
static const sono_colour lost_colour = {255, 82, 82}, uncertain_colour = {255, 171, 0};
static const sono_colour surface_colour = {255, 0, 230};
static const sono_colour region_colour = {110, 110, 130};

static uint8_t grey_at(const uint8_t *row, int32_t x, const sono_image *image, int32_t gray16_white)
{
    if (image->format == SONO_PIXEL_GRAY8)
        return row[x];
    if (image->format == SONO_PIXEL_GRAY16) {
        uint16_t sample;
        memcpy(&sample, row + 2 * (size_t)x, sizeof sample);
        return sample >= gray16_white ? 255 : (uint8_t)(sample * 255u / (uint32_t)gray16_white);
    }
    const uint8_t *pixel = row + (size_t)x * (image->format == SONO_PIXEL_RGB8 ? 3 : 4);
    return (uint8_t)((19595u * pixel[0] + 38470u * pixel[1] + 7471u * pixel[2] + 0x8000u) >> 16);
}

static size_t pitch_of(const sono_image *image)
{
    static const uint8_t pixel_bytes[] = {1, 1, 2, 3, 4};
    return image->pitch_bytes ? image->pitch_bytes : (size_t)image->width_px * pixel_bytes[image->format];
}

static void draw_grey(const canvas *out, const sono_image *image, int32_t gray16_white)
{
    const int32_t white = image->gray16_white ? image->gray16_white : gray16_white;
    const size_t pitch_bytes = pitch_of(image);
    uint8_t *pixel = out->picture.pixels;
    for (int32_t y = 0; y < out->picture.height_px; y++) {
        const uint8_t *row = (const uint8_t *)image->pixels + (size_t)y * pitch_bytes;
        for (int32_t x = 0; x < out->picture.width_px; x++, pixel += 3)
            pixel[0] = pixel[1] = pixel[2] = grey_at(row, x, image, white);
    }
}

/* Whether a pixel outside the mask lies within reach_px; the image's border does not count. */
static int is_contour(const uint8_t *mask, const canvas *size, int32_t x, int32_t y, int32_t reach_px)
{
    const int32_t x0 = x < reach_px ? 0 : x - reach_px;
    const int32_t y0 = y < reach_px ? 0 : y - reach_px;
    for (int32_t v = y0; v <= y + reach_px && v < size->picture.height_px; v++)
        for (int32_t u = x0; u <= x + reach_px && u < size->picture.width_px; u++)
            if (!mask[(size_t)v * (size_t)size->picture.width_px + (size_t)u])
                return 1;
    return 0;
}

/* gap_px: 0, or the outline is dashed, so wide. */
static void draw_mask(const canvas *out, const uint8_t *mask, sono_colour ink, int32_t gap_px)
{
    const uint8_t *pixel = mask;
    for (int32_t y = 0; y < out->picture.height_px; y++)
        for (int32_t x = 0; x < out->picture.width_px; x++, pixel++) {
            const int is_drawn = !gap_px || (x + y) / gap_px % 2;
            if (*pixel)
                sono_picture_fill(&out->picture, x, y, x + 1, y + 1, ink,
                                  is_drawn && is_contour(mask, out, x, y, out->line_px) ? 256 : 48);
        }
}

/* The surface: a dot of the lines' thickness every half pixel along each line. */
static void draw_surface(const canvas *out, const sono_surface_view *surface)
{
    const float half = 0.5f * (float)(out->line_px - 1);
    for (int32_t k = 0; k < surface->n_lines; k++)
        for (int32_t i = surface->line_starts[k]; i < surface->line_starts[k + 1]; i++) {
            const int32_t next = i + 1 < surface->line_starts[k + 1] ? i + 1 : i;
            const float *a = surface->points_px + (ptrdiff_t)2 * i,
                        *b = surface->points_px + (ptrdiff_t)2 * next;
            const int32_t n_dots = 1 + (int32_t)(2 * fmaxf(b[0] - a[0], fabsf(b[1] - a[1])));
            for (int32_t d = 0; d < n_dots; d++) {
                const float share = (float)d / (float)n_dots;
                const int32_t x = (int32_t)lroundf(a[0] + share * (b[0] - a[0]) - half);
                const int32_t y = (int32_t)lroundf(a[1] + share * (b[1] - a[1]) - half);
                sono_picture_fill(&out->picture, x, y, x + out->line_px, y + out->line_px, surface_colour,
                                  256);
            }
        }
}

static int32_t plate_width(const canvas *out, const char *text)
{
    return sono_picture_text_width(text, out->dot_px) + 2 * out->dot_px;
}

static int32_t plate_height(const canvas *out)
{
    return (SONO_TEXT_DOTS + 2) * out->dot_px;
}

/* Text on a dark plate with its top left corner at x, y. */
static void draw_plate(const canvas *out, int32_t x, int32_t y, const char *text, sono_colour ink)
{
    const int32_t dot = out->dot_px;
    const sono_colour black = {0, 0, 0};
    sono_picture_fill(&out->picture, x, y, x + plate_width(out, text), y + plate_height(out), black, 192);
    sono_picture_draw_text(&out->picture, x + dot, y + dot, dot, text, ink);
}

static int32_t clamp(int32_t value, int32_t low, int32_t high)
{
    return value > high ? (high < low ? low : high) : value < low ? low : value;
}

static int32_t to_pixel(float coordinate, int32_t size_px)
{
    return isfinite(coordinate) ? clamp((int32_t)lroundf(fminf(fmaxf(coordinate, 0), 1e6f)), 0, size_px - 1)
                                : 0;
}

static void draw_rectangle(const canvas *out, int32_t x0, int32_t y0, int32_t x1, int32_t y1, sono_colour ink)
{
    const int32_t line = out->line_px;
    sono_picture_fill(&out->picture, x0, y0, x1, y0 + line, ink, 200);
    sono_picture_fill(&out->picture, x0, y1 - line, x1, y1, ink, 200);
    sono_picture_fill(&out->picture, x0, y0, x0 + line, y1, ink, 200);
    sono_picture_fill(&out->picture, x1 - line, y0, x1, y1, ink, 200);
}

/* What the networks saw, where that is not the whole frame. */
static void draw_region(const canvas *out, const sono_packet *packet)
{
    sono_region r;
    if (sono_packet_region(packet, &r) == SONO_STATUS_OK &&
        (r.width_px != packet->width_px || r.height_px != packet->height_px))
        draw_rectangle(out, r.x_px, r.y_px, r.x_px + r.width_px, r.y_px + r.height_px, region_colour);
}

/* Text above the box, or below it, or inside its top edge: wherever it fits first. */
static void draw_box(const canvas *out, const sono_object *object, const char *text, sono_colour ink)
{
    const int32_t line = out->line_px;
    const int32_t x0 = to_pixel(object->bbox_xyxy_px[0], out->picture.width_px);
    const int32_t y0 = to_pixel(object->bbox_xyxy_px[1], out->picture.height_px);
    const int32_t x1 = to_pixel(object->bbox_xyxy_px[2], out->picture.width_px) + 1;
    const int32_t y1 = to_pixel(object->bbox_xyxy_px[3], out->picture.height_px) + 1;
    draw_rectangle(out, x0, y0, x1, y1, ink);
    if (plate_width(out, text) > out->picture.width_px)
        return;
    int32_t y = y0 - plate_height(out);
    if (y < 0)
        y = y1 + plate_height(out) <= out->picture.height_px ? y1 : y0 + line;
    draw_plate(out, clamp(x0, 0, out->picture.width_px - plate_width(out, text)), y, text, ink);
}

/* Of what is RELOCALIZING a frame may have none. */
static int has_box(const sono_packet *packet, const sono_object *object)
{
    const float *box = object->bbox_xyxy_px;
    return packet->state != SONO_STATE_RELOCALIZING || box[2] > box[0] || box[3] > box[1];
}

void sono_overlay_draw(const sono_packet *packet, const sono_image *image, int32_t gray16_white, uint8_t *rgb)
{
    const int32_t longer_px = packet->width_px > packet->height_px ? packet->width_px : packet->height_px;
    const canvas out = {{rgb, packet->width_px, packet->height_px},
                        clamp((longer_px + 250) / 500, 1, 8),
                        clamp((longer_px + 250) / 400, 1, 10)};
    sono_surface_view surface;
    const int is_uncertain = packet->state == SONO_STATE_RELOCALIZING;
    char text[48];
    draw_grey(&out, image, gray16_white);
    draw_region(&out, packet);
    if (packet->state == SONO_STATE_LOST || is_uncertain) {
        snprintf(text, sizeof text, "%s %.2f", sono_state_name(packet->state),
                 (double)sono_packet_object(packet, 0)->score);
        if (plate_width(&out, text) <= out.picture.width_px)
            draw_plate(&out, 0, 0, text, is_uncertain ? uncertain_colour : lost_colour);
    }
    if (packet->state == SONO_STATE_LOST)
        return;
    const int32_t n_colours = (int32_t)(sizeof object_colours / sizeof object_colours[0]);
    for (int32_t i = packet->n_objects - 1; i >= 0; i--) {
        const sono_object *object = sono_packet_object(packet, i);
        const sono_colour ink = is_uncertain ? uncertain_colour : object_colours[i % n_colours];
        sono_map_view mask;
        if (!has_box(packet, object))
            continue;
        snprintf(text, sizeof text, "%.2f", (double)object->score);
        if (packet->n_objects > 1)
            snprintf(text, sizeof text, "#%d %.2f", i, (double)object->score);
        if (sono_packet_map(packet, i, SONO_MAP_MASK, &mask) == SONO_STATUS_OK)
            draw_mask(&out, mask.data, ink, is_uncertain ? 4 * out.line_px : 0);
        draw_box(&out, object, text, ink);
    }
    if (sono_packet_surface(packet, &surface) == SONO_STATUS_OK)
        draw_surface(&out, &surface);
}
