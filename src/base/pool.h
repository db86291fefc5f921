// SPDX-License-Identifier: Apache-2.0
/*
 * A fixed set of threads for loops whose rounds do not depend on each other. The caller works too, as thread
 * 0. One loop at a time a pool; a pool belongs to one engine. Nothing is allocated after open.
 */
#ifndef SONO_BASE_POOL_H
#define SONO_BASE_POOL_H

#include "base/status.h"

typedef struct sono_pool sono_pool;

/* Cores that this process may use; [1, 256]. */
int32_t sono_pool_n_cores(void);

/* One round: task in [0, n_tasks), thread in [0, sono_pool_n_threads()). Must not start a loop on the same
 * pool. */
typedef void (*sono_pool_fn)(void *context, int64_t task, int32_t thread);

/* n_threads >= 1, including the caller; 0 = sono_pool_n_cores().
 * Errors: OUT_OF_MEMORY, INVALID_ARGUMENT (above 256), IO (a thread cannot be started). */
sono_status sono_pool_open(int32_t n_threads, sono_pool **out, sono_error *error);
void sono_pool_close(sono_pool *pool); /* NULL is allowed */
int32_t sono_pool_n_threads(const sono_pool *pool);

/* Runs fn for every task and returns when all are done. Which thread takes which task is not defined. */
void sono_pool_run(sono_pool *pool, sono_pool_fn fn, void *context, int64_t n_tasks);

#endif
