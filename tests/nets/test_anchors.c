// SPDX-License-Identifier: Apache-2.0
/* Which input size a detector's anchors were made for. */
#include "base/alloc.h"
#include "nets/dfine/anchors.h"
#include "checkpoint/number.h"
#include "support/anchors.h"
#include "test.h"

#include <math.h>
#include <string.h>

static const anchors_size sizes[] = {
    {640, 640}, {800, 512}, {512, 800}, {1280, 320}, {320, 1280}, {640, 480}, {1024, 1024}, {12800, 32},
};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

/* Of dfine-n, and of s, m, l and x. */
static const sono_anchor_grid grids[] = {
    {.finest_stride_px = 16, .n_levels = 2},
    {.finest_stride_px = 8, .n_levels = 3},
};

static sono_anchor_grid grid_of(int family, const anchors_size *size)
{
    sono_anchor_grid grid = grids[family];
    grid.width_px = size->width_px;
    grid.height_px = size->height_px;
    return grid;
}

static float *anchors_of(const sono_anchor_grid *grid)
{
    const anchors_size size = {grid->width_px, grid->height_px};
    float *anchors = sono_alloc_array(4 * (size_t)sono_anchors_count(grid), sizeof *anchors);
    assert_non_null(anchors);
    anchors_fill(&size, grid->finest_stride_px, grid->n_levels, anchors);
    return anchors;
}

static float as_float16(float value)
{
    const uint16_t half = sono_half_from_float(value);
    float out = 0;
    sono_number_to_f32(SONO_DTYPE_F16, (const uint8_t *)&half, 1, 1, &out);
    return out;
}

static float as_bfloat16(float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Each size's anchors are taken for that size and for no other that has as many. */
static void check_pairs(float (*rounded)(float))
{
    for (int family = 0; family < 2; family++)
        for (int i = 0; i < N_SIZES; i++) {
            const sono_anchor_grid own = grid_of(family, &sizes[i]);
            const int64_t n = sono_anchors_count(&own);
            float *anchors = anchors_of(&own);
            for (int64_t k = 0; rounded && k < 4 * n; k++)
                anchors[k] = isfinite(anchors[k]) ? rounded(anchors[k]) : anchors[k];
            for (int j = 0; j < N_SIZES; j++) {
                const sono_anchor_grid other = grid_of(family, &sizes[j]);
                if (sono_anchors_count(&other) == n)
                    assert_int_equal(sono_anchors_fit(anchors, &other), i == j);
            }
            sono_anchor_grid found = grids[family];
            assert_true(sono_anchors_find_size(anchors, n, &found));
            assert_int_equal(found.width_px, sizes[i].width_px);
            assert_int_equal(found.height_px, sizes[i].height_px);
            sono_free(anchors);
        }
}

static void sizes_are_told_apart(void **state)
{
    (void)state;
    check_pairs(NULL);
    check_pairs(as_float16);
    check_pairs(as_bfloat16);
}

/* NaN for infinity, as float16 tools write it; one wrong value; none that says anything; an odd number. */
static void values_that_say_nothing(void **state)
{
    (void)state;
    const sono_anchor_grid own = grid_of(1, &sizes[0]);
    const int64_t n = sono_anchors_count(&own);
    sono_anchor_grid found = grids[1];
    float *anchors = anchors_of(&own);
    assert_int_equal(n, 8400);
    for (int64_t i = 0; i < 4 * n; i++)
        if (!isfinite(anchors[i]))
            anchors[i] = NAN;
    assert_true(sono_anchors_fit(anchors, &own));
    anchors[4 * 4040] += 0.05f;
    assert_false(sono_anchors_fit(anchors, &own));
    assert_false(sono_anchors_find_size(anchors, n, &found));
    for (int64_t i = 0; i < 4 * n; i++)
        anchors[i] = NAN;
    assert_true(sono_anchors_fit(anchors, &own));
    assert_false(sono_anchors_find_size(anchors, n, &found));
    assert_false(sono_anchors_find_size(anchors, 8399, &found));
    assert_int_equal(found.width_px, 0);
    sono_free(anchors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_told_apart),
        cmocka_unit_test(values_that_say_nothing),
    };
    return sono_test_run("model/anchors", tests, sizeof tests / sizeof tests[0]);
}
