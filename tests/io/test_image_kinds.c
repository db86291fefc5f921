// SPDX-License-Identifier: Apache-2.0
/* Images as they are met in the field: turned, with stray bytes, without an end, and unusual TIFFs; each
 * against the pixels it was written from. */
#include "noise.h"
#include "test.h"

#include "io/images/image.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

static sono_source_options options_for(int keep_colour)
{
    sono_source_options options;
    sono_source_options_init(&options);
    options.keep_colour = keep_colour;
    return options;
}

static sono_decoded_image decode_with(test_file file, const sono_source_options *options)
{
    sono_error error = {0};
    sono_decoded_image image = {0};
    assert_ok(sono_image_decode(file.bytes, file.n_bytes, "t", options, &image, &error), &error);
    free(file.bytes);
    return image;
}

static sono_decoded_image decode(test_file file, int keep_colour)
{
    const sono_source_options options = options_for(keep_colour);
    return decode_with(file, &options);
}

static void refuse(test_file file, sono_status status, const char *reason)
{
    const sono_source_options options = options_for(0);
    sono_error error = {0};
    sono_decoded_image image = {0};
    assert_int_equal(sono_image_decode(file.bytes, file.n_bytes, "t", &options, &image, &error), status);
    if (!strstr(error.text, reason))
        fail_msg("'%s' does not say '%s'", error.text, reason);
    free(file.bytes);
    sono_image_reset(&image);
}

static void expect_same(sono_decoded_image got, sono_decoded_image want)
{
    assert_int_equal(got.format, want.format);
    assert_int_equal(got.width_px, want.width_px);
    assert_int_equal(got.height_px, want.height_px);
    assert_int_equal(got.pitch_bytes, want.pitch_bytes);
    assert_memory_equal(got.pixels, want.pixels, want.pitch_bytes * (size_t)want.height_px);
    sono_image_reset(&got);
    sono_image_reset(&want);
}

/* ---- orientation ---- */

/* Where the picture as people see it has the stored pixel of column x, row y (EXIF 2.32, 4.6.4, Orientation).
 */
static void seen_at(int orientation, int x, int y, int *seen_x, int *seen_y)
{
    const int right = WIDTH - 1 - x, below = HEIGHT - 1 - y;
    const int places[9][2] = {{0, 0}, {x, y},     {right, y},     {right, below}, {x, below},
                              {y, x}, {below, x}, {below, right}, {y, right}};
    *seen_x = places[orientation][0];
    *seen_y = places[orientation][1];
}

static void expect_turned(sono_decoded_image got, sono_decoded_image plain, int orientation)
{
    const size_t pixel_bytes = plain.pitch_bytes / WIDTH;
    assert_int_equal(got.width_px, orientation < 5 ? WIDTH : HEIGHT);
    assert_int_equal(got.height_px, orientation < 5 ? HEIGHT : WIDTH);
    assert_int_equal(got.format, plain.format);
    assert_int_equal(got.pitch_bytes, (size_t)got.width_px * pixel_bytes);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            int seen_x, seen_y;
            seen_at(orientation, x, y, &seen_x, &seen_y);
            assert_memory_equal(got.pixels + (size_t)seen_y * got.pitch_bytes + (size_t)seen_x * pixel_bytes,
                                plain.pixels + (size_t)y * plain.pitch_bytes + (size_t)x * pixel_bytes,
                                pixel_bytes);
        }
    sono_image_reset(&got);
    sono_image_reset(&plain);
}

static test_file turned_jpeg(int channels, int orientation, int is_big_endian)
{
    uint8_t segment[10 + TEST_EXIF_BYTES] = {0xff, 0xe1, 0, 8 + TEST_EXIF_BYTES, 'E', 'x', 'i', 'f', 0, 0};
    const test_picture picture = picture_of(channels, 8);
    test_exif(segment + 10, orientation, is_big_endian);
    return test_insert(test_jpeg(&picture, TEST_JPEG_PLAIN), 2, segment, sizeof segment);
}

