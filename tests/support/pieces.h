// SPDX-License-Identifier: Apache-2.0
/* What CLEAN_MASK must leave of a mask, by a flood fill from every pixel. */
#ifndef SONO_TESTS_SUPPORT_PIECES_H
#define SONO_TESTS_SUPPORT_PIECES_H

#include <stdint.h>

/* mask, out: [height][width], set where not 0; out gets 0 / 255. box: x1 y1 x2 y2, no box where it is empty.
 * Returns the pixels that stay. */
int32_t pieces_clean(const uint8_t *mask, int32_t width, int32_t height, const float box[4],
                     int32_t min_piece_permille, uint8_t *out);

#endif
