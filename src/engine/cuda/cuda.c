// SPDX-License-Identifier: Apache-2.0
/*
 * The CUDA engine. One device block holds, in this order: activations, a scratch area a lane, and each
 * slot's inputs and outputs; another, which engines may share, the parameters as the kernels want them
 * (params.h); one pinned block mirrors the slots. prepare() captures one graph a slot: upload, both lanes,
 * download.
 */
#include "engine/cuda/cuda_private.h"

#include "engine/cuda/kernels/carry.h"
#include "engine/cuda/kernels/gate.h"
#include "engine/cuda/kernels/pack.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "engine/cuda/device/range.h"

#include <string.h>

_Static_assert(SONO_CUDA_CARRY_BYTES == SONO_CARRIED_BYTES, "the carrier takes what engine.h promises");
_Static_assert(SONO_CARRIED_BYTES == 32 * sizeof(sono_frame_header), "headers of the largest batch");

/* Takes n_bytes from the end of a block that is being laid out. */
static size_t reserve(size_t *total, size_t n_bytes)
{
    const size_t at = *total;
    *total = sono_gpu_round_up(at + n_bytes);
    return at;
}

/* ---- where things are ---- */

static uint8_t *root_memory(const sono_engine *cuda, sono_tid root)
{
    const size_t at = cuda->plan.offset_bytes[root];
    if (at == SIZE_MAX)
        return NULL;
    const cuda_slot *slot = &cuda->slots[cuda->slot];
    switch (sono_tensor_block(&cuda->program->tensors[root])) {
    case SONO_BLOCK_INPUTS:
        return cuda->gpu.device_block + slot->inputs_at + at;
    case SONO_BLOCK_OUTPUTS:
        return cuda->gpu.device_block + slot->outputs_at + at;
    default:
        return cuda->gpu.device_block + cuda->activations_at + at;
    }
}

static sono_cuda_tensor resolve_packed(const sono_engine *cuda, sono_tid id)
{
    const sono_tensor *t = &cuda->program->tensors[id];
    const int64_t k = (int64_t)t->n * t->h * t->w;
    const int64_t k_padded = (k + SONO_CUDA_PACK_K - 1) / SONO_CUDA_PACK_K * SONO_CUDA_PACK_K;
    return (sono_cuda_tensor){.data = cuda->params->block + cuda->params->places[t->param_index].packed,
                              .dtype = SONO_DTYPE_F16,
                              .n = 1,
                              .h = 1,
                              .w = (int32_t)k,
                              .c = t->c,
                              .pitch = k_padded};
}

static sono_cuda_tensor resolve(const sono_engine *cuda, sono_tid id)
{
    if (!id)
        return (sono_cuda_tensor){0};
    const sono_tensor *t = &cuda->program->tensors[id];
    const sono_dtype dtype = sono_tensor_stored_dtype(cuda->program, id, cuda->options.precision);
    const sono_tensor *root = &cuda->program->tensors[t->root];
    uint8_t *base = NULL; /* until there is memory for the activations: kernels.h, scratch */
    if (cuda->gpu.device_block)
        base = root->kind == SONO_TENSOR_PARAM
                   ? cuda->params->block + cuda->params->places[root->param_index].plain
                   : root_memory(cuda, t->root);
    return (sono_cuda_tensor){.data = base ? base + (size_t)t->offset * sono_dtype_bytes(dtype) : NULL,
                              .dtype = dtype,
                              .n = t->n,
                              .h = t->h,
                              .w = t->w,
                              .c = t->c,
                              .pitch = t->pitch,
                              .batch_stride = t->batch_stride};
}

static sono_cuda_call make_call(const sono_engine *cuda, const sono_op *op)
{
    sono_cuda_call call = {.op = op,
                           .stream = sono_gpu_lane(&cuda->gpu, op->lane),
                           .n_multiprocessors = cuda->gpu.n_multiprocessors,
                           .compute_capability = cuda->gpu.compute_capability};
    if (cuda->gpu.device_block) {
        call.scratch = cuda->gpu.device_block + cuda->scratch_at[op->lane];
        call.scratch_bytes = cuda->scratch_bytes[op->lane];
    }
    for (int i = 0; i < SONO_OP_MAX_IN; i++)
        call.in[i] = sono_cuda_takes_packed(cuda->program, cuda->options.precision, op, i)
                         ? resolve_packed(cuda, op->in[i])
                         : resolve(cuda, op->in[i]);
    for (int i = 0; i < SONO_OP_MAX_OUT; i++)
        call.out[i] = resolve(cuda, op->out[i]);
    return call;
}