static test_file turned_png(const test_picture *picture, int colour_type, int orientation, int is_behind)
{
    uint8_t block[TEST_EXIF_BYTES];
    test_file file = test_png(picture, colour_type, 0);
    test_exif(block, orientation, orientation & 1);
    return test_png_chunk(file, is_behind ? file.n_bytes - 12 : 33, "eXIf", block, sizeof block);
}

static void test_orientation_png(void **state)
{
    (void)state;
    const test_picture grey = picture_of(1, 8), deep = picture_of(1, 16), rgb = picture_of(3, 8);
    for (int n = 1; n <= 8; n++)
        for (int behind = 0; behind < 2; behind++) {
            expect_turned(decode(turned_png(&grey, PNG_COLOR_TYPE_GRAY, n, behind), 0),
                          decode(test_png(&grey, PNG_COLOR_TYPE_GRAY, 0), 0), n);
            expect_turned(decode(turned_png(&deep, PNG_COLOR_TYPE_GRAY, n, behind), 0),
                          decode(test_png(&deep, PNG_COLOR_TYPE_GRAY, 0), 0), n);
            expect_turned(decode(turned_png(&rgb, PNG_COLOR_TYPE_RGB, n, behind), 1),
                          decode(test_png(&rgb, PNG_COLOR_TYPE_RGB, 0), 1), n);
            expect_turned(decode(turned_png(&rgb, PNG_COLOR_TYPE_RGB, n, behind), 0),
                          decode(test_png(&rgb, PNG_COLOR_TYPE_RGB, 0), 0), n);
        }
}

static void test_orientation_jpeg(void **state)
{
    (void)state;
    const test_picture grey = picture_of(1, 8), rgb = picture_of(3, 8);
    for (int n = 1; n <= 8; n++)
        for (int big = 0; big < 2; big++) {
            expect_turned(decode(turned_jpeg(1, n, big), 0), decode(test_jpeg(&grey, TEST_JPEG_PLAIN), 0), n);
            expect_turned(decode(turned_jpeg(3, n, big), 1), decode(test_jpeg(&rgb, TEST_JPEG_PLAIN), 1), n);
        }
    /* What is no orientation leaves the picture as it is stored. */
    expect_turned(decode(turned_jpeg(1, 0, 0), 0), decode(test_jpeg(&grey, TEST_JPEG_PLAIN), 0), 1);
    expect_turned(decode(turned_jpeg(1, 9, 1), 0), decode(test_jpeg(&grey, TEST_JPEG_PLAIN), 0), 1);
}

static void test_orientation_tiff(void **state)
{
    (void)state;
    const test_picture deep = picture_of(1, 16), rgb = picture_of(3, 8);
    for (int n = 1; n <= 8; n++)
        for (int tile_px = 0; tile_px <= 16; tile_px += 16) {
            test_tiff_layout layout = {
                .photometric = PHOTOMETRIC_MINISBLACK, .compression = COMPRESSION_LZW, .tile_px = tile_px};
            test_tiff_layout turned = layout;
            turned.orientation = n;
            expect_turned(decode(test_tiff(&deep, &turned), 0), decode(test_tiff(&deep, &layout), 0), n);
            layout.photometric = turned.photometric = PHOTOMETRIC_RGB;
            expect_turned(decode(test_tiff(&rgb, &turned), 1), decode(test_tiff(&rgb, &layout), 1), n);
        }
}

/* ---- JPEG ---- */

static size_t find_marker(const test_file *file, int first, int last)
{
    for (size_t i = 2; i + 1 < file->n_bytes; i++)
        if (file->bytes[i] == 0xff && file->bytes[i + 1] >= first && file->bytes[i + 1] <= last)
            return i;
    fail_msg("no marker %x", (unsigned)first);
    return 0;
}

