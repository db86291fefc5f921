// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600
/* `run` on folders as people have them: pages, turned pictures, files that are no images, upright frames. */
#include "command.h"
#include "image_writer.h"
#include "test.h"

#include "base/alloc.h"
#include "io/images/image.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <unistd.h>

#define WIDTH  48
#define HEIGHT 20

static char detector[SONO_TEST_PATH_BYTES], segmenter[SONO_TEST_PATH_BYTES];
static uint8_t pixels[WIDTH * HEIGHT];

#define WORDS(...)                                                                                           \
    ((const char *const[]){__VA_ARGS__, "--detector", detector, "--segmenter", segmenter,                    \
                           "--segmenter-size", "256", "--device", "cpu", NULL})

static void need_checkpoints(void)
{
    const char *first = getenv("SONO_TEST_DETECTOR"), *second = getenv("SONO_TEST_SEGMENTER");
    if (!first || !second || access(first, R_OK) || access(second, R_OK))
        sono_test_skip("no checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER)");
    snprintf(detector, sizeof detector, "%s", first);
    snprintf(segmenter, sizeof segmenter, "%s", second);
}

static void save(const char *name, test_file file)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, name);
    sono_test_write_file(path, file.bytes, file.n_bytes);
    free(file.bytes);
}

/* folder/: two pages in stack.tif, an upright and a turned picture, two files that are no images */
static int make_inputs(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    uint8_t block[TEST_EXIF_BYTES];
    const test_picture lying = {WIDTH, HEIGHT, 1, 8, pixels}, upright = {HEIGHT, WIDTH, 1, 8, pixels};
    const test_picture pictures[] = {lying, upright};
    const test_tiff_layout layout = {.photometric = PHOTOMETRIC_MINISBLACK, .compression = COMPRESSION_LZW};
    const test_tiff_layout layouts[] = {layout, layout};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    sono_test_path(path, sizeof path, "folder");
    mkdir(path, 0777);
    save("folder/stack.tif", test_tiff_pages(pictures, layouts, 2));
    save("folder/upright", test_png(&upright, PNG_COLOR_TYPE_GRAY, 0));
    test_exif(block, 6, 0);
    save("folder/turned.png",
         test_png_chunk(test_png(&lying, PNG_COLOR_TYPE_GRAY, 0), 33, "eXIf", block, sizeof block));
    sono_test_path(path, sizeof path, "folder/a.bmp");
    sono_test_write_file(path, "BM", 2);
    sono_test_path(path, sizeof path, "folder/scan.raw");
    sono_test_write_file(path, "", 0);
    return 0;
}

static void expect_mask(const char *relative, int32_t width_px, int32_t height_px)
{
    char path[SONO_TEST_PATH_BYTES];
    size_t n_bytes = 0;
    sono_test_path(path, sizeof path, relative);
    if (access(path, F_OK))
        fail_msg("%s was not written", relative);
    uint8_t *bytes = sono_test_read_file(path, &n_bytes);
    sono_decoded_image image = {0};
    sono_error error = {0};
    sono_source_options options;
    sono_source_options_init(&options);
    assert_ok(sono_image_decode(bytes, n_bytes, path, &options, &image, &error), &error);
    assert_int_equal(image.width_px, width_px);
    assert_int_equal(image.height_px, height_px);
    sono_image_reset(&image);
    sono_free(bytes);
}

static void test_folder(void **state)
{
    (void)state;
    char input[SONO_TEST_PATH_BYTES], output[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(input, sizeof input, "folder");
    sono_test_path(output, sizeof output, "out");
    command_result result =
        command_run(WORDS("run", "--detector-family", "dfine", input, "-o", output, "--max-size", "48x20"));
    assert_int_equal(result.status, 0);
    assert_string_equal(result.err, "sonoseg: 2 files left out: .bmp, .raw\n");
    assert_non_null(strstr(result.out, "4 frames"));
    command_free(&result);
    expect_mask("out/masks/stack_p0001.png", WIDTH, HEIGHT);
    expect_mask("out/masks/stack_p0002.png", HEIGHT, WIDTH);
    expect_mask("out/masks/upright.png", HEIGHT, WIDTH);
    expect_mask("out/masks/turned.png", HEIGHT, WIDTH);
}

static void test_longer_side(void **state)
{
    (void)state;
    char input[SONO_TEST_PATH_BYTES], output[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(input, sizeof input, "folder/upright");
    sono_test_path(output, sizeof output, "longer");
    command_expect(1, "20 x 48 pixels, the limit is 40 pixels a side (see --max-size)",
                   WORDS("run", "--detector-family", "dfine", input, "-o", output, "--max-size", "40x40"));
}

static void test_float_range(void **state)
{
    (void)state;
    static float values[WIDTH * HEIGHT];
    char input[SONO_TEST_PATH_BYTES], output[SONO_TEST_PATH_BYTES];
    const test_picture picture = {WIDTH, HEIGHT, 1, 32, values};
    const test_tiff_layout layout = {.photometric = PHOTOMETRIC_MINISBLACK,
                                     .compression = COMPRESSION_NONE,
                                     .sample_format = SAMPLEFORMAT_IEEEFP};
    need_checkpoints();
    save("float.tif", test_tiff(&picture, &layout));
    sono_test_path(input, sizeof input, "float.tif");
    sono_test_path(output, sizeof output, "float");
    command_expect(1, "32-bit float samples: say which values are black and white (--float-range LO,HI",
                   WORDS("run", "--detector-family", "dfine", input, "-o", output, "--max-size", "48x20"));
    command_expect(0, NULL,
                   WORDS("run", "--detector-family", "dfine", input, "-o", output, "--max-size", "48x20",
                         "--float-range", "-1,1.5e1"));
    command_expect(2, "--float-range: '1,0' is not a range",
                   WORDS("run", "--detector-family", "dfine", input, "-o", output, "--float-range", "1,0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_longer_side),
        cmocka_unit_test(test_float_range),
    };
    return sono_test_run_with("cli/images", tests, sizeof tests / sizeof tests[0], make_inputs, NULL);
}
