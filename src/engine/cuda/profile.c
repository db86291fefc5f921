// SPDX-License-Identifier: Apache-2.0
/* Times ops and parts of a frame apart from each other: engine.h, profile. */
#include "engine/cuda/kernels/ceilings.h"
#include "engine/cuda/cuda_private.h"

#include <string.h>

#define N_REPEATS    20 /* of an op in a row within one graph */
#define N_LAUNCHES   30 /* of the parts of a frame; the median counts */
#define N_COPIES     10
#define CACHE_BYTES  ((size_t)8 << 20) /* read, and as many written */
#define MEMORY_BYTES ((size_t)512 << 20)

/* What a measurement takes and gives back. */
typedef struct bench {
    sono_engine *cuda;
    cudaEvent_t start, stop;
    cudaGraphExec_t parts[SONO_PART_COUNT];
    uint8_t *from, *to; /* MEMORY_BYTES each */
} bench;

static sono_status elapsed_ns(bench *self, double *ns, sono_error *error)
{
    float ms = 0.0f;
    sono_gpu *gpu = &self->cuda->gpu;
    SONO_TRY(sono_gpu_wait(gpu, NULL, self->stop, SONO_PLACE_OTHER, error));
    SONO_GPU_TRY(gpu, "profile", error, cudaEventElapsedTime(&ms, self->start, self->stop));
    *ns = 1e6 * (double)ms;
    return SONO_STATUS_OK;
}

static sono_status mark(bench *self, cudaEvent_t event, sono_error *error)
{
    SONO_GPU_TRY(&self->cuda->gpu, "profile", error, cudaEventRecord(event, self->cuda->gpu.stream));
    return SONO_STATUS_OK;
}

/* ---- graphs ---- */

/* Ends the capture of the stream whatever `status` of the launches is, so that the stream can be used again.
 */
static sono_status end_capture(sono_gpu *gpu, sono_status status, cudaGraphExec_t *out, sono_error *error)
{
    cudaGraph_t graph = NULL;
    const cudaError_t ended = cudaStreamEndCapture(gpu->stream, &graph);
    if (status == SONO_STATUS_OK && ended != cudaSuccess)
        status = sono_gpu_fail(gpu, ended, "cudaStreamEndCapture", "profile", error);
    if (status == SONO_STATUS_OK) {
        const cudaError_t made = SONO_CUDA(cudaGraphInstantiate(out, graph, 0));
        if (made != cudaSuccess)
            status = sono_gpu_fail(gpu, made, "cudaGraphInstantiate", "profile", error);
    }
    if (graph)
        cudaGraphDestroy(graph);
    return status;
}

static sono_status begin_capture(sono_gpu *gpu, sono_error *error)
{
    SONO_GPU_TRY(gpu, "profile", error,
                 cudaStreamBeginCapture(gpu->stream, cudaStreamCaptureModeThreadLocal));
    return SONO_STATUS_OK;
}

static sono_status capture_op(sono_engine *cuda, size_t op, cudaGraphExec_t *out, sono_error *error)
{
    sono_status status = SONO_STATUS_OK;
    SONO_TRY(begin_capture(&cuda->gpu, error));
    for (int i = 0; i < N_REPEATS && status == SONO_STATUS_OK; i++)
        status = sono_cuda_launch(cuda, op, 0, error);
    return end_capture(&cuda->gpu, status, out, error);
}

static sono_status launch_part(sono_engine *cuda, sono_part part, sono_error *error)
{
    const int has_strands = part == SONO_PART_TAIL && cuda->awaits;
    if (has_strands)
        SONO_TRY(sono_cuda_begin_strands(cuda, error));
    for (size_t i = 0; i < cuda->program->n_ops; i++)
        if (sono_program_part(cuda->program, i) == part)
            SONO_TRY(has_strands ? sono_cuda_launch_strand(cuda, i, error)
                                 : sono_cuda_launch(cuda, i, 0, error));
    return has_strands ? sono_cuda_end_strands(cuda, error) : SONO_STATUS_OK;
}

static sono_status capture_part(sono_engine *cuda, sono_part part, cudaGraphExec_t *out, sono_error *error)
{
    SONO_TRY(begin_capture(&cuda->gpu, error));
    return end_capture(&cuda->gpu, launch_part(cuda, part, error), out, error);
}

static sono_status launch(bench *self, cudaGraphExec_t graph, sono_error *error)
{
    SONO_GPU_TRY(&self->cuda->gpu, "profile", error, cudaGraphLaunch(graph, self->cuda->gpu.stream));
    return SONO_STATUS_OK;
}

/* ---- ops ---- */

/* Once to get going, then timed. What the op reads is not touched between the two. */
static sono_status time_graph(bench *self, cudaGraphExec_t graph, double *ns, sono_error *error)
{
    SONO_TRY(launch(self, graph, error));
    SONO_TRY(mark(self, self->start, error));
    SONO_TRY(launch(self, graph, error));
    SONO_TRY(mark(self, self->stop, error));
    return elapsed_ns(self, ns, error);
}

static sono_status time_op(bench *self, size_t op, double *ns, sono_error *error)
{
    cudaGraphExec_t graph = NULL;
    SONO_TRY(capture_op(self->cuda, op, &graph, error));
    const sono_status status = time_graph(self, graph, ns, error);
    cudaGraphExecDestroy(graph);
    *ns /= N_REPEATS;
    return status;
}

/* In the program's order: each op finds what the ops before it made. */
static sono_status time_ops(bench *self, double *op_ns, sono_error *error)
{
    for (size_t i = 0; i < self->cuda->program->n_ops; i++)
        if (!sono_lower_is_run(self->cuda->program, (int32_t)i))
            op_ns[i] = 0;
        else
            SONO_TRY(time_op(self, i, &op_ns[i], error));
    return SONO_STATUS_OK;
}

