// SPDX-License-Identifier: Apache-2.0
/*
 * How good states are over time: the frames of sweeps, each with its truth, against the states that a rule
 * gave them. Pure calculation; docs/state.md has the definitions. A figure that nothing was there to measure
 * is NAN.
 *
 * What a frame's truth wants: VISIBLE where the structure shows, unless the image has been frozen for more
 * than SEQUENCE_STALE_MS; not VISIBLE elsewhere; nothing where the truth is borderline or unknown. A run is a
 * stretch of a sweep whose frames want the same, frames that want nothing passed over. A loss is the first
 * frame of a run that wants not VISIBLE behind one that wants VISIBLE, a return the first frame of one the
 * other way round, and either lasts until the first frame of the next run, or to the end of the sweep.
 */
#ifndef SONOSEG_TOOL_SEQUENCE_H
#define SONOSEG_TOOL_SEQUENCE_H

#include "sonoseg/sonoseg.h"

#include <stddef.h>
#include <stdint.h>

#define SEQUENCE_STALE_MS     250  /* an image frozen for longer is not to be called VISIBLE */
#define SEQUENCE_SETTLE_MS    500  /* so long after its last change the truth counts as settled */
#define SEQUENCE_SURFACE_BINS 200  /* of distances along the beam, ... */
#define SEQUENCE_BIN_MM       0.02 /* ... each so wide; what is beyond counts in the last one */
#define SEQUENCE_ROC_POINTS   101  /* thresholds 0, 0.01 ... 1 */
#define SEQUENCE_ALL_KINDS    (-1)

typedef struct sequence_frame {
    int32_t sweep; /* frames of one sweep follow each other, in the order of time */
    int64_t time_ns;
    /* Truth. */
    int32_t has_truth; /* 0: all the rest of it is unknown */
    int32_t kind;      /* of the event that goes on, 0 = none */
    int32_t is_visible;
    int32_t is_borderline;      /* neither clearly visible nor clearly not */
    int32_t stale_ms;           /* for how long the image has been the same */
    float true_bbox_xyxy_px[4]; /* where is_visible */
    /* What was found. */
    double quality;  /* combined, [0, 1] */
    double score;    /* the detector's, [0, 1] */
    int32_t has_box; /* 0: none was found, or the state hid it */
    float bbox_xyxy_px[4];
    int32_t is_still;       /* nothing moved since the frame before, as far as that is known without truth */
    int32_t n_true_columns; /* with a surface in the truth */
    uint16_t
        surface_bins[SEQUENCE_SURFACE_BINS]; /* of these columns, those with a surface found, by distance */
    double surface_jitter_mm; /* how far the surface's error moved since the frame before, the median of the
                                 columns in both; NAN = not known */
} sequence_frame;

/* Times from losses or returns to the state that they ask for. One that is never reached counts as long as
 * the loss or return lasts. */
typedef struct sequence_delays {
    int64_t n, n_unresolved;
    double median_ms, p95_ms, worst_ms;
} sequence_delays;

typedef struct sequence_figures {
    int64_t n_frames, n_sweeps;
    int64_t n_wanted, n_unwanted; /* frames whose truth wants VISIBLE, and not VISIBLE */
    int64_t n_borderline;
    int64_t n_stale;            /* visible, but frozen for more than SEQUENCE_STALE_MS; part of n_unwanted */
    double state_share[3];      /* of all frames, by sono_state */
    double false_share;         /* VISIBLE among n_unwanted */
    double missed_share;        /* not VISIBLE among n_wanted */
    double false_settled_share; /* the same two, of frames whose truth has settled */
    double missed_settled_share;
    double stale_share;                     /* VISIBLE among n_stale */
    sequence_delays to_hidden;              /* a loss -> not VISIBLE */
    sequence_delays to_lost;                /* a loss, not by a frozen image -> LOST */
    sequence_delays to_visible;             /* a return -> VISIBLE */
    double settled_min;                     /* minutes of settled truth; without truth, of all frames */
    double flicker_per_min;                 /* changes of state in them */
    double visible_flicker_per_min;         /* those from or to VISIBLE */
    int64_t n_columns;                      /* surface columns compared, of VISIBLE frames that want it */
    double surface_coverage;                /* their share of the true columns of these frames */
    double surface_median_mm, surface95_mm; /* distance along the beam */
    double box_jitter_px, box_jitter95_px;  /* between neighbouring VISIBLE frames; see docs/state.md */
    double surface_jitter_mm, surface_jitter95_mm;
} sequence_figures;

typedef struct sequence_roc {
    int64_t n_wanted, n_unwanted;
    double area; /* Mann-Whitney: a wanted frame's value is above an unwanted one's, ties count half */
    struct {
        double threshold, true_share,
            false_share; /* of wanted, of unwanted frames with at least this value */
    } points[SEQUENCE_ROC_POINTS];
} sequence_roc;

/* states: [n_frames] of sono_state. kind: only frames, losses and returns of this kind of event, or
 * SEQUENCE_ALL_KINDS. A frame without an event belongs to the one that ended at most SEQUENCE_SETTLE_MS
 * before it, a return to the event of its loss. Returns 0, or -1 when out of memory. */
int sequence_summarise(const sequence_frame *frames, const uint8_t *states, size_t n_frames, int32_t kind,
                       sequence_figures *out);

/* How well the frames' quality, or their score, tells wanted from unwanted frames; frozen images, which no
 * single frame shows, are left out. Returns 0, or -1 when out of memory. */
int sequence_rate(const sequence_frame *frames, size_t n_frames, int by_quality, sequence_roc *out);

/* The single threshold: VISIBLE where the score reaches it, else LOST. states: room for n_frames. */
void sequence_states_by_score(const sequence_frame *frames, size_t n_frames, double threshold,
                              uint8_t *states);

#endif
