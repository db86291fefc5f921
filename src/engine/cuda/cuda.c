// SPDX-License-Identifier: Apache-2.0
/*
 * The CUDA engine. One device block holds, in this order: activations, a scratch area a lane, and each
 * slot's inputs and outputs; another, which engines may share, the parameters as the kernels want them
 * (params.h); one pinned block mirrors the slots. frames.c runs whole frames, inspect.c single ops.
 */
#include "engine/cuda/cuda_private.h"

#include "base/alloc.h"
#include "engine/cuda/device/range.h"

/* Takes n_bytes from the end of a block that is being laid out. */
static size_t reserve(size_t *total, size_t n_bytes)
{
    const size_t at = *total;
    *total = sono_gpu_round_up(at + n_bytes);
    return at;
}

static void place_scratch(sono_engine *cuda, size_t *total)
{
    for (size_t i = 0; i < cuda->program->n_ops; i++) {
        const int32_t lane = cuda->program->ops[i].lane;
        if (cuda->choices[i].scratch_bytes > cuda->scratch_bytes[lane])
            cuda->scratch_bytes[lane] = cuda->choices[i].scratch_bytes;
    }
    /* run() puts every op on lane 0, so both areas take the larger size. */
    const size_t largest =
        cuda->scratch_bytes[0] > cuda->scratch_bytes[1] ? cuda->scratch_bytes[0] : cuda->scratch_bytes[1];
    cuda->scratch_bytes[0] = cuda->scratch_bytes[1] = largest;
    for (int lane = 0; lane < N_LANES; lane++)
        cuda->scratch_at[lane] = reserve(total, cuda->scratch_bytes[lane]);
}

/* Zeroes what is kept from frame to frame and what slots hold: what lies between outputs crosses with them,
 * as it does in the pinned block. */
static sono_status clear(sono_engine *cuda, size_t total, sono_error *error)
{
    const size_t slots_at = cuda->slots[0].inputs_at;
    SONO_GPU_TRY(&cuda->gpu, "open", error,
                 cudaMemsetAsync(cuda->gpu.device_block + slots_at, 0, total - slots_at, cuda->gpu.stream));
    for (size_t i = 1; i < cuda->program->n_tensors; i++)
        if (cuda->program->tensors[i].kind == SONO_TENSOR_KEPT && cuda->plan.offset_bytes[i] != SIZE_MAX)
            SONO_GPU_TRY(
                &cuda->gpu, "open", error,
                cudaMemsetAsync(cuda->gpu.device_block + cuda->activations_at + cuda->plan.offset_bytes[i], 0,
                                cuda->plan.n_bytes[i], cuda->gpu.stream));
    return SONO_STATUS_OK;
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
    return clear(cuda, total, error);
}

static void free_slot(cuda_slot *slot)
{
    sono_gpu_graph_free(&slot->graph);
    for (int32_t i = 0; i < MAX_STAGE_EVENTS && slot->times.events[i]; i++)
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
    sono_cuda_close_strands(cuda);
    sono_gpu_close(&cuda->gpu);
    sono_plan_free(&cuda->plan);
    sono_free(cuda->slots);
    sono_free(cuda->choices);
    sono_free(cuda->chains);
    sono_lower_free(&cuda->lowered);
    sono_cuda_params_close(cuda->params);
    sono_free(cuda);
}

static sono_status take_params(sono_engine *cuda, sono_error *error)
{
    const sono_engine_options *options = &cuda->options;
    if (!options->params)
        return sono_cuda_params_make(&cuda->gpu, cuda->program, cuda->choices, options->precision,
                                     &cuda->params, error);
    SONO_TRY(sono_cuda_params_share(options->params, cuda->program, cuda->choices, options->device,
                                    options->precision, error));
    cuda->params = options->params;
    return SONO_STATUS_OK;
}

int sono_cuda_has_gated_ops(const sono_engine *cuda)
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

static sono_status choose_kernels(sono_engine *cuda, sono_error *error)
{
    const sono_cuda_facts facts = sono_cuda_facts_from(&cuda->gpu);
    cuda->choices = sono_alloc_array(cuda->program->n_ops, sizeof *cuda->choices);
    if (!cuda->choices)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the kernels of %zu ops",
                         cuda->program->n_ops);
    return sono_cuda_choose(cuda->program, cuda->options.precision, &facts, cuda->choices, error);
}

/* Joins ops into chains, and plans how each is run. */
static sono_status form_chains(sono_engine *cuda, sono_error *error)
{
    const sono_cuda_facts facts = sono_cuda_facts_from(&cuda->gpu);
    const sono_precision precision = cuda->options.precision;
    const int keeps_all = cuda->options.plan_mode == SONO_PLAN_KEEP;
    if (!cuda->options.unfused)
        sono_cuda_fuse(&cuda->lowered, precision, &facts, keeps_all);
    const size_t n = sono_chain_count(cuda->program);
    if (!n)
        return SONO_STATUS_OK;
    cuda->chains = sono_alloc_array(n, sizeof *cuda->chains);
    if (!cuda->chains)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for %zu chains of ops", n);
    for (int32_t i = 0; cuda->n_chains < n; i = cuda->chains[cuda->n_chains++].last_op + 1) {
        while (!sono_chain_is(cuda->program, i))
            i++;
        if (!sono_chain_plan(cuda->program, precision, &facts, i, cuda->program->ops[i].leader - 1, keeps_all,
                             &cuda->chains[cuda->n_chains]))
            return SONO_FAIL(error, UNSUPPORTED, "the chain of ops %d to %d does not fit the device", i,
                             cuda->program->ops[i].leader - 1);
    }
    return SONO_STATUS_OK;
}

