// SPDX-License-Identifier: Apache-2.0
/* The only file that copies between host and device. Every copy is booked where it is made. */
#include "engine/cuda/device/gpu.h"

sono_status sono_gpu_upload(sono_gpu *gpu, sono_ledger_account *frame, void *device, const void *host,
                            size_t n_bytes, sono_place place, sono_error *error)
{
    SONO_GPU_TRY(gpu, sono_place_name(place), error,
                 cudaMemcpyAsync(device, host, n_bytes, cudaMemcpyHostToDevice, gpu->stream));
    sono_ledger_book(&gpu->ledger, frame, place, SONO_CROSSING_H2D, (int64_t)n_bytes);
    return SONO_STATUS_OK;
}

sono_status sono_gpu_download(sono_gpu *gpu, sono_ledger_account *frame, void *host, const void *device,
                              size_t n_bytes, sono_place place, sono_error *error)
{
    SONO_GPU_TRY(gpu, sono_place_name(place), error,
                 cudaMemcpyAsync(host, device, n_bytes, cudaMemcpyDeviceToHost, gpu->stream));
    sono_ledger_book(&gpu->ledger, frame, place, SONO_CROSSING_D2H, (int64_t)n_bytes);
    return SONO_STATUS_OK;
}

/* A captured copy's size is part of the graph; a frame of another size patches it in place. */
sono_status sono_gpu_graph_resize(sono_gpu *gpu, sono_gpu_graph *graph, size_t upload_bytes,
                                  size_t download_bytes, sono_error *error)
{
    if (graph->upload && !graph->carries && upload_bytes != graph->upload_bytes) {
        SONO_GPU_TRY(gpu, "resize", error,
                     cudaGraphExecMemcpyNodeSetParams1D(graph->exec, graph->upload, graph->upload_device,
                                                        graph->upload_host, upload_bytes,
                                                        cudaMemcpyHostToDevice));
        graph->upload_bytes = upload_bytes;
        graph->account.bytes[SONO_CROSSING_H2D] = (int64_t)upload_bytes;
    }
    if (graph->download && (int64_t)download_bytes != graph->account.bytes[SONO_CROSSING_D2H]) {
        SONO_GPU_TRY(gpu, "resize", error,
                     cudaGraphExecMemcpyNodeSetParams1D(graph->exec, graph->download, graph->download_host,
                                                        graph->download_device, download_bytes,
                                                        cudaMemcpyDeviceToHost));
        graph->account.bytes[SONO_CROSSING_D2H] = (int64_t)download_bytes;
    }
    return SONO_STATUS_OK;
}
