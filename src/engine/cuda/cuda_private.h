// SPDX-License-Identifier: Apache-2.0
/* What the files of the CUDA engine share. */
#ifndef SONO_ENGINE_CUDA_CUDA_PRIVATE_H
#define SONO_ENGINE_CUDA_CUDA_PRIVATE_H

#include "engine/cuda/choice/chain.h"
#include "engine/cuda/choice/strands.h"
#include "engine/cuda/kernels/kernels.h"
#include "engine/cuda/params.h"
#include "engine/engine.h"
#include "engine/cuda/device/gpu.h"

#define N_LANES          2
#define MAX_STAGE_EVENTS 32

/* Timing events of one slot's graph: event i ends the ops of stages[i] that started at event starts[i]. */
typedef struct stage_events {
    cudaEvent_t events[MAX_STAGE_EVENTS]; /* NULL = not made yet */
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
    sono_program lowered;
    const sono_program *program; /* &lowered */
    sono_engine_options options;
    sono_plan plan;
    sono_gpu gpu;
    sono_cuda_choice *choices; /* [n_ops]: the kernel of each op */
    sono_chain *chains;        /* [n_chains], in the order of their ops */
    size_t n_chains;
    int32_t *awaits;                       /* [n_ops]: choice/strands.h; NULL: all ops are of one strand */
    cudaEvent_t awaited[SONO_STRANDS_MAX]; /* NULL = not made */
    sono_engine_params *params;            /* its own, or shared with other engines */
    size_t activations_at;
    size_t scratch_at[N_LANES], scratch_bytes[N_LANES];
    sono_ledger_account *issuing; /* of the frame whose ops are being launched one by one; NULL = none */
    cuda_slot *slots;
    int32_t n_slots;
    int32_t slot; /* selected */
};

/* ---- call.c ---- */

/* Where a root of the selected slot lies in the device block; NULL when the plan has no place for it. */
uint8_t *sono_cuda_root_memory(const sono_engine *cuda, sono_tid root);
/* A tensor as a kernel sees it; id 0: all zero. */
sono_cuda_tensor sono_cuda_resolve(const sono_engine *cuda, sono_tid id);
/* Op number i on a lane, which need not be its own where ops run in order. */
sono_cuda_call sono_cuda_make_call(const sono_engine *cuda, size_t i, int32_t lane);
sono_status sono_cuda_launch(sono_engine *cuda, size_t i, int32_t lane, sono_error *error);
/* What kernels need done before their first launch. */
sono_status sono_cuda_prepare_kernels(sono_engine *cuda, sono_error *error);

/* ---- strands.c: what waits for both lanes ---- */

/* Once, when there is a plan. */
sono_status sono_cuda_open_strands(sono_engine *cuda, sono_error *error);
void sono_cuda_close_strands(sono_engine *cuda);
/* Strand 1 starts after what is on lane 0 now; lane 0 goes on after what strand 1 has got until the end. */
sono_status sono_cuda_begin_strands(sono_engine *cuda, sono_error *error);
sono_status sono_cuda_end_strands(sono_engine *cuda, sono_error *error);
/* Op i, behind the join, on its strand, after those of the other strand that it waits for. */
sono_status sono_cuda_launch_strand(sono_engine *cuda, size_t i, sono_error *error);

/* ---- times.c ---- */

/* Marks the end of a span that started at event `start`, or with -1 only the start of one. Returns the
 * event's index, -1 when stages are not timed. */
int32_t sono_cuda_mark_time(sono_engine *cuda, int32_t lane, int32_t start, sono_stage stage,
                            sono_status *status, sono_error *error);
/* Adds what a slot's events say to cost; they have happened. */
sono_status sono_cuda_read_times(sono_engine *cuda, const cuda_slot *slot, sono_frame_cost *cost,
                                 sono_error *error);

/* ---- frames.c ---- */

/* Puts the copy of the first n_bytes of the selected slot's inputs, or outputs, on lane 0. */
sono_status sono_cuda_copy_in(sono_engine *cuda, size_t n_bytes, sono_error *error);
sono_status sono_cuda_copy_out(sono_engine *cuda, size_t n_bytes, sono_error *error);
/* engine.h: prepare, submit, submit_resident, wait. */
sono_status sono_cuda_prepare(sono_engine *cuda, sono_error *error);
sono_status sono_cuda_submit(sono_engine *cuda, int32_t slot, size_t input_bytes, size_t output_bytes,
                             sono_error *error);
sono_status sono_cuda_submit_resident(sono_engine *cuda, int32_t slot, size_t header_bytes,
                                      size_t output_bytes, sono_error *error);
sono_status sono_cuda_wait(sono_engine *cuda, int32_t slot, sono_frame_cost *cost, sono_error *error);

/* ---- cuda.c, inspect.c, profile.c ---- */

/* Whether launches may leave out the gated ops. */
int sono_cuda_has_gated_ops(const sono_engine *cuda);
uint8_t *sono_cuda_slot_memory(sono_engine *cuda, int32_t slot, sono_block block);
extern const sono_engine_inspect_ops sono_cuda_inspect;
sono_status sono_cuda_profile(sono_engine *cuda, sono_engine_profile *out, sono_error *error);

#endif
