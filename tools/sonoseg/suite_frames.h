// SPDX-License-Identifier: Apache-2.0
/* The frames of one set of the suite, in each precision. */
#ifndef SONOSEG_TOOL_SUITE_FRAMES_H
#define SONOSEG_TOOL_SUITE_FRAMES_H

#include "flights.h"
#include "suite_report.h"

typedef struct suite_list {
    metrics_frame *phantom; /* of a phantom set */
    suite_frame *real;      /* of a real one */
    size_t n, capacity;
    FILE *lines; /* NULL = not wanted */
} suite_list;

typedef struct suite_frames {
    /* To be filled in; the rest zero. */
    int is_real, has_bone; /* has_bone: of a real set, whether its frames show one */
    float threshold;       /* of found */
    size_t n_most;         /* frames beyond it are passed over */

    suite_list lists[SUITE_PRECISIONS];
    char *paths[SUITE_PRECISIONS];
} suite_frames;

/* Each frame that is added writes a line to it. Returns 0, or -1 after report_error(). */
int suite_frames_open_lines(suite_frames *self, int precision, const char *path);

/* Measures the frame. Returns 0, or -1 when out of memory. */
int suite_frames_add(suite_frames *self, int precision, const flight *current, const sono_packet *packet);

/* Whether the lines so far could be written. */
int suite_frames_written(const suite_frames *self, int precision);

size_t suite_frames_count(const suite_frames *self); /* in the first precision */

/* Sorts the frames. Returns 0, or -1 when out of memory. */
int suite_frames_summarise(suite_frames *self, int n_precisions, suite_result *out);

/* Returns 0, or -1 after report_error(). */
int suite_frames_close_lines(suite_frames *self);

void suite_frames_free(suite_frames *self);

int suite_folder_exists(const char *path);

#endif
