// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/* min_piece_share: pieces go, on every map that is made from the mask; whole masks stay as they were.
 * SONO_TEST_DEVICE names the device (default cpu). */
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "pieces.h"
#include "test.h"

#include "base/alloc.h"

#include <string.h>

typedef struct result {
    int64_t area_px, n_set, n_outside;
    uint8_t *mask;
} result;

/* box: of the prompt. */
static result run(const float box[4], float min_piece_share)
{
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.min_piece_share = min_piece_share;
    config.want_weight_maps = 1;
    config.detector_path = NULL;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const size_t n = (size_t)frame.image.width_px * (size_t)frame.image.height_px;
    sono_prompt prompt = {.points = NULL};
    const sono_packet *packet = NULL;
    sono_error error = {0};
    memcpy(prompt.bbox_xyxy_px, box, sizeof prompt.bbox_xyxy_px);
    assert_ok(sono_pipeline_submit_prompts(pipeline, &frame.image, NULL, &prompt, 1, &error), &error);
    assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
    result r = {.area_px = sono_packet_object(packet, 0)->mask_area_px, .mask = sono_alloc(n)};
    assert_non_null(r.mask);
    memcpy(r.mask, packet_mask(packet, 0), n);
    sono_map_view outside;
    assert_ok(sono_packet_map(packet, 0, SONO_MAP_OUTSIDE, &outside), NULL);
    for (size_t i = 0; i < n; i++) {
        r.n_set += r.mask[i] != 0;
        r.n_outside += ((const uint8_t *)outside.data)[i];
    }
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
    return r;
}

/* Whatever the random segmenter draws: what stays, of every map, is what a flood fill says. */
static void check(const float box[4], float min_piece_share)
{
    const sono_frame frame = pipeline_fixture_frame();
    const int32_t width = frame.image.width_px, height = frame.image.height_px;
    const result raw = run(box, 0), cleaned = run(box, min_piece_share);
    uint8_t *wanted = sono_alloc((size_t)width * (size_t)height);
    assert_non_null(wanted);
    const int32_t area =
        pieces_clean(raw.mask, width, height, box, (int32_t)(min_piece_share * 1000 + 0.5f), wanted);
    assert_true(raw.area_px > 0 && raw.n_outside > 0);
    assert_int_equal(raw.area_px, raw.n_set);
    assert_int_equal(cleaned.area_px, area);
    assert_memory_equal(cleaned.mask, wanted, (size_t)width * (size_t)height);
    assert_true(area == raw.area_px || cleaned.n_outside < raw.n_outside);
    print_message("%lld of %lld pixels stay\n", (long long)area, (long long)raw.area_px);
    sono_free(raw.mask);
    sono_free(cleaned.mask);
    sono_free(wanted);
}

static void test_pieces(void **state)
{
    static const float corner[4] = {0, 0, 4, 4}, strip[4] = {0, 100, 200, 104};
    (void)state;
    check(corner, 0.001f);
    check(corner, 1);
    check(strip, 0.5f);
}

static void test_refused(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    config.min_piece_share = 1.5f;
    assert_int_equal(sono_pipeline_open(&config, &pipeline, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "min_piece_share"));
    config.min_piece_share = 0.02f;
    config.segmenter_path = NULL;
    assert_int_equal(sono_pipeline_open(&config, &pipeline, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "min_piece_share"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_refused)};
    return sono_test_run("pipeline/pieces", tests, sizeof tests / sizeof tests[0]);
}