/* ---- open ---- */

static void place_scratch(sono_engine *cuda, size_t *total)
{
    for (size_t i = 0; i < cuda->program->n_ops; i++) {
        const sono_op *op = &cuda->program->ops[i];
        const sono_cuda_call call = make_call(cuda, op);
        const sono_cuda_kernel *kernel = &sono_cuda_kernels[op->kind];
        const size_t n_bytes = kernel->scratch ? kernel->scratch(&call) : 0;
        if (n_bytes > cuda->scratch_bytes[op->lane])
            cuda->scratch_bytes[op->lane] = n_bytes;
    }
    /* run() puts every op on lane 0, so both areas take the larger size. */
    const size_t largest =
        cuda->scratch_bytes[0] > cuda->scratch_bytes[1] ? cuda->scratch_bytes[0] : cuda->scratch_bytes[1];
    cuda->scratch_bytes[0] = cuda->scratch_bytes[1] = largest;
    for (int lane = 0; lane < N_LANES; lane++)
        cuda->scratch_at[lane] = reserve(total, cuda->scratch_bytes[lane]);
}

static sono_status allocate(sono_engine *cuda, sono_error *error)
{
    const size_t input_bytes = sono_gpu_round_up(cuda->plan.block_bytes[SONO_BLOCK_INPUTS]);
    const size_t output_bytes = sono_gpu_round_up(cuda->plan.block_bytes[SONO_BLOCK_OUTPUTS]);
    size_t total = 0;
    cuda->activations_at = reserve(&total, cuda->plan.block_bytes[SONO_BLOCK_ACTIVATIONS]);
    place_scratch(cuda, &total);
    for (int32_t i = 0; i < cuda->n_slots; i++) {
        cuda->slots[i].inputs_at = reserve(&total, input_bytes);
        cuda->slots[i].outputs_at = reserve(&total, output_bytes);
    }
    const size_t pinned_bytes = (size_t)cuda->n_slots * (input_bytes + output_bytes);
    SONO_TRY(sono_gpu_allocate(&cuda->gpu, total + SONO_GPU_ALIGN_BYTES, pinned_bytes + SONO_GPU_ALIGN_BYTES,
                               error));
    uint8_t *pinned = cuda->gpu.pinned_block;
    for (int32_t i = 0; i < cuda->n_slots; i++, pinned += input_bytes + output_bytes) {
        cuda->slots[i].host_inputs = pinned;
        cuda->slots[i].host_outputs = pinned + input_bytes;
    }
    /* As the pinned block is: what lies between outputs crosses with them. */
    const size_t slots_at = cuda->slots[0].inputs_at;
    SONO_GPU_TRY(&cuda->gpu, "open", error,
                 cudaMemsetAsync(cuda->gpu.device_block + slots_at, 0, total - slots_at, cuda->gpu.stream));
    return SONO_STATUS_OK;
}

static void free_slot(cuda_slot *slot)
{
    sono_gpu_graph_free(&slot->graph);
    for (int32_t i = 0; i < slot->times.n; i++)
        cudaEventDestroy(slot->times.events[i]);
    if (slot->done)
        cudaEventDestroy(slot->done);
    if (slot->before)
        cudaEventDestroy(slot->before);
}

static void cuda_close(sono_engine *cuda)
{
    if (!cuda)
        return;
    if (cuda->gpu.stream)
        cudaStreamSynchronize(cuda->gpu.stream);
    for (int32_t i = 0; cuda->slots && i < cuda->n_slots; i++)
        free_slot(&cuda->slots[i]);
    sono_gpu_close(&cuda->gpu);
    sono_plan_free(&cuda->plan);
    sono_free(cuda->slots);
    sono_cuda_params_close(cuda->params);
    sono_free(cuda);
}

