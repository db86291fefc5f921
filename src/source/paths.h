// SPDX-License-Identifier: Apache-2.0
/* The files that the given paths stand for, in order. */
#ifndef SONO_SOURCE_PATHS_H
#define SONO_SOURCE_PATHS_H

#include "base/status.h"

typedef struct sono_paths {
    char **items; /* owned */
    size_t count;
    size_t capacity;
} sono_paths;

/* Appends path itself, or, when it is a folder, the image files in it in natural order. A folder that has
 * none or cannot be listed is appended as itself: reading it gives the error. Errors: OUT_OF_MEMORY. */
sono_status sono_paths_add(sono_paths *paths, const char *path, sono_error *error);

void sono_paths_reset(sono_paths *paths);

/* strcmp() with runs of digits compared as numbers: "a2" < "a10", "a02" beside "a2". */
int sono_paths_compare(const char *left, const char *right);

/* Whether the name ends in an image format's suffix, in any case. */
int sono_paths_is_image(const char *name);

#endif
