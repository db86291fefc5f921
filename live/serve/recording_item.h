// SPDX-License-Identifier: Apache-2.0
/* Private to the recording: a frame or a mask on its way to the disk, one block of memory. */
#ifndef SONO_SERVE_RECORDING_ITEM_H
#define SONO_SERVE_RECORDING_ITEM_H

#include "record/record.h"
#include "serve/engine.h"
#include "serve/frame.h"

#define SONO_SERVE_ITEM_FIELDS 12

typedef struct sono_serve_item {
    struct sono_serve_item *next;
    size_t n_bytes; /* of all its memory */
    int32_t is_mask;
    int32_t is_empty; /* a mask without pixels: all zero */
    sono_orientation orientation;
    char device[SONO_IGTL_DEVICE_CHARS + 1];
    sono_record_frame frame; /* what it points to lies in this block */
    int32_t n_fields;
    sono_record_field fields[SONO_SERVE_ITEM_FIELDS];
    char texts[SONO_SERVE_ITEM_FIELDS][256];
} sono_serve_item;

/* The image of a frame. NULL: out of memory. Freed with free(). */
sono_serve_item *sono_serve_item_image(const sono_serve_frame *frame);
/* Its mask. reason NULL: it is shown. Otherwise it is empty, and result says what became of the frame: NULL =
 * it was never analysed. */
sono_serve_item *sono_serve_item_mask(const sono_serve_frame *frame, const sono_serve_result *result,
                                      const char *reason);
/* Bytes that sono_serve_item_image() would take. */
size_t sono_serve_item_image_bytes(const sono_serve_frame *frame);

#endif