static sono_status take_params(sono_engine *cuda, sono_error *error)
{
    const sono_engine_options *options = &cuda->options;
    if (!options->params)
        return sono_cuda_params_make(&cuda->gpu, cuda->program, options->precision, &cuda->params, error);
    SONO_TRY(
        sono_cuda_params_share(options->params, cuda->program, options->device, options->precision, error));
    cuda->params = options->params;
    return SONO_STATUS_OK;
}

static int has_gated_ops(const sono_engine *cuda)
{
    return cuda->options.gate_on_device && cuda->options.gate.first_late_op < cuda->options.gate.last_op;
}

static sono_status open_events(sono_engine *cuda, sono_error *error)
{
    const unsigned flags = cuda->options.time_device ? cudaEventDefault : cudaEventDisableTiming;
    for (int32_t i = 0; i < cuda->n_slots; i++) {
        cuda_slot *slot = &cuda->slots[i];
        SONO_GPU_TRY(&cuda->gpu, "open", error, cudaEventCreateWithFlags(&slot->done, flags));
        if (cuda->options.time_device)
            SONO_GPU_TRY(&cuda->gpu, "open", error, cudaEventCreateWithFlags(&slot->before, flags));
    }
    return SONO_STATUS_OK;
}

static sono_status open_parts(sono_engine *cuda, sono_error *error)
{
    const sono_program *program = cuda->program;
    const sono_plan_options plan_options = {.mode = cuda->options.plan_mode,
                                            .align_bytes = SONO_GPU_ALIGN_BYTES,
                                            .precision = cuda->options.precision,
                                            .lanes = 1};
    for (size_t i = 0; i < program->n_ops; i++)
        if (!sono_cuda_kernels[program->ops[i].kind].run)
            return SONO_FAIL(error, UNSUPPORTED, "op %s has no CUDA kernel",
                             sono_op_name(program->ops[i].kind));
    cuda->n_slots = cuda->options.n_slots ? cuda->options.n_slots : 1;
    cuda->slots = sono_alloc_array((size_t)cuda->n_slots, sizeof *cuda->slots);
    if (!cuda->slots)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the CUDA engine");
    SONO_TRY(sono_plan_make(program, &plan_options, &cuda->plan, error));
    SONO_TRY(sono_gpu_open(&cuda->gpu, cuda->options.device, error));
    if (has_gated_ops(cuda))
        SONO_TRY(sono_gpu_condition_open(&cuda->gpu, error));
    SONO_TRY(take_params(cuda, error));
    SONO_TRY(allocate(cuda, error));
    return open_events(cuda, error);
}

static sono_status cuda_open(const sono_program *program, const sono_engine_options *options,
                             sono_engine **out, sono_error *error)
{
    sono_engine *cuda = sono_alloc(sizeof *cuda);
    if (!cuda)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the CUDA engine");
    cuda->program = program;
    cuda->options = *options;
    sono_gpu_range_push("sonoseg open");
    const sono_status status = open_parts(cuda, error);
    sono_gpu_range_pop();
    if (status != SONO_STATUS_OK) {
        cuda_close(cuda);
        return status;
    }
    *out = cuda;
    return SONO_STATUS_OK;
}

/* ---- running ---- */

sono_status sono_cuda_launch(sono_engine *cuda, const sono_op *op, sono_error *error)
{
    const sono_cuda_call call = make_call(cuda, op);
    const cudaError_t code = SONO_CUDA(sono_cuda_kernels[op->kind].run(&call));
    if (code != cudaSuccess)
        return sono_gpu_fail(&cuda->gpu, code, sono_op_name(op->kind), sono_stage_name(op->stage), error);
    return SONO_STATUS_OK;
}

