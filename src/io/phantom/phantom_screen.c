// SPDX-License-Identifier: Apache-2.0
/* A scanner's screen around the picture, of no scanner in particular: drawn once a sweep. What comes under
 * the picture is hidden by it. */
#include "io/phantom/phantom_canvas.h"
#include "io/phantom/phantom_math.h"

#include <stdio.h>

#define SCREEN_KEY  0x5c4ee9u
#define TEXT_BYTES  64
#define MOST_BOXES  14
#define MOST_THUMBS 6

typedef struct screen {
    phantom_canvas canvas;
    const sono_phantom_view *view;
    const float *lattice;
    phantom_dice dice;
    int32_t scale; /* of small text */
    uint8_t ground, ink;
} screen;

static const char *const words[] = {
    "DEPTH",   "GAIN",  "FREQ", "FOCUS",  "SAVE",  "PRINT",  "FREEZE",  "MODE", "PRESET",
    "GENERAL", "PROBE", "ZOOM", "MENU",   "EXIT",  "TEXT",   "BODY",    "CALC", "NAME",
    "EXAM",    "POWER", "MAP",  "FILTER", "STORE", "REVIEW", "IMAGE",   "CINE", "DIST",
    "AREA",    "ANGLE", "LEFT", "RIGHT",  "SCAN",  "SETUP",  "PERSIST", "EDGE", "TILT",
};
#define N_WORDS ((float)(sizeof words / sizeof words[0]))

static float draw(screen *s, float low, float high)
{
    return phantom_draw(&s->dice, low, high);
}

static int32_t draw_whole(screen *s, int32_t low, int32_t high)
{
    const int32_t whole = (int32_t)draw(s, (float)low, (float)high + 1);
    return whole < high ? whole : high;
}

static int draw_chance(screen *s, float share)
{
    return draw(s, 0, 1) < share;
}

static const char *draw_word(screen *s)
{
    return words[(int32_t)draw(s, 0, N_WORDS)];
}

static uint8_t draw_grey(screen *s, float low, float high)
{
    return (uint8_t)draw(s, low, high);
}

/* A line such as "GAIN 53%", "DEPTH 9.0", "02-23-11", a number, a name. */
static void draw_line_of_text(screen *s, char text[TEXT_BYTES])
{
    const float kind = draw(s, 0, 1);
    const int32_t a = draw_whole(s, 1, 99), b = draw_whole(s, 0, 99), c = draw_whole(s, 0, 9);
    const char *word = draw_word(s), *other = draw_word(s);
    if (kind < 0.3f)
        snprintf(text, TEXT_BYTES, "%s %d%%", word, (int)a);
    else if (kind < 0.5f)
        snprintf(text, TEXT_BYTES, "%.2s: %d.%d", word, (int)(a % 20), (int)c);
    else if (kind < 0.65f)
        snprintf(text, TEXT_BYTES, "%02d-%02d-%02d", (int)(1 + a % 12), (int)(1 + b % 28), (int)(10 + c));
    else if (kind < 0.8f)
        snprintf(text, TEXT_BYTES, "%s %s", word, other);
    else
        snprintf(text, TEXT_BYTES, "%d%02d%d/%c %d.%dMHZ", (int)a, (int)b, (int)c, word[0], (int)(c + 2),
                 (int)(b % 10));
}

static int32_t line_height(const screen *s)
{
    return (PHANTOM_GLYPH_H + 3) * s->scale;
}

/* Lines of text from x, y downwards. */
static void draw_lines(screen *s, int32_t x, int32_t y, int32_t n)
{
    char text[TEXT_BYTES];
    for (int32_t i = 0; i < n; i++) {
        draw_line_of_text(s, text);
        phantom_text(&s->canvas, x, y + i * line_height(s), s->scale, s->ink, text);
    }
}

