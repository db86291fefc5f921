// SPDX-License-Identifier: Apache-2.0
/* Frames without end: the inputs round and round, or the built-in frame where there are none. */
#ifndef SONOSEG_TOOL_FRAME_LOOP_H
#define SONOSEG_TOOL_FRAME_LOOP_H

#include "phantom_frame.h"
#include "pipeline_args.h"

typedef struct frame_loop {
    const pipeline_args *args;
    sono_source *source; /* NULL = the built-in frame, or nothing read yet */
    phantom_frame phantom;
} frame_loop;

/* args: kept, must outlive the loop. */
void frame_loop_init(frame_loop *loop, const pipeline_args *args);

/* The next image; its pixels are valid until the next call. Returns 0, or -1 after report_error(). */
int frame_loop_next(frame_loop *loop, sono_image *image);

void frame_loop_close(frame_loop *loop);

#endif
