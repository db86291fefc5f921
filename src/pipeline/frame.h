// SPDX-License-Identifier: Apache-2.0
/* Frames on their way in: checked, copied into an input block, and recorded as the networks' inputs. */
#ifndef SONO_PIPELINE_FRAME_H
#define SONO_PIPELINE_FRAME_H

#include "base/frame.h"
#include "base/pixel.h"
#include "graph/record.h"

/* Bytes of input that hold any frame up to that size in any format, rows contiguous. */
size_t sono_frame_max_bytes(int32_t max_width_px, int32_t max_height_px);

/* Errors: INVALID_ARGUMENT (NULL pixels, format, sizes, white, a pitch shorter than a row), LIMIT (a side
 * above the longer of the two limits, or more pixels than their product). */
sono_status sono_frame_check(const sono_image *image, int32_t max_width_px, int32_t max_height_px,
                             sono_error *error);

/* The region that is given for a frame: the configuration's, else the frame's own, else one of width 0, as
 * with find_region. Borrowed from either. */
const sono_region *sono_frame_region(const sono_frame *frame, const sono_pipeline_config *config);

/* Whether a region lies within a checked frame; all 0 = none is given. Errors: INVALID_ARGUMENT. */
sono_status sono_frame_check_region(const sono_image *image, const sono_region *region, sono_error *error);

/* The region of a frame's header: as given where it lies within the frame, else all 0. */
void sono_frame_put_region(sono_frame_header *header, const sono_region *region);

/* Bytes of a frame's pixels as sono_frame_store() leaves them. */
int64_t sono_frame_bytes(const sono_image *image);

/* Copies a checked frame's pixels, rows contiguous, to at_bytes in the pixels of all frames, and fills in its
 * header. pixels NULL: the frame's are in device memory and stay where they are. gray16_white: of a frame
 * that does not say. */
void sono_frame_store(const sono_frame *frame, float threshold, int32_t gray16_white,
                      sono_frame_header *header, void *pixels, int64_t at_bytes);

/* Fills in the header of a checked frame whose pixels lie at the start of the pixels of all frames. */
void sono_frame_describe(const sono_frame *frame, float threshold, int32_t gray16_white,
                         sono_frame_header *header);

/* A placeholder for a frame that a batch lacks: one pixel, whichever lies first, with a threshold that no
 * score reaches. */
void sono_frame_store_none(sono_frame_header *header);

/* The N frames' two INPUT tensors, headers first: one contiguous piece of the input block. Pixels of one
 * frame follow those of the frame before, so that what is used of the block is one piece from its start on.
 */
typedef struct sono_frame_tensors {
    sono_tid header; /* U8 [N, 1, 1, sizeof(sono_frame_header)] */
    sono_tid pixels; /* U8 [N, 1, 1, sono_frame_max_bytes()] */
} sono_frame_tensors;

void sono_frame_record(sono_recorder *rec, int32_t n_frames, int32_t max_width_px, int32_t max_height_px,
                       sono_frame_tensors *out);

#endif
