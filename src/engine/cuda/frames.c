// SPDX-License-Identifier: Apache-2.0
/* Whole frames: one graph a slot is captured, upload, both lanes and download; launched and waited for.
 * Without a graph the same calls go to the streams for every frame. */
#include "engine/cuda/cuda_private.h"

#include "engine/cuda/kernels/carry.h"
#include "engine/cuda/kernels/gate.h"
#include "base/clock.h"
#include "engine/cuda/device/range.h"

#include <string.h>

/* A piece of a lane: one op, or the ops that launches may leave out together. */
typedef struct piece {
    size_t last; /* one behind its last op */
    sono_stage stage;
    int is_optional;
    const sono_branch *branch; /* optional ones: NULL = the gated ops */
} piece;

/* The piece that begins with op i. */
static piece piece_at(const sono_engine *cuda, size_t i)
{
    const sono_engine_options *options = &cuda->options;
    for (int32_t k = 0; k < options->n_branches; k++) {
        const sono_branch *branch = &options->branches[k];
        if (i == (size_t)branch->first_op)
            return (piece){(size_t)branch->last_op, branch->stage, 1, branch};
    }
    const sono_stage stage = cuda->program->ops[i].stage;
    if (sono_cuda_has_gated_ops(cuda) && i == (size_t)options->gate.first_late_op)
        return (piece){(size_t)options->gate.last_op, stage, 1, NULL};
    return (piece){i + 1, stage, 0, NULL};
}

/* The kernel that decides about a piece. */
static cudaError_t put_gate(sono_engine *cuda, const piece *p, unsigned long long condition)
{
    const sono_cuda_tensor read =
        sono_cuda_resolve(cuda, p->branch ? p->branch->step : cuda->options.gate.detections);
    return p->branch ? sono_cuda_gate_step(&read, condition, cuda->gpu.stream)
                     : sono_cuda_gate(&read, condition, cuda->gpu.stream);
}

/* Launches ops [first, p->last) as the body of a condition, behind the kernel that decides about it. */
static sono_status launch_optional(sono_engine *cuda, size_t first, const piece *p, sono_error *error)
{
    unsigned long long condition = 0;
    SONO_TRY(sono_gpu_condition_make(&cuda->gpu, &condition, error));
    SONO_GPU_TRY(&cuda->gpu, "capture", error, put_gate(cuda, p, condition));
    SONO_TRY(sono_gpu_condition_begin(&cuda->gpu, condition, error));
    for (size_t i = first; i < p->last; i++)
        SONO_TRY(sono_cuda_launch(cuda, i, 0, error));
    return sono_gpu_condition_end(&cuda->gpu, error);
}

/* Op i by itself. */
static sono_status launch_op(sono_engine *cuda, size_t i, int32_t lane, sono_error *error)
{
    if (i >= sono_program_join(cuda->program) && cuda->awaits)
        return sono_cuda_launch_strand(cuda, i, error);
    return sono_cuda_launch(cuda, i, lane, error);
}

/* Launches the ops of one lane in [first, last), timing each run of pieces of one stage. */
static sono_status launch_lane(sono_engine *cuda, int32_t lane, size_t first, size_t last, sono_error *error)
{
    sono_status status = SONO_STATUS_OK;
    int32_t start = sono_cuda_mark_time(cuda, lane, -1, SONO_STAGE_PREPROCESS, &status, error);
    int has_previous = 0;
    sono_stage previous = SONO_STAGE_PREPROCESS;
    piece p;
    for (size_t i = first; i < last && status == SONO_STATUS_OK; i = p.last) {
        p = piece_at(cuda, i);
        if (cuda->program->ops[i].lane != lane) {
            p.last = i + 1;
            continue;
        }
        if (has_previous && previous != p.stage)
            start = sono_cuda_mark_time(cuda, lane, start, previous, &status, error);
        if (status == SONO_STATUS_OK)
            status = p.is_optional ? launch_optional(cuda, i, &p, error) : launch_op(cuda, i, lane, error);
        has_previous = 1;
        previous = p.stage;
    }
    if (has_previous)
        sono_cuda_mark_time(cuda, lane, start, previous, &status, error);
    return status;
}

static sono_status launch_all(sono_engine *cuda, sono_error *error)
{
    const size_t fork = sono_program_fork(cuda->program), join = sono_program_join(cuda->program);
    if (fork)
        SONO_TRY(launch_lane(cuda, 0, 0, fork, error));
    if (join) {
        SONO_TRY(sono_gpu_fork(&cuda->gpu, error));
        SONO_TRY(launch_lane(cuda, 1, fork, join, error));
        SONO_TRY(launch_lane(cuda, 0, fork, join, error));
        SONO_TRY(sono_gpu_join(&cuda->gpu, error));
    }
    SONO_TRY(sono_cuda_begin_strands(cuda, error));
    SONO_TRY(launch_lane(cuda, 0, join, cuda->program->n_ops, error));
    return sono_cuda_end_strands(cuda, error);
}

