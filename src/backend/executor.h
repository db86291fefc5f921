// SPDX-License-Identifier: Apache-2.0
/*
 * What every backend offers: run a program that was recorded once. An executor owns the activations' block,
 * never the program (which must outlive it). One thread at a time; nothing is allocated after open.
 */
#ifndef SONO_BACKEND_EXECUTOR_H
#define SONO_BACKEND_EXECUTOR_H

#include "program/plan.h"
#include "program/program.h"

typedef struct sono_executor sono_executor;

typedef struct sono_executor_options {
    sono_plan_mode plan_mode;
    int32_t n_threads;   /* CPU; 0 = all cores */
    int32_t external_io; /* 1: the caller places the blocks of inputs and outputs before every run */
    int32_t poison;      /* tests: fill a tensor's bytes with NaN before its first op and after its last */
} sono_executor_options;

/* A backend. Every function is thread-safe between executors. */
typedef struct sono_executor_ops {
    const char *name; /* "cpu" */
    sono_status (*open)(const sono_program *program, const sono_executor_options *options,
                        sono_executor **out, sono_error *error);
    void (*close)(sono_executor *executor); /* NULL is allowed */
    /* Runs ops [first, last) in order; last < 0 = to the end. Adds each stage's nanoseconds to stage_ns
     * unless NULL. */
    sono_status (*run)(sono_executor *executor, int32_t first_op, int32_t last_op,
                       int64_t stage_ns[SONO_STAGE_COUNT], sono_error *error);
    /* Copies a whole tensor (dense, in the program's dtype, n * h * w * c elements) into or out of the
     * executor. */
    sono_status (*write)(sono_executor *executor, sono_tid tensor, const void *values, sono_error *error);
    sono_status (*read)(sono_executor *executor, sono_tid tensor, void *values, sono_error *error);
    /* Bytes of the activations' block, and of scratch for all threads. */
    int64_t (*planned_bytes)(const sono_executor *executor);
    /* Threads that compute. */
    int32_t (*n_threads)(const sono_executor *executor);
    /* The plan in force; owned by the executor. */
    const sono_plan *(*plan)(const sono_executor *executor);
} sono_executor_ops;

/* The reference: float32 on the CPU. */
extern const sono_executor_ops sono_cpu_executor;

/* CPU only: the memory of an INPUT or OUTPUT tensor, or any tensor under SONO_PLAN_KEEP: first element of the
 * view. */
void *sono_cpu_executor_data(sono_executor *executor, sono_tid tensor);

/* CPU only: the blocks of INPUT and of OUTPUT tensors for the runs to come, in memory of the caller (64-byte
 * aligned, plan->block_bytes large). An executor opened with external_io has none until this is called. */
void sono_cpu_executor_place_io(sono_executor *executor, void *inputs, void *outputs);

#endif
