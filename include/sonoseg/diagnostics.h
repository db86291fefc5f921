// SPDX-License-Identifier: Apache-2.0
/*
 * What a pipeline costs: crossings, their audit, an independent trace, the time of every op. In libsonoseg.
 * Unstable: may change with every release. C11 and C++11. Conventions (ownership, errors) are those of
 * sonoseg.h.
 */
#ifndef SONOSEG_DIAGNOSTICS_H
#define SONOSEG_DIAGNOSTICS_H

#include "sonoseg/sonoseg.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- audit --------------------------------------------------------------------------------------------- */

/* Room in the arrays below for stages; sono_stage_count() of them count. */
#define SONO_MAX_STAGES 16

/* What is booked: every crossing between host and device, and launches beside them. */
typedef enum sono_crossing {
    SONO_CROSSING_ALLOCATION, /* of device or pinned memory */
    SONO_CROSSING_H2D,        /* copy from host to device */
    SONO_CROSSING_LAUNCH,     /* of a graph, or of a kernel outside of one */
    SONO_CROSSING_D2H,        /* copy from device to host */
    SONO_CROSSING_WAIT,       /* the host waits for the device */
    SONO_CROSSING_COUNT
} sono_crossing;

/* When it happened. FRAME: between the start of a frame's upload and the end of its packet's download. */
typedef enum sono_phase {
    SONO_PHASE_OPEN,
    SONO_PHASE_LOOP, /* in the frame loop, outside of any frame */
    SONO_PHASE_FRAME,
    SONO_PHASE_CLOSE,
    SONO_PHASE_COUNT
} sono_phase;

/* Where on a frame's way it happened, as the errors of the device name it. */
#define SONO_PLACE_MAP(X)                                                                                    \
    X(OPEN, "open")         /* parameters, memory, and what is tried out */                                  \
    X(UPLOAD, "upload")     /* of a frame, in front of its first stage */                                    \
    X(LAUNCH, "launch")     /* of its stages */                                                              \
    X(DOWNLOAD, "download") /* of its packet, behind its last stage */                                       \
    X(OTHER, "other")       /* none of these: tests */

typedef enum sono_place {
#define SONO_PLACE_ENUM(name, text) SONO_PLACE_##name,
    SONO_PLACE_MAP(SONO_PLACE_ENUM)
#undef SONO_PLACE_ENUM
        SONO_PLACE_COUNT
} sono_place;

SONO_API const char *sono_crossing_name(sono_crossing crossing); /* "allocation", "h2d", ... */
SONO_API const char *sono_phase_name(sono_phase phase);          /* "open", "loop", "frame", "close" */
SONO_API const char *sono_place_name(sono_place place);

/* Everything a pipeline booked since it was opened. All zero on the CPU. */
typedef struct sono_audit_counts {
    int64_t n[SONO_PHASE_COUNT][SONO_CROSSING_COUNT];
    int64_t bytes[SONO_PHASE_COUNT][SONO_CROSSING_COUNT];
    int64_t n_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT]; /* the same by place, all phases together */
    int64_t bytes_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT];
    int64_t n_chains;                    /* uploads behind a download within one frame */
    int32_t n_ops[SONO_MAX_STAGES];      /* ops of each stage, ... */
    int32_t n_resident[SONO_MAX_STAGES]; /* ... and those whose every input and output is device memory */
} sono_audit_counts;

/* Not in the frame path: it asks the driver where every tensor lies. Call it when no frame is in flight.
 * Errors: INVALID_ARGUMENT. */
SONO_API sono_status sono_pipeline_audit(sono_pipeline *pipeline, sono_audit_counts *out);

/* The judgement of a run of frames. */
typedef struct sono_audit {
    sono_audit_counts before;
    int64_t n_frames;
    int64_t n_critical;             /* crossings within a frame beyond 1 h2d, 1 d2h and 1 wait */
    int64_t n_medium;               /* crossings between frames, launches beyond 1 a frame */
    int64_t n_minor;                /* crossings at open */
    int64_t n_chains;               /* data downloaded and uploaded again within one frame */
    sono_ledger_totals most;        /* of each figure the most that a frame had */
    int64_t n[SONO_CROSSING_COUNT]; /* sums over the frames' ledgers */
    int64_t bytes[SONO_CROSSING_COUNT];
    int64_t n_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT]; /* between start and finish, by place */
    int64_t bytes_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT];
    double residency[SONO_MAX_STAGES]; /* share of resident ops; 1 for a stage without ops */
    double residency_all;
} sono_audit;

/* Arithmetic only. start: what was booked before the frames; frame: one packet's ledger; finish: what is
 * booked after them. finish returns whether it is within the budget: critical 0, medium 0, chains 0,
 * residency 1, and no frame above 0 allocations, 1 h2d, 1 launch, 1 d2h, 1 wait. */
SONO_API void sono_audit_start(sono_audit *audit, const sono_audit_counts *before);
SONO_API void sono_audit_frame(sono_audit *audit, const sono_ledger_totals *frame);
SONO_API int32_t sono_audit_finish(sono_audit *audit, const sono_audit_counts *after);

