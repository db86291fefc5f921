// SPDX-License-Identifier: Apache-2.0
/* Writes safetensors files from a header given as text, right or wrong, for tests. */
#ifndef SONO_TESTS_SAFETENSORS_FILE_H
#define SONO_TESTS_SAFETENSORS_FILE_H

#include "support/torch_file.h"

/* 8 bytes of length, the header, n_bytes of data (NULL = zeroes). The caller frees the result with
 * sono_free(); NULL when out of memory. */
uint8_t *safetensors_make(const char *header, const void *data, size_t n_bytes, size_t *file_bytes);

/* A whole file with the contiguous ones of the tensors (storage_of 0, no strides). Errors: IO, OUT_OF_MEMORY.
 */
sono_status safetensors_write(const char *path, const torch_file_tensor *tensors, int n_tensors);

/* The same with one pair of metadata more. */
sono_status safetensors_write_with(const char *path, const torch_file_tensor *tensors, int n_tensors,
                                   const char *key, const char *value);

#endif
