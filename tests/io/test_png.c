// SPDX-License-Identifier: Apache-2.0
/* PNG files written and read back. */
#include "test.h"

#include "base/alloc.h"
#include "sonoseg/io.h"

#include <string.h>
#include <unistd.h>

static void expect_round_trip(const uint8_t *pixels, int32_t width_px, int32_t height_px, int32_t channels)
{
    char path[SONO_TEST_PATH_BYTES];
    const char *const paths[] = {path};
    const char *name = NULL;
    sono_source *source = NULL;
    sono_frame frame = SONO_TEST_FRAME;
    sono_error error;
    sono_source_options options;
    sono_test_path(path, sizeof path, "picture.png");
    assert_ok(sono_png_write(path, pixels, width_px, height_px, channels, &error), &error);
    sono_source_options_init(&options);
    options.keep_colour = 1;
    assert_ok(sono_source_open_images(paths, 1, &options, &source, &error), &error);
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    assert_int_equal(frame.image.width_px, width_px);
    assert_int_equal(frame.image.height_px, height_px);
    assert_int_equal(frame.image.format, channels == 1 ? SONO_PIXEL_GRAY8 : SONO_PIXEL_RGB8);
    assert_memory_equal(frame.image.pixels, pixels, (size_t)(width_px * height_px * channels));
    sono_source_close(source);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const uint8_t pixels[18] = {0, 1, 2, 255, 128, 7, 9, 200, 33, 4, 5, 6, 77, 88, 99, 100, 101, 102};
    expect_round_trip(pixels, 6, 3, 1);
    expect_round_trip(pixels, 3, 2, 3);
    expect_round_trip(pixels, 1, 1, 1);
}

static void test_refusals(void **state)
{
    (void)state;
    static const uint8_t pixel[3] = {0};
    char path[SONO_TEST_PATH_BYTES];
    sono_error error;
    sono_test_path(path, sizeof path, "none.png");
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_png_write(NULL, pixel, 1, 1, 1, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_png_write(path, NULL, 1, 1, 1, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_png_write(path, pixel, 0, 1, 1, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_png_write(path, pixel, 1, 1, 2, &error), &error);
    assert_non_null(strstr(error.text, path));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_status(SONO_STATUS_IO, sono_png_write("/nonexistent/a.png", pixel, 1, 1, 1, NULL), NULL);
}

/* Every byte counts, but for those behind the end; so does the size. */
static void test_check(void **state)
{
    (void)state;
    static const uint8_t pixels[18] = {0, 1, 2, 255, 128, 7, 9, 200, 33, 4, 5, 6, 77, 88, 99, 100, 101, 102};
    char path[SONO_TEST_PATH_BYTES];
    sono_error error;
    size_t n_bytes;
    sono_test_path(path, sizeof path, "checked.png");
    assert_ok(sono_png_write(path, pixels, 3, 2, 3, &error), &error);
    assert_ok(sono_png_check(path, 3, 2, &error), &error);
    assert_status(SONO_STATUS_FORMAT, sono_png_check(path, 2, 3, &error), &error);
    assert_non_null(strstr(error.text, "another size"));
    uint8_t *bytes = sono_test_read_file(path, &n_bytes);
    for (size_t i = 0; i < n_bytes; i++) {
        bytes[i] ^= 0x10;
        sono_test_write_file(path, bytes, n_bytes);
        assert_status(SONO_STATUS_FORMAT, sono_png_check(path, 3, 2, &error), &error);
        bytes[i] ^= 0x10;
        sono_test_write_file(path, bytes, i);
        assert_status(SONO_STATUS_FORMAT, sono_png_check(path, 3, 2, &error), &error);
        assert_non_null(strstr(error.text, path));
    }
    sono_free(bytes);
    assert_status(SONO_STATUS_IO, sono_png_check("/nonexistent/a.png", 1, 1, &error), &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_check),
    };
    return sono_test_run("sink/png", tests, sizeof tests / sizeof tests[0]);
}
