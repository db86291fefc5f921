// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300 serial
/* Frames that break the rule on purpose (gpu/hooks.h): the audit must find what is booked, the trace what is
 * not, and `sonoseg audit` must exit with 1 for either. On a GPU with the synthetic checkpoints
 * (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER). */
#include "commands.h"
#include "engine/cuda/device/hooks.h"
#include "sonoseg/diagnostics.h"
#include "support/gpu_fixture.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#ifdef SONO_HAVE_CUDA
#define N_FRAMES 4

typedef struct outcome {
    sono_audit audit;
    int32_t is_within;
    sono_audit_counts before, after;
} outcome;

static void run(sono_pipeline *pipeline, sono_gpu_offence offence, outcome *out)
{
    const sono_frame frame = pipeline_fixture_frame();
    assert_ok(sono_pipeline_audit(pipeline, &out->before), NULL);
    sono_audit_start(&out->audit, &out->before);
    sono_gpu_offend(offence);
    for (int i = 0; i < N_FRAMES; i++) {
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        sono_audit_frame(&out->audit, &packet->ledger);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_gpu_offend(SONO_GPU_OFFENCE_NONE);
    assert_ok(sono_pipeline_audit(pipeline, &out->after), NULL);
    out->is_within = sono_audit_finish(&out->audit, &out->after);
}

static int leave(void **state)
{
    (void)state;
    sono_gpu_offend(SONO_GPU_OFFENCE_NONE);
    return 0;
}

static void test_audit_finds(void **state)
{
    (void)state;
    static const struct {
        sono_gpu_offence offence;
        int is_within, n_critical, n_chains; /* a frame */
    } cases[] = {
        {SONO_GPU_OFFENCE_NONE, 1, 0, 0}, {SONO_GPU_OFFENCE_COPY, 0, 1, 0}, {SONO_GPU_OFFENCE_CHAIN, 0, 2, 1},
        {SONO_GPU_OFFENCE_WAIT, 0, 1, 0}, {SONO_GPU_OFFENCE_NONE, 1, 0, 0},
    };
    sono_pipeline_config config;
    gpu_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        outcome found;
        run(pipeline, cases[i].offence, &found);
        assert_int_equal(found.is_within, cases[i].is_within);
        assert_int_equal(found.audit.n_critical, N_FRAMES * cases[i].n_critical);
        assert_int_equal(found.audit.n_chains, N_FRAMES * cases[i].n_chains);
        assert_int_equal(found.audit.n_medium, 0);
    }
    sono_pipeline_close(pipeline);
}

/* One pipeline under a trace; skips the test where CUPTI cannot be had. */
static sono_pipeline *open_traced(sono_trace **trace)
{
    sono_pipeline_config config;
    sono_error error = {0};
    gpu_fixture_synthetic(&config);
    if (sono_trace_open(trace, &error) != SONO_STATUS_OK)
        sono_test_skip(error.text);
    return pipeline_fixture_open(&config);
}

static int32_t compare(sono_pipeline *pipeline, sono_trace *trace, sono_gpu_offence offence, outcome *found,
                       sono_trace_totals *seen, char *text, size_t n_bytes)
{
    sono_error error = {0};
    assert_ok(sono_trace_start(trace, &error), &error);
    run(pipeline, offence, found);
    assert_ok(sono_trace_stop(trace, seen, &error), &error);
    return sono_trace_compare(seen, &found->before, &found->after, text, n_bytes);
}

static void test_trace_agrees(void **state)
{
    (void)state;
    char text[512];
    outcome found;
    sono_trace_totals seen;
    sono_trace *trace = NULL, *second = NULL;
    sono_pipeline *pipeline = open_traced(&trace);
    assert_status(SONO_STATUS_STATE, sono_trace_open(&second, NULL), NULL);
    const sono_gpu_offence booked[] = {SONO_GPU_OFFENCE_NONE, SONO_GPU_OFFENCE_COPY, SONO_GPU_OFFENCE_WAIT};
    for (int i = 0; i < 3; i++)
        if (compare(pipeline, trace, booked[i], &found, &seen, text, sizeof text))
            fail_msg("offence %d, CUPTI %d, %lld wait calls, %lld wait records:\n%s", (int)booked[i],
                     seen.version, (long long)seen.n_wait_calls, (long long)seen.n_wait_records, text);
    int64_t n_records = 0, n_kernels = 0;
    const sono_trace_record *records = sono_trace_records(trace, &n_records);
    for (int64_t i = 0; i < n_records; i++) {
        assert_true(i == 0 || records[i - 1].start_ns <= records[i].start_ns);
        n_kernels += records[i].kind == SONO_TRACE_KERNEL;
    }
    assert_int_equal(n_kernels, seen.n_kernels);
    assert_true(n_kernels >= 100 * N_FRAMES); /* the graph's nodes are traced one by one */
    sono_pipeline_close(pipeline);
    sono_trace_close(trace);
}

