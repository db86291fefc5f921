// SPDX-License-Identifier: Apache-2.0
/*
 * The ledger's witness: CUPTI's activity records, read at run time from a library that need not be there.
 * Graphs are traced node by node (GRAPH_TRACE stays off), so that a copy within a graph is a record of its
 * own.
 *
 * Host calls are counted from up to three sources (runtime calls, driver calls, synchronisation or memory
 * records): a call shows up in one or in all of them, depending on who made it and on CUPTI's version, so the
 * largest count is the truth. Test: tests/budget/test_offences.c.
 */
#include "base/alloc.h"
#include "base/status.h"
#include "sonoseg/diagnostics.h"

#ifdef SONO_HAVE_CUPTI /* without it pipeline/audit.c refuses every trace */
#include <cupti.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUFFER_BYTES (1024 * 1024)
#define MARGIN_NS    (3 * 1000 * 1000) /* device and host clocks agree better than this */

/* The fields read here have not moved since CUPTI 11; later records only grew at their ends. */
#if CUPTI_API_VERSION >= 130000
typedef CUpti_ActivityMemcpy6 memcpy_record;
typedef CUpti_ActivityMemset4 memset_record;
typedef CUpti_ActivityKernel10 kernel_record;
typedef CUpti_ActivitySynchronization2 sync_record;
typedef CUpti_ActivityMemory4 memory_record;
#else
typedef CUpti_ActivityMemcpy5 memcpy_record;
typedef CUpti_ActivityMemset4 memset_record;
typedef CUpti_ActivityKernel9 kernel_record;
typedef CUpti_ActivitySynchronization sync_record;
typedef CUpti_ActivityMemory3 memory_record;
#endif

#define CUPTI_CALLS(X)                                                                                       \
    X(GetVersion)                                                                                            \
    X(GetResultString)                                                                                       \
    X(GetTimestamp)                                                                                          \
    X(GetCallbackName)                                                                                       \
    X(ActivityRegisterCallbacks)                                                                             \
    X(ActivityEnable)                                                                                        \
    X(ActivityDisable)                                                                                       \
    X(ActivityFlushAll)                                                                                      \
    X(ActivityGetNextRecord)                                                                                 \
    X(ActivityGetNumDroppedRecords)

typedef struct cupti_calls {
#define CUPTI_MEMBER(name) __typeof__(&cupti##name) name;
    CUPTI_CALLS(CUPTI_MEMBER)
#undef CUPTI_MEMBER
} cupti_calls;

enum { SOURCE_RUNTIME, SOURCE_DRIVER, SOURCE_RECORD, SOURCE_COUNT };

struct sono_trace {
    cupti_calls cupti;
    uint32_t version;
    pthread_mutex_t mutex; /* of what follows: CUPTI delivers from a thread of its own */
    int is_counting;
    uint64_t from_ns;
    sono_trace_record *records;
    size_t n_records, capacity;
    int64_t n_calls[SOURCE_COUNT][SONO_TRACE_KIND_COUNT];
    int64_t n_lost;
};

/* CUPTI's callbacks carry no pointer of ours. */
static _Atomic(sono_trace *) active;

/* ---- records ---- */

/* "_ZN12_GLOBAL__N_111conv_kernelI6__half..." -> "conv_kernel": the last name before the template arguments.
 * A name that is in no scope, "_Z11gate_kernel9gate_args", is followed by its arguments' types. */
static void kernel_name(const char *mangled, char *out, size_t n_bytes)
{
    const char *from = mangled, *name = NULL;
    size_t n_name = 0;
    if (strncmp(from, "_Z", 2) == 0) {
        from += 2;
        const int is_scoped = *from == 'N';
        from += is_scoped;
        do {
            from += *from == 'L';
            char *end = NULL;
            const unsigned long n = *from >= '0' && *from <= '9' ? strtoul(from, &end, 10) : 0;
            if (!n || n > strlen(end))
                break;
            name = end;
            n_name = n;
            from = end + n;
        } while (is_scoped);
    }
    if (name)
        snprintf(out, n_bytes, "%.*s", (int)n_name, name);
    else
        snprintf(out, n_bytes, "%s", mangled);
}

static void keep(sono_trace *trace, sono_trace_record record)
{
    if (record.start_ns && (uint64_t)record.start_ns < trace->from_ns)
        return;
    if (sono_alloc_grow((void **)&trace->records, &trace->capacity, trace->n_records + 1, sizeof record)) {
        trace->n_lost++;
        return;
    }
    trace->records[trace->n_records++] = record;
}

