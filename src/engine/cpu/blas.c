// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/blas.h"

#include "base/alloc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define LIBRARY "libopenblas.so.0"
#define OWN_LIBRARY                                                                                          \
    "libsonoseg-openblas.so.0"         /* one that a package brings along, beside what we are linked into */
#define IMAGE_BYTES ((size_t)64 << 20) /* more than the library and those that it needs take when loaded */
#if defined(__x86_64__)
#define BUFFER_BYTES ((size_t)128 << 20) /* BUFFER_SIZE, common_x86_64.h:254 @ b89fb708 */
#else
#define BUFFER_BYTES ((size_t)256 << 20) /* the most of any processor */
#endif
#define LEAST_BUFFERS 50 /* NUM_BUFFERS, common.h:191 @ b89fb708: this, or two for each of its threads */

typedef struct blas {
    pthread_mutex_t mutex;
    void *library;
    void *(*take)(int purpose);
    void (*give)(void *buffer);
    int32_t n_buffers;  /* that it can have */
    int32_t n_reserved; /* of these have memory, at least */
    int32_t n_threads;  /* that may call it now */
} blas;

static blas shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

sono_sgemm_fn sono_sgemm;

/* Whether count blocks can be had at once, asked for as OpenBLAS does; gives them back. */
static int has_room(int32_t count, size_t block_bytes)
{
    void **last = NULL; /* each block holds the address of the one before */
    int32_t n = 0;
    for (; n < count; n++) {
        void **block = mmap(NULL, block_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED)
            break;
        *block = last;
        last = block;
    }
    while (last) {
        void **before = *last;
        munmap(last, block_bytes);
        last = before;
    }
    return n == count;
}

/* OpenBLAS starts a thread for each further processor that the loading thread may use: it sees one. */
static void *load_without_threads(const char *name)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    int is_narrowed = !sched_getaffinity(0, sizeof all, &all);
    for (int i = 0; is_narrowed && i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    is_narrowed = is_narrowed && !sched_setaffinity(0, sizeof one, &one);
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (is_narrowed)
        sched_setaffinity(0, sizeof all, &all);
    return library;
}

static sono_status open_library(void **out, sono_error *error)
{
    const int has_memory = has_room(1, IMAGE_BYTES);
    *out = has_memory ? load_without_threads(OWN_LIBRARY) : NULL;
    if (!*out)
        *out = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (*out)
        return SONO_STATUS_OK;
    if (!has_memory)
        return SONO_FAIL(error, OUT_OF_MEMORY,
                         "out of memory: loading OpenBLAS takes %zu MB of address space (see ulimit -v)",
                         IMAGE_BYTES / 1000000);
    *out = load_without_threads(LIBRARY);
    if (!*out)
        return SONO_FAIL(error, UNSUPPORTED, "the CPU needs OpenBLAS (Debian: libopenblas0): %s", dlerror());
    return SONO_STATUS_OK;
}

static sono_status find(void *library, const char *name, void *function, sono_error *error)
{
    void *symbol = dlsym(library, name);
    if (!symbol)
        return SONO_FAIL(error, UNSUPPORTED, LIBRARY " has no %s: it is not OpenBLAS, or not as published",
                         name);
    memcpy(function, &symbol, sizeof symbol);
    return SONO_STATUS_OK;
}

static int32_t count_buffers(const char *config)
{
    int n_threads = 1;
    const char *threads = strstr(config, "MAX_THREADS=");
    if (threads)
        sscanf(threads, "MAX_THREADS=%d", &n_threads);
    return 2 * n_threads > LEAST_BUFFERS ? 2 * n_threads : LEAST_BUFFERS;
}

static sono_status load(sono_error *error)
{
    void *library = NULL;
    sono_sgemm_fn sgemm;
    void *(*take)(int);
    void (*give)(void *);
    char *(*get_config)(void);
    int (*get_num_threads)(void);
    void (*set_num_threads)(int);
    SONO_TRY(open_library(&library, error));
    SONO_TRY(find(library, "cblas_sgemm", &sgemm, error));
    SONO_TRY(find(library, "openblas_get_config", &get_config, error));
    SONO_TRY(find(library, "openblas_get_num_threads", &get_num_threads, error));
    SONO_TRY(find(library, "openblas_set_num_threads", &set_num_threads, error));
    SONO_TRY(find(library, "blas_memory_alloc", &take, error));
    SONO_TRY(find(library, "blas_memory_free", &give, error));
    shared.take = take;
    shared.give = give;
    shared.n_buffers = count_buffers(get_config()) - (get_num_threads() - 1);
    set_num_threads(1);
    sono_sgemm = sgemm;
    shared.library = library;
    return SONO_STATUS_OK;
}

sono_status sono_blas_load(int32_t *n_threads_max, sono_error *error)
{
    pthread_mutex_lock(&shared.mutex);
    const sono_status status = shared.library ? SONO_STATUS_OK : load(error);
    if (status == SONO_STATUS_OK)
        *n_threads_max = shared.n_buffers - shared.n_threads;
    pthread_mutex_unlock(&shared.mutex);
    return status;
}

/* A call takes the first buffer that is free, and gets its memory with the first call that does: holding
 * `wanted` at once gives memory to as many. Those who call meanwhile may take up to n_threads of them. */
static sono_status take_buffers(int32_t wanted, sono_error *error)
{
    const int32_t n_missing = wanted - shared.n_reserved + shared.n_threads;
    if (!has_room(n_missing, BUFFER_BYTES))
        return SONO_FAIL(error, OUT_OF_MEMORY,
                         "out of memory: the products of %d threads take %zu MB of address space: raise the "
                         "limit (ulimit -v) or give fewer threads",
                         wanted, (size_t)n_missing * BUFFER_BYTES / 1000000);
    void **held = sono_alloc_array((size_t)wanted, sizeof *held);
    if (!held)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for OpenBLAS");
    for (int32_t i = 0; i < wanted; i++)
        held[i] = shared.take(0);
    for (int32_t i = 0; i < wanted; i++)
        shared.give(held[i]);
    sono_free(held);
    shared.n_reserved = wanted;
    return SONO_STATUS_OK;
}

sono_status sono_blas_reserve(int32_t n_threads, sono_error *error)
{
    sono_status status = SONO_STATUS_OK;
    pthread_mutex_lock(&shared.mutex);
    const int32_t wanted = shared.n_threads + n_threads;
    if (wanted > shared.n_buffers)
        status = SONO_FAIL(
            error, LIMIT,
            "%d threads are too many: this OpenBLAS has buffers for %d at once, and other pipelines hold %d",
            n_threads, shared.n_buffers, shared.n_threads);
    else if (wanted > shared.n_reserved)
        status = take_buffers(wanted, error);
    if (status == SONO_STATUS_OK)
        shared.n_threads = wanted;
    pthread_mutex_unlock(&shared.mutex);
    return status;
}

void sono_blas_release(int32_t n_threads)
{
    pthread_mutex_lock(&shared.mutex);
    shared.n_threads -= n_threads;
    pthread_mutex_unlock(&shared.mutex);
}
