// SPDX-License-Identifier: Apache-2.0
#include "base/pool.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define MAX_THREADS 256
#define SPIN_NS                                                                                              \
    100000 /* how long a thread looks for work before it sleeps: longer than the gap between ops */

typedef struct worker {
    sono_pool *pool;
    int32_t thread; /* 1 .. n_threads - 1 */
    pthread_t handle;
} worker;

struct sono_pool {
    int32_t n_threads;
    int32_t n_started; /* workers whose handle is valid */
    worker *workers;
    pthread_mutex_t mutex;
    pthread_cond_t work_ready;
    pthread_cond_t work_done;

    /* The loop in progress: written under the mutex before `generation` is raised. */
    sono_pool_fn fn;
    void *context;
    int64_t n_tasks;
    atomic_int_fast64_t next_task;
    atomic_int_fast32_t n_busy; /* workers that have not finished this generation */
    atomic_uint_fast64_t generation;
    atomic_int stop;
};

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_tasks(sono_pool *pool, int32_t thread)
{
    for (;;) {
        const int64_t task = atomic_fetch_add(&pool->next_task, 1);
        if (task >= pool->n_tasks)
            return;
        pool->fn(pool->context, task, thread);
    }
}

/* Returns the new generation, or `seen` when the pool stops. */
static uint_fast64_t wait_for_work(sono_pool *pool, uint_fast64_t seen)
{
    const int64_t deadline_ns = sono_clock_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 64; i++) {
            const uint_fast64_t now = atomic_load(&pool->generation);
            if (now != seen)
                return now;
            cpu_relax();
        }
    } while (sono_clock_ns() < deadline_ns && !atomic_load(&pool->stop));
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->generation) == seen && !atomic_load(&pool->stop))
        pthread_cond_wait(&pool->work_ready, &pool->mutex);
    const uint_fast64_t now = atomic_load(&pool->generation);
    pthread_mutex_unlock(&pool->mutex);
    return now;
}

static void *worker_main(void *argument)
{
    const worker *self = argument;
    sono_pool *pool = self->pool;
    uint_fast64_t seen = 0;
    for (;;) {
        const uint_fast64_t now = wait_for_work(pool, seen);
        if (now == seen)
            return NULL;
        seen = now;
        take_tasks(pool, self->thread);
        if (atomic_fetch_sub(&pool->n_busy, 1) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->work_done);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

int32_t sono_pool_n_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    const int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > MAX_THREADS ? MAX_THREADS : count;
}

sono_status sono_pool_open(int32_t n_threads, sono_pool **out, sono_error *error)
{
    if (n_threads < 0 || n_threads > MAX_THREADS)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%d threads: give 0 (all cores) to %d", n_threads,
                         MAX_THREADS);
    if (n_threads == 0)
        n_threads = sono_pool_n_cores();
    sono_pool *pool = sono_alloc(sizeof *pool);
    if (!pool)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the thread pool");
    pool->n_threads = n_threads;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work_ready, NULL);
    pthread_cond_init(&pool->work_done, NULL);
    pool->workers = sono_alloc_array((size_t)n_threads, sizeof *pool->workers);
    if (!pool->workers) {
        sono_pool_close(pool);
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the thread pool");
    }
    for (int32_t i = 1; i < n_threads; i++) {
        worker *w = &pool->workers[i - 1];
        w->pool = pool;
        w->thread = i;
        const int code = pthread_create(&w->handle, NULL, worker_main, w);
        if (code != 0) {
            sono_pool_close(pool);
            return SONO_FAIL_NATIVE(error, IO, code,
                                    "cannot start thread %d of %d: %s (see ulimit -v and -u)", i, n_threads,
                                    strerror(code));
        }
        pool->n_started++;
    }
    *out = pool;
    return SONO_STATUS_OK;
}

void sono_pool_close(sono_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->stop, 1);
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->mutex);
    for (int32_t i = 0; i < pool->n_started; i++)
        pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->work_done);
    pthread_cond_destroy(&pool->work_ready);
    pthread_mutex_destroy(&pool->mutex);
    sono_free(pool->workers);
    sono_free(pool);
}

int32_t sono_pool_n_threads(const sono_pool *pool)
{
    return pool->n_threads;
}

static void wait_for_workers(sono_pool *pool)
{
    const int64_t deadline_ns = sono_clock_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 64; i++) {
            if (atomic_load(&pool->n_busy) == 0)
                return;
            cpu_relax();
        }
    } while (sono_clock_ns() < deadline_ns);
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->n_busy) != 0)
        pthread_cond_wait(&pool->work_done, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

void sono_pool_run(sono_pool *pool, sono_pool_fn fn, void *context, int64_t n_tasks)
{
    if (n_tasks <= 1 || pool->n_threads == 1) {
        for (int64_t task = 0; task < n_tasks; task++)
            fn(context, task, 0);
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->fn = fn;
    pool->context = context;
    pool->n_tasks = n_tasks;
    atomic_store(&pool->next_task, 0);
    atomic_store(&pool->n_busy, pool->n_threads - 1);
    atomic_fetch_add(&pool->generation, 1);
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->mutex);
    take_tasks(pool, 0);
    wait_for_workers(pool);
}
