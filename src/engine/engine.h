// SPDX-License-Identifier: Apache-2.0
/*
 * What every engine offers: run a program that was recorded once, frame by frame. An engine owns the
 * activations' block and every slot's inputs and outputs, never the program (which must outlive it). Nothing
 * is allocated after prepare.
 */
#ifndef SONO_ENGINE_ENGINE_H
#define SONO_ENGINE_ENGINE_H

#include "base/stages.h"
#include "graph/lower.h"
#include "graph/plan.h"
#include "graph/program.h"
#include "sonoseg/diagnostics.h"

typedef struct sono_engine sono_engine;
/* Parameters as an engine stores them, apart from any of them. */
typedef struct sono_engine_params sono_engine_params;
struct CUstream_st; /* what cudaStream_t points to */

/* Where memory is when it is on no device, and when the driver does not say. */
#define SONO_DEVICE_HOST    (-1)
#define SONO_DEVICE_UNKNOWN (-2)

/* Headers that can ride with a launch. */
#define SONO_CARRIED_HEADERS 32
#define SONO_CARRIED_BYTES   (SONO_CARRIED_HEADERS * sizeof(sono_frame_header))

/* Ops [first_op, last_op) only matter when a row of `detections` is valid: whoever reads what they write
 * looks there first. From first_late_op on they are of one stage, all on lane 0, behind lane 1's last.
 * first_op == last_op: there are none. */
typedef struct sono_gate {
    int32_t first_op, first_late_op, last_op;
    sono_tid detections; /* OUTPUT F32 [N, 1, K, 8], sono_detection; a frame's rows are ordered by score */
} sono_gate;

/* Ops [first_op, last_op), all on lane 0, run in frames in which the first int32 of `step` is not 0; an op
 * before them has written it in the same frame. No two overlap, nor does one overlap with the gate's. */
typedef struct sono_branch {
    int32_t first_op, last_op;
    sono_tid step;
    sono_stage stage; /* CUDA: where their time counts */
} sono_branch;

#define SONO_MAX_BRANCHES 2

typedef struct sono_engine_options {
    sono_plan_mode plan_mode;
    int32_t n_slots;          /* frames that may be in flight, each with its own inputs and outputs; 0 = 1 */
    int32_t n_threads;        /* CPU; 0 = all cores */
    int32_t device;           /* CUDA: ordinal */
    sono_precision precision; /* CUDA: how activations are stored; the CPU is FP32 */
    int32_t time_stages;      /* CUDA: put timing events into the graph */
    int32_t time_device;      /* CUDA: put timing events around it */
    int32_t without_graph; /* CUDA: launch op by op, for profilers that see kernels and not graphs: the same
                              results, a launch an op; not with gate_on_device or branches (UNSUPPORTED) */
    sono_branch branches[SONO_MAX_BRANCHES]; /* [n_branches], in the order of their ops */
    int32_t n_branches;
    sono_gate gate;               /* the CPU leaves its ops out when they do not matter */
    int32_t gate_on_device;       /* CUDA leaves out those from first_late_op on */
    sono_engine_params *params;   /* shared ones, from params_open; NULL = its own */
    const sono_rewrite *rewrites; /* [n_rewrites], tried before planning; NULL = none, as engines have no
                                     fusions of their own yet */
    int32_t n_rewrites;
    int32_t unfused; /* tests, CUDA: a kernel an op, as on devices that lack those for several */
    int32_t poison;  /* tests, CPU: fill a tensor's bytes with NaN before its first op and after its last */
} sono_engine_options;

/* What one frame cost, as wait() reports it. */
typedef struct sono_frame_cost {
    int64_t done_ns;                    /* when its outputs were in slot memory; on sono_clock_ns()'s clock */
    int64_t stage_ns[SONO_STAGE_COUNT]; /* all 0 unless stages are timed */
    int64_t ops_ns;                     /* from the first op to the last; 0 unless stages are timed */
    int64_t device_ns; /* from before the upload to after the download; 0 unless the device is timed */
    sono_ledger_totals ledger;
} sono_frame_cost;

/* Static facts of an open engine. */
typedef struct sono_engine_info {
    int64_t params_bytes;  /* as stored */
    int64_t planned_bytes; /* activations and scratch */
    int32_t n_threads;     /* CPU threads that compute */
    const sono_plan *plan; /* in force; the engine's */
} sono_engine_info;

/* Where a frame's time could go: each op by itself, the parts of a frame by themselves, and what the device
 * does at best. */
typedef struct sono_engine_profile {
    double
        *op_ns; /* [n_ops], the caller's: one run of each op among runs of the same, inputs in the caches */
    double part_ns[SONO_PART_COUNT]; /* nothing beside it; launches among launches of the other parts */
    double cache_bytes_per_s;        /* of a copy that stays in the second-level cache, read and written */
    double memory_bytes_per_s;
    double half_flops_per_s; /* float16 products by matrix instructions, float32 sums */
    double float_flops_per_s;
} sono_engine_profile;

