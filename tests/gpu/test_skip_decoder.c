// SPDX-License-Identifier: Apache-2.0
// labels: slow serial timeout=300
/* skip_decoder_when_lost on a GPU: the mask decoder takes no time in a frame without a find and runs in the
 * next one with one, a frame costs what it costs without, and the device's time is known when it is asked
 * for. That packets are the same: tests/pipeline/test_lost.c. Needs the synthetic checkpoints
 * (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER). */
#include "support/gpu_fixture.h"
#include "test.h"

#define N_FRAMES 20

static sono_pipeline *open_with(float threshold, int32_t skip)
{
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    gpu_fixture_synthetic(&config);
    config.threshold = threshold;
    config.skip_decoder_when_lost = skip;
    config.time_device = 1;
    const sono_status status = sono_pipeline_open(&config, &pipeline, &error);
    if (status == SONO_STATUS_UNSUPPORTED && skip)
        sono_test_skip(error.text);
    assert_ok(status, &error);
    return pipeline;
}

/* The shortest decode stage of some frames that are all in that state, ms. */
static double decode_ms(float threshold, int32_t skip, sono_state state)
{
    sono_pipeline *pipeline = open_with(threshold, skip);
    const sono_frame frame = pipeline_fixture_frame();
    double best_ms = 1e9;
    for (int i = 0; i < N_FRAMES; i++) {
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        assert_int_equal(packet->state, state);
        assert_int_equal(packet->ledger.n_launches, 1);
        assert_int_equal(packet->ledger.n_h2d, 1);
        assert_int_equal(packet->ledger.n_d2h, 1);
        assert_int_equal(packet->ledger.n_waits, 1);
        assert_int_equal(packet->ledger.n_allocations, 0);
        assert_true(packet->device_ms > sono_packet_stage_ms(packet, SONO_STAGE_DETECT));
        assert_true(packet->device_ms < packet->latency_ms);
        if (sono_packet_stage_ms(packet, SONO_STAGE_DECODE) < best_ms)
            best_ms = sono_packet_stage_ms(packet, SONO_STAGE_DECODE);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
    return best_ms;
}

static void test_decoder_is_left_out(void **state)
{
    (void)state;
    const double always_found_ms = decode_ms(0.0f, 0, SONO_STATE_VISIBLE),
                 always_lost_ms = decode_ms(1.0f, 0, SONO_STATE_LOST),
                 found_ms = decode_ms(0.0f, 1, SONO_STATE_VISIBLE),
                 lost_ms = decode_ms(1.0f, 1, SONO_STATE_LOST);
    print_message("decode: always run %.3f ms found, %.3f ms LOST; with a condition %.3f and %.3f ms\n",
                  always_found_ms, always_lost_ms, found_ms, lost_ms);
    assert_true(lost_ms < 0.5 * always_lost_ms);
    assert_true(found_ms > 0.5 * always_found_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decoder_is_left_out)};
    return sono_test_run("gpu/skip_decoder", tests, sizeof tests / sizeof tests[0]);
}
