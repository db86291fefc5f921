// SPDX-License-Identifier: Apache-2.0
/*
 * Which pixels of an OpenIGTLink IMAGE are analysed, and how they become a sono_image. Pure.
 *
 * | scalar, components             | becomes                 | how | | ------------------------------ |
 * ----------------------- | --------------------------------------------- | | uint8 x 1, 3, 4 | GRAY8, RGB8,
 * RGBA8      | as they are                                   | | uint16 x 1, little endian      | GRAY16 | as
 * they are                                   | | uint16 x 1, big endian         | GRAY16                  |
 * bytes swapped in place                        | | int8, int16, int32, uint32,    | GRAY8, with | round(255
 * (v - LOW) / (HIGH - LOW)), clamped, | | float32, float64 x 1           | source.window LOW,HIGH  | NaN
 * black, in place, either byte order        | | anything else, more than one   | refused                 |
 * UNSUPPORTED, the text says what to configure  | | slice, a part of a volume      | | |
 */
#ifndef SONO_SERVE_PIXELS_H
#define SONO_SERVE_PIXELS_H

#include "igtl/messages.h"
#include "sonoseg/sonoseg.h"

/* Samples that become black and white; is_set 0 = there is none. */
typedef struct sono_serve_window {
    int32_t is_set;
    double low, high;
} sono_serve_window;

/* "LOW,HIGH", finite, LOW below HIGH; "" = none. 0, or -1 where it is neither: then out is untouched. */
int sono_serve_window_parse(const char *text, sono_serve_window *out);

typedef enum sono_serve_pixels_rule {
    SONO_SERVE_PIXELS_AS_IS = 0,
    SONO_SERVE_PIXELS_SWAP16,
    SONO_SERVE_PIXELS_WINDOW
} sono_serve_pixels_rule;

typedef struct sono_serve_pixels_plan {
    sono_serve_pixels_rule rule;
    sono_pixel_format format;
    int32_t width_px, height_px;
    uint8_t scalar, endian; /* of the wire */
    sono_serve_window window;
} sono_serve_pixels_plan;

/* NULL: out says what to do. Else one line, static: why the image cannot be used. */
const char *sono_serve_pixels_check(const sono_igtl_image *image, const sono_serve_window *window,
                                    sono_serve_pixels_plan *out);

/* In place. pixels: as they came, at least 2 bytes aligned. */
void sono_serve_pixels_convert(const sono_serve_pixels_plan *plan, uint8_t *pixels);

#endif