/* What an engine with memory of its own offers beside the rest. */
typedef struct sono_engine_device_ops {
    /* Where the ops see a slot's INPUT or OUTPUT block, which slot_memory() mirrors. */
    uint8_t *(*memory)(sono_engine *engine, int32_t slot, sono_block block);
    /* submit for frames whose headers name device memory: nothing is uploaded, the first header_bytes (at
     * most SONO_CARRIED_BYTES) of the input block ride with the launch. */
    sono_status (*submit_resident)(sono_engine *engine, int32_t slot, size_t header_bytes,
                                   size_t output_bytes, sono_error *error);
    /* Makes what is submitted from now on start after what is on a caller's stream now; first checks that
     * memory, unless NULL, is the device's. Thread-safe. Errors: INVALID_ARGUMENT. */
    sono_status (*order_after)(sono_engine *engine, const void *memory, struct CUstream_st *stream,
                               sono_error *error);
    /* On which device the driver says that a tensor's memory is: its ordinal, or one of the two above. Not
     * for the frame path. */
    int32_t (*device_of)(const sono_engine *engine, sono_tid tensor);
    /* Adds what was booked so far and where the tensors lie. */
    void (*audit)(sono_engine *engine, sono_audit_counts *out);
} sono_engine_device_ops;

/* Looking into an engine while no frame is in flight: tests and diagnostics. These may allocate and wait. */
typedef struct sono_engine_inspect_ops {
    /* Which slot's inputs and outputs the calls below mean; 0 after open. */
    void (*select_slot)(sono_engine *engine, int32_t slot);
    /* Runs ops [first, last) in order and waits; last < 0 = to the end. */
    sono_status (*run)(sono_engine *engine, int32_t first_op, int32_t last_op, sono_error *error);
    /* Copies a whole tensor (dense, in the program's dtype, n * h * w * c elements) in or out. */
    sono_status (*write)(sono_engine *engine, sono_tid tensor, const void *values, sono_error *error);
    sono_status (*read)(sono_engine *engine, sono_tid tensor, void *values, sono_error *error);
    /* Where the ops see a tensor's first element. */
    const void *(*address)(const sono_engine *engine, sono_tid tensor);
    /* Measures with the inputs that the slot holds; leaves outputs of no meaning behind. */
    sono_status (*profile)(sono_engine *engine, sono_engine_profile *out, sono_error *error);
} sono_engine_inspect_ops;

/* An engine. Functions are thread-safe between engines; of one engine, one thread may submit while another
 * waits. */
typedef struct sono_engine_ops {
    const char *name; /* "cpu", "cuda" */
    /* Asks for every op whether the engine supports it, before anything is planned. Errors: UNSUPPORTED
     * (names op, tensor, shape and reason), OUT_OF_MEMORY, NO_DEVICE, DEVICE. */
    sono_status (*open)(const sono_program *program, const sono_engine_options *options, sono_engine **out,
                        sono_error *error);
    void (*close)(sono_engine *engine); /* waits for what is in flight; NULL is allowed */

    /* Stores a program's parameters for engines of programs with the same params (graph/params.h): device and
     * precision of options count. They stay until they were closed and so was the last engine that uses them.
     * NULL on an engine that reads the program's own. */
    sono_status (*params_open)(const sono_program *program, const sono_engine_options *options,
                               sono_engine_params **out, sono_error *error);
    void (*params_close)(sono_engine_params *params); /* NULL is allowed */

    void (*info)(const sono_engine *engine, sono_engine_info *out);
    /* Host memory of a slot's INPUT or OUTPUT block, as the plan lays it out: the caller fills the one before
     * submit and reads the other after wait. */
    uint8_t *(*slot_memory)(sono_engine *engine, int32_t slot, sono_block block);

    /* Runs every op once on whatever the slots hold, so that nothing is set up later. Call once, before
     * submit.
     */
    sono_status (*prepare)(sono_engine *engine, sono_error *error);
    /* Starts a slot's frame and returns; only the first bytes of each block cross. Frames run in this order.
     */
    sono_status (*submit)(sono_engine *engine, int32_t slot, size_t input_bytes, size_t output_bytes,
                          sono_error *error);
    /* Returns when a slot's outputs are in slot memory. */
    sono_status (*wait)(sono_engine *engine, int32_t slot, sono_frame_cost *cost, sono_error *error);

    const sono_engine_device_ops *device; /* NULL: host memory is all there is, and nothing crosses */
    const sono_engine_inspect_ops *inspect;
} sono_engine_ops;

/* The reference: float32 on the CPU. */
extern const sono_engine_ops sono_cpu_engine;

/* CPU only: the memory of an INPUT or OUTPUT tensor, or any tensor under SONO_PLAN_KEEP: first element of the
 * view. */
void *sono_cpu_data(sono_engine *engine, sono_tid tensor);

/* The same program on one CUDA device; only in builds with CUDA. */
extern const sono_engine_ops sono_cuda_engine;
/* Number of usable CUDA devices; 0 with the reason in error. */
int32_t sono_cuda_count(sono_error *error);

/* What the choice of kernels asks of a CUDA device. */
typedef struct sono_cuda_facts {
    int32_t n_multiprocessors;
    int32_t compute_capability; /* 90 = 9.0 */
    char name[64];
    int32_t lacks_sm90; /* 1: the build has none of the kernels for 9.0 alone */
} sono_cuda_facts;

/* Those of a device, counted from 0; only in builds with CUDA. Errors: NO_DEVICE, DEVICE. */
sono_status sono_cuda_facts_of(int32_t device, sono_cuda_facts *out, sono_error *error);

/* The kernel that each op of a program would run, [n_ops], without an engine: as open() chooses. In every
 * build, on any machine. Errors: UNSUPPORTED (names op, tensor, shape and reason), OUT_OF_MEMORY. */
sono_status sono_cpu_name_kernels(const sono_program *program, sono_kernel_name *out, sono_error *error);
sono_status sono_cuda_name_kernels(const sono_program *program, sono_precision precision,
                                   const sono_cuda_facts *facts, sono_kernel_name *out, sono_error *error);
#endif
