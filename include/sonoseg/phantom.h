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

/* What happens to a sweep now and then (docs/phantom.md has each, with its ranges). */
typedef enum sono_phantom_event {
    SONO_PHANTOM_QUIET = 0,    /* nothing happens */
    SONO_PHANTOM_CONTACT_LOST, /* the probe lifts: dark but for reverberation near the skin */
    SONO_PHANTOM_PROBE_LEAVES, /* slides until the bone is out of view, and comes back */
    SONO_PHANTOM_SHADOW,       /* the shadow of something above covers the bone, wholly or in part */
    SONO_PHANTOM_GAIN_JUMP,    /* the gain changes from one frame to the next */
    SONO_PHANTOM_MOTION_BLUR,  /* the probe moves fast within an exposure */
    SONO_PHANTOM_FREEZE,       /* the same pixels again, bit for bit; timestamps go on */
    SONO_PHANTOM_OTHER_BONE,   /* a second bone slides in beside the first, which stays */
    SONO_PHANTOM_EVENT_COUNT
} sono_phantom_event;

/* "quiet", "contact_lost", "probe_leaves" ...; never NULL. */
SONO_API const char *sono_phantom_event_name(sono_phantom_event event);

/* From which ranges events are drawn: what is fitted on one set is reported on the other. */
typedef enum sono_phantom_event_set {
    SONO_PHANTOM_EVENTS_NONE = 0, /* no events: frames and truth as of a phantom that knows none */
    SONO_PHANTOM_EVENTS_HELD_OUT,
    SONO_PHANTOM_EVENTS_TUNING,
    SONO_PHANTOM_EVENTS_SET_COUNT
} sono_phantom_event_set;

/* The probe, and with it the picture's shape (docs/phantom.md, "Other probes and whole screens"). */
typedef enum sono_phantom_geometry {
    SONO_PHANTOM_LINEAR = 0,   /* parallel beams: the picture is a rectangle */
    SONO_PHANTOM_CURVILINEAR,  /* convex: a fan from a wide arc */
    SONO_PHANTOM_PHASED,       /* a fan from a point at the skin, or nearly one */
    SONO_PHANTOM_ENDOCAVITY,   /* a wide fan from a small arc that bulges into the picture */
    SONO_PHANTOM_ANY_GEOMETRY, /* drawn for each sweep */
    SONO_PHANTOM_GEOMETRY_COUNT
} sono_phantom_geometry;

/* Where the near side (the skin) lies in the picture, and whether left and right are exchanged. */
typedef enum sono_phantom_orientation {
    SONO_PHANTOM_UP = 0,
    SONO_PHANTOM_UP_MIRRORED,
    SONO_PHANTOM_DOWN,
    SONO_PHANTOM_DOWN_MIRRORED,
    SONO_PHANTOM_ANY_ORIENTATION, /* drawn for each sweep */
    SONO_PHANTOM_ORIENTATION_COUNT
} sono_phantom_orientation;

/* What looks like bone and is not. */
typedef enum sono_phantom_look_alike {
    SONO_PHANTOM_ALIKE_FACE = 0,  /* of the probe: bright arcs or lines at the near side */
    SONO_PHANTOM_ALIKE_AIR,       /* no coupling: face and reverberation only */
    SONO_PHANTOM_ALIKE_TANK,      /* water with a bottom, a wall, a table */
    SONO_PHANTOM_ALIKE_WIRES,     /* of a calibration phantom, with tails */
    SONO_PHANTOM_ALIKE_NEEDLE,    /* straight, with copies below */
    SONO_PHANTOM_ALIKE_PLEURA,    /* with even repeats below */
    SONO_PHANTOM_ALIKE_DIAPHRAGM, /* thick, curved, tissue below */
    SONO_PHANTOM_ALIKE_GAS,       /* ragged front, dirty shadow */
    SONO_PHANTOM_ALIKE_STONE,     /* small, with a clean narrow shadow */
    SONO_PHANTOM_ALIKE_FASCIA,    /* bright layers without a shadow */
    SONO_PHANTOM_ALIKE_SPECKLE,   /* speckle alone, cysts, grey-scale targets */
    SONO_PHANTOM_ALIKE_COUNT
} sono_phantom_look_alike;

#define SONO_PHANTOM_ANY_LOOK_ALIKE ((1u << SONO_PHANTOM_ALIKE_COUNT) - 1)