static void keep_copy(sono_trace *trace, const memcpy_record *copy)
{
    sono_trace_record record = {.kind = SONO_TRACE_COPY,
                                .stream = (int32_t)copy->streamId,
                                .start_ns = (int64_t)copy->start,
                                .end_ns = (int64_t)copy->end,
                                .bytes = (int64_t)copy->bytes,
                                .graph_node = copy->graphNodeId};
    if (copy->copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_HTOD ||
        copy->copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_HTOA)
        record.kind = SONO_TRACE_H2D;
    else if (copy->copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_DTOH ||
             copy->copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_ATOH)
        record.kind = SONO_TRACE_D2H;
    static const char *const names[] = {
        [SONO_TRACE_H2D] = "upload", [SONO_TRACE_D2H] = "download", [SONO_TRACE_COPY] = "copy"};
    snprintf(record.name, sizeof record.name, "%s", names[record.kind]);
    keep(trace, record);
}

static void keep_memset(sono_trace *trace, const memset_record *set)
{
    keep(trace, (sono_trace_record){.kind = SONO_TRACE_COPY,
                                    .stream = (int32_t)set->streamId,
                                    .start_ns = (int64_t)set->start,
                                    .end_ns = (int64_t)set->end,
                                    .bytes = (int64_t)set->bytes,
                                    .graph_node = set->graphNodeId,
                                    .name = "set"});
}

static void keep_kernel(sono_trace *trace, const kernel_record *kernel)
{
    sono_trace_record record = {.kind = SONO_TRACE_KERNEL,
                                .stream = (int32_t)kernel->streamId,
                                .start_ns = (int64_t)kernel->start,
                                .end_ns = (int64_t)kernel->end,
                                .graph_node = kernel->graphNodeId};
    kernel_name(kernel->name ? kernel->name : "?", record.name, sizeof record.name);
    keep(trace, record);
}

/* Which kind of call a runtime function is; SONO_TRACE_KIND_COUNT = none that counts. */
static sono_trace_kind runtime_kind(CUpti_CallbackId id)
{
    switch (id) {
    case CUPTI_RUNTIME_TRACE_CBID_cudaThreadSynchronize_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaStreamSynchronize_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaStreamSynchronize_ptsz_v7000:
    case CUPTI_RUNTIME_TRACE_CBID_cudaEventSynchronize_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaDeviceSynchronize_v3020:
        return SONO_TRACE_WAIT;
    case CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_v10000:
    case CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_ptsz_v10000:
    case CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_v7000:
    case CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_ptsz_v7000:
    case CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernelExC_v11060:
    case CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernelExC_ptsz_v11060:
    case CUPTI_RUNTIME_TRACE_CBID_cudaLaunchCooperativeKernel_v9000:
    case CUPTI_RUNTIME_TRACE_CBID_cudaLaunchCooperativeKernel_ptsz_v9000:
        return SONO_TRACE_LAUNCH;
    case CUPTI_RUNTIME_TRACE_CBID_cudaMalloc_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMallocPitch_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMallocArray_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMalloc3D_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMalloc3DArray_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMallocHost_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaHostAlloc_v3020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaHostRegister_v4000:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMallocManaged_v6000:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMallocAsync_v11020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMallocAsync_ptsz_v11020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMallocFromPoolAsync_v11020:
    case CUPTI_RUNTIME_TRACE_CBID_cudaMallocFromPoolAsync_ptsz_v11020:
        return SONO_TRACE_ALLOCATION;
    default:
        return SONO_TRACE_KIND_COUNT;
    }
}

