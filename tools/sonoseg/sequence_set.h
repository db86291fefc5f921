// SPDX-License-Identifier: Apache-2.0
/*
 * The frames of an evaluation over time, with what the state machine was given for each: kept in memory,
 * written to and read from a parts file, and put through the machine again.
 *
 * A parts file is JSON lines: first one about the run (its rules), then one a frame. docs/state.md lists the
 * keys.
 */
#ifndef SONOSEG_TOOL_SEQUENCE_SET_H
#define SONOSEG_TOOL_SEQUENCE_SET_H

#include "sequence.h"

#include <stdio.h>

/* What the machine saw of a frame. */
typedef struct sequence_input {
    sono_parts parts;
    int64_t timestamp_ns; /* 0 = unknown */
    int32_t width_px, height_px;
} sequence_input;

typedef struct sequence_set {
    sequence_frame *frames;
    sequence_input *inputs;
    uint8_t *states; /* sono_state */
    size_t n, capacity;
} sequence_set;

/* How the states came about. */
typedef struct sequence_rules {
    sono_state_rules rules;
    sono_state_mode mode;
    double threshold; /* of the detector's score: has_box */
} sequence_rules;

/* Adds a frame. Returns 0, or -1 when out of memory. */
int sequence_set_add(sequence_set *self, const sequence_frame *frame, const sequence_input *input,
                     sono_state state);

void sequence_set_free(sequence_set *self);

/* The parts file's first line. input: what the frames are. */
void sequence_write_head(FILE *stream, const char *input, const sequence_rules *rules);

/* "rules": {...}, of a parts file's first line and of reports. */
void sequence_write_rules(FILE *stream, const sono_state_rules *rules);

/* One frame's line. index: its place in the file, from 0. */
void sequence_write_line(FILE *stream, size_t index, const sequence_frame *frame, const sequence_input *input,
                         sono_state state);

/* Reads a parts file into an empty set. rules: those of the run, for what the caller does not set itself.
 * Returns 0, or -1 after report_error(), which names file, line and reason. */
int sequence_read(const char *path, sequence_set *out, sequence_rules *rules);

/* Puts all parts through the machine, each sweep as a stream of its own: states and qualities become what
 * these rules say. Returns 0, or -1 after report_error(). */
int sequence_replay(sequence_set *self, const sequence_rules *rules);

#endif
