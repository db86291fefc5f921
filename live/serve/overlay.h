// SPDX-License-Identifier: Apache-2.0
/* The image with its mask's outline drawn into it. Pure. */
#ifndef SONO_SERVE_OVERLAY_H
#define SONO_SERVE_OVERLAY_H

#include "sonoseg/sonoseg.h"

/* image: as it was submitted; gray16_white: where it does not say. mask: as large as the image, rows
 * contiguous, 0 / 255. out: RGB, rows contiguous; the mask's outermost pixels are green (0, 230, 118), where
 * the image ends the mask has no outline. */
void sono_serve_overlay_draw(const sono_image *image, int32_t gray16_white, const uint8_t *mask,
                             uint8_t *out);

#endif
