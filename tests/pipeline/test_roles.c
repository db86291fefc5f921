// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600
/* Pipelines without one of the two networks. SONO_TEST_DEVICE names the device (default cpu). */
#include "sonoseg/io.h"
#include "support/packet_maps.h"
#include "support/pipeline_fixture.h"
#include "test.h"

#include <string.h>

static int packet_has_mask(const sono_packet *packet, int32_t object)
{
    sono_map_view view;
    const sono_status status = sono_packet_map(packet, object, SONO_MAP_MASK, &view);
    assert_true(status == SONO_STATUS_OK || status == SONO_STATUS_UNSUPPORTED);
    return status == SONO_STATUS_OK;
}

static void refuse(const sono_pipeline_config *config, sono_status status, const char *says)
{
    sono_error error = {0};
    sono_pipeline *pipeline = NULL;
    assert_status(status, sono_pipeline_open(config, &pipeline, &error), &error);
    assert_null(pipeline);
    if (!strstr(error.text, says))
        fail_msg("'%s' does not say '%s'", error.text, says);
}

/* The boxes and scores of one frame; the packet's states and what it must not have are checked. */
static int32_t boxes_of(const sono_pipeline_config *config, int has_masks, sono_object out[16])
{
    const sono_frame frame = pipeline_fixture_frame();
    sono_pipeline *pipeline = pipeline_fixture_open(config);
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    const int32_t n = packet->n_objects;
    for (int32_t i = 0; i < n; i++) {
        out[i] = *sono_packet_object(packet, i);
        assert_int_equal(packet_has_mask(packet, i), has_masks);
        assert_int_equal(out[i].iou_predicted != 0, has_masks);
        if (!has_masks)
            assert_int_equal(out[i].mask_area_px, 0);
    }
    assert_int_equal(packet->state, SONO_STATE_VISIBLE);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
    return n;
}

static void a_detector_alone_finds_the_same_boxes(void **unused)
{
    (void)unused;
    sono_pipeline_config config, on_set;
    sono_object whole[16], alone[16];
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    config.max_objects = 3;
    const int32_t n = boxes_of(&config, 1, whole);
    config.segmenter_path = NULL;
    assert_int_equal(boxes_of(&config, 0, alone), n);
    for (int32_t i = 0; i < n; i++) {
        assert_memory_equal(alone[i].bbox_xyxy_px, whole[i].bbox_xyxy_px, sizeof whole[i].bbox_xyxy_px);
        assert_true(alone[i].score == whole[i].score && alone[i].class_id == whole[i].class_id);
    }
    sono_pipeline_config_init(&on_set);
    on_set.threshold = 0;
    assert_ok(sono_model_set_open(config.detector_path, NULL, config.device, SONO_PRECISION_AUTO,
                                  &on_set.models, &error),
              &error);
    assert_int_equal(boxes_of(&on_set, 0, alone), 1);
    assert_memory_equal(alone[0].bbox_xyxy_px, whole[0].bbox_xyxy_px, sizeof whole[0].bbox_xyxy_px);
    sono_model_set_close(on_set.models);
}

static void a_detector_alone_can_lose(void **unused)
{
    (void)unused;
    sono_pipeline_config config;
    sono_pipeline_info info;
    sono_pipeline_info_init(&info);
    const sono_frame frame = pipeline_fixture_frame();
    pipeline_fixture_synthetic(&config);
    config.segmenter_path = NULL;
    config.threshold = 1;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->state, SONO_STATE_LOST);
    assert_int_equal(packet->n_objects, 1);
    assert_int_equal(packet_has_mask(packet, 0), 0);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    assert_ok(sono_pipeline_query(pipeline, &info), NULL);
    assert_string_equal(info.segmenter, "none");
    sono_pipeline_close(pipeline);
}

static void what_needs_the_other_network_is_refused(void **unused)
{
    (void)unused;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    const char *detector = config.detector_path, *segmenter = config.segmenter_path;
    config.segmenter_path = NULL;
    config.want_weight_maps = 1;
    refuse(&config, SONO_STATUS_INVALID_ARGUMENT, "made from masks: they need a segmenter");
    config.want_weight_maps = 0;
    config.detector_path = segmenter;
    refuse(&config, SONO_STATUS_MODEL_MISMATCH, "this is mobilesam-vit_t, but a detector is needed here");
    config.detector_path = config.segmenter_path = detector;
    refuse(&config, SONO_STATUS_MODEL_MISMATCH, "this is dfine-n, but a segmenter is needed here");
}

/* ---- a segmenter alone ---- */

