// SPDX-License-Identifier: Apache-2.0
/*
 * What every backend offers: run a program that was recorded once. An executor owns the activations' block,
 * never the program (which must outlive it). One thread at a time; nothing is allocated after open.
 */
#ifndef SONO_ENGINE_ENGINE_H
#define SONO_ENGINE_ENGINE_H

#include "graph/plan.h"
#include "graph/program.h"
#include "sonoseg/io.h"

typedef struct sono_executor sono_executor;
/* Parameters as a backend stores them, apart from any executor. */
typedef struct sono_executor_params sono_executor_params;
struct CUstream_st; /* what cudaStream_t points to */

#define SONO_CARRIED_BYTES 1280 /* 32 headers */

/* Ops [first_op, last_op), of one stage, that only matter when a row of `detections` is valid: whoever reads
 * what they write looks there first. All on lane 0, behind lane 1's last. first_op == last_op: there are
 * none. */
typedef struct sono_gated_ops {
    int32_t first_op, last_op;
    sono_tid detections; /* F32 [N, 1, K, 8], sono_detection */
} sono_gated_ops;

typedef struct sono_executor_options {
    sono_plan_mode plan_mode;
    int32_t n_slots;          /* frames that may be in flight, each with its own inputs and outputs; 0 = 1 */
    int32_t n_threads;        /* CPU; 0 = all cores */
    int32_t device;           /* CUDA: ordinal */
    sono_precision precision; /* CUDA: how activations are stored; the CPU is FP32 */
    int32_t time_stages;      /* CUDA: put timing events into the graph */
    int32_t time_device;      /* CUDA: put timing events around it */
    sono_gated_ops gated;     /* CUDA: submitted frames leave them out when they do not matter */
    struct sono_executor_params *params; /* shared ones, from params_open; NULL = its own */
    int32_t poison; /* tests, CPU: fill a tensor's bytes with NaN before its first op and after its last */
} sono_executor_options;

/* What one frame cost, as wait() reports it. */
typedef struct sono_frame_cost {
    int64_t stage_ns[SONO_STAGE_COUNT]; /* all 0 unless stages are timed */
    int64_t ops_ns;                     /* from the first op to the last; 0 unless stages are timed */
    int64_t device_ns; /* from before the upload to after the download; 0 unless the device is timed */
    sono_ledger_totals ledger;
} sono_frame_cost;

/* Where a frame's time could go: each op by itself, the parts of a frame by themselves, and what the device
 * does at best. */
typedef struct sono_executor_profile {
    double
        *op_ns; /* [n_ops], the caller's: one run of each op among runs of the same, inputs in the caches */
    double part_ns[SONO_PART_COUNT]; /* nothing beside it; launches among launches of the other parts */
    double cache_bytes_per_s;        /* of a copy that stays in the second-level cache, read and written */
    double memory_bytes_per_s;
    double half_flops_per_s; /* float16 products by matrix instructions, float32 sums */
    double float_flops_per_s;
} sono_executor_profile;

