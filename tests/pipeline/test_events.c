// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* What a pipeline's events state about frames: only what came back from the engine, on an engine that
 * computes nothing. */
#include "null_engine.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static char heard[4096]; /* all lines from "event=" on, without times and what open says */

static void listen_to(void *user, const sono_event *event)
{
    (void)user;
    char line[400];
    const size_t n = strlen(heard);
    if (event->kind == SONO_EVENT_INIT_MODELS || event->kind == SONO_EVENT_WARMUP ||
        event->kind == SONO_EVENT_FAMILY_ASSUMED)
        return;
    sono_event_format(event, line, sizeof line);
    char *latency = strstr(line, "latency_ms=");
    if (latency)
        *latency = '\0';
    snprintf(heard + n, sizeof heard - n, "%s%s\n", strstr(line, "event=") + 6,
             latency ? strstr(latency + 1, "conf=") : "");
}

static int reset(void **state)
{
    (void)state;
    null_engine_gate(0);
    null_engine_fail(SONO_STATUS_OK, SONO_STATUS_OK);
    null_engine_place(-1, -1);
    return 0;
}

static sono_pipeline *open_heard(int32_t batch)
{
    heard[0] = '\0';
    return null_engine_open(2, batch, 0, listen_to, NULL);
}

static void submit(sono_pipeline *pipeline, uint64_t frame_id, uint8_t value, sono_status expected)
{
    const sono_frame frame = null_engine_frame(frame_id, value);
    sono_error error = {0};
    assert_status(expected, sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
}

static void receive(sono_pipeline *pipeline, sono_status expected)
{
    const sono_packet *packet = NULL;
    sono_error error = {0};
    assert_status(expected, sono_pipeline_receive(pipeline, &packet, &error), &error);
    if (packet)
        assert_ok(sono_packet_release(pipeline, packet), NULL);
}

/* The segmenter is said to have run where its result counts, and nowhere else. */
static void test_lost_and_visible(void **state)
{
    (void)state;
    null_engine_gate(1);
    sono_pipeline *pipeline = open_heard(1);
    submit(pipeline, 1, 51, SONO_STATUS_OK);
    receive(pipeline, SONO_STATUS_OK);
    submit(pipeline, 2, 204, SONO_STATUS_OK);
    receive(pipeline, SONO_STATUS_OK);
    sono_pipeline_close(pipeline);
    assert_string_equal(heard, "frame_in frame=1 width=16 height=16 format=1 device=cpu\n"
                               "infer_frame frame=1 conf=0.2000 state=LOST\n"
                               "frame_in frame=2 width=16 height=16 format=1 device=cpu\n"
                               "sam_call_start frame=2 bbox_device=cpu image_device=cpu\n"
                               "sam_call_end frame=2 mask_device=cpu\n"
                               "infer_frame frame=2 conf=0.8000 state=VISIBLE\n");
}

/* Nothing is said before the results are there. */
static void test_not_before_it_was_seen(void **state)
{
    (void)state;
    sono_pipeline *pipeline = open_heard(1);
    sono_wait_result result;
    null_engine_hold(1);
    submit(pipeline, 1, 204, SONO_STATUS_OK);
    assert_ok(sono_pipeline_wait(pipeline, 50 * 1000 * 1000, &result, NULL), NULL);
    assert_int_equal(result, SONO_WAIT_TIMEOUT);
    submit(pipeline, 2, 204, SONO_STATUS_OK);
    submit(pipeline, 3, 204, SONO_STATUS_AGAIN); /* the last thing said before the frames are let go */
    null_engine_hold(0);
    receive(pipeline, SONO_STATUS_OK);
    receive(pipeline, SONO_STATUS_OK);
    sono_pipeline_close(pipeline);
    const char *drop = strstr(heard, "drop frame=3 reason=no_free_slot\n");
    assert_non_null(drop);
    assert_true(strstr(heard, "sam_call_start") > drop && strstr(heard, "sam_call_end") > drop);
}

/* In a batch each frame is told of by itself; those that only fill it up are not. */
static void test_batch(void **state)
{
    (void)state;
    null_engine_gate(1);
    sono_pipeline *pipeline = open_heard(3);
    submit(pipeline, 1, 51, SONO_STATUS_OK);
    submit(pipeline, 2, 204, SONO_STATUS_OK);
    assert_ok(sono_pipeline_flush(pipeline, NULL), NULL);
    receive(pipeline, SONO_STATUS_OK);
    receive(pipeline, SONO_STATUS_OK);
    sono_pipeline_close(pipeline);
    assert_non_null(strstr(heard, "infer_frame frame=1 conf=0.2000 state=LOST\n"
                                  "sam_call_start frame=2 bbox_device=cpu image_device=cpu\n"
                                  "sam_call_end frame=2 mask_device=cpu\n"
                                  "infer_frame frame=2 conf=0.8000 state=VISIBLE\n"));
    assert_null(strstr(heard, "sam_call_start frame=1"));
}

/* Devices are what the engine found, whatever the pipeline was opened for ("null"). */
static void test_devices(void **state)
{
    (void)state;
    static const struct {
        int32_t masks, others;
        const char *expected;
    } cases[] = {
        {3, 3, "bbox_device=null:3 image_device=null:3\nsam_call_end frame=1 mask_device=null:3\n"},
        {-1, 0, "bbox_device=null:0 image_device=null:0\nsam_call_end frame=1 mask_device=cpu\n"},
        {0, -2, "bbox_device=unknown image_device=unknown\nsam_call_end frame=1 mask_device=null:0\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        null_engine_place(cases[i].masks, cases[i].others);
        sono_pipeline *pipeline = open_heard(1);
        submit(pipeline, 1, 204, SONO_STATUS_OK);
        receive(pipeline, SONO_STATUS_OK);
        sono_pipeline_close(pipeline);
        if (!strstr(heard, cases[i].expected))
            fail_msg("no %s in:\n%s", cases[i].expected, heard);
    }
}

/* Of a frame that failed, on its way in or after, only that is known. */
static void test_failures(void **state)
{
    (void)state;
    sono_pipeline *pipeline = open_heard(2);
    null_engine_fail(SONO_STATUS_OK, SONO_STATUS_DEVICE);
    submit(pipeline, 1, 204, SONO_STATUS_OK);
    submit(pipeline, 2, 204, SONO_STATUS_OK);
    receive(pipeline, SONO_STATUS_DEVICE);
    receive(pipeline, SONO_STATUS_DEVICE);
    null_engine_fail(SONO_STATUS_DEVICE, SONO_STATUS_OK);
    submit(pipeline, 3, 204, SONO_STATUS_OK);
    submit(pipeline, 4, 204, SONO_STATUS_DEVICE);
    sono_pipeline_close(pipeline);
    for (int i = 1; i <= 4; i++) {
        char lost[80];
        snprintf(lost, sizeof lost, "device_error frame=%d status=SONO_STATUS_DEVICE\n", i);
        assert_non_null(strstr(heard, lost));
    }
    assert_null(strstr(heard, "sam_call"));
    assert_null(strstr(heard, "infer_frame"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_lost_and_visible, reset),
        cmocka_unit_test_teardown(test_not_before_it_was_seen, reset),
        cmocka_unit_test_teardown(test_batch, reset),
        cmocka_unit_test_teardown(test_devices, reset),
        cmocka_unit_test_teardown(test_failures, reset),
    };
    return sono_test_run("pipeline/events", tests, sizeof tests / sizeof tests[0]);
}
