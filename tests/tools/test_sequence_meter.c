// SPDX-License-Identifier: Apache-2.0
/* What is measured of one result, on columns and boxes that are worked by hand. */
#include "sequence_meter.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define WIDTH 20

/* A result with a surface at row 10 in all columns, and a truth with two structures side by side, the first
 * at row 10 in columns 0 to 9, the second at row 12 in columns 12 to 19. Rows are 0.5 mm apart. */
typedef struct scene {
    sono_frame_info info;
    sono_parts parts;
    float box[4];
    float found_px[WIDTH], first_px[WIDTH], second_px[WIDTH];
    sono_truth truth;
    sequence_result result;
} scene;

static void set_up(scene *self)
{
    static const float boxes[2][4] = {{0, 8, 9, 12}, {12, 10, 19, 14}};
    *self = (scene){.box = {12, 9, 19, 13}};
    sono_frame_info_init(&self->info);
    sono_parts_init(&self->parts);
    self->info.timestamp_ns = 77;
    self->info.spacing_mm[0] = 0.25;
    self->info.spacing_mm[1] = 0.5;
    for (int x = 0; x < WIDTH; x++) {
        self->found_px[x] = 10;
        self->first_px[x] = x < 10 ? 10 : -1;
        self->second_px[x] = x < 12 ? -1 : 12;
    }
    self->truth = (sono_truth){.is_visible = 1,
                               .n_structures = 2,
                               .surface_px = {self->first_px, self->second_px},
                               .event = SONO_PHANTOM_SHADOW,
                               .stale_s = 0.12};
    for (int k = 0; k < 2; k++)
        memcpy(self->truth.structures[k].bbox_xyxy_px, boxes[k], sizeof boxes[k]);
    self->result = (sequence_result){.info = &self->info,
                                     .parts = &self->parts,
                                     .width_px = WIDTH,
                                     .quality = 0.7,
                                     .score = 0.9,
                                     .mask_area_px = 30,
                                     .bbox_xyxy_px = self->box,
                                     .surface_px = self->found_px};
}

static void expect(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-9) && !(isnan(actual) && isnan(expected)))
        fail_msg("%.12f is not %.12f", actual, expected);
}

static int sum_bins(const sequence_frame *frame)
{
    int sum = 0;
    for (int k = 0; k < SEQUENCE_SURFACE_BINS; k++)
        sum += frame->surface_bins[k];
    return sum;
}

/* The box is on the second structure: 8 columns, each 2 rows or 1 mm off. */
static void test_surface(void **state)
{
    (void)state;
    scene s;
    sequence_meter meter = {0};
    sequence_frame frame;
    set_up(&s);
    s.found_px[12] = -1;
    s.found_px[13] = 12.03f; /* 0.015 mm */
    s.found_px[14] = 120;    /* beyond the last bin */
    assert_int_equal(sequence_measure(&meter, &s.result, &s.truth, 4, &frame), 0);
    assert_true(frame.has_truth && frame.is_visible && !frame.is_borderline && frame.has_box);
    assert_int_equal(frame.sweep, 4);
    assert_int_equal(frame.time_ns, 77);
    assert_int_equal(frame.kind, SONO_PHANTOM_SHADOW);
    assert_int_equal(frame.stale_ms, 120);
    expect((double)frame.true_bbox_xyxy_px[0], 12);
    expect(frame.quality, 0.7);
    assert_int_equal(frame.n_true_columns, 8);
    assert_int_equal(sum_bins(&frame), 7);
    assert_int_equal(frame.surface_bins[0], 1);
    assert_int_equal(frame.surface_bins[50], 5);
    assert_int_equal(frame.surface_bins[SEQUENCE_SURFACE_BINS - 1], 1);
    expect(frame.surface_jitter_mm, (double)NAN);
    s.box[0] = 1;
    s.box[2] = 8; /* on the first: 10 columns, right to the row */
    assert_int_equal(sequence_measure(&meter, &s.result, &s.truth, 4, &frame), 0);
    assert_int_equal(frame.n_true_columns, 10);
    assert_int_equal(frame.surface_bins[0], 10);
    s.result.surface_px = NULL;
    s.info.spacing_mm[1] = 0;
    assert_int_equal(sequence_measure(&meter, &s.result, &s.truth, 4, &frame), 0);
    assert_int_equal(frame.n_true_columns, 10);
    assert_int_equal(sum_bins(&frame), 0);
    sequence_meter_free(&meter);
}

/* What moves with the truth is no jitter; in another sweep, or another width, there is nothing before. */
static void test_jitter(void **state)
{
    (void)state;
    scene s;
    sequence_meter meter = {0};
    sequence_frame frame;
    set_up(&s);
    assert_int_equal(sequence_measure(&meter, &s.result, &s.truth, 0, &frame), 0);
    for (int x = 12; x < WIDTH; x++) {
        s.found_px[x] += 3;
        s.second_px[x] += 3 + (x < 17 ? 0.5f : 0);
    }
    assert_int_equal(sequence_measure(&meter, &s.result, &s.truth, 0, &frame), 0);
    expect(frame.surface_jitter_mm, 0.25); /* 5 of 8 columns by half a row */
    assert_int_equal(sequence_measure(&meter, &s.result, &s.truth, 1, &frame), 0);
    expect(frame.surface_jitter_mm, (double)NAN);
    s.result.width_px = WIDTH - 2;
    assert_int_equal(sequence_measure(&meter, &s.result, &s.truth, 1, &frame), 0);
    expect(frame.surface_jitter_mm, (double)NAN);
    sequence_meter_free(&meter);
}

/* Without truth: by pose, or else by how far the outline moved. */
static void test_still(void **state)
{
    (void)state;
    scene s;
    sequence_meter meter = {0};
    sequence_frame frame;
    set_up(&s);
    s.parts.agreement = 900;
    s.parts.moved_x = -4;
    s.info.timestamp_ns = 0;
    assert_int_equal(sequence_measure(&meter, &s.result, NULL, 0, &frame), 0);
    assert_false(frame.is_still || frame.has_truth);
    assert_int_equal(frame.time_ns, 40000000);
    for (int x = 0; x < WIDTH; x++)
        s.found_px[x] += 1;
    assert_int_equal(sequence_measure(&meter, &s.result, NULL, 0, &frame), 0);
    assert_true(frame.is_still);
    assert_int_equal(frame.time_ns, 80000000);
    expect(frame.surface_jitter_mm, 0.5);
    s.parts.moved_y = 5;
    assert_int_equal(sequence_measure(&meter, &s.result, NULL, 0, &frame), 0);
    assert_false(frame.is_still);
    expect(frame.surface_jitter_mm, (double)NAN);
    s.info.has_pose = 1;
    assert_int_equal(sequence_measure(&meter, &s.result, NULL, 0, &frame), 0);
    s.info.image_to_reference[3] = 0.04f;
    assert_int_equal(sequence_measure(&meter, &s.result, NULL, 0, &frame), 0);
    assert_true(frame.is_still);
    s.info.image_to_reference[7] = 0.06f;
    assert_int_equal(sequence_measure(&meter, &s.result, NULL, 0, &frame), 0);
    assert_false(frame.is_still);
    sequence_meter_free(&meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_surface),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_still),
    };
    return sono_test_run("tools/sequence_meter", tests, sizeof tests / sizeof tests[0]);
}
