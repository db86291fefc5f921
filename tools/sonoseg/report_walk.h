// SPDX-License-Identifier: Apache-2.0
/* Through a recording, image by image, each with its mask where there is one. */
#ifndef SONOSEG_TOOL_REPORT_WALK_H
#define SONOSEG_TOOL_REPORT_WALK_H

#include "report.h"

#include "sonoseg/io.h"

typedef struct report_step {
    uint64_t id;                       /* FrameNumber, else the image's number in its file */
    int64_t time_ns;                   /* 0 = unknown */
    int32_t file;                      /* of the series' files */
    int64_t index;                     /* in its file, from 0 */
    const sono_source *images, *masks; /* at this frame; masks NULL: it has none */
    const sono_image *image, *mask;    /* NULL with as_stored, or where it cannot be read */
} report_step;

typedef struct report_walk {
    const char *folder;
    const report_series *series;
    int as_stored;       /* 1 = fields alone */
    report_texts *notes; /* what cannot be read; NULL = not to be said */
} report_walk;

/* Calls take with each image, in the files' order. What is lent is lent for the call. */
void report_walk_all(const report_walk *walk, void (*take)(void *user, const report_step *step), void *user);

#endif