static sono_trace_kind driver_kind(CUpti_CallbackId id)
{
    switch (id) {
    case CUPTI_DRIVER_TRACE_CBID_cuCtxSynchronize:
    case CUPTI_DRIVER_TRACE_CBID_cuStreamSynchronize:
    case CUPTI_DRIVER_TRACE_CBID_cuStreamSynchronize_ptsz:
    case CUPTI_DRIVER_TRACE_CBID_cuEventSynchronize:
        return SONO_TRACE_WAIT;
    case CUPTI_DRIVER_TRACE_CBID_cuGraphLaunch:
    case CUPTI_DRIVER_TRACE_CBID_cuGraphLaunch_ptsz:
    case CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel:
    case CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel_ptsz:
    case CUPTI_DRIVER_TRACE_CBID_cuLaunchKernelEx:
    case CUPTI_DRIVER_TRACE_CBID_cuLaunchKernelEx_ptsz:
        return SONO_TRACE_LAUNCH;
    case CUPTI_DRIVER_TRACE_CBID_cuMemAlloc_v2:
    case CUPTI_DRIVER_TRACE_CBID_cuMemAllocPitch_v2:
    case CUPTI_DRIVER_TRACE_CBID_cuMemAllocHost_v2:
    case CUPTI_DRIVER_TRACE_CBID_cuMemHostAlloc:
    case CUPTI_DRIVER_TRACE_CBID_cuMemHostRegister_v2:
    case CUPTI_DRIVER_TRACE_CBID_cuMemAllocManaged:
    case CUPTI_DRIVER_TRACE_CBID_cuMemCreate:
    case CUPTI_DRIVER_TRACE_CBID_cuMemAllocAsync:
    case CUPTI_DRIVER_TRACE_CBID_cuMemAllocAsync_ptsz:
    case CUPTI_DRIVER_TRACE_CBID_cuMemAllocFromPoolAsync:
    case CUPTI_DRIVER_TRACE_CBID_cuMemAllocFromPoolAsync_ptsz:
        return SONO_TRACE_ALLOCATION;
    default:
        return SONO_TRACE_KIND_COUNT;
    }
}

static void count_call(sono_trace *trace, int source, sono_trace_kind kind, uint64_t start_ns)
{
    if (kind != SONO_TRACE_KIND_COUNT && (!start_ns || start_ns >= trace->from_ns))
        trace->n_calls[source][kind]++;
}

static void keep_call(sono_trace *trace, const CUpti_ActivityAPI *call)
{
    const int is_runtime = call->kind == CUPTI_ACTIVITY_KIND_RUNTIME;
    const sono_trace_kind kind = is_runtime ? runtime_kind(call->cbid) : driver_kind(call->cbid);
    count_call(trace, is_runtime ? SOURCE_RUNTIME : SOURCE_DRIVER, kind, call->start);
    if (!is_runtime || kind == SONO_TRACE_KIND_COUNT)
        return;
    const char *name = NULL;
    sono_trace_record record = {.kind = kind, .start_ns = (int64_t)call->start, .end_ns = (int64_t)call->end};
    if (trace->cupti.GetCallbackName(CUPTI_CB_DOMAIN_RUNTIME_API, call->cbid, &name) != CUPTI_SUCCESS ||
        !name)
        name = "call";
    snprintf(record.name, sizeof record.name, "%.*s", (int)strcspn(name, "_"), name);
    keep(trace, record);
}

static void keep_record(sono_trace *trace, const CUpti_Activity *record)
{
    const void *any = record;
    switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_MEMCPY:
        keep_copy(trace, any);
        break;
    case CUPTI_ACTIVITY_KIND_MEMSET:
        keep_memset(trace, any);
        break;
    case CUPTI_ACTIVITY_KIND_KERNEL:
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        keep_kernel(trace, any);
        break;
    case CUPTI_ACTIVITY_KIND_RUNTIME:
    case CUPTI_ACTIVITY_KIND_DRIVER:
        keep_call(trace, any);
        break;
    case CUPTI_ACTIVITY_KIND_SYNCHRONIZATION: {
        const sync_record *sync = any;
        /* A stream that waits for an event does not hold up the host. */
        if (sync->type != CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_WAIT_EVENT)
            count_call(trace, SOURCE_RECORD, SONO_TRACE_WAIT, sync->start);
        break;
    }
    case CUPTI_ACTIVITY_KIND_MEMORY2: {
        const memory_record *memory = any;
        if (memory->memoryOperationType == CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION)
            count_call(trace, SOURCE_RECORD, SONO_TRACE_ALLOCATION, memory->timestamp);
        break;
    }
    default:
        break;
    }
}

static void CUPTIAPI give_buffer(uint8_t **buffer, size_t *n_bytes, size_t *max_records)
{
    *buffer = sono_alloc(BUFFER_BYTES);
    *n_bytes = *buffer ? BUFFER_BYTES : 0;
    *max_records = 0;
}

