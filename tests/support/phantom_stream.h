// SPDX-License-Identifier: Apache-2.0
/* Frames of one bone, 100 ms apart, for tests of what a pipeline keeps from frame to frame. */
#ifndef SONO_TESTS_SUPPORT_PHANTOM_STREAM_H
#define SONO_TESTS_SUPPORT_PHANTOM_STREAM_H

#include "base/frame.h"
#include "sonoseg/phantom.h"

#define PHANTOM_STREAM_WIDTH_PX  422
#define PHANTOM_STREAM_HEIGHT_PX 558
#define PHANTOM_STREAM_PIXELS    (PHANTOM_STREAM_WIDTH_PX * PHANTOM_STREAM_HEIGHT_PX)

/* Reads n_frames of the same sweep into frames, their pixels into pictures, which the frames then show. */
void phantom_stream_read(sono_phantom_shape shape, int32_t n_frames,
                         uint8_t (*pictures)[PHANTOM_STREAM_PIXELS], sono_frame *frames);

/* Left becomes right. */
void phantom_stream_mirror(uint8_t picture[PHANTOM_STREAM_PIXELS]);

/* Of two masks; 1 where both are empty. */
double phantom_stream_iou(const uint8_t a[PHANTOM_STREAM_PIXELS], const uint8_t b[PHANTOM_STREAM_PIXELS]);

#endif
