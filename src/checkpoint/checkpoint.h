// SPDX-License-Identifier: Apache-2.0
/*
 * A checkpoint file as a list of named tensors, whatever its container: PyTorch .pth/.pt (zip + pickle) or
 * safetensors. Nothing in a file is ever executed; every offset is checked before it is followed.
 * A checkpoint is read-only after open and may be read from several threads.
 */
#ifndef SONO_CHECKPOINT_CHECKPOINT_H
#define SONO_CHECKPOINT_CHECKPOINT_H

#include "base/dtype.h"
#include "base/status.h"

#define SONO_CHECKPOINT_MAX_DIMS 8

typedef struct sono_checkpoint sono_checkpoint;

/* One tensor: element (i0, i1, ...) lies at data + sum(i_k * strides[k]) * sono_dtype_bytes(dtype); the
 * reader has checked that every element lies inside the file, or inside what was unpacked of it. Owned by the
 * checkpoint. */
typedef struct sono_checkpoint_tensor {
    const char *name;
    sono_dtype dtype;
    int32_t n_dims; /* 0 = scalar */
    int64_t dims[SONO_CHECKPOINT_MAX_DIMS];
    int64_t strides[SONO_CHECKPOINT_MAX_DIMS]; /* elements, >= 0 */
    const uint8_t *data;                       /* unaligned */
} sono_checkpoint_tensor;

/* Maps the file and reads its directory. The container is recognised from the first bytes, not from the name.
 * Of a training checkpoint the state dict is taken: the first with tensors of ema.module, model, ema,
 * ema_state_dict, model_state_dict, state_dict, net, weights, then of these within one another, then the top.
 * Entries of it that are no tensors are left out.
 * Errors: IO, FORMAT, UNSUPPORTED, OUT_OF_MEMORY; the text names the file, the offset, the reason, and what
 * to do about it. */
sono_status sono_checkpoint_open(const char *path, sono_checkpoint **out, sono_error *error);

/* The same from memory that must outlive the checkpoint; `name` stands for the path in errors. */
sono_status sono_checkpoint_open_memory(const void *bytes, size_t n_bytes, const char *name,
                                        sono_checkpoint **out, sono_error *error);

void sono_checkpoint_close(sono_checkpoint *checkpoint); /* NULL is allowed */

/* A descriptor of the file that was opened, whatever its path names by now; the caller closes it. -1 with
 * errno: made from memory, or too many are open. */
int32_t sono_checkpoint_keep_file(const sono_checkpoint *checkpoint);

const char *sono_checkpoint_path(const sono_checkpoint *checkpoint);
const char *sono_checkpoint_container(const sono_checkpoint *checkpoint); /* "pytorch zip", "safetensors" */
int32_t sono_checkpoint_n_tensors(const sono_checkpoint *checkpoint);
const sono_checkpoint_tensor *sono_checkpoint_tensor_at(const sono_checkpoint *checkpoint, int32_t index);
const sono_checkpoint_tensor *sono_checkpoint_find(const sono_checkpoint *checkpoint, const char *name);
/* Value of a safetensors metadata key, NULL when absent; owned by the checkpoint. */
const char *sono_checkpoint_metadata(const sono_checkpoint *checkpoint, const char *key);

/* Product of the dims. */
int64_t sono_checkpoint_tensor_count(const sono_checkpoint_tensor *tensor);

/* Writes all elements, row-major, as float32. Errors: FORMAT for a NaN or an infinity (named with tensor and
 * index), UNSUPPORTED for a dtype that is no number. */
sono_status sono_checkpoint_read_f32(const sono_checkpoint_tensor *tensor, float *out, sono_error *error);

/* The same, but NaN and infinities are taken as they are. Errors: UNSUPPORTED. */
sono_status sono_checkpoint_read_any_f32(const sono_checkpoint_tensor *tensor, float *out, sono_error *error);

#endif
