// SPDX-License-Identifier: Apache-2.0
/*
 * An open pipeline. submit copies a frame into a slot and starts it once the slot's batch is full; receive
 * lends the packets one by one. A slot owns its inputs and its outputs, so batches in flight never share
 * bytes. One that is being filled belongs to the thread that submits; then to the engine and, once that is
 * done, to the pipeline's thread, which makes its packets; once received, to the thread that receives and
 * releases, until its last packet is back.
 *     open.c -> submit.c -> (engine) -> complete.c -> receive.c -> close.c; lend.c beside submit.c
 */
#ifndef SONO_PIPELINE_PIPELINE_PRIVATE_H
#define SONO_PIPELINE_PIPELINE_PRIVATE_H

#include "engine/engine.h"
#include "pipeline/slots.h"
#include "telemetry/events.h"
#include "pipeline/packet.h"
#include "pipeline/config.h"
#include "pipeline/flow.h"
#include "pipeline/model_set.h"

#include <stdatomic.h>

/* Where a frame's pixels are. All 0: in host memory, to be copied before submit returns. */
typedef struct sono_pixel_source {
    int32_t on_device;
    struct CUstream_st *stream; /* on_device: they are complete after what is on it */
    void (*release)(
        void *tensor); /* called with tensor once they are not needed any more; NULL = nobody waits */
    void *tensor;
    const sono_prompt *prompts; /* [n_prompts], the caller's, until they were stored; NULL = none */
    int32_t n_prompts;
} sono_pixel_source;

/* One frame of a slot's batch. */
typedef struct sono_pipeline_frame {
    sono_packet_storage storage;
    sono_pixel_source source; /* while the device may read them */
    int64_t submitted_ns;
    int32_t lent;      /* the packet, to the thread that receives */
    atomic_int n_uses; /* the lent packet and every tensor that was made of it */
} sono_pipeline_frame;

typedef struct sono_pipeline_slot {
    uint8_t *inputs;             /* the engine's, as its plan lays them out */
    uint8_t *outputs;            /* likewise */
    sono_pipeline_frame *frames; /* [batch]; the pipeline's */
    int32_t n_frames;            /* how many of them the batch in the slot has, ... */
    int32_t n_received;          /* ... were received, */
    atomic_int n_released;       /* ... are done with */
    int64_t pixels_bytes;        /* of all its frames; 0 = all are in device memory */
    int64_t maps_bytes;          /* of all its frames, packed */
    sono_input input;            /* where its pixels go, ... */
    int32_t is_input_lent;       /* ... to be filled by the caller; under the submit mutex */
    sono_status status;          /* of the run */
    sono_error error;
} sono_pipeline_slot;

/* Where the engine's memory for some tensors is: "cpu", "cuda:0", "unknown". */
typedef struct sono_pipeline_places {
    char boxes[16], image[16], masks[16]; /* image: the segmenter's input */
} sono_pipeline_places;

struct sono_pipeline {
    sono_pipeline_config config; /* its paths and rules are NULL: they were the caller's */
    sono_backend_choice choice;
    sono_model_set *models; /* NULL = its parameters are its own */
    sono_flow flow;
    sono_engine *engine;
    const sono_plan *plan; /* the engine's */
    sono_events events;
    sono_pipeline_places places; /* known while somebody listens */
    char detector_file[SONO_EVENT_PATH_BYTES],
        segmenter_file[SONO_EVENT_PATH_BYTES]; /* as events name them */
    sono_model_hashes own_hashes;
    sono_model_hashes *hashes; /* its own, or the set's; NULL = nobody listens, or there are no files */
    pthread_t hash_thread;
    int32_t hash_thread_started;
    sono_slots ring;
    pthread_mutex_t submit_mutex; /* of `filling`, and of the order in which slots go to the engine */
    sono_pipeline_slot slots[SONO_MAX_SLOTS];
    sono_pipeline_frame *frames; /* [n_slots][batch] */
    int32_t filling;             /* slot whose batch has room; -1 = none */
    int32_t stream_begins;       /* with the next frame; under the submit mutex, as the slot is */
    pthread_t thread;
    int32_t thread_started;
    atomic_int n_users;   /* the open handle, and all that is lent: packets and tensors */
    atomic_int is_closed; /* the handle was: no frame comes any more */
};

/* One user more; one less, the last of which frees everything. Thread-safe. */
void sono_pipeline_enter(sono_pipeline *p);
void sono_pipeline_leave(sono_pipeline *p);

/* Empties a slot for a new batch. */
void sono_pipeline_begin(sono_pipeline_slot *s);
/* Puts a checked frame into a slot's inputs and starts its packet. */
void sono_pipeline_store(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame *frame,
                         const sono_pixel_source *source);
