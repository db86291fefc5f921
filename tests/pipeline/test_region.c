// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=40
/* Regions through the whole pipeline: given or found, one frame or several, the outline is that of the
 * picture alone, put where it lies; what cannot be had is refused. SONO_TEST_DEVICE names the device (default
 * cpu). */
#include "drawn_screen.h"
#include "packet_maps.h"
#include "phantom_stream.h"
#include "support/pipeline_fixture.h"
#include "test.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define N_FRAMES  3
#define SCREEN_W  1024
#define SCREEN_H  768
#define LEAST_IOU 0.98

static uint8_t pictures[N_FRAMES][PHANTOM_STREAM_PIXELS];
static uint8_t masks[N_FRAMES][PHANTOM_STREAM_PIXELS]; /* of the pictures alone */
static uint8_t screens[N_FRAMES][SCREEN_W * SCREEN_H];
static sono_frame frames[N_FRAMES];
static const int32_t places[N_FRAMES][2] = {{300, 110}, {160, 60}, {430, 140}};

static sono_pipeline *open_shipped(int32_t find, const sono_region *region, int32_t batch, int32_t by_stream)
{
    sono_pipeline_config config;
    pipeline_fixture_shipped_half(&config);
    config.max_width_px = SCREEN_W;
    config.max_height_px = SCREEN_H;
    config.batch = batch;
    config.find_region = find;
    config.want_surface = 1;
    config.state_mode = by_stream ? SONO_STATE_BY_STREAM : SONO_STATE_BY_SCORE;
    if (region)
        config.region = *region;
    return pipeline_fixture_open(&config);
}

/* Frame i on a screen, empty or with everything that a screen has around it. */
static sono_frame screen_of(int32_t i, int has_surround)
{
    drawn_screen screen = {.width_px = SCREEN_W, .height_px = SCREEN_H, .grey = screens[i]};
    sono_frame frame = frames[i];
    memset(screens[i], 0, sizeof screens[i]);
    if (has_surround)
        drawn_screen_surround(&screen, (uint32_t)i);
    for (int32_t y = 0; y < PHANTOM_STREAM_HEIGHT_PX; y++)
        memcpy(screens[i] + (places[i][1] + y) * SCREEN_W + places[i][0],
               pictures[i] + y * PHANTOM_STREAM_WIDTH_PX, PHANTOM_STREAM_WIDTH_PX);
    frame.image.pixels = screens[i];
    frame.image.width_px = SCREEN_W;
    frame.image.height_px = SCREEN_H;
    frame.image.pitch_bytes = 0;
    return frame;
}

/* IoU of the picture's part of a screen's mask and the picture's own; nothing lies beyond the region. */
static double compare(const sono_packet *packet, int32_t i)
{
    static uint8_t part[PHANTOM_STREAM_PIXELS];
    const uint8_t *mask = packet_mask(packet, 0);
    sono_region r;
    assert_ok(sono_packet_region(packet, &r), NULL);
    for (int32_t y = 0; y < packet->height_px; y++)
        for (int32_t x = 0; x < packet->width_px; x++)
            if (x < r.x_px || y < r.y_px || x >= r.x_px + r.width_px || y >= r.y_px + r.height_px)
                assert_int_equal(mask[y * packet->width_px + x], 0);
    for (int32_t y = 0; y < PHANTOM_STREAM_HEIGHT_PX; y++)
        memcpy(part + y * PHANTOM_STREAM_WIDTH_PX, mask + (places[i][1] + y) * SCREEN_W + places[i][0],
               PHANTOM_STREAM_WIDTH_PX);
    return phantom_stream_iou(part, masks[i]);
}

static void remember_pictures(void)
{
    static int is_known;
    if (is_known)
        return;
    sono_pipeline *pipeline = open_shipped(0, NULL, 1, 0);
    phantom_stream_read(SONO_PHANTOM_ARCHED, N_FRAMES, pictures, frames);
    for (int32_t i = 0; i < N_FRAMES; i++) {
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frames[i]);
        assert_int_equal(packet->state, SONO_STATE_VISIBLE);
        memcpy(masks[i], packet_mask(packet, 0), sizeof masks[i]);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
    is_known = 1;
}

static double region_iou(const sono_packet *packet, int32_t i)
{
    sono_region r;
    assert_ok(sono_packet_region(packet, &r), NULL);
    const int32_t x0 = places[i][0], y0 = places[i][1], w = PHANTOM_STREAM_WIDTH_PX,
                  h = PHANTOM_STREAM_HEIGHT_PX;
    const int32_t left = r.x_px > x0 ? r.x_px : x0, top = r.y_px > y0 ? r.y_px : y0;
    const int32_t right = r.x_px + r.width_px < x0 + w ? r.x_px + r.width_px : x0 + w;
    const int32_t bottom = r.y_px + r.height_px < y0 + h ? r.y_px + r.height_px : y0 + h;
    const double both = right > left && bottom > top ? (double)(right - left) * (bottom - top) : 0;
    return both / ((double)w * h + (double)r.width_px * r.height_px - both);
}

