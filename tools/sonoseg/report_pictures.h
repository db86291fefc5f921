// SPDX-License-Identifier: Apache-2.0
/* Pictures of chosen frames, small enough for a page, encoded. */
#ifndef SONOSEG_TOOL_REPORT_PICTURES_H
#define SONOSEG_TOOL_REPORT_PICTURES_H

#include "report_pick.h"

#define REPORT_LARGE_PX 480 /* width at most */
#define REPORT_SMALL_PX 176

typedef struct report_picture {
    size_t frame;        /* in the series */
    char *name;          /* what the frame is called; NULL = nothing says it */
    char *large, *small; /* "data:image/jpeg;base64,..."; NULL where there is no picture */
    const char *why;     /* then */
} report_picture;

typedef struct report_pictures {
    report_picture *items; /* by frame, each once */
    int n;
} report_pictures;

/* Pictures of all picks; what cannot be shown has no picture and says why. 0, or -1: out of memory. */
int report_pictures_make(const report *self, const report_series *series, const report_picks *picks,
                         report_pictures *out);
const report_picture *report_pictures_find(const report_pictures *pictures, size_t frame); /* NULL: none */
void report_pictures_free(report_pictures *pictures);

#endif
