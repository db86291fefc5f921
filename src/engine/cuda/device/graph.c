// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/device/gpu.h"

#include <string.h>

#define MAX_NODES 4096

sono_status sono_gpu_graph_begin(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error)
{
    memset(&graph->account, 0, sizeof graph->account);
    SONO_GPU_TRY(gpu, "capture", error,
                 cudaStreamBeginCapture(gpu->stream, cudaStreamCaptureModeThreadLocal));
    gpu->ledger.capture = &graph->account;
    return SONO_STATUS_OK;
}

cudaError_t sono_gpu_capture_point_of(cudaStream_t stream, sono_gpu_capture_point *out)
{
    enum cudaStreamCaptureStatus state;
#if CUDART_VERSION >= 13000 /* made the form with edge data the only one; NULL stands for plain edges */
    return cudaStreamGetCaptureInfo(stream, &state, NULL, &out->graph, &out->nodes, NULL, &out->n_nodes);
#else
    return cudaStreamGetCaptureInfo_v2(stream, &state, NULL, &out->graph, &out->nodes, &out->n_nodes);
#endif
}

sono_status sono_gpu_graph_mark_carrier(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error)
{
    sono_gpu_capture_point at = {0};
    SONO_GPU_TRY(gpu, "capture", error, sono_gpu_capture_point_of(gpu->stream, &at));
    if (at.n_nodes != 1)
        return SONO_FAIL(error, STATE, "the capture ends in %zu nodes, but the carrier must be the only one",
                         at.n_nodes);
    graph->carrier = at.nodes[0];
    return SONO_STATUS_OK;
}

/* Keeps the copies, whose size changes from frame to frame. */
static sono_status find_copies(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error)
{
    cudaGraphNode_t nodes[MAX_NODES];
    size_t n_nodes = MAX_NODES;
    SONO_GPU_TRY(gpu, "capture", error, cudaGraphGetNodes(graph->graph, nodes, &n_nodes));
    for (size_t i = 0; i < n_nodes; i++) {
        enum cudaGraphNodeType type;
        struct cudaMemcpy3DParms copy;
        SONO_GPU_TRY(gpu, "capture", error, cudaGraphNodeGetType(nodes[i], &type));
        if (type != cudaGraphNodeTypeMemcpy)
            continue;
        SONO_GPU_TRY(gpu, "capture", error, cudaGraphMemcpyNodeGetParams(nodes[i], &copy));
        if (copy.kind == cudaMemcpyHostToDevice) {
            graph->upload = nodes[i];
            graph->upload_device = copy.dstPtr.ptr;
            graph->upload_host = copy.srcPtr.ptr;
        } else if (copy.kind == cudaMemcpyDeviceToHost) {
            graph->download = nodes[i];
            graph->download_host = copy.dstPtr.ptr;
            graph->download_device = copy.srcPtr.ptr;
        }
    }
    return SONO_STATUS_OK;
}

/* Has every kernel ask for as much shared memory of a multiprocessor as there is: one that asked for less
 * would have its multiprocessors divided anew, for which they must be empty, before a kernel of the other
 * lane that needs more can start there. What a launch may leave out keeps its own wishes. */
static sono_status divide_alike(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error)
{
#if CUDART_VERSION >= 12080
    cudaGraphNode_t nodes[MAX_NODES];
    size_t n_nodes = MAX_NODES;
    const cudaLaunchAttributeValue all = {.sharedMemCarveout = cudaSharedmemCarveoutMaxShared};
    SONO_GPU_TRY(gpu, "capture", error, cudaGraphGetNodes(graph->graph, nodes, &n_nodes));
    for (size_t i = 0; i < n_nodes; i++) {
        enum cudaGraphNodeType type;
        SONO_GPU_TRY(gpu, "capture", error, cudaGraphNodeGetType(nodes[i], &type));
        if (type == cudaGraphNodeTypeKernel)
            SONO_GPU_TRY(gpu, "capture", error,
                         cudaGraphKernelNodeSetAttribute(
                             nodes[i], cudaLaunchAttributePreferredSharedMemoryCarveout, &all));
    }
#else
    (void)gpu, (void)graph, (void)error;
#endif
    return SONO_STATUS_OK;
}

