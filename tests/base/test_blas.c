// SPDX-License-Identifier: Apache-2.0
/* OpenBLAS's buffers: had when reserved, refused in words when there is no memory, none taken later. */
#include "test.h"

#include "engine/cpu/blas.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_THREADS 3
#define SIDE      200 /* a product that takes a buffer */
#define ROOM_MB   100 /* more than threads need, less than a buffer */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWNS_ADDRESSES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWNS_ADDRESSES 1
#endif
#endif
#ifndef OWNS_ADDRESSES
#define OWNS_ADDRESSES 0
#endif

static pthread_barrier_t together;

static void *multiply(void *unused)
{
    static float a[SIDE * SIDE];
    float *c = calloc(SIDE * SIDE, sizeof *c);
    pthread_barrier_wait(&together);
    for (int i = 0; c && i < 20; i++)
        sono_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1.0f, a, SIDE, a, SIDE, 0.0f,
                   c, SIDE);
    free(c);
    return unused;
}

static void multiply_on_threads(void)
{
    pthread_t threads[N_THREADS];
    pthread_barrier_init(&together, NULL, N_THREADS);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, multiply, NULL), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&together);
}

/* No more address space than there is now, and ROOM_MB. */
static void limit_address_space(void)
{
    unsigned long n_pages = 0;
    FILE *stream = fopen("/proc/self/statm", "re");
    assert_non_null(stream);
    assert_int_equal(fscanf(stream, "%lu", &n_pages), 1);
    fclose(stream);
    const rlim_t n_bytes = (rlim_t)n_pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)ROOM_MB * 1000000;
    const struct rlimit limit = {n_bytes, n_bytes};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

/* In a process of its own; one that hangs is killed. Returns its exit status, -1 = it hung or crashed. */
static int run_apart(int (*body)(void))
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        alarm(30);
        _exit(body());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int32_t load(void)
{
    sono_error error = {0};
    int32_t most = 0;
    assert_ok(sono_blas_load(&most, &error), &error);
    return most;
}

static int refuse_without_memory(void)
{
    sono_error error = {0};
    int32_t most = 0;
    if (sono_blas_load(&most, &error))
        return 1;
    limit_address_space();
    if (sono_blas_reserve(N_THREADS, &error) != SONO_STATUS_OUT_OF_MEMORY)
        return 2;
    return strstr(error.text, "ulimit -v") && strstr(error.text, "3 threads") ? 0 : 3;
}

static int multiply_without_memory(void)
{
    sono_error error = {0};
    int32_t most = 0;
    if (sono_blas_load(&most, &error) || sono_blas_reserve(N_THREADS - 1, &error) ||
        sono_blas_reserve(1, &error))
        return 1;
    limit_address_space();
    multiply_on_threads();
    sono_blas_release(N_THREADS);
    if (sono_blas_reserve(N_THREADS, &error))
        return 2;
    return sono_blas_reserve(1, &error) == SONO_STATUS_OUT_OF_MEMORY ? 0 : 3;
}

static int load_without_memory(void)
{
    sono_error error = {0};
    int32_t most = 0;
    const struct rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_AS, &limit);
    if (sono_blas_load(&most, &error) != SONO_STATUS_OUT_OF_MEMORY)
        return 1;
    return strstr(error.text, "OpenBLAS") ? 0 : 2;
}

static void test_without_memory(void **state)
{
    (void)state;
    if (OWNS_ADDRESSES)
        sono_test_skip("a sanitizer owns the address space");
    assert_int_equal(run_apart(load_without_memory), 0);
    assert_int_equal(run_apart(refuse_without_memory), 0);
    assert_int_equal(run_apart(multiply_without_memory), 0);
}

static void test_too_many_threads(void **state)
{
    (void)state;
    sono_error error = {0};
    const int32_t most = load();
    assert_true(most >= 32);
    assert_ok(sono_blas_reserve(2, &error), &error);
    assert_int_equal(load(), most - 2);
    assert_status(SONO_STATUS_LIMIT, sono_blas_reserve(most - 1, &error), &error);
    assert_non_null(strstr(error.text, "buffers"));
    sono_blas_release(2);
    assert_int_equal(load(), most);
}

/* Loading starts no thread and leaves the caller's processors alone. */
static int load_alone(void)
{
    int32_t most = 0;
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof before, &before);
    if (sono_blas_load(&most, NULL))
        return 1;
    sched_getaffinity(0, sizeof after, &after);
    char line[256];
    int n_threads = 0;
    FILE *stream = fopen("/proc/self/status", "re");
    while (stream && fgets(line, sizeof line, stream))
        sscanf(line, "Threads: %d", &n_threads);
    return n_threads == 1 && CPU_EQUAL(&before, &after) ? 0 : 2;
}

static void test_no_threads(void **state)
{
    (void)state;
    if (OWNS_ADDRESSES)
        sono_test_skip("a sanitizer has threads of its own");
    assert_int_equal(run_apart(load_alone), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_threads),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_too_many_threads),
    };
    return sono_test_run("base/blas", tests, sizeof tests / sizeof tests[0]);
}
