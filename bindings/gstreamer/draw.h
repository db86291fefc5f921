// SPDX-License-Identifier: Apache-2.0
/* What a packet found, drawn into a frame; and its mask, written into one. */
#ifndef SONO_GST_DRAW_H
#define SONO_GST_DRAW_H

#include <gst/video/video.h>

#include "sonoseg/sonoseg.h"

/* Draws each object's outline and box, in green where VISIBLE and in amber where RELOCALIZING; in grey
 * formats in white (GRAY16: gray16_white). frame: mapped for writing, as large as the packet, of one of the
 * element's formats. A LOST frame stays as it is. */
void sono_gst_draw_overlay(GstVideoFrame *frame, const sono_packet *packet, int gray16_white);

/* Writes the union of the objects' masks, 0 / 255; all 0 where LOST. frame: GRAY8, mapped for writing. */
void sono_gst_draw_mask(GstVideoFrame *frame, const sono_packet *packet);

#endif