/* One or two lines at the top: who, when, where; on a bar of its own or on the ground. */
static void draw_header(screen *s)
{
    const int32_t n = draw_whole(s, 1, 2), step = line_height(s), pad = 3 * s->scale;
    const int has_bar = draw_chance(s, 0.4f);
    const uint8_t bar = draw_grey(s, 12, 110);
    const int32_t y = (int32_t)(draw(s, 0, 0.4f) * (float)s->view->y);
    if (has_bar)
        phantom_fill(&s->canvas, 0, y, s->canvas.width_px, n * step + pad, bar);
    for (int32_t i = 0; i < n; i++) {
        int32_t x = pad + (int32_t)(draw(s, 0, 0.1f) * (float)s->canvas.width_px);
        const int32_t n_parts = draw_whole(s, 1, 4);
        for (int32_t part = 0; part < n_parts; part++) {
            char text[TEXT_BYTES];
            draw_line_of_text(s, text);
            x += phantom_text(&s->canvas, x, y + pad + i * step, s->scale, s->ink, text);
            x += (int32_t)(draw(s, 0.03f, 0.25f) * (float)s->canvas.width_px);
        }
    }
}

/* A word in a block, or a stack of arcs with a word below. */
static void draw_logo(screen *s, int32_t x, int32_t y)
{
    const int32_t side = (int32_t)draw(s, 16, 40) * s->scale;
    const uint8_t ink = draw_grey(s, 70, 255);
    if (draw_chance(s, 0.5f)) {
        const int32_t scale = s->scale + 1, width = 4 * PHANTOM_GLYPH_W * scale + 2 * scale;
        char text[TEXT_BYTES];
        snprintf(text, sizeof text, "%.4s", draw_word(s));
        phantom_fill(&s->canvas, x, y, width, (PHANTOM_GLYPH_H + 4) * scale, ink);
        phantom_text(&s->canvas, x + 2 * scale, y + 2 * scale, scale, ink > 140 ? 0 : 255, text);
        return;
    }
    const int32_t n_arcs = draw_whole(s, 3, 7);
    for (int32_t arc = 1; arc <= n_arcs; arc++)
        for (int32_t i = 0; i <= 4 * side; i++) {
            const float angle = 1.6f * (float)i / (float)(4 * side);
            const float radius = (float)(side * arc) / (float)n_arcs;
            phantom_put(&s->canvas, x + (int32_t)(radius * sinf(angle)), y + (int32_t)(radius * cosf(angle)),
                        ink);
        }
    phantom_text(&s->canvas, x, y + side + 3 * s->scale, s->scale, ink, draw_word(s));
}

/* Boxes with a word in each, one below the other, in what is free beside the picture. */
static void draw_menu(screen *s, int32_t x, int32_t width)
{
    const int32_t n = draw_whole(s, 4, MOST_BOXES), gap = draw_whole(s, 1, 6);
    const int32_t height = line_height(s) + draw_whole(s, 0, 14);
    const int32_t top = (int32_t)(draw(s, 0.02f, 0.3f) * (float)s->canvas.height_px);
    const uint8_t face = draw_grey(s, 15, 110), edge = draw_grey(s, 40, 200);
    const int has_edge = draw_chance(s, 0.6f);
    if (width < 4 * PHANTOM_GLYPH_W * s->scale)
        return;
    for (int32_t i = 0; i < n; i++) {
        const int32_t y = top + i * (height + gap);
        const int is_lit = draw_chance(s, 0.15f);
        phantom_fill(&s->canvas, x, y, width, height, is_lit ? (uint8_t)(face + 60) : face);
        if (has_edge)
            phantom_box(&s->canvas, x, y, width, height, edge);
        phantom_text(&s->canvas, x + 3 * s->scale, y + (height - PHANTOM_GLYPH_H * s->scale) / 2, s->scale,
                     s->ink, draw_word(s));
    }
}