/* Launches the gated ops as the body of a condition, behind the kernel that decides about it. */
static sono_status launch_gated(sono_engine *cuda, sono_error *error)
{
    const sono_gate *gate = &cuda->options.gate;
    const sono_cuda_tensor detections = resolve(cuda, gate->detections);
    unsigned long long condition = 0;
    SONO_TRY(sono_gpu_condition_make(&cuda->gpu, &condition, error));
    SONO_GPU_TRY(&cuda->gpu, "capture", error, sono_cuda_gate(&detections, condition, cuda->gpu.stream));
    SONO_TRY(sono_gpu_condition_begin(&cuda->gpu, condition, error));
    for (int32_t i = gate->first_late_op; i < gate->last_op; i++)
        SONO_TRY(sono_cuda_launch(cuda, &cuda->program->ops[i], error));
    return sono_gpu_condition_end(&cuda->gpu, error);
}

/* Launches op number *i, or all gated ops where it is their first; *i is the last one launched then. */
static sono_status launch_next(sono_engine *cuda, size_t *i, sono_error *error)
{
    if (!has_gated_ops(cuda) || *i != (size_t)cuda->options.gate.first_late_op)
        return sono_cuda_launch(cuda, &cuda->program->ops[*i], error);
    *i = (size_t)cuda->options.gate.last_op - 1;
    return launch_gated(cuda, error);
}

/* Marks the end of a span that started at event `start`, or with -1 only the start of one. Returns the
 * event's index, -1 when stages are not timed. */
static int32_t mark_time(sono_engine *cuda, int32_t lane, int32_t start, sono_stage stage,
                         sono_status *status, sono_error *error)
{
    stage_events *times = &cuda->slots[cuda->slot].times;
    if (!cuda->options.time_stages || times->n == MAX_STAGE_EVENTS || *status != SONO_STATUS_OK)
        return -1;
    cudaEvent_t *event = &times->events[times->n];
    cudaError_t code = SONO_CUDA(cudaEventCreate(event));
    if (code == cudaSuccess)
        code = SONO_CUDA(
            cudaEventRecordWithFlags(*event, sono_gpu_lane(&cuda->gpu, lane), cudaEventRecordExternal));
    if (code != cudaSuccess) {
        *status = sono_gpu_fail(&cuda->gpu, code, "cudaEventRecordWithFlags", "capture", error);
        if (*event)
            cudaEventDestroy(*event);
        return -1;
    }
    times->starts[times->n] = start;
    times->stages[times->n] = stage;
    return times->n++;
}

/* Launches the ops of one lane in [first, last), timing each run of ops of one stage. */
static sono_status launch_lane(sono_engine *cuda, int32_t lane, size_t first, size_t last, sono_error *error)
{
    const sono_op *ops = cuda->program->ops;
    sono_status status = SONO_STATUS_OK;
    int32_t start = mark_time(cuda, lane, -1, SONO_STAGE_PREPROCESS, &status, error);
    const sono_op *previous = NULL;
    for (size_t i = first; i < last && status == SONO_STATUS_OK; i++) {
        if (ops[i].lane != lane)
            continue;
        if (previous && previous->stage != ops[i].stage)
            start = mark_time(cuda, lane, start, previous->stage, &status, error);
        if (status == SONO_STATUS_OK)
            status = launch_next(cuda, &i, error);
        previous = &ops[i];
    }
    if (previous)
        mark_time(cuda, lane, start, previous->stage, &status, error);
    return status;
}

static sono_status launch_all(sono_engine *cuda, sono_error *error)
{
    const size_t join = sono_program_join(cuda->program);
    if (join) {
        SONO_TRY(sono_gpu_fork(&cuda->gpu, error));
        SONO_TRY(launch_lane(cuda, 1, 0, join, error));
        SONO_TRY(launch_lane(cuda, 0, 0, join, error));
        SONO_TRY(sono_gpu_join(&cuda->gpu, error));
    }
    return launch_lane(cuda, 0, join, cuda->program->n_ops, error);
}

sono_status sono_cuda_copy_in(sono_engine *cuda, size_t n_bytes, sono_error *error)
{
    const cuda_slot *slot = &cuda->slots[cuda->slot];
    return sono_gpu_upload(&cuda->gpu, NULL, cuda->gpu.device_block + slot->inputs_at, slot->host_inputs,
                           n_bytes, SONO_PLACE_UPLOAD, error);
}

