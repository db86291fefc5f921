// SPDX-License-Identifier: Apache-2.0
/* The suite's parts that need no networks: names, shares, flanks against marks, figures of real frames. */
#include "flanks.h"
#include "phantom_input.h"
#include "real_frames.h"
#include "suite_report.h"
#include "suite_sets.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define W 60
#define H 50

static void test_names(void **state)
{
    (void)state;
    uint32_t sets = 0;
    assert_int_equal(suite_names_take("all", &sets), 0);
    assert_int_equal(sets, SUITE_ALL);
    assert_int_equal(suite_names_take("screen,real-bone", &sets), 0);
    assert_int_equal(sets, 1u << SUITE_SCREEN | 1u << SUITE_REAL_BONE);
    assert_int_equal(suite_names_take("linea", &sets), -1);
    assert_int_equal(suite_names_take("linear,,screen", &sets), -1);
    char names[256] = "";
    for (int set = 0; set < SUITE_SET_COUNT; set++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", set ? ", " : "",
                 suite_set_name((suite_set)set));
    assert_string_equal(names, SUITE_NAMES);
}

static void test_shares(void **state)
{
    (void)state;
    assert_int_equal(suite_set_share(SUITE_LINEAR, 0, 500), 500);
    assert_int_equal(suite_set_share(SUITE_HARD_NEGATIVES, 0, 7), 4);
    assert_int_equal(suite_set_share(SUITE_HARD_NEGATIVES, 1, 7), 3);
    assert_int_equal(suite_set_share(SUITE_HARD_NEGATIVES, 1, 1), 0);
    for (int set = 0; set < SUITE_SET_COUNT; set++)
        for (int part = 0; suite_set_part((suite_set)set, part); part++) {
            sono_phantom_options options;
            assert_int_equal(phantom_input_parse(suite_set_part((suite_set)set, part), &options), 0);
            assert_int_equal(options.n_sweep_frames, 1);
        }
}

/* A band of 3 x 3 dots along a line. */
static void draw(uint8_t *mask, double x1, double y1, double x2, double y2)
{
    for (int i = 0; i <= 200; i++) {
        const int x = (int)lround(x1 + (x2 - x1) * i / 200), y = (int)lround(y1 + (y2 - y1) * i / 200);
        for (int dy = -1; dy <= 1; dy++)
            for (int dx = -1; dx <= 1; dx++)
                if (x + dx >= 0 && x + dx < W && y + dy >= 0 && y + dy < H)
                    mask[(y + dy) * W + x + dx] = 255;
    }
}

static void expect_near(double actual, double wanted, double tolerance)
{
    if (!(fabs(actual - wanted) <= tolerance))
        fail_msg("%f is not %f", actual, wanted);
}

static void test_flanks(void **state)
{
    (void)state;
    static uint8_t mask[W * H];
    double off[FLANK_COUNT];
    /* The left flank is vertical, the right one is cut off by the edge. */
    const flank_marks marks = {"a", {20, 5}, {{10, 40, 10, 40}, {59, 25, 59, 25}}};
    memset(mask, 0, sizeof mask);
    draw(mask, 20, 5, 10, 10);
    draw(mask, 10, 10, 10, 30);
    draw(mask, 20, 5, 59, 25);
    flanks_measure(mask, W, H, &marks, off);
    expect_near(off[FLANK_LEFT], -10, 1.5); /* short */
    expect_near(off[FLANK_RIGHT], 0, 1.5);  /* an end that the edge cuts obliquely counts as its middle */
    draw(mask, 10, 30, 10, 46);
    flanks_measure(mask, W, H, &marks, off);
    expect_near(off[FLANK_LEFT], 6, 1.5); /* beyond */
    /* Anywhere between the end of the band and its last trace is right. */
    const flank_marks faint = {"a", {20, 5}, {{10, 30, 10, 48}, {59, 40, 59, 40}}};
    flanks_measure(mask, W, H, &faint, off);
    expect_near(off[FLANK_LEFT], 0, 0.5);
    expect_near(off[FLANK_RIGHT], 15, 1.5);
    /* Nothing on a side: it ends at the crest. */
    memset(mask, 0, sizeof mask);
    flanks_measure(mask, W, H, &marks, off);
    expect_near(off[FLANK_LEFT], -hypot(10, 35), 1e-9);
    expect_near(off[FLANK_RIGHT], -hypot(39, 20), 1e-9);
}

/* The marks of docs/real-frames.json, as they were built in: on both sides of their crests, below them. */
static void test_marks(void **state)
{
    (void)state;
    assert_int_equal(real_mark_count, 24);
    for (size_t i = 0; i < real_mark_count; i++) {
        const flank_marks *marks = &real_marks[i];
        for (int side = 0; side < FLANK_COUNT; side++)
            for (int k = 0; k < 4; k += 2) {
                const float x = marks->end_px[side][k], y = marks->end_px[side][k + 1];
                assert_true(side == FLANK_LEFT ? x < marks->crest_px[0] : x > marks->crest_px[0]);
                assert_true(y > marks->crest_px[1] && x < 422 && y < 558);
            }
    }
    int n_frames = 0;
    for (size_t i = 0; i < real_sequence_count; i++)
        n_frames += real_sequences[i].n_frames;
    assert_int_equal(n_frames, 131);
}

static void test_real(void **state)
{
    (void)state;
    suite_frame frames[8] = {
        {.name = "c", .score = 0.3, .has_marks = 1, .flank_px = {-11, 2}},
        {.name = "a", .is_visible = 1, .score = 0.9, .has_marks = 1, .flank_px = {4, -6}},
        {.name = "b", .score = 0.5},
        {.name = "d", .score = 0.1, .has_marks = 1, .flank_px = {10, 8}},
    };
    suite_real real;
    assert_int_equal(suite_real_summarise(frames, 4, 0, &real), 0);
    assert_int_equal(real.n_frames, 4);
    assert_int_equal(real.n_visible, 1);
    expect_near(real.score_low, 0.1, 0);
    expect_near(real.score_median, 0.4, 1e-12);
    expect_near(real.score_high, 0.9, 0);
    assert_int_equal(real.n_flanks, 6);
    expect_near(real.flank_median_px, 7, 1e-12);
    expect_near(real.flank_worst_px, 11, 1e-12);
    assert_int_equal(real.n_far, 1);
    assert_int_equal(real.n_worst, 4);
    assert_string_equal(real.worst[0].name, "a");
    assert_int_equal(suite_real_summarise(frames, 4, 1, &real), 0);
    assert_string_equal(real.worst[0].name, "d");
    assert_int_equal(suite_real_summarise(&frames[2], 1, 1, &real), 0);
    assert_int_equal(real.n_worst, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_shares), cmocka_unit_test(test_flanks),
        cmocka_unit_test(test_marks), cmocka_unit_test(test_real),
    };
    return sono_test_run("tools/suite", tests, sizeof tests / sizeof tests[0]);
}
