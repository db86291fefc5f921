// SPDX-License-Identifier: Apache-2.0
/* What a scanner draws beside and over its picture in each frame: the mark at the near side, depth scale,
 * focus, clock, heart beat, the box of a Doppler mode. */
#include "io/phantom/phantom_canvas.h"
#include "io/phantom/phantom_math.h"

#include <stdio.h>

#define OVERLAY_KEY 0x0a1e47u
#define LEAST_PX    160
#define CLEAR_PX    8 /* between bone and what covers tissue */
#define TEXT_BYTES  24

typedef struct overlay {
    phantom_canvas canvas;
    const sono_phantom_scene *scene;
    const sono_phantom_view *view;
    const sono_phantom_work *work;
    phantom_dice dice;
    int32_t scale;
    uint8_t ink;
} overlay;

static int draw_chance(phantom_dice *dice, float share)
{
    return phantom_draw(dice, 0, 1) < share;
}

/* A dot, a letter or a ring at the near side's corner, on the side of the probe's mark. */
static void draw_marker(overlay *o)
{
    const sono_phantom_view *v = o->view;
    const float kind = phantom_draw(&o->dice, 0, 1);
    const int32_t size = (int32_t)phantom_draw(&o->dice, 5, 10) * o->scale;
    const int32_t pad = (int32_t)phantom_draw(&o->dice, 3, 14) * o->scale;
    const int32_t x = v->is_mirrored ? v->x + v->width_px - pad - size : v->x + pad;
    const int32_t y = v->is_flipped ? v->y + v->height_px - pad - size : v->y + pad;
    static const char *const letters[] = {"P", "R", "M", "V"};
    if (kind < 0.3f)
        phantom_fill(&o->canvas, x, y, size * 2 / 3, size * 2 / 3, o->ink);
    else if (kind < 0.6f)
        phantom_text(&o->canvas, x, y, o->scale + 1, o->ink, letters[(int32_t)(kind * 1000) % 4]);
    else
        for (int32_t i = 0; i < 12 * size; i++) {
            const float turn = PHANTOM_TURN * (float)i / (float)(12 * size);
            const float radius = 0.5f * (float)size * (kind < 0.8f ? (float)(i % 7) / 6 : 1);
            phantom_put(&o->canvas, x + size / 2 + (int32_t)(radius * cosf(turn)),
                        y + size / 2 + (int32_t)(radius * sinf(turn)), o->ink);
        }
}

/* Row of the frame at a depth below the middle of the probe's face. */
static int32_t row_at(const overlay *o, float depth_mm)
{
    const float top_mm = o->scene->fan.is_fan ? o->scene->fan.top_mm : 0;
    const int32_t y = (int32_t)((depth_mm - top_mm) * o->scene->px_per_mm);
    return o->view->y + (o->view->is_flipped ? o->view->height_px - 1 - y : y);
}

/* Ticks along one side, with numbers in cm or none; and the focus: a triangle beside them. */
static void draw_scale(overlay *o)
{
    const sono_phantom_view *v = o->view;
    const int is_right = draw_chance(&o->dice, 0.65f), has_numbers = draw_chance(&o->dice, 0.5f);
    const int has_focus = draw_chance(&o->dice, 0.5f);
    const int32_t off = (int32_t)phantom_draw(&o->dice, -10, 12);
    const int32_t x = is_right ? v->x + v->width_px + off : v->x - off;
    const int32_t away = is_right ? 1 : -1;
    const float step_mm = o->scene->depth_mm > 80 ? 10 : 5;
    for (int32_t i = 0; (float)i * step_mm <= o->scene->depth_mm; i++) {
        const int32_t y = row_at(o, (float)i * step_mm), length = (i % 2 ? 3 : 6) * o->scale;
        for (int32_t k = 0; k < length; k++)
            phantom_fill(&o->canvas, x + away * k, y, 1, o->scale, o->ink);
        char text[TEXT_BYTES];
        snprintf(text, sizeof text, "%d", (int)((float)i * step_mm / 10));
        if (has_numbers && !(i % 2))
            phantom_text(&o->canvas, is_right ? x + length + 3 : x - length - 14 * o->scale, y - 3 * o->scale,
                         o->scale, o->ink, text);
    }
    const int32_t y = row_at(o, o->scene->focus_mm), size = 5 * o->scale;
    for (int32_t k = 0; k < size && has_focus; k++)
        phantom_fill(&o->canvas, x - away * (4 + k), y - k, 1, 2 * k + 1, o->ink);
}

/* Time and number of the frame. */
static void draw_clock(overlay *o, uint64_t frame)
{
    const sono_phantom_view *v = o->view;
    char text[TEXT_BYTES];
    const uint64_t second = frame / 25 + (uint64_t)phantom_draw(&o->dice, 0, 40000);
    snprintf(text, sizeof text, "%02d:%02d:%02d.%02d", (int)(8 + second / 3600 % 12), (int)(second / 60 % 60),
             (int)(second % 60), (int)(frame % 25));
    const int is_low = draw_chance(&o->dice, 0.4f);
    phantom_text(&o->canvas, v->frame_width_px - 68 * o->scale,
                 is_low ? v->frame_height_px - 10 * o->scale : 3, o->scale, o->ink, text);
}

