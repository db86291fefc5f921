// SPDX-License-Identifier: Apache-2.0
/* What was found in a frame, as a GstStructure: the same on the buffer and on the bus. */
#ifndef SONO_GST_RESULT_H
#define SONO_GST_RESULT_H

#include <gst/gst.h>

#include "sonoseg/sonoseg.h"

/* The custom meta on every buffer; gst_custom_meta_get_structure() has the fields of sono_gst_result_fill().
 */
#define SONO_GST_META "SonosegMeta"

/* Registers SONO_GST_META; to be called once, when the plugin is loaded. */
void sono_gst_result_register(void);

/* Fields: frame-id (guint64), state (string), score, latency-ms (double), n-objects, width, height (int),
 * backend (string); unless LOST: x1 y1 x2 y2 (double), class-id (int), iou (double), mask-area (gint64), of
 * the best object, and objects (an array of structures with score and these) where there are several; where
 * the networks saw a part of the frame: region-x, -y, -width, -height (int); with state=frame or stream:
 * quality, agreement, reasons (int; docs/state.md). */
void sono_gst_result_fill(GstStructure *structure, const sono_packet *packet);

/* Puts SONO_GST_META and, unless LOST, a region of interest of type "sonoseg" for each object's box on a
 * writable buffer. Returns the meta's structure, the buffer's. */
const GstStructure *sono_gst_result_attach(GstBuffer *buffer, const sono_packet *packet);

#endif