/* "linear", "up-mirrored", "face" ..., as the keys of "phantom:" take them; never NULL. */
SONO_API const char *sono_phantom_geometry_name(sono_phantom_geometry geometry);
SONO_API const char *sono_phantom_orientation_name(sono_phantom_orientation orientation);
SONO_API const char *sono_phantom_look_alike_name(sono_phantom_look_alike look_alike);

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
    int32_t reserved;         /* ignored */
    sono_phantom_event_set events; /* default NONE; other sets leave the anatomy of a seed as it is */
    uint32_t event_kinds; /* bits 1 << sono_phantom_event of the kinds to draw from; 0 (default) = all */
    sono_phantom_geometry geometry;       /* default LINEAR */
    sono_phantom_orientation orientation; /* default UP */
    uint32_t
        look_alikes; /* bits 1 << sono_phantom_look_alike of the kinds to draw from; 0 (default) = none */
    int32_t screen;  /* 1: the picture is a part of a scanner's whole screen, 200 x 200 at least; default 0 */
    int32_t hard;    /* 1: bones that are hard to see or to outline; default 0 */
    int32_t degrade; /* 1: effects of other scanners and of frame grabbers; default 0 */
} sono_phantom_options;

SONO_API void sono_phantom_options_init_sized(void *options, size_t struct_size);
static inline void sono_phantom_options_init(sono_phantom_options *options)
{
    sono_phantom_options_init_sized(options, sizeof *options);
}

/* A synthetic scanner: B-mode sweeps over bones (docs/phantom.md), 8 bits grey. The same options give the
 * same frames, in whatever order other sources run. Frames carry spacing_mm, timestamp_ns ((frame_id + 1) /
 * rate_hz) and the name "phantom_<frame_id>", which is borrowed as the pixels are. Nothing is allocated after
 * open. In a freeze the image and the pose stay, frame_id, name and timestamp_ns go on. Errors:
 * INVALID_ARGUMENT (an option outside its range, or events that the geometry has not), OUT_OF_MEMORY. */
SONO_API sono_status sono_source_open_phantom(const sono_phantom_options *options, sono_source **out,
                                              sono_error *error);

#define SONO_TRUTH_STRUCTURES 2 /* most in one frame */

/* What a frame really shows. "Columns" below are those in which a bone's echo is displayed; docs/phantom.md
 * has the rule. Appended to only. */
typedef struct sono_truth {
    int32_t width_px, height_px;
    int32_t is_visible;    /* 1: at least a quarter of the bone shows. 0 without events: all below is zero */
    const uint8_t *mask;   /* height_px rows of width_px bytes, 0 / 255: all that shows; never NULL */
    const uint8_t *labels; /* likewise; k + 1 where structures[k] is, else 0 */
    float bbox_xyxy_px[4]; /* first and last column and row of the mask */
    int64_t mask_area_px;
    int32_t n_structures;
    struct {
        float bbox_xyxy_px[4];
        int64_t area_px;
    } structures[SONO_TRUTH_STRUCTURES];
    /* Row of the true surface of structures[k] in each of the width_px columns, sub-pixel, where the echo
     * peaks along the beam: an integer is the middle of that row. -1 in columns in which its echo is not
     * displayed. Never NULL; borrowed as the mask is. */
    const float *surface_px[SONO_TRUTH_STRUCTURES];
    float visible_share;      /* of the columns that would show without the event; [0, 1] */
    int32_t is_borderline;    /* visible_share in [0.1, 0.4), or not visible but for traces: an evaluation may
                                 leave    the frame out */
    int32_t is_trustworthy;   /* visible and not stale: a state of VISIBLE would be right */
    sono_phantom_event event; /* what goes on */
    double event_s;           /* since the event's first frame; 0 in it, and when quiet */
    double stale_s;           /* age of the image; > 0 in a freeze only */
    float blur_px;            /* how far tissue moved within the exposure; > 0 in motion blur only */
    int32_t reserved;
    int32_t region_px[4]; /* x, y, width, height of the smallest rectangle around the ultrasound; the whole
                             frame without a screen */
} sono_truth;

SONO_API sono_status sono_source_truth_sized(const sono_source *source, void *out, size_t truth_bytes,
                                             sono_error *error);
/* The truth of the frame that sono_source_next() gave last; what it points to is borrowed as that frame's
 * pixels are. Errors: INVALID_ARGUMENT, STATE (no frame yet), UNSUPPORTED (this source knows no truth). */
static inline sono_status sono_source_truth(const sono_source *source, sono_truth *out, sono_error *error)
{
    return sono_source_truth_sized(source, out, sizeof *out, error);
}

#ifdef __cplusplus
}
#endif
#endif
