// SPDX-License-Identifier: Apache-2.0
/*
 * What a folder of results holds already: the lines of its results.jsonl, by frame, each believed only when
 * its frame is the same input as before and its pictures are whole. Lines may be added in any order while a
 * run goes on; in the end they are put in order. Thread-safety: resume_check() any thread, the others one.
 */
#ifndef SONOSEG_TOOL_RESUME_H
#define SONOSEG_TOOL_RESUME_H

#include "archive.h"

#include <stddef.h>
#include <stdint.h>

#define RESUME_STEM_BYTES 256

typedef struct resume_line {
    uint64_t frame_id;
    int64_t at;     /* byte */
    size_t n_bytes; /* with its newline */
} resume_line;

typedef struct resume {
    char *folder, *path; /* of results.jsonl */
    int file;            /* -1 = there is none */
    resume_line *lines;  /* sorted by frame, of the same frame the last one alone */
    size_t n_lines;
    int64_t n_bytes; /* of whole lines; behind them may be one that was cut off */
    int is_in_order; /* as they stand in the file */
    /* What each frame must have; to be filled in after resume_open(). */
    int wants_masks, wants_overlays, wants_weights, wants_rle;
    char stem[RESUME_STEM_BYTES]; /* of resume_recall() */
} resume;

/* Reads the lines of folder/results.jsonl; a folder without one has none. Returns 0, or -1 after
 * report_error(). */
int resume_open(resume *self, const char *folder);

/* Cuts off a line without an end, so that others can be added. 0, or -1 after report_error(). */
int resume_cut(const resume *self);

/* Whether the frame is done: there is its line, from the same input, and every picture that is wanted is
 * whole. */
int resume_check(const resume *self, uint64_t frame_id, const char *name);

/* A frame's line with its newline, to be freed; NULL = there is none, or no memory. Any thread. */
char *resume_text(const resume *self, uint64_t frame_id);

/* How a frame was done; -1 = it was not. */
int resume_recall(resume *self, uint64_t frame_id, archive_done *out);

/* Puts the lines in order where they are not, each frame once: as a whole or not at all. 0, or -1 after
 * report_error(). */
int resume_sort(const char *folder);

void resume_close(resume *self);

#endif