static sono_status submit_and_take(sono_pipeline *pipeline, const sono_prompt *prompts, int32_t n,
                                   const sono_packet **packet, sono_error *error)
{
    const sono_frame frame = pipeline_fixture_frame();
    const sono_status status =
        sono_pipeline_submit_prompts(pipeline, &frame.image, &frame.info, prompts, n, error);
    if (status == SONO_STATUS_OK)
        assert_ok(sono_pipeline_receive(pipeline, packet, error), error);
    return status;
}

/* Given the boxes that a detector finds, the masks are those that it leads to. */
static void given_boxes_give_the_same_masks(void **unused)
{
    (void)unused;
    sono_pipeline_config config;
    sono_error error = {0};
    const sono_packet *found = NULL, *given = NULL;
    const sono_frame frame = pipeline_fixture_frame();
    const size_t n_pixels = (size_t)frame.image.width_px * (size_t)frame.image.height_px;
    sono_prompt prompts[3] = {{{0}, NULL, 0}};
    pipeline_fixture_synthetic(&config);
    config.max_objects = 3;
    sono_pipeline *whole = pipeline_fixture_open(&config);
    config.detector_path = NULL;
    sono_pipeline *alone = pipeline_fixture_open(&config);
    found = pipeline_fixture_run(whole, &frame);
    const int32_t n = found->n_objects;
    for (int32_t i = 0; i < n; i++)
        memcpy(prompts[i].bbox_xyxy_px, sono_packet_object(found, i)->bbox_xyxy_px,
               sizeof prompts[i].bbox_xyxy_px);
    assert_ok(submit_and_take(alone, prompts, n, &given, &error), &error);
    assert_int_equal(given->state, SONO_STATE_VISIBLE);
    assert_int_equal(given->n_objects, n);
    for (int32_t i = 0; i < n; i++) {
        const sono_object *a = sono_packet_object(given, i), *b = sono_packet_object(found, i);
        assert_memory_equal(a->bbox_xyxy_px, b->bbox_xyxy_px, sizeof a->bbox_xyxy_px);
        assert_true(a->score == 1 && a->iou_predicted == b->iou_predicted);
        assert_int_equal(a->mask_area_px, b->mask_area_px);
        assert_memory_equal(packet_mask(given, i), packet_mask(found, i), n_pixels);
    }
    assert_ok(sono_packet_release(alone, given), NULL);
    assert_ok(submit_and_take(alone, prompts, 1, &given, &error), &error);
    assert_int_equal(given->n_objects, 1); /* nothing is left of the frame before */
    assert_ok(sono_packet_release(alone, given), NULL);
    assert_ok(sono_packet_release(whole, found), NULL);
    sono_pipeline_close(alone);
    sono_pipeline_close(whole);
}

