// SPDX-License-Identifier: Apache-2.0
/* An op as its kernel wants it: where its tensors lie, and how it is launched. */
#include "engine/cuda/cuda_private.h"

uint8_t *sono_cuda_root_memory(const sono_engine *cuda, sono_tid root)
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
    return (sono_cuda_tensor){.data = cuda->params->block +
                                      cuda->params->places[t->param_index].at[SONO_CUDA_FORM_PACKED],
                              .dtype = SONO_DTYPE_F16,
                              .n = 1,
                              .h = 1,
                              .w = (int32_t)k,
                              .c = t->c,
                              .pitch = k_padded};
}

sono_cuda_tensor sono_cuda_resolve(const sono_engine *cuda, sono_tid id)
{
    sono_cuda_tensor tensor = sono_cuda_describe(cuda->program, cuda->options.precision, id);
    if (!id)
        return tensor;
    const sono_tensor *t = &cuda->program->tensors[id], *root = &cuda->program->tensors[t->root];
    uint8_t *base =
        root->kind == SONO_TENSOR_PARAM
            ? cuda->params->block + cuda->params->places[root->param_index].at[SONO_CUDA_FORM_PLAIN]
            : sono_cuda_root_memory(cuda, t->root);
    tensor.data = base ? base + (size_t)t->offset * sono_dtype_bytes(tensor.dtype) : NULL;
    return tensor;
}

sono_cuda_call sono_cuda_make_call(const sono_engine *cuda, size_t i, int32_t lane)
{
    const sono_op *op = &cuda->program->ops[i];
    const sono_cuda_choice *choice = &cuda->choices[i];
    sono_cuda_call call = {.op = op,
                           .choice = choice,
                           .stream = sono_gpu_lane(&cuda->gpu, lane),
                           .scratch = cuda->gpu.device_block + cuda->scratch_at[lane],
                           .n_multiprocessors = cuda->gpu.n_multiprocessors,
                           .compute_capability = cuda->gpu.compute_capability};
    for (int k = 0; k < SONO_OP_MAX_IN; k++)
        call.in[k] = op->in[k] && sono_cuda_form_of(choice, k) == SONO_CUDA_FORM_PACKED
                         ? resolve_packed(cuda, op->in[k])
                         : sono_cuda_resolve(cuda, op->in[k]);
    for (int k = 0; k < SONO_OP_MAX_OUT; k++)
        call.out[k] = sono_cuda_resolve(cuda, op->out[k]);
    return call;
}

/* The chain that op i leads; NULL where it leads none. */
static const sono_chain *chain_of(const sono_engine *cuda, size_t i)
{
    for (size_t k = 0; k < cuda->n_chains; k++)
        if (cuda->chains[k].last_op == (int32_t)i)
            return &cuda->chains[k];
    return NULL;
}

/* The first op that is run with op i, which leads them; op i where it is run by itself. */
static int32_t first_member(const sono_program *program, int32_t i)
{
    int32_t first = i;
    while (program->ops[i].leader && first > 0 && program->ops[first - 1].leader == i + 1)
        first--;
    return first;
}

sono_status sono_cuda_launch(sono_engine *cuda, size_t i, int32_t lane, sono_error *error)
{
    sono_cuda_call members[SONO_CHAIN_MAX_STEPS];
    if (!sono_lower_is_run(cuda->program, (int32_t)i))
        return SONO_STATUS_OK;
    if (cuda->issuing)
        sono_ledger_book(&cuda->gpu.ledger, cuda->issuing, SONO_PLACE_LAUNCH, SONO_CROSSING_LAUNCH, 0);
    sono_cuda_call call = sono_cuda_make_call(cuda, i, lane);
    call.chain = chain_of(cuda, i);
    call.members = members;
    for (int32_t first = first_member(cuda->program, (int32_t)i), k = 0; first + k <= (int32_t)i; k++)
        members[k] = sono_cuda_make_call(cuda, (size_t)(first + k), lane);
    const cudaError_t code = SONO_CUDA(sono_cuda_kernels[call.choice->candidate->id].run(&call));
    if (code != cudaSuccess)
        return sono_gpu_fail(&cuda->gpu, code, call.choice->candidate->name, sono_stage_name(call.op->stage),
                             error);
    return SONO_STATUS_OK;
}

sono_status sono_cuda_prepare_kernels(sono_engine *cuda, sono_error *error)
{
    for (size_t i = 0; i < cuda->program->n_ops; i++) {
        if (!sono_lower_is_run(cuda->program, (int32_t)i))
            continue;
        const sono_cuda_call call = sono_cuda_make_call(cuda, i, 0);
        const sono_cuda_kernel *kernel = &sono_cuda_kernels[call.choice->candidate->id];
        const cudaError_t code = kernel->prepare ? SONO_CUDA(kernel->prepare(&call)) : cudaSuccess;
        if (code != cudaSuccess)
            return sono_gpu_fail(&cuda->gpu, code, call.choice->candidate->name, "open", error);
    }
    return SONO_STATUS_OK;
}
