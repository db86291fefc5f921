// SPDX-License-Identifier: Apache-2.0
/* How far the ends of a mask are from where a person saw the bone's echo end (docs/real-frames.json). */
#ifndef SONOSEG_TOOL_FLANKS_H
#define SONOSEG_TOOL_FLANKS_H

#include <stdint.h>

enum { FLANK_LEFT, FLANK_RIGHT, FLANK_COUNT };

/* Places are x, y in pixels. */
typedef struct flank_marks {
    const char *file;             /* the frame's name, without a folder */
    float crest_px[2];            /* parts left from right */
    float end_px[FLANK_COUNT][4]; /* where the band ends, and where its last trace on the same line does */
} flank_marks;

/* mask: height_px rows of width_px bytes, not 0 = inside. off_px: for each flank the distance of the mask's
 * end to the line between both marks, below 0 where it stops short of them. A side without a mask ends at the
 * crest. */
void flanks_measure(const uint8_t *mask, int32_t width_px, int32_t height_px, const flank_marks *marks,
                    double off_px[FLANK_COUNT]);

#endif