static void test_jpeg_stray_bytes(void **state)
{
    (void)state;
    static const int markers[][2] = {{0xdb, 0xdb}, {0xc0, 0xc2}, {0xc4, 0xc4},
                                     {0xda, 0xda}, {0xd9, 0xd9}, {0xd1, 0xd1}};
    static const test_jpeg_kind kinds[] = {TEST_JPEG_RESTARTS, TEST_JPEG_PROGRESSIVE};
    const test_picture grey = picture_of(1, 8);
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < (kinds[k] == TEST_JPEG_RESTARTS ? 6 : 5); i++) {
            const test_file whole = test_jpeg(&grey, kinds[k]);
            const size_t at = find_marker(&whole, markers[i][0], markers[i][1]);
            expect_same(decode(test_insert(whole, at, "\0\1\2", 3), 0),
                        decode(test_jpeg(&grey, kinds[k]), 0));
        }
}

/* Stray bytes are no excuse for lost ones. */
static void test_jpeg_lost_marker(void **state)
{
    (void)state;
    const test_picture grey = picture_of(1, 8);
    test_file file = test_jpeg(&grey, TEST_JPEG_RESTARTS);
    file.bytes[find_marker(&file, 0xd1, 0xd1) + 1] = 0xd4;
    refuse(file, SONO_STATUS_FORMAT, "damaged JPEG");
    file = test_jpeg(&grey, TEST_JPEG_RESTARTS);
    const size_t at = find_marker(&file, 0xd1, 0xd1);
    memmove(file.bytes + at, file.bytes + at + 2, file.n_bytes - at - 2);
    file.n_bytes -= 2;
    refuse(file, SONO_STATUS_FORMAT, "damaged JPEG");
}

/* ---- PNG, PNM ---- */

static void test_png_without_end(void **state)
{
    (void)state;
    const test_picture grey = picture_of(1, 8);
    for (size_t n_lost = 1; n_lost <= 13; n_lost++)
        for (int interlaced = 0; interlaced < 2; interlaced++) {
            test_file file = test_png(&grey, PNG_COLOR_TYPE_GRAY, interlaced);
            file.n_bytes -= n_lost;
            if (n_lost > 12)
                refuse(file, SONO_STATUS_FORMAT, "cut short");
            else
                expect_same(decode(file, 0), decode(test_png(&grey, PNG_COLOR_TYPE_GRAY, interlaced), 0));
        }
    test_file file = turned_png(&grey, PNG_COLOR_TYPE_GRAY, 6, 1);
    file.n_bytes -= 12;
    expect_turned(decode(file, 0), decode(test_png(&grey, PNG_COLOR_TYPE_GRAY, 0), 0), 6);
}

static void test_text_pnm_kinds(void **state)
{
    (void)state;
    static const struct {
        int channels, bits, maxval;
    } cases[] = {{1, 8, 255}, {3, 8, 255}, {1, 16, 65535}, {3, 16, 65535}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const test_picture picture = picture_of(cases[i].channels, cases[i].bits);
        expect_same(decode(test_text_pnm(&picture, cases[i].maxval), 1),
                    decode(test_pnm(&picture, cases[i].maxval, ""), 1));
    }
    const test_picture grey = picture_of(1, 8);
    test_file file = test_text_pnm(&grey, 255);
    file.n_bytes /= 2;
    refuse(file, SONO_STATUS_FORMAT, "of 1073 samples");
    refuse((test_file){(uint8_t *)strdup("P2 2 1 255\n1 x\n"), 15}, SONO_STATUS_FORMAT, "sample 1");
    refuse((test_file){(uint8_t *)strdup("P2 2 1 9\n1 10\n"), 14}, SONO_STATUS_FORMAT, "above maxval");
}

