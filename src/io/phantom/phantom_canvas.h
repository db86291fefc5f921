// SPDX-License-Identifier: Apache-2.0
/* Plain drawing into 8 bits grey: what scanners show around and over their pictures. Everything is cut off at
 * the canvas's edges; nothing is allocated. */
#ifndef SONO_IO_PHANTOM_PHANTOM_CANVAS_H
#define SONO_IO_PHANTOM_PHANTOM_CANVAS_H

#include <stdint.h>

#define PHANTOM_GLYPH_W 6 /* with the gap behind it */
#define PHANTOM_GLYPH_H 7

typedef struct phantom_canvas {
    uint8_t *grey; /* rows of width_px bytes */
    int32_t width_px, height_px;
} phantom_canvas;

void phantom_put(const phantom_canvas *canvas, int32_t x, int32_t y, uint8_t ink);
void phantom_fill(const phantom_canvas *canvas, int32_t x, int32_t y, int32_t width, int32_t height,
                  uint8_t ink);

/* The edge of a rectangle, one pixel wide. */
void phantom_box(const phantom_canvas *canvas, int32_t x, int32_t y, int32_t width, int32_t height,
                 uint8_t ink);

/* Every step-th pixel of a line. */
void phantom_line(const phantom_canvas *canvas, const int32_t from[2], const int32_t to[2], int32_t step,
                  uint8_t ink);

/* Digits, capitals and : . - / % + in letters of 5 x 7 times scale; others are blanks. Returns its width. */
int32_t phantom_text(const phantom_canvas *canvas, int32_t x, int32_t y, int32_t scale, uint8_t ink,
                     const char *text);

#endif