/* All grey values, white at the top. */
static void draw_grey_bar(screen *s, int32_t x, int32_t y)
{
    const int32_t width = draw_whole(s, 5, 16) * s->scale;
    const int32_t height = (int32_t)(draw(s, 0.12f, 0.4f) * (float)s->canvas.height_px);
    for (int32_t row = 0; row < height; row++)
        phantom_fill(&s->canvas, x, y + row, width, 1, (uint8_t)(255 - 255 * row / height));
    phantom_box(&s->canvas, x - 1, y - 1, width + 2, height + 2, s->ink);
}

/* The curve of time-gain compensation along the picture's side. */
static void draw_gain_curve(screen *s, int32_t x)
{
    const int32_t width = draw_whole(s, 10, 30) * s->scale, n = 8;
    int32_t from[2] = {x, s->view->y};
    for (int32_t i = 1; i <= n; i++) {
        const float place = (float)i / (float)n;
        const int32_t to[2] = {x + (int32_t)(draw(s, 0.6f, 1) * sqrtf(place) * (float)width),
                               s->view->y + (int32_t)(place * (float)s->view->height_px)};
        phantom_line(&s->canvas, from, to, 1, s->ink);
        from[0] = to[0];
        from[1] = to[1];
    }
}

/* A small picture: a fan-shaped or square patch of texture. */
static void draw_thumb(screen *s, int32_t x, int32_t y, int32_t width, int32_t height)
{
    const float shift = draw(s, 0, 200), bright = draw(s, 60, 200);
    const int is_fan = draw_chance(s, 0.5f);
    phantom_fill(&s->canvas, x, y, width, height, 0);
    for (int32_t v = 1; v + 1 < height; v++)
        for (int32_t u = 1; u + 1 < width; u++) {
            const float side = fabsf(2 * (float)u / (float)width - 1), deep = (float)v / (float)height;
            if (is_fan && side > 0.25f + 0.7f * deep)
                continue;
            const float grain = phantom_noise(s->lattice, shift + 0.4f * (float)u, 0.7f * (float)v);
            const float patch = phantom_noise(s->lattice, 0.08f * (float)u, shift + 0.1f * (float)v);
            phantom_put(&s->canvas, x + u, y + v, (uint8_t)(bright * grain * patch * (1 - 0.7f * deep)));
        }
    phantom_box(&s->canvas, x, y, width, height, draw_grey(s, 40, 160));
}

static void draw_thumbs(screen *s)
{
    const int is_row = draw_chance(s, 0.6f);
    const int32_t n = draw_whole(s, 2, MOST_THUMBS);
    const int32_t below = s->canvas.height_px - s->view->y - s->view->height_px;
    const int32_t beside = s->canvas.width_px - s->view->x - s->view->width_px;
    const int32_t room = (is_row ? below : beside) - 4;
    const int32_t height = is_row ? room : room * 3 / 4, width = is_row ? room * 4 / 3 : room;
    if (room < 24)
        return;
    for (int32_t i = 0; i < n; i++)
        draw_thumb(s, is_row ? 4 + i * (width + 4) : s->canvas.width_px - width - 2,
                   is_row ? s->canvas.height_px - height - 2 : s->view->y + i * (height + 4), width, height);
}

/* Ground, panels of another grey, an edge around the picture. */
static void draw_ground(screen *s)
{
    const sono_phantom_view *v = s->view;
    const int is_black = draw_chance(s, 0.5f);
    const uint8_t dark = draw_grey(s, 6, 40), panel = draw_grey(s, 10, 70), edge = draw_grey(s, 50, 160);
    s->ground = is_black ? 0 : dark;
    s->ink = draw_grey(s, 120, 255);
    phantom_fill(&s->canvas, 0, 0, s->canvas.width_px, s->canvas.height_px, s->ground);
    if (draw_chance(s, 0.25f))
        phantom_fill(&s->canvas, 0, 0, s->canvas.width_px, v->y * 3 / 4, panel);
    if (draw_chance(s, 0.25f))
        phantom_fill(&s->canvas, 0, 0, v->x * 3 / 4, s->canvas.height_px, panel);
    if (draw_chance(s, 0.3f))
        phantom_fill(&s->canvas, v->x, v->y, v->width_px, v->height_px, 0);
    if (draw_chance(s, 0.15f))
        phantom_box(&s->canvas, v->x - 2, v->y - 2, v->width_px + 4, v->height_px + 4, edge);
}

