// SPDX-License-Identifier: Apache-2.0
/* An image and what is known of it, as long as this library knows them. */
#ifndef SONO_BASE_FRAME_H
#define SONO_BASE_FRAME_H

#include "base/status.h"

typedef struct sono_frame {
    sono_image image;
    sono_frame_info info;
} sono_frame;

/* Sets up both. */
void sono_frame_init(sono_frame *frame);

/* Takes what a caller gives, whatever its size. info: NULL = nothing is known. Errors: INVALID_ARGUMENT,
 * UNSUPPORTED (base/sized.h). */
sono_status sono_frame_read(const sono_image *image, const sono_frame_info *info, sono_frame *out,
                            sono_error *error);

/* Hands both to a caller, whatever its sizes; info may be NULL. Errors: INVALID_ARGUMENT (not set up). */
sono_status sono_frame_write(const sono_frame *frame, sono_image *image, sono_frame_info *info,
                             sono_error *error);

/* Takes only the metadata; NULL = nothing is known. */
sono_status sono_frame_info_read(const sono_frame_info *info, sono_frame_info *out, sono_error *error);

#endif
