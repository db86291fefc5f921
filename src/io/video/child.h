// SPDX-License-Identifier: Apache-2.0
/* An ffmpeg that decodes one video, as a child process: no shell, no terminal, files alone. It ends by itself
 * when its pipes are closed, should this process be killed. */
#ifndef SONO_IO_VIDEO_CHILD_H
#define SONO_IO_VIDEO_CHILD_H

#include "base/status.h"

#include <sys/types.h>

#define SONO_VIDEO_REASON_BYTES 1024

typedef enum sono_video_pipe {
    SONO_VIDEO_PIXELS, /* frames, one behind the other */
    SONO_VIDEO_TIMES,  /* framecrc's text */
    SONO_VIDEO_REASON, /* what ffmpeg complains about */
    SONO_VIDEO_PIPES
} sono_video_pipe;

/* Zero-initialised = none was started. */
typedef struct sono_video_child {
    pid_t id;                             /* 0 = none, or it has ended and was waited for */
    int pipes[SONO_VIDEO_PIPES];          /* -1 = closed; 0 before the start */
    char reason[SONO_VIDEO_REASON_BYTES]; /* the beginning of what ffmpeg said */
    size_t n_reason;
    int has_failed; /* it ended with an error, or by a signal */
} sono_video_child;

typedef struct sono_video_wish {
    const char *path;
    int keep_colour;
    int has_no_container; /* a bare stream of MJPEG or H.264 */
} sono_video_wish;

/* Starts it. Errors: UNSUPPORTED (there is no ffmpeg), IO, LIMIT (no more pipes or processes), OUT_OF_MEMORY.
 */
sono_status sono_video_child_start(sono_video_child *child, const sono_video_wish *wish, sono_error *error);

/* Waits until a pipe has something or has ended; PIXELS are looked at when wants_pixels is 1. *ready: which
 * one; REASON is read on the way. END: all of them have ended. Errors: END, IO. */
sono_status sono_video_child_wait(sono_video_child *child, int wants_pixels, sono_video_pipe *ready,
                                  const char *path, sono_error *error);

/* Reads what is there, *n 0: this pipe has ended, and is closed. Errors: IO. */
sono_status sono_video_child_read(sono_video_child *child, sono_video_pipe which, void *out, size_t n_bytes,
                                  size_t *n, const char *path, sono_error *error);

/* Closes the pipes; has_ended 0: ends the process first. Waits for it. May be called again. */
void sono_video_child_close(sono_video_child *child, int has_ended);

/* ffmpeg's reason in one line, without addresses; "" = it said nothing. */
void sono_video_child_reason(const sono_video_child *child, char *out, size_t out_bytes);

#endif
