// SPDX-License-Identifier: Apache-2.0
/*
 * OpenBLAS, loaded at the first open instead of linked. Each of its calls takes a buffer of 128 MiB of
 * address space, and asks for it for ever where there is none (driver/others/memory.c:2914-2955 @ b89fb708,
 * version 0.3.21). So do the threads that it starts when it is loaded, and exit waits for these. Here it is
 * loaded without threads, and the buffers of all threads that will call it at once get their memory while a
 * refusal can still be reported. Thread-safe.
 */
#ifndef SONO_ENGINE_CPU_BLAS_H
#define SONO_ENGINE_CPU_BLAS_H

#include "base/status.h"

#include <cblas.h>

/* As cblas_sgemm; from sono_blas_load() on. */
typedef void (*sono_sgemm_fn)(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE transpose_a,
                              enum CBLAS_TRANSPOSE transpose_b, blasint m, blasint n, blasint k, float alpha,
                              const float *a, blasint lda, const float *b, blasint ldb, float beta, float *c,
                              blasint ldc);
extern sono_sgemm_fn sono_sgemm;

/* Loads the library once a process and sets it to one thread, which holds for the whole process: our pool
 * cuts the work. n_threads_max: how many threads may still call it at once. Errors: UNSUPPORTED (no OpenBLAS;
 * the text says what is missing), OUT_OF_MEMORY. */
sono_status sono_blas_load(int32_t *n_threads_max, sono_error *error);

/* Takes buffers for n_threads callers more than there are, to be given back by sono_blas_release(); OpenBLAS
 * keeps the memory for those that come later. After sono_blas_load(). Errors: OUT_OF_MEMORY, LIMIT (more than
 * it has buffers). */
sono_status sono_blas_reserve(int32_t n_threads, sono_error *error);
void sono_blas_release(int32_t n_threads);

#endif
