// SPDX-License-Identifier: Apache-2.0
/* The figures of `sonoseg evaluate` on cases worked by hand; a naive search for the distances. */
#include "metrics.h"
#include "surface.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH    12
#define HEIGHT   10
#define N_PIXELS (WIDTH * HEIGHT)

static void fill(uint8_t *pixels, int x1, int y1, int x2, int y2, uint8_t value)
{
    for (int y = y1; y < y2; y++)
        memset(pixels + y * WIDTH + x1, value, (size_t)(x2 - x1));
}

static void expect(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-9))
        fail_msg("%.12f is not %.12f", actual, expected);
}

/* Two structures of 4 x 3 and 2 x 4 pixels; the mask covers the second and a row of two beside it. */
static void test_overlap(void **state)
{
    (void)state;
    uint8_t labels[N_PIXELS] = {0}, mask[N_PIXELS] = {0};
    const metrics_truth truth = {labels, WIDTH, HEIGHT};
    metrics_overlap overlap = metrics_mask_overlap(mask, &truth);
    assert_int_equal(overlap.label, 0);
    expect(overlap.iou, 0);
    fill(labels, 1, 1, 5, 4, 3);
    fill(labels, 7, 5, 9, 9, 200);
    overlap = metrics_mask_overlap(mask, &truth);
    assert_int_equal(overlap.label, 3);
    expect(overlap.iou, 0);
    fill(mask, 7, 5, 9, 9, 255);
    fill(mask, 9, 5, 11, 6, 255);
    overlap = metrics_mask_overlap(mask, &truth);
    assert_int_equal(overlap.label, 200);
    expect(overlap.iou, 8.0 / 10);
    expect(overlap.dice, 16.0 / 18);
}

/* A box's edges are one behind its last column and row. */
static void test_box(void **state)
{
    (void)state;
    uint8_t labels[N_PIXELS] = {0};
    const metrics_truth truth = {labels, WIDTH, HEIGHT};
    const float exact[4] = {1, 1, 5, 4}, half[4] = {3, 1, 5, 4}, apart[4] = {0, 8, 4, 9}, none[4] = {0};
    const float reversed[4] = {5, 4, 1, 1};
    expect(metrics_box_iou(exact, &truth), 0);
    fill(labels, 1, 1, 5, 4, 1);
    fill(labels, 7, 5, 9, 9, 2);
    expect(metrics_box_iou(exact, &truth), 1);
    expect(metrics_box_iou(half, &truth), 0.5);
    expect(metrics_box_iou(apart, &truth), 0);
    expect(metrics_box_iou(none, &truth), 0);
    expect(metrics_box_iou(reversed, &truth), 0);
    labels[0] = 1;
    expect(metrics_box_iou(exact, &truth), 12.0 / 20);
}

/* Two squares of 3 x 3, three columns apart: 6 pixels of each surface lie 3, 2 ... px from the other's. */
static void test_surface_by_hand(void **state)
{
    (void)state;
    uint8_t left[N_PIXELS] = {0}, right[N_PIXELS] = {0};
    samples distances = {0};
    fill(left, 1, 1, 4, 4, 255);
    fill(right, 4, 1, 7, 4, 7);
    assert_int_equal(
        surface_distances((surface_region){left, 255}, (surface_region){right, 7}, WIDTH, HEIGHT, &distances),
        0);
    assert_int_equal(distances.count, 16); /* the middle of either is no surface */
    double sum = 0;
    for (size_t i = 0; i < distances.count; i++)
        sum += distances.values[i];
    expect(sum, 2 * (3 * 3 + 2 * 2 + 3 * 1));
    expect(samples_percentile(&distances, 95), 3);
    samples_free(&distances);
}

