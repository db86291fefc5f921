// SPDX-License-Identifier: Apache-2.0
/* Floors, losses and their order, on ops whose answer can be read off. */
#include "roofline.h"
#include "test.h"

#include <math.h>

static sono_op_profile ops[] = {
    {.name = "a", .kind = "conv", .is_half = 1, .flops = 4e6, .bytes = 1e3, .ns = 5000},
    {.name = "b", .kind = "linear", .lane = 1, .flops = 2e6, .bytes = 1e3, .ns = 9000},
    {.name = "c", .kind = "add", .flops = 1, .bytes = 2e6, .ns = 2500},
    {.name = "d", .kind = "add", .flops = 1, .bytes = 20e6, .ns = 9000},
};

static void expect(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-6))
        fail_msg("%.12f is not %.12f", actual, expected);
}

static void test_floors(void **state)
{
    (void)state;
    const sono_profile profile = {.ops = ops,
                                  .n_ops = 4,
                                  .cache_bytes_per_s = 4e12,
                                  .memory_bytes_per_s = 2.5e12,
                                  .half_flops_per_s = 4e12,
                                  .float_flops_per_s = 1e12};
    roofline found;
    assert_int_equal(roofline_make(&found, &profile, 16e6), 0);
    expect(found.sum_us, 25.5);
    expect(found.lane_us[0], 16.5);
    expect(found.lane_us[1], 9);
    expect(found.floor_sum_us, 1 + 2 + 0.5 + 8);
    const char *const order[] = {"b", "a", "c", "d"};
    const double losses[] = {7, 4, 2, 1};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(found.rows[i].op->name, order[i]);
        expect(found.rows[i].loss_us, losses[i]);
        assert_int_equal(found.rows[i].is_compute_bound, i < 2);
    }
    roofline_free(&found);
    assert_null(found.rows);
}

/* The CPU: no ceilings, so the slowest first. */
static void test_no_ceilings(void **state)
{
    (void)state;
    const sono_profile profile = {.ops = ops, .n_ops = 4};
    roofline found;
    assert_int_equal(roofline_make(&found, &profile, 16e6), 0);
    assert_int_equal(found.rows[0].index, 1);
    assert_int_equal(found.rows[1].index, 3);
    expect(found.floor_sum_us, 0);
    roofline_free(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floors),
        cmocka_unit_test(test_no_ceilings),
    };
    return sono_test_run("tools/roofline", tests, sizeof tests / sizeof tests[0]);
}
