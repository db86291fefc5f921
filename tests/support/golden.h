// SPDX-License-Identifier: Apache-2.0
/*
 * The outputs of the official code in tests/golden/NAME.safetensors (made by scripts/make_golden.py), and how
 * far ours are from them. A large tensor is kept as every stride-th element of its row-major, official self.
 */
#ifndef SONO_TESTS_GOLDEN_H
#define SONO_TESTS_GOLDEN_H

#include "checkpoint/checkpoint.h"

typedef struct golden {
    sono_checkpoint *file;
} golden;

/* How our tensor lies in memory where the official one is row-major over [rows, columns]. */
typedef struct golden_layout {
    int64_t n_rows;      /* channels of an official [1, C, H, W], tokens or queries of [1, N, C] */
    int64_t n_columns;   /* H * W, or C */
    int32_t transposed;  /* 1: ours is [columns, rows], e.g. channels last */
    const int32_t *rows; /* ours holds the official row r at row rows[r]; NULL = the same order */
} golden_layout;

/* Opens tests/golden/<name>.safetensors of the source tree. Fails the running test when it cannot. */
void golden_open(golden *file, const char *name);
void golden_close(golden *file);

/* Relative L2 distance of our tensor from the official one, over the elements that are kept; infinite when
 * ours has a NaN. Fails the running test when the tensor is not there or the layout has another size. `index`
 * picks one of several tensors stacked in the official one (of n_rows * n_columns elements each). */
double golden_distance(const golden *file, const char *tensor, const float *ours, const golden_layout *layout,
                       int64_t index);

/* Fills rows[n]: the official query r is our query rows[r], found by the index of the encoder's token that
 * both were made from. Queries that only one side selected get -1. Returns the number of those. */
int32_t golden_match_queries(const golden *file, const int32_t *our_topk_index, int32_t n, int32_t *rows);

/* The sum of bits of the network's input, see synthetic_bits_sum(). */
uint64_t golden_input_bits_sum(const golden *file);

#endif
