// SPDX-License-Identifier: Apache-2.0
/*
 * What looks like bone and is not: drawn once a sweep as a few kinds of shapes, then placed and added to each
 * frame. docs/phantom.md ("What looks like bone and is not") has the kinds, their ranges and the equations.
 * Everything lies on the plane of the beams: columns are beams, rows are depth along the beam.
 */
#ifndef SONO_IO_PHANTOM_PHANTOM_ALIKE_H
#define SONO_IO_PHANTOM_PHANTOM_ALIKE_H

#include <stdint.h>

#define SONO_PHANTOM_SHEETS 8
#define SONO_PHANTOM_SPOTS  48
#define SONO_PHANTOM_DISCS  12

/* What fills the picture in place of the layers of tissue. */
typedef enum sono_phantom_medium {
    SONO_PHANTOM_TISSUE = 0,
    SONO_PHANTOM_WATER,   /* nearly black */
    SONO_PHANTOM_UNIFORM, /* speckle of one level */
} sono_phantom_medium;

/* A reflecting surface. Places are in widths of the view from its middle, lengths in mm, levels in dB as
 * displayed, 0 = white. */
typedef struct sono_phantom_sheet {
    float place, half_mm;                             /* its middle, and half its length */
    float soft;                                       /* share of half_mm over which each end fades */
    float depth_mm, tilt;                             /* at its middle; mm/mm */
    float bow_mm;                                     /* how much deeper its ends are than a straight line */
    float swing_mm, swing_hz, swing_phase;            /* of its depth, slowly */
    float wave_mm, wave_per_mm, fine_mm, fine_per_mm; /* raggedness: coarse and fine, size and frequency */
    float lead_mm, tail_mm;                           /* spread of its echo above and below */
    float level_db, patchy_db;                        /* patchy: how uneven it is along its course */
    int32_t n_repeats;
    float repeat_mm; /* distance of the copies below; 0 = its own depth (sound to and fro to the probe) */
    float repeat_db; /* of each copy against the one before */
    float shade_db;  /* how much darker it is below; 0 = not at all */
    float haze_db, haze_mm; /* what fills that shadow: level at the surface, and its decay */
    int32_t is_straight;    /* in the picture of a fan of beams too; else bent as a constant range is */
    int32_t is_still;       /* with the probe, not with the tissue */
} sono_phantom_sheet;

/* A small reflector: a wire, a stone, a speck. */
typedef struct sono_phantom_spot {
    float place, depth_mm;
    float half_mm, thick_mm; /* spread across and along the beam */
    float lean, wing_per_mm; /* slope, mm/mm, and bend, mm/mm^2 (below 0: its sides rise) */
    float level_db;
    float lobe_db, lobe_mm; /* side lobes at the same range: level against its own, reach; 0 mm = none */
    float tail_db, tail_mm; /* what trails below; 0 mm = none */
    float shade_db;         /* clean shadow, as wide as it is; 0 = none */
} sono_phantom_spot;

/* A cyst or grey-scale target in uniform speckle. */
typedef struct sono_phantom_disc {
    float place, depth_mm, radius_mm, contrast_db;
} sono_phantom_disc;

typedef struct sono_phantom_alikes {
    uint32_t kinds; /* bits 1 << sono_phantom_look_alike that this sweep shows */
    sono_phantom_medium medium;
    float medium_db, cloud; /* level of water or speckle; how uneven, [0, 1] */
    float flatness;         /* share of the attenuation that the medium's own level makes up for */
    float air_db;           /* how much darker it is without coupling; 0 = coupled */
    float ring_db, ring_mm; /* lines of sound to and fro in the probe's face: level at the face, decay */
    float ring_period_mm[2], ring_sharpness;
    int32_t n_sheets, n_spots, n_discs;
    sono_phantom_sheet sheets[SONO_PHANTOM_SHEETS];
    sono_phantom_spot spots[SONO_PHANTOM_SPOTS];
    sono_phantom_disc discs[SONO_PHANTOM_DISCS];
} sono_phantom_alikes;

#endif
