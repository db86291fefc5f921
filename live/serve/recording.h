// SPDX-License-Identifier: Apache-2.0
/*
 * The recording beside the service: a thread that owns two live/record streams, NAME_0001 (images) and
 * NAME_masks_0001 (masks and states, with the same frame numbers in the same order), a queue bounded in
 * bytes, and a descriptor that tells of its end. What is queued is on the disk a second later.
 *
 * The first image for which the queue has no room stops the recording, as a full disk does: a recording has
 * no holes. Until then everything is written; the service never waits. The loop's thread's alone.
 */
#ifndef SONO_SERVE_RECORDING_H
#define SONO_SERVE_RECORDING_H

#include "serve/config.h"
#include "serve/engine.h"
#include "serve/frame.h"

typedef struct sono_serve_recording sono_serve_recording;

typedef struct sono_serve_recording_facts {
    int32_t is_on;
    uint64_t recorded, dropped; /* images: queued or written; those that came after the end */
    uint64_t queued_bytes;
    uint64_t written_bytes; /* pixels of images */
    char error[160];        /* why it stopped; "" = it did not */
} sono_serve_recording_facts;

/* The folder is made when it is missing. Errors: IO (it cannot be made or written), INVALID_ARGUMENT,
 * OUT_OF_MEMORY. */
sono_status sono_serve_recording_open(const sono_serve_config *config, sono_serve_recording **out,
                                      sono_error *error);
/* Copies frame->pixels, as they are submitted, and facts. Never waits. */
void sono_serve_recording_image(sono_serve_recording *recording, const sono_serve_frame *frame);
/* The mask of a recorded image, reason NULL; or that none is shown, for this reason: all zero, LOST, with the
 * result if the engine made one (NULL = it did not see the image). Each image gets one, at the end those that
 * did not. Never waits. */
void sono_serve_recording_mask(sono_serve_recording *recording, const sono_serve_frame *frame,
                               const sono_serve_result *result, const char *reason);
/* Readable once when it stopped because of an error. */
int sono_serve_recording_fd(const sono_serve_recording *recording);
void sono_serve_recording_query(sono_serve_recording *recording, sono_serve_recording_facts *out);
/* Writes what is queued, syncs, joins where configured. A disk that takes nothing for a minute is given up.
 * Errors: IO, also the one that stopped it. NULL is allowed. */
sono_status sono_serve_recording_close(sono_serve_recording *recording, sono_error *error);

#endif
