// SPDX-License-Identifier: Apache-2.0
/* Frames on their way in: checked, copied into an input block, and recorded as the networks' inputs. */
#ifndef SONO_FRAME_FRAME_H
#define SONO_FRAME_FRAME_H

#include "program/record.h"

/* Bytes of one pixel; 0 for a format that does not exist. */
size_t sono_pixel_bytes(sono_pixel_format format);

/* Bytes of input that hold any frame up to that size in any format, rows contiguous. */
size_t sono_frame_max_bytes(int32_t max_width_px, int32_t max_height_px);

/* Errors: INVALID_ARGUMENT (NULL pixels, format, sizes, a pitch shorter than a row), LIMIT (too large). */
sono_status sono_frame_check(const sono_frame *frame, int32_t max_width_px, int32_t max_height_px,
                             sono_error *error);

/* Copies a checked frame's pixels, rows contiguous, and fills in the header. */
void sono_frame_store(const sono_frame *frame, float threshold, int32_t gray16_white,
                      sono_frame_header *header, void *pixels);

/* The frame's two INPUT tensors, header first: one contiguous piece of the input block. */
typedef struct sono_frame_tensors {
    sono_tid header; /* U8 [1, 1, 1, sizeof(sono_frame_header)] */
    sono_tid pixels; /* U8 [1, 1, 1, sono_frame_max_bytes()] */
} sono_frame_tensors;

void sono_frame_record(sono_recorder *rec, int32_t max_width_px, int32_t max_height_px,
                       sono_frame_tensors *out);

#endif
