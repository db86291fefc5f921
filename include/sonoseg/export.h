// SPDX-License-Identifier: Apache-2.0
/*
 * Writing results as files of other programs: COCO JSON, label stacks (NIfTI-1, NRRD), CSV. In libsonoseg-io.
 * Unstable: may change with every release. C11 and C++11. Conventions (ownership, errors) are those of
 * sonoseg.h.
 *
 * An export goes over the frames twice, in the same order: sono_export_describe() for each, then
 * sono_export_add() for each; sono_export_close() puts the file in its place. Memory does not depend on the
 * number of frames, but for NIfTI's, of which there are 32,767 at most.
 */
#ifndef SONOSEG_EXPORT_H
#define SONOSEG_EXPORT_H

#include "sonoseg/sonoseg.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sono_export_format {
    SONO_EXPORT_COCO = 0,  /* .json: images, annotations (compressed run lengths, box, area, score) */
    SONO_EXPORT_NIFTI = 1, /* .nii.gz: width x height x 1 x frames, labels of 8 bits */
    SONO_EXPORT_NRRD = 2,  /* .nrrd, gzip: width x height x frames, likewise */
    SONO_EXPORT_CSV = 3    /* .csv: a row for each point of the surfaces */
} sono_export_format;

#define SONO_EXPORT_NIFTI_MOST 32767 /* pixels a side, and frames */
#define SONO_EXPORT_LABELS     255   /* objects of a frame that a stack of 8 bits tells apart */

typedef struct sono_export_options {
    size_t struct_size;
    sono_export_format format;
    int32_t width_px;     /* stacks: of every frame */
    int32_t height_px;    /* likewise */
    int64_t n_frames;     /* at least 1 */
    double spacing_mm[2]; /* stacks: from pixel to pixel, x and y; 0 (default) = unknown */
    double interval_s;    /* stacks: from frame to frame, on average; 0 (default) = unknown */
    int32_t in_mm;        /* CSV: points are in millimetres; 0 (default) = in pixels */
    int32_t reserved;     /* 0 */
    const char *category; /* COCO: the name of class 0, that of class k is "<category> k"; NULL (default) =
                             "structure" */
} sono_export_options;

SONO_API void sono_export_options_init_sized(void *options, size_t struct_size);
static inline void sono_export_options_init(sono_export_options *options)
{
    sono_export_options_init_sized(options, sizeof *options);
}

typedef struct sono_export_frame {
    const sono_frame_info *info; /* its id, time, pose and orientation are kept where the format can */
    const char *name;            /* where it came from; escaped as sono_json_write_name() does */
    int32_t width_px;
    int32_t height_px;
    sono_state state;
} sono_export_frame;

typedef struct sono_export_object {
    const uint8_t *mask;   /* height_px rows of width_px bytes, contiguous; what is not 0 is set. NULL: there
                              are no masks (COCO alone takes that: the box is all that is known) */
    float bbox_xyxy_px[4]; /* the detector's; all 0 = unknown */
    float score;
    int32_t class_id; /* [0, 4095] */
} sono_export_object;

/* Lines of a surface. */
typedef struct sono_export_surface {
    const double *points;       /* n_points times x, y; millimetres or pixels, as the options say */
    const int32_t *line_starts; /* as in sono_surface_view */
    int32_t n_lines;
} sono_export_surface;

typedef struct sono_export sono_export;

/* Begins a file. It is written beside its place under a hidden name: an existing file is whole or untouched,
 * and replaced at the end. Errors: INVALID_ARGUMENT (NULL, an option outside its range), LIMIT (more than the
 * format can hold), IO, OUT_OF_MEMORY; the text names path. */
SONO_API sono_status sono_export_open(const char *path, const sono_export_options *options, sono_export **out,
                                      sono_error *error);

/* Says what is known of the next frame. Errors: STATE (there were n_frames, or results already),
 * INVALID_ARGUMENT (NULL, a size that is not the stack's), IO, OUT_OF_MEMORY. */
SONO_API sono_status sono_export_describe(sono_export *self, const sono_export_frame *frame,
                                          sono_error *error);

/* Adds what was found in the next frame, the same as the one described in this place.
 * Stacks: pixels of object k become k + 1, of those in several objects that of the first; the others 0.
 * COCO: objects without a set pixel are left out; boxes are those of the masks, the detector's are beside
 * them (detector_bbox). CSV: surface, NULL = none. Errors: STATE (frames are not described yet, or there were
 * n_frames), INVALID_ARGUMENT, LIMIT (too many objects), IO, OUT_OF_MEMORY. */
SONO_API sono_status sono_export_add(sono_export *self, const sono_export_frame *frame,
                                     const sono_export_object *objects, int32_t n_objects,
                                     const sono_export_surface *surface, sono_error *error);

/* keep 1: puts the file in its place; 0: leaves nothing. Frees it in any case; NULL is allowed. Errors: STATE
 * (frames are missing; nothing is left), IO. */
SONO_API sono_status sono_export_close(sono_export *self, int32_t keep, sono_error *error);

/* Unpacks a mask from COCO's compressed run lengths. mask: height_px rows of width_px bytes, the caller's;
 * 1 where it is set, else 0. Thread-safe. Errors: FORMAT (of another size, or none; mask is undefined then),
 * INVALID_ARGUMENT. */
SONO_API sono_status sono_export_unpack_rle(const char *counts, int32_t width_px, int32_t height_px,
                                            uint8_t *mask, sono_error *error);

#ifdef __cplusplus
}
#endif
#endif
