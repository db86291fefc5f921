// SPDX-License-Identifier: Apache-2.0
/* What ffmpeg's framecrc format says of each frame, a line of text each: its time and its size in bytes. */
#ifndef SONO_IO_VIDEO_TIMES_H
#define SONO_IO_VIDEO_TIMES_H

#include "base/status.h"

#define SONO_VIDEO_LINE_BYTES 512 /* longer lines are no framecrc */

typedef struct sono_video_time {
    int64_t time_ns;
    int64_t n_bytes; /* of the frame's pixels */
} sono_video_time;

/* Zero-initialised = nothing was said. */
typedef struct sono_video_times {
    char line[SONO_VIDEO_LINE_BYTES];
    size_t n_line;
    int32_t width_px; /* 0 = not said so far */
    int32_t height_px;
    int64_t units_per_s;    /* of time; 0 = not said so far */
    sono_video_time *items; /* those that nobody took are [first, count) */
    size_t first, count, capacity;
} sono_video_times;

/* Takes a piece of the text, which may end anywhere. path: for errors. Errors: FORMAT (not framecrc of one
 * stream), OUT_OF_MEMORY. */
sono_status sono_video_times_take(sono_video_times *times, const char *text, size_t n_text, const char *path,
                                  sono_error *error);

/* The next frame's, or NULL; valid until the next call of either function. */
const sono_video_time *sono_video_times_next(sono_video_times *times);

void sono_video_times_reset(sono_video_times *times);

#endif