/* The same for pixels that lie in the slot's input already. */
void sono_pipeline_store_lent(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame *frame);
/* Fills up a batch that is not full with placeholders, in which nothing can be found. */
void sono_pipeline_pad(sono_pipeline *p, sono_pipeline_slot *s);
/* Tells the sources of a slot's frames that their pixels are not needed any more. */
void sono_pipeline_release_pixels(sono_pipeline_slot *s);

/* One use of a frame's packet less, and one user of the pipeline; after the last use of all its frames the
 * slot is free. Thread-safe. */
void sono_pipeline_give_back(sono_pipeline *p, sono_pipeline_frame *f);

/* The first of a tensor's rows, in host memory, that belong to frame number i of a slot's batch. */
uint8_t *sono_pipeline_of_frame(const sono_pipeline *p, const sono_pipeline_slot *s, sono_tid tensor,
                                int32_t i);

/* Where the prompts of frame number i of a slot's batch lie: [max_objects]. */
sono_detection *sono_pipeline_prompts(const sono_pipeline *p, const sono_pipeline_slot *s, int32_t i);

/* Prompts in: prompts.c. A checked frame's are right for the pipeline, and there where it needs them (errors:
 * INVALID_ARGUMENT); puts them beside its pixels; a frame that is none has none. */
sono_status sono_pipeline_check_prompts(const sono_pipeline *p, const sono_frame *frame,
                                        const sono_pixel_source *source, sono_error *error);
void sono_pipeline_store_prompts(const sono_pipeline *p, const sono_pipeline_slot *s, int32_t i,
                                 const sono_pixel_source *source);

/* The frame whose packet this is, NULL unless it is lent. */
sono_pipeline_frame *sono_pipeline_find_lent(sono_pipeline *p, const sono_packet *packet);

/* Where an OUTPUT's row for a frame of the batch and one of its objects lies in the output block; for maps
 * see below. */
size_t sono_pipeline_output_at(const sono_pipeline *p, sono_tid tensor, int32_t frame, int32_t object);

/* Where the maps of frame number i of a slot's batch begin in the output block, and where those of all do. */
size_t sono_pipeline_maps_at(const sono_pipeline *p, const sono_pipeline_slot *s, int32_t i);
size_t sono_pipeline_all_maps_at(const sono_pipeline *p);

/* The headers of a slot's frames, [batch]. */
sono_frame_header *sono_pipeline_headers(const sono_pipeline *p, const sono_pipeline_slot *s);

/* What sono_pipeline_submit() is for host memory, for any source. On failure the source stays the caller's.
 */
sono_status sono_pipeline_submit_from(sono_pipeline *p, const sono_frame *frame,
                                      const sono_pixel_source *source, sono_error *error);

/* Asks the engine where its tensors are, for later events, and emits what is odd about an open pipeline:
 * tensors off the expected device, maps that cross in every frame. Does nothing where nobody listens. */
void sono_pipeline_locate(sono_pipeline *p);
void sono_pipeline_warn(sono_pipeline *p);

/* Opens a pipeline on an engine. config: complete and checked. flow: what that engine runs, taken over even
 * on failure; NULL = recorded from the configuration's checkpoints. Errors: those of sono_pipeline_open(). */
sono_status sono_pipeline_open_on(const sono_pipeline_config *config, const sono_backend_choice *choice,
                                  const sono_flow *flow, sono_pipeline **out, sono_error *error);

/* STATE after a shutdown. */
sono_status sono_pipeline_check_open(sono_pipeline *p, sono_error *error);
/* An empty slot to be filled. Errors: AGAIN. */
sono_status sono_pipeline_take_slot(sono_pipeline *p, int32_t *out, sono_error *error);
void sono_pipeline_announce_frame(sono_pipeline *p, const sono_frame *frame, const char *device_name);
void sono_pipeline_announce_loss(sono_pipeline *p, const sono_pipeline_frame *f, sono_status status);
/* Under the submit mutex: hands a slot's batch to the engine, filled up with placeholders. On failure its
 * frames are lost, and all their sources are told so but that of the last `n_kept`. */
sono_status sono_pipeline_start(sono_pipeline *p, int32_t slot, int32_t n_kept, sono_error *error);

/* Waits for a slot's batch and makes its packets. pipeline: a sono_pipeline. */
void sono_pipeline_complete(void *pipeline, int32_t slot);

/* The pipeline's thread: completes batches until the ring stops. */
void *sono_pipeline_main(void *pipeline);

#endif
