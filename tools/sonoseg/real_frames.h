// SPDX-License-Identifier: Apache-2.0
/* What is known of the real frames that the suite runs: docs/real-frames.json, built into the command. */
#ifndef SONOSEG_TOOL_REAL_FRAMES_H
#define SONOSEG_TOOL_REAL_FRAMES_H

#include "flanks.h"

#include <stddef.h>

/* A recording in DIR/sequences that shows no bone. */
typedef struct real_sequence {
    const char *file;
    int32_t n_frames;
} real_sequence;

extern const real_sequence real_sequences[];
extern const size_t real_sequence_count;

/* The frames in DIR/frames, each of which shows one. */
extern const flank_marks real_marks[];
extern const size_t real_mark_count;

#endif
