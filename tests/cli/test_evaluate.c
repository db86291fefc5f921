// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=11
/* `sonoseg phantom` writes labelled sets, `sonoseg evaluate` reads them; the latter on the synthetic
 * checkpoints that the build makes. */
#include "command.h"
#include "test.h"

#include "base/alloc.h"
#include "sonoseg/io.h"
#include "sonoseg/phantom.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPEC       "phantom:seed=5,frames=3,sweep=1,size=96x128"
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define EVALUATE(...)                                                                                        \
    WORDS("evaluate", "--detector", detector, "--detector-family", "dfine", "--segmenter", segmenter,        \
          "--segmenter-size", "256", "--device", "cpu", "--threshold", "0.2", __VA_ARGS__)

static const char *detector = "none", *segmenter = "none";

static void need_checkpoints(void)
{
    const char *first = getenv("SONO_TEST_DETECTOR"), *second = getenv("SONO_TEST_SEGMENTER");
    if (!first || !second || access(first, R_OK) || access(second, R_OK))
        sono_test_skip("no checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER)");
    detector = first;
    segmenter = second;
}

static void write_set(char *folder, const char *name)
{
    sono_test_path(folder, SONO_TEST_PATH_BYTES, name);
    command_result result = command_run(WORDS("phantom", SPEC, "--output", folder));
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "3 frames"));
    command_free(&result);
}

static void expect_file(const char *folder, const char *name, const void *pixels, const sono_frame *as)
{
    char path[2 * SONO_TEST_PATH_BYTES];
    const char *const paths[] = {path};
    const char *ignored = NULL;
    sono_source *source = NULL;
    sono_frame frame = SONO_TEST_FRAME;
    sono_error error;
    snprintf(path, sizeof path, "%s/%s.png", folder, name);
    assert_ok(sono_source_open_images(paths, 1, NULL, &source, &error), &error);
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &ignored, &error), &error);
    assert_int_equal(frame.image.format, SONO_PIXEL_GRAY8);
    assert_int_equal(frame.image.width_px, as->image.width_px);
    assert_int_equal(frame.image.height_px, as->image.height_px);
    assert_memory_equal(frame.image.pixels, pixels,
                        (size_t)frame.image.width_px * (size_t)frame.image.height_px);
    sono_source_close(source);
}

/* The files are the source's frames and labels. */
static void test_phantom(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES], name[SONO_TEST_PATH_BYTES];
    sono_source *source = NULL;
    sono_frame frame = SONO_TEST_FRAME;
    sono_truth truth;
    sono_error error;
    const char *stem = NULL;
    write_set(folder, "set");
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.seed = 5;
    options.n_sweep_frames = 1;
    options.width_px = 96;
    options.height_px = 128;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    for (int i = 0; i < 3; i++) {
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &stem, &error), &error);
        assert_ok(sono_source_truth(source, &truth, &error), &error);
        snprintf(name, sizeof name, "images/%s", stem);
        expect_file(folder, name, frame.image.pixels, &frame);
        snprintf(name, sizeof name, "masks/%s", stem);
        expect_file(folder, name, truth.labels, &frame);
    }
    sono_source_close(source);
    command_expect(1, "a file of that name is there",
                   WORDS("phantom", "--output", getenv("SONO_COMMAND"), "--quiet"));
}

/* With a screen there is a line for each frame, with the picture's place. */
static void test_screen(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 16], line[16384];
    sono_test_path(folder, sizeof folder, "screens");
    command_result result = command_run(WORDS(
        "phantom", "phantom:frames=3,size=240x200,geometry=phased,screen=1,sweep=1", "--output", folder));
    assert_int_equal(result.status, 0);
    command_free(&result);
    snprintf(path, sizeof path, "%s/frames.jsonl", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    int n_lines = 0;
    for (; fgets(line, sizeof line, file); n_lines++) {
        int32_t region[4] = {0};
        const char *at = strstr(line, "\"region_px\": [");
        assert_non_null(at);
        assert_int_equal(
            sscanf(at, "\"region_px\": [%d, %d, %d, %d]", &region[0], &region[1], &region[2], &region[3]), 4);
        assert_in_range(region[2], 60, 216);
        assert_in_range(region[3], 40, 180);
    }
    fclose(file);
    assert_int_equal(n_lines, 3);
}

static void test_usage(void **state)
{
    (void)state;
    command_expect(2, "no output folder", WORDS("phantom", SPEC));
    command_expect(2, "'sed=1' is not understood", WORDS("phantom", "phantom:sed=1", "--output", "x"));
    command_expect(2, "'geometry=convex' is not understood",
                   WORDS("phantom", "phantom:geometry=convex", "--output", "x"));
    command_expect(2, "sides must be 200 at least",
                   WORDS("phantom", "phantom:size=640x180,screen=1", "--output", "x"));
    command_expect(2, "'set' is no phantom", WORDS("phantom", "set", "--output", "x"));
    command_expect(2, "'phantom:' is too many", WORDS("phantom", SPEC, "phantom:", "--output", "x"));
    command_expect(2, "sides must be within", WORDS("phantom", "phantom:size=8x8", "--output", "x"));
    command_expect(2, "one labelled set at a time", EVALUATE("a", "b"));
    command_expect(2, "'sed=1' is not understood", EVALUATE("phantom:sed=1"));
    command_expect(1, "/nonexistent: no folder images/ in it", EVALUATE("/nonexistent"));
}

