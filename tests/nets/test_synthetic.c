// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/* The C fill and images are those that the official code saw when tests/golden was made. */
#include "base/alloc.h"
#include "checkpoint/checkpoint.h"
#include "support/golden.h"
#include "support/synthetic.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

static void check_manifest(const char *name)
{
    char relative[64], path[SONO_TEST_PATH_BYTES];
    synthetic_state state;
    sono_error error = {0};
    snprintf(relative, sizeof(relative), "tests/golden/%s.manifest", name);
    sono_test_source(path, sizeof(path), relative);
    assert_ok(synthetic_open(path, &state, &error), &error);
    assert_true(state.n_tensors > 300);
    synthetic_close(&state);
}

static void test_fill_has_the_recorded_checksum(void **unused)
{
    (void)unused;
    static const char *const names[] = {"dfine_n", "dfine_s",      "dfine_m", "dfine_l",
                                        "dfine_x", "dfine_n_grey", "deim_n",  "mobile_sam"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        check_manifest(names[i]);
}

static void test_manifest_errors_name_the_file(void **unused)
{
    (void)unused;
    static const char *const texts[] = {
        "a.weight F32 2x2 uniform 0.0 0\nchecksum 1\n",  "a.weight F32 2x2 uniform 0.0 0\n",
        "a.weight F99 2x2 uniform 0.0 0\nchecksum 0\n",  "a.weight F32 2y2 uniform 0.0 0\nchecksum 0\n",
        "a.weight F32 2x2 sawtooth 0.0 0\nchecksum 0\n", "a.weight F32 3 anchors 8,16\nchecksum 0\n",
        "a.weight F32 12 reciprocals 3,6\nchecksum 0\n"};
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof(path), "broken.manifest");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        synthetic_state state;
        sono_error error = {0};
        sono_test_write_file(path, texts[i], strlen(texts[i]));
        assert_status(SONO_STATUS_FORMAT, synthetic_open(path, &state, &error), &error);
        assert_non_null(strstr(error.text, "broken.manifest"));
    }
}

static void check_input(const char *name, int32_t width_px, int32_t height_px, int is_detector)
{
    const size_t count = (size_t)width_px * (size_t)height_px * 3;
    float *input = sono_alloc_array(count, sizeof(*input));
    golden file;
    assert_non_null(input);
    assert_int_equal(0, is_detector ? synthetic_detector_input(width_px, height_px, 3, input)
                                    : synthetic_segmenter_input(width_px, input));
    golden_open(&file, name);
    const uint64_t expected = golden_input_bits_sum(&file);
    golden_close(&file);
    assert_true(expected != 0);
    assert_true(expected == synthetic_bits_sum(input, count, sizeof(*input)));
    sono_free(input);
}

static void test_inputs_are_those_of_the_golden_data(void **unused)
{
    (void)unused;
    check_input("dfine_n", 640, 640, 1);
    check_input("mobile_sam", 1024, 1024, 0);
    check_input("dfine_n_wide", 512, 384, 1);
    check_input("dfine_s_tall", 352, 544, 1);
    check_input("mobile_sam_448", 448, 448, 0);
}

/* The sums of synthetic.image(422, 558) and (64, 48) in scripts/golden/synthetic.py. */
static void test_image_of_any_size(void **unused)
{
    (void)unused;
    static uint8_t image[422 * 558];
    synthetic_image(422, 558, image);
    assert_int_equal(15624588, synthetic_bits_sum(image, sizeof(image), 1));
    synthetic_image(64, 48, image);
    assert_int_equal(202262, synthetic_bits_sum(image, 64 * 48, 1));
}

static void test_written_checkpoint_reads_back(void **unused)
{
    (void)unused;
    char manifest[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_test_source(manifest, sizeof(manifest), "tests/golden/dfine_n.manifest");
    sono_test_path(path, sizeof(path), "dfine_n.pth");
    assert_ok(synthetic_write(manifest, path, &error), &error);
    synthetic_state state;
    sono_checkpoint *checkpoint = NULL;
    assert_ok(synthetic_open(manifest, &state, &error), &error);
    assert_ok(sono_checkpoint_open(path, &checkpoint, &error), &error);
    assert_int_equal(state.n_tensors, sono_checkpoint_n_tensors(checkpoint));
    for (int32_t i = 0; i < state.n_tensors; i++) {
        const torch_file_tensor *written = &state.tensors[i];
        const sono_checkpoint_tensor *read = sono_checkpoint_find(checkpoint, written->name);
        assert_non_null(read);
        assert_int_equal(written->dtype, read->dtype);
        assert_int_equal(written->n_dims, read->n_dims);
        const size_t n_bytes = (size_t)sono_checkpoint_tensor_count(read) * sono_dtype_bytes(read->dtype);
        assert_memory_equal(written->data, read->data, n_bytes);
    }
    sono_checkpoint_close(checkpoint);
    synthetic_close(&state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill_has_the_recorded_checksum),
        cmocka_unit_test(test_manifest_errors_name_the_file),
        cmocka_unit_test(test_inputs_are_those_of_the_golden_data),
        cmocka_unit_test(test_image_of_any_size),
        cmocka_unit_test(test_written_checkpoint_reads_back),
    };
    return sono_test_run("model/synthetic", tests, sizeof(tests) / sizeof(tests[0]));
}
