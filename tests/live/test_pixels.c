// SPDX-License-Identifier: Apache-2.0
/* Which images are analysed, and how samples become a sono_image (live/serve/pixels.h). */
#include "serve/pixels.h"
#include "test.h"

#include <math.h>
#include <string.h>

static sono_igtl_image image_of(int scalar, int components, int endian)
{
    return (sono_igtl_image){.version = 1,
                             .n_components = (uint8_t)components,
                             .scalar = (uint8_t)scalar,
                             .endian = (uint8_t)endian,
                             .coordinates = 1,
                             .size = {4, 1, 1},
                             .subsize = {4, 1, 1}};
}

static const sono_serve_window none;

static void accepts(int scalar, int components, int endian, sono_pixel_format format,
                    sono_serve_pixels_rule rule)
{
    sono_serve_pixels_plan plan;
    sono_igtl_image image = image_of(scalar, components, endian);
    assert_null(sono_serve_pixels_check(&image, &none, &plan));
    assert_int_equal(plan.format, format);
    assert_int_equal(plan.rule, rule);
    assert_int_equal(plan.width_px, 4);
    assert_int_equal(plan.height_px, 1);
}

static void test_what_goes_as_it_is(void **state)
{
    (void)state;
    accepts(SONO_IGTL_UINT8, 1, 1, SONO_PIXEL_GRAY8, SONO_SERVE_PIXELS_AS_IS);
    accepts(SONO_IGTL_UINT8, 3, 2, SONO_PIXEL_RGB8, SONO_SERVE_PIXELS_AS_IS);
    accepts(SONO_IGTL_UINT8, 4, 2, SONO_PIXEL_RGBA8, SONO_SERVE_PIXELS_AS_IS);
    accepts(SONO_IGTL_UINT16, 1, 2, SONO_PIXEL_GRAY16, SONO_SERVE_PIXELS_AS_IS);
    accepts(SONO_IGTL_UINT16, 1, 1, SONO_PIXEL_GRAY16, SONO_SERVE_PIXELS_SWAP16);
}

static void refuses(sono_igtl_image image, const char *part)
{
    sono_serve_pixels_plan plan = {.width_px = -7};
    const char *why = sono_serve_pixels_check(&image, &none, &plan);
    assert_non_null(why);
    assert_non_null(strstr(why, part));
    assert_int_equal(plan.width_px, -7); /* untouched */
}

static void test_what_is_refused(void **state)
{
    (void)state;
    refuses(image_of(SONO_IGTL_UINT8, 2, 2), "components");
    refuses(image_of(SONO_IGTL_UINT8, 5, 2), "components");
    refuses(image_of(SONO_IGTL_UINT16, 3, 2), "components");
    refuses(image_of(SONO_IGTL_FLOAT32, 1, 2), "source.window");
    refuses(image_of(SONO_IGTL_INT8, 1, 2), "source.window");
    refuses(image_of(SONO_IGTL_UINT32, 1, 2), "source.window");
    sono_igtl_image volume = image_of(SONO_IGTL_UINT8, 1, 2), part = volume, moved = volume;
    volume.size[2] = volume.subsize[2] = 2;
    refuses(volume, "slice");
    part.size[0] = 8;
    refuses(part, "part of a volume");
    moved.offset[1] = 1;
    refuses(moved, "part of a volume");
}

/* Through the plan of source.window `text`. */
static void converts(int scalar, int endian, const char *text, const void *in, size_t n_bytes,
                     const uint8_t *expected)
{
    uint8_t pixels[64];
    sono_serve_window window;
    sono_serve_pixels_plan plan;
    sono_igtl_image image = image_of(scalar, 1, endian);
    assert_int_equal(sono_serve_window_parse(text, &window), 0);
    assert_null(sono_serve_pixels_check(&image, &window, &plan));
    assert_int_equal(plan.format, SONO_PIXEL_GRAY8);
    memcpy(pixels, in, n_bytes);
    sono_serve_pixels_convert(&plan, pixels);
    assert_memory_equal(pixels, expected, 4);
}

static void test_windows(void **state)
{
    (void)state;
    const int8_t i8[4] = {-128, -1, 0, 127};
    converts(SONO_IGTL_INT8, 2, "-128,127", i8, sizeof i8, (const uint8_t[]){0, 127, 128, 255});
    const int16_t i16[4] = {-1000, 0, 500, 1000};
    converts(SONO_IGTL_INT16, 2, "0,1000", i16, sizeof i16, (const uint8_t[]){0, 0, 128, 255});
    const uint8_t i16_big[8] = {0xfc, 0x18, 0, 0, 0x01, 0xf4, 0x03, 0xe8}; /* the same four */
    converts(SONO_IGTL_INT16, 1, "0,1000", i16_big, sizeof i16_big, (const uint8_t[]){0, 0, 128, 255});
    const int32_t i32[4] = {-2000000000, -1, 1, 2000000000};
    converts(SONO_IGTL_INT32, 2, "-1,1", i32, sizeof i32, (const uint8_t[]){0, 0, 255, 255});
    const uint32_t u32[4] = {0, 1000000000u, 2000000000u, 4000000000u};
    converts(SONO_IGTL_UINT32, 2, "0,4e9", u32, sizeof u32, (const uint8_t[]){0, 64, 128, 255});
    const float f32[4] = {NAN, -INFINITY, 0.25f, INFINITY};
    converts(SONO_IGTL_FLOAT32, 2, "0,1", f32, sizeof f32, (const uint8_t[]){0, 0, 64, 255});
    const double f64[4] = {-1e300, 0.5, NAN, 1e300};
    converts(SONO_IGTL_FLOAT64, 2, "0,1", f64, sizeof f64, (const uint8_t[]){0, 128, 0, 255});
}

static void test_swap(void **state)
{
    (void)state;
    sono_serve_pixels_plan plan;
    sono_igtl_image image = image_of(SONO_IGTL_UINT16, 1, 1);
    uint8_t pixels[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert_null(sono_serve_pixels_check(&image, &none, &plan));
    sono_serve_pixels_convert(&plan, pixels);
    assert_memory_equal(pixels, ((const uint8_t[]){2, 1, 4, 3, 6, 5, 8, 7}), 8);
}

static void test_window_texts(void **state)
{
    static const char *const bad[] = {"1", "1,", ",1", "2,1", "1,1", "a,b", "0,1x", "nan,1", "0,inf", "0;1"};
    sono_serve_window window = {.is_set = 1, .low = 3, .high = 4};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        assert_int_equal(sono_serve_window_parse(bad[i], &window), -1);
        assert_true(window.is_set && window.low == 3 && window.high == 4);
    }
    assert_int_equal(sono_serve_window_parse("-1.5, 2e3", &window), 0);
    assert_true(window.is_set && window.low == -1.5 && window.high == 2000);
    assert_int_equal(sono_serve_window_parse("", &window), 0);
    assert_int_equal(window.is_set, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_as_it_is),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_swap),
        cmocka_unit_test(test_window_texts),
    };
    return sono_test_run("live/pixels", tests, sizeof(tests) / sizeof(tests[0]));
}
