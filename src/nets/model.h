// SPDX-License-Identifier: Apache-2.0
/* Whole checkpoints: what io.h's sono_model_*() are made of. */
#ifndef SONO_NETS_MODEL_H
#define SONO_NETS_MODEL_H

#include "checkpoint/checkpoint.h"

/* Whether inference can take the checkpoint: a known network whose floating-point tensors are all finite.
 * Errors: UNSUPPORTED, MODEL_MISMATCH, FORMAT (NaN or infinity), OUT_OF_MEMORY. */
sono_status sono_model_check(const sono_checkpoint *checkpoint, sono_error *error);

/* sono_model_convert() without the check of every shape, which needs the networks' recorders.
 * Errors: those of sono_model_check() and sono_binder_set_family(), UNSUPPORTED (a value does not fit FP16),
 * IO. */
sono_status sono_model_write(const sono_checkpoint *checkpoint, const char *path_out,
                             sono_precision precision, sono_detector_family family, sono_error *error);

/* SHA-256 of an open file from its first byte on, as sono_model_info has it; moves no file position. Returns
 * 0, or -1 with errno when it cannot be read. */
int sono_model_hash(int32_t file, char out[65]);

#endif
