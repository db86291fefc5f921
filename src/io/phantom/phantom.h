// SPDX-License-Identifier: Apache-2.0
/*
 * The synthetic scanner, inside: a scene is drawn once a sweep, posed once a frame, and rendered into 8 bits.
 * docs/phantom.md has the model, its equations and every range. Lengths are in pixels from the top left pixel
 * unless a name says _mm; levels are amplitudes, 1 = white.
 */
#ifndef SONO_IO_PHANTOM_PHANTOM_H
#define SONO_IO_PHANTOM_PHANTOM_H

#include "base/status.h"
#include "io/phantom/phantom_alike.h"
#include "io/phantom/phantom_degrade.h"
#include "io/phantom/phantom_hard.h"
#include "sonoseg/phantom.h"

#define SONO_PHANTOM_BLOCK_PX  16  /* rows are padded to whole blocks */
#define SONO_PHANTOM_MARGIN_PX 16  /* scatterers beside a row, at least the widest kernel's radius */
#define SONO_PHANTOM_LATTICE   256 /* side of the texture lattice, a power of two */
#define SONO_PHANTOM_LAYERS    3   /* lower edges of skin, fat and first muscle */
#define SONO_PHANTOM_BONES     SONO_TRUTH_STRUCTURES
#define SONO_PHANTOM_WIDTHS    64    /* widths that have a kernel */
#define SONO_PHANTOM_RADIUS    15    /* of the widest kernel */
#define SONO_PHANTOM_SHOWN     0.38f /* displayed level below which a clinician would not draw, 1 = white */

/* Events that reckon with parallel beams. */
#define SONO_PHANTOM_LINEAR_EVENTS                                                                           \
    (1u << SONO_PHANTOM_PROBE_LEAVES | 1u << SONO_PHANTOM_SHADOW | 1u << SONO_PHANTOM_OTHER_BONE)

/* A parameter that moves: mean + swing * sin(2 pi (rate_hz t + phase)). */
typedef struct sono_phantom_wave {
    float mean, swing, rate_hz, phase;
} sono_phantom_wave;

typedef struct sono_phantom_bone {
    sono_phantom_wave centre_mm; /* from the middle of the image */
    sono_phantom_wave top_mm;
    sono_phantom_wave half_mm; /* half its width */
    sono_phantom_wave rise_mm; /* how much deeper its ends are than its top */
    sono_phantom_wave tilt;    /* mm/mm */
    float bend;                /* roundness of the top: 0.1 a roof, above 2 a parabola */
    float skew;                /* left half's width over the right half's */
    float break_at;            /* (-1, 1) of the half width; outside = whole */
    float break_half;
    float break_step_mm;
    float level_db; /* of the echo at the top, as displayed; 0 = white */
    sono_phantom_hardness hard;
} sono_phantom_bone;

/* The beams of a sweep's probe. Cartesian millimetres have their origin in the middle of the probe's face: x
 * to the right, y away from the probe. */
typedef struct sono_phantom_fan {
    sono_phantom_geometry geometry; /* never ANY */
    int32_t is_fan;        /* 0: parallel beams, the plane of beams is the picture; ignore the rest */
    int32_t has_flat_face; /* beams of a linear probe, steered from an apex behind its flat face */
    float radius_mm;       /* from the apex to the face */
    float half_rad;        /* half the field of view */
    float half_columns, per_column; /* column = half_columns (1 + u) - 1/2; angle or tangent a column */
    float left_mm, top_mm;          /* middle of the picture's first column; its first row */
    float flatten;                  /* [0, 1]: how far layers leave the face's curve for the horizontal */
    float angular_rad;              /* least width of a beam: its spread in angle */
    float finer;                    /* how many times coarser than a linear probe it resolves */
    uint8_t outside, border;        /* grey values beside the fan; border 0 = none */
    int32_t is_clear;               /* 1: the screen shows beside the fan, outside does not count */
    int32_t n_rings;                /* echoes of the probe's cover; 0 = none */
    float ring_db, ring_fall_db, ring_mm, ring_period_mm;
} sono_phantom_fan;

