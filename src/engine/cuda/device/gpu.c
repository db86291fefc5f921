// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/device/gpu.h"

#include <stdio.h>
#include <string.h>

/* ---- failures ---- */

static atomic_int_fast64_t n_calls;
static atomic_int_fast64_t fail_at; /* absolute call number, 0 = off */

void sono_gpu_fail_call(int64_t n)
{
    atomic_store(&fail_at, n ? atomic_load(&n_calls) + n : 0);
}

int64_t sono_gpu_call_count(void)
{
    return atomic_load(&n_calls);
}

cudaError_t sono_gpu_injected(void)
{
    const int64_t number = atomic_fetch_add(&n_calls, 1) + 1;
    return number == atomic_load(&fail_at) ? cudaErrorUnknown : cudaSuccess;
}

sono_status sono_gpu_fail(sono_gpu *gpu, cudaError_t code, const char *what, const char *stage,
                          sono_error *error)
{
    sono_error found = {0};
    const sono_status status =
        code == cudaErrorMemoryAllocation ? SONO_STATUS_OUT_OF_MEMORY : SONO_STATUS_DEVICE;
    sono_error_set(&found, status, (int32_t)code, -1, stage, "%s: %s (%s) in %.120s", stage,
                   cudaGetErrorString(code), cudaGetErrorName(code), what);
    int none = SONO_STATUS_OK;
    if (atomic_compare_exchange_strong(&gpu->latched, &none, (int)status))
        gpu->error = found;
    if (error)
        *error = found;
    (void)cudaGetLastError(); /* on record now: the thread's next launch must not find it */
    return status;
}

sono_status sono_gpu_check(sono_gpu *gpu, sono_error *error)
{
    const sono_status status = (sono_status)atomic_load(&gpu->latched);
    if (status != SONO_STATUS_OK && error)
        *error = gpu->error;
    return status;
}

/* ---- open and close ---- */

/* CUDA's own text is the same where there is no driver at all. */
static void blame_driver(sono_error *error)
{
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
        sono_error_set(error, SONO_STATUS_NO_DEVICE, (int32_t)cudaErrorInsufficientDriver, -1, __func__,
                       "no usable CUDA device: there is no NVIDIA driver");
    else
        sono_error_set(error, SONO_STATUS_NO_DEVICE, (int32_t)cudaErrorInsufficientDriver, -1, __func__,
                       "no usable CUDA device: the driver supports CUDA %d.%d, this build needs %d.%d",
                       driver / 1000, driver / 10 % 100, CUDART_VERSION / 1000, CUDART_VERSION / 10 % 100);
}

int32_t sono_gpu_count(sono_error *error)
{
    int count = 0;
    const cudaError_t code = SONO_CUDA(cudaGetDeviceCount(&count));
    if (code == cudaErrorInsufficientDriver) {
        blame_driver(error);
        return 0;
    }
    if (code != cudaSuccess) {
        sono_error_set(error, SONO_STATUS_NO_DEVICE, (int32_t)code, -1, __func__, "no usable CUDA device: %s",
                       cudaGetErrorString(code));
        return 0;
    }
    if (count == 0)
        sono_error_set(error, SONO_STATUS_NO_DEVICE, 0, -1, __func__, "no CUDA device is visible");
    return count;
}

static sono_status describe(sono_gpu *gpu, sono_error *error)
{
    struct cudaDeviceProp properties;
    SONO_GPU_TRY(gpu, "open", error, cudaGetDeviceProperties(&properties, gpu->device));
    gpu->n_multiprocessors = properties.multiProcessorCount;
    gpu->compute_capability = 10 * properties.major + properties.minor;
    snprintf(gpu->name, sizeof gpu->name, "%.63s", properties.name);
    if (gpu->compute_capability < 75)
        return SONO_FAIL(error, NO_DEVICE, "%s has compute capability %d.%d: 7.5 is needed", gpu->name,
                         properties.major, properties.minor);
    return SONO_STATUS_OK;
}

static sono_status open_streams(sono_gpu *gpu, sono_error *error)
{
    int least = 0, greatest = 0;
    SONO_GPU_TRY(gpu, "open", error, cudaDeviceGetStreamPriorityRange(&least, &greatest));
    SONO_GPU_TRY(gpu, "open", error,
                 cudaStreamCreateWithPriority(&gpu->stream, cudaStreamNonBlocking, greatest));
    SONO_GPU_TRY(gpu, "open", error, cudaStreamCreateWithFlags(&gpu->side_stream, cudaStreamNonBlocking));
    SONO_GPU_TRY(gpu, "open", error, cudaEventCreateWithFlags(&gpu->fork, cudaEventDisableTiming));
    SONO_GPU_TRY(gpu, "open", error, cudaEventCreateWithFlags(&gpu->join, cudaEventDisableTiming));
    SONO_GPU_TRY(gpu, "open", error, cudaEventCreateWithFlags(&gpu->order, cudaEventDisableTiming));
    pthread_mutex_init(&gpu->order_mutex, NULL);
    gpu->order_ready = 1;
    return SONO_STATUS_OK;
}

