// SPDX-License-Identifier: Apache-2.0
#include "phantom_frame.h"

#define TOP_PX  190 /* of the arc */
#define HALF_PX 11  /* half its thickness */

static uint32_t noise(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ x >> 16;
}

static uint8_t pixel_at(int32_t x, int32_t y)
{
    const int32_t off_centre = x - PHANTOM_WIDTH_PX / 2;
    const int32_t below_arc = y - (TOP_PX + off_centre * off_centre / 400);
    int32_t level = 70 - y / 12;
    if (off_centre > -200 && off_centre < 200) {
        if (below_arc > -HALF_PX && below_arc < HALF_PX)
            level = 235 - 4 * (below_arc < 0 ? -below_arc : below_arc);
        else if (below_arc >= HALF_PX)
            level = 12;
    }
    const int32_t speckle = (int32_t)(noise((uint32_t)(y / 2 * PHANTOM_WIDTH_PX + x / 3)) & 63);
    const int32_t value = level * (64 + speckle) / 128 + level / 4;
    return (uint8_t)(value > 255 ? 255 : value);
}

void phantom_frame_draw(phantom_frame *phantom)
{
    for (int32_t y = 0; y < PHANTOM_HEIGHT_PX; y++)
        for (int32_t x = 0; x < PHANTOM_WIDTH_PX; x++)
            phantom->pixels[y * PHANTOM_WIDTH_PX + x] = pixel_at(x, y);
}

sono_image phantom_frame_view(const phantom_frame *phantom)
{
    return (sono_image){
        .struct_size = sizeof(sono_image),
        .pixels = phantom->pixels,
        .width_px = PHANTOM_WIDTH_PX,
        .height_px = PHANTOM_HEIGHT_PX,
        .pitch_bytes = PHANTOM_WIDTH_PX,
        .format = SONO_PIXEL_GRAY8,
    };
}
