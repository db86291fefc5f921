// SPDX-License-Identifier: Apache-2.0
/* Unique picture names: each source's stem, with "_2", "_3", ... behind it when it was given out before. */
#ifndef SONO_IO_FOLDER_STEMS_H
#define SONO_IO_FOLDER_STEMS_H

#include "base/status.h"

#include <stdint.h>

#define SONO_STEM_BYTES 232 /* with the suffixes still below a file name's 255 bytes */

typedef struct sono_stem_entry {
    char *text;    /* owned; NULL = free place */
    uint32_t next; /* the number to try next behind this stem */
} sono_stem_entry;

/* A hash table of the names given out. Zero-initialised = empty. */
typedef struct sono_stems {
    sono_stem_entry *entries;
    size_t count;
    size_t capacity; /* a power of two */
} sono_stems;

/* Writes source's file name without folders and suffix, escaped (sink/names.h), cut to fit between
 * characters; "frame" when nothing is left. */
void sono_stem_of(const char *source, char out[SONO_STEM_BYTES]);

/* Gives out a stem for source whose own name and "<stem>_obj<k>", k < n_objects when n_objects > 1, are all
 * new. Errors: OUT_OF_MEMORY. */
sono_status sono_stems_take(sono_stems *stems, const char *source, int32_t n_objects,
                            char out[SONO_STEM_BYTES], sono_error *error);

void sono_stems_reset(sono_stems *stems);

#endif
