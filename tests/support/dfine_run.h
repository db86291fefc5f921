// SPDX-License-Identifier: Apache-2.0
/*
 * D-FINE alone, from a checkpoint file to named tensors: record, keep what a test wants to see, run. Every
 * failure ends the running test.
 */
#ifndef SONO_TESTS_DFINE_RUN_H
#define SONO_TESTS_DFINE_RUN_H

#include "engine/engine.h"
#include "nets/dfine/dfine.h"
#include "support/anchors.h"

typedef struct dfine_run {
    sono_checkpoint *checkpoint;
    sono_binder *binder;
    sono_program *program;
    const sono_engine_ops *backend; /* engine_to_test(), in float32 */
    sono_engine *engine;
    sono_tid image;          /* [1, height, width, 3 or 1]: INPUT, or what PREPROCESS makes of pixels */
    sono_tid pixels, header; /* 0 without preprocessing */
    sono_detector_outputs outputs;
} dfine_run;

/* Opens the checkpoint and records the network; size: NULL = the file's. The input is an image, or where
 * max_side_px > 0 a grey frame of at most that many pixels a side. Checks that the network uses or ignores
 * every tensor. */
void dfine_run_record(dfine_run *run, const char *checkpoint_path, sono_detector_family family,
                      const anchors_size *size, int32_t max_side_px);

/* Keeps the tensor of that name, to be read after the run. */
void dfine_run_keep(dfine_run *run, const char *name);

/* Plans with memory reused (on the CPU dead bytes poisoned where asked for) and opens the engine. */
void dfine_run_open(dfine_run *run, int32_t n_threads, int32_t poison);

void dfine_run_write(dfine_run *run, sono_tid tensor, const void *values);
void dfine_run_frame(dfine_run *run);

/* A kept tensor: dense, channels last, freed by the caller with sono_free(). */
void *dfine_run_read(dfine_run *run, const char *name, sono_tensor *shape);

void dfine_run_close(dfine_run *run);

/* Runs the synthetic network tests/golden/<name> and compares every tensor that its golden file has. */
void dfine_run_check_golden(const char *name, sono_detector_family family);

/* The same, from a file whose anchors are those of 640 x 640 while the golden data are of another size. */
void dfine_run_check_resized(const char *name, int32_t n_levels, const anchors_size *size);

#endif
