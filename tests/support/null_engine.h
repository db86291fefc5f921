// SPDX-License-Identifier: Apache-2.0
/*
 * A pipeline without networks, for tests of what goes on around them: its engine copies the first pixel of a
 * frame into every pixel of the mask and into the score, takes some microseconds, and can be told to fail or
 * to hold a frame.
 */
#ifndef SONO_TESTS_NULL_ENGINE_H
#define SONO_TESTS_NULL_ENGINE_H

#include "base/frame.h"

#define NULL_ENGINE_SIDE_PX 16 /* largest width and height of a frame */

/* Opens one; fails the test when that fails. A frame takes up to frame_us microseconds. */
sono_pipeline *null_engine_open(int32_t n_slots, int32_t batch, int32_t frame_us, sono_event_fn on_event,
                                void *user);

/* For pipelines opened from now on: how many objects a frame's maps have room for, and how many bytes an
 * element of their weight maps; 1 and 0 (there are none) before the first call. */
void null_engine_set_maps(int32_t n_objects, int32_t element_bytes);

/* How many bytes of maps the batch that was started last would have downloaded. */
size_t null_engine_maps_bytes(void);

/* A frame of the largest size whose every pixel is `value`; its pixels stay until the process ends. */
sono_frame null_engine_frame(uint64_t frame_id, uint8_t value);

/* Checks that a packet is what the engine makes of that frame. */
void null_engine_expect(const sono_packet *packet, uint64_t frame_id, uint8_t value);

/* While held, no frame is finished; of the pipeline that was opened last. */
void null_engine_hold(int32_t is_held);

/* Whether frames whose score is below the threshold (0.30) are LOST; else, and at first, none is. */
void null_engine_gate(int32_t is_gated);

/* What submit and wait return from now on. */
void null_engine_fail(sono_status at_submit, sono_status at_wait);

/* After how many batches each pipeline opened from now on fails for good (DEVICE); below 0, as at first, none
 * does. */
void null_engine_break(int32_t after_batches);

/* Whether pipelines opened from now on finish no frame before another one has failed for good. */
void null_engine_await(int32_t is_waiting);

/* On which devices the memory of engines opened from now on is, as they say: ordinals, or -1 and -2 as of
 * engine.h; others: of all but the masks. -1 and -1, as at first: they have none but the host's. */
void null_engine_place(int32_t masks, int32_t others);

/* Engines that are open now: memory of a closed pipeline that is still lent keeps its engine. */
int32_t null_engine_count(void);

#endif