/* Where the picture lies in the frame, and how it is turned. */
typedef struct sono_phantom_view {
    int32_t frame_width_px, frame_height_px;
    int32_t x, y, width_px, height_px;
    int32_t is_mirrored, is_flipped; /* left and right, near and far exchanged */
    int32_t region_px[4];            /* x, y, width, height of what is ultrasound in it */
} sono_phantom_view;

/* A place of the plane of beams. */
typedef struct sono_phantom_place {
    float column, row; /* column < 0: outside the fan */
} sono_phantom_place;

/* What is drawn once a sweep. */
typedef struct sono_phantom_scene {
    uint64_t key; /* of every random number of the sweep */
    float depth_mm;
    float px_per_mm;      /* along a beam, and in the picture in both directions */
    float columns_per_mm; /* across the beams, where lengths are nominal; px_per_mm with parallel beams */
    float view_mm;        /* all columns of the plane */
    sono_phantom_fan fan;
    int32_t n_bones;
    sono_phantom_bone bones[SONO_PHANTOM_BONES];
    float band_mm;         /* thickness of the bone's echo */
    float incidence_power; /* echo ~ cos(angle)^power */
    float roughness_db;
    float shadow_db, haze_db, haze_mm, penumbra; /* penumbra: mm a mm of depth */
    float reverb_db;
    sono_phantom_wave probe_mm; /* lateral */
    float slices_hz;            /* elevational motion: scatterer slices a second */
    float layer_mm[SONO_PHANTOM_LAYERS], layer_tilt[SONO_PHANTOM_LAYERS], layer_wave_mm[SONO_PHANTOM_LAYERS];
    float line_db[SONO_PHANTOM_LAYERS];
    float skin_db, fat_db, muscle_db, near_db, near_mm, near_period_mm;
    float fibre_angle[2], fibre_share, septa_share, septa_mm;
    float loss_db_mm, ripple_db; /* what time-gain compensation leaves of the attenuation */
    float sigma_axial_mm, sigma_lateral_mm, focus_mm, focus_length_mm, edge_widening;
    float contact_db[2]; /* left, right */
    sono_phantom_wave contact_mm[2];
    float contact_soft_mm;
    float smoothing; /* share of the binomial filter behind the detector */
    float noise_db, range_db, curve;
    int32_t has_text, has_calliper, has_scale;
    sono_phantom_alikes alikes; /* all zero = nothing */
    float bridge_mm;            /* narrower gaps in what shows of a bone are a part of its outline */
    float gain_db, gamma;       /* of the display; 0 = none */
    int32_t n_looks;            /* speckle patterns of which a frame is the mean; 0 = one */
    sono_phantom_grabber grabber;
} sono_phantom_scene;

/* What an event does to one frame; all zero = nothing. */
typedef struct sono_phantom_effects {
    float slide_mm;                      /* of the probe, on top of its wave */
    float press_mm;                      /* how much nearer to the probe the bone lies */
    float lift;                          /* [0, 1] of the way on which the probe's face leaves the skin */
    int32_t lift_side;                   /* where that begins: 0 = left */
    float lift_db;                       /* how much darker it is without contact */
    float air_db, air_mm, air_period_mm; /* reverberation without contact: level, decay, distance */
    float cover_mm[2];                   /* edges of what casts a shadow, from the middle of the view */
    float cover_db, cover_soft_mm, cover_top_mm; /* 0 dB = nothing does */
    float gain_db;
} sono_phantom_effects;

/* The event that goes on in a sweep, or comes next. Counts of frames are of the sweep's. */
typedef struct sono_phantom_timetable {
    uint64_t key; /* of every random number of the timetable */
    sono_phantom_event_set set;
    double rate_hz;
    float view_mm;
    int32_t n_bones;             /* of the anatomy */
    int32_t has_room, room_side; /* beside a single bone, for another */
    int32_t n_kinds;
    sono_phantom_event order[SONO_PHANTOM_EVENT_COUNT];
    int64_t n_begun;
    sono_phantom_event kind;
    int64_t first, n_in, n_stay, n_out; /* first frame; frames on the way to its height, there, and back */
    int32_t side;
    sono_phantom_effects full; /* at the event's height */
    float share;               /* of the bone that a shadow covers */
    float fast_hz, phase;
    float gap_mm;
    sono_phantom_bone visitor;
} sono_phantom_timetable;

