// SPDX-License-Identifier: Apache-2.0
/*
 * An open pipeline. submit copies a frame into a slot and starts it; receive lends its packet. A slot owns
 * its inputs and its outputs, so frames in flight never share bytes. Where the backend runs whole frames by
 * itself (CUDA), submit launches and receive waits; where it does not (CPU), the pipeline's thread runs the
 * slots in order.
 */
#ifndef SONO_PIPELINE_PIPELINE_PRIVATE_H
#define SONO_PIPELINE_PIPELINE_PRIVATE_H

#include "backend/executor.h"
#include "frame/slots.h"
#include "monitor/events.h"
#include "packet/packet.h"
#include "pipeline/config.h"
#include "pipeline/flow.h"

typedef struct sono_pipeline_slot {
    uint8_t *inputs;  /* the executor's, as its plan lays them out */
    uint8_t *outputs; /* likewise */
    int64_t submitted_ns;
    sono_packet_storage storage;
    sono_status status; /* of the run */
    sono_error error;
} sono_pipeline_slot;

struct sono_pipeline {
    sono_pipeline_config config; /* its paths are NULL: they were the caller's */
    sono_backend_choice choice;
    sono_flow flow;
    sono_executor *executor;
    sono_events events;
    sono_slots ring;
    int32_t ring_ready;
    sono_pipeline_slot slots[SONO_MAX_SLOTS];
    pthread_t thread;
    int32_t thread_started;
};

/* Copies a checked frame into the slot's inputs and starts its packet. */
void sono_pipeline_store(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame *frame);

/* Emits what is odd about an open pipeline: tensors off the expected device, maps that cross in every frame.
 */
void sono_pipeline_warn(sono_pipeline *p);

/* Runs every op once on a black frame, so that what is set up on first use is set up now. */
sono_status sono_pipeline_warm_up(sono_pipeline *p, sono_error *error);

/* The pipeline's thread: runs queued slots until the ring stops. */
void *sono_pipeline_main(void *pipeline);

/* Backends that run frames by themselves: starts the slot's frame, and waits for it. */
sono_status sono_pipeline_start(sono_pipeline *p, int32_t slot, const sono_frame *frame, sono_error *error);
void sono_pipeline_complete(sono_pipeline *p, int32_t slot);

#endif
