// SPDX-License-Identifier: Apache-2.0
/* Gaps and overlap within frames, on traces whose answer can be read off. */
#include "gaps.h"
#include "test.h"

#include <math.h>

#define KERNEL(from, to)                                                                                     \
    {                                                                                                        \
        .kind = SONO_TRACE_KERNEL, .start_ns = (from), .end_ns = (to)                                        \
    }
#define UPLOAD(from, to)                                                                                     \
    {                                                                                                        \
        .kind = SONO_TRACE_H2D, .start_ns = (from), .end_ns = (to)                                           \
    }
#define DOWNLOAD(from, to)                                                                                   \
    {                                                                                                        \
        .kind = SONO_TRACE_D2H, .start_ns = (from), .end_ns = (to)                                           \
    }
#define N(records) ((int64_t)(sizeof(records) / sizeof *(records)))

static void expect(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-9))
        fail_msg("%.12f is not %.12f", actual, expected);
}

static void test_serial(void **state)
{
    (void)state;
    const sono_trace_record records[] = {UPLOAD(1000, 2000), KERNEL(2400, 4000), KERNEL(5000, 6000),
                                         KERNEL(6000, 7000), DOWNLOAD(19000, 20000)};
    gaps found;
    gaps_of(records, N(records), &found);
    assert_int_equal(found.n_frames, 1);
    assert_int_equal(found.n[0], 1); /* 0.4 us */
    assert_int_equal(found.n[1], 1); /* 1 us: the end of a bin belongs to it */
    assert_int_equal(found.n[GAPS_BINS - 1], 1);
    expect(found.sum_us[GAPS_BINS - 1], 12);
    expect(found.busy_us, 1 + 1.6 + 1 + 1 + 1);
    expect(found.overlap_us, 0);
}

/* Three at once count once; a short one within a long one ends nothing. */
static void test_overlap(void **state)
{
    (void)state;
    const sono_trace_record records[] = {UPLOAD(0, 1000),    KERNEL(1000, 9000),  KERNEL(2000, 4000),
                                         KERNEL(3000, 5000), KERNEL(8000, 10000), DOWNLOAD(10700, 11000)};
    gaps found;
    gaps_of(records, N(records), &found);
    expect(found.overlap_us, 3 + 1);
    assert_int_equal(found.n[1], 1);
    expect(found.sum_us[1], 0.7);
    expect(found.busy_us, 11 - 0.7);
}

/* Between a download and the next upload nobody waits; host calls are no work; work outside of a frame is
 * left out. */
static void test_between_frames(void **state)
{
    (void)state;
    const sono_trace_record records[] = {
        KERNEL(0, 100),       UPLOAD(1000, 2000),
        KERNEL(2000, 3000),   {.kind = SONO_TRACE_WAIT, .start_ns = 2500, .end_ns = 90000},
        DOWNLOAD(3000, 4000), KERNEL(5000, 6000),
        UPLOAD(50000, 51000), DOWNLOAD(51000, 52000)};
    gaps found;
    gaps_of(records, N(records), &found);
    assert_int_equal(found.n_frames, 2);
    for (int i = 0; i < GAPS_BINS; i++)
        assert_int_equal(found.n[i], 0);
    expect(found.busy_us, 3 + 2);
    gaps_of(records, 0, &found);
    assert_int_equal(found.n_frames, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serial),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_between_frames),
    };
    return sono_test_run("tools/gaps", tests, sizeof tests / sizeof tests[0]);
}
