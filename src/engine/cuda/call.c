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
    return (sono_cuda_tensor){.data = cuda->params->block + cuda->params->places[t->param_index].packed,
                              .dtype = SONO_DTYPE_F16,
                              .n = 1,
                              .h = 1,
                              .w = (int32_t)k,
                              .c = t->c,
                              .pitch = k_padded};
}

sono_cuda_tensor sono_cuda_resolve(const sono_engine *cuda, sono_tid id)
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
                   : sono_cuda_root_memory(cuda, t->root);
    return (sono_cuda_tensor){.data = base ? base + (size_t)t->offset * sono_dtype_bytes(dtype) : NULL,
                              .dtype = dtype,
                              .n = t->n,
                              .h = t->h,
                              .w = t->w,
                              .c = t->c,
                              .pitch = t->pitch,
                              .batch_stride = t->batch_stride};
}

sono_cuda_call sono_cuda_make_call(const sono_engine *cuda, const sono_op *op)
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
                         : sono_cuda_resolve(cuda, op->in[i]);
    for (int i = 0; i < SONO_OP_MAX_OUT; i++)
        call.out[i] = sono_cuda_resolve(cuda, op->out[i]);
    return call;
}

sono_status sono_cuda_launch(sono_engine *cuda, const sono_op *op, sono_error *error)
{
    const sono_cuda_call call = sono_cuda_make_call(cuda, op);
    const cudaError_t code = SONO_CUDA(sono_cuda_kernels[op->kind].run(&call));
    if (code != cudaSuccess)
        return sono_gpu_fail(&cuda->gpu, code, sono_op_name(op->kind), sono_stage_name(op->stage), error);
    return SONO_STATUS_OK;
}
