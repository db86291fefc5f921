// SPDX-License-Identifier: Apache-2.0
// labels: threads timeout=300
/* Waiting, waking, shutting down, lending and closing, on an engine that computes nothing. */
#include "null_engine.h"
#include "test.h"

#include "base/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define N_FRAMES 10000
#define MS       ((int64_t)1000000)

static sono_wait_result wait_for(sono_pipeline *pipeline, int64_t timeout_ns)
{
    sono_wait_result result = (sono_wait_result)0;
    sono_error error = {0};
    assert_ok(sono_pipeline_wait(pipeline, timeout_ns, &result, &error), &error);
    return result;
}

static void submit(sono_pipeline *pipeline, uint64_t frame_id)
{
    const sono_frame frame = null_engine_frame(frame_id, (uint8_t)frame_id);
    sono_error error = {0};
    assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
}

static const sono_packet *receive(sono_pipeline *pipeline, uint64_t frame_id)
{
    const sono_packet *packet = NULL;
    sono_error error = {0};
    assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
    null_engine_expect(packet, frame_id, (uint8_t)frame_id);
    return packet;
}

static void receive_and_release(sono_pipeline *pipeline, uint64_t frame_id)
{
    assert_ok(sono_packet_release(pipeline, receive(pipeline, frame_id)), NULL);
}

/* ---- one thread ---- */

static void test_timeout(void **state)
{
    (void)state;
    sono_pipeline *pipeline = null_engine_open(2, 1, 0, NULL, NULL);
    assert_int_equal(wait_for(pipeline, 0), SONO_WAIT_TIMEOUT);
    const int64_t start_ns = sono_clock_ns();
    assert_int_equal(wait_for(pipeline, 20 * MS), SONO_WAIT_TIMEOUT);
    assert_true(sono_clock_ns() - start_ns >= 20 * MS);
    sono_pipeline_close(pipeline);
}

/* READY before WOKEN before TIMEOUT; wakes collapse into one, and stay until they were told. */
static void test_precedence(void **state)
{
    (void)state;
    sono_pipeline *pipeline = null_engine_open(2, 1, 0, NULL, NULL);
    assert_ok(sono_pipeline_wake(pipeline), NULL);
    assert_ok(sono_pipeline_wake(pipeline), NULL);
    submit(pipeline, 1);
    while (wait_for(pipeline, -1) == SONO_WAIT_WOKEN)
        assert_ok(sono_pipeline_wake(pipeline), NULL); /* the frame was not done yet */
    assert_int_equal(wait_for(pipeline, 0), SONO_WAIT_READY);
    assert_int_equal(wait_for(pipeline, 0), SONO_WAIT_READY);
    receive_and_release(pipeline, 1);
    assert_int_equal(wait_for(pipeline, -1), SONO_WAIT_WOKEN);
    assert_int_equal(wait_for(pipeline, 0), SONO_WAIT_TIMEOUT);
    sono_pipeline_close(pipeline);
}

/* Every packet of a batch is told of; a batch that is not full is started by the shutdown. */
static void test_batch_and_shutdown(void **state)
{
    (void)state;
    sono_pipeline *pipeline = null_engine_open(2, 3, 0, NULL, NULL);
    const sono_packet *packet = NULL;
    sono_wait_result result;
    sono_error error = {0};
    for (uint64_t id = 0; id < 5; id++)
        submit(pipeline, id);
    assert_ok(sono_pipeline_shutdown(pipeline, &error), &error);
    assert_ok(sono_pipeline_shutdown(pipeline, &error), &error);
    const sono_frame late = null_engine_frame(9, 9);
    assert_status(SONO_STATUS_STATE, sono_pipeline_submit(pipeline, &late.image, &late.info, &error), &error);
    for (uint64_t id = 0; id < 5; id++) {
        assert_int_equal(wait_for(pipeline, -1), SONO_WAIT_READY);
        receive_and_release(pipeline, id);
    }
    assert_status(SONO_STATUS_END, sono_pipeline_wait(pipeline, -1, &result, &error), &error);
    assert_status(SONO_STATUS_END, sono_pipeline_receive(pipeline, &packet, &error), &error);
    sono_pipeline_close(pipeline);
}

static int is_readable(int32_t descriptor, int timeout_ms)
{
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    return poll(&poller, 1, timeout_ms) == 1;
}

