// SPDX-License-Identifier: Apache-2.0
/* The frames under way, by number: from whole until sent, discarded or dropped. As many as the engine has
 * places for. */
#ifndef SONO_SERVE_FRAMES_H
#define SONO_SERVE_FRAMES_H

#include "serve/frame.h"

#define SONO_SERVE_MAX_FRAMES 16

typedef struct sono_serve_frames {
    sono_serve_frame list[SONO_SERVE_MAX_FRAMES]; /* id 0 = free */
} sono_serve_frames;

/* A copy of the frame; NULL = every place is taken. */
sono_serve_frame *sono_serve_frames_add(sono_serve_frames *frames, const sono_serve_frame *frame);
sono_serve_frame *sono_serve_frames_find(sono_serve_frames *frames, uint64_t id); /* NULL = not there */
void sono_serve_frames_remove(sono_serve_frame *frame);

/* ---- the last values of something ---------------------------------------------------------------------- */

#define SONO_SERVE_RECENT 1024

typedef struct sono_serve_recent {
    float values[SONO_SERVE_RECENT];
    int32_t n, at;
} sono_serve_recent;

void sono_serve_recent_add(sono_serve_recent *recent, double value);
/* The least value that at least 50, 95 and 99 % do not exceed; 0 without values. */
void sono_serve_recent_quantiles(const sono_serve_recent *recent, double *p50, double *p95, double *p99);

#endif
