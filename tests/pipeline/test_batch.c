// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=35
/* Batches: the same results as frame by frame, in the same order, each in its own size; batches that are not
 * full; who may take a slot when. On the checkpoints of SONO_TEST_DETECTOR and SONO_TEST_SEGMENTER. */
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BATCH    3
#define MAX_PX   (320 * 240)
#define N_MAPS   3
#define BOX_PX   1e-3f /* float32 sums may be split up differently for another number of rows */
#define SCORE    1e-5f
#define PER_MILL 1 /* of the mask's pixels may differ */

/* What a packet said; maps: edge, inside, outside. */
typedef struct result {
    uint64_t frame_id;
    int32_t width_px, height_px;
    sono_state state;
    float score, bbox_xyxy_px[4], iou;
    int64_t mask_area_px;
    uint8_t mask[MAX_PX];
    uint8_t maps[N_MAPS][MAX_PX];
} result;

/* A float16 run rounds what a float32 one does not: two orders of the same sums differ by more. */
static int is_cpu(void)
{
    const char *device = getenv("SONO_TEST_DEVICE");
    return !device || strcmp(device, "cpu") == 0;
}

static sono_pipeline *open_batch(int32_t batch, int32_t n_slots, float threshold)
{
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.threshold = threshold;
    config.max_width_px = 320;
    config.max_height_px = 240;
    config.n_slots = n_slots;
    config.batch = batch;
    config.want_weight_maps = 1;
    config.precision = SONO_PRECISION_FP32;
    return pipeline_fixture_open(&config);
}

/* Three frames that differ in size, format and content; number 3 is 0 again. */
static sono_frame frame_of(int32_t i)
{
    static uint8_t wide[MAX_PX * 3];
    const sono_frame whole = pipeline_fixture_frame();
    const uint8_t *from = whole.image.pixels;
    sono_frame frame = whole;
    if (i % 3 == 1) { /* the right half, upside down in brightness, in colour */
        frame.image.width_px = 160;
        frame.image.format = SONO_PIXEL_RGB8;
        frame.image.pitch_bytes = 0;
        for (int32_t p = 0; p < 160 * 240; p++)
            memset(wide + 3 * p, 255 - from[p / 160 * 320 + 160 + p % 160], 3);
        frame.image.pixels = wide;
    } else if (i % 3 == 2) { /* a part from the middle, with a pitch */
        frame.image.pixels = from + 40 * 320 + 31;
        frame.image.width_px = 201;
        frame.image.height_px = 133;
        frame.image.pitch_bytes = 320;
    }
    frame.info.frame_id = (uint64_t)i;
    return frame;
}

static void take(const sono_packet *packet, result *out)
{
    const sono_object *o = sono_packet_object(packet, 0);
    const size_t n = (size_t)packet->width_px * (size_t)packet->height_px;
    memset(out, 0, sizeof *out);
    out->frame_id = packet->info->frame_id;
    out->width_px = packet->width_px;
    out->height_px = packet->height_px;
    out->state = packet->state;
    out->score = o->score;
    out->iou = o->iou_predicted;
    out->mask_area_px = o->mask_area_px;
    memcpy(out->bbox_xyxy_px, o->bbox_xyxy_px, sizeof out->bbox_xyxy_px);
    memcpy(out->mask, packet_mask(packet, 0), n);
    for (int i = 0; i < N_MAPS; i++)
        memcpy(out->maps[i], packet_map(packet, 0, (sono_map)(SONO_MAP_EDGE + i)), n);
}

static void expect_same(const result *want, const result *got)
{
    const int64_t n = (int64_t)want->width_px * want->height_px;
    int64_t mask_differs = 0, map_differs = 0, area = 0;
    assert_int_equal(got->frame_id, want->frame_id);
    assert_int_equal(got->width_px, want->width_px);
    assert_int_equal(got->height_px, want->height_px);
    assert_int_equal(got->state, want->state);
    assert_true(fabsf(got->score - want->score) <= SCORE);
    assert_true(fabsf(got->iou - want->iou) <= 1e-3f);
    for (int i = 0; i < 4; i++)
        assert_true(fabsf(got->bbox_xyxy_px[i] - want->bbox_xyxy_px[i]) <= BOX_PX);
    for (int64_t i = 0; i < n; i++) {
        mask_differs += got->mask[i] != want->mask[i];
        area += got->mask[i] != 0;
        for (int m = 0; m < N_MAPS; m++)
            map_differs += got->maps[m][i] != want->maps[m][i];
    }
    assert_int_equal(area, got->mask_area_px);
    print_message("frame %d: %lld mask pixels and %lld map values differ of %lld\n", (int)want->frame_id,
                  (long long)mask_differs, (long long)map_differs, (long long)n);
    assert_true(mask_differs * 1000 <= PER_MILL * n);
    assert_true(map_differs * 1000 <= 20 * PER_MILL * n);
}

static void submit(sono_pipeline *pipeline, int32_t i)
{
    sono_error error = {0};
    const sono_frame frame = frame_of(i);
    assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
}

static const sono_packet *receive(sono_pipeline *pipeline)
{
    const sono_packet *packet = NULL;
    sono_error error = {0};
    assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
    return packet;
}

static void expect_end(sono_pipeline *pipeline)
{
    const sono_packet *packet = NULL;
    assert_status(SONO_STATUS_END, sono_pipeline_receive(pipeline, &packet, NULL), NULL);
    assert_null(packet);
}

