// SPDX-License-Identifier: Apache-2.0
/* What a scanner writes over its image: text in the corners, callipers, a depth scale. */
#include "io/phantom/phantom_math.h"

#define GLYPH_W     3
#define GLYPH_H     5
#define LEAST_W_PX  160
#define LEAST_H_PX  120
#define TEXT_LETTER 14

typedef struct canvas {
    uint8_t *grey; /* of the picture's first pixel */
    int32_t width, height, pitch, scale;
    uint8_t ink;
} canvas;

/* 3 x 5 letters, top row in the highest three bits: 0-9, then some capitals and a blank. */
static const uint16_t glyphs[] = {
    075557, 026227, 071747, 071717, 055711, 074717, 074757, 071222, 075757, 075717, /* 0-9 */
    075755, 065656, 074447, 065556, 074647, 074644, 055755, 072227, 044447, 057755, /* A B C D E F H I L M */
    0,
};
#define N_GLYPHS ((int32_t)(sizeof glyphs / sizeof glyphs[0]))

static void put(const canvas *c, int32_t x, int32_t y)
{
    for (int32_t dy = 0; dy < c->scale; dy++)
        for (int32_t dx = 0; dx < c->scale; dx++)
            if (x + dx >= 0 && y + dy >= 0 && x + dx < c->width && y + dy < c->height)
                c->grey[(size_t)(y + dy) * (size_t)c->pitch + (size_t)(x + dx)] = c->ink;
}

static void draw_glyph(const canvas *c, int32_t index, int32_t x, int32_t y)
{
    for (int32_t row = 0; row < GLYPH_H; row++)
        for (int32_t column = 0; column < GLYPH_W; column++)
            if (glyphs[index] >> ((GLYPH_H - 1 - row) * 3 + (GLYPH_W - 1 - column)) & 1)
                put(c, x + column * c->scale, y + row * c->scale);
}

static void draw_text(const canvas *c, phantom_dice *dice, int32_t n_letters, int32_t x, int32_t y)
{
    for (int32_t i = 0; i < n_letters; i++)
        draw_glyph(c, (int32_t)phantom_draw(dice, 0, (float)N_GLYPHS), x + i * (GLYPH_W + 1) * c->scale, y);
}

/* One or two lines in each of up to three corners; the last two letters of the first corner count frames. */
static void draw_corners(const canvas *c, phantom_dice *dice, uint64_t frame)
{
    const int32_t step = (GLYPH_H + 2) * c->scale, pad = 2 * c->scale;
    for (int32_t corner = 0; corner < 3; corner++) {
        const int32_t n_lines = (int32_t)phantom_draw(dice, 0, 2.99f);
        for (int32_t line = 0; line < n_lines; line++) {
            const int32_t n = (int32_t)phantom_draw(dice, 4, TEXT_LETTER);
            const int32_t span = n * (GLYPH_W + 1) * c->scale;
            draw_text(c, dice, n, corner & 1 ? c->width - span - pad : pad,
                      corner & 2 ? c->height - (line + 1) * step : pad + line * step);
        }
    }
    draw_glyph(c, (int32_t)(frame / 10 % 10), pad, c->height - 3 * step);
    draw_glyph(c, (int32_t)(frame % 10), pad + (GLYPH_W + 1) * c->scale, c->height - 3 * step);
}

static void draw_calliper(const canvas *c, phantom_dice *dice)
{
    const float w = (float)c->width, h = (float)c->height;
    const float x0 = phantom_draw(dice, 0.1f, 0.9f) * w, y0 = phantom_draw(dice, 0.1f, 0.9f) * h;
    const float x1 = phantom_draw(dice, 0.1f, 0.9f) * w, y1 = phantom_draw(dice, 0.1f, 0.9f) * h;
    const float length = sqrtf((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0));
    const int32_t n_dots = 1 + (int32_t)(length / (float)(5 * c->scale));
    for (int32_t i = 0; i <= n_dots; i++) {
        const float t = (float)i / (float)n_dots;
        put(c, (int32_t)(x0 + t * (x1 - x0)), (int32_t)(y0 + t * (y1 - y0)));
    }
    for (int32_t arm = -4; arm <= 4; arm++) {
        put(c, (int32_t)x0 + arm * c->scale, (int32_t)y0);
        put(c, (int32_t)x0, (int32_t)y0 + arm * c->scale);
        put(c, (int32_t)x1 + arm * c->scale, (int32_t)y1);
        put(c, (int32_t)x1, (int32_t)y1 + arm * c->scale);
    }
}

/* A tick each 5 mm at the right edge, longer each 10; one below the middle beam. */
static void draw_scale(const canvas *c, const sono_phantom_scene *scene)
{
    for (int32_t i = 1; (float)i * 5 < scene->depth_mm; i++)
        for (int32_t x = 0; x < (i & 1 ? 2 : 4); x++)
            put(c, c->width - 1 - c->scale - x * c->scale, (int32_t)((float)i * 5 * scene->px_per_mm));
    for (int32_t y = 0; y < 4; y++)
        put(c, c->width / 2, c->height - 1 - y * c->scale);
}

void sono_phantom_mark(const sono_phantom_scene *scene, uint64_t frame, const sono_phantom_view *view,
                       uint8_t *grey)
{
    const int32_t width_px = view->width_px, height_px = view->height_px;
    if (width_px < LEAST_W_PX || height_px < LEAST_H_PX)
        return;
    phantom_dice dice = {phantom_hash(scene->key ^ 0x7e47u), 0};
    const size_t first = (size_t)view->y * (size_t)view->frame_width_px + (size_t)view->x;
    canvas c = {grey + first, width_px, height_px, view->frame_width_px, 1, 0};
    c.scale = 1 + (height_px >= 300) + (height_px >= 900);
    c.ink = (uint8_t)phantom_draw(&dice, 150, 255);
    if (scene->has_text)
        draw_corners(&c, &dice, frame);
    c.scale = 1 + (height_px >= 900);
    if (scene->has_calliper)
        draw_calliper(&c, &dice);
    if (scene->has_scale)
        draw_scale(&c, scene);
}
