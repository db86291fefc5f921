// SPDX-License-Identifier: Apache-2.0
/* Recording without an engine and without clients: a source and a recording (`sonoseg record`). */
#ifndef SONO_SERVE_RECORDER_H
#define SONO_SERVE_RECORDER_H

#include "serve/config.h"

typedef struct sono_serve_recorder_facts {
    int32_t is_connected;
    uint64_t recorded,
        refused;         /* images: taken; those that cannot be recorded, or whose checksum does not fit */
    uint64_t n_bytes;    /* of pixels that were taken */
    int64_t duration_ns; /* from the first image to the last */
    uint64_t connections;
    char text[256]; /* what happened last to the link or an image; "" = nothing */
} sono_serve_recorder_facts;

typedef struct sono_serve_recorder_options {
    uint64_t max_frames; /* ends after so many; 0 = no limit */
    int64_t max_ns;      /* and so long after the first image; 0 = no limit */
    int32_t is_once;     /* and when the source ends; 0 = it is connected to again, for ever */
    /* Optional, at least ten times a second: 1 = end now. */
    int (*progress)(void *user, const sono_serve_recorder_facts *facts);
    void *user;
} sono_serve_recorder_options;

/* Of config counts what is source's and record's, and the largest image. Runs until the end that the options
 * name, then writes what is queued and joins where configured. out: filled in on failure too. Errors: IO (the
 * folder; the disk is full or too slow), INVALID_ARGUMENT, OUT_OF_MEMORY. */
sono_status sono_serve_recorder_run(const sono_serve_config *config,
                                    const sono_serve_recorder_options *options,
                                    sono_serve_recorder_facts *out, sono_error *error);

#endif
