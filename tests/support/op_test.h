// SPDX-License-Identifier: Apache-2.0
/*
 * Tests of single ops: record one, run it on a backend (on every instruction set the machine has), compare
 * with a naive reference in double precision that the test writes itself.
 *
 *     sono_op_test t;
 *     sono_op_test_open(&t, seed);
 *     sono_tid x = sono_op_test_input(&t, 1, 5, 7, 3, NULL);
 *     sono_tid y = sono_record_unary(&t.rec, "y", x, SONO_UNARY_GELU, 0);
 *     sono_op_test_finish(&t);
 *     double *want = sono_op_test_want(&t, y, sono_op_test_tolerance(SONO_OP_UNARY));
 *     ... fill want[] (dense, n * h * w * c) from sono_op_test_at(&t, x, n, y, x, c) ...
 *     sono_op_test_run(&t);
 *     sono_op_test_close(&t);
 *
 * What is float32 in the networks even under float16 (boxes, logits, offsets: see rec.precise) must be so in
 * the test too. Every failure ends the test through cmocka. What lies between the elements of an input view
 * is NaN; what lies between those of an output view must be left as it was.
 */
#ifndef SONO_TESTS_SUPPORT_OP_TEST_H
#define SONO_TESTS_SUPPORT_OP_TEST_H

#include "engine/engine.h"
#include "graph/record.h"
#include "test.h"

#define SONO_OP_TEST_MAX_TENSORS 64
#define SONO_OP_TEST_MAX_WANTS   8

/* Largest allowed |got - want| / max(1, largest |want| of the tensor). Float32 sums of a few thousand terms,
 * and polynomials good to 1e-6, must pass; a wrong term must not. 0 = exact. */
#define SONO_OP_TOLERANCE_MAP(X)                                                                             \
    X(FIND_REGION, 0)                                                                                        \
    X(PREPROCESS, 2e-5)                                                                                      \
    X(CONV, 5e-6)                                                                                            \
    X(LINEAR, 5e-6)                                                                                          \
    X(DWCONV, 3e-6)                                                                                          \
    X(MAX_POOL, 0)                                                                                           \
    X(UPSAMPLE2, 0)                                                                                          \
    X(LAYER_NORM, 5e-6)                                                                                      \
    X(ADD, 1e-7)                                                                                             \
    X(SCALE_ROWS, 1e-7)                                                                                      \
    X(UNARY, 2e-6)                                                                                           \
    X(ATTENTION, 3e-6)                                                                                       \
    X(DEFORM_ATTENTION, 2e-5)                                                                                \
    X(GATED_NORM, 1e-5)                                                                                      \
    X(TOPK_ROWS, 0)                                                                                          \
    X(FDR_BOX, 1e-5)                                                                                         \
    X(LQE_STAT, 2e-6)                                                                                        \
    X(SELECT_BOXES, 1e-6)                                                                                    \
    X(FOLLOW_BOX, 1e-6)                                                                                      \
    X(PROMPT, 1e-5)                                                                                          \
    X(HYPER_MASK, 5e-6)                                                                                      \
    X(UPSAMPLE_MASK, 2e-6)                                                                                   \
    X(CLEAN_MASK, 0)                                                                                         \
    X(MASK_PROFILE, 0)                                                                                       \
    X(ECHO_PARTS, 0)                                                                                         \
    X(AGREEMENT, 0)                                                                                          \
    X(SHOW_MASK, 0)                                                                                          \
    X(BRIDGE_MASK, 0)                                                                                        \
    X(SCHEDULE, 0)                                                                                           \
    X(DOUBT, 0)                                                                                              \
    X(STATE, 0)                                                                                              \
    X(SURFACE, 0)                                                                                            \
    X(WEIGHT_MAPS, 0)

double sono_op_test_tolerance(sono_op_kind kind);

typedef struct sono_op_test_expectation {
    sono_tid tensor;
    double tolerance;
    double *values; /* dense; freed by close */
} sono_op_test_expectation;

