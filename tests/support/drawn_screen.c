// SPDX-License-Identifier: Apache-2.0
#include "drawn_screen.h"

#include <math.h>
#include <string.h>

#define LETTER_W 5
#define LETTER_H 7

static uint32_t hash(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t v = a * 2654435761u ^ (b + 0x9e3779b9u) * 2246822519u ^ (c + 0x7f4a7c15u) * 3266489917u;
    v = (v ^ v >> 15) * 2246822519u;
    v = (v ^ v >> 13) * 3266489917u;
    return v ^ v >> 16;
}

static int32_t between(uint32_t *seed, int32_t low, int32_t high)
{
    *seed = hash(*seed, 17, 29);
    return low + (int32_t)(*seed % (uint32_t)(high - low + 1));
}

int32_t drawn_speckle(uint32_t seed, int32_t x, int32_t y, int32_t level)
{
    static const int32_t weights[3] = {1, 2, 1};
    int32_t sum = 0; /* 16 times the mean of what is exponential */
    for (int32_t i = 0; i < 9; i++) {
        const double u =
            (double)(hash(seed, (uint32_t)(x + i % 3), (uint32_t)(y + i / 3)) % 65521 + 1) / 65522;
        sum += weights[i % 3] * weights[i / 3] * (int32_t)(-64 * log(u));
    }
    const int32_t value = level * sum / (16 * 64);
    return value > 255 ? 255 : value;
}

static void put(drawn_screen *s, int32_t x, int32_t y, int32_t grey)
{
    if (x >= 0 && x < s->width_px && y >= 0 && y < s->height_px)
        s->grey[(int64_t)y * s->width_px + x] = (uint8_t)grey;
}

static void put_rectangle(drawn_screen *s, int32_t x, int32_t y, int32_t w, int32_t h, int32_t grey)
{
    for (int32_t i = 0; i < w * h; i++)
        put(s, x + i % w, y + i / w, grey);
}

/* n letters of 5 x 7 dots, each `dot` pixels wide: no script, but as black and white as any. */
static void put_letters(drawn_screen *s, uint32_t seed, int32_t x, int32_t y, int32_t n, int32_t dot,
                        int32_t grey)
{
    for (int32_t i = 0; i < n; i++)
        for (int32_t k = 0; k < LETTER_W * LETTER_H && i % 6 != 5; k++)
            if (hash(seed, (uint32_t)i, (uint32_t)k) % 5 < 2)
                put_rectangle(s, x + (i * (LETTER_W + 1) + k % LETTER_W) * dot, y + k / LETTER_W * dot, dot,
                              dot, grey);
}

void drawn_screen_surround(drawn_screen *s, uint32_t seed)
{
    const int32_t w = s->width_px, h = s->height_px, dot = h / 400 + 1, line = (LETTER_H + 4) * dot;
    const int32_t background = between(&seed, 0, 2) * 12;
    memset(s->grey, background, (size_t)w * (size_t)h);
    put_rectangle(s, 0, 0, w / 8, h, background + between(&seed, 0, 40)); /* a menu on the left */
    for (int32_t y = h / 12; y < h - line; y += line)
        put_letters(s, hash(seed, 1, (uint32_t)y), 2 * dot, y, w / 8 / (LETTER_W + 1) / dot - 1, dot, 200);
    for (int32_t i = 0; i < 3; i++) { /* name and date above, values below */
        put_letters(s, hash(seed, 2, (uint32_t)i), w / 8 + i * w / 4, dot, 12, dot, 230);
        put_letters(s, hash(seed, 3, (uint32_t)i), w / 8 + i * w / 4, h - line, 10, dot, 180);
    }
    put_rectangle(s, w - w / 20, h / 40, w / 25, h / 30, 255); /* a logo */
    put_letters(s, hash(seed, 4, 0), w - w / 20 + dot, h / 40 + dot, 2, dot, 0);
    for (int32_t y = 0; y < h / 3; y++) /* the grey bar */
        put_rectangle(s, w - w / 16, h / 4 + y, w / 50, 1, 255 - 255 * y / (h / 3));
}

/* Whether the pixel (x, y) of an image of w x h is speckled: in a fan that touches all four sides. */
static int is_in_fan(int32_t w, int32_t h, int32_t near_px, int32_t x, int32_t y)
{
    const double half_angle = 0.6, radius = h + near_px, sine = sin(half_angle);
    const double px = (x + 0.5 - w / 2.0) * (2 * radius * sine / w), py = y + 0.5 + near_px * cos(half_angle);
    const double r = hypot(px, py);
    return fabs(px) <= py * tan(half_angle) && r >= near_px && r <= (h + near_px * cos(half_angle));
}

void drawn_screen_make(drawn_screen *s, uint32_t seed, drawn_shape shape)
{
    const int32_t w = s->width_px, h = s->height_px;
    drawn_screen_surround(s, seed);
    const int32_t x = between(&seed, w / 6, w / 4), y = between(&seed, h / 10, h / 6);
    const int32_t iw = between(&seed, w * 4 / 10, w * 6 / 10), ih = between(&seed, h * 5 / 10, h * 7 / 10);
    const int32_t level = between(&seed, 30, 80), near_px = between(&seed, ih / 10, ih / 3);
    int32_t x0 = w, y0 = h, x1 = 0, y1 = 0;
    for (int32_t i = 0; i < iw * ih; i++) {
        const int32_t at_x = i % iw, at_y = i / iw;
        if (shape == DRAWN_FAN && !is_in_fan(iw, ih, near_px, at_x, at_y)) {
            put(s, x + at_x, y + at_y, 0);
            continue;
        }
        put(s, x + at_x, y + at_y, drawn_speckle(seed, at_x, at_y, level - level * at_y / ih / 2));
        x0 = at_x < x0 ? at_x : x0;
        x1 = at_x + 1 > x1 ? at_x + 1 : x1;
        y0 = at_y < y0 ? at_y : y0;
        y1 = at_y + 1 > y1 ? at_y + 1 : y1;
    }
    for (int32_t k = 0; k <= 10; k++) /* the depth scale */
        put_rectangle(s, x + iw + w / 100, y + k * (ih - 1) / 10, w / 100, 1 + h / 600, 200);
    s->x = x + x0;
    s->y = y + y0;
    s->w = x1 - x0;
    s->h = y1 - y0;
}
