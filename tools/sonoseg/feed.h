// SPDX-License-Identifier: Apache-2.0
/*
 * Frames of the synthetic scanner, rendered ahead by a thread of its own, for sets that are judged one after
 * the other while the later ones are being made. Thread-safety: one thread at a time uses the handle.
 */
#ifndef SONOSEG_TOOL_FEED_H
#define SONOSEG_TOOL_FEED_H

#include "flights.h"

typedef struct feed feed;

/* options: n_held is set here. ahead_bytes: what rendered frames may take, but FLIGHTS_HELD + 1 frames always
 * fit. out: to be closed by the caller. Errors: as of sono_source_open_phantom(), OUT_OF_MEMORY (also: no
 * thread). */
sono_status feed_open(const sono_phantom_options *options, int64_t ahead_bytes, feed **out,
                      sono_error *error);

/* Waits for the next frame, of whose truth labels alone are given. out: borrowed until FLIGHTS_HELD further
 * frames were taken. Errors: END (behind the last, and when asked to stop, stop.h), and whatever a frame
 * could not be made for, which ends all. */
sono_status feed_next(feed *self, flight *out, sono_error *error);

/* Ends the thread, which finishes the frame that it is at. NULL is allowed. */
void feed_close(feed *self);

#endif
