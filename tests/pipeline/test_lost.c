// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=30
/* Frames with and without a find in turn, and in one batch: a LOST frame's packet is empty whatever ran
 * before it or runs beside it, and skip_decoder_when_lost changes no packet by a bit. On the checkpoints of
 * SONO_TEST_DETECTOR and SONO_TEST_SEGMENTER, on the device that SONO_TEST_DEVICE names. */
#include "pipeline/pipeline_private.h"
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define SIDE_PX  160
#define N_PIXELS (SIDE_PX * SIDE_PX)
#define N_KINDS  3
#define N_FRAMES 6

/* What a packet said; maps: edge, inside, outside. */
typedef struct result {
    sono_state state;
    float bbox_xyxy_px[4], score, iou_predicted;
    int64_t mask_area_px;
    uint8_t mask[N_PIXELS];
    uint8_t maps[3][N_PIXELS];
} result;

/* Which kind of frame comes when: found after LOST and the other way round, alone and in batches of two. */
static const int order[N_FRAMES] = {0, 1, 2, 0, 1, 1};

/* Three windows on one picture, whose best scores differ. */
static sono_frame frame_of(int kind)
{
    sono_frame frame = pipeline_fixture_frame();
    frame.image.pixels = (const uint8_t *)frame.image.pixels + kind * 80;
    frame.image.pitch_bytes = frame.image.width_px;
    frame.image.width_px = frame.image.height_px = SIDE_PX;
    return frame;
}

static sono_pipeline *open_with(float threshold, int32_t batch, int32_t skip)
{
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.threshold = threshold;
    config.max_width_px = config.max_height_px = SIDE_PX;
    config.want_weight_maps = 1;
    config.batch = batch;
    config.n_slots = 1; /* what a frame leaves behind is what the next one finds */
    config.skip_decoder_when_lost = skip;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    const sono_status status = sono_pipeline_open(&config, &pipeline, &error);
    if (status == SONO_STATUS_UNSUPPORTED && skip)
        sono_test_skip(error.text);
    assert_ok(status, &error);
    return pipeline;
}

static void take(const sono_packet *packet, result *out)
{
    const sono_object *object = sono_packet_object(packet, 0);
    assert_int_equal(packet->width_px * packet->height_px, N_PIXELS);
    memset(out, 0, sizeof *out);
    out->state = packet->state;
    memcpy(out->bbox_xyxy_px, object->bbox_xyxy_px, sizeof out->bbox_xyxy_px);
    out->score = object->score;
    out->iou_predicted = object->iou_predicted;
    out->mask_area_px = object->mask_area_px;
    memcpy(out->mask, packet_mask(packet, 0), sizeof out->mask);
    for (int i = 0; i < 3; i++)
        memcpy(out->maps[i], packet_map(packet, 0, (sono_map)(SONO_MAP_EDGE + i)), sizeof out->maps[i]);
}

static void receive(sono_pipeline *pipeline, result *out)
{
    const sono_packet *packet = NULL;
    sono_error error = {0};
    assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
    take(packet, out);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

/* All frames in that order. */
static void run(float threshold, int32_t batch, int32_t skip, result *out)
{
    sono_error error = {0};
    sono_pipeline *pipeline = open_with(threshold, batch, skip);
    for (int i = 0; i < N_FRAMES; i++) {
        const sono_frame frame = frame_of(order[i]);
        assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
        if ((i + 1) % batch == 0)
            for (int k = i + 1 - batch; k <= i; k++)
                receive(pipeline, &out[k]);
    }
    sono_pipeline_close(pipeline);
}

static int by_value(const void *left, const void *right)
{
    const float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

/* A threshold that one kind of frame does not reach and two do. */
static float threshold_between(const result *results)
{
    float scores[N_KINDS];
    for (int i = 0; i < N_FRAMES; i++)
        scores[order[i]] = results[i].score;
    qsort(scores, N_KINDS, sizeof scores[0], by_value);
    assert_true(scores[0] < scores[1]);
    return 0.5f * (scores[0] + scores[1]);
}

/* want: the packet with threshold 0. */
static void expect(const result *want, const result *got, float threshold)
{
    static result empty;
    empty.state = SONO_STATE_LOST;
    empty.score = want->score;
    const int found = want->score >= threshold;
    assert_int_equal(got->state, found ? SONO_STATE_VISIBLE : SONO_STATE_LOST);
    assert_memory_equal(got, found ? want : &empty, sizeof *got);
}

static void check(int32_t batch, int32_t skip)
{
    static result wanted[2][N_FRAMES], got[N_FRAMES];
    static int is_known[2];
    result *want = wanted[batch - 1];
    int64_t area = 0;
    if (!is_known[batch - 1])
        run(0.0f, batch, 0, want);
    is_known[batch - 1] = 1;
    const float threshold = threshold_between(want);
    run(threshold, batch, skip, got);
    for (int i = 0; i < N_FRAMES; i++) {
        expect(&want[i], &got[i], threshold);
        area += got[i].mask_area_px;
    }
    assert_true(area > 0);
}

static void test_one_by_one(void **state)
{
    (void)state;
    check(1, 0);
}

static void test_one_by_one_skipping(void **state)
{
    (void)state;
    check(1, 1);
}

static void test_batches(void **state)
{
    (void)state;
    check(2, 0);
}

static void test_batches_skipping(void **state)
{
    (void)state;
    check(2, 1);
}

#define UNTOUCHED (-12345.0f)

/* How many of the decoder's predicted IoUs a frame wrote over. */
static int count_written(float threshold, int32_t skip)
{
    sono_pipeline *pipeline = open_with(threshold, 1, skip);
    const sono_program *program = pipeline->flow.program;
    const sono_tid root = sono_program_tensor(program, pipeline->flow.iou)->root;
    const sono_engine_inspect_ops *inspect = pipeline->choice.ops->inspect;
    const sono_frame frame = frame_of(0);
    sono_error error = {0};
    float values[16];
    const int64_t n_values = sono_tensor_count(sono_program_tensor(program, root));
    int n_written = 0;
    assert_in_range(n_values, 1, 16);
    for (int64_t i = 0; i < n_values; i++)
        values[i] = UNTOUCHED;
    assert_ok(inspect->write(pipeline->engine, root, values, &error), &error);
    assert_ok(sono_packet_release(pipeline, pipeline_fixture_run(pipeline, &frame)), NULL);
    assert_ok(inspect->read(pipeline->engine, root, values, &error), &error);
    for (int64_t i = 0; i < n_values; i++)
        n_written += values[i] != UNTOUCHED;
    sono_pipeline_close(pipeline);
    return n_written;
}

/* The CPU never runs it then, a GPU where it was told so. */
static void test_decoder_writes_nothing(void **state)
{
    (void)state;
    assert_true(count_written(0.0f, 1) > 0);
    assert_int_equal(count_written(1.0f, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_one_by_one_skipping),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_batches_skipping),
        cmocka_unit_test(test_decoder_writes_nothing),
    };
    return sono_test_run("pipeline/lost", tests, sizeof tests / sizeof tests[0]);
}
