// SPDX-License-Identifier: Apache-2.0
/* Every image format that is read, against the pixels it was written from. */
#include "noise.h"
#include "test.h"

#include "base/alloc.h"
#include "io/images/image.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

static sono_decoded_image decode(test_file file, int keep_colour)
{
    sono_error error = {0};
    sono_decoded_image image = {0};
    sono_source_options options;
    sono_source_options_init(&options);
    options.keep_colour = keep_colour;
    assert_ok(sono_image_decode(file.bytes, file.n_bytes, "t", &options, &image, &error), &error);
    free(file.bytes);
    assert_int_equal(image.width_px, WIDTH);
    assert_int_equal(image.height_px, HEIGHT);
    return image;
}

static uint8_t luma(unsigned r, unsigned g, unsigned b)
{
    return (uint8_t)((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16);
}

static void expect_grey8(test_file file, int channels)
{
    sono_decoded_image image = decode(file, 0);
    assert_int_equal(image.format, SONO_PIXEL_GRAY8);
    assert_int_equal(image.pitch_bytes, WIDTH);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(image.pixels[i], bytes8[i * (size_t)channels]);
    sono_image_reset(&image);
}

static void expect_grey16(test_file file, int channels)
{
    sono_decoded_image image = decode(file, 0);
    assert_int_equal(image.format, SONO_PIXEL_GRAY16);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(((uint16_t *)(void *)image.pixels)[i], words16[i * (size_t)channels]);
    sono_image_reset(&image);
}

/* Decodes twice: as colour and as luma. */
static void expect_rgb(test_file file, int channels)
{
    test_file copy = {malloc(file.n_bytes), file.n_bytes};
    assert_non_null(copy.bytes);
    memcpy(copy.bytes, file.bytes, file.n_bytes);
    sono_decoded_image colour = decode(copy, 1);
    sono_decoded_image grey = decode(file, 0);
    assert_int_equal(colour.format, SONO_PIXEL_RGB8);
    assert_int_equal(grey.format, SONO_PIXEL_GRAY8);
    for (size_t i = 0; i < COUNT; i++) {
        const uint8_t *pixel = bytes8 + i * (size_t)channels;
        assert_memory_equal(colour.pixels + 3 * i, pixel, 3);
        assert_int_equal(grey.pixels[i], luma(pixel[0], pixel[1], pixel[2]));
    }
    sono_image_reset(&colour);
    sono_image_reset(&grey);
}

static void expect_palette(test_file file)
{
    sono_decoded_image image = decode(file, 1);
    assert_int_equal(image.format, SONO_PIXEL_RGB8);
    for (size_t i = 0; i < COUNT; i++) {
        const uint8_t expected[3] = {bytes8[i], (uint8_t)(255 - bytes8[i]), (uint8_t)(bytes8[i] / 2)};
        assert_memory_equal(image.pixels + 3 * i, expected, 3);
    }
    sono_image_reset(&image);
}

static void test_png_kinds(void **state)
{
    (void)state;
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        test_picture picture = picture_of(1, 8);
        expect_grey8(test_png(&picture, PNG_COLOR_TYPE_GRAY, interlaced), 1);
        expect_palette(test_png(&picture, PNG_COLOR_TYPE_PALETTE, interlaced));
        picture = picture_of(2, 8);
        expect_grey8(test_png(&picture, PNG_COLOR_TYPE_GRAY_ALPHA, interlaced), 2);
        picture = picture_of(1, 16);
        expect_grey16(test_png(&picture, PNG_COLOR_TYPE_GRAY, interlaced), 1);
        picture = picture_of(2, 16);
        expect_grey16(test_png(&picture, PNG_COLOR_TYPE_GRAY_ALPHA, interlaced), 2);
        picture = picture_of(3, 8);
        expect_rgb(test_png(&picture, PNG_COLOR_TYPE_RGB, interlaced), 3);
        picture = picture_of(4, 8);
        expect_rgb(test_png(&picture, PNG_COLOR_TYPE_RGB_ALPHA, interlaced), 4);
    }
}