/* ---- trace --------------------------------------------------------------------------------------------- */

/* An independent witness of the ledger: what CUPTI, the driver's own tracing, saw. One a process. */
typedef struct sono_trace sono_trace;

typedef enum sono_trace_kind {
    SONO_TRACE_KERNEL,
    SONO_TRACE_H2D,
    SONO_TRACE_D2H,
    SONO_TRACE_COPY,       /* any other copy, and memory sets */
    SONO_TRACE_WAIT,       /* host: a synchronising call */
    SONO_TRACE_LAUNCH,     /* host: a launching call */
    SONO_TRACE_ALLOCATION, /* host: an allocating call */
    SONO_TRACE_KIND_COUNT
} sono_trace_kind;

typedef struct sono_trace_record {
    sono_trace_kind kind;
    int32_t stream;           /* CUPTI's number of it; 0 for the host */
    int64_t start_ns, end_ns; /* CUPTI's clock */
    int64_t bytes;            /* of copies */
    uint64_t graph_node;      /* CUPTI's number of the graph's node; 0 = outside of a graph */
    char name[64];            /* of the kernel or the call */
} sono_trace_record;

/* What was seen between start and stop. */
typedef struct sono_trace_totals {
    int64_t n[SONO_CROSSING_COUNT];
    int64_t bytes[SONO_CROSSING_COUNT];
    int64_t n_kernels;
    int64_t n_wait_calls, n_wait_records; /* two accounts of the waits; n has the larger */
    int64_t n_dropped;                    /* records lost: nothing can be concluded */
    int32_t version;                      /* of CUPTI, as it gives it */
} sono_trace_totals;

/* Loads CUPTI. To be called before the pipeline is opened, so that its graphs are known. Errors: UNSUPPORTED
 * (built without CUPTI, no library found: the text says where it was looked for), DEVICE (CUPTI refuses: no
 * driver, no permission), STATE (there is one already), OUT_OF_MEMORY. */
SONO_API sono_status sono_trace_open(sono_trace **out, sono_error *error);

/* Records count from here, to there; no frame may be in flight at either. Errors: DEVICE. */
SONO_API sono_status sono_trace_start(sono_trace *trace, sono_error *error);
SONO_API sono_status sono_trace_stop(sono_trace *trace, sono_trace_totals *out, sono_error *error);

/* What the last stop found, ordered by start; the trace's, until the next start or close. */
SONO_API const sono_trace_record *sono_trace_records(const sono_trace *trace, int64_t *n_records);

SONO_API void sono_trace_close(sono_trace *trace); /* NULL is allowed */

/* Compares with what was booked between two audits; names every difference in text, one line each, and
 * returns how many there are. Arithmetic only. */
SONO_API int32_t sono_trace_compare(const sono_trace_totals *seen, const sono_audit_counts *before,
                                    const sono_audit_counts *after, char *text, size_t n_bytes);

/* ---- profile ------------------------------------------------------------------------------------------- */

/* One op of a pipeline's program. */
typedef struct sono_op_profile {
    char name[96];  /* of what it writes first: a module's path in the official code where there is one */
    char kind[16];  /* "conv", "attention", ... */
    char shape[64]; /* "3x3/2 [1,640,640,3] -> [1,320,320,16]" */
    sono_stage stage;
    int32_t lane;    /* ops of lane 1 may run beside those of lane 0 */
    int32_t is_half; /* its products are float16 */
    double flops;    /* of the whole batch; multiplications and additions counted apart */
    double bytes;    /* read and written at least, what a frame of the profile's size uses */
    double ns;       /* one run among runs of the same op, its inputs in the caches */
} sono_op_profile;

/* Where a frame's time could go. */
typedef struct sono_profile {
    sono_op_profile *ops; /* [n_ops], in the program's order; until sono_profile_free() */
    int32_t n_ops;
    int32_t width_px, height_px; /* of the frame it was measured with */
    double lane_ms[2];           /* CUDA: each lane up to where they join, nothing beside it; 0 on the CPU */
    double tail_ms;              /* CUDA: what waits for both */
    double cache_bytes_per_s;    /* CUDA: of a copy within the second-level cache, ... */
    double memory_bytes_per_s;   /* ... and within memory; read and written bytes */
    double half_flops_per_s;     /* CUDA: float16 matrix instructions; 0 on the CPU, as the next */
    double float_flops_per_s;
} sono_profile;

/* Times every op by itself with the frame that the first slot held last (before any: a black one). Call it
 * when no frame is in flight and no packet is lent: it overwrites the slot's outputs. Takes seconds. out: to
 * be freed by sono_profile_free(). Errors: INVALID_ARGUMENT, OUT_OF_MEMORY (on CUDA it takes 1 GB), DEVICE.
 */
SONO_API sono_status sono_pipeline_profile(sono_pipeline *pipeline, sono_profile *out, sono_error *error);
SONO_API void sono_profile_free(sono_profile *profile); /* a zeroed one is allowed */

#ifdef __cplusplus
}
#endif
#endif
