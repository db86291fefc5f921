// SPDX-License-Identifier: Apache-2.0
// labels: threads timeout=600
/*
 * Two threads on one pipeline, as the header allows, and closing in the middle. Every frame is gated
 * (threshold 1), so that the thread sanitizer gets through them; the warm-up frame of each open runs the
 * segmenter too.
 */
#include "support/pipeline_fixture.h"
#include "test.h"

#include <pthread.h>
#include <time.h>

#define N_FRAMES 5

static sono_pipeline *open_gated(int32_t n_slots, int32_t batch)
{
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.threshold = 1.0f;
    config.n_slots = n_slots;
    config.batch = batch;
    return pipeline_fixture_open(&config);
}

/* Leaves the cores to the pipeline before the next try. */
static void wait_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000 * 1000};
    (void)nanosleep(&pause, NULL);
}

/* Submits N_FRAMES frames and starts the last batch; returns NULL, or its argument when one failed. */
static void *feed(void *pipeline)
{
    sono_frame frame = pipeline_fixture_frame();
    frame.info.frame_id = 0;
    while (frame.info.frame_id < N_FRAMES) {
        const sono_status status = sono_pipeline_submit(pipeline, &frame.image, &frame.info, NULL);
        if (status == SONO_STATUS_OK)
            frame.info.frame_id++;
        else if (status == SONO_STATUS_AGAIN)
            wait_ms(2);
        else
            return pipeline;
    }
    return sono_pipeline_flush(pipeline, NULL) == SONO_STATUS_OK ? NULL : pipeline;
}

static void run_two_threads(int32_t batch)
{
    sono_pipeline *pipeline = open_gated(2, batch);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, feed, pipeline), 0);
    for (uint64_t id = 0; id < N_FRAMES;) {
        const sono_packet *packet = NULL;
        const sono_status status = sono_pipeline_receive(pipeline, &packet, NULL);
        if (status == SONO_STATUS_END) {
            wait_ms(2);
            continue;
        }
        assert_ok(status, NULL);
        assert_int_equal(packet->info->frame_id, id);
        assert_int_equal(packet->state, SONO_STATE_LOST);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
        id++;
    }
    void *failed = NULL;
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    sono_pipeline_close(pipeline);
}

static void test_two_threads(void **state)
{
    (void)state;
    run_two_threads(1);
}

static void test_two_threads_in_batches(void **state)
{
    (void)state;
    run_two_threads(2);
}

/* Closing with frames in flight and a packet lent frees all that the packet does not need, and its release
 * the rest (the leak checker sees to that). */
static void test_close_in_flight(void **state)
{
    (void)state;
    sono_pipeline *pipeline = open_gated(3, 1);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, NULL), NULL);
    assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, NULL), NULL);
    sono_pipeline_close(pipeline);
    assert_non_null(sono_packet_object(packet, 0));
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_two_threads_in_batches),
        cmocka_unit_test(test_close_in_flight),
    };
    return sono_test_run("pipeline/threads", tests, sizeof tests / sizeof tests[0]);
}
