// SPDX-License-Identifier: Apache-2.0
/* A progress line on a terminal; anywhere else nothing, or a line of its own every minute. */
#ifndef SONOSEG_TOOL_PROGRESS_H
#define SONOSEG_TOOL_PROGRESS_H

#include <stdint.h>

typedef struct progress {
    int is_on;
    int is_drawn;     /* a line stands on the terminal */
    int is_plain;     /* no terminal: a whole line now and then */
    int64_t total;    /* inputs; -1 = unknown */
    int64_t n_failed; /* of those that are done; shown where there are some */
    int64_t done;
    double started_s;
    double drawn_at_s;
} progress;

/* Shows on stderr when that is a terminal and is_wanted. */
void progress_start(progress *bar, int64_t total, int is_wanted);

/* Behind it: where that is no terminal, a line every minute, with a hundred inputs or more. */
void progress_allow_lines(progress *bar, int is_wanted);

/* done: inputs finished, failed ones included. state: of the last frame ("VISIBLE 0.93"). Redraws ten times a
 * second at most. */
void progress_update(progress *bar, int64_t done, const char *state);

/* Takes the line away, so that another can be printed; the next update draws it again. */
void progress_clear(progress *bar);

#endif