static void test_event_descriptor(void **state)
{
    (void)state;
    sono_pipeline *pipeline = null_engine_open(2, 1, 0, NULL, NULL);
    sono_error error = {0};
    int32_t descriptor = -1, again = -1;
    submit(pipeline, 1);
    assert_int_equal(wait_for(pipeline, -1), SONO_WAIT_READY);
    assert_ok(sono_pipeline_event_fd(pipeline, &descriptor, &error), &error);
    assert_ok(sono_pipeline_event_fd(pipeline, &again, &error), &error);
    assert_int_equal(descriptor, again);
    assert_true(is_readable(descriptor, 0)); /* what was there before it was asked for */
    receive_and_release(pipeline, 1);
    assert_false(is_readable(descriptor, 0));
    assert_ok(sono_pipeline_wake(pipeline), NULL);
    assert_true(is_readable(descriptor, 0));
    assert_int_equal(wait_for(pipeline, 0), SONO_WAIT_WOKEN);
    assert_false(is_readable(descriptor, 0));
    submit(pipeline, 2);
    submit(pipeline, 3);
    for (uint64_t id = 2; id < 4; id++) {
        assert_true(is_readable(descriptor, 10000));
        receive_and_release(pipeline, id);
    }
    assert_false(is_readable(descriptor, 0));
    assert_ok(sono_pipeline_shutdown(pipeline, &error), &error);
    assert_true(is_readable(descriptor, 0));
    sono_pipeline_close(pipeline);
}

/* ---- lent inputs ---- */

static sono_frame in_input(const sono_input *input, uint64_t frame_id, size_t at)
{
    sono_frame frame = null_engine_frame(frame_id, (uint8_t)frame_id);
    memset(input->pixels + at, (uint8_t)frame_id,
           (size_t)frame.image.width_px * (size_t)frame.image.height_px);
    frame.image.pixels = input->pixels + at;
    return frame;
}

/* A newer one may overtake one that is still being filled; each gives its own pixels. */
static void test_lent_inputs(void **state)
{
    (void)state;
    sono_pipeline *pipeline = null_engine_open(3, 1, 0, NULL, NULL);
    const sono_input *inputs[3], *none = NULL;
    sono_error error = {0};
    for (int i = 0; i < 3; i++) {
        assert_ok(sono_pipeline_lend_input(pipeline, &inputs[i], &error), &error);
        assert_true(inputs[i]->n_bytes >= 4 * NULL_ENGINE_SIDE_PX * NULL_ENGINE_SIDE_PX);
        assert_int_equal((uintptr_t)inputs[i]->pixels % 64, 0);
    }
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_lend_input(pipeline, &none, &error), &error);
    const sono_frame newer = in_input(inputs[1], 7, 0), older = in_input(inputs[0], 6, 58);
    assert_ok(sono_input_submit(pipeline, inputs[1], &newer.image, &newer.info, &error), &error);
    assert_ok(sono_input_submit(pipeline, inputs[0], &older.image, &older.info, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_input_submit(pipeline, inputs[0], &older.image, &older.info, &error), &error);
    receive_and_release(pipeline, 7);
    receive_and_release(pipeline, 6);
    assert_ok(sono_input_return(pipeline, inputs[2]), NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_input_return(pipeline, inputs[2]), NULL);
    assert_ok(sono_pipeline_lend_input(pipeline, &inputs[2], &error), &error);
    sono_pipeline_close(pipeline);
}

static void test_lent_inputs_are_checked(void **state)
{
    (void)state;
    sono_pipeline *pipeline = null_engine_open(1, 1, 0, NULL, NULL);
    const sono_input *input = NULL;
    sono_error error = {0};
    assert_ok(sono_pipeline_lend_input(pipeline, &input, &error), &error);
    sono_frame frame = in_input(input, 5, 0);
    const struct {
        const uint8_t *pixels;
        size_t pitch_bytes;
        sono_pixel_format format;
    } wrong[] = {{input->pixels - 1, 0, SONO_PIXEL_GRAY8},
                 {input->pixels + input->n_bytes, 0, SONO_PIXEL_GRAY8},
                 {input->pixels + input->n_bytes - 255, 0, SONO_PIXEL_GRAY8},
                 {input->pixels, input->n_bytes, SONO_PIXEL_GRAY8},
                 {input->pixels + 1, 0, SONO_PIXEL_GRAY16},
                 {input->pixels, 33, SONO_PIXEL_GRAY16}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        sono_frame bad = frame;
        bad.image.pixels = wrong[i].pixels;
        bad.image.pitch_bytes = wrong[i].pitch_bytes;
        bad.image.format = wrong[i].format;
        assert_status(SONO_STATUS_INVALID_ARGUMENT,
                      sono_input_submit(pipeline, input, &bad.image, &bad.info, &error), &error);
    }
    assert_ok(sono_input_submit(pipeline, input, &frame.image, &frame.info, &error), &error);
    receive_and_release(pipeline, 5);
    assert_ok(sono_pipeline_lend_input(pipeline, &input, &error), &error);
    frame = in_input(input, 5, 0);
    assert_ok(sono_pipeline_shutdown(pipeline, &error), &error);
    assert_status(SONO_STATUS_STATE, sono_input_submit(pipeline, input, &frame.image, &frame.info, &error),
                  &error);
    assert_ok(sono_input_return(pipeline, input), NULL);
    assert_status(SONO_STATUS_STATE, sono_pipeline_lend_input(pipeline, &input, &error), &error);
    sono_pipeline_close(pipeline);
    pipeline = null_engine_open(1, 2, 0, NULL, NULL);
    assert_status(SONO_STATUS_UNSUPPORTED, sono_pipeline_lend_input(pipeline, &input, &error), &error);
    sono_pipeline_close(pipeline);
}

