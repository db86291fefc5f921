// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=25
/* The demo: with random weights what it writes and says, with the shipped models what they find. */
#include "command.h"
#include "test.h"

#include "base/alloc.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS(...) ((const char *const[]){"demo", "--device", "cpu", __VA_ARGS__, NULL})

static char models[SONO_TEST_PATH_BYTES], output[SONO_TEST_PATH_BYTES];

static void convert(const char *variable, const char *name, const char *family)
{
    char path[2 * SONO_TEST_PATH_BYTES];
    const char *from = getenv(variable);
    if (!from || access(from, R_OK))
        sono_test_skip("no synthetic checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER)");
    snprintf(path, sizeof path, "%s/%s", models, name);
    command_result result = command_run(
        (const char *const[]){"convert", from, path, family ? "--detector-family" : NULL, family, NULL});
    assert_int_equal(result.status, 0);
    command_free(&result);
}

/* The synthetic checkpoints under the shipped models' names. */
static void use_synthetic_models(void)
{
    sono_test_path(models, sizeof models, "models");
    sono_test_path(output, sizeof output, "demo");
    if (!mkdir(models, 0777)) {
        convert("SONO_TEST_DETECTOR", "dfine_n_bone.safetensors", "dfine");
        convert("SONO_TEST_SEGMENTER", "mobile_sam_bone.safetensors", NULL);
    }
    setenv("SONO_MODELS", models, 1);
}

static int exists(const char *name)
{
    char path[2 * SONO_TEST_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", output, name);
    return !access(path, R_OK);
}

/* Three frames side by side, half their size. */
static void check_sheet(void)
{
    char path[2 * SONO_TEST_PATH_BYTES];
    png_image image = {.version = PNG_IMAGE_VERSION};
    snprintf(path, sizeof path, "%s/contact_sheet.png", output);
    assert_true(png_image_begin_read_from_file(&image, path));
    assert_true(image.width > 3 * 211 && image.width < 3 * 211 + 100);
    assert_true(image.height > 279 && image.height < 279 + 200);
    png_image_free(&image);
}

static void test_files(void **state)
{
    (void)state;
    use_synthetic_models();
    command_result result = command_run(
        WORDS("--frames", "3", "--segmenter-size", "256", "--threshold", "0", "--output", output));
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "3 frames of 422 x 558"));
    assert_non_null(strstr(result.out, "dfine-n"));
    assert_non_null(strstr(result.out, "s to go\n"));
    assert_non_null(strstr(result.out, "  found         3 of 3 frames with a bone\n"));
    assert_non_null(strstr(result.out, "ms a frame (median)"));
    assert_non_null(strstr(result.out, "/contact_sheet.png\n"));
    command_free(&result);
    assert_true(exists("masks/phantom_000002.png") && exists("overlays/phantom_000000.png"));
    assert_true(exists("results.jsonl"));
    check_sheet();
}

/* Over what is there already. */
static void test_nothing_found(void **state)
{
    (void)state;
    use_synthetic_models();
    command_result result = command_run(WORDS("--frames", "1", "--segmenter-size", "256", "--threshold", "1",
                                              "--seed", "2", "--output", output));
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "  false alarms  0 in 1 frames without one\n"));
    assert_null(strstr(result.out, "found  "));
    command_free(&result);
    result = command_run(
        WORDS("--frames", "1", "--segmenter-size", "256", "--threshold", "1", "--quiet", "--output", output));
    assert_string_equal(result.out, "");
    assert_int_equal(result.status, 0);
    command_free(&result);
}

static void test_usage(void **state)
{
    (void)state;
    command_expect(2, "demo makes its own frames", WORDS("frame.png"));
    command_expect(2, "--frames: '0'", WORDS("--frames", "0"));
    command_expect(2, "--seed: '-1'", WORDS("--seed", "-1"));
    use_synthetic_models();
    command_expect(1, "/proc/no", WORDS("--frames", "1", "--output", "/proc/no"));
}

static double number_behind(const char *text, const char *label)
{
    const char *at = strstr(text, label);
    assert_non_null(at);
    return strtod(at + strlen(label), NULL);
}

static void test_shipped_models(void **state)
{
    (void)state;
    const char *source = getenv("SONO_SOURCE_DIR");
    char shipped[SONO_TEST_PATH_BYTES];
    snprintf(shipped, sizeof shipped, "%s/models/dfine_n_bone.safetensors", source ? source : ".");
    if (access(shipped, R_OK))
        sono_test_skip("no shipped models");
    unsetenv("SONO_MODELS");
    sono_test_path(output, sizeof output, "shipped");
    command_result result =
        command_run(WORDS("--frames", sono_test_is_long() ? "12" : "4", "--output", output));
    assert_int_equal(result.status, 0);
    assert_true(number_behind(result.out, "  found         ") == (sono_test_is_long() ? 11 : 4));
    assert_true(number_behind(result.out, "  mask IoU      ") >= 0.75); /* seven of the twelve are fans */
    if (sono_test_is_long())                                            /* the first four have a bone */
        assert_true(number_behind(result.out, "  false alarms  ") == 0);
    command_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_nothing_found),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_shipped_models),
    };
    return sono_test_run("cli/demo", tests, sizeof tests / sizeof tests[0]);
}
