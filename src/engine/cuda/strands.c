// SPDX-License-Identifier: Apache-2.0
/* Ops behind the join on two streams (choice/strands.h): strand 0 where lane 0 is, strand 1 where lane 1 was.
 */
#include "engine/cuda/cuda_private.h"

#include "base/alloc.h"

static int has_second_strand(const sono_program *program)
{
    for (size_t i = sono_program_join(program); i < program->n_ops; i++)
        if (program->ops[i].strand && sono_lower_is_run(program, (int32_t)i))
            return 1;
    return 0;
}

/* A launch that may leave ops out has them on one stream. */
sono_status sono_cuda_open_strands(sono_engine *cuda, sono_error *error)
{
    if (sono_cuda_has_gated_ops(cuda) || cuda->options.n_branches || !has_second_strand(cuda->program))
        return SONO_STATUS_OK;
    cuda->awaits = sono_alloc_array(cuda->program->n_ops, sizeof *cuda->awaits);
    if (!cuda->awaits)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the order of %zu ops",
                         cuda->program->n_ops);
    const int32_t n = sono_strands_plan(cuda->program, &cuda->plan, cuda->awaits);
    if (n > SONO_STRANDS_MAX) {
        sono_free(cuda->awaits);
        cuda->awaits = NULL;
        return SONO_STATUS_OK;
    }
    for (int32_t i = 0; i < n; i++)
        SONO_GPU_TRY(&cuda->gpu, "open", error,
                     cudaEventCreateWithFlags(&cuda->awaited[i], cudaEventDisableTiming));
    return SONO_STATUS_OK;
}

void sono_cuda_close_strands(sono_engine *cuda)
{
    for (int32_t i = 0; i < SONO_STRANDS_MAX && cuda->awaited[i]; i++)
        cudaEventDestroy(cuda->awaited[i]);
    sono_free(cuda->awaits);
    cuda->awaits = NULL;
}

sono_status sono_cuda_begin_strands(sono_engine *cuda, sono_error *error)
{
    return cuda->awaits ? sono_gpu_fork(&cuda->gpu, error) : SONO_STATUS_OK;
}

sono_status sono_cuda_end_strands(sono_engine *cuda, sono_error *error)
{
    return cuda->awaits ? sono_gpu_join(&cuda->gpu, error) : SONO_STATUS_OK;
}

/* The event of the n-th op that waits, in the order of ops. */
static cudaEvent_t event_of(const sono_engine *cuda, size_t waiting)
{
    int32_t n = 0;
    for (size_t i = 0; i < waiting; i++)
        n += cuda->awaits[i] >= 0;
    return cuda->awaited[n];
}

sono_status sono_cuda_launch_strand(sono_engine *cuda, size_t i, sono_error *error)
{
    sono_gpu *gpu = &cuda->gpu;
    const int32_t strand = cuda->program->ops[i].strand;
    const cudaStream_t stream = sono_gpu_lane(gpu, strand);
    if (cuda->awaits[i] >= 0)
        SONO_GPU_TRY(gpu, "launch", error, cudaStreamWaitEvent(stream, event_of(cuda, i), 0));
    SONO_TRY(sono_cuda_launch(cuda, i, strand, error));
    for (size_t later = i + 1; later < cuda->program->n_ops; later++)
        if (cuda->awaits[later] == (int32_t)i)
            SONO_GPU_TRY(gpu, "launch", error, cudaEventRecord(event_of(cuda, later), stream));
    return SONO_STATUS_OK;
}