static void test_png_shallow_and_deep(void **state)
{
    (void)state;
    test_picture picture = picture_of(1, 4);
    sono_decoded_image image = decode(test_png(&picture, PNG_COLOR_TYPE_GRAY, 0), 0);
    const size_t pitch_bytes = (WIDTH + 1) / 2;
    for (size_t i = 0; i < COUNT; i++) {
        const unsigned packed = bytes8[i / WIDTH * pitch_bytes + i % WIDTH / 2];
        assert_int_equal(image.pixels[i], (i % WIDTH % 2 ? packed & 15 : packed >> 4) * 17);
    }
    sono_image_reset(&image);
    picture = picture_of(3, 16);
    image = decode(test_png(&picture, PNG_COLOR_TYPE_RGB, 0), 1);
    for (size_t i = 0; i < 3 * COUNT; i++)
        assert_in_range(image.pixels[i], words16[i] * 255u / 65535, (words16[i] * 255u + 65534) / 65535);
    sono_image_reset(&image);
}

/* JPEG loses: a smooth picture must come back within a few levels. */
static void test_jpeg_kinds(void **state)
{
    (void)state;
    static uint8_t smooth[COUNT * 3];
    for (size_t i = 0; i < COUNT; i++) {
        smooth[3 * i] = (uint8_t)(i % WIDTH * 6);
        smooth[3 * i + 1] = (uint8_t)(i / WIDTH * 8);
        smooth[3 * i + 2] = 90;
    }
    const test_picture colour = {WIDTH, HEIGHT, 3, 8, smooth};
    const test_picture grey = {WIDTH, HEIGHT / 3, 1, 8, smooth};
    for (int kind = TEST_JPEG_PLAIN; kind <= TEST_JPEG_PROGRESSIVE; kind++) {
        sono_decoded_image image = decode(test_jpeg(&colour, (test_jpeg_kind)kind), 0);
        assert_int_equal(image.format, SONO_PIXEL_GRAY8);
        for (size_t i = 0; i < COUNT; i++)
            assert_true(abs(image.pixels[i] - luma(smooth[3 * i], smooth[3 * i + 1], smooth[3 * i + 2])) <=
                        8);
        sono_image_reset(&image);
        image = decode(test_jpeg(&colour, (test_jpeg_kind)kind), 1);
        assert_int_equal(image.format, SONO_PIXEL_RGB8);
        sono_image_reset(&image);
    }
    sono_error error = {0};
    sono_decoded_image image = {0};
    sono_source_options options;
    sono_source_options_init(&options);
    options.keep_colour = 1;
    test_file file = test_jpeg(&grey, TEST_JPEG_PLAIN);
    assert_ok(sono_image_decode(file.bytes, file.n_bytes, "t", &options, &image, &error), &error);
    assert_int_equal(image.format, SONO_PIXEL_GRAY8);
    free(file.bytes);
    sono_image_reset(&image);
}

static void test_tiff_kinds(void **state)
{
    (void)state;
    static const int compressions[] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE,
                                       COMPRESSION_PACKBITS};
    for (int i = 0; i < 4 * 2 * 2; i++) {
        test_tiff_layout layout = {
            .photometric = PHOTOMETRIC_MINISBLACK,
            .compression = compressions[i / 4],
            .tile_px = i & 1 ? 16 : 0,
            .is_big_endian = i >> 1 & 1,
        };
        test_picture picture = picture_of(1, 8);
        expect_grey8(test_tiff(&picture, &layout), 1);
        picture = picture_of(1, 16);
        expect_grey16(test_tiff(&picture, &layout), 1);
        layout.photometric = PHOTOMETRIC_RGB;
        picture = picture_of(3, 8);
        expect_rgb(test_tiff(&picture, &layout), 3);
        layout.photometric = PHOTOMETRIC_PALETTE;
        picture = picture_of(1, 8);
        expect_palette(test_tiff(&picture, &layout));
    }
}

