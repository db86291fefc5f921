// SPDX-License-Identifier: Apache-2.0
#include "serve/overlay.h"

#include <string.h>

static const uint8_t ink[3] = {0, 230, 118};

static void draw_row(const sono_image *image, int32_t white, const uint8_t *row, uint8_t *out)
{
    const int32_t width = image->width_px;
    if (image->format == SONO_PIXEL_RGB8) {
        memcpy(out, row, 3 * (size_t)width);
    } else if (image->format == SONO_PIXEL_RGBA8) {
        for (int32_t x = 0; x < width; x++)
            memcpy(out + 3 * (size_t)x, row + 4 * (size_t)x, 3);
    } else if (image->format == SONO_PIXEL_GRAY16) {
        for (int32_t x = 0; x < width; x++) {
            uint16_t sample;
            memcpy(&sample, row + 2 * (size_t)x, sizeof sample);
            memset(out + 3 * (size_t)x, sample >= white ? 255 : (int)(sample * 255u / (uint32_t)white), 3);
        }
    } else {
        for (int32_t x = 0; x < width; x++)
            memset(out + 3 * (size_t)x, row[x], 3);
    }
}

/* Whether a neighbour within the image is outside of the mask. */
static int is_outermost(const uint8_t *mask, int32_t x, int32_t y, int32_t width, int32_t height)
{
    const uint8_t *at = mask + (size_t)y * (size_t)width + (size_t)x;
    return (x > 0 && !at[-1]) || (x + 1 < width && !at[1]) || (y > 0 && !*(at - width)) ||
           (y + 1 < height && !at[width]);
}

void sono_serve_overlay_draw(const sono_image *image, int32_t gray16_white, const uint8_t *mask, uint8_t *out)
{
    static const uint8_t pixel_bytes[] = {1, 1, 2, 3, 4}; /* by sono_pixel_format */
    const int32_t width = image->width_px, height = image->height_px;
    const int32_t white = image->gray16_white ? image->gray16_white : gray16_white;
    const size_t pitch_bytes =
        image->pitch_bytes ? image->pitch_bytes : (size_t)width * pixel_bytes[image->format];
    for (int32_t y = 0; y < height; y++) {
        uint8_t *line = out + 3 * (size_t)y * (size_t)width;
        draw_row(image, white, (const uint8_t *)image->pixels + (size_t)y * pitch_bytes, line);
        for (int32_t x = 0; x < width; x++)
            if (mask[(size_t)y * (size_t)width + (size_t)x] && is_outermost(mask, x, y, width, height))
                memcpy(line + 3 * (size_t)x, ink, sizeof ink);
    }
}
