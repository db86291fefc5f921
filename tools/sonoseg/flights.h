// SPDX-License-Identifier: Apache-2.0
/*
 * The frames of a source through a pipeline, for every command that has an end: one frame is computed while
 * the one before is taken care of and the one behind is read. Shows the progress line, names on stderr what
 * fails and goes on; who is asked to stop (stop.h) finishes the frames in flight.
 */
#ifndef SONOSEG_TOOL_FLIGHTS_H
#define SONOSEG_TOOL_FLIGHTS_H

#include "deep.h"
#include "progress.h"
#include "stats.h"

#include "sonoseg/io.h"
#include "sonoseg/phantom.h"
#include "sonoseg/sonoseg.h"

#define FLIGHTS_HELD 2 /* frames that the source must keep (n_held), slots that the pipeline must have */

typedef struct flight {
    sono_image image;
    sono_frame_info info;
    const char *name; /* where the frame came from */
    sono_truth truth; /* with wants_truth, else zero */
    int32_t sweep;    /* that read() says the frame belongs to, else 0 */
} flight;

typedef struct flights {
    /* To be filled in; the rest zero. */
    sono_source *source;        /* borrowed; NULL: read() gives the frames */
    sono_pipeline *pipeline;    /* borrowed */
    int wants_truth;            /* the source is one that knows it */
    const sono_prompt *prompts; /* of every frame, borrowed; NULL = the pipeline has a detector */
    int32_t n_prompts;
    int is_quiet;     /* no progress line */
    int has_no_hints; /* nothing on stderr but what fails */
    /* In place of a source: the next frame, all of it, with what it points to valid until its result was
     * taken; END behind the last. Whoever fails sets the name, too. */
    sono_status (*read)(void *user, flight *out, sono_error *error);
    int64_t n_to_read; /* frames that read() will give */
    /* Called with each result, in input order; both are borrowed for the call. A failure ends the run. */
    sono_status (*take)(void *user, const flight *current, const sono_packet *packet, sono_error *error);
    void *user;

    /* Results. */
    int64_t n_frames; /* taken */
    int64_t n_lost;   /* of these */
    int64_t n_failed; /* inputs, named on stderr */
    int has_stopped;  /* before the end: the pipeline failed, or take() did */
    double elapsed_s;
    samples latencies_ms;

    deep deep; /* the hint at 16-bit samples of fewer bits */

    int at_end; /* nothing more is read: the inputs are done, or the user wants to stop */
    progress bar;
} flights;

/* Borrowed from the packet; NULL where it is not in host memory. Rows are contiguous. */
const uint8_t *flights_best_mask(const sono_packet *packet);

/* Returns an exit status: all done, an input failed, or asked to stop. */
int flights_run(flights *self);

void flights_free(flights *self);

#endif