/* What varies along a frame's columns; arrays of stride elements in the one block of the work. */
typedef struct sono_phantom_columns {
    float *layer[SONO_PHANTOM_LAYERS];
    float *bone[SONO_PHANTOM_BONES];   /* depth of the surface */
    float *cosine[SONO_PHANTOM_BONES]; /* of the angle between beam and surface normal */
    float *echo[SONO_PHANTOM_BONES];   /* level before attenuation, roughness left out; 0 = no bone here */
    float *opacity[SONO_PHANTOM_BONES];
    float *wide[SONO_PHANTOM_BONES];             /* how many times thicker than its band the echo is */
    float *columns_a_px[SONO_PHANTOM_BONES];     /* how many columns a pixel's length has at the surface */
    float *face_x_mm, *face_y_mm, *sine, *along; /* of each beam: origin and direction; with is_fan only */
    float *gain_at_bone[SONO_PHANTOM_BONES];     /* found while rendering */
    float *contact;                              /* gain */
    float *streak;                               /* gain */
    float *rough;                                /* gain of the bone's echo */
    float *sheet[SONO_PHANTOM_SHEETS];       /* of what looks like bone and is not: depth of the surface */
    float *sheet_cover[SONO_PHANTOM_SHEETS]; /* [0, 1]: how much of it is there */
    float *sheet_echo[SONO_PHANTOM_SHEETS];  /* level as displayed; 0 = nothing */
    float *sheet_sound[SONO_PHANTOM_SHEETS]; /* [0, 1]: what arrives there; found while rendering */
    float *air;      /* [0, 1]: how far the probe is off the skin; set with effects.lift > 0 only */
    float *cover_mm; /* how far inside what casts a shadow; set with effects.cover_db > 0 only */
} sono_phantom_columns;

/* Everything a frame needs while it is made; nothing is allocated after open. */
typedef struct sono_phantom_work {
    int32_t width_px, height_px, stride; /* of the plane of beams, set for each sweep */
    sono_phantom_view view;
    float probe_mm;          /* lateral place of the probe in the pose */
    sono_phantom_place *map; /* [view.height_px, view.width_px] of the picture; NULL where no fan can come */
    float posed[SONO_PHANTOM_BONES][5];        /* centre, top, half, rise, tilt of each bone in this frame */
    sono_phantom_effects effects;              /* of the frame that is posed and rendered */
    float *lattice;                            /* [LATTICE, LATTICE], uniform in [0, 1) */
    float *amplitude;                          /* [height, stride]; later the intensity */
    float *specular;                           /* [height, stride] */
    float *real, *imaginary;                   /* [height, stride]: scatterers after the lateral filter */
    float *row_real, *row_imaginary;           /* [MARGIN + stride + MARGIN] */
    float *envelope_real, *envelope_imaginary; /* [stride] */
    float *occlusion;                          /* [MARGIN + stride]: running sum over a row */
    float *gain, *extra;                       /* [stride] */
    sono_phantom_columns columns;
    float kernels[SONO_PHANTOM_WIDTHS][SONO_PHANTOM_RADIUS + 1]; /* centre and one side, unit energy */
    int32_t radii[SONO_PHANTOM_WIDTHS];
    float *looks;     /* [height, stride]: sum of intensities; NULL unless frames are degraded */
    int32_t look;     /* which of a frame's speckle patterns is drawn; 0 but for degraded frames */
    uint8_t *scratch; /* likewise, for sono_phantom_grab() */
    float *block;     /* owns every array above but kernels and map */
} sono_phantom_work;

/* Sets up for frames of one size. Errors: OUT_OF_MEMORY. */
sono_status sono_phantom_work_init(sono_phantom_work *work, int32_t width_px, int32_t height_px,
                                   sono_error *error);
