// SPDX-License-Identifier: Apache-2.0
#include "pieces.h"

#include "test.h"

#include "base/alloc.h"

#include <math.h>

typedef struct field {
    const uint8_t *mask;
    int32_t width, height;
    int32_t *piece_of; /* 0 = none yet */
    int32_t *stack;
} field;

/* Pixels of the piece around `first`, which gets the number `piece`. */
static int32_t flood(const field *f, int32_t first, int32_t piece)
{
    int32_t n = 0, area = 0;
    f->stack[n++] = first;
    f->piece_of[first] = piece;
    while (n > 0) {
        const int32_t i = f->stack[--n], x = i % f->width, y = i / f->width;
        area++;
        for (int32_t yy = y - 1; yy <= y + 1; yy++)
            for (int32_t xx = x - 1; xx <= x + 1; xx++) {
                if (xx < 0 || yy < 0 || xx >= f->width || yy >= f->height)
                    continue;
                const int32_t j = yy * f->width + xx;
                if (f->mask[j] && !f->piece_of[j]) {
                    f->piece_of[j] = piece;
                    f->stack[n++] = j;
                }
            }
    }
    return area;
}

static int is_near(const float box[4], int32_t x, int32_t y)
{
    const double w = box[2] - box[0], h = box[3] - box[1];
    if (!(w > 0) || !(h > 0))
        return 1;
    return x >= floor(box[0] - w / 4) && x <= floor(box[2] + w / 4 + 1) && y >= floor(box[1] - h / 4) &&
           y <= floor(box[3] + h / 4 + 1);
}

int32_t pieces_clean(const uint8_t *mask, int32_t width, int32_t height, const float box[4],
                     int32_t min_piece_permille, uint8_t *out)
{
    const int32_t n = width * height;
    const field f = {mask, width, height, sono_alloc_array((size_t)n, sizeof(int32_t)),
                     sono_alloc_array((size_t)n, sizeof(int32_t))};
    int32_t *areas = sono_alloc_array((size_t)n + 1, sizeof *areas);
    int32_t n_pieces = 0, largest = 0, area = 0;
    assert_true(f.piece_of && f.stack && areas);
    for (int32_t i = 0; i < n; i++)
        if (mask[i] && !f.piece_of[i]) {
            n_pieces++;
            areas[n_pieces] = flood(&f, i, n_pieces);
        }
    for (int32_t p = 1; p <= n_pieces; p++) {
        int near = 0;
        for (int32_t i = 0; i < n; i++)
            near |= f.piece_of[i] == p && is_near(box, i % width, i / width);
        areas[p] = near ? areas[p] : 0;
        largest = areas[p] > largest ? areas[p] : largest;
    }
    for (int32_t i = 0; i < n; i++) {
        const int64_t count = mask[i] ? areas[f.piece_of[i]] : 0;
        const int stays = count > 0 && count * 1000 >= (int64_t)largest * min_piece_permille;
        out[i] = stays ? 255 : 0;
        area += stays;
    }
    sono_free(f.piece_of);
    sono_free(f.stack);
    sono_free(areas);
    return area;
}