static int is_surface(const uint8_t *pixels, int x, int y, int width_px, int height_px)
{
    static const int steps[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
    if (!pixels[y * width_px + x])
        return 0;
    for (int i = 0; i < 4; i++) {
        const int u = x + steps[i][0], v = y + steps[i][1];
        if (u < 0 || v < 0 || u >= width_px || v >= height_px || !pixels[v * width_px + u])
            return 1;
    }
    return 0;
}

static double nearest(const uint8_t *pixels, int x, int y, int width_px, int height_px)
{
    double best = INFINITY;
    for (int v = 0; v < height_px; v++)
        for (int u = 0; u < width_px; u++)
            if (is_surface(pixels, u, v, width_px, height_px))
                best = fmin(best, hypot(u - x, v - y));
    return best;
}

static double sum_nearest(const uint8_t *from, const uint8_t *to, int width_px, int height_px, size_t *n)
{
    double sum = 0;
    for (int y = 0; y < height_px; y++)
        for (int x = 0; x < width_px; x++)
            if (is_surface(from, x, y, width_px, height_px)) {
                sum += nearest(to, x, y, width_px, height_px);
                ++*n;
            }
    return sum;
}

static void expect_as_searched(int width_px, int height_px, unsigned one_in, uint32_t seed)
{
    uint8_t left[256] = {0}, right[256] = {0};
    for (int i = 0; i < width_px * height_px; i++) {
        seed = seed * 1664525u + 1013904223u;
        left[i] = (seed >> 16) % one_in == 0;
        right[i] = (seed >> 24) % one_in == 0;
    }
    left[0] = right[width_px * height_px - 1] = 1;
    samples distances = {0};
    size_t n = 0;
    assert_int_equal(surface_distances((surface_region){left, 1}, (surface_region){right, 1}, width_px,
                                       height_px, &distances),
                     0);
    double sum = 0, searched = sum_nearest(left, right, width_px, height_px, &n) +
                               sum_nearest(right, left, width_px, height_px, &n);
    for (size_t i = 0; i < distances.count; i++)
        sum += distances.values[i];
    assert_int_equal(distances.count, n);
    expect(sum / (double)n, searched / (double)n);
    samples_free(&distances);
}

static void test_surface_as_searched(void **state)
{
    (void)state;
    static const int sizes[][2] = {{16, 16}, {1, 1}, {1, 40}, {40, 1}, {31, 7}, {5, 50}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (unsigned one_in = 1; one_in <= 64; one_in *= 2)
            expect_as_searched(sizes[i][0], sizes[i][1], one_in, (uint32_t)(7 * i) + one_in);
}

/* Found or not decides about the mask, not about the box. */
static void test_frame(void **state)
{
    (void)state;
    uint8_t labels[N_PIXELS] = {0}, mask[N_PIXELS] = {0};
    const metrics_truth truth = {labels, WIDTH, HEIGHT};
    metrics_frame frame;
    fill(mask, 1, 1, 5, 4, 255);
    sono_object best = {
        .bbox_xyxy_px = {1, 1, 5, 4}, .score = 0.5f, .iou_predicted = 0.75f, .mask_area_px = 12};
    assert_int_equal(metrics_measure(&best, mask, &truth, 0.3f, &frame), 0);
    assert_true(!frame.is_positive && frame.is_found && isnan(frame.surface95_px));
    expect(frame.mask_iou, 0);
    fill(labels, 1, 1, 5, 4, 9);
    assert_int_equal(metrics_measure(&best, mask, &truth, 0.5f, &frame), 0);
    assert_true(frame.is_positive && frame.is_found);
    expect(frame.box_iou, 1);
    expect(frame.mask_iou, 1);
    expect(frame.dice, 1);
    expect(frame.surface95_px, 0);
    expect(frame.iou_predicted, 0.75);
    assert_int_equal(metrics_measure(&best, mask, &truth, 0.51f, &frame), 0);
    assert_true(frame.is_positive && !frame.is_found && isnan(frame.surface95_px));
    expect(frame.box_iou, 1);
    expect(frame.mask_iou, 0);
    memset(mask, 0, sizeof mask);
    best.mask_area_px = 0;
    assert_int_equal(metrics_measure(&best, mask, &truth, 0.3f, &frame), 0);
    assert_true(frame.is_found && isnan(frame.surface95_px));
    expect(frame.dice, 0);
}

/* By score: a hit, an alarm on an empty frame, a hit below IoU 0.75, a miss. Precisions 1, 1/2, 2/3, 1/2 at
 * recalls 1/3, 1/3, 2/3, 2/3 of 3 positive frames: 34 recalls read 1, 33 read 2/3, the others 0. From IoU
 * 0.75 on only the first is one. */
static void test_summary(void **state)
{
    (void)state;
    const metrics_frame frames[] = {
        {.is_positive = 1,
         .is_found = 1,
         .score = 0.70,
         .box_iou = 0.72,
         .mask_iou = 0.6,
         .dice = 0.75,
         .iou_predicted = 0.7,
         .surface95_px = 4},
        {.is_positive = 1, .is_found = 0, .score = 0.10, .box_iou = 0.4, .surface95_px = NAN},
        {.is_positive = 0, .is_found = 1, .score = 0.75, .surface95_px = NAN},
        {.is_positive = 1,
         .is_found = 1,
         .score = 1.00,
         .box_iou = 1.0,
         .mask_iou = 0.9,
         .dice = 0.95,
         .iou_predicted = 0.8,
         .surface95_px = 2},
    };
    metrics_summary summary;
    assert_int_equal(metrics_summarise(frames, 4, 0.3f, &summary), 0);
    assert_int_equal(summary.n_frames, 4);
    assert_int_equal(summary.n_positive, 3);
    assert_int_equal(summary.n_empty, 1);
    expect(summary.ap50, (34 + 33 * 2.0 / 3) / 101);
    expect(summary.ap50_95, (5 * (34 + 33 * 2.0 / 3) + 5 * 34) / 1010);
    expect(summary.iou_mean, 0.5);
    expect(summary.dice_mean, 1.7 / 3);
    expect(summary.surface95_px, 3);
    assert_int_equal(summary.n_surface, 2);
    expect(summary.found_share, 2.0 / 3);
    expect(summary.false_alarm_share, 1);
    expect(summary.iou_error, 0.1);
    assert_int_equal(summary.bins[7].n, 2);
    expect(summary.bins[7].score, 0.725);
    expect(summary.bins[7].iou, 0.36);
    assert_int_equal(summary.bins[9].n, 1);
    assert_int_equal(summary.bins[1].n, 1);
    expect(summary.ece, (2 * (0.725 - 0.36) + 0 + 0.3) / 4);
    assert_true(isnan(summary.bins[0].score));
}

/* Frames of the same score count in their order. */
static void test_ties(void **state)
{
    (void)state;
    const metrics_frame hit = {.is_positive = 1, .score = 0.5, .box_iou = 0.9, .surface95_px = NAN};
    const metrics_frame alarm = {.score = 0.5, .surface95_px = NAN};
    metrics_summary summary;
    assert_int_equal(metrics_summarise((const metrics_frame[]){hit, alarm}, 2, 0.3f, &summary), 0);
    expect(summary.ap50, 1);
    assert_int_equal(metrics_summarise((const metrics_frame[]){alarm, hit}, 2, 0.3f, &summary), 0);
    expect(summary.ap50, 0.5);
}

static void test_nothing_to_measure(void **state)
{
    (void)state;
    const metrics_frame empty = {.score = 0.1, .surface95_px = NAN};
    metrics_summary summary;
    assert_int_equal(metrics_summarise(&empty, 1, 0.3f, &summary), 0);
    assert_true(isnan(summary.ap50) && isnan(summary.ap50_95) && isnan(summary.iou_mean));
    assert_true(isnan(summary.found_share) && isnan(summary.surface95_px) && isnan(summary.iou_error));
    expect(summary.false_alarm_share, 0);
    expect(summary.ece, 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_box),
        cmocka_unit_test(test_surface_by_hand),
        cmocka_unit_test(test_surface_as_searched),
        cmocka_unit_test(test_frame),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_nothing_to_measure),
    };
    return sono_test_run("tools/metrics", tests, sizeof tests / sizeof tests[0]);
}
