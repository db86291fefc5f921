// SPDX-License-Identifier: Apache-2.0
#include "deep.h"

#include <stdio.h>

static int32_t largest_sample(const sono_image *image)
{
    const size_t pitch_bytes = image->pitch_bytes ? image->pitch_bytes : 2 * (size_t)image->width_px;
    uint16_t most = 0;
    for (int32_t y = 0; y < image->height_px; y++) {
        const uint16_t *row = (const void *)((const uint8_t *)image->pixels + (size_t)y * pitch_bytes);
        for (int32_t x = 0; x < image->width_px; x++)
            most = row[x] > most ? row[x] : most;
    }
    return most;
}

int deep_look(deep *self, const sono_image *image)
{
    if (image->format != SONO_PIXEL_GRAY16 || image->gray16_white || self->n_frames == DEEP_FRAMES)
        return 0;
    const int32_t most = largest_sample(image);
    self->largest = most > self->largest ? most : self->largest;
    return ++self->n_frames == DEEP_FRAMES;
}

void deep_hint(deep *self)
{
    int32_t n_bits = 8;
    while ((1 << n_bits) - 1 < self->largest)
        n_bits += 2;
    const int is_over = self->is_over;
    self->is_over = 1;
    if (is_over || !self->largest || n_bits > 12)
        return;
    fprintf(stderr,
            "sonoseg: hint: the 16-bit samples do not exceed %d: this looks like %d-bit data, shown nearly "
            "black; pass --gray16-white %d or --gray16-white auto\n",
            (int)self->largest, (int)n_bits, (1 << n_bits) - 1);
}
