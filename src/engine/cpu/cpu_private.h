// SPDX-License-Identifier: Apache-2.0
/* What the files of the CPU engine share. */
#ifndef SONO_ENGINE_CPU_CPU_PRIVATE_H
#define SONO_ENGINE_CPU_CPU_PRIVATE_H

#include "engine/cpu/kernels/kernels.h"
#include "engine/engine.h"

#include <pthread.h>

typedef enum sono_cpu_frame_state {
    SONO_CPU_FRAME_NONE,
    SONO_CPU_FRAME_QUEUED,
    SONO_CPU_FRAME_DONE
} sono_cpu_frame_state;

/* One slot's frame. */
typedef struct sono_cpu_frame {
    sono_cpu_frame_state state;
    uint64_t order; /* from QUEUED on */
    sono_frame_cost cost;
} sono_cpu_frame;

/* The thread that runs frames in the order in which they were submitted. */
typedef struct sono_cpu_worker {
    pthread_t thread;
    int32_t is_started;
    int32_t is_stopped;
    pthread_mutex_t mutex;
    pthread_cond_t queued, done;
    sono_cpu_frame *frames; /* [n_slots] */
    int32_t n_frames;
    uint64_t n_queued, n_run;
} sono_cpu_worker;

struct sono_engine {
    sono_program lowered;
    const sono_program *program; /* &lowered */
    const sono_cpu_table *table;
    sono_plan plan;
    sono_pool *pool;
    uint8_t *activations;
    uint8_t **io; /* by slot: inputs, outputs */
    int32_t n_slots;
    int32_t slot; /* selected */
    uint8_t *scratch;
    size_t scratch_bytes; /* of one thread, the most any op wants */
    int32_t n_reserved;   /* threads that sono_blas_reserve() knows of */
    int32_t poison;
    sono_gate gate;
    sono_branch branches[SONO_MAX_BRANCHES]; /* [n_branches] */
    int32_t n_branches;
    sono_cpu_worker worker;
};

/* Whether the kernels can run every op, whatever their instruction set. Errors: UNSUPPORTED (names op,
 * tensor, shape and reason). */
sono_status sono_cpu_check(const sono_program *program, sono_error *error);

/* Runs ops [first, last) of the selected slot in order; adds each stage's nanoseconds to stage_ns unless
 * NULL. */
void sono_cpu_run_ops(sono_engine *cpu, int32_t first_op, int32_t last_op, int64_t *stage_ns);

/* engine.h: prepare, submit, wait. */
sono_status sono_cpu_prepare(sono_engine *cpu, sono_error *error);
sono_status sono_cpu_submit(sono_engine *cpu, int32_t slot, size_t input_bytes, size_t output_bytes,
                            sono_error *error);
sono_status sono_cpu_wait(sono_engine *cpu, int32_t slot, sono_frame_cost *cost, sono_error *error);

/* Runs what is queued and ends the thread; one that was never started is allowed. */
void sono_cpu_worker_close(sono_cpu_worker *worker);

#endif
