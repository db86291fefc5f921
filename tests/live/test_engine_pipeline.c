// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=20
/* The service's engine on a sono_pipeline (live/serve/engine_pipeline.c): the same result as the pipeline by
 * itself. On the checkpoints of SONO_TEST_DETECTOR and SONO_TEST_SEGMENTER. */
#include "pipeline_fixture.h"
#include "serve/engine.h"
#include "test.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static sono_serve_engine *engine;
static sono_serve_result result;
static sono_error error;

static sono_serve_engine_news next(void)
{
    struct pollfd poll_fd = {.fd = sono_serve_engine_fd(engine), .events = POLLIN};
    for (;;) {
        assert_int_equal(poll(&poll_fd, 1, 300000), 1);
        sono_serve_engine_news news = sono_serve_engine_next(engine, &result, &error);
        if (news != SONO_SERVE_ENGINE_NOTHING) {
            return news;
        }
    }
}

static void submit(const sono_frame *frame, uint64_t id)
{
    size_t n = (size_t)frame->image.width_px * (size_t)frame->image.height_px, room;
    void *input;
    uint8_t *memory = sono_serve_engine_lend(engine, &room, &input);
    sono_image image = frame->image;
    sono_frame_info info = frame->info;
    assert_non_null(memory);
    assert_true(room >= n);
    memcpy(memory, frame->image.pixels, n);
    image.pixels = memory;
    info.frame_id = id;
    assert_ok(sono_serve_engine_submit(engine, input, &image, &info, &error), &error);
}

static void is_as(const sono_packet *packet)
{
    sono_map_view view;
    const sono_object *object = sono_packet_object(packet, 0);
    assert_ok(sono_packet_map(packet, 0, SONO_MAP_MASK, &view), NULL);
    assert_int_equal(result.state, packet->state);
    assert_true(result.score == object->score && result.iou_predicted == object->iou_predicted);
    assert_int_equal(result.mask_area_px, object->mask_area_px);
    assert_memory_equal(result.bbox_xyxy_px, object->bbox_xyxy_px, sizeof result.bbox_xyxy_px);
    assert_int_equal(result.width_px, packet->width_px);
    assert_int_equal(result.height_px, packet->height_px);
    assert_memory_equal(result.mask, view.data, (size_t)view.width_px * (size_t)view.height_px);
}

static void test_the_same_as_the_pipeline(void **state)
{
    sono_pipeline_config direct;
    sono_serve_config config;
    sono_serve_engine_info info;
    (void)state;
    pipeline_fixture_synthetic(&direct);
    direct.segmenter_size_px = 0; /* as the service has it */
    sono_pipeline *pipeline = pipeline_fixture_open(&direct);
    sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    sono_serve_config_init(&config);
    snprintf(config.engine_detector, sizeof config.engine_detector, "%s", direct.detector_path);
    snprintf(config.engine_segmenter, sizeof config.engine_segmenter, "%s", direct.segmenter_path);
    snprintf(config.engine_device, sizeof config.engine_device, "%s", direct.device);
    config.engine_max_width_px = config.engine_max_height_px = 640;
    config.engine_threshold = 0;
    config.state_mode = SONO_STATE_BY_SCORE; /* what random networks outline has no quality */
    assert_ok(sono_serve_engine_new(&config, NULL, NULL, &engine, &error), &error);
    sono_serve_engine_open(engine);
    assert_int_equal(next(), SONO_SERVE_ENGINE_UP);
    sono_serve_engine_query(engine, &info);
    assert_string_equal(info.kind, "pipeline");
    assert_string_equal(info.backend, sono_backend_name(packet->backend));
    submit(&frame, 41);
    assert_int_equal(next(), SONO_SERVE_ENGINE_RESULT);
    assert_int_equal(result.frame, 41);
    is_as(packet);
    assert_null(result.maps[0]);
    sono_serve_engine_release(engine, &result);
    sono_serve_engine_close(engine);
    assert_int_equal(next(), SONO_SERVE_ENGINE_DOWN);
    sono_packet_release(pipeline, packet);
    sono_pipeline_close(pipeline);
    config.sink_maps = 1; /* and once more, with maps and a threshold that nothing reaches */
    sono_serve_engine_free(engine);
    assert_ok(sono_serve_engine_new(&config, NULL, NULL, &engine, &error), &error);
    sono_serve_engine_set_threshold(engine, 1);
    sono_serve_engine_open(engine);
    assert_int_equal(next(), SONO_SERVE_ENGINE_UP);
    submit(&frame, 42);
    assert_int_equal(next(), SONO_SERVE_ENGINE_RESULT);
    assert_int_equal(result.state, SONO_STATE_LOST);
    assert_int_equal(result.mask_area_px, 0);
    assert_true(result.maps[0] && result.maps[1] && result.maps[2]);
    sono_serve_engine_release(engine, &result);
    sono_serve_engine_free(engine); /* open: it closes */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_same_as_the_pipeline)};
    return sono_test_run("live/engine_pipeline", tests, sizeof(tests) / sizeof(tests[0]));
}
