// SPDX-License-Identifier: Apache-2.0
/*
 * Strict binding of a checkpoint's tensors to a network's parameters, by official name and shape.
 *
 * A network asks for every tensor it needs with sono_bind_f32(); those that the official checkpoints carry
 * but inference does not use are in its descriptor, or it names them with sono_bind_ignore();
 * sono_bind_finish() ends it. A missing or misshapen tensor is an error that names it with both shapes; a
 * tensor nobody asked for is one too. Names of another scheme are translated before: a network only knows
 * official ones. One thread at a time.
 */
#ifndef SONO_NETS_BIND_H
#define SONO_NETS_BIND_H

#include "checkpoint/checkpoint.h"
#include "sonoseg/models.h"

typedef struct sono_binder sono_binder;
struct sono_network; /* network.h */

/* Recognises the network (fills info, see io.h) and builds the name table. checkpoint must outlive the
 * binder. Errors: UNSUPPORTED (no network of registry.c; says what it looked at; metadata that names an
 * unknown family of detectors or input size), MODEL_MISMATCH, OUT_OF_MEMORY. */
sono_status sono_binder_open(const sono_checkpoint *checkpoint, sono_binder **out, sono_error *error);
void sono_binder_close(sono_binder *binder); /* NULL is allowed */

const sono_model_info *sono_binder_info(const sono_binder *binder);
const struct sono_network *sono_binder_network(const sono_binder *binder);
const char *sono_binder_path(const sono_binder *binder); /* of its checkpoint, for errors */

/* Says whose detector it is, before anything is recorded; AUTO changes nothing. Errors: MODEL_MISMATCH (the
 * file says another one, or holds no detector). */
sono_status sono_binder_set_family(sono_binder *binder, sono_detector_family family, sono_error *error);

/* Another input size than the file's, before anything is recorded; 0 x 0 changes nothing. Errors: UNSUPPORTED
 * (none of the network's). */
sono_status sono_binder_set_size(sono_binder *binder, int32_t width_px, int32_t height_px, sono_error *error);

/* Whether a tensor of that official name is there (for optional parts). Does not count as asking. */
int sono_bind_has(const sono_binder *binder, const char *name);
int64_t sono_bind_count(const sono_binder *binder, const char *name); /* its elements; 0 = it is not there */

/* Copies the tensor `name` of exactly the shape dims[n_dims] as float32, row-major, to out and marks it used.
 * Errors: MODEL_MISMATCH (missing, or another shape: both are named), FORMAT (NaN or infinity). */
sono_status sono_bind_f32(sono_binder *binder, const char *name, int32_t n_dims, const int64_t *dims,
                          float *out, sono_error *error);

/* The same for a buffer of one tensor that may hold NaN and infinities (D-FINE's anchors). Errors:
 * MODEL_MISMATCH. */
sono_status sono_bind_any_f32(sono_binder *binder, const char *name, int32_t n_dims, const int64_t *dims,
                              float *out, sono_error *error);

/* Marks as known-and-unused every tensor whose official name matches the glob pattern ('*' = any run of
 * characters). Matching none is no error. */
void sono_bind_ignore(sono_binder *binder, const char *pattern);

/* Errors: MODEL_MISMATCH when a tensor was neither bound nor ignored (names the first, its shape, and how
 * many). */
sono_status sono_bind_finish(sono_binder *binder, sono_error *error);

#endif
