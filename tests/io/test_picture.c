// SPDX-License-Identifier: Apache-2.0
/* Drawing into RGB pictures. */
#include "test.h"

#include "sonoseg/io.h"

#include <string.h>

#define WIDTH  20
#define HEIGHT 9

static uint8_t pixels[WIDTH * HEIGHT * 3];
static const sono_picture picture = {pixels, WIDTH, HEIGHT};
static const sono_colour ink = {255, 128, 0};

static int setup(void **state)
{
    (void)state;
    memset(pixels, 0, sizeof pixels);
    return 0;
}

static const uint8_t *pixel_at(int x, int y)
{
    return pixels + 3 * (y * WIDTH + x);
}

static int count_inked(void)
{
    int n = 0;
    for (size_t i = 0; i < sizeof pixels; i += 3)
        n += pixels[i] != 0;
    return n;
}

static void test_fill(void **state)
{
    (void)state;
    sono_picture_fill(&picture, 2, 1, 5, 3, ink, 256);
    assert_int_equal(count_inked(), 6);
    assert_memory_equal(pixel_at(4, 2), ((uint8_t[]){255, 128, 0}), 3);
    sono_picture_fill(&picture, 4, 2, 5, 3, (sono_colour){0, 0, 255}, 64);
    assert_memory_equal(pixel_at(4, 2), ((uint8_t[]){191, 96, 63}), 3);
}

static void test_fill_outside(void **state)
{
    (void)state;
    sono_picture_fill(&picture, -5, -5, 1, 1, ink, 256);
    sono_picture_fill(&picture, WIDTH - 1, HEIGHT - 1, WIDTH + 50, HEIGHT + 50, ink, 256);
    assert_int_equal(count_inked(), 2);
    sono_picture_fill(&picture, 5, 5, 5, 9, ink, 256);
    sono_picture_fill(&picture, WIDTH, 0, WIDTH + 3, 3, ink, 256);
    sono_picture_fill(&picture, -9, 2, -2, 3, ink, 256);
    assert_int_equal(count_inked(), 2);
}

static void test_text(void **state)
{
    (void)state;
    assert_int_equal(sono_picture_text_width("", 3), 0);
    assert_int_equal(sono_picture_text_width("1", 3), 15);
    assert_int_equal(sono_picture_text_width("1a", 1), 11);
    sono_picture_draw_text(&picture, 1, 1, 1, "-", ink);
    assert_int_equal(count_inked(), 5);
    assert_int_equal(*pixel_at(1, 4), 255);
    assert_int_equal(*pixel_at(5, 4), 255);
    sono_picture_draw_text(&picture, 1, 1, 1, " \n~", ink);
    assert_int_equal(count_inked(), 5);
    sono_picture_draw_text(&picture, 7, -20, 4, "l)", ink); /* its lowest dots only */
    assert_true(count_inked() > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_fill, setup),
        cmocka_unit_test_setup(test_fill_outside, setup),
        cmocka_unit_test_setup(test_text, setup),
    };
    return sono_test_run("sink/picture", tests, sizeof tests / sizeof tests[0]);
}
