// SPDX-License-Identifier: Apache-2.0
/*
 * What every source is behind sono_source: a table of calls. An implementation embeds sono_source as
 * its first member, fills in `ops` at open, and gets that pointer back. One thread at a time.
 */
#ifndef SONO_IO_SOURCE_H
#define SONO_IO_SOURCE_H

#include "base/frame.h"
#include "sonoseg/io.h"
#include "sonoseg/phantom.h"

typedef struct sono_source_ops {
    int64_t (*count)(const sono_source *source); /* -1 = unknown */
    /* As sono_source_next(), *frame set up; never called again after END. */
    sono_status (*next)(sono_source *source, sono_frame *frame, const char **name, sono_error *error);
    void (*close)(sono_source *source); /* frees the source itself */
    /* optional: if NULL, the source knows no truth. As sono_source_truth(). */
    sono_status (*truth)(const sono_source *source, sono_truth *out, sono_error *error);
    /* optional: if NULL, nothing is ever left out. As sono_source_left_out(), *suffixes to be set. */
    int64_t (*left_out)(const sono_source *source, const char **suffixes);
    /* optional: if NULL, the source is no sequence. As sono_source_sequence() and sono_source_samples(). */
    const sono_sequence_info *(*sequence)(const sono_source *source);
    sono_status (*samples)(const sono_source *source, sono_samples *out, sono_error *error);
    /* optional: if NULL, frames have no fields. As sono_source_field_count(), sono_source_field_at() with a
     * number that exists. */
    int32_t (*field_count)(const sono_source *source);
    void (*field_at)(const sono_source *source, int32_t number, sono_source_field *out);
    /* optional: if NULL, the source is no list of files. As sono_source_path(). */
    const char *(*path)(const sono_source *source, int64_t index);
} sono_source_ops;

struct sono_source {
    const sono_source_ops *ops;
    int at_end; /* next() has answered END: it does so for good */
};

/* Copies caller options over the defaults as far as struct_size says they reach; NULL = defaults.
 * Errors: INVALID_ARGUMENT (a field outside its range). */
sono_status sono_source_options_read(const sono_source_options *given, sono_source_options *out,
                                     sono_error *error);

/* Frees rings of n_held images and names in memory of base/alloc.h, and what is in them; either may be NULL.
 */
void sono_source_free_held(uint8_t **images, char **names, int32_t n_held);

#endif
