// SPDX-License-Identifier: Apache-2.0
#include "gpu/gpu.h"

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

static int is_carrier(const sono_gpu_graph *graph, cudaGraphNode_t node)
{
    struct cudaKernelNodeParams kernel;
    if (cudaGraphKernelNodeGetParams(node, &kernel) == cudaSuccess)
        return kernel.func == graph->carrier_kernel;
    (void)cudaGetLastError(); /* a kernel that the runtime cannot describe is not ours */
    return 0;
}

/* Keeps the nodes that change from frame to frame: upload and download, whose size does, and the carrier. */
static sono_status find_nodes(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error)
{
    static const enum cudaMemcpyKind kinds[2] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost};
    cudaGraphNode_t nodes[MAX_NODES];
    size_t n_nodes = MAX_NODES;
    SONO_GPU_TRY(gpu, "capture", error, cudaGraphGetNodes(graph->graph, nodes, &n_nodes));
    for (size_t i = 0; i < n_nodes; i++) {
        enum cudaGraphNodeType type;
        struct cudaMemcpy3DParms copy;
        SONO_GPU_TRY(gpu, "capture", error, cudaGraphNodeGetType(nodes[i], &type));
        if (type == cudaGraphNodeTypeKernel && graph->carrier_kernel && !graph->carrier &&
            is_carrier(graph, nodes[i]))
            graph->carrier = nodes[i];
        if (type != cudaGraphNodeTypeMemcpy)
            continue;
        SONO_GPU_TRY(gpu, "capture", error, cudaGraphMemcpyNodeGetParams(nodes[i], &copy));
        if (copy.kind == kinds[0]) {
            graph->upload = nodes[i];
            graph->upload_device = copy.dstPtr.ptr;
            graph->upload_host = copy.srcPtr.ptr;
        } else if (copy.kind == kinds[1]) {
            graph->download = nodes[i];
            graph->download_host = copy.dstPtr.ptr;
            graph->download_device = copy.srcPtr.ptr;
        }
    }
    return SONO_STATUS_OK;
}

sono_status sono_gpu_graph_end(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error)
{
    gpu->ledger.capture = NULL;
    sono_gpu_condition_abandon(gpu);
    SONO_GPU_TRY(gpu, "capture", error, cudaStreamEndCapture(gpu->stream, &graph->graph));
    SONO_TRY(find_nodes(gpu, graph, error));
    SONO_GPU_TRY(gpu, "capture", error, cudaGraphInstantiate(&graph->exec, graph->graph, 0));
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
        return SONO_FAIL(error, UNSUPPORTED, "this graph can only upload its inputs");
    if (args) {
        struct cudaKernelNodeParams kernel;
        SONO_GPU_TRY(gpu, "launch", error, cudaGraphKernelNodeGetParams(graph->carrier, &kernel));
        kernel.kernelParams = &args;
        kernel.extra = NULL;
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
