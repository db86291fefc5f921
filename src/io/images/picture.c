// SPDX-License-Identifier: Apache-2.0
#include "sonoseg/io.h"

#include "io/images/font.h"

#include <string.h>

#define PITCH_DOTS (SONO_FONT_WIDTH_PX + 1) /* from one letter to the next */

static uint8_t mix(uint8_t under, uint8_t over, int32_t weight)
{
    return (uint8_t)((under * (256 - weight) + over * weight) >> 8);
}

void sono_picture_fill(const sono_picture *picture, int32_t x0_px, int32_t y0_px, int32_t x1_px,
                       int32_t y1_px, sono_colour ink, int32_t weight)
{
    const int32_t left_px = x0_px < 0 ? 0 : x0_px;
    const int32_t right_px = x1_px > picture->width_px ? picture->width_px : x1_px;
    for (int32_t y = y0_px < 0 ? 0 : y0_px; y < y1_px && y < picture->height_px; y++) {
        uint8_t *pixel = picture->pixels + 3 * ((size_t)y * (size_t)picture->width_px + (size_t)left_px);
        for (int32_t x = left_px; x < right_px; x++, pixel += 3) {
            pixel[0] = mix(pixel[0], ink.r, weight);
            pixel[1] = mix(pixel[1], ink.g, weight);
            pixel[2] = mix(pixel[2], ink.b, weight);
        }
    }
}

int32_t sono_picture_text_width(const char *text, int32_t dot_px)
{
    const int32_t n_letters = (int32_t)strlen(text);
    return n_letters ? (n_letters * PITCH_DOTS - 1) * dot_px : 0;
}

void sono_picture_draw_text(const sono_picture *picture, int32_t x_px, int32_t y_px, int32_t dot_px,
                            const char *text, sono_colour ink)
{
    for (; *text; text++, x_px += PITCH_DOTS * dot_px) {
        const uint8_t *rows = sono_font_rows(*text);
        for (int32_t v = 0; v < SONO_FONT_HEIGHT_PX; v++)
            for (int32_t u = 0; u < SONO_FONT_WIDTH_PX; u++)
                if (rows[v] >> (SONO_FONT_WIDTH_PX - 1 - u) & 1)
                    sono_picture_fill(picture, x_px + u * dot_px, y_px + v * dot_px, x_px + (u + 1) * dot_px,
                                      y_px + (v + 1) * dot_px, ink, 256);
    }
}
