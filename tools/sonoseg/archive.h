// SPDX-License-Identifier: Apache-2.0
/*
 * Many frames through one pipeline or several into a folder: workers read frames and write results, a driver
 * for each pipeline submits batches and takes their packets, and what is written is in the order of the
 * inputs, whatever the number of threads. A window bounds what is under way.
 *
 *     reel -> ready -> (driver) -> named, in order -> (worker draws) -> committed, in order
 *
 * A pipeline that fails while there is another one is left out, and the others do its frames again. Names on
 * stderr what fails and goes on; who is asked to stop (stop.h) finishes the frames in flight.
 */
#ifndef SONOSEG_TOOL_ARCHIVE_H
#define SONOSEG_TOOL_ARCHIVE_H

#include "reel.h"
#include "stats.h"

#include "sonoseg/io.h"
#include "sonoseg/sonoseg.h"

#define ARCHIVE_MAX_PIPELINES 16

typedef enum archive_overlays { OVERLAYS_ALL, OVERLAYS_CHANGED, OVERLAYS_NONE } archive_overlays;

/* What is known of a frame that was done before. */
typedef struct archive_done {
    const char *stem; /* of its pictures; borrowed until the next question of the same thread */
    int32_t n_objects;
    sono_state state;
} archive_done;

typedef struct archive_pipeline {
    sono_pipeline *pipeline; /* the caller's to close */
    const char *device;      /* how it is called in texts */
    /* Results. */
    int64_t n_frames;
    int has_failed; /* and was left out */
} archive_pipeline;

typedef enum archive_part { PART_READING, PART_COMPUTING, PART_WRITING, PART_COUNT } archive_part;

typedef struct archive {
    /* To be filled in; the rest zero. */
    reel reel; /* opened and closed here */
    sono_sink *sink;
    archive_pipeline pipelines[ARCHIVE_MAX_PIPELINES];
    int32_t n_pipelines;
    int32_t batch;
    int32_t n_workers;
    archive_overlays overlays;
    const sono_prompt *prompts; /* of every frame, borrowed; NULL = the pipelines have a detector */
    int32_t n_prompts;
    int is_quiet;     /* no progress */
    int has_no_hints; /* nothing on stderr but what fails */
    /* With reel.wants: how a frame that was done before was done; -1 = it was not. Called in order, by one
     * thread at a time. */
    int (*recall)(void *user, uint64_t frame_id, archive_done *out);
    void *user;
    /* optional: told of a pipeline that is left out, with the number of its frames that are done again. */
    void (*on_left_out)(void *user, const archive_pipeline *which, int32_t n_again);

    /* Results. */
    int64_t n_frames;    /* written */
    int64_t n_lost;      /* of these */
    int64_t n_failed;    /* inputs, named on stderr */
    int64_t n_kept;      /* done before */
    int64_t n_elsewhere; /* another run's */
    int has_stopped;     /* before the end: the last pipeline failed, or the folder did */
    double elapsed_s;
    double busy_share[PART_COUNT]; /* of the elapsed time: computing of the pipelines, the others of the
                                      workers */
    samples latencies_ms;
} archive;

/* Returns an exit status: all done, an input failed, or asked to stop. */
int archive_run(archive *self);

const char *archive_part_name(archive_part part); /* "reading", ... */

/* The part that the others wait for. */
archive_part archive_slowest(const archive *self);

int64_t archive_count(const archive *self); /* inputs that are done with */

void archive_free(archive *self);

#endif
