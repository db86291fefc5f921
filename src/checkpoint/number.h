// SPDX-License-Identifier: Apache-2.0
/* Element types into one another, and a walk over the elements of a strided tensor. */
#ifndef SONO_CHECKPOINT_NUMBER_H
#define SONO_CHECKPOINT_NUMBER_H

#include "checkpoint/checkpoint.h"

/* IEEE 754 binary16, exact one way, to nearest even the other; above 65504 (rounded) infinity, NaN stays NaN.
 */
float sono_half_to_float(uint16_t bits);
uint16_t sono_half_from_float(float value);

/* 1 for F32, F16, BF16, F64. */
int sono_dtype_is_float(sono_dtype dtype);

/* Converts n numbers that lie stride elements apart; data is unaligned, little-endian. Any dtype. */
void sono_number_to_f32(sono_dtype dtype, const uint8_t *data, int64_t n, int64_t stride, float *out);

/* The innermost dimension's runs in row-major order; one run when the tensor is contiguous. */
typedef struct sono_tensor_rows {
    const sono_checkpoint_tensor *tensor;
    const uint8_t *data; /* of the run's first element */
    int64_t n;           /* elements of the run */
    int64_t stride;      /* elements */
    int64_t first;       /* row-major number of the run's first element */
    int64_t index[SONO_CHECKPOINT_MAX_DIMS];
    int32_t n_outer; /* dimensions that step from run to run */
    int done;
} sono_tensor_rows;

void sono_tensor_rows_start(sono_tensor_rows *rows, const sono_checkpoint_tensor *tensor);
void sono_tensor_rows_next(sono_tensor_rows *rows);

#endif
