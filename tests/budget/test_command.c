// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/* `sonoseg audit`: usage, the CPU, no GPU, and a GPU where there is one. */
#include "command.h"
#include "support/gpu_fixture.h"
#include "test.h"

#include "base/alloc.h"

#include <string.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_usage(void **state)
{
    (void)state;
    command_expect(2, "--frames: '0'", WORDS("audit", "--frames", "0"));
    command_expect(2, "nothing to trace on the CPU",
                   WORDS("audit", "--device", "cpu", "--trace", "--detector", "x", "--segmenter", "y"));
    command_expect(1, "y", WORDS("audit", "--device", "cpu", "--detector", "y", "--segmenter", "y"));
}

static void test_cpu(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config); /* SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER */
    command_result result = command_run(WORDS("audit", "--device", "cpu", "--frames", "1", "--segmenter-size",
                                              "256", "--detector", config.detector_path, "--detector-family",
                                              "dfine", "--segmenter", config.segmenter_path));
    if (result.status != 0 || *result.err || !strstr(result.out, "critical            0        0") ||
        !strstr(result.out, "nothing can cross"))
        fail_msg("exit status %d, stdout '%s', stderr '%s'", result.status, result.out, result.err);
    command_free(&result);
}

static void test_no_gpu(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    config.device = "cuda";
    if (sono_pipeline_open(&config, &pipeline, &error) == SONO_STATUS_OK) {
        sono_pipeline_close(pipeline);
        sono_test_skip("there is a GPU");
    }
    command_expect(1, error.text,
                   WORDS("audit", "--detector", config.detector_path, "--segmenter", config.segmenter_path));
}

static void test_gpu(void **state)
{
    (void)state;
    sono_pipeline_config config;
    char path[SONO_TEST_PATH_BYTES];
    size_t n_bytes = 0;
    gpu_fixture_synthetic(&config);
    sono_test_path(path, sizeof path, "audit.json");
    command_result result =
        command_run(WORDS("audit", "--frames", "5", "--json", path, "--detector", config.detector_path,
                          "--detector-family", "dfine", "--segmenter", config.segmenter_path));
    if (result.status != 0 || *result.err)
        fail_msg("exit status %d, stdout '%s', stderr '%s'", result.status, result.out, result.err);
    char *json = (char *)sono_test_read_file(path, &n_bytes);
    assert_non_null(strstr(json, "\"within_budget\": true"));
    assert_non_null(strstr(json, "\"trace_agrees\": null"));
    sono_free(json);
    command_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_no_gpu),
        cmocka_unit_test(test_gpu),
    };
    return sono_test_run("budget/command", tests, sizeof tests / sizeof tests[0]);
}