sono_status sono_cuda_copy_in(sono_engine *cuda, size_t n_bytes, sono_error *error)
{
    const cuda_slot *slot = &cuda->slots[cuda->slot];
    return sono_gpu_upload(&cuda->gpu, cuda->issuing, cuda->gpu.device_block + slot->inputs_at,
                           slot->host_inputs, n_bytes, SONO_PLACE_UPLOAD, error);
}

sono_status sono_cuda_copy_out(sono_engine *cuda, size_t n_bytes, sono_error *error)
{
    const cuda_slot *slot = &cuda->slots[cuda->slot];
    return sono_gpu_download(&cuda->gpu, cuda->issuing, slot->host_outputs,
                             cuda->gpu.device_block + slot->outputs_at, n_bytes, SONO_PLACE_DOWNLOAD, error);
}

/* The other way in: arguments of a kernel. Captured with none; each launch that carries brings its own. */
static sono_status put_carrier(sono_engine *cuda, sono_error *error)
{
    const sono_cuda_carry_args nothing = {0};
    sono_gpu_graph *graph = &cuda->slots[cuda->slot].graph;
    SONO_GPU_TRY(&cuda->gpu, "capture", error, sono_cuda_carry(&nothing, cuda->gpu.stream));
    sono_cuda_carry_kernel(&graph->carrier_kernel);
    return sono_gpu_graph_mark_carrier(&cuda->gpu, graph, error);
}

static sono_status capture_slot(sono_engine *cuda, sono_error *error)
{
    sono_gpu_graph *graph = &cuda->slots[cuda->slot].graph;
    SONO_TRY(sono_gpu_graph_begin(&cuda->gpu, graph, error));
    sono_status status = sono_cuda_copy_in(cuda, cuda->plan.block_bytes[SONO_BLOCK_INPUTS], error);
    if (status == SONO_STATUS_OK)
        status = put_carrier(cuda, error);
    if (status == SONO_STATUS_OK)
        status = launch_all(cuda, error);
    if (status == SONO_STATUS_OK)
        status = sono_cuda_copy_out(cuda, cuda->plan.block_bytes[SONO_BLOCK_OUTPUTS], error);
    const sono_status ended = sono_gpu_graph_end(&cuda->gpu, graph, status == SONO_STATUS_OK ? error : NULL);
    return status != SONO_STATUS_OK ? status : ended;
}

/* Puts the selected slot's frame on the streams; arguments as below. */
static sono_status issue_selected(sono_engine *cuda, const sono_cuda_carry_args *carried, size_t input_bytes,
                                  size_t output_bytes, sono_error *error)
{
    cuda_slot *s = &cuda->slots[cuda->slot];
    if (s->before)
        SONO_GPU_TRY(&cuda->gpu, "launch", error, cudaEventRecord(s->before, cuda->gpu.stream));
    if (carried) {
        sono_ledger_book(&cuda->gpu.ledger, cuda->issuing, SONO_PLACE_LAUNCH, SONO_CROSSING_LAUNCH, 0);
        SONO_GPU_TRY(&cuda->gpu, "launch", error, sono_cuda_carry(carried, cuda->gpu.stream));
    } else {
        SONO_TRY(sono_cuda_copy_in(cuda, input_bytes, error));
    }
    s->times.n = 0;
    SONO_TRY(launch_all(cuda, error));
    SONO_TRY(sono_cuda_copy_out(cuda, output_bytes, error));
    SONO_TRY(sono_gpu_commit_offence(&cuda->gpu, cuda->issuing, error));
    SONO_GPU_TRY(&cuda->gpu, "launch", error, cudaEventRecord(s->done, cuda->gpu.stream));
    return SONO_STATUS_OK;
}

static sono_status issue_slot(sono_engine *cuda, int32_t slot, const sono_cuda_carry_args *carried,
                              size_t input_bytes, size_t output_bytes, sono_error *error)
{
    const int32_t selected = cuda->slot;
    cuda->slot = slot;
    cuda->issuing = &cuda->slots[slot].account;
    const sono_status status = issue_selected(cuda, carried, input_bytes, output_bytes, error);
    cuda->issuing = NULL;
    cuda->slot = selected;
    return status;
}

/* carried: the headers of a frame that uploads nothing; NULL = it uploads input_bytes. */
static sono_status launch_slot(sono_engine *cuda, int32_t slot, sono_cuda_carry_args *carried,
                               size_t input_bytes, size_t output_bytes, sono_error *error)
{
    cuda_slot *s = &cuda->slots[slot];
    SONO_GPU_TRY(&cuda->gpu, "launch", error, cudaSetDevice(cuda->gpu.device));
    memset(&s->account, 0, sizeof s->account);
    if (cuda->options.without_graph)
        return issue_slot(cuda, slot, carried, input_bytes, output_bytes, error);
    SONO_TRY(sono_gpu_graph_carry(&cuda->gpu, &s->graph, carried, error));
    SONO_TRY(sono_gpu_graph_resize(&cuda->gpu, &s->graph, input_bytes, output_bytes, error));
    return sono_gpu_graph_launch(&cuda->gpu, &s->graph, s->before, s->done, &s->account, error);
}

