// SPDX-License-Identifier: Apache-2.0
/*
 * Conditional nodes: a part of a graph that a launch leaves out when a kernel in front of it says so. The
 * node is put into the graph that gpu->stream is capturing, and becomes what that stream goes on after; its
 * body is captured from a stream of its own, because the body is a graph of its own. A body may hold kernels,
 * memsets, copies and further conditions, but no events. Tests:
 * tests/gpu/test_skip_decoder.c, test_schedule.c.
 */
#include "engine/cuda/device/gpu.h"

#define NEEDED_VERSION 12040 /* as CUDA counts: 12.4 */

sono_status sono_gpu_condition_open(sono_gpu *gpu, sono_error *error)
{
    int driver = 0, priority = 0;
    SONO_GPU_TRY(gpu, "open", error, cudaDriverGetVersion(&driver));
    if (CUDART_VERSION < NEEDED_VERSION || driver < NEEDED_VERSION)
        return SONO_FAIL(error, UNSUPPORTED,
                         "leaving out parts of a graph needs CUDA 12.4 or later: this build was made with "
                         "%d.%d, the driver supports %d.%d",
                         CUDART_VERSION / 1000, CUDART_VERSION / 10 % 100, driver / 1000, driver / 10 % 100);
    SONO_GPU_TRY(gpu, "open", error, cudaStreamGetPriority(gpu->stream, &priority));
    SONO_GPU_TRY(gpu, "open", error,
                 cudaStreamCreateWithPriority(&gpu->body_stream, cudaStreamNonBlocking, priority));
    return SONO_STATUS_OK;
}

void sono_gpu_condition_abandon(sono_gpu *gpu)
{
    cudaGraph_t body = NULL; /* the node's own: not to be destroyed */
    if (gpu->in_body && cudaStreamEndCapture(gpu->body_stream, &body) != cudaSuccess)
        (void)cudaGetLastError(); /* it was ended by the failure that brought us here */
    gpu->in_body = 0;
}

#if CUDART_VERSION >= NEEDED_VERSION

/* CUDA 13 made the forms with edge data the only ones; NULL stands for plain edges in both. */
#if CUDART_VERSION >= 13000
static cudaError_t add_node(const sono_gpu_capture_point *at, struct cudaGraphNodeParams *params,
                            cudaGraphNode_t *out)
{
    return cudaGraphAddNode(out, at->graph, at->nodes, NULL, at->n_nodes, params);
}

static cudaError_t go_on_after(cudaStream_t stream, cudaGraphNode_t node)
{
    return cudaStreamUpdateCaptureDependencies(stream, &node, NULL, 1, cudaStreamSetCaptureDependencies);
}
#else
static cudaError_t add_node(const sono_gpu_capture_point *at, struct cudaGraphNodeParams *params,
                            cudaGraphNode_t *out)
{
    return cudaGraphAddNode(out, at->graph, at->nodes, at->n_nodes, params);
}

static cudaError_t go_on_after(cudaStream_t stream, cudaGraphNode_t node)
{
    return cudaStreamUpdateCaptureDependencies(stream, &node, 1, cudaStreamSetCaptureDependencies);
}
#endif

sono_status sono_gpu_condition_make(sono_gpu *gpu, unsigned long long *condition, sono_error *error)
{
    sono_gpu_capture_point at = {0};
    cudaGraphConditionalHandle handle = 0;
    SONO_GPU_TRY(gpu, "capture", error, sono_gpu_capture_point_of(gpu->stream, &at));
    SONO_GPU_TRY(gpu, "capture", error, cudaGraphConditionalHandleCreate(&handle, at.graph, 0, 0));
    *condition = handle;
    return SONO_STATUS_OK;
}

sono_status sono_gpu_condition_begin(sono_gpu *gpu, unsigned long long condition, sono_error *error)
{
    sono_gpu_capture_point at = {0};
    cudaGraphNode_t node = NULL;
    struct cudaGraphNodeParams params = {.type = cudaGraphNodeTypeConditional,
                                         .conditional = {.handle = (cudaGraphConditionalHandle)condition,
                                                         .type = cudaGraphCondTypeIf,
                                                         .size = 1}};
    SONO_GPU_TRY(gpu, "capture", error, sono_gpu_capture_point_of(gpu->stream, &at));
    SONO_GPU_TRY(gpu, "capture", error, add_node(&at, &params, &node));
    SONO_GPU_TRY(gpu, "capture", error, go_on_after(gpu->stream, node));
    SONO_GPU_TRY(gpu, "capture", error,
                 cudaStreamBeginCaptureToGraph(gpu->body_stream, params.conditional.phGraph_out[0], NULL,
                                               NULL, 0, cudaStreamCaptureModeThreadLocal));
    gpu->in_body = 1;
    return SONO_STATUS_OK;
}

sono_status sono_gpu_condition_end(sono_gpu *gpu, sono_error *error)
{
    cudaGraph_t body = NULL; /* the node's own */
    SONO_GPU_TRY(gpu, "capture", error, cudaStreamEndCapture(gpu->body_stream, &body));
    gpu->in_body = 0;
    return SONO_STATUS_OK;
}

#else

/* sono_gpu_condition_open() fails: nothing comes here. */
sono_status sono_gpu_condition_make(sono_gpu *gpu, unsigned long long *condition, sono_error *error)
{
    (void)condition;
    return sono_gpu_condition_open(gpu, error);
}

sono_status sono_gpu_condition_begin(sono_gpu *gpu, unsigned long long condition, sono_error *error)
{
    (void)condition;
    return sono_gpu_condition_open(gpu, error);
}

sono_status sono_gpu_condition_end(sono_gpu *gpu, sono_error *error)
{
    return sono_gpu_condition_open(gpu, error);
}

#endif
