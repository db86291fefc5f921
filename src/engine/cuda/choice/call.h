// SPDX-License-Identifier: Apache-2.0
/*
 * An op with what a kernel is told about it. Plain C without CUDA, like all of this room, so that kernels are
 * chosen, shown and tested in every build and without a device.
 */
#ifndef SONO_ENGINE_CUDA_CHOICE_CALL_H
#define SONO_ENGINE_CUDA_CHOICE_CALL_H

#include "graph/program.h"

struct CUstream_st; /* what cudaStream_t points to */
struct sono_cuda_choice;
struct sono_chain;

/* Every tensor's storage, and each parameter's, begins at a multiple of this. */
#define SONO_CUDA_ALIGN_BYTES 256

/* A tensor with its device memory: element (n, y, x, c) at data + n * batch_stride + (y * w + x) * pitch + c.
 */
typedef struct sono_cuda_tensor {
    void *data; /* NULL = not given; before there is memory only right modulo SONO_CUDA_ALIGN_BYTES */
    sono_dtype dtype;
    int32_t n, h, w, c;
    int64_t pitch, batch_stride;
} sono_cuda_tensor;

typedef struct sono_cuda_call {
    const sono_op *op;
    const struct sono_cuda_choice *choice; /* the kernel that computes it, and how; NULL while choosing */
    sono_cuda_tensor in[SONO_OP_MAX_IN];
    sono_cuda_tensor out[SONO_OP_MAX_OUT];
    struct CUstream_st *stream;
    const struct sono_chain *chain;       /* that the op leads; NULL = it is run by itself */
    const struct sono_cuda_call *members; /* the chain's ops, in order */
    void *scratch; /* 256-byte aligned device memory, contents undefined, this op's alone while it runs */
    int32_t n_multiprocessors;
    int32_t has_sm90;           /* while choosing: the kernels for 9.0 alone are there */
    int32_t compute_capability; /* 75, 80, 86, 89, 90, 100, 120 */
} sono_cuda_call;

static inline int64_t sono_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t sono_element_bytes(const sono_cuda_tensor *t)
{
    return t->dtype == SONO_DTYPE_F16 ? 2 : 4;
}

/* 1 when rows of n_channels can be read and written `wide` channels, at most 16 bytes, at a time. */
static inline int sono_rows_are_wide(const void *data, int64_t element_bytes, int64_t pitch,
                                     int64_t batch_stride, int32_t n_channels, int32_t wide)
{
    const int64_t unit = wide * element_bytes < 16 ? wide * element_bytes : 16;
    return n_channels % wide == 0 && (int64_t)((uintptr_t)data % (uintptr_t)unit) == 0 &&
           pitch * element_bytes % unit == 0 && batch_stride * element_bytes % unit == 0;
}

/* The same of a tensor; one that is not given always can. */
static inline int sono_is_wide(const sono_cuda_tensor *t, int32_t n_channels, int32_t wide)
{
    return !t->data || sono_rows_are_wide(t->data, sono_element_bytes(t), t->pitch,
                                          t->n == 1 ? 0 : t->batch_stride, n_channels, wide);
}

#endif
