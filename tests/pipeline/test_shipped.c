// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=60
/* The shipped models: bones of phantoms are found and outlined, and on real frames nothing lies beside them.
 * The short form takes every fourth real frame and the first of the phantoms. */
#include "sonoseg/io.h"
#include "sonoseg/phantom.h"
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "test.h"

#include <math.h>
#include <stdio.h>

#define REAL_FRAMES  24
#define PHANTOMS     20
#define FEW_PHANTOMS 6     /* of these, in the short form */
#define STRIDE       4     /* of the real frames there */
#define GROWTH       0.05f /* of the box's sides, half of it at each edge */
#define LEAST_INSIDE 0.97
#define LEAST_IOU    0.83 /* mean over the phantoms with a bone */
#define MOST_MISSED  1    /* of all phantoms; none in the short form */
#define MOST_FALSE   1    /* likewise */
#define PHANTOM_SEED 4711

static sono_pipeline *open_shipped(void)
{
    sono_pipeline_config config;
    pipeline_fixture_shipped(&config);
    return pipeline_fixture_open(&config);
}

static double share_inside(const sono_packet *packet)
{
    const sono_object *object = sono_packet_object(packet, 0);
    const uint8_t *mask = packet_mask(packet, 0);
    const int32_t width_px = packet->width_px, height_px = packet->height_px;
    const float *box = object->bbox_xyxy_px;
    const float grow_x = GROWTH * 0.5f * (box[2] - box[0]), grow_y = GROWTH * 0.5f * (box[3] - box[1]);
    int64_t inside = 0;
    for (int32_t y = 0; y < height_px; y++)
        for (int32_t x = 0; x < width_px; x++) {
            const float at_x = (float)x + 0.5f, at_y = (float)y + 0.5f;
            inside += mask[(size_t)y * (size_t)width_px + (size_t)x] && at_x >= box[0] - grow_x &&
                      at_x <= box[2] + grow_x && at_y >= box[1] - grow_y && at_y <= box[3] + grow_y;
        }
    return (double)inside / (double)object->mask_area_px;
}

static void test_real_frames(void **state)
{
    (void)state;
    char frames[SONO_TEST_PATH_BYTES];
    sono_test_need_shared(frames, sizeof frames, "frames");
    const char *const paths[] = {frames};
    sono_pipeline *pipeline = open_shipped();
    sono_source *source = NULL;
    sono_error error = {0};
    double least_inside = 1, least_score = 1;
    assert_ok(sono_source_open_images(paths, 1, NULL, &source, &error), &error);
    for (int i = 0; i < REAL_FRAMES; i++) {
        sono_frame frame = SONO_TEST_FRAME;
        const char *name = NULL;
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        if (i % STRIDE && !pipeline_fixture_is_long())
            continue;
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        const sono_object *best = sono_packet_object(packet, 0);
        const int is_found = packet->state == SONO_STATE_VISIBLE && best->mask_area_px > 0;
        const double inside = is_found ? share_inside(packet) : 0;
        printf("%s: score %.2f, %lld px, %.3f inside\n", name, (double)best->score,
               (long long)best->mask_area_px, inside);
        least_inside = fmin(least_inside, inside);
        least_score = fmin(least_score, is_found ? (double)best->score : 0);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_source_close(source);
    sono_pipeline_close(pipeline);
    assert_true(least_score > 0);
    assert_true(least_inside >= LEAST_INSIDE);
}

/* The mask against all structures where there is one, the best one's where there are two. */
static double iou_of(const uint8_t *mask, const sono_truth *truth)
{
    int64_t in_mask = 0, common[SONO_TRUTH_STRUCTURES + 1] = {0};
    double best = 0;
    for (size_t i = 0; i < (size_t)truth->width_px * (size_t)truth->height_px; i++)
        if (mask[i]) {
            in_mask++;
            common[truth->labels[i]]++;
        }
    for (int32_t k = 0; k < truth->n_structures; k++) {
        const int64_t both = common[k + 1];
        best = fmax(best, (double)both / (double)(in_mask + truth->structures[k].area_px - both));
    }
    return best;
}

static void test_phantoms(void **state)
{
    (void)state;
    const int is_long = pipeline_fixture_is_long(), n_phantoms = is_long ? PHANTOMS : FEW_PHANTOMS;
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.seed = PHANTOM_SEED;
    options.n_frames = PHANTOMS; /* the phantoms are the same in both forms */
    options.n_sweep_frames = 1;
    options.empty_share = 0.2f;
    sono_pipeline *pipeline = open_shipped();
    sono_source *source = NULL;
    sono_error error = {0};
    int n_bones = 0, n_missed = 0, n_false = 0;
    double sum = 0;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    for (int i = 0; i < n_phantoms; i++) {
        sono_frame frame = SONO_TEST_FRAME;
        sono_truth truth;
        const char *name = NULL;
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        assert_ok(sono_source_truth(source, &truth, &error), &error);
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        const int is_found = packet->state == SONO_STATE_VISIBLE;
        n_bones += truth.is_visible;
        n_missed += truth.is_visible && !is_found;
        n_false += !truth.is_visible && is_found;
        sum += truth.is_visible && is_found ? iou_of(packet_mask(packet, 0), &truth) : 0;
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_source_close(source);
    sono_pipeline_close(pipeline);
    printf("%d bones, %d missed, mean mask IoU %.3f, %d false alarms in %d empty frames\n", n_bones, n_missed,
           sum / n_bones, n_false, n_phantoms - n_bones);
    assert_in_range(n_bones, n_phantoms / 2, n_phantoms - 1);
    assert_in_range(n_missed, 0, is_long ? MOST_MISSED : 0);
    assert_in_range(n_false, 0, is_long ? MOST_FALSE : 0);
    assert_true(sum / n_bones >= LEAST_IOU);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_phantoms), cmocka_unit_test(test_real_frames)};
    return sono_test_run("pipeline/shipped", tests, sizeof tests / sizeof tests[0]);
}
