// SPDX-License-Identifier: Apache-2.0
/* Drawn screens of ultrasound devices, for tests that look for the image on them: speckle in a rectangle or a
 * fan, lines of letters around it, a menu, a grey bar, a depth scale, a logo. */
#ifndef SONO_TESTS_SUPPORT_DRAWN_SCREEN_H
#define SONO_TESTS_SUPPORT_DRAWN_SCREEN_H

#include <stdint.h>

typedef enum drawn_shape { DRAWN_RECTANGLE, DRAWN_FAN } drawn_shape;

typedef struct drawn_screen {
    int32_t width_px, height_px;
    uint8_t *grey;      /* [height_px][width_px]; the caller's, filled in */
    int32_t x, y, w, h; /* out: the rectangle around the image, all of whose pixels are speckled */
} drawn_screen;

/* Draws one; the same seed, shape and size give the same screen. Sides are at least 320 px. */
void drawn_screen_make(drawn_screen *s, uint32_t seed, drawn_shape shape);

/* Everything but the image: background and letters; leaves x, y, w, h alone. */
void drawn_screen_surround(drawn_screen *s, uint32_t seed);

/* Speckle in [0, 255] at (x, y), the brighter the higher `level`; its grains are some pixels wide. */
int32_t drawn_speckle(uint32_t seed, int32_t x, int32_t y, int32_t level);

#endif
