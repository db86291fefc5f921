// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600
/* Pipelines without one of the two networks. SONO_TEST_DEVICE names the device (default cpu). */
#include "sonoseg/io.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_detector_alone_finds_the_same_boxes),
        cmocka_unit_test(a_detector_alone_can_lose),
        cmocka_unit_test(what_needs_the_other_network_is_refused),
    };
    return sono_test_run("pipeline/roles", tests, sizeof tests / sizeof tests[0]);
}
