// SPDX-License-Identifier: Apache-2.0
/* Files that appear whole or not at all: written beside their place under a hidden name, then renamed. */
#ifndef SONO_IO_PART_H
#define SONO_IO_PART_H

#include <limits.h>
#include <stdio.h>

typedef struct sono_part {
    const char *path; /* borrowed */
    FILE *stream;
    char temporary[PATH_MAX]; /* empty = written in place: a pipe, a device */
} sono_part;

/* Returns 0 with part->stream open for writing, else errno. Thread-safe. */
int sono_part_open(sono_part *part, const char *path);

/* Closes the stream; with keep puts the file in its place, else, and on failure, removes what was written.
 * Returns 0 or errno. */
int sono_part_close(sono_part *part, int keep);

/* Removes the parts in a folder, whose writer was killed: nobody may be writing there. */
void sono_parts_sweep(const char *folder);

#endif