/* ---- parts ---- */

static double median_of(double *values, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && values[k] < values[k - 1]; k--) {
            const double swapped = values[k];
            values[k] = values[k - 1];
            values[k - 1] = swapped;
        }
    return 0.5 * (values[(n - 1) / 2] + values[n / 2]);
}

/* One after the other, as the later ones read what the earlier ones made. */
static sono_status time_parts(bench *self, double part_ns[SONO_PART_COUNT], sono_error *error)
{
    double ns[SONO_PART_COUNT][N_LAUNCHES];
    for (int part = 0; part < SONO_PART_COUNT; part++)
        SONO_TRY(capture_part(self->cuda, (sono_part)part, &self->parts[part], error));
    for (int i = 0; i < N_LAUNCHES; i++)
        for (int part = 0; part < SONO_PART_COUNT; part++) {
            SONO_TRY(mark(self, self->start, error));
            SONO_TRY(launch(self, self->parts[part], error));
            SONO_TRY(mark(self, self->stop, error));
            SONO_TRY(elapsed_ns(self, &ns[part][i], error));
        }
    for (int part = 0; part < SONO_PART_COUNT; part++)
        part_ns[part] = median_of(ns[part], N_LAUNCHES);
    return SONO_STATUS_OK;
}

/* ---- ceilings ---- */

/* Rounds of the small copy are in few launches: each launch takes some microseconds of its own. */
static sono_status time_copy(bench *self, size_t n_bytes, int n_rounds, double *bytes_per_s,
                             sono_error *error)
{
    sono_gpu *gpu = &self->cuda->gpu;
    double ns = 0;
    SONO_GPU_TRY(gpu, "profile", error,
                 sono_cuda_ceiling_copy(self->from, self->to, n_bytes, 1, gpu->stream));
    SONO_TRY(mark(self, self->start, error));
    for (int i = 0; i < N_COPIES; i++)
        SONO_GPU_TRY(gpu, "profile", error,
                     sono_cuda_ceiling_copy(self->from, self->to, n_bytes, n_rounds, gpu->stream));
    SONO_TRY(mark(self, self->stop, error));
    SONO_TRY(elapsed_ns(self, &ns, error));
    *bytes_per_s = 2e9 * (double)n_bytes * N_COPIES * n_rounds / ns;
    return SONO_STATUS_OK;
}

static sono_status time_products(bench *self, cudaError_t (*run)(float *, int, double *, cudaStream_t),
                                 double *flops_per_s, sono_error *error)
{
    sono_gpu *gpu = &self->cuda->gpu;
    float *out = (float *)(void *)self->from;
    double flops = 0, ns = 0;
    SONO_GPU_TRY(gpu, "profile", error, run(out, gpu->n_multiprocessors, &flops, gpu->stream));
    SONO_TRY(mark(self, self->start, error));
    SONO_GPU_TRY(gpu, "profile", error, run(out, gpu->n_multiprocessors, &flops, gpu->stream));
    SONO_TRY(mark(self, self->stop, error));
    SONO_TRY(elapsed_ns(self, &ns, error));
    *flops_per_s = 1e9 * flops / ns;
    return SONO_STATUS_OK;
}

static sono_status time_ceilings(bench *self, sono_engine_profile *out, sono_error *error)
{
    sono_gpu *gpu = &self->cuda->gpu;
    SONO_TRY(sono_gpu_allocate_device(gpu, MEMORY_BYTES, &self->from, error));
    SONO_TRY(sono_gpu_allocate_device(gpu, MEMORY_BYTES, &self->to, error));
    SONO_GPU_TRY(gpu, "profile", error, cudaMemsetAsync(self->from, 0x3c, MEMORY_BYTES, gpu->stream));
    SONO_TRY(time_copy(self, CACHE_BYTES, 100, &out->cache_bytes_per_s, error));
    SONO_TRY(time_copy(self, MEMORY_BYTES, 1, &out->memory_bytes_per_s, error));
    SONO_TRY(time_products(self, sono_cuda_ceiling_half, &out->half_flops_per_s, error));
    return time_products(self, sono_cuda_ceiling_float, &out->float_flops_per_s, error);
}

/* ---- all of it ---- */

static sono_status measure(bench *self, sono_engine_profile *out, sono_error *error)
{
    sono_engine *cuda = self->cuda;
    SONO_GPU_TRY(&cuda->gpu, "profile", error, cudaSetDevice(cuda->gpu.device));
    SONO_GPU_TRY(&cuda->gpu, "profile", error, cudaEventCreate(&self->start));
    SONO_GPU_TRY(&cuda->gpu, "profile", error, cudaEventCreate(&self->stop));
    SONO_TRY(sono_cuda_copy_in(cuda, cuda->plan.block_bytes[SONO_BLOCK_INPUTS], error));
    SONO_TRY(time_ops(self, out->op_ns, error));
    SONO_TRY(time_parts(self, out->part_ns, error));
    return time_ceilings(self, out, error);
}

sono_status sono_cuda_profile(sono_engine *cuda, sono_engine_profile *out, sono_error *error)
{
    bench self = {.cuda = cuda};
    SONO_TRY(sono_gpu_check(&cuda->gpu, error));
    const sono_status status = measure(&self, out, error);
    cudaStreamSynchronize(cuda->gpu.stream);
    for (int part = 0; part < SONO_PART_COUNT; part++)
        if (self.parts[part])
            cudaGraphExecDestroy(self.parts[part]);
    if (self.start)
        cudaEventDestroy(self.start);
    if (self.stop)
        cudaEventDestroy(self.stop);
    cudaFree(self.from);
    cudaFree(self.to);
    return status;
}
