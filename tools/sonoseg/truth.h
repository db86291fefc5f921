// SPDX-License-Identifier: Apache-2.0
/* The truth of a labelled folder, SET/images/<stem>.<suffix> and SET/masks/<stem>.png: mask by mask. */
#ifndef SONOSEG_TOOL_TRUTH_H
#define SONOSEG_TOOL_TRUTH_H

#include "metrics.h"

#include "sonoseg/io.h"

typedef struct truth_masks {
    const char *set; /* the folder; borrowed */
    uint8_t *labels; /* of the mask that was read last */
    size_t capacity_px;
} truth_masks;

/* Checks that the folder is one, with images/ and masks/. Returns 0, or -1 after report_error(). */
int truth_check_folder(const char *set);

/* The labels of the image at that path; out's are borrowed until the next call. A mask that is not there
 * stands for an empty frame. Errors, all of which name the mask: as of sono_source_next(), FORMAT (not 8-bit
 * grey, not as large as the image), OUT_OF_MEMORY. */
sono_status truth_read(truth_masks *self, const char *image, int32_t width_px, int32_t height_px,
                       metrics_truth *out, sono_error *error);

void truth_free(truth_masks *self);

#endif
