// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/* What means white in 16-bit frames: the frame's word, else the pipeline's; brighter samples are white before
 * anything is resized. SONO_TEST_DEVICE names the device (default cpu). */
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "test.h"

#include "base/alloc.h"

#include <string.h>

#define WHITE 1020 /* 4 * 255: a sample of 4 * n is exactly n */

typedef struct result {
    sono_state state;
    float box[4], score;
    int64_t area_px;
    uint8_t *mask;
} result;

static result run(sono_pipeline *pipeline, const sono_frame *frame)
{
    const size_t n_pixels = (size_t)frame->image.width_px * (size_t)frame->image.height_px;
    const sono_packet *packet = pipeline_fixture_run(pipeline, frame);
    result r = {.state = packet->state,
                .score = sono_packet_object(packet, 0)->score,
                .area_px = sono_packet_object(packet, 0)->mask_area_px,
                .mask = sono_alloc(n_pixels)};
    assert_non_null(r.mask);
    memcpy(r.box, sono_packet_object(packet, 0)->bbox_xyxy_px, sizeof r.box);
    memcpy(r.mask, packet_mask(packet, 0), n_pixels);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    return r;
}

static void expect_same(const result *wanted, result got, size_t n_pixels)
{
    assert_int_equal(got.state, wanted->state);
    assert_memory_equal(&got.score, &wanted->score, sizeof got.score);
    assert_memory_equal(got.box, wanted->box, sizeof got.box);
    assert_int_equal(got.area_px, wanted->area_px);
    assert_memory_equal(got.mask, wanted->mask, n_pixels);
    sono_free(got.mask);
}

/* An 8-bit frame, and the same as 10 bits of which what is bright overflows: bit for bit one result. */
static void test_white_of_frame_and_pipeline(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.gray16_white = WHITE;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame frame = pipeline_fixture_frame();
    const size_t n_pixels = (size_t)frame.image.width_px * (size_t)frame.image.height_px;
    uint8_t *shallow = sono_alloc(n_pixels);
    uint16_t *deep = sono_alloc_array(n_pixels, sizeof *deep),
             *deeper = sono_alloc_array(n_pixels, sizeof *deep);
    assert_true(shallow && deep && deeper);
    for (size_t i = 0; i < n_pixels; i++) {
        const unsigned bright = 2u * ((const uint8_t *)frame.image.pixels)[i];
        shallow[i] = (uint8_t)(bright > 255 ? 255 : bright);
        deep[i] = (uint16_t)(bright < 255 ? 4 * bright : i % 3 ? 4 * bright : 65535);
        deeper[i] = (uint16_t)(bright < 255 ? 16 * bright : i % 3 ? 16 * bright : 65535);
    }
    frame.image.pixels = shallow;
    const result wanted = run(pipeline, &frame);
    frame.image.format = SONO_PIXEL_GRAY16;
    frame.image.pixels = deep;
    expect_same(&wanted, run(pipeline, &frame), n_pixels);
    frame.image.pixels = deeper;
    frame.image.gray16_white = 4 * WHITE;
    expect_same(&wanted, run(pipeline, &frame), n_pixels);
    sono_pipeline_close(pipeline);
    sono_free(wanted.mask);
    sono_free(shallow);
    sono_free(deep);
    sono_free(deeper);
}

static void test_refuses(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame frame = pipeline_fixture_frame();
    static const int32_t wrong[] = {-1, 65536};
    for (int i = 0; i < 2; i++) {
        sono_error error = {0};
        frame.image.gray16_white = wrong[i];
        assert_status(SONO_STATUS_INVALID_ARGUMENT,
                      sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
        assert_non_null(strstr(error.text, "gray16_white"));
    }
    sono_pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_white_of_frame_and_pipeline),
                                       cmocka_unit_test(test_refuses)};
    return sono_test_run("pipeline/white", tests, sizeof tests / sizeof tests[0]);
}