/* The three frames one by one. */
static void run_alone(result *want)
{
    sono_pipeline *pipeline = open_batch(1, 1, 0.0f);
    for (int32_t i = 0; i < BATCH; i++) {
        const sono_frame frame = frame_of(i);
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        take(packet, &want[i]);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
}

static void receive_and_compare(sono_pipeline *pipeline, const result *want, result *got)
{
    const sono_packet *packet = receive(pipeline);
    take(packet, got);
    got->frame_id %= BATCH;
    expect_same(&want[got->frame_id], got);
    assert_true(packet->latency_ms > 0);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

/* A full batch, one of two frames, one of one: what an earlier batch left in the slot must not matter. */
static void test_same_as_alone(void **state)
{
    (void)state;
    static result want[BATCH], got;
    run_alone(want);
    sono_pipeline *pipeline = open_batch(BATCH, 1, 0.0f);
    for (int32_t n = BATCH; n > 0; n--) {
        for (int32_t i = 0; i < n; i++)
            submit(pipeline, i);
        if (n < BATCH) {
            expect_end(pipeline);
            assert_ok(sono_pipeline_flush(pipeline, NULL), NULL);
        }
        for (int32_t i = 0; i < n; i++) {
            receive_and_compare(pipeline, want, &got);
            assert_int_equal(got.frame_id, i);
        }
        expect_end(pipeline);
        assert_ok(sono_pipeline_flush(pipeline, NULL), NULL); /* nothing to start */
        expect_end(pipeline);
    }
    sono_pipeline_close(pipeline);
}

/* Two slots of two frames, all of them below the threshold, so that the CPU skips the segmenter. */
static void test_order_and_back_pressure(void **state)
{
    (void)state;
    sono_pipeline *pipeline = open_batch(2, 2, 1.0f);
    const sono_frame frame = frame_of(9);
    const sono_packet *packets[4];
    for (int32_t i = 0; i < 3; i++)
        submit(pipeline, i);
    packets[0] = receive(pipeline); /* while the second batch is still being filled */
    submit(pipeline, 3);
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_submit(pipeline, &frame.image, &frame.info, NULL), NULL);
    for (int32_t i = 1; i < 4; i++)
        packets[i] = receive(pipeline);
    expect_end(pipeline);
    for (int32_t i = 0; i < 4; i++) {
        assert_int_equal(packets[i]->info->frame_id, i);
        assert_int_equal(packets[i]->state, SONO_STATE_LOST);
        assert_int_equal(sono_packet_object(packets[i], 0)->mask_area_px, 0);
        assert_int_equal(packets[i]->width_px, frame_of(i).image.width_px);
    }
    /* One of the slot's two packets is not enough; the order of release does not matter. */
    assert_ok(sono_packet_release(pipeline, packets[3]), NULL);
    assert_ok(sono_packet_release(pipeline, packets[0]), NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_release(pipeline, packets[3]), NULL);
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_submit(pipeline, &frame.image, &frame.info, NULL), NULL);
    assert_ok(sono_packet_release(pipeline, packets[2]), NULL);
    submit(pipeline, 4);
    submit(pipeline, 5);
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_submit(pipeline, &frame.image, &frame.info, NULL), NULL);
    assert_ok(sono_packet_release(pipeline, packets[1]), NULL);
    packets[0] = receive(pipeline);
    assert_int_equal(packets[0]->info->frame_id, 4);
    submit(pipeline, 6); /* closing with a batch in flight, one being filled and a packet lent */
    sono_pipeline_close(pipeline);
}

static void refuse(int32_t batch, int32_t max_objects, sono_status wanted)
{
    sono_pipeline *pipeline = NULL;
    sono_pipeline_config config;
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    config.batch = batch;
    config.max_objects = max_objects;
    assert_status(wanted, sono_pipeline_open(&config, &pipeline, &error), NULL);
    assert_non_null(strstr(error.text, "batch"));
}

static void test_refuses(void **state)
{
    (void)state;
    refuse(0, 1, SONO_STATUS_INVALID_ARGUMENT);
    refuse(33, 1, SONO_STATUS_INVALID_ARGUMENT);
    refuse(2, 2, SONO_STATUS_UNSUPPORTED);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_flush(NULL, NULL), NULL);
}

/* On CUDA: a batch crosses as one frame does, and every packet's share of the ledger is there once. */
static void test_ledger(void **state)
{
    (void)state;
    if (is_cpu())
        sono_test_skip("nothing crosses on the CPU");
    sono_pipeline *pipeline = open_batch(2, 1, 0.0f);
    submit(pipeline, 0);
    submit(pipeline, 1);
    const sono_packet *first = receive(pipeline), *second = receive(pipeline);
    const sono_ledger_totals none = {0};
    assert_int_equal(first->ledger.n_h2d, 1);
    assert_int_equal(first->ledger.n_launches, 1);
    assert_int_equal(first->ledger.n_d2h, 1);
    assert_int_equal(first->ledger.n_waits, 1);
    assert_int_equal(first->ledger.n_allocations, 0);
    assert_memory_equal(&second->ledger, &none, sizeof none);
    sono_pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_alone),
        cmocka_unit_test(test_order_and_back_pressure),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_ledger),
    };
    return sono_test_run("pipeline/batch", tests, sizeof tests / sizeof tests[0]);
}
