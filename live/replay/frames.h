// SPDX-License-Identifier: Apache-2.0
/* What is replayed, frame by frame and pass by pass: pixels as the wire wants them, transforms, fields. */
#ifndef SONO_REPLAY_FRAMES_H
#define SONO_REPLAY_FRAMES_H

#include "replay/replay.h"

typedef struct sono_replay_transform {
    const char *name; /* "ImageToReference" */
    float matrix[12]; /* 3 x 4 by columns, mm */
    int32_t is_valid; /* 0: its status is not OK */
} sono_replay_transform;

typedef struct sono_replay_field {
    const char *name;
    const char *value;
} sono_replay_field;

/* One block of memory: freeing the frame frees all of it. */
typedef struct sono_replay_frame {
    const uint8_t *pixels; /* rows contiguous, host byte order; NULL = the frame has no image */
    size_t n_bytes;        /* of pixels */
    int32_t width_px, height_px;
    uint8_t scalar; /* as on the wire; sono_element has the same numbers */
    uint8_t n_components;
    float matrix[12];  /* as IMAGE has it: three columns in mm a pixel, then the volume's centre */
    int32_t has_time;  /* time_ns is the frame's own */
    int64_t time_ns;   /* since 1970 UTC, or whatever the recorder counted from */
    uint64_t raw_time; /* the OpenIGTLink timestamp it was recorded from; 0 = unknown */
    int32_t n_transforms, n_fields;
    const sono_replay_transform *transforms;
    const sono_replay_field *fields; /* in the file's order, transforms and their status among them */
} sono_replay_frame;

typedef struct sono_replay_frames sono_replay_frames;

/* options: borrowed until close. Reads all frames when is_preloaded. Errors: as of sono_replay_run(). */
sono_status sono_replay_frames_open(const sono_replay_options *options, sono_replay_frames **out,
                                    sono_error *error);
/* The next frame, borrowed until the next call; begins again after the last with is_loop. *pass counts passes
 * from 0. One that cannot be read is left out, counted and logged. Errors: END, FORMAT (a pass
 * without any frame), OUT_OF_MEMORY, those of opening the source. */
sono_status sono_replay_frames_next(sono_replay_frames *frames, const sono_replay_frame **out, int32_t *pass,
                                    sono_error *error);
uint64_t sono_replay_frames_unreadable(const sono_replay_frames *frames);
void sono_replay_frames_close(sono_replay_frames *frames); /* NULL is allowed */

/* ---- its parts, for tests ------------------------------------------------------------------------------ */

/* 16 numbers, row-major, as "ImageToReferenceTransform" has them. 0, or -1 where they are not. */
int sono_replay_transform_parse(const char *text, float out[12]);

/* The IMAGE matrix of a picture whose physical frame (mm from its first pixel's centre) a pose moves. pose: 3
 * x 4, row-major; NULL = none. spacing_mm: 0 = 1. */
void sono_replay_image_matrix(const float *pose, const double spacing_mm[2], int32_t width_px,
                              int32_t height_px, float out[12]);

#endif