static cJSON *read_json(const char *path)
{
    uint8_t *text = sono_test_read_file(path, NULL);
    cJSON *figures = cJSON_Parse((const char *)text);
    assert_non_null(figures);
    sono_free(text);
    return figures;
}

static double number_of(const cJSON *figures, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(figures, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static int count_lines(const char *folder)
{
    char path[2 * SONO_TEST_PATH_BYTES];
    snprintf(path, sizeof path, "%s/frames.jsonl", folder);
    char *text = (char *)sono_test_read_file(path, NULL), *rest = NULL;
    int n = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), n++) {
        cJSON *frame = cJSON_Parse(line);
        assert_in_range(number_of(frame, "score") * 1e6, 0, 1000000);
        assert_in_range(number_of(frame, "box_iou") * 1e6, 0, 1000000);
        assert_true(cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(frame, "positive")));
        cJSON_Delete(frame);
    }
    sono_free(text);
    return n;
}

/* A folder and the phantom that it was written from have the same figures. */
static void test_folder_as_phantom(void **state)
{
    (void)state;
    static const char *const keys[] = {"n_frames", "n_positive",  "n_empty",  "threshold",
                                       "ap50",     "ap50_95",     "iou_mean", "dice_mean",
                                       "ece",      "found_share", "n_surface"};
    char folder[SONO_TEST_PATH_BYTES], output[SONO_TEST_PATH_BYTES], paths[2][SONO_TEST_PATH_BYTES];
    need_checkpoints();
    write_set(folder, "same");
    sono_test_path(output, sizeof output, "out/deep");
    sono_test_path(paths[0], sizeof paths[0], "phantom.json");
    sono_test_path(paths[1], sizeof paths[1], "folder.json");
    command_expect(0, NULL, EVALUATE("--input", SPEC, "--json", paths[0], "--quiet"));
    command_result result = command_run(EVALUATE("--input", folder, "--json", paths[1], "--output", output));
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "3 frames: "));
    assert_non_null(strstr(result.out, "AP at IoU 0.50"));
    command_free(&result);
    cJSON *left = read_json(paths[0]), *right = read_json(paths[1]);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (number_of(left, keys[i]) != number_of(right, keys[i]))
            fail_msg("%s differs", keys[i]);
    assert_int_equal(number_of(left, "n_frames"), 3);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(left, "bins")), 10);
    cJSON_Delete(left);
    cJSON_Delete(right);
    assert_int_equal(count_lines(output), 3);
}

/* Each bad file is named and leaves its frame out; a missing mask is an empty frame. */
static void test_bad_sets(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES], path[2 * SONO_TEST_PATH_BYTES], json[SONO_TEST_PATH_BYTES];
    static const uint8_t pixels[12] = {0};
    need_checkpoints();
    write_set(folder, "bad");
    sono_test_path(json, sizeof json, "bad.json");
    snprintf(path, sizeof path, "%s/masks/phantom_000000.png", folder);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/masks/phantom_000001.png", folder);
    assert_ok(sono_png_write(path, pixels, 4, 3, 1, NULL), NULL);
    snprintf(path, sizeof path, "%s/masks/phantom_000002.png", folder);
    assert_ok(sono_png_write(path, pixels, 2, 2, 3, NULL), NULL);
    command_result result = command_run(EVALUATE(folder, "--json", json));
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "phantom_000001.png: the mask is 4 x 3 pixels, its image 96 x 128\n"));
    assert_non_null(strstr(result.err, "phantom_000002.png: a mask must be 8-bit grey"));
    command_free(&result);
    cJSON *figures = read_json(json);
    assert_int_equal(number_of(figures, "n_frames"), 1);
    assert_int_equal(number_of(figures, "n_empty"), 1);
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(figures, "ap50")));
    cJSON_Delete(figures);

    snprintf(path, sizeof path, "%s/images/phantom_000000.png", folder);
    sono_test_write_file(path, "no image", 8);
    snprintf(path, sizeof path, "%s/masks/phantom_000001.png", folder);
    sono_test_write_file(path, "no mask", 7);
    result = command_run(EVALUATE(folder));
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "images/phantom_000000.png: not an image"));
    assert_non_null(strstr(result.err, "masks/phantom_000001.png: not an image"));
    assert_non_null(strstr(result.err, "no frame could be evaluated"));
    assert_string_equal(result.out, "");
    command_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phantom),  cmocka_unit_test(test_screen),
        cmocka_unit_test(test_usage),    cmocka_unit_test(test_folder_as_phantom),
        cmocka_unit_test(test_bad_sets),
    };
    return sono_test_run("cli/evaluate", tests, sizeof tests / sizeof tests[0]);
}