/* ---- closing ---- */

/* What is lent outlives the pipeline, whichever goes first. */
static void test_close_before_release(void **state)
{
    (void)state;
    sono_pipeline *pipeline = null_engine_open(2, 1, 0, NULL, NULL);
    submit(pipeline, 1);
    submit(pipeline, 2);
    const sono_packet *first = receive(pipeline, 1), *second = receive(pipeline, 2);
    assert_int_equal(null_engine_count(), 1);
    sono_pipeline_close(pipeline);
    assert_int_equal(null_engine_count(), 1);
    null_engine_expect(first, 1, 1);
    assert_ok(sono_packet_release(pipeline, first), NULL);
    null_engine_expect(second, 2, 2);
    assert_ok(sono_packet_release(pipeline, second), NULL);
    assert_int_equal(null_engine_count(), 0);
}

static void *close_it(void *pipeline)
{
    sono_pipeline_close(pipeline);
    return NULL;
}

static void *release_it(void *packet_and_pipeline)
{
    void **both = packet_and_pipeline;
    assert_ok(sono_packet_release(both[1], both[0]), NULL);
    return NULL;
}

static void test_close_beside_release(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        sono_pipeline *pipeline = null_engine_open(2, 1, 50, NULL, NULL);
        pthread_t threads[2];
        submit(pipeline, 1);
        if (round % 2)
            submit(pipeline, 2); /* in flight while it is closed */
        void *both[2] = {(void *)(uintptr_t)receive(pipeline, 1), pipeline};
        assert_int_equal(pthread_create(&threads[0], NULL, close_it, pipeline), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, release_it, both), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(null_engine_count(), 0);
    }
}

/* ---- two threads and more ---- */

static void *wait_for_ever(void *pipeline)
{
    sono_wait_result result = (sono_wait_result)0;
    const sono_status status = sono_pipeline_wait(pipeline, -1, &result, NULL);
    return (void *)(uintptr_t)(status == SONO_STATUS_OK ? (uintptr_t)result : 100 + (uintptr_t)status);
}

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000 * 1000};
    (void)nanosleep(&pause, NULL);
}

static void test_wake_and_second_waiter(void **state)
{
    (void)state;
    sono_pipeline *pipeline = null_engine_open(2, 1, 0, NULL, NULL);
    const sono_packet *packet = NULL;
    sono_wait_result result;
    sono_error error = {0};
    pthread_t thread;
    void *seen = NULL;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, pipeline), 0);
    while (sono_pipeline_wait(pipeline, 0, &result, &error) != SONO_STATUS_STATE)
        pause_ms(1);
    assert_status(SONO_STATUS_STATE, sono_pipeline_receive(pipeline, &packet, &error), &error);
    assert_ok(sono_pipeline_wake(pipeline), NULL);
    assert_int_equal(pthread_join(thread, &seen), 0);
    assert_int_equal((uintptr_t)seen, SONO_WAIT_WOKEN);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, pipeline), 0);
    pause_ms(2);
    assert_ok(sono_pipeline_shutdown(pipeline, &error), &error);
    assert_int_equal(pthread_join(thread, &seen), 0);
    assert_int_equal((uintptr_t)seen, 100 + SONO_STATUS_END);
    sono_pipeline_close(pipeline);
}

/* A consumer that comes late does not make the frame look slow. */
static void test_latency_is_the_frames_own(void **state)
{
    (void)state;
    sono_pipeline *pipeline = null_engine_open(2, 1, 0, NULL, NULL);
    submit(pipeline, 1);
    assert_int_equal(wait_for(pipeline, -1), SONO_WAIT_READY);
    const int64_t ready_ns = sono_clock_ns();
    pause_ms(50);
    const sono_packet *packet = receive(pipeline, 1);
    assert_true(packet->latency_ms * 1e6 < (double)(sono_clock_ns() - ready_ns));
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
}

typedef struct stream {
    sono_pipeline *pipeline;
    atomic_int stop;
    int32_t uses_inputs;
} stream;