static sono_status open_parts(sono_engine *cuda, const sono_program *recorded, sono_error *error)
{
    const sono_plan_options plan_options = {.mode = cuda->options.plan_mode,
                                            .align_bytes = SONO_GPU_ALIGN_BYTES,
                                            .precision = cuda->options.precision,
                                            .lanes = 1};
    if (cuda->options.without_graph && sono_cuda_has_gated_ops(cuda))
        return SONO_FAIL(
            error, UNSUPPORTED,
            "skip_decoder_when_lost takes a graph, and without_graph has none: set only one of them");
    if (cuda->options.without_graph && cuda->options.n_branches)
        return SONO_FAIL(error, UNSUPPORTED,
                         "detect_every above 1 takes a graph, and without_graph has none: set only one of "
                         "them");
    cuda->n_slots = cuda->options.n_slots ? cuda->options.n_slots : 1;
    cuda->slots = sono_alloc_array((size_t)cuda->n_slots, sizeof *cuda->slots);
    if (!cuda->slots)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the CUDA engine");
    SONO_TRY(sono_lower(recorded, cuda->options.rewrites, (size_t)cuda->options.n_rewrites, &cuda->lowered,
                        error));
    SONO_TRY(sono_gpu_open(&cuda->gpu, cuda->options.device, error));
    SONO_TRY(form_chains(cuda, error));
    SONO_TRY(choose_kernels(cuda, error));
    SONO_TRY(sono_plan_make(cuda->program, &plan_options, &cuda->plan, error));
    if (sono_cuda_has_gated_ops(cuda) || cuda->options.n_branches)
        SONO_TRY(sono_gpu_condition_open(&cuda->gpu, error));
    SONO_TRY(take_params(cuda, error));
    SONO_TRY(allocate(cuda, error));
    SONO_TRY(sono_cuda_prepare_kernels(cuda, error));
    SONO_TRY(sono_cuda_open_strands(cuda, error));
    return open_events(cuda, error);
}

static sono_status cuda_open(const sono_program *program, const sono_engine_options *options,
                             sono_engine **out, sono_error *error)
{
    sono_engine *cuda = sono_alloc(sizeof *cuda);
    if (!cuda)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the CUDA engine");
    cuda->program = &cuda->lowered;
    cuda->options = *options;
    sono_gpu_range_push("sonoseg open");
    const sono_status status = open_parts(cuda, program, error);
    sono_gpu_range_pop();
    if (status != SONO_STATUS_OK) {
        cuda_close(cuda);
        return status;
    }
    *out = cuda;
    return SONO_STATUS_OK;
}

static sono_status cuda_order_after(sono_engine *cuda, const void *memory, struct CUstream_st *stream,
                                    sono_error *error)
{
    SONO_TRY(sono_gpu_check(&cuda->gpu, error));
    if (memory)
        SONO_TRY(sono_gpu_check_memory(&cuda->gpu, memory, error));
    return sono_gpu_order_after(&cuda->gpu, stream, error);
}

uint8_t *sono_cuda_slot_memory(sono_engine *cuda, int32_t slot, sono_block block)
{
    return block == SONO_BLOCK_INPUTS ? cuda->slots[slot].host_inputs : cuda->slots[slot].host_outputs;
}

static uint8_t *cuda_device_memory(sono_engine *cuda, int32_t slot, sono_block block)
{
    const cuda_slot *s = &cuda->slots[slot];
    return cuda->gpu.device_block + (block == SONO_BLOCK_INPUTS ? s->inputs_at : s->outputs_at);
}

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
    const sono_cuda_tensor resolved = sono_cuda_resolve(cuda, tensor);
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
        if (op->is_absorbed)
            continue;
        const sono_cuda_call call = sono_cuda_make_call(cuda, i, op->lane);
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

sono_status sono_cuda_facts_of(int32_t device, sono_cuda_facts *out, sono_error *error)
{
    sono_gpu gpu = {0};
    const sono_status status = sono_gpu_open(&gpu, device, error);
    if (status == SONO_STATUS_OK)
        *out = sono_cuda_facts_from(&gpu);
    sono_gpu_close(&gpu);
    return status;
}

static const sono_engine_device_ops device_ops = {
    .memory = cuda_device_memory,
    .submit_resident = sono_cuda_submit_resident,
    .order_after = cuda_order_after,
    .device_of = cuda_device_of,
    .audit = cuda_audit,
};

const sono_engine_ops sono_cuda_engine = {
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .params_open = sono_cuda_params_open,
    .params_close = sono_cuda_params_close,
    .info = cuda_info,
    .slot_memory = sono_cuda_slot_memory,
    .prepare = sono_cuda_prepare,
    .submit = sono_cuda_submit,
    .wait = sono_cuda_wait,
    .device = &device_ops,
    .inspect = &sono_cuda_inspect,
};
