// SPDX-License-Identifier: Apache-2.0
/* What the recorders of ops share: one file a family (core, product, attention, detect, segment, region,
 * ...). */
#ifndef SONO_GRAPH_RECORD_PRIVATE_H
#define SONO_GRAPH_RECORD_PRIVATE_H

#include "graph/record.h"

/* Fails recording with a text that names the op. Returns 0. */
#define RECORD_FAIL(rec, ...)                                                                                \
    sono_record_latch(                                                                                       \
        (rec), sono_error_set((rec)->error, SONO_STATUS_INVALID_ARGUMENT, 0, -1, __func__, __VA_ARGS__))

/* Latches a failure when one of the first n_in inputs is not given (an earlier layer's 0 has latched
 * already). Whether recording goes on. */
int sono_record_needs(sono_recorder *rec, const char *name, const sono_tid *in, int n_in);
/* The tensor an op writes: `out` when given and of that shape, else a new one. */
sono_tid sono_record_target(sono_recorder *rec, const char *name, sono_tid out, sono_dtype dtype, int32_t n,
                            int32_t h, int32_t w, int32_t c);
/* Adds a tensor that is described already; root 0: it gets storage of its own. */
sono_tid sono_record_copy(sono_recorder *rec, const sono_tensor *tensor);
/* Appends an op whose inputs and outputs are filled in; returns its first output. */
sono_tid sono_record_op(sono_recorder *rec, const sono_op *op);

/* Shape of the result of a window that moves over x; latches and returns 0 when it does not fit. */
int sono_record_conv_shape(sono_recorder *rec, const char *name, const sono_tensor *x,
                           const sono_conv_args *args, int32_t c_out, sono_tensor *y);

int sono_is_dense(const sono_tensor *x);
/* Maps and channels alike, and as many positions. */
int sono_is_same_map(const sono_tensor *a, const sono_tensor *b);
/* A vector of c floats: [1, 1, 1, c]. */
int sono_is_vector(const sono_tensor *v, int32_t c);
/* Whether frames and weight maps of such sizes are possible; latches a failure. */
int sono_segment_sizes_fit(sono_recorder *rec, const char *name, const sono_segment_args *args);
/* Bytes of a plane of the largest frame's maps. */
int32_t sono_plane_bytes(const sono_segment_args *args);
/* How many frames a header tensor describes; 0 when it is another tensor. */
int32_t sono_header_frames(const sono_tensor *header);

#endif
