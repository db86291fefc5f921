// SPDX-License-Identifier: Apache-2.0
/*
 * The poses that a source sends, by name: TRANSFORM messages, and the metadata of IMAGE as Plus writes the
 * fields of a tracked frame: `<Name>Transform`, 16 numbers row by row, and `<Name>TransformStatus`, OK or
 * INVALID (igsioTrackedFrame.cxx of IGSIO: names, order of numbers, words). A frame has its own metadata's
 * before the newest TRANSFORM, which counts only when the two timestamps are within half a second. Of an
 * image's metadata the first 256 entries are looked at. Pure.
 */
#ifndef SONO_SERVE_TRANSFORMS_H
#define SONO_SERVE_TRANSFORMS_H

#include "serve/frame.h"

typedef struct sono_serve_transforms {
    int32_t n;
    uint64_t n_refused; /* names that are too long, numbers that are none, more than there is room for */
    sono_serve_transform list[SONO_SERVE_MAX_TRANSFORMS];
} sono_serve_transforms;

/* A TRANSFORM message of that device name; its metadata may say `TransformStatus` or `Status` INVALID. */
void sono_serve_transforms_message(sono_serve_transforms *transforms, const sono_igtl_header *header,
                                   const sono_igtl_body *body);

/* Into the frame: the newest TRANSFORMs, then the metadata's over them, its pose (of name `pose`; "" = none)
 * and its orientation (`UltrasoundImageOrientation`). */
void sono_serve_transforms_apply(sono_serve_transforms *transforms, const sono_igtl_body *body,
                                 const char *pose, sono_serve_frame *frame);

#endif
