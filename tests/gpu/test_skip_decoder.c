// SPDX-License-Identifier: Apache-2.0
// labels: slow serial timeout=300
/* skip_decoder_when_lost on a GPU, counted in kernels that CUPTI saw: a frame without a find runs none of the
 * mask decoder's, the next one with one runs them all, and a frame costs what it costs without. That packets
 * are the same, and that the decoder writes nothing: tests/pipeline/test_lost.c. Needs the synthetic
 * checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER). */
#include "sonoseg/diagnostics.h"
#include "support/gpu_fixture.h"
#include "test.h"

#include <string.h>

#define N_FRAMES 5

/* What one frame ran. */
typedef struct counts {
    int64_t n_kernels;
    int64_t n_gates; /* kernels that decide whether the decoder runs */
    int32_t n_decoder_ops;
} counts;

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

static void run_frame(sono_pipeline *pipeline, sono_state state)
{
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->state, state);
    assert_int_equal(packet->ledger.n_launches, 1);
    assert_int_equal(packet->ledger.n_h2d, 1);
    assert_int_equal(packet->ledger.n_d2h, 1);
    assert_int_equal(packet->ledger.n_waits, 1);
    assert_int_equal(packet->ledger.n_allocations, 0);
    assert_true(packet->device_ms > 0 && packet->device_ms < packet->latency_ms);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

static int64_t count_gates(const sono_trace *trace)
{
    int64_t n_records = 0, n = 0;
    const sono_trace_record *records = sono_trace_records(trace, &n_records);
    for (int64_t i = 0; i < n_records; i++)
        n += records[i].kind == SONO_TRACE_KERNEL && strcmp(records[i].name, "gate_kernel") == 0;
    return n;
}

/* Frames that are all in that state run the same kernels each. */
static counts count(float threshold, int32_t skip, sono_state state)
{
    sono_trace *trace = NULL;
    sono_trace_totals seen;
    sono_audit_counts facts;
    sono_error error = {0};
    gpu_fixture_need();
    if (sono_trace_open(&trace, &error) != SONO_STATUS_OK)
        sono_test_skip(error.text);
    sono_pipeline *pipeline = open_with(threshold, skip);
    assert_ok(sono_trace_start(trace, &error), &error);
    for (int i = 0; i < N_FRAMES; i++)
        run_frame(pipeline, state);
    assert_ok(sono_trace_stop(trace, &seen, &error), &error);
    assert_int_equal(seen.n_dropped, 0);
    const int64_t n_gates = count_gates(trace);
    assert_ok(sono_pipeline_audit(pipeline, &facts), NULL);
    sono_pipeline_close(pipeline);
    sono_trace_close(trace);
    assert_int_equal(seen.n_kernels % N_FRAMES, 0);
    assert_int_equal(n_gates % N_FRAMES, 0);
    return (counts){seen.n_kernels / N_FRAMES, n_gates / N_FRAMES, facts.n_ops[SONO_STAGE_DECODE]};
}

static void test_decoder_is_left_out(void **state)
{
    (void)state;
    const counts always_found = count(0.0f, 0, SONO_STATE_VISIBLE),
                 always_lost = count(1.0f, 0, SONO_STATE_LOST), found = count(0.0f, 1, SONO_STATE_VISIBLE),
                 lost = count(1.0f, 1, SONO_STATE_LOST);
    print_message("kernels a frame: always run %lld found, %lld LOST; with a condition %lld and %lld; the "
                  "decoder has %d ops\n",
                  (long long)always_found.n_kernels, (long long)always_lost.n_kernels,
                  (long long)found.n_kernels, (long long)lost.n_kernels, found.n_decoder_ops);
    assert_int_equal(always_found.n_gates, 0);
    assert_int_equal(always_lost.n_kernels, always_found.n_kernels);
    assert_int_equal(found.n_gates, 1);
    assert_int_equal(lost.n_gates, 1);
    assert_int_equal(found.n_kernels, always_found.n_kernels + 1);
    assert_true(found.n_decoder_ops > 0);
    /* An op is a kernel or more; several may share one, and what waits for no image is not left out. */
    assert_true(found.n_kernels - lost.n_kernels >= found.n_decoder_ops / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decoder_is_left_out)};
    return sono_test_run("gpu/skip_decoder", tests, sizeof tests / sizeof tests[0]);
}