sono_status sono_gpu_open(sono_gpu *gpu, int32_t device, sono_error *error)
{
    memset(gpu, 0, sizeof *gpu);
    const int32_t count = sono_gpu_count(error);
    if (count == 0)
        return SONO_STATUS_NO_DEVICE;
    if (device < 0 || device >= count)
        return SONO_FAIL(error, NO_DEVICE, "there is no CUDA device %d: %d are visible, counted from 0",
                         device, count);
    gpu->device = device;
    SONO_GPU_TRY(gpu, "open", error, cudaSetDevice(device));
    (void)cudaGetLastError(); /* a launcher would take what the thread has left there for its own */
    SONO_TRY(describe(gpu, error));
    return open_streams(gpu, error);
}

/* A capture that failed half-way would make freeing fail too. */
static void end_capture(sono_gpu *gpu)
{
    enum cudaStreamCaptureStatus state = cudaStreamCaptureStatusNone;
    cudaGraph_t graph = NULL;
    if (!gpu->stream || cudaStreamIsCapturing(gpu->stream, &state) != cudaSuccess ||
        state == cudaStreamCaptureStatusNone)
        return;
    if (cudaStreamEndCapture(gpu->stream, &graph) == cudaSuccess && graph)
        cudaGraphDestroy(graph);
}

void sono_gpu_close(sono_gpu *gpu)
{
    gpu->ledger.phase = SONO_PHASE_CLOSE;
    /* Nothing can be done about a failure here: the device may be gone, which is why it is closed. */
    sono_gpu_condition_abandon(gpu);
    end_capture(gpu);
    if (gpu->stream) {
        cudaStreamSynchronize(gpu->stream);
        sono_ledger_book(&gpu->ledger, NULL, SONO_PLACE_OTHER, SONO_CROSSING_WAIT, 0);
    }
    if (gpu->order_ready)
        pthread_mutex_destroy(&gpu->order_mutex);
    if (gpu->order)
        cudaEventDestroy(gpu->order);
    if (gpu->join)
        cudaEventDestroy(gpu->join);
    if (gpu->fork)
        cudaEventDestroy(gpu->fork);
    if (gpu->body_stream)
        cudaStreamDestroy(gpu->body_stream);
    if (gpu->side_stream)
        cudaStreamDestroy(gpu->side_stream);
    if (gpu->stream)
        cudaStreamDestroy(gpu->stream);
    cudaFree(gpu->device_block);
    cudaFreeHost(gpu->pinned_block);
    (void)cudaGetLastError();
    memset(gpu, 0, sizeof *gpu);
}

sono_status sono_gpu_allocate_device(sono_gpu *gpu, size_t n_bytes, uint8_t **out, sono_error *error)
{
    size_t free_bytes = 0, all_bytes = 0;
    SONO_GPU_TRY(gpu, "open", error, cudaMemGetInfo(&free_bytes, &all_bytes));
    /* What is free may be in pieces, so asking for less can fail too. */
    const cudaError_t code =
        n_bytes > free_bytes ? cudaErrorMemoryAllocation : SONO_CUDA(cudaMalloc((void **)out, n_bytes));
    if (code == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return SONO_FAIL(error, OUT_OF_MEMORY,
                         "%s: %.1f MB of device memory are needed, %.1f MB of %.1f MB are free", gpu->name,
                         1e-6 * (double)n_bytes, 1e-6 * (double)free_bytes, 1e-6 * (double)all_bytes);
    }
    if (code != cudaSuccess)
        return sono_gpu_fail(gpu, code, "cudaMalloc", "open", error);
    sono_ledger_book(&gpu->ledger, NULL, SONO_PLACE_OPEN, SONO_CROSSING_ALLOCATION, (int64_t)n_bytes);
    return SONO_STATUS_OK;
}

static sono_status allocate_pinned(sono_gpu *gpu, size_t n_bytes, sono_error *error)
{
    const cudaError_t code =
        SONO_CUDA(cudaHostAlloc((void **)&gpu->pinned_block, n_bytes, cudaHostAllocDefault));
    if (code == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return SONO_FAIL(error, OUT_OF_MEMORY, "%.1f MB of pinned host memory are needed and cannot be had",
                         1e-6 * (double)n_bytes);
    }
    if (code != cudaSuccess)
        return sono_gpu_fail(gpu, code, "cudaHostAlloc", "open", error);
    sono_ledger_book(&gpu->ledger, NULL, SONO_PLACE_OPEN, SONO_CROSSING_ALLOCATION, (int64_t)n_bytes);
    gpu->pinned_bytes = n_bytes;
    memset(gpu->pinned_block, 0, n_bytes);
    return SONO_STATUS_OK;
}

