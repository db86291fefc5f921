// SPDX-License-Identifier: Apache-2.0
/* Files that are not read: each is named for what it is, in one line that says what to do. */
#include "image_writer.h"
#include "test.h"

#include "io/images/image.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#define SIDE 16

static uint8_t samples[SIDE * SIDE * 4 * 8];

static void refuse(test_file file, sono_status status, const char *reason, const char *what_to_do)
{
    sono_source_options options;
    sono_source_options_init(&options);
    sono_error error = {0};
    sono_decoded_image image = {0};
    assert_int_equal(sono_image_decode(file.bytes, file.n_bytes, "a.x", &options, &image, &error), status);
    if (!strstr(error.text, reason) || !strstr(error.text, what_to_do) ||
        strncmp(error.text, "a.x: ", 5) != 0)
        fail_msg("'%s' does not say '%s' and '%s'", error.text, reason, what_to_do);
    free(file.bytes);
    sono_image_reset(&image);
}

/* n_bytes of a file that begins with these at offset `at`. */
static test_file start_of(const char *bytes, size_t n, size_t at, size_t n_bytes)
{
    test_file file = {calloc(1, n_bytes), n_bytes};
    assert_non_null(file.bytes);
    memcpy(file.bytes + at, bytes, n);
    return file;
}

static void test_other_formats(void **state)
{
    (void)state;
    static const struct {
        const char *magic;
        size_t n, at;
        const char *name;
    } cases[] = {
        {"BM\x36\x10", 4, 0, "a BMP file"},
        {"RIFF\x10\0\0\0WEBPVP8 ", 16, 0, "a WebP file"},
        {"GIF89a", 6, 0, "a GIF file"},
        {"\0\0\0\x0cjP  \r\n\x87\n", 12, 0, "a JPEG 2000 file"},
        {"\xff\x4f\xff\x51\0", 5, 0, "a JPEG 2000 file"},
        {"\0\0\0\x18"
         "ftypheic",
         12, 0, "a HEIF file"},
        {"\0\0\0\x18"
         "ftypavif",
         12, 0, "an AVIF file"},
        {"\0\0\0\x18"
         "ftypisom",
         12, 0, "a video"},
        {"RIFF\x10\0\0\0AVI LIST", 16, 0, "a video"},
        {"DICM", 4, 128, "a DICOM file"},
        {"%PDF-1.7", 8, 0, "a PDF file"},
        {"<?xml version=\"1.0\"?>\n<svg xmlns=\"\">", 37, 0, "an SVG drawing"},
        {"<svg width=\"4\">", 15, 0, "an SVG drawing"},
        {"8BPS", 4, 0, "a Photoshop file"},
        {"\x93NUMPY\x01", 7, 0, "a NumPy file"},
        {"PK\x03\x04", 4, 0, "a zip archive"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(start_of(cases[i].magic, cases[i].n, cases[i].at, 200), SONO_STATUS_UNSUPPORTED, cases[i].name,
               "save it as PNG or TIFF");
    refuse(start_of("P5x", 3, 0, 100), SONO_STATUS_FORMAT, "not an image", "");
}

static size_t find_frame_header(const test_file *file)
{
    for (size_t i = 2; i + 1 < file->n_bytes; i++)
        if (file->bytes[i] == 0xff && file->bytes[i + 1] == 0xc0)
            return i;
    fail_msg("no frame header");
    return 0;
}

/* A JPEG whose frame header has one byte changed. */
static test_file changed_jpeg(size_t at, int value)
{
    const test_picture grey = {SIDE, SIDE, 1, 8, samples};
    test_file file = test_jpeg(&grey, TEST_JPEG_PLAIN);
    file.bytes[find_frame_header(&file) + at] = (uint8_t)value;
    return file;
}

static void test_kinds_of_jpeg(void **state)
{
    (void)state;
    const test_picture inks = {SIDE, SIDE, 4, 8, samples};
    refuse(changed_jpeg(1, 0xf7), SONO_STATUS_UNSUPPORTED, "JPEG-LS", "save it as");
    refuse(changed_jpeg(1, 0xc3), SONO_STATUS_UNSUPPORTED, "lossless", "save it as");
    refuse(changed_jpeg(4, 12), SONO_STATUS_UNSUPPORTED, "12 bits a sample", "save it as");
    refuse(test_jpeg(&inks, TEST_JPEG_CMYK), SONO_STATUS_UNSUPPORTED, "CMYK", "save it as");
}

static void test_apple_png(void **state)
{
    (void)state;
    const test_picture grey = {SIDE, SIDE, 1, 8, samples};
    refuse(test_png_chunk(test_png(&grey, PNG_COLOR_TYPE_GRAY, 0), 8, "CgBI", "\x50\0\x20\x02", 4),
           SONO_STATUS_UNSUPPORTED, "CgBI", "save a plain PNG");
}

static void test_kinds_of_tiff(void **state)
{
    (void)state;
    enum { GREY = PHOTOMETRIC_MINISBLACK, RGB = PHOTOMETRIC_RGB, PLAIN = COMPRESSION_NONE };
    static const struct {
        int channels, bits, photometric, compression, sample_format;
        const char *reason;
    } cases[] = {
        {1, 32, GREY, PLAIN, SAMPLEFORMAT_UINT, "32-bit unsigned samples"},
        {1, 16, GREY, PLAIN, SAMPLEFORMAT_INT, "16-bit signed samples"},
        {1, 16, GREY, PLAIN, SAMPLEFORMAT_IEEEFP, "16-bit float samples"},
        {1, 64, GREY, PLAIN, SAMPLEFORMAT_COMPLEXIEEEFP, "64-bit complex samples"},
        {3, 32, RGB, PLAIN, SAMPLEFORMAT_IEEEFP, "32-bit float samples of colour"},
        {2, 8, RGB, PLAIN, 0, "RGB of 2 samples"},
        {1, 16, PHOTOMETRIC_PALETTE, PLAIN, 0, "16-bit unsigned samples of colour"},
        {4, 8, PHOTOMETRIC_SEPARATED, PLAIN, 0, "printing inks (CMYK)"},
        {3, 8, PHOTOMETRIC_CIELAB, PLAIN, 0, "Lab colours"},
        {1, 1, PHOTOMETRIC_MINISWHITE, COMPRESSION_CCITTFAX4, 0, "fax (CCITT) compression"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const test_picture picture = {SIDE, SIDE, cases[i].channels, cases[i].bits, samples};
        const test_tiff_layout layout = {.photometric = cases[i].photometric,
                                         .compression = cases[i].compression,
                                         .sample_format = cases[i].sample_format};
        refuse(test_tiff(&picture, &layout), SONO_STATUS_UNSUPPORTED, cases[i].reason, "save it as");
    }
    const test_picture picture = {SIDE, SIDE, 1, 32, samples};
    const test_tiff_layout layout = {
        .photometric = GREY, .compression = PLAIN, .sample_format = SAMPLEFORMAT_IEEEFP};
    refuse(test_tiff(&picture, &layout), SONO_STATUS_UNSUPPORTED, "32-bit float samples", "--float-range");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_formats),
        cmocka_unit_test(test_kinds_of_jpeg),
        cmocka_unit_test(test_apple_png),
        cmocka_unit_test(test_kinds_of_tiff),
    };
    return sono_test_run("source/foreign", tests, sizeof tests / sizeof tests[0]);
}
