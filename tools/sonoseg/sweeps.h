// SPDX-License-Identifier: Apache-2.0
/*
 * Sweeps of the synthetic scanner, rendered ahead by threads, since a frame takes one core longer to make
 * than a GPU to judge. Sweep k of a set is a phantom of its own, the set's options with seed + k, so that any
 * one can be made again by itself. Thread-safety: one thread at a time uses the handle.
 */
#ifndef SONOSEG_TOOL_SWEEPS_H
#define SONOSEG_TOOL_SWEEPS_H

#include "sonoseg/io.h"
#include "sonoseg/phantom.h"

#define SWEEPS_MAX_BYTES  (INT64_C(6) << 30) /* of rendered frames, unless two sweeps alone are more */
#define SWEEPS_NAME_BYTES 48

typedef struct sweep_frame {
    int32_t sweep; /* from 0 */
    sono_image image;
    sono_frame_info info;
    sono_truth truth; /* without mask and labels, which are NULL */
    char name[SWEEPS_NAME_BYTES];
} sweep_frame;

typedef struct sweeps sweeps;

/* options: of each sweep, with n_sweep_frames 0; n_frames says how long it is. n_threads: at least 1; fewer
 * run where their sweeps would take more than SWEEPS_MAX_BYTES. out: to be closed by the caller. Errors:
 * INVALID_ARGUMENT (as of sono_source_open_phantom()), OUT_OF_MEMORY (a thread, or the first places). */
sono_status sweeps_open(const sono_phantom_options *options, int32_t n_sweeps, int32_t n_threads,
                        sweeps **out, sono_error *error);

/* What runs, and the most memory that rendered frames take. */
int32_t sweeps_threads(const sweeps *self);
int64_t sweeps_bytes(const sweeps *self);

/* Waits for the next frame, of all sweeps in their order. out: borrowed until two further frames were taken.
 * Errors: END (behind the last frame, and when asked to stop, stop.h), and whatever a frame could not be made
 * for, which ends all. */
sono_status sweeps_next(sweeps *self, const sweep_frame **out, sono_error *error);

/* Ends the threads, which finish the frame that they are at. NULL is allowed. */
void sweeps_close(sweeps *self);

#endif