/* Blocks of text left of, right of and below the picture; is_taken: by menus, left and right. */
static void draw_texts(screen *s, const int is_taken[2])
{
    const sono_phantom_view *v = s->view;
    const int32_t right = v->x + v->width_px, bottom = v->y + v->height_px;
    const int is_at[3] = {draw_chance(s, 0.6f), draw_chance(s, 0.4f), draw_chance(s, 0.35f)};
    const int32_t n[3] = {draw_whole(s, 2, 9), draw_whole(s, 1, 6), draw_whole(s, 1, 3)};
    const int32_t in = (int32_t)draw(s, 0, 0.2f * (float)v->width_px);
    const int32_t along = (int32_t)draw(s, 0, 0.7f * (float)right);
    if (is_at[0] && !is_taken[0])
        draw_lines(s, 4 * s->scale, v->y + 4, n[0]);
    if (is_at[1] && !is_taken[1])
        draw_lines(s, right - in, v->y + 4, n[1]);
    if (is_at[2])
        draw_lines(s, along, bottom + 4, n[2]);
}

/* Menus, curve, bar and logo. is_taken: whether there is a menu, left and right. */
static void draw_blocks(screen *s, int is_taken[2])
{
    const sono_phantom_view *v = s->view;
    const int32_t right = v->x + v->width_px, free_right = v->frame_width_px - right;
    const int has_left = draw_chance(s, 0.5f), has_right = draw_chance(s, 0.35f);
    const int has_curve = draw_chance(s, 0.35f), has_bar = draw_chance(s, 0.5f);
    const int has_logo = draw_chance(s, 0.5f), is_right[2] = {draw_chance(s, 0.5f), draw_chance(s, 0.5f)};
    const int is_low = draw_chance(s, 0.5f), logo_right = draw_chance(s, 0.5f);
    const int32_t bar_y = v->y + (int32_t)draw(s, 0, 0.3f * (float)v->height_px);
    is_taken[0] = has_left;
    is_taken[1] = has_right;
    if (has_left)
        draw_menu(s, 2, v->x - 8);
    if (has_right)
        draw_menu(s, right + free_right / 4, free_right * 3 / 4 - 2);
    if (has_curve)
        draw_gain_curve(s, is_right[0] ? right + 4 : v->x - 34 * s->scale);
    if (has_bar)
        draw_grey_bar(s, is_right[1] ? right + 8 * s->scale : v->x - 24 * s->scale, bar_y);
    if (has_logo)
        draw_logo(s, logo_right ? v->frame_width_px - 60 * s->scale : 6,
                  is_low ? v->frame_height_px - 60 * s->scale : 6);
}

void sono_phantom_screen(const sono_phantom_scene *scene, const sono_phantom_work *work, uint8_t *grey)
{
    const sono_phantom_view *v = &work->view;
    screen s = {.canvas = {grey, v->frame_width_px, v->frame_height_px},
                .view = v,
                .lattice = work->lattice,
                .dice = {phantom_hash(scene->key ^ SCREEN_KEY), 0}};
    const float share = v->frame_height_px >= 450 ? 0.4f : 0.1f;
    s.scale = 1 + (v->frame_height_px >= 700) + draw_chance(&s, share);
    draw_ground(&s);
    if (draw_chance(&s, 0.35f))
        draw_thumbs(&s);
    int is_taken[2];
    draw_blocks(&s, is_taken);
    draw_texts(&s, is_taken);
    if (draw_chance(&s, 0.85f))
        draw_header(&s);
}
