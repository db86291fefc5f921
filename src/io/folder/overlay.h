// SPDX-License-Identifier: Apache-2.0
/*
 * The picture a person looks at: the frame in grey, each object's mask as a slight tint with a clear contour,
 * its box and its score, the surface as a line. One colour an object; a LOST frame says so in words. Lines
 * and letters grow with the image.
 */
#ifndef SONO_IO_FOLDER_OVERLAY_H
#define SONO_IO_FOLDER_OVERLAY_H

#include "base/status.h"

/* Draws into rgb: height_px rows of width_px * 3 bytes, contiguous. frame has packet's size; gray16_white is
 * the 16-bit value that shows as white in a frame that does not say. */
void sono_overlay_draw(const sono_packet *packet, const sono_image *image, int32_t gray16_white,
                       uint8_t *rgb);

#endif
