// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=35
/*
 * States of a stream, from the shipped models on a phantom's frames: a bone that is there, goes and comes
 * back. The same frames in batches, and the parts of their packets replayed, give the same states to the bit.
 * SONO_TEST_DEVICE names the device (default cpu).
 */
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "phantom_stream.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define N_PIXELS PHANTOM_STREAM_PIXELS
#define N_FRAMES 8 /* VISIBLE comes with the third good frame, LOST with the third bad one */
#define BATCH    4

static const int is_black[N_FRAMES] = {0, 0, 0, 0, 1, 1, 1, 0};
static const sono_state expected[N_FRAMES] = {
    SONO_STATE_LOST,         SONO_STATE_RELOCALIZING, SONO_STATE_VISIBLE, SONO_STATE_VISIBLE,
    SONO_STATE_RELOCALIZING, SONO_STATE_RELOCALIZING, SONO_STATE_LOST,    SONO_STATE_LOST};

typedef struct result {
    sono_state state;
    sono_parts parts;
    sono_state_report report;
    float bbox_xyxy_px[4];
    int64_t mask_area_px, n_set;
} result;

static uint8_t pictures[N_FRAMES][N_PIXELS];
static sono_frame frames[N_FRAMES];
static result one_by_one[N_FRAMES], batched[N_FRAMES];

static int is_on_cpu(void)
{
    const char *device = getenv("SONO_TEST_DEVICE");
    return !device || !*device || !strcmp(device, "cpu");
}

static int make_frames(void **state)
{
    (void)state;
    phantom_stream_read(SONO_PHANTOM_ARCHED, N_FRAMES, pictures, frames);
    for (int i = 0; i < N_FRAMES; i++)
        if (is_black[i])
            memset(pictures[i], 0, sizeof pictures[i]);
    return 0;
}

static sono_pipeline *open_with(sono_state_mode mode, int32_t batch)
{
    sono_pipeline_config config;
    pipeline_fixture_shipped_half(&config);
    config.state_mode = mode;
    config.batch = batch;
    config.n_slots = 2;
    return pipeline_fixture_open(&config);
}

static void take(const sono_packet *packet, result *out)
{
    const sono_object *object = sono_packet_object(packet, 0);
    const uint8_t *mask = packet_mask(packet, 0);
    assert_non_null(sono_packet_parts(packet));
    assert_non_null(sono_packet_report(packet));
    memset(out, 0, sizeof *out);
    out->state = packet->state;
    out->parts = *sono_packet_parts(packet);
    out->report = *sono_packet_report(packet);
    memcpy(out->bbox_xyxy_px, object->bbox_xyxy_px, sizeof out->bbox_xyxy_px);
    out->mask_area_px = object->mask_area_px;
    for (int i = 0; i < N_PIXELS; i++)
        out->n_set += mask[i] != 0;
}

static void run_all(sono_pipeline *pipeline, int32_t batch, result *out)
{
    sono_error error = {0};
    for (int i = 0; i < N_FRAMES; i += batch) {
        for (int k = i; k < i + batch; k++)
            assert_ok(sono_pipeline_submit(pipeline, &frames[k].image, &frames[k].info, &error), &error);
        for (int k = i; k < i + batch; k++) {
            const sono_packet *packet = NULL;
            assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
            take(packet, &out[k]);
            assert_ok(sono_packet_release(pipeline, packet), NULL);
        }
    }
}

static void say(int i, const result *r)
{
    const sono_parts *p = &r->parts;
    print_message(
        "frame %d: %s, quality %d, agreement %d; score %d iou %d sharpness %d contrast %d shadow %d "
        "continuity %d agreement %d surface %d, moved %d %d\n",
        i, sono_state_name(r->state), r->report.quality, r->report.agreement, p->score, p->iou, p->sharpness,
        p->contrast, p->shadow, p->continuity, p->agreement, p->surface, p->moved_x, p->moved_y);
}