/* Another label is another mask; fewer points are "no point"; a model set serves every kind of prompt. */
static void points_are_taken(void **unused)
{
    (void)unused;
    sono_pipeline_config config, on_set;
    sono_error error = {0};
    const sono_point points[3] = {{160, 120, 1}, {20, 30, 0}, {0, 0, -1}};
    const sono_prompt cases[] = {{{0}, points, 1}, {{0}, points, 2}, {{0}, points, 3}};
    float iou[3];
    const sono_packet *packet = NULL;
    pipeline_fixture_synthetic(&config);
    sono_pipeline_config_init(&on_set);
    config.detector_path = NULL;
    assert_ok(sono_model_set_open_config(&config, &on_set.models, &error), &error);
    on_set.prompt_points = 3;
    on_set.prompt_boxes = 0;
    sono_pipeline *pipeline = pipeline_fixture_open(&on_set);
    for (int i = 0; i < 3; i++) {
        assert_ok(submit_and_take(pipeline, &cases[i], 1, &packet, &error), &error);
        iou[i] = sono_packet_object(packet, 0)->iou_predicted;
        assert_true(sono_packet_object(packet, 0)->bbox_xyxy_px[2] == 0);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    assert_true(iou[0] != iou[1] && iou[1] == iou[2]);
    sono_pipeline_close(pipeline);
    on_set.prompt_boxes = 1;
    pipeline = pipeline_fixture_open(&on_set);
    const sono_prompt both = {{10, 20, 200, 180}, points, 1};
    assert_ok(submit_and_take(pipeline, &both, 1, &packet, &error), &error);
    assert_true(sono_packet_object(packet, 0)->iou_predicted != iou[0] &&
                sono_packet_object(packet, 0)->bbox_xyxy_px[2] == 200);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
    sono_model_set_close(on_set.models);
}

/* A batch whose last frame is missing; each frame has its own prompt. */
static void prompts_come_in_batches(void **unused)
{
    (void)unused;
    sono_pipeline_config config;
    sono_error error = {0};
    const sono_frame frame = pipeline_fixture_frame();
    const sono_prompt prompts[2] = {{{10, 20, 200, 180}, NULL, 0}, {{100, 90, 300, 200}, NULL, 0}};
    pipeline_fixture_synthetic(&config);
    config.detector_path = NULL;
    config.batch = 3;
    config.want_weight_maps = 1;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    for (int i = 0; i < 2; i++)
        assert_ok(sono_pipeline_submit_prompts(pipeline, &frame.image, &frame.info, &prompts[i], 1, &error),
                  &error);
    assert_ok(sono_pipeline_flush(pipeline, &error), &error);
    for (int i = 0; i < 2; i++) {
        const sono_packet *packet = NULL;
        assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
        assert_memory_equal(sono_packet_object(packet, 0)->bbox_xyxy_px, prompts[i].bbox_xyxy_px,
                            sizeof prompts[i].bbox_xyxy_px);
        assert_non_null(packet_map(packet, 0, SONO_MAP_EDGE));
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
}

static void wrong_prompts_are_refused(void **unused)
{
    (void)unused;
    static const sono_point outside[] = {{500, 20, 1}}, labelled[] = {{5, 5, 2}},
                            two[] = {{1, 1, 1}, {2, 2, 0}};
    static const struct {
        sono_prompt prompt;
        int32_t n;
        const char *says;
    } cases[] = {
        {{{10, 10, 50, 50}, outside, 1}, 1, "point 0 of prompt 0, (500, 20), is not within 320 x 240"},
        {{{10, 10, 50, 50}, labelled, 1}, 1, "has label 2: give 1, 0 or -1"},
        {{{10, 10, 50, 50}, two, 2}, 1, "has 2 points: this pipeline was opened for up to 1"},
        {{{10, 10, 50, 50}, NULL, 1}, 1, "has 1 points at NULL"},
        {{{10, 10, 50, 50}, NULL, -1}, 1, "has -1 points"},
        {{{60, 10, 50, 50}, NULL, 0}, 1, "the box of prompt 0, (60, 10) to (50, 50), is none"},
        {{{10, 10, 50, 500}, NULL, 0}, 1, "is none within 320 x 240 pixels"},
        {{{10, 10, 50, 50}, NULL, 0}, 0, "give each frame 1 to 1 (max_objects)"},
        {{{10, 10, 50, 50}, NULL, 0}, 2, "give each frame 1 to 1 (max_objects)"},
    };
    sono_pipeline_config config;
    sono_error error = {0};
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = NULL;
    pipeline_fixture_synthetic(&config);
    config.prompt_points = 1;
    refuse(&config, SONO_STATUS_INVALID_ARGUMENT, "for pipelines without a detector");
    config.detector_path = NULL;
    config.prompt_points = 17;
    refuse(&config, SONO_STATUS_INVALID_ARGUMENT, "prompt_points is 17");
    config.prompt_points = config.prompt_boxes = 0;
    refuse(&config, SONO_STATUS_INVALID_ARGUMENT, "this one is neither");
    config.prompt_points = config.prompt_boxes = 1;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_status(SONO_STATUS_INVALID_ARGUMENT,
                      submit_and_take(pipeline, &cases[i].prompt, cases[i].n, &packet, &error), &error);
        if (!strstr(error.text, cases[i].says))
            fail_msg("'%s' does not say '%s'", error.text, cases[i].says);
    }
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
    assert_non_null(strstr(error.text, "this pipeline has no detector"));
    assert_status(SONO_STATUS_INVALID_ARGUMENT, submit_and_take(pipeline, NULL, 1, &packet, &error), &error);
    sono_pipeline_close(pipeline);
    pipeline_fixture_synthetic(&config);
    config.segmenter_path = NULL;
    pipeline = pipeline_fixture_open(&config);
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  submit_and_take(pipeline, &cases[5].prompt, 1, &packet, &error), &error);
    assert_non_null(strstr(error.text, "it takes no prompts"));
    sono_pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_detector_alone_finds_the_same_boxes),
        cmocka_unit_test(a_detector_alone_can_lose),
        cmocka_unit_test(what_needs_the_other_network_is_refused),
        cmocka_unit_test(given_boxes_give_the_same_masks),
        cmocka_unit_test(points_are_taken),
        cmocka_unit_test(prompts_come_in_batches),
        cmocka_unit_test(wrong_prompts_are_refused),
    };
    return sono_test_run("pipeline/roles", tests, sizeof tests / sizeof tests[0]);
}