/* Where the picture is known the outline is the picture's own to the pixel, but for the rounding of a box. */
static void a_given_region_is_the_picture(void **state)
{
    (void)state;
    remember_pictures();
    const sono_region r = {places[0][0], places[0][1], PHANTOM_STREAM_WIDTH_PX, PHANTOM_STREAM_HEIGHT_PX};
    sono_pipeline *pipeline = open_shipped(0, &r, 1, 0);
    const sono_frame frame = screen_of(0, 1);
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    sono_region told;
    sono_surface_view surface;
    assert_ok(sono_packet_region(packet, &told), NULL);
    assert_memory_equal(&told, &r, sizeof r);
    const double iou = compare(packet, 0);
    printf("given: IoU %.4f\n", iou);
    assert_true(iou >= 0.999);
    assert_ok(sono_packet_surface(packet, &surface), NULL);
    assert_true(surface.n_points > 0);
    for (int32_t i = 0; i < surface.n_points; i++) {
        const int32_t x = (int32_t)surface.points_px[2 * i];
        assert_in_range(x, r.x_px, r.x_px + r.width_px - 1);
    }
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_error error = {0};
    assert_int_equal(sono_pipeline_submit(pipeline, &frames[1].image, NULL, &error),
                     SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "does not lie within the frame of 422 x 558 pixels"));
    sono_pipeline_close(pipeline);
}

/* What a source says of one frame holds for that frame alone, and gives way to the configuration. */
static void a_frame_names_its_own_region(void **state)
{
    (void)state;
    remember_pictures();
    static const sono_region wrong[] = {
        {-1, 0, 10, 10}, {0, 0, 0, 10}, {0, 0, 10, -1}, {SCREEN_W - 5, 0, 6, 6}, {1, 0, 0, 0}};
    sono_pipeline *pipeline = open_shipped(0, NULL, 1, 0);
    sono_region told;
    sono_error error = {0};
    sono_frame named = screen_of(0, 1);
    named.info.region =
        (sono_region){places[0][0], places[0][1], PHANTOM_STREAM_WIDTH_PX, PHANTOM_STREAM_HEIGHT_PX};
    const sono_packet *packet = pipeline_fixture_run(pipeline, &named);
    assert_ok(sono_packet_region(packet, &told), NULL);
    assert_memory_equal(&told, &named.info.region, sizeof told);
    assert_true(compare(packet, 0) >= 0.999);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_frame frame = screen_of(2, 1);
    packet = pipeline_fixture_run(pipeline, &frame);
    assert_ok(sono_packet_region(packet, &told), NULL);
    assert_int_equal(told.width_px, SCREEN_W);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        frame.info.region = wrong[i];
        assert_int_equal(sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error),
                         SONO_STATUS_INVALID_ARGUMENT);
        assert_non_null(strstr(error.text, "does not lie within the frame"));
    }
    sono_pipeline_close(pipeline);
}