static void test_a_bone_goes_and_comes_back(void **state)
{
    (void)state;
    sono_pipeline *pipeline = open_with(SONO_STATE_BY_STREAM, 1);
    run_all(pipeline, 1, one_by_one);
    sono_pipeline_close(pipeline);
    for (int i = 0; i < N_FRAMES; i++)
        say(i, &one_by_one[i]);
    for (int i = 0; i < N_FRAMES; i++) {
        const result *r = &one_by_one[i];
        assert_int_equal(r->state, expected[i]);
        assert_int_equal(r->report.state, expected[i]);
        assert_int_equal(r->mask_area_px, r->n_set);
        const int is_shown = !is_black[i] && r->state != SONO_STATE_LOST;
        assert_int_equal(r->n_set > 0, is_shown);
        assert_int_equal(r->bbox_xyxy_px[2] > 0, is_shown);
    }
}

/* Frames of one batch are judged one after the other, too. On a GPU a batch's products are summed in another
 * order, so that parts may differ by a thousandth or two: there only the states must be the same. */
static void test_batches(void **state)
{
    (void)state;
    sono_pipeline *pipeline = open_with(SONO_STATE_BY_STREAM, BATCH);
    run_all(pipeline, BATCH, batched);
    sono_pipeline_close(pipeline);
    for (int i = 0; i < N_FRAMES; i++) {
        assert_int_equal(batched[i].state, one_by_one[i].state);
        if (!is_on_cpu())
            continue;
        assert_memory_equal(&batched[i].parts, &one_by_one[i].parts, sizeof batched[i].parts);
        assert_memory_equal(&batched[i].report, &one_by_one[i].report, sizeof batched[i].report);
        assert_int_equal(batched[i].n_set, one_by_one[i].n_set);
    }
}

static void test_replay(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_shipped_half(&config); /* without models nothing was run: skipped */
    sono_state_machine *machine = NULL;
    sono_state_report report;
    sono_error error = {0};
    sono_state_report_init(&report);
    assert_ok(sono_state_machine_open(NULL, SONO_STATE_BY_STREAM, &machine, &error), &error);
    for (int i = 0; i < N_FRAMES; i++) {
        assert_ok(sono_state_machine_step(machine, &one_by_one[i].parts, frames[i].info.timestamp_ns,
                                          PHANTOM_STREAM_WIDTH_PX, PHANTOM_STREAM_HEIGHT_PX, &report, &error),
                  &error);
        assert_memory_equal(&report, &one_by_one[i].report, sizeof report);
    }
    sono_state_machine_close(machine);
}

/* A reset forgets: what was VISIBLE has to be seen anew. By itself the same frame is VISIBLE at once. */
static void test_reset_and_by_frame(void **state)
{
    (void)state;
    result again[N_FRAMES];
    sono_pipeline *pipeline = open_with(SONO_STATE_BY_STREAM, 1);
    for (int i = 0; i < 4; i++) {
        if (i == 3)
            assert_ok(sono_pipeline_reset_stream(pipeline), NULL);
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frames[i]);
        take(packet, &again[i]);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
    assert_int_equal(again[2].state, SONO_STATE_VISIBLE);
    assert_int_equal(again[3].state, SONO_STATE_LOST);
    assert_int_equal(again[3].report.reasons & SONO_STATE_BEGAN, SONO_STATE_BEGAN);
    assert_int_equal(again[3].parts.agreement, -1);
    pipeline = open_with(SONO_STATE_BY_FRAME, 1);
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frames[3]);
    assert_int_equal(packet->state, SONO_STATE_VISIBLE);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
    assert_int_equal(sono_pipeline_reset_stream(NULL), SONO_STATUS_INVALID_ARGUMENT);
}

static void test_refused(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    pipeline_fixture_shipped_half(&config);
    config.state_mode = SONO_STATE_BY_STREAM;
    config.segmenter_path = NULL;
    assert_int_equal(sono_pipeline_open(&config, &pipeline, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "state_mode"));
    config.state_mode = (sono_state_mode)7;
    assert_int_equal(sono_pipeline_open(&config, &pipeline, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "state_mode is 7"));
    assert_null(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bone_goes_and_comes_back),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_reset_and_by_frame),
        cmocka_unit_test(test_refused),
    };
    return sono_test_run_with("pipeline/states", tests, sizeof tests / sizeof tests[0], make_frames, NULL);
}