sono_status sono_cuda_submit(sono_engine *cuda, int32_t slot, size_t input_bytes, size_t output_bytes,
                             sono_error *error)
{
    SONO_TRY(sono_gpu_check(&cuda->gpu, error));
    sono_gpu_range_push("sonoseg submit");
    const sono_status status = launch_slot(cuda, slot, NULL, input_bytes, output_bytes, error);
    sono_gpu_range_pop();
    return status;
}

sono_status sono_cuda_submit_resident(sono_engine *cuda, int32_t slot, size_t header_bytes,
                                      size_t output_bytes, sono_error *error)
{
    const cuda_slot *s = &cuda->slots[slot];
    sono_cuda_carry_args args = {.to = (uint32_t *)(void *)(cuda->gpu.device_block + s->inputs_at),
                                 .n_words = (int32_t)(header_bytes / sizeof(uint32_t))};
    SONO_TRY(sono_gpu_check(&cuda->gpu, error));
    if (header_bytes > sizeof args.words)
        return SONO_FAIL(error, UNSUPPORTED, "%zu bytes of headers cannot ride with a launch", header_bytes);
    memcpy(args.words, s->host_inputs, header_bytes);
    sono_gpu_range_push("sonoseg submit");
    const sono_status status = launch_slot(cuda, slot, &args, 0, output_bytes, error);
    sono_gpu_range_pop();
    return status;
}

static sono_status wait_for_slot(sono_engine *cuda, cuda_slot *s, sono_frame_cost *cost, sono_error *error)
{
    SONO_GPU_TRY(&cuda->gpu, "download", error, cudaSetDevice(cuda->gpu.device));
    SONO_TRY(sono_gpu_wait(&cuda->gpu, &s->account, s->done, SONO_PLACE_DOWNLOAD, error));
    SONO_TRY(sono_gpu_check(&cuda->gpu, error));
    cost->done_ns = sono_clock_ns();
    sono_ledger_totals_of(&s->account, &cost->ledger);
    return sono_cuda_read_times(cuda, s, cost, error);
}

sono_status sono_cuda_wait(sono_engine *cuda, int32_t slot, sono_frame_cost *cost, sono_error *error)
{
    sono_gpu_range_push("sonoseg wait");
    const sono_status status = wait_for_slot(cuda, &cuda->slots[slot], cost, error);
    sono_gpu_range_pop();
    return status;
}

/* Launches the selected slot's frame in both ways, with whatever its inputs hold. */
static sono_status try_slot(sono_engine *cuda, sono_error *error)
{
    const size_t input_bytes = cuda->plan.block_bytes[SONO_BLOCK_INPUTS],
                 output_bytes = cuda->plan.block_bytes[SONO_BLOCK_OUTPUTS];
    sono_gpu_graph *graph = &cuda->slots[cuda->slot].graph;
    sono_frame_cost cost = {0};
    SONO_TRY(sono_cuda_submit(cuda, cuda->slot, input_bytes, output_bytes, error));
    SONO_TRY(sono_cuda_wait(cuda, cuda->slot, &cost, error));
    if (!graph->carrier && !cuda->options.without_graph)
        return SONO_STATUS_OK;
    SONO_TRY(sono_cuda_submit_resident(cuda, cuda->slot,
                                       input_bytes < SONO_CARRIED_BYTES ? input_bytes : SONO_CARRIED_BYTES,
                                       output_bytes, error));
    SONO_TRY(sono_cuda_wait(cuda, cuda->slot, &cost, error));
    return sono_gpu_graph_carry(&cuda->gpu, graph, NULL, error);
}

/* Captures every slot's graph, if there are to be any, and launches each, as a frame of no pixels at all
 * would. */
static sono_status prepare_slots(sono_engine *cuda, sono_error *error)
{
    for (cuda->slot = 0; cuda->slot < cuda->n_slots; cuda->slot++) {
        sono_status status = cuda->options.without_graph ? SONO_STATUS_OK : capture_slot(cuda, error);
        if (status == SONO_STATUS_OK)
            status = try_slot(cuda, error);
        if (status != SONO_STATUS_OK) {
            cuda->slot = 0;
            return status;
        }
    }
    cuda->slot = 0;
    cuda->gpu.ledger.phase = SONO_PHASE_LOOP;
    return SONO_STATUS_OK;
}

sono_status sono_cuda_prepare(sono_engine *cuda, sono_error *error)
{
    sono_gpu_range_push("sonoseg warm-up");
    const sono_status status = prepare_slots(cuda, error);
    sono_gpu_range_pop();
    return status;
}