/* After that: for probes whose beams are not parallel, too. Errors: OUT_OF_MEMORY. */
sono_status sono_phantom_work_add_fans(sono_phantom_work *work, sono_error *error);
/* What degraded frames need besides. Errors: OUT_OF_MEMORY. */
sono_status sono_phantom_work_add_looks(sono_phantom_work *work, sono_error *error);
void sono_phantom_work_reset(sono_phantom_work *work);

/* Draws sweep number `sweep`, sizes the work's plane and fills its lattice. */
void sono_phantom_scene_init(sono_phantom_scene *scene, const sono_phantom_options *options, uint64_t sweep,
                             sono_phantom_work *work);

/* Draws the sweep's probe, the picture's place and turn, and the plane's size: depth and scale of the scene,
 * width and height of the work. depth_mm is what a linear probe would have. */
void sono_phantom_layout(sono_phantom_scene *scene, const sono_phantom_options *options, float depth_mm,
                         sono_phantom_work *work);

/* Fills the work's beams and map; nothing to do with parallel beams. */
void sono_phantom_map(const sono_phantom_scene *scene, sono_phantom_work *work);

/* The beam and the row of a place in Cartesian millimetres. */
sono_phantom_place sono_phantom_find(const sono_phantom_scene *scene, const sono_phantom_work *work,
                                     float x_mm, float y_mm);

/* How many columns of the plane a millimetre across the beams has in row y. */
float sono_phantom_columns_at(const sono_phantom_scene *scene, float y);

/* Scan conversion: the plane of beams, as rendered, into the frame's picture, turned as the view says. */
void sono_phantom_convert(const sono_phantom_scene *scene, const sono_phantom_work *work,
                          const uint8_t *plane, uint8_t *frame);

/* Begins the timetable of a sweep whose scene was just drawn. */
void sono_phantom_timetable_init(sono_phantom_timetable *table, const sono_phantom_scene *scene,
                                 const sono_phantom_options *options);

/* What goes on in the sweep's frame number `frame`; frames are asked for one after the other. */
sono_phantom_event sono_phantom_timetable_go(sono_phantom_timetable *table, const sono_phantom_scene *scene,
                                             int64_t frame);

/* What the event does to that frame, off_s after its middle; not for QUIET. Another bone is put into the
 * scene. */
void sono_phantom_timetable_apply(const sono_phantom_timetable *table, int64_t frame, double off_s,
                                  sono_phantom_scene *scene, sono_phantom_effects *effects);

/* Where bone `index` lies at a moment: columns' bone, cosine, echo, opacity. */
void sono_phantom_pose_bone(const sono_phantom_scene *scene, int32_t index, double time_s, float probe_mm,
                            sono_phantom_work *work);

/* Depth of a posed bone's surface in mm below the middle of the probe's face, x_mm right of it. */
float sono_phantom_surface_mm(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t index,
                              float x_mm, float probe_mm);

/* Fills work->columns with the geometry at time_s after the sweep's start. */
void sono_phantom_pose(const sono_phantom_scene *scene, double time_s, sono_phantom_work *work);

/* Renders the posed scene into grey: height rows of width bytes. frame_key decorrelates the electronic noise.
 */
void sono_phantom_render(const sono_phantom_scene *scene, double time_s, uint64_t frame_key,
                         sono_phantom_work *work, uint8_t *grey);

/* The part of sono_phantom_render() that finds columns.gain_at_bone. */
void sono_phantom_gains(const sono_phantom_scene *scene, sono_phantom_work *work);

/* In how many columns the echoes of the first n_bones bones are displayed at `least` (1 = white) or more,
 * after either of the two. */
int32_t sono_phantom_shown(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t n_bones,
                           float least);

/* Depth of the highest point of bone b within a band's width of column x. Nothing of its echo is further
 * above than it would be there, however steep the flank. */
float sono_phantom_crest(const sono_phantom_work *work, int32_t b, int32_t x, float band_px);

/* Draws other settings of the scanner and the frame grabber's effects, by draws of its own. */
void sono_phantom_degrade_init(sono_phantom_scene *scene);

/* Makes the bones that were drawn hard: one or more of the effects of docs/phantom.md, by draws of its own.
 */
void sono_phantom_hard_init(sono_phantom_scene *scene, const sono_phantom_options *options, float view_mm);

