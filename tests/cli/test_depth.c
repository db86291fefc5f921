// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=17
/* 16-bit images whose samples have fewer bits, or are brighter than white, through the command with the
 * models that come with sonoseg, in the short form at 256 pixels. */
#include "command.h"
#include "image_writer.h"
#include "test.h"

#include "base/alloc.h"
#include "sonoseg/io.h"
#include "sonoseg/phantom.h"

#include <cjson/cJSON.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SIDE     256
#define N_FRAMES 9 /* one more than the hint looks at */

static uint8_t shallow[SIDE * SIDE];
static uint16_t deep[SIDE * SIDE], overflowing[SIDE * SIDE];

static void write_picture(const char *name, int bits, const void *pixels)
{
    char path[SONO_TEST_PATH_BYTES];
    const test_picture picture = {SIDE, SIDE, 1, bits, pixels};
    test_file file = test_png(&picture, PNG_COLOR_TYPE_GRAY, 0);
    sono_test_path(path, sizeof path, name);
    sono_test_write_file(path, file.bytes, file.n_bytes);
    free(file.bytes);
}

/* A frame of the phantom: 8 bits; 10 bits; 10 bits that overflow where the first is white. */
static int make_inputs(void **state)
{
    (void)state;
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = NULL;
    sono_source *source = NULL;
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = options.height_px = SIDE;
    options.shape = SONO_PHANTOM_ARCHED;
    options.seed = 3;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    int n_brighter = 0;
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        const unsigned bright = ((const uint8_t *)frame.image.pixels)[i] * 5u / 4;
        shallow[i] = (uint8_t)(bright > 255 ? 255 : bright);
        deep[i] = (uint16_t)(4 * shallow[i]);
        overflowing[i] = bright < 255 ? deep[i] : 65535;
        n_brighter += bright >= 255;
    }
    assert_true(n_brighter > 50);
    sono_source_close(source);
    write_picture("a8.png", 8, shallow);
    write_picture("a10.png", 16, deep);
    write_picture("over.png", 16, overflowing);
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "sweep");
    mkdir(path, 0777);
    for (int i = 0; i < N_FRAMES; i++) {
        char relative[32];
        snprintf(relative, sizeof relative, "sweep/%d.png", i);
        write_picture(relative, 16, deep);
    }
    return 0;
}

/* Runs `input` into folder `output` with the default threshold; returns what stood on stderr. */
static char *run(const char *input, const char *output, const char *white, const char *quiet)
{
    char in[SONO_TEST_PATH_BYTES], out[SONO_TEST_PATH_BYTES];
    const char *words[16] = {"run", in, "--output", out, "--device", "cpu"};
    int n = 6;
    if (!sono_test_is_long()) {
        words[n++] = "--segmenter-size";
        words[n++] = "256";
    }
    sono_test_path(in, sizeof in, input);
    sono_test_path(out, sizeof out, output);
    if (white) {
        words[n++] = "--gray16-white";
        words[n++] = white;
    }
    words[n] = quiet;
    command_result result = command_run(words);
    if (result.status)
        fail_msg("exit status %d: %s", result.status, result.err);
    sono_free(result.out);
    return result.err;
}

static void expect_silence(char *text)
{
    assert_string_equal(text, "");
    sono_free(text);
}

static void expect_same_file(const char *first, const char *second)
{
    char path[SONO_TEST_PATH_BYTES];
    size_t n_first = 0, n_second = 0;
    sono_test_path(path, sizeof path, first);
    uint8_t *a = sono_test_read_file(path, &n_first);
    sono_test_path(path, sizeof path, second);
    uint8_t *b = sono_test_read_file(path, &n_second);
    if (n_first != n_second || memcmp(a, b, n_first) != 0)
        fail_msg("%s and %s differ", first, second);
    sono_free(a);
    sono_free(b);
}

static double area_in(const char *relative)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, relative);
    char *bytes = (char *)sono_test_read_file(path, NULL);
    cJSON *line = cJSON_Parse(bytes);
    assert_non_null(line);
    const double area = cJSON_GetObjectItemCaseSensitive(line, "mask_area_px")->valuedouble;
    cJSON_Delete(line);
    sono_free(bytes);
    return area;
}

/* The networks see what the overlay shows: the 8-bit picture's mask and overlay, byte by byte. */
static void test_brighter_than_white(void **state)
{
    (void)state;
    expect_silence(run("a8.png", "out8", NULL, NULL));
    assert_true(area_in("out8/results.jsonl") > 100);
    expect_silence(run("over.png", "over", "1020", NULL));
    expect_same_file("out8/masks/a8.png", "over/masks/over.png");
    expect_same_file("out8/overlays/a8.png", "over/overlays/over.png");
    expect_silence(run("a10.png", "out10", "1020", NULL));
    expect_same_file("out8/masks/a8.png", "out10/masks/a10.png");
    expect_same_file("out8/overlays/a8.png", "out10/overlays/a10.png");
}

static void test_auto(void **state)
{
    (void)state;
    expect_silence(run("a10.png", "auto", "auto", NULL));
    expect_silence(run("a10.png", "given", "1023", NULL));
    assert_true(area_in("auto/results.jsonl") > 100);
    expect_same_file("auto/masks/a10.png", "given/masks/a10.png");
    expect_same_file("auto/overlays/a10.png", "given/overlays/a10.png");
}

static void expect_hint(char *text)
{
    const char *first = strstr(text, "sonoseg: hint: ");
    if (!first || strstr(first + 1, "sonoseg: hint") || !strstr(text, "10-bit data") ||
        !strstr(text, "--gray16-white 1023 or --gray16-white auto"))
        fail_msg("not one hint: '%s'", text);
    sono_free(text);
}

static void test_hint(void **state)
{
    (void)state;
    expect_hint(run("a10.png", "hint", NULL, NULL));
    expect_hint(run("sweep", "hints", NULL, NULL));
    expect_silence(run("over.png", "no_hint", NULL, NULL));
    expect_silence(run("a10.png", "quiet", NULL, "--quiet"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brighter_than_white),
        cmocka_unit_test(test_auto),
        cmocka_unit_test(test_hint),
    };
    return sono_test_run_with("cli/depth", tests, sizeof tests / sizeof tests[0], make_inputs, NULL);
}