sono_status sono_gpu_allocate(sono_gpu *gpu, size_t device_bytes, size_t pinned_bytes, sono_error *error)
{
    SONO_TRY(sono_gpu_allocate_device(gpu, device_bytes, &gpu->device_block, error));
    gpu->device_bytes = device_bytes;
    return allocate_pinned(gpu, pinned_bytes, error);
}

/* ---- waits ---- */

sono_status sono_gpu_wait(sono_gpu *gpu, sono_ledger_account *frame, cudaEvent_t event, sono_place place,
                          sono_error *error)
{
    SONO_GPU_TRY(gpu, sono_place_name(place), error, cudaEventSynchronize(event));
    sono_ledger_book(&gpu->ledger, frame, place, SONO_CROSSING_WAIT, 0);
    return SONO_STATUS_OK;
}

sono_status sono_gpu_drain(sono_gpu *gpu, sono_ledger_account *frame, sono_place place, sono_error *error)
{
    SONO_GPU_TRY(gpu, sono_place_name(place), error, cudaStreamSynchronize(gpu->stream));
    sono_ledger_book(&gpu->ledger, frame, place, SONO_CROSSING_WAIT, 0);
    return SONO_STATUS_OK;
}

/* ---- what callers bring ---- */

/* Whether a call failed because of what the caller gave it; anything else is the device's own failure. */
static int is_callers_fault(cudaError_t code)
{
    return code == cudaErrorInvalidValue || code == cudaErrorInvalidResourceHandle ||
           (code >= cudaErrorStreamCaptureUnsupported && code <= cudaErrorCapturedEvent);
}

/* Asks first: an event of a stream that is being captured would draw gpu->stream into that capture. */
static cudaError_t record_order(sono_gpu *gpu, cudaStream_t stream)
{
    enum cudaStreamCaptureStatus state = cudaStreamCaptureStatusNone;
    const cudaError_t code = SONO_CUDA(cudaStreamIsCapturing(stream, &state));
    if (code != cudaSuccess)
        return code;
    if (state != cudaStreamCaptureStatusNone)
        return cudaErrorStreamCaptureUnsupported;
    return SONO_CUDA(cudaEventRecord(gpu->order, stream));
}

static sono_status record_and_wait(sono_gpu *gpu, cudaStream_t stream, sono_error *error)
{
    const cudaError_t code = record_order(gpu, stream);
    if (is_callers_fault(code)) {
        (void)cudaGetLastError();
        return SONO_FAIL_NATIVE(error, INVALID_ARGUMENT, (int32_t)code,
                                "cannot wait for the caller's stream: cuda:%d does not know it (%s)",
                                gpu->device, cudaGetErrorString(code));
    }
    if (code != cudaSuccess)
        return sono_gpu_fail(gpu, code, "cudaEventRecord", "order", error);
    SONO_GPU_TRY(gpu, "order", error, cudaStreamWaitEvent(gpu->stream, gpu->order, 0));
    return SONO_STATUS_OK;
}

sono_status sono_gpu_order_after(sono_gpu *gpu, cudaStream_t stream, sono_error *error)
{
    SONO_GPU_TRY(gpu, "order", error, cudaSetDevice(gpu->device));
    pthread_mutex_lock(&gpu->order_mutex);
    const sono_status status = record_and_wait(gpu, stream, error);
    pthread_mutex_unlock(&gpu->order_mutex);
    return status;
}

sono_status sono_gpu_check_memory(sono_gpu *gpu, const void *memory, sono_error *error)
{
    struct cudaPointerAttributes found = {0};
    const cudaError_t code = SONO_CUDA(cudaPointerGetAttributes(&found, memory));
    if (code != cudaSuccess && !is_callers_fault(code))
        return sono_gpu_fail(gpu, code, "cudaPointerGetAttributes", "order", error);
    if (code != cudaSuccess)
        (void)cudaGetLastError();
    if (code == cudaSuccess && (found.type == cudaMemoryTypeManaged ||
                                (found.type == cudaMemoryTypeDevice && found.device == gpu->device)))
        return SONO_STATUS_OK;
    return SONO_FAIL(error, INVALID_ARGUMENT, "the pixels are not in memory of cuda:%d", gpu->device);
}
