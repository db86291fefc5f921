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

/* Keeps the nodes of the upload and the download, which a frame of another size changes. */
static sono_status find_copies(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error)
{
    static const enum cudaMemcpyKind kinds[2] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost};
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
    SONO_GPU_TRY(gpu, "capture", error, cudaStreamEndCapture(gpu->stream, &graph->graph));
    SONO_TRY(find_copies(gpu, graph, error));
    SONO_GPU_TRY(gpu, "capture", error, cudaGraphInstantiate(&graph->exec, graph->graph, 0));
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

sono_status sono_gpu_graph_launch(sono_gpu *gpu, sono_gpu_graph *graph, cudaEvent_t done,
                                  sono_ledger_account *frame, sono_error *error)
{
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