static void test_bitmaps(void **state)
{
    (void)state;
    static const char *const files[] = {"P1 # text\n10 2\n1010 0000 01\n0 1 1 1 1 1 1 1 1 0",
                                        "P4 10 2\n\xa0\x40\x7f\x80"};
    static const size_t sizes[] = {47, 12};
    static const uint8_t want[20] = {0,   255, 0, 255, 255, 255, 255, 255, 255, 0,
                                     255, 0,   0, 0,   0,   0,   0,   0,   0,   255};
    for (size_t i = 0; i < 2; i++) {
        uint8_t *bytes = malloc(sizes[i]);
        assert_non_null(bytes);
        memcpy(bytes, files[i], sizes[i]);
        sono_decoded_image image = decode((test_file){bytes, sizes[i]}, 0);
        assert_int_equal(image.width_px, 10);
        assert_int_equal(image.format, SONO_PIXEL_GRAY8);
        assert_memory_equal(image.pixels, want, sizeof want);
        sono_image_reset(&image);
    }
    refuse((test_file){(uint8_t *)strdup("P4 10 2\nabc"), 11}, SONO_STATUS_FORMAT, "3 of 4");
}

/* ---- TIFF ---- */

/* What the samples of a file of several channels become: those of the first one or three. */
static void expect_first_channels(sono_decoded_image got, int channels, int bits)
{
    const size_t n = got.format == SONO_PIXEL_RGB8 ? 3 : 1;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t c = 0; c < n; c++) {
            const size_t at = i * (size_t)channels + c;
            if (bits == 8)
                assert_int_equal(got.pixels[i * n + c], bytes8[at]);
            else if (n == 1)
                assert_int_equal(((uint16_t *)(void *)got.pixels)[i], words16[at]);
            else
                assert_int_equal(got.pixels[i * n + c], (words16[at] * 255u + 32767) / 65535);
        }
    sono_image_reset(&got);
}

static void test_tiff_planes_and_extra_samples(void **state)
{
    (void)state;
    static const int compressions[] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_LZMA};
    static const struct {
        int channels, photometric;
    } kinds[] = {{3, PHOTOMETRIC_RGB},        {4, PHOTOMETRIC_RGB},        {5, PHOTOMETRIC_RGB},
                 {1, PHOTOMETRIC_MINISBLACK}, {2, PHOTOMETRIC_MINISBLACK}, {5, PHOTOMETRIC_MINISBLACK}};
    for (int i = 0; i < 6 * 3 * 8; i++) {
        const int bits = i & 1 ? 16 : 8, channels = kinds[i / 24].channels;
        const test_tiff_layout layout = {.photometric = kinds[i / 24].photometric,
                                         .compression = compressions[i / 8 % 3],
                                         .is_planar = i >> 1 & 1,
                                         .tile_px = i & 4 ? 16 : 0,
                                         .is_big_endian = i / 8 & 1};
        const test_picture picture = picture_of(channels, bits);
        if (!TIFFIsCODECConfigured((uint16_t)layout.compression))
            continue;
        expect_first_channels(decode(test_tiff(&picture, &layout), 1), channels, bits);
    }
}

static void test_tiff_packed(void **state)
{
    (void)state;
    for (int bits = 1; bits <= 4; bits *= 2)
        for (int photometric = PHOTOMETRIC_MINISWHITE; photometric <= PHOTOMETRIC_PALETTE; photometric++) {
            const test_tiff_layout layout = {.photometric = photometric, .compression = COMPRESSION_PACKBITS};
            const test_picture picture = picture_of(1, bits);
            const unsigned highest = (1u << bits) - 1;
            const size_t pitch_bytes = ((size_t)WIDTH * (size_t)bits + 7) / 8;
            if (photometric == PHOTOMETRIC_RGB)
                continue;
            sono_decoded_image image = decode(test_tiff(&picture, &layout), 1);
            for (size_t i = 0; i < COUNT; i++) {
                const size_t bit = i % WIDTH * (size_t)bits;
                const unsigned sample =
                    (unsigned)bytes8[i / WIDTH * pitch_bytes + bit / 8] >> (8 - bits - (int)(bit % 8)) &
                    highest;
                if (photometric == PHOTOMETRIC_PALETTE)
                    assert_int_equal(image.pixels[3 * i + 1], 255 - sample);
                else
                    assert_int_equal(image.pixels[i],
                                     (photometric == PHOTOMETRIC_MINISWHITE ? highest - sample : sample) *
                                         255 / highest);
            }
            sono_image_reset(&image);
        }
}

