// SPDX-License-Identifier: Apache-2.0
/* What the formats of an export have in common: a file that grows by pieces, and what each must do. */
#ifndef SONO_IO_EXPORT_EXPORT_H
#define SONO_IO_EXPORT_EXPORT_H

#include "base/status.h"
#include "io/export/gzip.h"
#include "io/folder/text.h"
#include "io/part.h"
#include "sonoseg/export.h"

#define SONO_EXPORT_CLASSES 4096

/* A format. Each function makes text, or writes what there is to write, and returns a status; describe and
 * add may be NULL. `text` is empty before each and goes to the file behind it: as it is, or through `gzip`
 * where that is open. */
typedef struct sono_export_ops {
    int is_stack;
    sono_status (*open)(sono_export *self, sono_error *error);
    sono_status (*describe)(sono_export *self, const sono_export_frame *frame, sono_error *error);
    sono_status (*described)(sono_export *self, sono_error *error); /* behind the last frame's */
    sono_status (*add)(sono_export *self, const sono_export_frame *frame, const sono_export_object *objects,
                       int32_t n_objects, const sono_export_surface *surface, sono_error *error);
    sono_status (*end)(sono_export *self, sono_error *error);
} sono_export_ops;

struct sono_export {
    sono_export_options options; /* category owned */
    const sono_export_ops *ops;
    char *path, *category;
    sono_part part;
    sono_gzip gzip;
    sono_text text;
    sono_text kept;  /* NIfTI: of all frames, which is in front of the pixels */
    uint8_t *labels; /* stacks: one frame's */
    int64_t n_described, n_added;
    int64_t n_annotations;
    uint8_t has_class[SONO_EXPORT_CLASSES];
    sono_status failed; /* what ended it; OK = nothing did */
};

extern const sono_export_ops sono_export_coco, sono_export_nifti, sono_export_nrrd, sono_export_csv;

/* Writes a piece, through gzip where that is open. Errors: IO. */
sono_status sono_export_write(sono_export *self, const void *bytes, size_t n_bytes, sono_error *error);

/* Stacks' add: the labels of one frame, written. */
sono_status sono_export_add_labels(sono_export *self, const sono_export_frame *frame,
                                   const sono_export_object *objects, int32_t n_objects,
                                   const sono_export_surface *surface, sono_error *error);

#endif
