// SPDX-License-Identifier: Apache-2.0
/*
 * One CUDA device as a pipeline uses it: its streams, its memory (one device block, one pinned block), its
 * graphs, its ledger, and the first error, which latches. Every CUDA call of the host goes through this room;
 * only transfer.c copies. Thread-safety: one thread at a time, but sono_gpu_wait() may run beside
 * sono_gpu_graph_launch().
 */
#ifndef SONO_ENGINE_CUDA_DEVICE_GPU_H
#define SONO_ENGINE_CUDA_DEVICE_GPU_H

#include "engine/cuda/device/hooks.h"
#include "telemetry/ledger.h"

#include <cuda_runtime_api.h>
#include <pthread.h>

#define SONO_GPU_ALIGN_BYTES 256

typedef struct sono_gpu {
    int32_t device;
    int32_t n_multiprocessors;
    int32_t compute_capability; /* 90 = 9.0 */
    char name[64];
    cudaStream_t stream;      /* lane 0: uploads, launches, downloads; its many small kernels go first */
    cudaStream_t side_stream; /* lane 1, used while capturing */
    cudaStream_t body_stream; /* while capturing: what a launch may leave out; NULL = nothing */
    int32_t in_body;          /* body_stream is capturing */
    cudaEvent_t fork, join;
    cudaEvent_t order; /* where a caller's stream is; under order_mutex */
    pthread_mutex_t order_mutex;
    int32_t order_ready;
    uint8_t *device_block;
    size_t device_bytes;
    uint8_t *pinned_block;
    size_t pinned_bytes;
    sono_ledger ledger;
    atomic_int latched; /* sono_status of the first failure */
    sono_error error;   /* its text */
} sono_gpu;

/* Number of devices a process can use; 0 with the reason in error when there is no driver or no device. */
int32_t sono_gpu_count(sono_error *error);

/* device: ordinal. Errors: NO_DEVICE (why is in the text), DEVICE. */
sono_status sono_gpu_open(sono_gpu *gpu, int32_t device, sono_error *error);
void sono_gpu_close(sono_gpu *gpu); /* a zeroed one is allowed */

static inline size_t sono_gpu_round_up(size_t n_bytes)
{
    return (n_bytes + SONO_GPU_ALIGN_BYTES - 1) / SONO_GPU_ALIGN_BYTES * SONO_GPU_ALIGN_BYTES;
}

/* Device memory of the caller's, to be freed by cudaFree(); booked. Errors: OUT_OF_MEMORY (as below), DEVICE.
 */
sono_status sono_gpu_allocate_device(sono_gpu *gpu, size_t n_bytes, uint8_t **out, sono_error *error);

/* Takes both blocks at once. Errors: OUT_OF_MEMORY (says how much is needed and how much is free). */
sono_status sono_gpu_allocate(sono_gpu *gpu, size_t device_bytes, size_t pinned_bytes, sono_error *error);

/* Records a failed CUDA call: latches it, fills error and clears CUDA's own record of the thread's last one.
 * `what` is the call, `stage` the room it happened in. */
sono_status sono_gpu_fail(sono_gpu *gpu, cudaError_t code, const char *what, const char *stage,
                          sono_error *error);

/* The latched failure again, or OK. */
sono_status sono_gpu_check(sono_gpu *gpu, sono_error *error);

/* Counts a call; cudaErrorUnknown when sono_gpu_fail_call() chose it. */
cudaError_t sono_gpu_injected(void);

/* Does what sono_gpu_offend() asked for. */
sono_status sono_gpu_commit_offence(sono_gpu *gpu, sono_ledger_account *frame, sono_error *error);

/* A CUDA call that can be made to fail. */
#define SONO_CUDA(call) (sono_gpu_injected() != cudaSuccess ? cudaErrorUnknown : (call))

