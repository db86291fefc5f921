// SPDX-License-Identifier: Apache-2.0
#include "sheet.h"

#include <stdlib.h>

#define MAX_COLUMNS   6
#define MARGIN_PX     14
#define GAP_PX        10
#define SHRINK        2 /* of the frames */
#define DOT_PX        2 /* of captions */
#define HEADING_DOT   3
#define LINE_PX       (SONO_TEXT_DOTS * DOT_PX)
#define CAPTION_PX    (LINE_PX + 2 * GAP_PX)
#define HEADING_PX    (SONO_TEXT_DOTS * HEADING_DOT + 2 * GAP_PX + LINE_PX + GAP_PX)
#define OUTLINE_REACH 1 /* pixels of the sheet that an outline is wide on either side */

static const sono_colour paper = {18, 19, 23}, text_ink = {226, 228, 233}, dim_ink = {150, 154, 163};
static const sono_colour truth_ink = {255, 196, 0}, found_ink = {0, 230, 118};

typedef struct plane {
    const uint8_t *bytes;
    int32_t width_px, height_px;
    size_t pitch_bytes;
} plane;

int sheet_open(sheet *self, int32_t n_cells, int32_t frame_width_px, int32_t frame_height_px)
{
    const int32_t n_columns = n_cells < MAX_COLUMNS ? n_cells : MAX_COLUMNS;
    const int32_t n_rows = (n_cells + n_columns - 1) / n_columns;
    *self = (sheet){
        .cell_width_px = (frame_width_px + SHRINK - 1) / SHRINK,
        .cell_height_px = (frame_height_px + SHRINK - 1) / SHRINK,
        .n_columns = n_columns,
    };
    sono_picture *out = &self->picture;
    out->width_px = 2 * MARGIN_PX + n_columns * (self->cell_width_px + GAP_PX) - GAP_PX;
    out->height_px = 2 * MARGIN_PX + HEADING_PX + n_rows * (self->cell_height_px + CAPTION_PX);
    out->pixels = malloc(3 * (size_t)out->width_px * (size_t)out->height_px);
    if (!out->pixels)
        return -1;
    sono_picture_fill(out, 0, 0, out->width_px, out->height_px, paper, 256);
    return 0;
}

static int32_t clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Mean of the source's pixels below cell pixels x - reach..x + reach, y - reach..y + reach. */
static int32_t mean_below(const plane *source, const sheet *self, int32_t x, int32_t y, int32_t reach)
{
    const int32_t width = source->width_px, height = source->height_px;
    const int32_t x0 = clamp((x - reach) * width / self->cell_width_px, 0, width - 1);
    const int32_t y0 = clamp((y - reach) * height / self->cell_height_px, 0, height - 1);
    const int32_t x1 = clamp((x + reach + 1) * width / self->cell_width_px, x0 + 1, width);
    const int32_t y1 = clamp((y + reach + 1) * height / self->cell_height_px, y0 + 1, height);
    int32_t sum = 0;
    for (int32_t v = y0; v < y1; v++)
        for (int32_t u = x0; u < x1; u++)
            sum += source->bytes[(size_t)v * source->pitch_bytes + (size_t)u];
    return sum / ((x1 - x0) * (y1 - y0));
}

/* How much of an outline goes through a pixel: most where half of what is around it lies inside. */
static int32_t outline_weight(int32_t mean)
{
    const int32_t off_edge = 2 * mean - 255;
    return clamp((255 - (off_edge < 0 ? -off_edge : off_edge)) * 3 / 2, 0, 256);
}

static void draw_pixel(sheet *self, int32_t x, int32_t y, sono_colour ink, int32_t weight)
{
    sono_picture_fill(&self->picture, x, y, x + 1, y + 1, ink, weight);
}

static void draw_cell(sheet *self, const sheet_cell *cell, int32_t left_px, int32_t top_px)
{
    const int32_t width = cell->image->width_px, height = cell->image->height_px;
    const size_t pitch = cell->image->pitch_bytes ? cell->image->pitch_bytes : (size_t)width;
    const plane grey = {cell->image->pixels, width, height, pitch};
    const plane truth = {cell->truth, width, height, (size_t)width};
    const plane found = {cell->found, width, height, (size_t)width};
    for (int32_t y = 0; y < self->cell_height_px; y++)
        for (int32_t x = 0; x < self->cell_width_px; x++) {
            const uint8_t level = (uint8_t)mean_below(&grey, self, x, y, 0);
            const int32_t is_true = outline_weight(mean_below(&truth, self, x, y, OUTLINE_REACH));
            const int32_t is_found = outline_weight(mean_below(&found, self, x, y, OUTLINE_REACH));
            draw_pixel(self, left_px + x, top_px + y, (sono_colour){level, level, level}, 256);
            draw_pixel(self, left_px + x, top_px + y, truth_ink, is_true);
            draw_pixel(self, left_px + x, top_px + y, found_ink, is_found);
        }
}

void sheet_add(sheet *self, const sheet_cell *cell)
{
    const int32_t column = self->n_cells % self->n_columns, row = self->n_cells / self->n_columns;
    const int32_t left_px = MARGIN_PX + column * (self->cell_width_px + GAP_PX);
    const int32_t top_px = MARGIN_PX + HEADING_PX + row * (self->cell_height_px + CAPTION_PX);
    self->n_cells++;
    draw_cell(self, cell, left_px, top_px);
    sono_picture_draw_text(&self->picture, left_px, top_px + self->cell_height_px + GAP_PX / 2, DOT_PX,
                           cell->caption, cell->caption_ink);
}

/* Text that ends at right_px; returns where it begins. */
static int32_t draw_to_the_left(sheet *self, int32_t right_px, int32_t top_px, const char *text,
                                sono_colour ink)
{
    const int32_t left_px = right_px - sono_picture_text_width(text, DOT_PX);
    sono_picture_draw_text(&self->picture, left_px, top_px, DOT_PX, text, ink);
    return left_px;
}

void sheet_write_heading(sheet *self, const char *heading, const char *line)
{
    const int32_t line_top_px = MARGIN_PX + SONO_TEXT_DOTS * HEADING_DOT + GAP_PX;
    sono_picture_draw_text(&self->picture, MARGIN_PX, MARGIN_PX, HEADING_DOT, heading, text_ink);
    sono_picture_draw_text(&self->picture, MARGIN_PX, line_top_px, DOT_PX, line, dim_ink);
    int32_t left_px = self->picture.width_px - MARGIN_PX;
    left_px = draw_to_the_left(self, left_px, MARGIN_PX, "true", truth_ink);
    draw_to_the_left(self, left_px - 2 * MARGIN_PX, MARGIN_PX, "found", found_ink);
}

void sheet_free(sheet *self)
{
    free(self->picture.pixels);
    *self = (sheet){0};
}