static sono_status copy_out(sono_engine *cuda, size_t n_bytes, sono_error *error)
{
    const cuda_slot *slot = &cuda->slots[cuda->slot];
    return sono_gpu_download(&cuda->gpu, NULL, slot->host_outputs, cuda->gpu.device_block + slot->outputs_at,
                             n_bytes, SONO_PLACE_DOWNLOAD, error);
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
        status = copy_out(cuda, cuda->plan.block_bytes[SONO_BLOCK_OUTPUTS], error);
    const sono_status ended = sono_gpu_graph_end(&cuda->gpu, graph, status == SONO_STATUS_OK ? error : NULL);
    return status != SONO_STATUS_OK ? status : ended;
}

/* carried: the headers of a frame that uploads nothing; NULL = it uploads input_bytes. */
static sono_status launch_slot(sono_engine *cuda, int32_t slot, sono_cuda_carry_args *carried,
                               size_t input_bytes, size_t output_bytes, sono_error *error)
{
    cuda_slot *s = &cuda->slots[slot];
    SONO_GPU_TRY(&cuda->gpu, "launch", error, cudaSetDevice(cuda->gpu.device));
    memset(&s->account, 0, sizeof s->account);
    SONO_TRY(sono_gpu_graph_carry(&cuda->gpu, &s->graph, carried, error));
    SONO_TRY(sono_gpu_graph_resize(&cuda->gpu, &s->graph, input_bytes, output_bytes, error));
    return sono_gpu_graph_launch(&cuda->gpu, &s->graph, s->before, s->done, &s->account, error);
}

static sono_status cuda_submit(sono_engine *cuda, int32_t slot, size_t input_bytes, size_t output_bytes,
                               sono_error *error)
{
    SONO_TRY(sono_gpu_check(&cuda->gpu, error));
    sono_gpu_range_push("sonoseg submit");
    const sono_status status = launch_slot(cuda, slot, NULL, input_bytes, output_bytes, error);
    sono_gpu_range_pop();
    return status;
}