typedef struct sono_op_test {
    sono_program *program;
    sono_recorder rec;
    sono_error error;
    const sono_engine_ops *backend; /* the CPU, or CUDA where SONO_TEST_BACKEND=cuda asks for it */
    sono_precision precision;       /* of the run in progress */
    uint64_t random;
    void *host[SONO_OP_TEST_MAX_TENSORS]; /* by root id: values of inputs, of outputs after a run */
    void
        *given[SONO_OP_TEST_MAX_TENSORS]; /* by root id: what an output holds before each run; NULL = marks */
    sono_op_test_expectation wants[SONO_OP_TEST_MAX_WANTS];
    size_t n_wants;
} sono_op_test;

/* What rounding may add to the tolerance of a result that is stored as float16, where that is not 0: eight
 * roundings of 2^-12. Precise results keep theirs. */
#define SONO_OP_FP16_TOLERANCE 2e-3

/* Where a tensor lies in a larger one: NULL = dense. */
typedef struct sono_op_test_layout {
    int32_t channels_before, channels_after;
    int32_t rows_before, rows_after;
} sono_op_test_layout;

void sono_op_test_open(sono_op_test *t, uint64_t seed);
void sono_op_test_close(sono_op_test *t);

double sono_op_test_uniform(sono_op_test *t, double low, double high);
int32_t sono_op_test_int(sono_op_test *t, int32_t low, int32_t high); /* both included */

/* A float32 tensor, or its view, with values uniform in [-2, 2] that float16 holds exactly. It is an
 * activation nobody writes, so a backend stores it as it would store any other: as float16 under
 * SONO_PRECISION_FP16, unless t->rec.precise was 1. */
sono_tid sono_op_test_input(sono_op_test *t, int32_t n, int32_t h, int32_t w, int32_t c,
                            const sono_op_test_layout *layout);
/* An INPUT of any type with these values (dense, copied); float32 stays float32 on every backend. */
sono_tid sono_op_test_input_values(sono_op_test *t, sono_dtype dtype, int32_t n, int32_t h, int32_t w,
                                   int32_t c, const void *values);
/* An OUTPUT of any type that holds these values before each run: what an op reads and writes. */
sono_tid sono_op_test_inout_values(sono_op_test *t, sono_dtype dtype, int32_t n, int32_t h, int32_t w,
                                   int32_t c, const void *values);
/* Sets one element of a float32 input. On a GPU what may be stored as float16 is rounded to it here, so that
 * one expectation, made from what sono_op_test_at() gives, serves both precisions. */
void sono_op_test_set(sono_op_test *t, sono_tid tensor, int32_t n, int32_t y, int32_t x, int32_t c,
                      float value);
/* A parameter with values uniform in about [-magnitude, magnitude] that float16 holds exactly. */
sono_tid sono_op_test_param(sono_op_test *t, int32_t n, int32_t h, int32_t w, int32_t c, double magnitude);
/* A float32 tensor to write into. */
sono_tid sono_op_test_output(sono_op_test *t, int32_t n, int32_t h, int32_t w, int32_t c,
                             const sono_op_test_layout *layout);

/* Ends the recording; fails the test when it did not succeed. */
void sono_op_test_finish(sono_op_test *t);

/* An element as a double, of any type: inputs and parameters at once, outputs after run. */
double sono_op_test_at(const sono_op_test *t, sono_tid tensor, int32_t n, int32_t y, int32_t x, int32_t c);

/* What a uint8 output holds where no op has written, and may be wanted to hold: no mask has it. */
#define SONO_OP_TEST_UNTOUCHED_U8 0x5a

/* Values this tensor must have after run: dense, zeroed, for the caller to fill. NaN matches NaN. */
double *sono_op_test_want(sono_op_test *t, sono_tid tensor, double tolerance);

/* In double precision: the activation, and a product's whole epilogue (v: the sum with its bias). */
double sono_op_test_act(sono_act act, double x);
double sono_op_test_epilogue(const sono_epilogue *epilogue, double v, double residual);

/* Runs the program and compares every wanted tensor: on the CPU on each instruction set with 1 and with 3
 * threads, on CUDA in fp32 and in fp16. */
void sono_op_test_run(sono_op_test *t);

/* 1 when the command line asks for the benchmark: `test_conv --bench`. */
int sono_op_test_wants_bench(int argc, char **argv);

/* Runs the finished program on 1 thread and on all cores; prints median and best in ms, and from the medians
 * GFLOP/s and output elements a second (in units of 1e9). */
void sono_op_test_bench(sono_op_test *t, const char *label);

#endif
