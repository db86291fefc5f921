// SPDX-License-Identifier: Apache-2.0
/* A bitmap font, 5 x 7: digits, letters, blank and . , # % : - + / ( ); anything else is drawn as a blank. */
#ifndef SONO_IO_IMAGES_FONT_H
#define SONO_IO_IMAGES_FONT_H

#include <stdint.h>

#define SONO_FONT_WIDTH_PX  5
#define SONO_FONT_HEIGHT_PX 7

/* The seven rows of a letter, top first; bit 4 is its left pixel. Static storage. */
const uint8_t *sono_font_rows(char letter);

#endif
