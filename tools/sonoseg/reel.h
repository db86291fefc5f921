// SPDX-License-Identifier: Apache-2.0
/*
 * The frames of many inputs in their order, read by any number of threads: each path is a unit that one
 * thread at a time reads from, several units are open at once, and what was read waits until its turn comes.
 * What is held is bounded, whatever the inputs. Nothing here locks: all but reel_read() are called under
 * the caller's one mutex.
 */
#ifndef SONOSEG_TOOL_REEL_H
#define SONOSEG_TOOL_REEL_H

#include "sonoseg/io.h"

#include <stdint.h>

#define REEL_AHEAD 2 /* frames of a unit that wait for their turn */

/* Whether a frame is to be read. */
typedef enum reel_want {
    REEL_WANTED,
    REEL_DONE,     /* it was done before */
    REEL_ELSEWHERE /* another run does it */
} reel_want;

/* A frame that was read, or why it could not be. */
typedef struct shot {
    sono_image image; /* its pixels are the shot's own */
    sono_frame_info info;
    char *name;         /* where it came from; the shot's own */
    sono_status status; /* not OK: error says what is wrong */
    sono_error error;
    reel_want want; /* not WANTED: it has a name and no pixels */
    uint8_t *pixels;
    size_t capacity_bytes, name_capacity_bytes;
} shot;

typedef struct reel_unit {
    const char *path; /* NULL = the whole source */
    sono_source *source;
    uint64_t first_id; /* of its frames, with wants */
    int64_t n_read, n_counted;
    int is_single; /* with wants: its file holds one frame */
    int is_busy, is_ended;
    int32_t first, n_waiting;
    /* Of the thread that reads, until reel_settle(). */
    int32_t place;
    int has_frame;
    int64_t n_found;
    shot *shots[REEL_AHEAD];
} reel_unit;

typedef struct reel {
    /* To be filled in; the rest zero. */
    sono_source *source;                /* borrowed; a list of files is only asked for its paths */
    const sono_source_options *options; /* of the files, borrowed */
    int is_whole;                       /* 1: the source is read itself, by one thread at a time */
    int32_t n_units;                    /* open at once */
    /* optional: whether a frame is wanted; called by reel_read(), and then frames are counted before they are
     * read: after a file that may hold several the next waits for its end. */
    reel_want (*wants)(void *user, uint64_t frame_id, const char *name);
    void *user;

    reel_unit *units;             /* unit u lies in units[u % n_units] */
    int64_t n_taken_up, n_opened; /* units that are done with, that were begun */
    int is_at_end;                /* there is no further unit */
    int64_t n_extra;              /* frames beyond one a path, of what was opened */
} reel;

/* Returns 0, or -1 without memory. */
int reel_open(reel *self);
void reel_close(reel *self);

/* A unit to read from, for this thread alone; NULL = there is nothing to read, for now or for good. */
reel_unit *reel_claim(reel *self);

/* Reads one frame; without the mutex. */
void reel_read(const reel *self, reel_unit *unit);

/* Ends what reel_claim() began. */
void reel_settle(reel *self, reel_unit *unit);

/* Puts the next frame in the place of *spare, and spare where that was; returns whether there was one. */
int reel_take(reel *self, shot **spare);

/* Whether every frame was taken. */
int reel_is_done(const reel *self);

/* Frames in all, as far as it is known; -1 = unknown. */
int64_t reel_count(const reel *self);

shot *shot_open(void); /* NULL without memory */
void shot_close(shot *at);

#endif
