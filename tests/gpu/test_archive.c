// SPDX-License-Identifier: Apache-2.0
// labels: slow serial timeout=300
/* Two pipelines, on two GPUs where there are two: a CUDA call of one of them fails in mid-run; it is left
 * out, and the folder is byte for byte that of one pipeline on the first GPU. */
#include "archive.h"
#include "commands.h"
#include "engine/cuda/device/hooks.h"
#include "sonoseg/models.h"
#include "support/gpu_fixture.h"
#include "test.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#ifdef SONO_HAVE_CUDA
#define N_FRAMES 96
#define BATCH    4

static char paths[N_FRAMES][SONO_TEST_PATH_BYTES];
static const char *inputs[N_FRAMES];

static void write_inputs(void)
{
    const sono_frame frame = pipeline_fixture_frame();
    const int32_t width_px = frame.image.width_px, height_px = frame.image.height_px;
    const size_t n_pixels = (size_t)width_px * (size_t)height_px;
    uint8_t *pixels = sono_alloc(n_pixels);
    sono_error error;
    assert_non_null(pixels);
    for (int k = 0; k < N_FRAMES; k++) {
        char name[32];
        snprintf(name, sizeof name, "f_%d.png", k);
        sono_test_path(paths[k], sizeof paths[k], name);
        for (size_t i = 0; i < n_pixels; i++)
            pixels[i] = ((const uint8_t *)frame.image.pixels)[(i + (size_t)k * 1009) % n_pixels];
        assert_ok(sono_png_write(paths[k], pixels, width_px, height_px, 1, &error), &error);
        inputs[k] = paths[k];
    }
    sono_free(pixels);
}

static void note(void *user, const archive_pipeline *which, int32_t n_again)
{
    (void)which;
    *(int *)user += n_again;
}

/* fail_call: of the CUDA calls of the run; 0 = none fails. Returns how many frames were done again. */
static int run(const char *name, const char *const *devices, int32_t n_pipelines, int64_t fail_call)
{
    char folder[SONO_TEST_PATH_BYTES];
    sono_error error;
    sono_source *source = NULL;
    sono_source_options options;
    sono_sink_options sink_options;
    int n_again = 0;
    archive self = {.batch = BATCH,
                    .n_workers = 4,
                    .n_pipelines = n_pipelines,
                    .is_quiet = 1,
                    .user = &n_again,
                    .on_left_out = note};
    sono_test_path(folder, sizeof folder, name);
    sono_source_options_init(&options);
    sono_sink_options_init(&sink_options);
    sink_options.without_times = 1;
    assert_ok(sono_source_open_files(inputs, N_FRAMES, &options, &source, &error), &error);
    assert_ok(sono_sink_open_folder(folder, &sink_options, &self.sink, &error), &error);
    self.reel.source = source;
    self.reel.options = &options;
    for (int32_t i = 0; i < n_pipelines; i++) {
        sono_pipeline_config config;
        gpu_fixture_synthetic(&config);
        config.device = self.pipelines[i].device = devices[i];
        config.batch = BATCH;
        config.n_slots = 3;
        self.pipelines[i].pipeline = pipeline_fixture_open(&config);
    }
    sono_gpu_fail_call(fail_call);
    assert_int_equal(archive_run(&self), STATUS_DONE);
    sono_gpu_fail_call(0);
    assert_int_equal(self.n_frames, N_FRAMES);
    printf("%s:", name);
    for (int32_t i = 0; i < n_pipelines; i++) {
        printf(" %s %lld%s", devices[i], (long long)self.pipelines[i].n_frames,
               self.pipelines[i].has_failed ? " (failed)" : "");
        sono_pipeline_close(self.pipelines[i].pipeline);
    }
    printf(" frames, %d again\n", n_again);
    assert_ok(sono_sink_close(self.sink, &error), &error);
    sono_source_close(source);
    archive_free(&self);
    return n_again;
}

static void expect_same(const char *name, const char *file)
{
    char relative[64], path[SONO_TEST_PATH_BYTES];
    size_t n_left, n_right;
    snprintf(relative, sizeof relative, "one/%s", file);
    sono_test_path(path, sizeof path, relative);
    uint8_t *left = sono_test_read_file(path, &n_left);
    snprintf(relative, sizeof relative, "%s/%s", name, file);
    sono_test_path(path, sizeof path, relative);
    uint8_t *right = sono_test_read_file(path, &n_right);
    assert_int_equal(n_left, n_right);
    assert_memory_equal(left, right, n_left);
    sono_free(left);
    sono_free(right);
}

static void expect_all(const char *name)
{
    expect_same(name, "results.jsonl");
    for (int k = 0; k < N_FRAMES; k++) {
        char file[32];
        snprintf(file, sizeof file, "masks/f_%d.png", k);
        expect_same(name, file);
        snprintf(file, sizeof file, "overlays/f_%d.png", k);
        expect_same(name, file);
    }
}

static void test_several(void **state)
{
    (void)state;
    int32_t n_devices = 0;
    gpu_fixture_need();
    assert_int_equal(sono_device_count(&n_devices, NULL), SONO_STATUS_OK);
    const char *const devices[] = {"cuda:0", n_devices > 1 ? "cuda:1" : "cuda:0"};
    write_inputs();
    assert_int_equal(run("one", devices, 1, 0), 0);
    assert_int_equal(run("two", devices, 2, 0), 0);
    expect_all("two");
    static const int64_t calls[] = {1, 20, 41, 62};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "failed_%d", (int)calls[i]);
        assert_in_range(run(name, devices, 2, calls[i]), 1, 2 * BATCH);
        expect_all(name);
    }
}

static int leave(void **state)
{
    (void)state;
    sono_gpu_fail_call(0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_several, leave)};
    return sono_test_run("gpu/archive", tests, sizeof tests / sizeof tests[0]);
}

#else

static void test_nothing(void **state)
{
    (void)state;
    gpu_fixture_need();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing)};
    return sono_test_run("gpu/archive", tests, sizeof tests / sizeof tests[0]);
}
#endif
