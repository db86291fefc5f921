// SPDX-License-Identifier: Apache-2.0
#include "real_frames.h"

const real_sequence real_sequences[] = {
#define REAL_SEQUENCE(file, n_frames) {file, n_frames},
#define REAL_MARKS(...)
#include "real_frames.inc"
#undef REAL_SEQUENCE
#undef REAL_MARKS
};
const size_t real_sequence_count = sizeof real_sequences / sizeof real_sequences[0];

const flank_marks real_marks[] = {
#define REAL_SEQUENCE(...)
#define REAL_MARKS(file, x, y, left_x, left_y, left_last_x, left_last_y, right_x, right_y, right_last_x,     \
                   right_last_y)                                                                             \
    {file,                                                                                                   \
     {x, y},                                                                                                 \
     {{left_x, left_y, left_last_x, left_last_y}, {right_x, right_y, right_last_x, right_last_y}}},
#include "real_frames.inc"
#undef REAL_SEQUENCE
#undef REAL_MARKS
};
const size_t real_mark_count = sizeof real_marks / sizeof real_marks[0];