/* AGAIN is no failure: the consumer has the slots. */
static sono_status feed_one(stream *self, uint64_t id)
{
    const sono_input *input = NULL;
    sono_frame frame = null_engine_frame(id, (uint8_t)id);
    if (!self->uses_inputs || id % 3 == 0)
        return sono_pipeline_submit(self->pipeline, &frame.image, &frame.info, NULL);
    sono_status status = sono_pipeline_lend_input(self->pipeline, &input, NULL);
    if (status != SONO_STATUS_OK)
        return status;
    if (id % 5 == 0) { /* cut off in the middle: comes again */
        assert_ok(sono_input_return(self->pipeline, input), NULL);
        status = sono_pipeline_lend_input(self->pipeline, &input, NULL);
        if (status != SONO_STATUS_OK)
            return status;
    }
    frame = in_input(input, id, id % 100);
    status = sono_input_submit(self->pipeline, input, &frame.image, &frame.info, NULL);
    if (status != SONO_STATUS_OK)
        (void)sono_input_return(self->pipeline, input);
    return status;
}

static void *feed(void *user)
{
    stream *self = user;
    for (uint64_t id = 0; id < N_FRAMES;) {
        const sono_status status = feed_one(self, id);
        id += status == SONO_STATUS_OK;
        if (status == SONO_STATUS_STATE)
            return (void *)(uintptr_t)id;
        if (id % 64 == 0)
            (void)sono_pipeline_wake(self->pipeline);
    }
    (void)sono_pipeline_shutdown(self->pipeline, NULL);
    return (void *)(uintptr_t)N_FRAMES;
}

static void *wake_often(void *user)
{
    stream *self = user;
    while (!atomic_load(&self->stop)) {
        (void)sono_pipeline_wake(self->pipeline);
        pause_ms(1);
    }
    return NULL;
}

/* Receives until END; the packets come in order, each once. */
static uint64_t drain(sono_pipeline *pipeline)
{
    uint64_t n = 0;
    for (;;) {
        sono_wait_result result = (sono_wait_result)0;
        const sono_status status = sono_pipeline_wait(pipeline, -1, &result, NULL);
        if (status == SONO_STATUS_END)
            return n;
        assert_int_equal(status, SONO_STATUS_OK);
        if (result == SONO_WAIT_READY)
            receive_and_release(pipeline, n++);
        else
            assert_int_equal(result, SONO_WAIT_WOKEN);
    }
}

static void run_stream(int32_t batch, int32_t n_slots, int32_t uses_inputs)
{
    stream self = {.pipeline = null_engine_open(n_slots, batch, 0, NULL, NULL), .uses_inputs = uses_inputs};
    pthread_t feeder, waker;
    void *n_fed = NULL;
    assert_int_equal(pthread_create(&feeder, NULL, feed, &self), 0);
    assert_int_equal(pthread_create(&waker, NULL, wake_often, &self), 0);
    assert_int_equal(drain(self.pipeline), N_FRAMES);
    assert_int_equal(pthread_join(feeder, &n_fed), 0);
    atomic_store(&self.stop, 1);
    assert_int_equal(pthread_join(waker, NULL), 0);
    sono_pipeline_close(self.pipeline);
    assert_int_equal(null_engine_count(), 0);
}

static void test_many_frames(void **state)
{
    (void)state;
    run_stream(1, 3, 0);
    run_stream(1, 3, 1);
    run_stream(4, 2, 0);
}

/* At any moment: what was taken comes out, what was not is refused, and nobody waits for ever. */
static void test_shutdown_at_any_time(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        stream self = {.pipeline = null_engine_open(1 + round % 4, 1 + round % 3, 20, NULL, NULL)};
        pthread_t feeder;
        void *n_fed = NULL;
        assert_int_equal(pthread_create(&feeder, NULL, feed, &self), 0);
        if (round % 2)
            pause_ms(round % 7);
        assert_ok(sono_pipeline_shutdown(self.pipeline, NULL), NULL);
        const uint64_t n_seen = drain(self.pipeline);
        assert_int_equal(pthread_join(feeder, &n_fed), 0);
        assert_int_equal(n_seen, (uintptr_t)n_fed);
        sono_pipeline_close(self.pipeline);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_batch_and_shutdown),
        cmocka_unit_test(test_event_descriptor),
        cmocka_unit_test(test_lent_inputs),
        cmocka_unit_test(test_lent_inputs_are_checked),
        cmocka_unit_test(test_close_before_release),
        cmocka_unit_test(test_close_beside_release),
        cmocka_unit_test(test_wake_and_second_waiter),
        cmocka_unit_test(test_latency_is_the_frames_own),
        cmocka_unit_test(test_many_frames),
        cmocka_unit_test(test_shutdown_at_any_time),
    };
    return sono_test_run("pipeline/stream", tests, sizeof tests / sizeof tests[0]);
}
