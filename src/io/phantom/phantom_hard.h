// SPDX-License-Identifier: Apache-2.0
/* What makes a bone hard to see or to outline; docs/phantom.md ("Hard bones") has the ranges. */
#ifndef SONO_IO_PHANTOM_PHANTOM_HARD_H
#define SONO_IO_PHANTOM_PHANTOM_HARD_H

#include <stdint.h>

#define SONO_PHANTOM_DROPS     4
#define SONO_PHANTOM_BRIDGE_MM 1.5f /* narrower drop-outs are a part of the outline */

/* Along a bone's place u: -1 and 1 are its ends. All zero = an easy bone. */
typedef struct sono_phantom_hardness {
    float fade_from,
        fade_db[2]; /* |u| from which on its echo fades, and by how much at its left, right end */
    float crest_half, crest_wide, crest_db; /* blurred middle: reach in u, times as thick, darker by */
    int32_t n_drops;                        /* specular drop-outs: the shadow stays */
    float drop_at[SONO_PHANTOM_DROPS], drop_half_mm[SONO_PHANTOM_DROPS], drop_db[SONO_PHANTOM_DROPS];
} sono_phantom_hardness;

/* Gain of the echo at u of a bone whose half is half_mm wide. */
float sono_phantom_hard_level(const sono_phantom_hardness *hard, float u, float half_mm);

/* How many times thicker its echo is at u. */
float sono_phantom_hard_width(const sono_phantom_hardness *hard, float u);

#endif
