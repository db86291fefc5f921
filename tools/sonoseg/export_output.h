// SPDX-License-Identifier: Apache-2.0
/*
 * The files of an export: one, or one for each size and spacing of the frames. First export_output_plan() for
 * each frame, then export_output_open(); then describe for each, then add for each, in the same order. One
 * thread at a time.
 */
#ifndef SONOSEG_TOOL_EXPORT_OUTPUT_H
#define SONOSEG_TOOL_EXPORT_OUTPUT_H

#include "export_input.h"
#include "export_sequence.h"

#include <limits.h>

#define EXPORT_MAX_FILES 64

typedef enum export_kind { /* the first four as sono_export_format has them */
                           EXPORT_COCO = SONO_EXPORT_COCO,
                           EXPORT_NIFTI = SONO_EXPORT_NIFTI,
                           EXPORT_NRRD = SONO_EXPORT_NRRD,
                           EXPORT_CSV = SONO_EXPORT_CSV,
                           EXPORT_SEQUENCE
} export_kind;

typedef struct export_file {
    int32_t width_px, height_px;
    double spacing_mm[2];
    int64_t n_frames, n_seen; /* n_seen: of the pass that goes on */
    int64_t first_ns, last_ns;
    int has_times; /* all frames have one, each later than the one before */
    char path[PATH_MAX];
    sono_export *writer;
    export_sequence *sequence;
} export_file;

typedef struct export_output {
    export_kind kind;
    const char *path; /* borrowed */
    const char *category;
    int may_split, may_replace, in_mm;
    export_file files[EXPORT_MAX_FILES];
    int32_t n_files;
} export_output;

/* Counts the frame to the file that it will be in. 0, or -1 after report_error(). */
int export_output_plan(export_output *self, const export_frame *frame);

/* Whether frames of several sizes were planned for one file. -1 after report_error(), which says what to do.
 */
int export_output_check(export_output *self, const char *const *inputs, int32_t n_inputs);

int export_output_open(export_output *self);
int export_output_describe(export_output *self, const export_frame *frame);
int export_output_add(export_output *self, const export_frame *frame);

/* To the first frame again, between the passes. */
void export_output_rewind(export_output *self);

/* keep 1: all files get their names. Frees everything in any case. 0, or -1 after report_error(). */
int export_output_close(export_output *self, int keep);

#endif
