// SPDX-License-Identifier: Apache-2.0
/* The recording beside the service: a thread that owns two live/record streams (images; masks and states), a
 * queue bounded in bytes, and a descriptor that tells of its end. A slow or full disk stops the recording,
 * never the service. Without a queue's room a frame is not recorded and counted. */
#ifndef SONO_SERVE_RECORDING_H
#define SONO_SERVE_RECORDING_H

#include "serve/config.h"
#include "serve/engine.h"
#include "serve/frame.h"

typedef struct sono_serve_recording sono_serve_recording;

typedef struct sono_serve_recording_facts {
    int32_t is_on;
    uint64_t recorded, dropped; /* images */
    uint64_t queued_bytes;
    char error[160]; /* why it stopped; "" = it did not */
} sono_serve_recording_facts;

/* Errors: IO (folder), INVALID_ARGUMENT, OUT_OF_MEMORY. */
sono_status sono_serve_recording_open(const sono_serve_config *config, sono_serve_recording **out,
                                      sono_error *error);
/* Copies pixels (frame->pixels, before any conversion in place the caller decides) and facts. Never waits. */
void sono_serve_recording_image(sono_serve_recording *recording, const sono_serve_frame *frame);
/* The mask of a frame, or of a frame that has none (result NULL): LOST. Never waits. */
void sono_serve_recording_mask(sono_serve_recording *recording, const sono_serve_frame *frame,
                               const sono_serve_result *result);
/* Readable once when it stopped because of an error. */
int sono_serve_recording_fd(const sono_serve_recording *recording);
void sono_serve_recording_query(const sono_serve_recording *recording, sono_serve_recording_facts *out);
/* Writes what is queued, syncs, joins where configured. Errors: IO. NULL is allowed. */
sono_status sono_serve_recording_close(sono_serve_recording *recording, sono_error *error);

#endif