static void CUPTIAPI take_buffer(CUcontext context, uint32_t stream, uint8_t *buffer, size_t n_bytes,
                                 size_t n_valid)
{
    sono_trace *trace = atomic_load(&active);
    CUpti_Activity *record = NULL;
    size_t n_lost = 0;
    (void)n_bytes;
    if (trace) {
        pthread_mutex_lock(&trace->mutex);
        while (trace->is_counting &&
               trace->cupti.ActivityGetNextRecord(buffer, n_valid, &record) == CUPTI_SUCCESS)
            keep_record(trace, record);
        if (trace->cupti.ActivityGetNumDroppedRecords(context, stream, &n_lost) == CUPTI_SUCCESS &&
            trace->is_counting)
            trace->n_lost += (int64_t)n_lost;
        pthread_mutex_unlock(&trace->mutex);
    }
    sono_free(buffer);
}

/* ---- the library ---- */

static void *load(void)
{
    static const char *const names[] = {"libcupti.so.13", "libcupti.so.12", "libcupti.so"};
    static const char *const roots[] = {"CUDA_HOME", "CUDA_PATH"};
    static const char *const folders[] = {"lib64", "extras/CUPTI/lib64"};
    char path[1024];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        for (int k = 0; !library && k < 6; k++) {
            const char *root = k < 4 ? getenv(roots[k / 2]) : "/usr/local/cuda";
            if (!root || !*root)
                continue;
            snprintf(path, sizeof path, "%s/%s/%s", root, folders[k % 2], names[i]);
            library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        }
        if (library)
            return library;
    }
    return NULL;
}

