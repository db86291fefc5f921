// SPDX-License-Identifier: Apache-2.0
/* What open says about a device that is not there and about memory that is not enough, and that it works
 * again behind that. On a GPU with the synthetic checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER). */
#include "support/gpu_fixture.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static void refuse(const sono_pipeline_config *config, sono_status wanted, sono_error *error)
{
    sono_pipeline *pipeline = NULL;
    const sono_status status = sono_pipeline_open(config, &pipeline, error);
    assert_status(wanted, status, error);
    assert_null(pipeline);
}

static void open_and_close(const sono_pipeline_config *config)
{
    sono_pipeline_close(pipeline_fixture_open(config));
}

static void test_no_such_device(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    gpu_fixture_synthetic(&config);
    config.device = "cuda:99";
    refuse(&config, SONO_STATUS_NO_DEVICE, &error);
    assert_non_null(strstr(error.text, "there is no CUDA device 99"));
    config.device = "cuda:0";
    open_and_close(&config);
}

/* 16 slots of 16384 x 16384 pixels with four objects' masks and float32 weight maps: 230 GB. */
static void test_too_little_memory(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    double needed_mb = 0, free_mb = 0, all_mb = 0;
    gpu_fixture_synthetic(&config);
    sono_pipeline_config large = config;
    large.max_width_px = large.max_height_px = 16384;
    large.n_slots = 16;
    large.max_objects = 4;
    large.want_weight_maps = 1;
    large.map_dtype = SONO_MAP_DTYPE_F32;
    refuse(&large, SONO_STATUS_OUT_OF_MEMORY, &error);
    const char *figures = strstr(error.text, ": ");
    assert_non_null(figures);
    if (sscanf(figures, ": %lf MB of device memory are needed, %lf MB of %lf MB are free", &needed_mb,
               &free_mb, &all_mb) != 3)
        fail_msg("\"%s\" does not say how much is needed and free", error.text);
    assert_true(needed_mb > 200e3 && free_mb > 0 && free_mb < needed_mb && free_mb <= all_mb);
    open_and_close(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_such_device),
        cmocka_unit_test(test_too_little_memory),
    };
    return sono_test_run("gpu/open", tests, sizeof tests / sizeof tests[0]);
}