/* A curve of the heart's beat along the lower edge, with a gap that moves on. */
static void draw_heart(overlay *o, uint64_t frame)
{
    const sono_phantom_view *v = o->view;
    const float period = phantom_draw(&o->dice, 0.12f, 0.4f) * (float)v->width_px;
    const float height = phantom_draw(&o->dice, 0.03f, 0.09f) * (float)v->height_px;
    const int32_t base = v->y + v->height_px - 2 - (int32_t)(0.3f * height);
    const int32_t gap = (int32_t)(frame * 7 % (uint64_t)v->width_px);
    int32_t last = base;
    for (int32_t x = 0; x < v->width_px; x++) {
        const float beat = fmodf((float)x, period) / period;
        const float spike = (beat - 0.3f) * 40, wave = (beat - 0.55f) * 12;
        const int32_t y = base - (int32_t)(height * (expf(-spike * spike) + 0.2f * expf(-wave * wave)));
        const int32_t from[2] = {v->x + x, last}, to[2] = {v->x + x, y};
        if (x < gap || x > gap + v->width_px / 20)
            phantom_line(&o->canvas, from, to, 1, o->ink);
        last = y;
    }
}

/* Whether there is bone within CLEAR_PX above or below a pixel of the frame. */
static int is_near_bone(const overlay *o, const uint8_t *labels, int32_t x, int32_t y)
{
    for (int32_t dy = -CLEAR_PX; dy <= CLEAR_PX; dy++)
        if (y + dy >= 0 && y + dy < o->canvas.height_px &&
            labels[(size_t)(y + dy) * (size_t)o->canvas.width_px + (size_t)x])
            return 1;
    return 0;
}

/* Whether a pixel of the frame shows what beams met; x, y lie in the picture. */
static int is_image(const overlay *o, int32_t x, int32_t y)
{
    const sono_phantom_view *v = o->view;
    if (!o->scene->fan.is_fan)
        return 1;
    const int32_t column = v->is_mirrored ? v->x + v->width_px - 1 - x : x - v->x;
    const int32_t row = v->is_flipped ? v->y + v->height_px - 1 - y : y - v->y;
    return o->work->map[(size_t)row * (size_t)v->width_px + (size_t)column].column >= 0;
}

/* The outline of a box within which flow is shown, here as patches of even grey, never over bone. */
static void draw_doppler(overlay *o, uint64_t frame, const uint8_t *labels)
{
    const sono_phantom_view *v = o->view;
    const int32_t width = (int32_t)(phantom_draw(&o->dice, 0.2f, 0.45f) * (float)v->width_px);
    const int32_t height = (int32_t)(phantom_draw(&o->dice, 0.15f, 0.35f) * (float)v->height_px);
    const int32_t x = v->x + (int32_t)(phantom_draw(&o->dice, 0.15f, 0.5f) * (float)v->width_px);
    const int32_t y = v->y + (int32_t)(phantom_draw(&o->dice, 0.15f, 0.55f) * (float)v->height_px);
    const float least = phantom_draw(&o->dice, 0.6f, 0.75f), grey = phantom_draw(&o->dice, 80, 170);
    const float shift = phantom_draw(&o->dice, 0, 200);
    for (int32_t row = 1; row + 1 < height; row++)
        for (int32_t column = 1; column + 1 < width; column++) {
            const float u = (float)column / o->scene->px_per_mm, w = (float)row / o->scene->px_per_mm;
            const float flow = phantom_noise(o->work->lattice, shift + 0.15f * u, 0.2f * w);
            const float grain = phantom_noise(o->work->lattice, 0.5f * (float)column,
                                              0.5f * (float)row + 3.7f * (float)(frame % 61));
            if (flow > least && is_image(o, x + column, y + row) &&
                !is_near_bone(o, labels, x + column, y + row))
                phantom_put(&o->canvas, x + column, y + row, (uint8_t)(grey * (0.8f + 0.4f * grain)));
        }
    phantom_box(&o->canvas, x, y, width, height, o->ink);
}

void sono_phantom_overlay(const sono_phantom_scene *scene, const sono_phantom_work *work, uint64_t frame,
                          int has_screen, const uint8_t *labels, uint8_t *grey)
{
    const sono_phantom_view *v = &work->view;
    overlay o = {{grey, v->frame_width_px, v->frame_height_px}, scene, v, work,
                 {phantom_hash(scene->key ^ OVERLAY_KEY), 0},   1,     0};
    if (v->width_px < LEAST_PX || v->height_px < LEAST_PX)
        return;
    o.scale = 1 + (v->frame_height_px >= 700);
    o.ink = (uint8_t)phantom_draw(&o.dice, 130, 255);
    const int has_marker = draw_chance(&o.dice, 0.8f), has_scale = draw_chance(&o.dice, 0.75f);
    const int has_clock = draw_chance(&o.dice, 0.5f), has_heart = draw_chance(&o.dice, 0.12f);
    const int has_doppler = draw_chance(&o.dice, 0.12f);
    if (has_marker)
        draw_marker(&o);
    if (has_screen && has_doppler)
        draw_doppler(&o, frame, labels);
    if (has_screen && has_scale)
        draw_scale(&o);
    if (has_screen && has_clock)
        draw_clock(&o, frame);
    if (has_screen && has_heart)
        draw_heart(&o, frame);
}
