// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600
/*
 * The same frame gives the same packet, bit for bit, however often it runs, in whichever slot, and whatever
 * ran in between. SONO_TEST_DEVICE names the device (default cpu), SONO_TEST_REPEAT the number of runs
 * (default 1000 on CUDA, 4 on the CPU). Uses the trained checkpoints on a real frame's size where they are,
 * else the synthetic ones.
 */
#include "base/alloc.h"
#include "support/pipeline_fixture.h"
#include "support/synthetic.h"
#include "packet_maps.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_PX  422
#define HEIGHT_PX 558
#define N_PIXELS  (WIDTH_PX * HEIGHT_PX)
#define OTHER     16 /* every that many runs another picture runs in between */

static const char *device(void)
{
    const char *wish = getenv("SONO_TEST_DEVICE");
    return wish && *wish ? wish : "cpu";
}

static int32_t n_repeats(void)
{
    const char *text = getenv("SONO_TEST_REPEAT");
    const long wish = text ? strtol(text, NULL, 10) : 0;
    if (wish > 0 && wish <= 1000000)
        return (int32_t)wish;
    return strcmp(device(), "cpu") == 0 ? 4 : 1000;
}

/* Everything of a packet that the frame decides. */
typedef struct result {
    sono_state state;
    int32_t class_id;
    float bbox_xyxy_px[4], score, iou_predicted;
    int64_t mask_area_px;
    uint8_t mask[N_PIXELS];
    uint8_t maps[3][N_PIXELS]; /* edge, inside, outside */
} result;

static void take(const sono_packet *packet, result *out)
{
    const sono_object *object = sono_packet_object(packet, 0);
    assert_int_equal(packet->n_objects, 1);
    assert_int_equal(packet->width_px * packet->height_px, N_PIXELS);
    memset(out, 0, sizeof *out);
    out->state = packet->state;
    out->class_id = object->class_id;
    memcpy(out->bbox_xyxy_px, object->bbox_xyxy_px, sizeof out->bbox_xyxy_px);
    out->score = object->score;
    out->iou_predicted = object->iou_predicted;
    out->mask_area_px = object->mask_area_px;
    memcpy(out->mask, packet_mask(packet, 0), sizeof out->mask);
    for (int i = 0; i < 3; i++)
        memcpy(out->maps[i], packet_map(packet, 0, (sono_map)(SONO_MAP_EDGE + i)), sizeof out->maps[i]);
}

static int64_t count_differing(const void *a, const void *b, size_t n_bytes)
{
    int64_t n = 0;
    for (size_t i = 0; i < n_bytes; i++)
        n += ((const uint8_t *)a)[i] != ((const uint8_t *)b)[i];
    return n;
}

static void expect_same(const result *first, const result *again, int32_t run)
{
    if (memcmp(first, again, sizeof *first) == 0)
        return;
    fail_msg("run %d: box %.9g %.9g %.9g %.9g, was %.9g %.9g %.9g %.9g; score %.9g, was %.9g; "
             "%lld mask bytes and %lld map bytes differ",
             run, (double)again->bbox_xyxy_px[0], (double)again->bbox_xyxy_px[1],
             (double)again->bbox_xyxy_px[2], (double)again->bbox_xyxy_px[3], (double)first->bbox_xyxy_px[0],
             (double)first->bbox_xyxy_px[1], (double)first->bbox_xyxy_px[2], (double)first->bbox_xyxy_px[3],
             (double)again->score, (double)first->score,
             (long long)count_differing(first->mask, again->mask, sizeof first->mask),
             (long long)count_differing(first->maps, again->maps, sizeof first->maps));
}

static sono_pipeline *open_pipeline(sono_precision precision)
{
    sono_pipeline_config config;
    char path[SONO_TEST_PATH_BYTES];
    if (sono_test_shared(path, sizeof path, "checkpoints/dfine_s_bone.pth"))
        pipeline_fixture_real(&config);
    else
        pipeline_fixture_synthetic(&config);
    config.device = device();
    config.precision = precision;
    config.threshold = 0.0f;
    config.want_weight_maps = 1;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    const sono_status status = sono_pipeline_open(&config, &pipeline, &error);
    if (status == SONO_STATUS_NO_DEVICE)
        sono_test_skip(error.text);
    assert_ok(status, &error);
    return pipeline;
}

/* Runs both slots' frames at once: what one of them leaves behind must not reach the other. */
static void run_pair(sono_pipeline *pipeline, const sono_frame *frame, const result *first, result *again,
                     int32_t run)
{
    const sono_packet *packets[2] = {NULL, NULL};
    sono_error error = {0};
    for (int i = 0; i < 2; i++)
        assert_ok(sono_pipeline_submit(pipeline, &frame->image, &frame->info, &error), &error);
    for (int i = 0; i < 2; i++)
        assert_ok(sono_pipeline_receive(pipeline, &packets[i], &error), &error);
    for (int i = 0; i < 2; i++) {
        take(packets[i], again);
        expect_same(first, again, run + i);
        assert_ok(sono_packet_release(pipeline, packets[i]), NULL);
    }
}

static void run_one(sono_pipeline *pipeline, const sono_frame *frame, result *out)
{
    const sono_packet *packet = pipeline_fixture_run(pipeline, frame);
    take(packet, out);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

static void check(sono_precision precision)
{
    static uint8_t pixels[N_PIXELS], others[N_PIXELS];
    synthetic_image(WIDTH_PX, HEIGHT_PX, pixels);
    for (int i = 0; i < N_PIXELS; i++)
        others[i] = (uint8_t)(255 - pixels[N_PIXELS - 1 - i]);
    const sono_frame frame = {.image = {.struct_size = sizeof(sono_image),
                                        .pixels = pixels,
                                        .width_px = WIDTH_PX,
                                        .height_px = HEIGHT_PX,
                                        .format = SONO_PIXEL_GRAY8},
                              .info = {.struct_size = sizeof(sono_frame_info)}};
    sono_frame other = frame;
    other.image.pixels = others;
    sono_pipeline *pipeline = open_pipeline(precision);
    result *first = sono_alloc(sizeof *first), *again = sono_alloc(sizeof *again);
    assert_non_null(first);
    assert_non_null(again);
    const int32_t n = n_repeats();
    run_one(pipeline, &frame, first);
    for (int32_t run = 1; run < n; run += 2) {
        if (run % OTHER == 1)
            run_one(pipeline, &other, again);
        run_pair(pipeline, &frame, first, again, run);
    }
    print_message("%d runs on %s, %s: state %s, score %.6f, area %lld px, all the same\n", n, device(),
                  sono_precision_name(precision), sono_state_name(first->state), (double)first->score,
                  (long long)first->mask_area_px);
    sono_pipeline_close(pipeline);
    sono_free(first);
    sono_free(again);
}

static void test_fp32(void **state)
{
    (void)state;
    check(SONO_PRECISION_FP32);
}

static void test_fp16(void **state)
{
    (void)state;
    if (strcmp(device(), "cpu") == 0)
        sono_test_skip("the CPU has no fp16");
    check(SONO_PRECISION_FP16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fp32), cmocka_unit_test(test_fp16)};
    return sono_test_run("pipeline/repeat", tests, sizeof tests / sizeof tests[0]);
}
