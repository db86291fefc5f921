// SPDX-License-Identifier: Apache-2.0
/* Other scanners' settings, and what a frame grabber and its codec do to the finished frame; docs/phantom.md
 * ("Scanner and grabber") has the ranges. */
#ifndef SONO_IO_PHANTOM_PHANTOM_DEGRADE_H
#define SONO_IO_PHANTOM_PHANTOM_DEGRADE_H

#include <stdint.h>

#define SONO_PHANTOM_LOOKS    4    /* most speckle patterns of which a frame is the mean */
#define SONO_PHANTOM_RESAMPLE 1.4f /* largest scale between scanner and grabber */

/* All zero = nothing is done. */
typedef struct sono_phantom_grabber {
    float comb_px, comb_hz, comb_phase; /* odd lines come from another moment: their shift */
    float resample;                     /* scale at which the frame was between; 0 = as it is */
    float blur_px;                      /* spread of the blur along lines */
    float ringing;                      /* overshoot at edges, in heights of the edge */
    float hiss;                         /* spread of the noise, in grey values */
    int32_t quality;                    /* of the compression, 1..100; 0 = none */
} sono_phantom_grabber;

/* Degrades one frame of width_px * height_px bytes. frame_key is the noise's, time_s the comb's; scratch
 * holds sono_phantom_scratch_bytes(). */
void sono_phantom_grab(const sono_phantom_grabber *grabber, uint64_t frame_key, double time_s,
                       int32_t width_px, int32_t height_px, uint8_t *grey, uint8_t *scratch);

/* What sono_phantom_grab() needs for a frame. */
uint64_t sono_phantom_scratch_bytes(int32_t width_px, int32_t height_px);

/* 8 x 8 blocks, transformed, quantised and back, as JPEG does to luminance; quality in [1, 100]. */
void sono_phantom_blocks(int32_t quality, int32_t width_px, int32_t height_px, uint8_t *grey);

#endif
