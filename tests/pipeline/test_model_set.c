// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=300 cost=15
/* Several pipelines on one set of models: the parameters are there once, and each pipeline gives what one of
 * its own gives. SONO_TEST_DEVICE names the device (default cpu). */
#include "pipeline/pipeline_private.h"
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "test.h"

#include <string.h>

static void expect_packet(sono_pipeline *pipeline, const sono_frame *frame, const sono_object *wanted,
                          const uint8_t *mask)
{
    const sono_packet *packet = pipeline_fixture_run(pipeline, frame);
    assert_true(sono_packet_object(packet, 0)->score == wanted->score);
    assert_memory_equal(sono_packet_object(packet, 0)->bbox_xyxy_px, wanted->bbox_xyxy_px,
                        sizeof wanted->bbox_xyxy_px);
    assert_memory_equal(packet_mask(packet, 0), mask,
                        (size_t)frame->image.width_px * (size_t)frame->image.height_px);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

/* Without a word about sizes a pipeline has that of the segmenter's file, and one of a set the set's. */
static void test_size_of_the_file(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    sono_model_set *models = NULL;
    pipeline_fixture_synthetic(&config);
    config.segmenter_size_px = 0;
    sono_pipeline *alone = pipeline_fixture_open(&config);
    const double flops = sono_pipeline_stage_flops(alone, SONO_STAGE_ENCODE);
    assert_true(flops > 70e9 && flops < 85e9);
    sono_pipeline_close(alone);
    assert_ok(sono_model_set_open(config.detector_path, config.segmenter_path, config.device,
                                  SONO_PRECISION_AUTO, &models, &error),
              &error);
    config.models = models;
    config.detector_path = config.segmenter_path = config.device = NULL;
    sono_pipeline *on_set = pipeline_fixture_open(&config);
    assert_true(sono_pipeline_stage_flops(on_set, SONO_STAGE_ENCODE) == flops);
    sono_pipeline_close(on_set);
    sono_model_set_close(models);
}

/* Every parameter of the two programs is one value in memory. */
static void expect_shared(const sono_pipeline *a, const sono_pipeline *b)
{
    size_t n = 0;
    assert_ptr_equal(a->flow.program->params, b->flow.program->params);
    assert_int_equal(a->flow.program->n_params, b->flow.program->n_params);
    assert_int_equal(a->flow.program->params_bytes, b->flow.program->params_bytes);
    for (size_t i = 1; i < b->flow.program->n_tensors; i++) {
        const sono_tensor *t = &b->flow.program->tensors[i];
        if (t->kind != SONO_TENSOR_PARAM || t->root != (sono_tid)i)
            continue;
        assert_ptr_equal(t->param, b->flow.program->params->list[t->param_index].values);
        n++;
    }
    assert_int_equal(n, b->flow.program->params->n);
    /* And on a device one address. */
    for (size_t i = 1; i < a->flow.program->n_tensors && a->choice.ops->device; i++)
        for (size_t k = 1; k < b->flow.program->n_tensors; k++) {
            const sono_tensor *t = &a->flow.program->tensors[i], *u = &b->flow.program->tensors[k];
            if (t->kind == SONO_TENSOR_PARAM && u->kind == SONO_TENSOR_PARAM && t->root == (sono_tid)i &&
                u->root == (sono_tid)k && t->param_index == u->param_index)
                assert_ptr_equal(a->choice.ops->inspect->address(a->engine, (sono_tid)i),
                                 b->choice.ops->inspect->address(b->engine, (sono_tid)k));
        }
}

static atomic_int n_hashed;

static void listen_to(void *user, const sono_event *event)
{
    const sono_model_info *detector = user;
    if (event->kind == SONO_EVENT_MODELS_HASHED &&
        strcmp(sono_event_find(event, "detector_sha256")->text, detector->sha256) == 0)
        atomic_fetch_add(&n_hashed, 1);
}

static void test_two_pipelines(void **state)
{
    (void)state;
    static uint8_t mask[320 * 240];
    sono_pipeline_config config;
    sono_error error = {0};
    sono_model_set *models = NULL;
    pipeline_fixture_synthetic(&config);
    config.max_width_px = 320;
    config.max_height_px = 240;
    const sono_frame frame = pipeline_fixture_frame();
    sono_pipeline *alone = pipeline_fixture_open(&config);
    const sono_packet *packet = pipeline_fixture_run(alone, &frame);
    const sono_object wanted = *sono_packet_object(packet, 0);
    memcpy(mask, packet_mask(packet, 0), sizeof mask);
    sono_pipeline_close(alone);

    assert_ok(sono_model_set_open_config(&config, &models, &error), &error);
    sono_model_info detector;
    assert_ok(sono_model_inspect(config.detector_path, &detector, &error), &error);
    config.on_event = listen_to;
    config.on_event_user = &detector;
    config.models = models;
    config.detector_path = config.segmenter_path = config.device = NULL;
    config.segmenter_size_px = 0; /* the set's */
    sono_pipeline *first = pipeline_fixture_open(&config);
    config.max_width_px = 640; /* other ops and tensors, the same parameters */
    config.want_weight_maps = 1;
    sono_pipeline *second = pipeline_fixture_open(&config);
    sono_model_set_close(models);
    expect_shared(first, second);
    expect_packet(first, &frame, &wanted, mask);
    expect_packet(second, &frame, &wanted, mask);
    sono_pipeline_close(first);
    expect_packet(second, &frame, &wanted, mask);
    sono_pipeline_close(second);
    assert_int_equal(atomic_load(&n_hashed), 2); /* each says so to its own listener */
}

static void test_refused(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_model_set *models = NULL;
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_model_set_open(NULL, NULL, "cpu", SONO_PRECISION_AUTO, &models, &error), &error);
    assert_status(SONO_STATUS_MODEL_MISMATCH,
                  sono_model_set_open(config.segmenter_path, config.detector_path, "cpu", SONO_PRECISION_AUTO,
                                      &models, &error),
                  &error);
    assert_status(SONO_STATUS_UNSUPPORTED,
                  sono_model_set_open(config.detector_path, config.segmenter_path, "cpu", SONO_PRECISION_FP16,
                                      &models, &error),
                  &error);
    assert_null(models);
    assert_ok(sono_model_set_open(config.detector_path, config.segmenter_path, "cpu", SONO_PRECISION_AUTO,
                                  &models, &error),
              &error);
    config.models = models;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_open(&config, &pipeline, &error), &error);
    assert_non_null(strstr(error.text, "models is set"));
    sono_model_set_close(models);
    sono_model_set_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_of_the_file),
        cmocka_unit_test(test_two_pipelines),
        cmocka_unit_test(test_refused),
    };
    return sono_test_run("pipeline/model_set", tests, sizeof tests / sizeof tests[0]);
}