sono_status sono_gpu_graph_end(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error)
{
    gpu->ledger.capture = NULL;
    sono_gpu_condition_abandon(gpu);
    SONO_GPU_TRY(gpu, "capture", error, cudaStreamEndCapture(gpu->stream, &graph->graph));
    SONO_TRY(find_copies(gpu, graph, error));
    SONO_TRY(divide_alike(gpu, graph, error));
    SONO_GPU_TRY(gpu, "capture", error,
                 cudaGraphInstantiate(&graph->exec, graph->graph, cudaGraphInstantiateFlagUseNodePriority));
    graph->upload_bytes = (size_t)graph->account.bytes[SONO_CROSSING_H2D];
    if (graph->carrier)
        SONO_GPU_TRY(gpu, "capture", error, cudaGraphNodeSetEnabled(graph->exec, graph->carrier, 0));
    SONO_GPU_TRY(gpu, "capture", error, cudaGraphUpload(graph->exec, gpu->stream));
    return SONO_STATUS_OK;
}

sono_status sono_gpu_fork(sono_gpu *gpu, sono_error *error)
{
    SONO_GPU_TRY(gpu, "capture", error, cudaEventRecord(gpu->fork, gpu->stream));
    SONO_GPU_TRY(gpu, "capture", error, cudaStreamWaitEvent(gpu->side_stream, gpu->fork, 0));
    return SONO_STATUS_OK;
}

sono_status sono_gpu_join(sono_gpu *gpu, sono_error *error)
{
    SONO_GPU_TRY(gpu, "capture", error, cudaEventRecord(gpu->join, gpu->side_stream));
    SONO_GPU_TRY(gpu, "capture", error, cudaStreamWaitEvent(gpu->stream, gpu->join, 0));
    return SONO_STATUS_OK;
}

/* Turns the upload on and the carrier off, or the other way round, and books the graph so. */
static sono_status set_carries(sono_gpu *gpu, sono_gpu_graph *graph, int32_t carries, sono_error *error)
{
    SONO_GPU_TRY(gpu, "launch", error, cudaGraphNodeSetEnabled(graph->exec, graph->upload, !carries));
    SONO_GPU_TRY(gpu, "launch", error,
                 cudaGraphNodeSetEnabled(graph->exec, graph->carrier, (unsigned)carries));
    graph->carries = carries;
    graph->account.n[SONO_CROSSING_H2D] = !carries;
    graph->account.bytes[SONO_CROSSING_H2D] = carries ? 0 : (int64_t)graph->upload_bytes;
    return SONO_STATUS_OK;
}

sono_status sono_gpu_graph_carry(sono_gpu *gpu, sono_gpu_graph *graph, void *args, sono_error *error)
{
    if (!args && !graph->carries)
        return SONO_STATUS_OK;
    if (!graph->carrier || !graph->upload)
        return SONO_FAIL(error, UNSUPPORTED,
                         "this graph uploads its inputs and cannot carry them with the launch");
    if (args) {
        struct cudaKernelNodeParams kernel = graph->carrier_kernel;
        kernel.kernelParams = &args;
        SONO_GPU_TRY(gpu, "launch", error,
                     cudaGraphExecKernelNodeSetParams(graph->exec, graph->carrier, &kernel));
    }
    if (graph->carries != (args != NULL))
        return set_carries(gpu, graph, args != NULL, error);
    return SONO_STATUS_OK;
}

sono_status sono_gpu_graph_launch(sono_gpu *gpu, sono_gpu_graph *graph, cudaEvent_t before, cudaEvent_t done,
                                  sono_ledger_account *frame, sono_error *error)
{
    if (before)
        SONO_GPU_TRY(gpu, "launch", error, cudaEventRecord(before, gpu->stream));
    SONO_GPU_TRY(gpu, "launch", error, cudaGraphLaunch(graph->exec, gpu->stream));
    sono_ledger_book_graph(&gpu->ledger, frame, &graph->account);
    SONO_TRY(sono_gpu_commit_offence(gpu, frame, error));
    SONO_GPU_TRY(gpu, "launch", error, cudaEventRecord(done, gpu->stream));
    return SONO_STATUS_OK;
}

void sono_gpu_graph_free(sono_gpu_graph *graph)
{
    if (graph->exec)
        cudaGraphExecDestroy(graph->exec);
    if (graph->graph)
        cudaGraphDestroy(graph->graph);
    memset(graph, 0, sizeof *graph);
}
