// SPDX-License-Identifier: Apache-2.0
/* Batches of frames with masks, for the tests of ops that read both. */
#ifndef SONO_TESTS_SUPPORT_MASK_FRAMES_H
#define SONO_TESTS_SUPPORT_MASK_FRAMES_H

#include "op_test.h"

#define MASK_FRAMES_MAX         4
#define MASK_FRAMES_MAX_OBJECTS 2

typedef struct mask_frame {
    int32_t width_px, height_px;
    sono_pixel_format format;
    int32_t white; /* GRAY16 */
} mask_frame;

/* What is drawn: grey of a pixel in [0, 255], and whether an object's mask has it. */
typedef struct mask_drawing {
    int32_t (*grey)(sono_op_test *t, const mask_frame *frame, int32_t x, int32_t y);
    int (*is_set)(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y);
} mask_drawing;

typedef struct mask_frames {
    int32_t n_frames, n_objects, element_bytes;
    int32_t max_width_px, max_height_px;
    const mask_frame *frames;
    sono_frame_header headers[MASK_FRAMES_MAX];
    uint8_t *pixels, *maps; /* as the op finds them */
    int64_t pixels_bytes, maps_bytes;
    sono_tid pixels_id, headers_id, maps_id, mask_id; /* mask: maps without what is behind each mask */
} mask_frames;

/* Draws the frames and makes the op's inputs of them; masks may be written to. 16 bits: rows end in an odd
 * byte. Limits of the program: max_width_px x max_height_px. */
void mask_frames_open(mask_frames *f, sono_op_test *t, const mask_drawing *drawing);
void mask_frames_close(mask_frames *f);

/* Grey of a pixel as docs say it; the mask of an object where it lies in maps. */
int32_t mask_frames_grey(const mask_frames *f, int32_t frame, int32_t x, int32_t y);
uint8_t *mask_frames_mask(const mask_frames *f, uint8_t *maps, int32_t frame, int32_t object);

#endif