/* Draws what looks like bone and is not: one or two of the kinds (bits 1 << sono_phantom_look_alike), by
 * draws of its own. */
void sono_phantom_alike_init(sono_phantom_scene *scene, uint32_t kinds, float view_mm);

/* Draws one kind into scene->alikes from the key's draws: in a view view_mm wide, gaps between wires and
 * needles `scale` times as long as for a linear probe. */
void sono_phantom_alike_draw(sono_phantom_scene *scene, int32_t kind, uint64_t key, float view_mm,
                             float scale);

/* Fills work->columns.sheet and what belongs to it. */
void sono_phantom_alike_pose(const sono_phantom_scene *scene, double time_s, float probe_mm,
                             sono_phantom_work *work);

/* Puts water or uniform speckle into the place of tissue, or brightens deep tissue. Before any bone is drawn.
 */
void sono_phantom_alike_medium(const sono_phantom_scene *scene, double time_s, float probe_mm,
                               sono_phantom_work *work);

/* Adds the echoes of surfaces and spots to work->amplitude and work->specular. */
void sono_phantom_alike_echoes(const sono_phantom_scene *scene, float probe_mm, sono_phantom_work *work);

/* Darkens row y of work->gain below what casts a shadow, and all of it without coupling. */
void sono_phantom_alike_gain(const sono_phantom_scene *scene, int32_t y, float probe_mm,
                             sono_phantom_work *work);

/* Adds to row y of work->extra what no shadow hides: repeats, haze, comet tails, rings of the probe's face.
 */
void sono_phantom_alike_extra(const sono_phantom_scene *scene, int32_t y, float probe_mm,
                              sono_phantom_work *work);

/* Fills work->amplitude and work->specular. */
void sono_phantom_tissue(const sono_phantom_scene *scene, double time_s, sono_phantom_work *work);

/* Fills work->kernels and work->radii. */
void sono_phantom_kernels(sono_phantom_work *work);

/* Scatterers (others for each work->look) times work->amplitude, filtered laterally, into work->real and
 * work->imaginary. */
void sono_phantom_scatter(const sono_phantom_scene *scene, double time_s, sono_phantom_work *work);

/* Filters row y along depth into work->envelope_real and work->envelope_imaginary. */
void sono_phantom_axial_row(const sono_phantom_scene *scene, int32_t y, sono_phantom_work *work);

/* Displayed level of bone b's echo in column x after sono_phantom_render(), its roughness left out. */
float sono_phantom_level_at(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t b,
                            int32_t x);

/* Whether bone b is a part of the outline in column x: its echo is displayed at SONO_PHANTOM_SHOWN or more,
 * or that fails within a gap narrower than scene->bridge_mm where there is bone. */
int sono_phantom_is_shown(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t b,
                          int32_t x);

/* Thickness of a bone's echo, in rows. */
float sono_phantom_band_px(const sono_phantom_scene *scene);

/* The outline a clinician would draw, after sono_phantom_render(), in the frame: mask 0 / 255 and labels 0,
 * 1, 2 ... of a frame's bytes each, surfaces [BONES, frame width]; fills in the rest of truth as of a sweep
 * without events. */
void sono_phantom_outline(const sono_phantom_scene *scene, const sono_phantom_work *work, float probe_mm,
                          uint8_t *mask, uint8_t *labels, float *surfaces_px, sono_truth *truth);

/* A scanner's screen around the picture; fills the frame. For each sweep. */
void sono_phantom_screen(const sono_phantom_scene *scene, const sono_phantom_work *work, uint8_t *grey);

/* The mark at the near side's corner; with has_screen also depth scale, clock and the like. labels are the
 * frame's: what hides tissue keeps away from bone. */
void sono_phantom_overlay(const sono_phantom_scene *scene, const sono_phantom_work *work, uint64_t frame,
                          int has_screen, const uint8_t *labels, uint8_t *grey);

/* Text in the corners, callipers, depth scale over the frame's picture. */
void sono_phantom_mark(const sono_phantom_scene *scene, uint64_t frame, const sono_phantom_view *view,
                       uint8_t *grey);

#endif