static void a_found_region_costs_nothing(void **state)
{
    (void)state;
    remember_pictures();
    sono_pipeline *pipeline = open_shipped(1, NULL, 1, 0);
    for (int32_t i = 0; i < 2 * N_FRAMES; i++) {
        const sono_frame frame = screen_of(i % N_FRAMES, i >= N_FRAMES);
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        const double region = region_iou(packet, i % N_FRAMES), mask = compare(packet, i % N_FRAMES);
        printf("%s %d: IoU of the region %.4f, of the mask %.4f\n", i < N_FRAMES ? "black" : "screen",
               i % N_FRAMES, region, mask);
        assert_true(region >= 0.95);
        assert_true(mask >= LEAST_IOU);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    for (int32_t i = 0; i < N_FRAMES; i++) { /* the picture alone is its own region */
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frames[i]);
        assert_memory_equal(packet_mask(packet, 0), masks[i], sizeof masks[i]);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
}

/* Frames of one batch have regions of their own; through a stream the first one's stays for a while. */
static void frames_of_a_batch_have_their_own(void **state)
{
    sono_error error = {0};
    (void)state;
    remember_pictures();
    for (int32_t by_stream = 0; by_stream < 2; by_stream++) {
        sono_pipeline *pipeline = open_shipped(1, NULL, N_FRAMES, by_stream);
        for (int32_t i = 0; i < N_FRAMES; i++) {
            const sono_frame frame = screen_of(i, 1);
            assert_ok(sono_pipeline_submit(pipeline, &frame.image, NULL, &error), &error);
        }
        for (int32_t i = 0; i < N_FRAMES; i++) {
            const sono_packet *packet = NULL;
            assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
            assert_true(region_iou(packet, by_stream ? 0 : i) >= 0.95);
            if (!by_stream)
                assert_true(compare(packet, i) >= LEAST_IOU);
            assert_ok(sono_packet_release(pipeline, packet), NULL);
        }
        sono_pipeline_close(pipeline);
    }
}

static void expect_refusal(const sono_pipeline_config *config, sono_status status, const char *text)
{
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    assert_int_equal(sono_pipeline_open(config, &pipeline, &error), status);
    if (!strstr(error.text, text))
        fail_msg("%s does not say: %s", error.text, text);
}

static void what_cannot_be_had_is_refused(void **state)
{
    sono_pipeline_config config;
    sono_error error = {0};
    (void)state;
    pipeline_fixture_shipped_half(&config);
    config.find_region = 1;
    config.region = (sono_region){1, 2, 3, 4};
    expect_refusal(&config, SONO_STATUS_INVALID_ARGUMENT, "either found or given");
    config.find_region = 2;
    expect_refusal(&config, SONO_STATUS_INVALID_ARGUMENT, "find_region");
    config.find_region = 0;
    config.region.width_px = 0;
    expect_refusal(&config, SONO_STATUS_INVALID_ARGUMENT, "region.width_px is 0");
    config.region = (sono_region){0};
    config.find_region = 1;
    config.detector_path = NULL;
    expect_refusal(&config, SONO_STATUS_UNSUPPORTED, "find_region");
    assert_ok(sono_pipeline_config_set_region(&config, "16,9,320,200", &error), &error);
    assert_true(config.find_region == 0 && config.region.x_px == 16 && config.region.y_px == 9 &&
                config.region.width_px == 320 && config.region.height_px == 200);
    assert_ok(sono_pipeline_config_set_region(&config, "find", &error), &error);
    assert_true(config.find_region == 1 && config.region.width_px == 0);
    assert_ok(sono_pipeline_config_set_region(&config, "none", &error), &error);
    assert_true(config.find_region == 0 && config.region.width_px == 0);
    static const char *const wrong[] = {"",        "all",      "1,2,3",    "1,2,3,4,5",  "-1,2,3,4",
                                        "1,2,0,4", "1,2,3,4 ", "1, 2,3,4", "1,2,3,99999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(sono_pipeline_config_set_region(&config, wrong[i], &error),
                         SONO_STATUS_INVALID_ARGUMENT);
}

/* Prompts may be given with a region, within it. */
static void prompts_lie_within_the_region(void **state)
{
    sono_error error = {0};
    sono_pipeline_config config;
    const sono_packet *packet = NULL;
    (void)state;
    remember_pictures();
    pipeline_fixture_shipped_half(&config);
    config.detector_path = NULL;
    config.max_width_px = SCREEN_W;
    config.max_height_px = SCREEN_H;
    config.region =
        (sono_region){places[0][0], places[0][1], PHANTOM_STREAM_WIDTH_PX, PHANTOM_STREAM_HEIGHT_PX};
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = screen_of(0, 1);
    sono_prompt prompt = {.bbox_xyxy_px = {10, 10, 40, 40}};
    assert_int_equal(sono_pipeline_submit_prompts(pipeline, &frame.image, NULL, &prompt, 1, &error),
                     SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "region"));
    int32_t x0 = 9999, y0 = 9999, x1 = 0, y1 = 0;
    for (int32_t i = 0; i < PHANTOM_STREAM_PIXELS; i++)
        if (masks[0][i]) {
            const int32_t x = i % PHANTOM_STREAM_WIDTH_PX, y = i / PHANTOM_STREAM_WIDTH_PX;
            x0 = x < x0 ? x : x0;
            x1 = x > x1 ? x : x1;
            y0 = y < y0 ? y : y0;
            y1 = y > y1 ? y : y1;
        }
    const float box[4] = {(float)(x0 + places[0][0]), (float)(y0 + places[0][1]), (float)(x1 + places[0][0]),
                          (float)(y1 + places[0][1])};
    memcpy(prompt.bbox_xyxy_px, box, sizeof box);
    assert_ok(sono_pipeline_submit_prompts(pipeline, &frame.image, NULL, &prompt, 1, &error), &error);
    assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
    assert_memory_equal(sono_packet_object(packet, 0)->bbox_xyxy_px, box, sizeof box);
    assert_true(compare(packet, 0) >= 0.7); /* another box than the detector's: much the same bone */
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_given_region_is_the_picture), cmocka_unit_test(a_frame_names_its_own_region),
        cmocka_unit_test(a_found_region_costs_nothing),  cmocka_unit_test(frames_of_a_batch_have_their_own),
        cmocka_unit_test(what_cannot_be_had_is_refused), cmocka_unit_test(prompts_lie_within_the_region)};
    return sono_test_run("pipeline/region", tests, sizeof tests / sizeof tests[0]);
}