static void test_trace_finds_hidden_wait(void **state)
{
    (void)state;
    char text[512];
    outcome found;
    sono_trace_totals seen;
    sono_trace *trace = NULL;
    sono_pipeline *pipeline = open_traced(&trace);
    const int32_t n =
        compare(pipeline, trace, SONO_GPU_OFFENCE_HIDDEN_WAIT, &found, &seen, text, sizeof text);
    sono_pipeline_close(pipeline);
    sono_trace_close(trace);
    assert_int_equal(found.is_within, 1); /* the ledger knows nothing */
    assert_int_equal(n, 1);
    assert_string_equal(text, "wait: 4 booked, 8 seen\n");
}

/* The exit status of `sonoseg audit` while frames commit it. */
static int audit(const sono_pipeline_config *config, sono_gpu_offence offence, int with_trace)
{
    char words[][SONO_TEST_PATH_BYTES] = {"audit", "--frames",    "3", "--detector",
                                          "",      "--segmenter", "",  "--trace"};
    char *argv[sizeof words / sizeof words[0] + 1] = {NULL};
    const int argc = with_trace ? 8 : 7;
    snprintf(words[4], sizeof words[4], "%s", config->detector_path);
    snprintf(words[6], sizeof words[6], "%s", config->segmenter_path);
    for (int i = 0; i < argc; i++)
        argv[i] = words[i];
    sono_gpu_offend(offence);
    const int status = cmd_audit(argc, argv);
    sono_gpu_offend(SONO_GPU_OFFENCE_NONE);
    return status;
}

static void test_command_fails(void **state)
{
    (void)state;
    sono_pipeline_config config;
    gpu_fixture_synthetic(&config);
    assert_int_equal(audit(&config, SONO_GPU_OFFENCE_NONE, 0), STATUS_DONE);
    assert_int_equal(audit(&config, SONO_GPU_OFFENCE_COPY, 0), STATUS_FAILED);
    assert_int_equal(audit(&config, SONO_GPU_OFFENCE_CHAIN, 0), STATUS_FAILED);
    assert_int_equal(audit(&config, SONO_GPU_OFFENCE_WAIT, 0), STATUS_FAILED);
    assert_int_equal(audit(&config, SONO_GPU_OFFENCE_HIDDEN_WAIT, 0), STATUS_DONE); /* in no book */
}

static void test_command_fails_by_trace(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_trace *trace = NULL;
    sono_error error = {0};
    gpu_fixture_synthetic(&config);
    if (sono_trace_open(&trace, &error) != SONO_STATUS_OK)
        sono_test_skip(error.text);
    sono_trace_close(trace);
    assert_int_equal(audit(&config, SONO_GPU_OFFENCE_NONE, 1), STATUS_DONE);
    assert_int_equal(audit(&config, SONO_GPU_OFFENCE_HIDDEN_WAIT, 1), STATUS_FAILED);
    assert_int_equal(audit(&config, SONO_GPU_OFFENCE_NONE, 1), STATUS_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_audit_finds, leave),
        cmocka_unit_test_teardown(test_command_fails, leave),
        cmocka_unit_test_teardown(test_trace_agrees, leave),
        cmocka_unit_test_teardown(test_trace_finds_hidden_wait, leave),
        cmocka_unit_test_teardown(test_command_fails_by_trace, leave),
    };
    return sono_test_run("budget/offences", tests, sizeof tests / sizeof tests[0]);
}

#else

static void test_nothing(void **state)
{
    (void)state;
    sono_test_skip("built without CUDA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing)};
    return sono_test_run("budget/offences", tests, sizeof tests / sizeof tests[0]);
}
#endif