/* A backend. Every function is thread-safe between executors. */
typedef struct sono_executor_ops {
    const char *name; /* "cpu", "cuda" */
    sono_status (*open)(const sono_program *program, const sono_executor_options *options,
                        sono_executor **out, sono_error *error);
    void (*close)(sono_executor *executor); /* NULL is allowed */

    /* Stores a program's parameters for executors of programs with the same params (program/params.h): device
     * and precision of options count. They stay until they were closed and so was the last executor that uses
     * them. NULL on a backend that reads the program's own. */
    sono_status (*params_open)(const sono_program *program, const sono_executor_options *options,
                               sono_executor_params **out, sono_error *error);
    void (*params_close)(sono_executor_params *params); /* NULL is allowed */

    /* Host memory of a slot's INPUT or OUTPUT block, as the plan lays it out: the caller fills the one before
     * a run and reads the other after it. */
    uint8_t *(*slot_memory)(sono_executor *executor, int32_t slot, sono_block block);
    /* Where the ops see that block, when that is device memory and host memory mirrors it; else NULL. */
    uint8_t *(*device_memory)(sono_executor *executor, int32_t slot, sono_block block);

    /* Runs ops [first, last) of the selected slot in order and waits; last < 0 = to the end. Adds each
     * stage's nanoseconds to stage_ns unless NULL (CPU only). */
    sono_status (*run)(sono_executor *executor, int32_t first_op, int32_t last_op,
                       int64_t stage_ns[SONO_STAGE_COUNT], sono_error *error);
    /* Which slot's inputs and outputs run(), write() and read() mean; 0 after open. */
    void (*select_slot)(sono_executor *executor, int32_t slot);

    /* Whole frames without the host in between; NULL on a backend that only has run(), which knows no gated
     * ops.
     * prepare: captures everything once and runs it, so that nothing is set up later.
     * submit: starts a slot's frame and returns; only the first bytes of each block cross.
     * wait: returns when its outputs are in slot memory. One thread may submit while another waits. */
    sono_status (*prepare)(sono_executor *executor, sono_error *error);
    sono_status (*submit)(sono_executor *executor, int32_t slot, size_t input_bytes, size_t output_bytes,
                          sono_error *error);
    sono_status (*wait)(sono_executor *executor, int32_t slot, sono_frame_cost *cost, sono_error *error);
    /* submit for frames whose headers name device memory: nothing is uploaded, the first header_bytes (at
     * most SONO_CARRIED_BYTES) of the input block ride with the launch. NULL where the host's memory is all
     * there is. */
    sono_status (*submit_resident)(sono_executor *executor, int32_t slot, size_t header_bytes,
                                   size_t output_bytes, sono_error *error);
    /* Makes what is submitted from now on start after what is on a caller's stream now; first checks that
     * memory, unless NULL, is the device's. NULL like submit_resident. Thread-safe. Errors: INVALID_ARGUMENT.
     */
    sono_status (*order_after)(sono_executor *executor, const void *memory, struct CUstream_st *stream,
                               sono_error *error);

    /* Tests: copies a whole tensor (dense, in the program's dtype, n * h * w * c elements) into or out of the
     * executor. May allocate. */
    sono_status (*write)(sono_executor *executor, sono_tid tensor, const void *values, sono_error *error);
    sono_status (*read)(sono_executor *executor, sono_tid tensor, void *values, sono_error *error);

    /* Tests: where the ops of the selected slot see a tensor's first element. */
    const void *(*address)(const sono_executor *executor, sono_tid tensor);

    /* Bytes of parameters as stored, and of activations with scratch. */
    int64_t (*params_bytes)(const sono_executor *executor);
    int64_t (*planned_bytes)(const sono_executor *executor);
    int32_t (*n_threads)(const sono_executor *executor); /* CPU threads that compute */
    /* Adds what was booked so far and where the tensors lie; NULL on a backend where nothing crosses. */
    void (*audit)(sono_executor *executor, sono_audit_counts *out);
    /* The plan in force; owned by the executor. */
    const sono_plan *(*plan)(const sono_executor *executor);
    /* Measures with the inputs that the selected slot holds, while no frame is in flight; allocates, waits,
     * and leaves outputs of no meaning behind. NULL on a backend that only has run(). */
    sono_status (*profile)(sono_executor *executor, sono_executor_profile *out, sono_error *error);
} sono_executor_ops;

/* The reference: float32 on the CPU. */
extern const sono_executor_ops sono_cpu_executor;

/* CPU only: the memory of an INPUT or OUTPUT tensor, or any tensor under SONO_PLAN_KEEP: first element of the
 * view. */
void *sono_cpu_executor_data(sono_executor *executor, sono_tid tensor);

/* The same program on one CUDA device; only in builds with CUDA. */
extern const sono_executor_ops sono_cuda_executor;
/* Number of usable CUDA devices; 0 with the reason in error. */
int32_t sono_cuda_executor_count(sono_error *error);
#endif
