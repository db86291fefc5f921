// SPDX-License-Identifier: Apache-2.0
/* The lists of times that `bench` keeps: percentiles, and that what was reserved takes no memory later. */
#include "stats.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define N_RESERVED 4000000 /* 32 MB */

static void expect(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-9))
        fail_msg("%.12f is not %.12f", actual, expected);
}

static void test_percentiles(void **state)
{
    (void)state;
    samples list = {0};
    expect(samples_percentile(&list, 50), 0);
    for (int i = 0; i < 1001; i++)
        assert_int_equal(samples_add(&list, (i * 10) % 1001), 0);
    expect(samples_percentile(&list, 0), 0);
    expect(samples_percentile(&list, 50), 500);
    expect(samples_percentile(&list, 99.95), 999.5);
    expect(samples_percentile(&list, 100), 1000);
    samples_free(&list);
    assert_null(list.values);
}

static void test_reserve_keeps(void **state)
{
    (void)state;
    samples list = {0};
    assert_int_equal(samples_add(&list, 3), 0);
    assert_int_equal(samples_reserve(&list, 1000), 0);
    assert_int_equal(list.capacity, 1000);
    assert_int_equal(samples_reserve(&list, 10), 0);
    assert_int_equal(list.capacity, 1000);
    assert_int_equal(list.count, 1);
    expect(samples_percentile(&list, 50), 3);
    samples_free(&list);
}

/* Bytes of the process in memory. */
static double resident_bytes(void)
{
    long n_pages = 0, n_resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        sono_test_skip("no /proc");
    const int n = fscanf(file, "%ld %ld", &n_pages, &n_resident);
    fclose(file);
    assert_int_equal(n, 2);
    return (double)n_resident * (double)sysconf(_SC_PAGESIZE);
}

static void test_reserved_pages_are_there(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    sono_test_skip("the thread sanitizer takes memory of its own");
#endif
    samples list = {0};
    const double before = resident_bytes();
    assert_int_equal(samples_reserve(&list, N_RESERVED), 0);
    const double reserved = resident_bytes(), n_bytes = N_RESERVED * sizeof(double);
    assert_true(reserved - before > 0.99 * n_bytes);
    for (int i = 0; i < N_RESERVED; i++)
        assert_int_equal(samples_add(&list, i), 0);
    assert_true(resident_bytes() - reserved < 0.01 * n_bytes);
    assert_int_equal(list.capacity, N_RESERVED);
    samples_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_reserve_keeps),
        cmocka_unit_test(test_reserved_pages_are_there),
    };
    return sono_test_run("tools/stats", tests, sizeof tests / sizeof tests[0]);
}
