// SPDX-License-Identifier: Apache-2.0
/*
 * The synthetic scanner, and what its frames really show (docs/phantom.md). In libsonoseg-io. Unstable: may
 * change with every release. C11 and C++11. Conventions (ownership, errors) are those of sonoseg.h.
 */
#ifndef SONOSEG_PHANTOM_H
#define SONOSEG_PHANTOM_H

#include "sonoseg/io.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the phantom shows. */
typedef enum sono_phantom_shape {
    SONO_PHANTOM_ANY = 0, /* drawn by the seed, empty sweeps included */
    SONO_PHANTOM_FLAT,
    SONO_PHANTOM_ARCHED,
    SONO_PHANTOM_RIDGE,  /* narrow, with steep flanks */
    SONO_PHANTOM_BROKEN, /* one bone with a gap and a step */
    SONO_PHANTOM_PAIR,   /* two bones side by side */
    SONO_PHANTOM_EMPTY,  /* soft tissue only */
    SONO_PHANTOM_SHAPE_COUNT
} sono_phantom_shape;

typedef struct sono_phantom_options {
    size_t struct_size;
    int32_t width_px;       /* [16, 4096], default 422 */
    int32_t height_px;      /* [16, 4096], default 558 */
    int32_t n_frames;       /* [1, 100000000], default 120 */
    int32_t n_sweep_frames; /* a new sweep, with new anatomy and settings, every so many frames; 0 (default) =
                               one sweep only */
    double rate_hz; /* frames a second of the phantom's time, [0.1, 1000], default 25; nothing waits */
    uint64_t seed;  /* default 1 */
    sono_phantom_shape shape; /* default ANY */
    float empty_share;        /* share of empty sweeps with ANY; [0, 1], default 0.1 */
    float depth_mm;           /* of the image, [10, 300]; 0 (default) = drawn for each sweep from 35 to 65 */
    int32_t no_marks;         /* 1: no text, callipers or scales; default 0 = on some sweeps */
    int32_t n_held;           /* as in sono_source_options */
} sono_phantom_options;

SONO_API void sono_phantom_options_init_sized(void *options, size_t struct_size);
static inline void sono_phantom_options_init(sono_phantom_options *options)
{
    sono_phantom_options_init_sized(options, sizeof *options);
}

/* A synthetic scanner: B-mode sweeps over bones (docs/phantom.md), 8 bits grey. The same options give the
 * same frames, in whatever order other sources run. Frames carry spacing_mm, timestamp_ns ((frame_id + 1) /
 * rate_hz) and the name "phantom_<frame_id>", which is borrowed as the pixels are. Nothing is allocated after
 * open. Errors: INVALID_ARGUMENT (an option outside its range), OUT_OF_MEMORY. */
SONO_API sono_status sono_source_open_phantom(const sono_phantom_options *options, sono_source **out,
                                              sono_error *error);

#define SONO_TRUTH_STRUCTURES 2 /* most in one frame */

/* What a frame really shows. */
typedef struct sono_truth {
    int32_t width_px, height_px;
    int32_t is_visible;    /* 0: no structure, all below is zero */
    const uint8_t *mask;   /* height_px rows of width_px bytes, 0 / 255; never NULL */
    const uint8_t *labels; /* likewise; k + 1 where structures[k] is, else 0 */
    float bbox_xyxy_px[4]; /* first and last column and row of the mask */
    int64_t mask_area_px;
    int32_t n_structures;
    struct {
        float bbox_xyxy_px[4];
        int64_t area_px;
    } structures[SONO_TRUTH_STRUCTURES];
} sono_truth;

/* The truth of the frame that sono_source_next() gave last; what it points to is borrowed as that frame's
 * pixels are. Errors: INVALID_ARGUMENT, STATE (no frame yet), UNSUPPORTED (this source knows no truth). */
SONO_API sono_status sono_source_truth(const sono_source *source, sono_truth *out, sono_error *error);

#ifdef __cplusplus
}
#endif
#endif
