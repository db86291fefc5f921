// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=15
/* After open nothing is allocated; when memory runs out during open, at whatever request, open says so and
 * leaks nothing. SONO_TEST_DEVICE names the device (default cpu); on another one the driver's own requests
 * do not count. The short form fails every SHORT_STEP-th request of an open, on another device every STEP-th.
 */
#include "base/alloc.h"
#include "support/pipeline_fixture.h"
#include "test.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_LIBC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS_LIBC 0
#endif
#endif
#ifndef COUNTS_LIBC
#define COUNTS_LIBC 1
#endif
#define STEP       16
#define SHORT_STEP 5

static int is_on_cpu(const sono_pipeline_config *config)
{
    return strcmp(config->device, "cpu") == 0;
}

/* Every request of the whole process, our libraries' included, goes through these. */
static atomic_long n_requests;

#if COUNTS_LIBC
extern void *__libc_malloc(size_t n_bytes);
extern void *__libc_calloc(size_t count, size_t n_bytes);
extern void *__libc_realloc(void *memory, size_t n_bytes);
extern void *__libc_memalign(size_t align, size_t n_bytes);

void *malloc(size_t n_bytes)
{
    atomic_fetch_add(&n_requests, 1);
    return __libc_malloc(n_bytes);
}

void *calloc(size_t count, size_t n_bytes)
{
    atomic_fetch_add(&n_requests, 1);
    return __libc_calloc(count, n_bytes);
}

void *realloc(void *memory, size_t n_bytes)
{
    atomic_fetch_add(&n_requests, 1);
    return __libc_realloc(memory, n_bytes);
}

void *aligned_alloc(size_t align, size_t n_bytes)
{
    atomic_fetch_add(&n_requests, 1);
    return __libc_memalign(align, n_bytes);
}

int posix_memalign(void **out, size_t align, size_t n_bytes)
{
    atomic_fetch_add(&n_requests, 1);
    *out = __libc_memalign(align, n_bytes);
    return *out ? 0 : 12;
}

void *mmap(void *address, size_t n_bytes, int protection, int flags, int file, off_t offset)
{
    atomic_fetch_add(&n_requests, 1);
    return (void *)syscall(SYS_mmap, address, n_bytes, protection, flags, file, offset);
}
#endif

static void test_nothing_allocated_after_open(void **state)
{
    (void)state;
    if (!COUNTS_LIBC)
        sono_test_skip("a sanitizer owns the allocator");
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    config.max_objects = 2;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const uint64_t ours_before = sono_alloc_count();
    const long before = atomic_load(&n_requests);
    for (int i = 0; i < 5; i++) {
        const sono_packet *packet = NULL;
        sono_status submitted = sono_pipeline_submit(pipeline, &frame.image, &frame.info, NULL);
        sono_status received = sono_pipeline_receive(pipeline, &packet, NULL);
        sono_status released = sono_packet_release(pipeline, packet);
        if (submitted || received || released)
            fail_msg("frame %d: %d %d %d", i, submitted, received, released);
    }
    const long after = atomic_load(&n_requests);
    assert_int_equal(sono_alloc_count() - ours_before, 0);
    if (is_on_cpu(&config))
        assert_int_equal(after - before, 0);
    sono_pipeline_close(pipeline);
}

/* The requests of one open, failed in turn. */
static void test_out_of_memory_at_open(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.max_width_px = config.max_height_px = 64;
    const uint64_t before = sono_alloc_count();
    sono_pipeline_close(pipeline_fixture_open(&config));
    const uint64_t n_open = sono_alloc_count() - before;
    assert_true(n_open > 100);
    const uint64_t step = !is_on_cpu(&config) ? STEP : sono_test_is_long() ? 1 : SHORT_STEP;
    for (uint64_t n = 1; n <= n_open; n += step) {
        sono_pipeline *pipeline = NULL;
        sono_error error = {0};
        sono_alloc_fail_from(n);
        const sono_status status = sono_pipeline_open(&config, &pipeline, &error);
        sono_alloc_fail_from(0);
        if (status != SONO_STATUS_OUT_OF_MEMORY || pipeline)
            fail_msg("request %llu of %llu failed: open said %s (%s)", (unsigned long long)n,
                     (unsigned long long)n_open, sono_status_name(status), error.text);
        assert_non_null(strstr(error.text, "memory"));
    }
    sono_pipeline_close(pipeline_fixture_open(&config));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_allocated_after_open),
                                       cmocka_unit_test(test_out_of_memory_at_open)};
    return sono_test_run("pipeline/memory", tests, sizeof tests / sizeof tests[0]);
}