static sono_status find_calls(sono_trace *trace, sono_error *error)
{
    void *library = load();
    if (!library)
        return SONO_FAIL(error, UNSUPPORTED,
                         "no CUPTI library: libcupti.so.13 or .12 is looked for on the loader's path and "
                         "under $CUDA_HOME");
#define CUPTI_FIND(name)                                                                                     \
    *(void **)&trace->cupti.name = dlsym(library, "cupti" #name);                                            \
    if (!trace->cupti.name)                                                                                  \
        return SONO_FAIL(error, UNSUPPORTED, "the CUPTI library has no %s", "cupti" #name);
    CUPTI_CALLS(CUPTI_FIND)
#undef CUPTI_FIND
    return SONO_STATUS_OK;
}

static sono_status check(const sono_trace *trace, CUptiResult code, const char *what, sono_error *error)
{
    const char *text = NULL;
    if (code == CUPTI_SUCCESS)
        return SONO_STATUS_OK;
    if (trace->cupti.GetResultString(code, &text) != CUPTI_SUCCESS || !text)
        text = "unknown error";
    return SONO_FAIL_NATIVE(error, DEVICE, (int32_t)code, "CUPTI: %s in %s", text, what);
}

#define TRY(trace, error, call) SONO_TRY(check((trace), (trace)->cupti.call, "cupti" #call, (error)))

/* What cannot be missed, then what only confirms. */
static const CUpti_ActivityKind kinds[] = {CUPTI_ACTIVITY_KIND_MEMCPY,  CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
                                           CUPTI_ACTIVITY_KIND_RUNTIME, CUPTI_ACTIVITY_KIND_MEMSET,
                                           CUPTI_ACTIVITY_KIND_DRIVER,  CUPTI_ACTIVITY_KIND_SYNCHRONIZATION,
                                           CUPTI_ACTIVITY_KIND_MEMORY2};
#define N_KINDS          (sizeof kinds / sizeof kinds[0])
#define N_REQUIRED_KINDS 3

static sono_status enable(sono_trace *trace, sono_error *error)
{
    TRY(trace, error, GetVersion(&trace->version));
    TRY(trace, error, ActivityRegisterCallbacks(give_buffer, take_buffer));
    for (size_t i = 0; i < N_KINDS; i++) {
        const CUptiResult code = trace->cupti.ActivityEnable(kinds[i]);
        if (i < N_REQUIRED_KINDS)
            SONO_TRY(check(trace, code, "cuptiActivityEnable", error));
    }
    return SONO_STATUS_OK;
}

sono_status sono_trace_open(sono_trace **out, sono_error *error)
{
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    sono_trace *trace = sono_alloc(sizeof *trace), *none = NULL;
    if (!trace)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the trace");
    pthread_mutex_init(&trace->mutex, NULL);
    if (!atomic_compare_exchange_strong(&active, &none, trace)) {
        pthread_mutex_destroy(&trace->mutex);
        sono_free(trace);
        return SONO_FAIL(error, STATE, "a trace is open already: there can be one a process");
    }
    sono_status status = find_calls(trace, error);
    if (status == SONO_STATUS_OK)
        status = enable(trace, error);
    if (status != SONO_STATUS_OK) {
        sono_trace_close(trace);
        return status;
    }
    *out = trace;
    return SONO_STATUS_OK;
}

void sono_trace_close(sono_trace *trace)
{
    if (!trace)
        return;
    pthread_mutex_lock(&trace->mutex);
    trace->is_counting = 0;
    pthread_mutex_unlock(&trace->mutex);
    /* The library stays loaded: it does not survive being unloaded. */
    if (trace->version) {
        for (size_t i = 0; i < N_KINDS; i++)
            (void)trace->cupti.ActivityDisable(kinds[i]);
        (void)trace->cupti.ActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
    }
    atomic_store(&active, NULL);
    pthread_mutex_destroy(&trace->mutex);
    sono_free(trace->records);
    sono_free(trace);
}

/* ---- start and stop ---- */

static void pause_for_margin(void)
{
    const struct timespec margin = {.tv_nsec = MARGIN_NS};
    (void)nanosleep(&margin, NULL);
}

sono_status sono_trace_start(sono_trace *trace, sono_error *error)
{
    if (!trace)
        return SONO_FAIL(error, INVALID_ARGUMENT, "no trace is open");
    pause_for_margin();
    TRY(trace, error, ActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    uint64_t now_ns = 0;
    TRY(trace, error, GetTimestamp(&now_ns));
    pthread_mutex_lock(&trace->mutex);
    trace->from_ns = now_ns;
    trace->n_records = 0;
    trace->n_lost = 0;
    memset(trace->n_calls, 0, sizeof trace->n_calls);
    trace->is_counting = 1;
    pthread_mutex_unlock(&trace->mutex);
    pause_for_margin();
    return SONO_STATUS_OK;
}

static int by_start(const void *left, const void *right)
{
    const sono_trace_record *a = left, *b = right;
    return (a->start_ns > b->start_ns) - (a->start_ns < b->start_ns);
}

static int64_t largest(const sono_trace *trace, sono_trace_kind kind)
{
    int64_t n = 0;
    for (int source = 0; source < SOURCE_COUNT; source++)
        n = trace->n_calls[source][kind] > n ? trace->n_calls[source][kind] : n;
    return n;
}

static void sum_up(const sono_trace *trace, sono_trace_totals *out)
{
    *out = (sono_trace_totals){.n_dropped = trace->n_lost, .version = (int32_t)trace->version};
    for (size_t i = 0; i < trace->n_records; i++) {
        const sono_trace_record *record = &trace->records[i];
        if (record->kind == SONO_TRACE_KERNEL)
            out->n_kernels++;
        if (record->kind != SONO_TRACE_H2D && record->kind != SONO_TRACE_D2H)
            continue;
        const sono_crossing crossing = record->kind == SONO_TRACE_H2D ? SONO_CROSSING_H2D : SONO_CROSSING_D2H;
        out->n[crossing]++;
        out->bytes[crossing] += record->bytes;
    }
    out->n[SONO_CROSSING_ALLOCATION] = largest(trace, SONO_TRACE_ALLOCATION);
    out->n[SONO_CROSSING_LAUNCH] = largest(trace, SONO_TRACE_LAUNCH);
    out->n[SONO_CROSSING_WAIT] = largest(trace, SONO_TRACE_WAIT);
    out->n_wait_calls = trace->n_calls[SOURCE_RUNTIME][SONO_TRACE_WAIT];
    out->n_wait_records = trace->n_calls[SOURCE_RECORD][SONO_TRACE_WAIT];
}

sono_status sono_trace_stop(sono_trace *trace, sono_trace_totals *out, sono_error *error)
{
    if (!trace || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "trace or out is NULL");
    pause_for_margin();
    TRY(trace, error, ActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    pthread_mutex_lock(&trace->mutex);
    trace->is_counting = 0;
    if (trace->n_records)
        qsort(trace->records, trace->n_records, sizeof *trace->records, by_start);
    sum_up(trace, out);
    pthread_mutex_unlock(&trace->mutex);
    return SONO_STATUS_OK;
}

const sono_trace_record *sono_trace_records(const sono_trace *trace, int64_t *n_records)
{
    *n_records = trace ? (int64_t)trace->n_records : 0;
    return trace ? trace->records : NULL;
}

#endif
