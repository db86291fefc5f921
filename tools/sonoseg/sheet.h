// SPDX-License-Identifier: Apache-2.0
/*
 * A contact sheet: small frames in rows, each with the outline that is true and the one that was found, and a
 * caption; a heading above.
 */
#ifndef SONOSEG_TOOL_SHEET_H
#define SONOSEG_TOOL_SHEET_H

#include "sonoseg/io.h"

typedef struct sheet {
    sono_picture picture; /* pixels owned */
    int32_t cell_width_px, cell_height_px;
    int32_t n_columns;
    int32_t n_cells; /* filled so far */
} sheet;

typedef struct sheet_cell {
    const sono_image *image; /* GRAY8; any size: it is stretched into the cell */
    const uint8_t *truth;    /* image->height_px rows of image->width_px bytes, not 0 = inside */
    const uint8_t *found;    /* likewise */
    const char *caption;
    sono_colour caption_ink;
} sheet_cell;

/* Room for n_cells pictures of frames of that size. Returns 0, or -1 when out of memory. */
int sheet_open(sheet *self, int32_t n_cells, int32_t frame_width_px, int32_t frame_height_px);

/* Draws the next cell; what it points to is borrowed for the call. */
void sheet_add(sheet *self, const sheet_cell *cell);

/* Writes heading, a line below it, and the legend. */
void sheet_write_heading(sheet *self, const char *heading, const char *line);

void sheet_free(sheet *self);

#endif
