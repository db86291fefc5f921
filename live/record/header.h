// SPDX-License-Identifier: Apache-2.0
/* Private to the recorder: what it writes into a header, and what it takes. */
#ifndef SONOSEG_LIVE_RECORD_HEADER_H
#define SONOSEG_LIVE_RECORD_HEADER_H

#include "record/record.h"
#include "record/text.h"

/* What all frames of a segment have in common. */
typedef struct sono_record_shape {
    int32_t width_px, height_px;
    sono_element element;
    int32_t components;
    double spacing_mm[2];
} sono_record_shape;

/* Bytes of an element; 0 for what is none. */
size_t sono_record_element_bytes(sono_element element);

/* "MET_UCHAR" and so on; "" for what is none. */
const char *sono_record_element_name(sono_element element);

/* 1 when both can be in one segment: spacings may differ by 0.01 %, as float matrices make them. */
int sono_record_shape_is_same(const sono_record_shape *left, const sono_record_shape *right);

/* Errors: INVALID_ARGUMENT, in a text that names the field. */
sono_status sono_record_fields_check(const sono_record_field *fields, int32_t n_fields, sono_error *error);
sono_status sono_record_frame_check(const sono_record_frame *frame, sono_error *error);

/* The lines before the frames' and those of frame number `index`; text->is_full when they did not fit. */
void sono_record_write_head(sono_record_text *text, const sono_record_shape *shape, int64_t n_frames,
                            int64_t start_ns, const sono_record_options *options);
void sono_record_write_frame(sono_record_text *text, const sono_record_frame *frame, int64_t index,
                             int64_t start_ns);

#endif