/* Makes a CUDA call and returns from the calling function when it fails. */
#define SONO_GPU_TRY(gpu, stage, error, call)                                                                \
    do {                                                                                                     \
        const cudaError_t sono_gpu_code = SONO_CUDA(call);                                                   \
        if (sono_gpu_code != cudaSuccess)                                                                    \
            return sono_gpu_fail((gpu), sono_gpu_code, #call, (stage), (error));                             \
    } while (0)

/* ---- transfers: the only copies between host and device, each booked ---- */

/* Asynchronous on gpu->stream; host memory is pinned unless the call is followed by a wait. May be captured.
 */
sono_status sono_gpu_upload(sono_gpu *gpu, sono_ledger_account *frame, void *device, const void *host,
                            size_t n_bytes, sono_place place, sono_error *error);
sono_status sono_gpu_download(sono_gpu *gpu, sono_ledger_account *frame, void *host, const void *device,
                              size_t n_bytes, sono_place place, sono_error *error);

/* ---- waits ---- */

/* The host waits for an event; booked. */
sono_status sono_gpu_wait(sono_gpu *gpu, sono_ledger_account *frame, cudaEvent_t event, sono_place place,
                          sono_error *error);
/* The host waits for gpu->stream; booked. */
sono_status sono_gpu_drain(sono_gpu *gpu, sono_ledger_account *frame, sono_place place, sono_error *error);

/* What gpu->stream gets from now on starts after what is on the caller's stream now; the host does not wait.
 * Thread-safe. Errors: INVALID_ARGUMENT (not a stream of this device, or one that is being captured). */
sono_status sono_gpu_order_after(sono_gpu *gpu, cudaStream_t stream, sono_error *error);

/* Errors: INVALID_ARGUMENT unless a kernel on this device can read what is at memory. */
sono_status sono_gpu_check_memory(sono_gpu *gpu, const void *memory, sono_error *error);

/* ---- graphs ---- */

/* A frame's work, captured once: an upload, kernels, a download. A launch either uploads or carries: then the
 * upload is off, and a kernel whose arguments hold the data is on. */
typedef struct sono_gpu_graph {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaGraphNode_t upload, download;           /* NULL = the graph has none */
    cudaGraphNode_t carrier;                    /* likewise; off unless carrying */
    struct cudaKernelNodeParams carrier_kernel; /* set by the caller: how it is launched, but for arguments */
    int32_t carries;
    size_t upload_bytes;
    void *upload_device, *download_host;
    const void *upload_host, *download_device;
    sono_ledger_account account; /* of one launch */
} sono_gpu_graph;

/* Everything put on gpu->stream, and on gpu->side_stream between fork and join, until end becomes the graph.
 */
sono_status sono_gpu_graph_begin(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error);
sono_status sono_gpu_graph_end(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error);
/* What was put on gpu->stream last, a kernel, is the carrier of the graph that is being captured. */
sono_status sono_gpu_graph_mark_carrier(sono_gpu *gpu, sono_gpu_graph *graph, sono_error *error);
/* Lane 1 starts after what is on lane 0 now; lane 0 goes on after what is on lane 1 now. */
sono_status sono_gpu_fork(sono_gpu *gpu, sono_error *error);
sono_status sono_gpu_join(sono_gpu *gpu, sono_error *error);
/* Changes how much the next launches copy: a frame of another size. Not in the path of a frame of the same
 * size. */
sono_status sono_gpu_graph_resize(sono_gpu *gpu, sono_gpu_graph *graph, size_t upload_bytes,
                                  size_t download_bytes, sono_error *error);
/* The next launch carries: *args, as the kernel takes them, are copied. NULL = it uploads.
 * Errors: UNSUPPORTED (the graph has no carrier). */
sono_status sono_gpu_graph_carry(sono_gpu *gpu, sono_gpu_graph *graph, void *args, sono_error *error);
/* Launches it on gpu->stream and records `done` behind it, `before` (NULL = not wanted) in front of it. */
sono_status sono_gpu_graph_launch(sono_gpu *gpu, sono_gpu_graph *graph, cudaEvent_t before, cudaEvent_t done,
                                  sono_ledger_account *frame, sono_error *error);
void sono_gpu_graph_free(sono_gpu_graph *graph);

/* Where the capture of a stream stands: its graph, and the nodes that the next one comes after. */
typedef struct sono_gpu_capture_point {
    cudaGraph_t graph;
    const cudaGraphNode_t *nodes; /* the runtime's, until the capture goes on */
    size_t n_nodes;
} sono_gpu_capture_point;

cudaError_t sono_gpu_capture_point_of(cudaStream_t stream, sono_gpu_capture_point *out);

/* ---- what a launch may leave out (CUDA 12.4 or later) ---- */

/* Call once before the rest. Errors: UNSUPPORTED (says which of toolkit and driver is too old). */
sono_status sono_gpu_condition_open(sono_gpu *gpu, sono_error *error);
/* A condition of the graph that is being captured. A kernel put on gpu->stream next decides about it in every
 * launch: cudaGraphSetConditional(condition, 0 or 1). */
sono_status sono_gpu_condition_make(sono_gpu *gpu, unsigned long long *condition, sono_error *error);
/* Kernels and memsets put on lane 0 from begin to end run when the condition is not 0; nothing else may be
 * put there. What comes on gpu->stream next starts after them, or in their place. */
sono_status sono_gpu_condition_begin(sono_gpu *gpu, unsigned long long condition, sono_error *error);
sono_status sono_gpu_condition_end(sono_gpu *gpu, sono_error *error);
/* Cleans up behind a begin without an end; does nothing otherwise. */
void sono_gpu_condition_abandon(sono_gpu *gpu);

/* Where the ops of a lane go now. */
static inline cudaStream_t sono_gpu_lane(const sono_gpu *gpu, int32_t lane)
{
    return lane ? gpu->side_stream : gpu->in_body ? gpu->body_stream : gpu->stream;
}

#endif
