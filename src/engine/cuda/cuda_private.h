// SPDX-License-Identifier: Apache-2.0
/* What the files of the CUDA engine share. */
#ifndef SONO_ENGINE_CUDA_CUDA_PRIVATE_H
#define SONO_ENGINE_CUDA_CUDA_PRIVATE_H

#include "engine/cuda/kernels/kernels.h"
#include "engine/cuda/params.h"
#include "engine/engine.h"
#include "engine/cuda/device/gpu.h"

#define N_LANES          2
#define MAX_STAGE_EVENTS 32

/* Timing events of one slot's graph: event i ends the ops of stages[i] that started at event starts[i]. */
typedef struct stage_events {
    cudaEvent_t events[MAX_STAGE_EVENTS];
    sono_stage stages[MAX_STAGE_EVENTS];
    int32_t starts[MAX_STAGE_EVENTS]; /* -1: this event only starts a span */
    int32_t n;
} stage_events;

typedef struct cuda_slot {
    size_t inputs_at, outputs_at; /* in the device block */
    uint8_t *host_inputs, *host_outputs;
    sono_gpu_graph graph;
    cudaEvent_t before; /* the graph; NULL unless the device is timed */
    cudaEvent_t done;
    sono_ledger_account account; /* of the frame in flight */
    stage_events times;
} cuda_slot;

struct sono_engine {
    const sono_program *program;
    sono_engine_options options;
    sono_plan plan;
    sono_gpu gpu;
    sono_engine_params *params; /* its own, or shared with other engines */
    size_t activations_at;
    size_t scratch_at[N_LANES], scratch_bytes[N_LANES];
    cuda_slot *slots;
    int32_t n_slots;
    int32_t slot; /* selected */
};

/* Puts one op on its lane. */
sono_status sono_cuda_launch(sono_engine *cuda, const sono_op *op, sono_error *error);

/* Puts the copy of the first n_bytes of the selected slot's inputs on lane 0. */
sono_status sono_cuda_copy_in(sono_engine *cuda, size_t n_bytes, sono_error *error);

/* engine.h, profile. */
sono_status sono_cuda_profile(sono_engine *cuda, sono_engine_profile *out, sono_error *error);

#endif