static sono_status cuda_submit_resident(sono_engine *cuda, int32_t slot, size_t header_bytes,
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

static sono_status cuda_order_after(sono_engine *cuda, const void *memory, struct CUstream_st *stream,
                                    sono_error *error)
{
    SONO_TRY(sono_gpu_check(&cuda->gpu, error));
    if (memory)
        SONO_TRY(sono_gpu_check_memory(&cuda->gpu, memory, error));
    return sono_gpu_order_after(&cuda->gpu, stream, error);
}

static sono_status read_times(sono_engine *cuda, const cuda_slot *slot, sono_frame_cost *cost,
                              sono_error *error)
{
    const stage_events *times = &slot->times;
    float ms = 0.0f;
    for (int32_t i = 0; i < times->n; i++) {
        if (times->starts[i] < 0)
            continue;
        SONO_GPU_TRY(&cuda->gpu, "download", error,
                     cudaEventElapsedTime(&ms, times->events[times->starts[i]], times->events[i]));
        cost->stage_ns[times->stages[i]] += (int64_t)(1e6 * (double)ms);
    }
    if (times->n) {
        SONO_GPU_TRY(&cuda->gpu, "download", error,
                     cudaEventElapsedTime(&ms, times->events[0], times->events[times->n - 1]));
        cost->ops_ns = (int64_t)(1e6 * (double)ms);
    }
    if (slot->before) {
        SONO_GPU_TRY(&cuda->gpu, "download", error, cudaEventElapsedTime(&ms, slot->before, slot->done));
        cost->device_ns = (int64_t)(1e6 * (double)ms);
    }
    return SONO_STATUS_OK;
}

static sono_status wait_for_slot(sono_engine *cuda, cuda_slot *s, sono_frame_cost *cost, sono_error *error)
{
    SONO_GPU_TRY(&cuda->gpu, "download", error, cudaSetDevice(cuda->gpu.device));
    SONO_TRY(sono_gpu_wait(&cuda->gpu, &s->account, s->done, SONO_PLACE_DOWNLOAD, error));
    SONO_TRY(sono_gpu_check(&cuda->gpu, error));
    cost->done_ns = sono_clock_ns();
    sono_ledger_totals_of(&s->account, &cost->ledger);
    return read_times(cuda, s, cost, error);
}

static sono_status cuda_wait(sono_engine *cuda, int32_t slot, sono_frame_cost *cost, sono_error *error)
{
    sono_gpu_range_push("sonoseg wait");
    const sono_status status = wait_for_slot(cuda, &cuda->slots[slot], cost, error);
    sono_gpu_range_pop();
    return status;
}

/* Launches the selected slot's graph in both ways, with whatever its inputs hold. */
static sono_status try_slot(sono_engine *cuda, sono_error *error)
{
    const size_t input_bytes = cuda->plan.block_bytes[SONO_BLOCK_INPUTS],
                 output_bytes = cuda->plan.block_bytes[SONO_BLOCK_OUTPUTS];
    sono_gpu_graph *graph = &cuda->slots[cuda->slot].graph;
    sono_frame_cost cost = {0};
    SONO_TRY(cuda_submit(cuda, cuda->slot, input_bytes, output_bytes, error));
    SONO_TRY(cuda_wait(cuda, cuda->slot, &cost, error));
    if (!graph->carrier)
        return SONO_STATUS_OK;
    SONO_TRY(cuda_submit_resident(cuda, cuda->slot,
                                  input_bytes < SONO_CARRIED_BYTES ? input_bytes : SONO_CARRIED_BYTES,
                                  output_bytes, error));
    SONO_TRY(cuda_wait(cuda, cuda->slot, &cost, error));
    return sono_gpu_graph_carry(&cuda->gpu, graph, NULL, error);
}

/* Captures every slot's graph and launches each, as a frame of no pixels at all would. */
static sono_status prepare_slots(sono_engine *cuda, sono_error *error)
{
    for (cuda->slot = 0; cuda->slot < cuda->n_slots; cuda->slot++) {
        sono_status status = capture_slot(cuda, error);
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

static sono_status cuda_prepare(sono_engine *cuda, sono_error *error)
{
    sono_gpu_range_push("sonoseg warm-up");
    const sono_status status = prepare_slots(cuda, error);
    sono_gpu_range_pop();
    return status;
}

static sono_status cuda_run(sono_engine *cuda, int32_t first_op, int32_t last_op, sono_error *error)
{
    const int32_t n_ops = (int32_t)cuda->program->n_ops;
    if (last_op < 0)
        last_op = n_ops;
    if (first_op < 0 || first_op > last_op || last_op > n_ops)
        return SONO_FAIL(error, INVALID_ARGUMENT, "cannot run ops %d up to %d: there are %d", first_op,
                         last_op, n_ops);
    SONO_TRY(sono_cuda_copy_in(cuda, cuda->plan.block_bytes[SONO_BLOCK_INPUTS], error));
    for (int32_t i = first_op; i < last_op; i++) {
        sono_op op = cuda->program->ops[i];
        op.lane = 0; /* in order: one stream */
        SONO_TRY(sono_cuda_launch(cuda, &op, error));
    }
    SONO_TRY(copy_out(cuda, cuda->plan.block_bytes[SONO_BLOCK_OUTPUTS], error));
    return sono_gpu_drain(&cuda->gpu, NULL, SONO_PLACE_OTHER, error);
}

static void cuda_select_slot(sono_engine *cuda, int32_t slot)
{
    cuda->slot = slot;
}

static uint8_t *cuda_slot_memory(sono_engine *cuda, int32_t slot, sono_block block)
{
    return block == SONO_BLOCK_INPUTS ? cuda->slots[slot].host_inputs : cuda->slots[slot].host_outputs;
}

static uint8_t *cuda_device_memory(sono_engine *cuda, int32_t slot, sono_block block)
{
    const cuda_slot *s = &cuda->slots[slot];
    return cuda->gpu.device_block + (block == SONO_BLOCK_INPUTS ? s->inputs_at : s->outputs_at);
}

/* ---- tests: whole roots in and out ---- */

/* Pinned mirror of an INPUT or OUTPUT root. */
static uint8_t *host_mirror(sono_engine *cuda, sono_tid root)
{
    const sono_block block = sono_tensor_block(&cuda->program->tensors[root]);
    return cuda_slot_memory(cuda, cuda->slot, block) + cuda->plan.offset_bytes[root];
}

/* Moves a root activation between float32 on the host and its stored form, through a buffer of its own. */
static sono_status move_activation(sono_engine *cuda, sono_tid root, void *host, int to_device,
                                   sono_error *error)
{
    const sono_tensor *t = &cuda->program->tensors[root];
    const int64_t count = sono_tensor_count(t);
    const size_t n_bytes = (size_t)count * sono_dtype_bytes(t->dtype);
    const sono_dtype stored = sono_tensor_stored_dtype(cuda->program, root, cuda->options.precision);
    uint8_t *place = root_memory(cuda, root), *buffer = NULL;
    if (stored == t->dtype) {
        SONO_TRY(to_device
                     ? sono_gpu_upload(&cuda->gpu, NULL, place, host, n_bytes, SONO_PLACE_OTHER, error)
                     : sono_gpu_download(&cuda->gpu, NULL, host, place, n_bytes, SONO_PLACE_OTHER, error));
        return sono_gpu_drain(&cuda->gpu, NULL, SONO_PLACE_OTHER, error);
    }
    SONO_GPU_TRY(&cuda->gpu, "read", error, cudaMalloc((void **)&buffer, n_bytes));
    sono_status status =
        to_device ? sono_gpu_upload(&cuda->gpu, NULL, buffer, host, n_bytes, SONO_PLACE_OTHER, error)
                  : SONO_STATUS_OK;
    const cudaError_t code =
        to_device ? sono_cuda_convert(buffer, t->dtype, place, stored, count, cuda->gpu.stream)
                  : sono_cuda_convert(place, stored, buffer, t->dtype, count, cuda->gpu.stream);
    if (code != cudaSuccess)
        status = sono_gpu_fail(&cuda->gpu, code, "sono_cuda_convert", "read", error);
    if (status == SONO_STATUS_OK && !to_device)
        status = sono_gpu_download(&cuda->gpu, NULL, host, buffer, n_bytes, SONO_PLACE_OTHER, error);
    const sono_status drained = sono_gpu_drain(&cuda->gpu, NULL, SONO_PLACE_OTHER, error);
    cudaFree(buffer);
    return status != SONO_STATUS_OK ? status : drained;
}

static sono_status move_root(sono_engine *cuda, sono_tid id, void *host, int to_device, sono_error *error)
{
    const sono_tensor *t = &cuda->program->tensors[id];
    const size_t n_bytes = (size_t)sono_tensor_count(t) * sono_dtype_bytes(t->dtype);
    if (t->root != id || t->kind == SONO_TENSOR_PARAM || cuda->plan.offset_bytes[id] == SIZE_MAX)
        return SONO_FAIL(error, UNSUPPORTED, "tensor %s: only whole tensors that an op touches can be moved",
                         t->name);
    if (t->kind == SONO_TENSOR_ACTIVATION)
        return move_activation(cuda, id, host, to_device, error);
    uint8_t *mirror = host_mirror(cuda, id);
    memcpy(to_device ? mirror : host, to_device ? host : mirror, n_bytes);
    if (to_device && t->kind == SONO_TENSOR_OUTPUT) {
        SONO_TRY(sono_gpu_upload(&cuda->gpu, NULL, root_memory(cuda, id), mirror, n_bytes, SONO_PLACE_OTHER,
                                 error));
        return sono_gpu_drain(&cuda->gpu, NULL, SONO_PLACE_OTHER, error);
    }
    return SONO_STATUS_OK;
}

static sono_status cuda_write(sono_engine *cuda, sono_tid tensor, const void *values, sono_error *error)
{
    return move_root(cuda, tensor, (void *)(uintptr_t)values, 1, error);
}

/* Picks a view's rows from its root, which is dense. */
static void copy_view(const sono_tensor *view, const uint8_t *root, uint8_t *out)
{
    const size_t element = sono_dtype_bytes(view->dtype), row_bytes = (size_t)view->c * element;
    for (int32_t n = 0; n < view->n; n++)
        for (int64_t i = 0; i < (int64_t)view->h * view->w; i++, out += row_bytes) {
            const int64_t at = view->offset + n * view->batch_stride + i * view->pitch;
            memcpy(out, root + (size_t)at * element, row_bytes);
        }
}

static sono_status cuda_read(sono_engine *cuda, sono_tid tensor, void *values, sono_error *error)
{
    const sono_tensor *t = &cuda->program->tensors[tensor], *root = &cuda->program->tensors[t->root];
    if (t->root == tensor)
        return move_root(cuda, tensor, values, 0, error);
    uint8_t *whole = sono_alloc_array((size_t)sono_tensor_count(root), sono_dtype_bytes(root->dtype));
    if (!whole)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for tensor %s", root->name);
    const sono_status status = move_root(cuda, t->root, whole, 0, error);
    if (status == SONO_STATUS_OK)
        copy_view(t, whole, values);
    sono_free(whole);
    return status;
}

static const void *cuda_address(const sono_engine *cuda, sono_tid tensor)
{
    return resolve(cuda, tensor).data;
}

/* ---- facts ---- */

static void cuda_info(const sono_engine *cuda, sono_engine_info *out)
{
    *out = (sono_engine_info){.params_bytes = (int64_t)cuda->params->n_bytes,
                              .planned_bytes = (int64_t)(cuda->plan.block_bytes[SONO_BLOCK_ACTIVATIONS] +
                                                         cuda->scratch_bytes[0] + cuda->scratch_bytes[1]),
                              .n_threads = 1,
                              .plan = &cuda->plan};
}

/* What the driver says of the tensor's first byte. */
static int32_t device_of_memory(const sono_cuda_tensor *tensor)
{
    struct cudaPointerAttributes found = {0};
    if (SONO_CUDA(cudaPointerGetAttributes(&found, tensor->data)) != cudaSuccess)
        return SONO_DEVICE_UNKNOWN;
    return found.type == cudaMemoryTypeDevice ? found.device : SONO_DEVICE_HOST;
}

static int32_t cuda_device_of(const sono_engine *cuda, sono_tid tensor)
{
    const sono_cuda_tensor resolved = resolve(cuda, tensor);
    return device_of_memory(&resolved);
}

static int is_resident(const sono_engine *cuda, const sono_cuda_tensor *tensor)
{
    return device_of_memory(tensor) == cuda->gpu.device;
}

static void cuda_audit(sono_engine *cuda, sono_audit_counts *out)
{
    sono_ledger_counts(&cuda->gpu.ledger, out);
    for (size_t i = 0; i < cuda->program->n_ops; i++) {
        const sono_op *op = &cuda->program->ops[i];
        const sono_cuda_call call = make_call(cuda, op);
        int resident = 1;
        for (int k = 0; k < SONO_OP_MAX_IN; k++)
            resident = resident && (!op->in[k] || is_resident(cuda, &call.in[k]));
        for (int k = 0; k < SONO_OP_MAX_OUT; k++)
            resident = resident && (!op->out[k] || is_resident(cuda, &call.out[k]));
        out->n_ops[op->stage]++;
        out->n_resident[op->stage] += resident;
    }
}

int32_t sono_cuda_count(sono_error *error)
{
    return sono_gpu_count(error);
}

static const sono_engine_device_ops device_ops = {
    .memory = cuda_device_memory,
    .submit_resident = cuda_submit_resident,
    .order_after = cuda_order_after,
    .device_of = cuda_device_of,
    .audit = cuda_audit,
};

static const sono_engine_inspect_ops inspect_ops = {
    .select_slot = cuda_select_slot,
    .run = cuda_run,
    .write = cuda_write,
    .read = cuda_read,
    .address = cuda_address,
    .profile = sono_cuda_profile,
};

const sono_engine_ops sono_cuda_engine = {
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .params_open = sono_cuda_params_open,
    .params_close = sono_cuda_params_close,
    .info = cuda_info,
    .slot_memory = cuda_slot_memory,
    .prepare = cuda_prepare,
    .submit = cuda_submit,
    .wait = cuda_wait,
    .device = &device_ops,
    .inspect = &inspect_ops,
};