/* Pillow 13.0: 8 bits come out inverted, 16 bits as they are; it does not know RGB without the tag. */
static void test_tiff_without_photometric(void **state)
{
    (void)state;
    test_tiff_layout layout = {
        .photometric = PHOTOMETRIC_MINISBLACK, .compression = COMPRESSION_NONE, .has_no_photometric = 1};
    test_picture picture = picture_of(1, 8);
    sono_decoded_image image = decode(test_tiff(&picture, &layout), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(image.pixels[i], 255 - bytes8[i]);
    sono_image_reset(&image);
    picture = picture_of(1, 16);
    expect_first_channels(decode(test_tiff(&picture, &layout), 0), 1, 16);
    layout.photometric = PHOTOMETRIC_RGB;
    picture = picture_of(3, 8);
    expect_first_channels(decode(test_tiff(&picture, &layout), 1), 3, 8);
}

static void test_tiff_floats(void **state)
{
    (void)state;
    static float narrow[COUNT];
    static double wide[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        wide[i] = (double)i / 500 - 0.5;
        narrow[i] = (float)wide[i];
    }
    narrow[5] = (float)(wide[5] = NAN);
    narrow[6] = (float)(wide[6] = INFINITY);
    narrow[7] = (float)(wide[7] = -INFINITY);
    for (int i = 0; i < 8; i++) {
        const test_tiff_layout layout = {.photometric =
                                             i & 1 ? PHOTOMETRIC_MINISWHITE : PHOTOMETRIC_MINISBLACK,
                                         .compression = COMPRESSION_LZW,
                                         .sample_format = SAMPLEFORMAT_IEEEFP,
                                         .is_big_endian = i >> 1 & 1};
        const test_picture picture = {WIDTH, HEIGHT, 1, i & 4 ? 64 : 32, i & 4 ? (const void *)wide : narrow};
        refuse(test_tiff(&picture, &layout), SONO_STATUS_UNSUPPORTED, "--float-range");
        sono_source_options options = options_for(0);
        options.float_low = -0.25;
        options.float_high = 1.25;
        sono_decoded_image image = decode_with(test_tiff(&picture, &layout), &options);
        assert_int_equal(image.format, SONO_PIXEL_GRAY16);
        for (size_t k = 0; k < COUNT; k++) {
            const double share = isnan(wide[k]) ? 0 : fmin(fmax((wide[k] + 0.25) / 1.5, 0), 1);
            assert_true(fabs(((uint16_t *)(void *)image.pixels)[k] - share * 65535) <= 0.51);
        }
        sono_image_reset(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orientation_png),
        cmocka_unit_test(test_orientation_jpeg),
        cmocka_unit_test(test_orientation_tiff),
        cmocka_unit_test(test_jpeg_stray_bytes),
        cmocka_unit_test(test_jpeg_lost_marker),
        cmocka_unit_test(test_png_without_end),
        cmocka_unit_test(test_text_pnm_kinds),
        cmocka_unit_test(test_bitmaps),
        cmocka_unit_test(test_tiff_planes_and_extra_samples),
        cmocka_unit_test(test_tiff_packed),
        cmocka_unit_test(test_tiff_without_photometric),
        cmocka_unit_test(test_tiff_floats),
    };
    return sono_test_run_with("source/image_kinds", tests, sizeof tests / sizeof tests[0], fill, NULL);
}
