// SPDX-License-Identifier: Apache-2.0
/* Looking into an engine while no frame is in flight: engine.h, sono_engine_inspect_ops. */
#include "engine/cuda/cuda_private.h"

#include "engine/cuda/kernels/pack.h"
#include "base/alloc.h"

#include <string.h>

static void cuda_select_slot(sono_engine *cuda, int32_t slot)
{
    cuda->slot = slot;
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
    for (int32_t i = first_op; i < last_op; i++)
        SONO_TRY(sono_cuda_launch(cuda, (size_t)i, 0, error)); /* in order: one stream */
    SONO_TRY(sono_cuda_copy_out(cuda, cuda->plan.block_bytes[SONO_BLOCK_OUTPUTS], error));
    return sono_gpu_drain(&cuda->gpu, NULL, SONO_PLACE_OTHER, error);
}

/* Pinned mirror of an INPUT or OUTPUT root. */
static uint8_t *host_mirror(sono_engine *cuda, sono_tid root)
{
    const sono_block block = sono_tensor_block(&cuda->program->tensors[root]);
    return sono_cuda_slot_memory(cuda, cuda->slot, block) + cuda->plan.offset_bytes[root];
}

/* Moves a root activation between float32 on the host and its stored form, through a buffer of its own. */
static sono_status move_activation(sono_engine *cuda, sono_tid root, void *host, int to_device,
                                   sono_error *error)
{
    const sono_tensor *t = &cuda->program->tensors[root];
    const int64_t count = sono_tensor_count(t);
    const size_t n_bytes = (size_t)count * sono_dtype_bytes(t->dtype);
    const sono_dtype stored = sono_tensor_stored_dtype(cuda->program, root, cuda->options.precision);
    uint8_t *place = sono_cuda_root_memory(cuda, root), *buffer = NULL;
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
        SONO_TRY(sono_gpu_upload(&cuda->gpu, NULL, sono_cuda_root_memory(cuda, id), mirror, n_bytes,
                                 SONO_PLACE_OTHER, error));
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
    return sono_cuda_resolve(cuda, tensor).data;
}

const sono_engine_inspect_ops sono_cuda_inspect = {
    .select_slot = cuda_select_slot,
    .run = cuda_run,
    .write = cuda_write,
    .read = cuda_read,
    .address = cuda_address,
    .profile = sono_cuda_profile,
};