static void test_tiff_inverted_and_jpeg(void **state)
{
    (void)state;
    test_tiff_layout layout = {.photometric = PHOTOMETRIC_MINISWHITE, .compression = COMPRESSION_NONE};
    test_picture picture = picture_of(1, 8);
    sono_decoded_image image = decode(test_tiff(&picture, &layout), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(image.pixels[i], 255 - bytes8[i]);
    sono_image_reset(&image);
    picture = picture_of(1, 16);
    image = decode(test_tiff(&picture, &layout), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(((uint16_t *)(void *)image.pixels)[i], 65535 - words16[i]);
    sono_image_reset(&image);
    static uint8_t flat[COUNT * 3];
    memset(flat, 120, sizeof flat);
    picture = (test_picture){WIDTH, HEIGHT, 3, 8, flat};
    layout = (test_tiff_layout){.photometric = PHOTOMETRIC_YCBCR, .compression = COMPRESSION_JPEG};
    image = decode(test_tiff(&picture, &layout), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(abs(image.pixels[i] - 120) <= 2);
    sono_image_reset(&image);
}

static void test_pnm_kinds(void **state)
{
    (void)state;
    test_picture picture = picture_of(1, 8);
    expect_grey8(test_pnm(&picture, 255, ""), 1);
    expect_grey8(test_pnm(&picture, 255, "# made by a test\n#\n"), 1);
    picture = picture_of(3, 8);
    expect_rgb(test_pnm(&picture, 255, ""), 3);
    picture = picture_of(1, 16);
    expect_grey16(test_pnm(&picture, 65535, ""), 1);
}

static void test_pnm_maxval(void **state)
{
    (void)state;
    static uint8_t low[COUNT];
    static uint16_t twelve_bits[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        low[i] = (uint8_t)(i % 101);
        twelve_bits[i] = (uint16_t)(i * 4 % 4096);
    }
    test_picture picture = {WIDTH, HEIGHT, 1, 8, low};
    sono_decoded_image image = decode(test_pnm(&picture, 100, ""), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(image.pixels[i], (low[i] * 255 + 50) / 100);
    sono_image_reset(&image);
    picture = (test_picture){WIDTH, HEIGHT, 1, 16, twelve_bits};
    image = decode(test_pnm(&picture, 4095, ""), 0);
    assert_int_equal(image.format, SONO_PIXEL_GRAY16);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(((uint16_t *)(void *)image.pixels)[i], (twelve_bits[i] * 65535u + 2047) / 4095);
    sono_image_reset(&image);
}

static void test_buffer_is_reused(void **state)
{
    (void)state;
    sono_error error = {0};
    sono_decoded_image image = {0};
    sono_source_options options;
    sono_source_options_init(&options);
    const test_picture picture = picture_of(3, 8);
    test_file file = test_pnm(&picture, 255, "");
    assert_ok(sono_image_decode(file.bytes, file.n_bytes, "t", &options, &image, &error), &error);
    const uint8_t *pixels = image.pixels;
    const uint64_t n_before = sono_alloc_count();
    assert_ok(sono_image_decode(file.bytes, file.n_bytes, "t", &options, &image, &error), &error);
    assert_ptr_equal(image.pixels, pixels);
    assert_int_equal(sono_alloc_count(), n_before);
    free(file.bytes);
    sono_image_reset(&image);
}

/* Every request of ours that fails gives OUT_OF_MEMORY; leaks show under the address sanitizer. */
static void test_out_of_memory(void **state)
{
    (void)state;
    const test_tiff_layout layout = {.photometric = PHOTOMETRIC_MINISBLACK, .compression = COMPRESSION_NONE};
    const test_picture grey = picture_of(1, 8);
    test_file files[] = {test_png(&grey, PNG_COLOR_TYPE_GRAY, 1), test_jpeg(&grey, TEST_JPEG_PLAIN),
                         test_tiff(&grey, &layout), test_pnm(&grey, 255, "")};
    sono_source_options options;
    sono_source_options_init(&options);
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        sono_status status = SONO_STATUS_OUT_OF_MEMORY;
        uint64_t n = 0;
        while (status == SONO_STATUS_OUT_OF_MEMORY) {
            sono_error error = {0};
            sono_decoded_image image = {0};
            sono_alloc_fail_from(++n);
            status = sono_image_decode(files[f].bytes, files[f].n_bytes, "t", &options, &image, &error);
            sono_alloc_fail_from(0);
            sono_image_reset(&image);
        }
        assert_int_equal(status, SONO_STATUS_OK);
        assert_true(n > 1);
        free(files[f].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_kinds),
        cmocka_unit_test(test_png_shallow_and_deep),
        cmocka_unit_test(test_jpeg_kinds),
        cmocka_unit_test(test_tiff_kinds),
        cmocka_unit_test(test_tiff_inverted_and_jpeg),
        cmocka_unit_test(test_pnm_kinds),
        cmocka_unit_test(test_pnm_maxval),
        cmocka_unit_test(test_buffer_is_reused),
        cmocka_unit_test(test_out_of_memory),
    };
    return sono_test_run_with("source/image", tests, sizeof tests / sizeof tests[0], fill, NULL);
}
