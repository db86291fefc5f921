// SPDX-License-Identifier: Apache-2.0
/* Broken images: each gives the expected status and one line that names the file and the reason; a whole
 * image behind it is still read. */
#include "image_writer.h"
#include "test.h"

#include "sonoseg/io.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <unistd.h>

#define SIDE 32

typedef enum base {
    TEXT,
    PNG,
    PNG_PALETTE,
    PNG_HEADER,
    JPEG,
    JPEG_PROGRESSIVE,
    JPEG_CMYK,
    TIFF_STRIPS,
    TIFF_TILES,
    TIFF_LZW,
    TIFF_JPEG,
    TIFF_OF_FLOATS,
    TIFF_TURNED
} base;

typedef struct broken {
    const char *name;
    base base;
    const char *text;  /* TEXT: the file's bytes */
    int cut_at;        /* keeps so many bytes; below 0 drops so many; 0 = whole */
    int patch_at;      /* 0 = none; below 0 from the end */
    const char *patch; /* "\xNN..." */
    int n_patch;
    sono_status status; /* OK: refused before; `reason` says why no longer */
    const char *reason; /* somewhere in the error's text */
} broken;

#define O SONO_STATUS_OK
#define F SONO_STATUS_FORMAT
#define L SONO_STATUS_LIMIT
#define U SONO_STATUS_UNSUPPORTED

/* The PNG of 32 x 32 grey: 8 signature, 25 IHDR, IDAT, 12 IEND. The JPEGs' SOF0 and the TIFFs' directories
 * are found by scanning: see find_patch(). */
enum { AT_SOF_SIZE = 1000001, AT_TIFF_WIDTH, AT_TIFF_HEIGHT, AT_TIFF_TILE, AT_SCAN };

static const broken cases[] = {
    {"empty.png", TEXT, "", 0, 0, NULL, 0, F, "empty"},
    {"letter.png", TEXT, "Dear Sir or Madam,\n", 0, 0, NULL, 0, F, "not an image"},
    {"one_byte.jpg", TEXT, "\xff", 0, 0, NULL, 0, F, "not an image"},
    {"magic.png", PNG, NULL, 0, 1, "Q", 1, F, "not an image"},
    {"signature_only.png", PNG, NULL, 8, 0, NULL, 0, F, "cut short"},
    {"cut_in_header.png", PNG, NULL, 20, 0, NULL, 0, F, "cut short"},
    {"cut_behind_header.png", PNG, NULL, 33, 0, NULL, 0, F, "cut short"},
    {"cut_in_palette.png", PNG_PALETTE, NULL, 100, 0, NULL, 0, F, "cut short"},
    {"cut_in_pixels.png", PNG, NULL, -300, 0, NULL, 0, F, "cut short"},
    {"cut_before_end.png", PNG, NULL, -12, 0, NULL, 0, O, "all pixels are there: Pillow reads it"},
    {"cut_in_end.png", PNG, NULL, -2, 0, NULL, 0, O, "all pixels are there: Pillow reads it"},
    {"crc_header.png", PNG, NULL, 0, 30, "\x55", 1, F, "CRC"},
    {"crc_pixels.png", PNG, NULL, 0, -14, "\x55\xaa", 2, F, "damaged PNG"},
    {"damaged_pixels.png", PNG, NULL, 0, 60, "\xff\xff\xff\xff", 4, F, "damaged PNG"},
    {"no_palette.png", PNG_PALETTE, NULL, 0, 37, "tEXt", 4, F, "damaged PNG"},
    {"no_pixels.png", PNG_HEADER, "\x00\x20\x00\x20", 0, 0, NULL, 0, F, "damaged PNG"},
    {"zero.png", PNG_HEADER, "\x00\x00\x00\x20", 0, 0, NULL, 0, F, "empty"},
    {"huge.png", PNG_HEADER, "\x4e\x20\x4e\x20", 0, 0, NULL, 0, L, "20000 x 20000"},
    {"start_only.jpg", TEXT, "\xff\xd8\xff", 0, 0, NULL, 0, F, "cut short"},
    {"cut_in_tables.jpg", JPEG, NULL, 60, 0, NULL, 0, F, "cut short"},
    {"cut_in_scan.jpg", JPEG, NULL, -150, 0, NULL, 0, F, "cut short"},
    {"cut_before_end.jpg", JPEG, NULL, -2, 0, NULL, 0, F, "cut short"},
    {"cut_in_second_scan.jpg", JPEG_PROGRESSIVE, NULL, -200, 0, NULL, 0, F, "cut short"},
    {"marker_in_scan.jpg", JPEG, NULL, 0, AT_SCAN, "\xff\xd9", 2, F, "damaged JPEG"},
    {"zero.jpg", JPEG, NULL, 0, AT_SOF_SIZE, "\x00\x20\x00\x00", 4, F, "empty"},
    {"huge.jpg", JPEG, NULL, 0, AT_SOF_SIZE, "\x4e\x20\x4e\x20", 4, L, "20000 x 20000"},
    {"cmyk.jpg", JPEG_CMYK, NULL, 0, 0, NULL, 0, U, "not supported"},
    {"header_only.tif", TIFF_STRIPS, NULL, 4, 0, NULL, 0, F, "TIFF"},
    {"directory_cut.tif", TIFF_STRIPS, NULL, -40, 0, NULL, 0, F, "TIFF"},
    {"directory_far.tif", TIFF_STRIPS, NULL, 0, 4, "\xff\xff\xff\x7f", 4, F, "TIFF"},
    {"lzw_damaged.tif", TIFF_LZW, NULL, 0, 20, "\xff\xff\xff\xff\xff\xff\xff", 7, F, "TIFF"},
    {"jpeg_cut.tif", TIFF_JPEG, NULL, 0, AT_SCAN, "\xff\xd9", 2, F, "TIFF"},
    {"zero.tif", TIFF_STRIPS, NULL, 0, AT_TIFF_HEIGHT, "\x00\x00\x00\x00", 4, F, "zero"},
    {"huge.tif", TIFF_STRIPS, NULL, 0, AT_TIFF_WIDTH,
     "\x20\x4e\x00\x00\x01\x01\x03\x00\x01\x00\x00\x00\x20\x4e\x00\x00", 16, L, "20000 x 20000"},
    {"wider_than_its_strips.tif", TIFF_STRIPS, NULL, 0, AT_TIFF_WIDTH, "\x20\x4e\x00\x00", 4, F, "TIFF"},
    {"longer_than_its_strips.tif", TIFF_STRIPS, NULL, 0, AT_TIFF_HEIGHT, "\x40\x00\x00\x00", 4, F, "TIFF"},
    {"huge_tile.tif", TIFF_TILES, NULL, 0, AT_TIFF_TILE,
     "\xf0\xff\x00\x00\x43\x01\x03\x00\x01\x00\x00\x00\xf0\xff\x00\x00", 16, L, "tile"},
    {"float.tif", TIFF_OF_FLOATS, NULL, 0, 0, NULL, 0, U, "8-bit float samples"},
    {"turned.tif", TIFF_TURNED, NULL, 0, 0, NULL, 0, O, "pictures are turned as they say"},
    {"no_size.pgm", TEXT, "P5\n", 0, 0, NULL, 0, F, "header"},
    {"cut_header.pgm", TEXT, "P5 4 4 255", 0, 0, NULL, 0, F, "header"},
    {"negative.pgm", TEXT, "P5 -4 4 255\nxxxxxxxxxxxxxxxx", 0, 0, NULL, 0, F, "header"},
    {"zero.pgm", TEXT, "P5 0 4 255\n", 0, 0, NULL, 0, F, "empty"},
    {"huge.pgm", TEXT, "P5 20000 20000 255\n", 0, 0, NULL, 0, L, "20000 x 20000"},
    {"overflow.pgm", TEXT, "P5 99999999999999999999 1 255\n", 0, 0, NULL, 0, F, "header"},
    {"maxval_zero.pgm", TEXT, "P5 2 2 0\nabcd", 0, 0, NULL, 0, F, "maxval is 0"},
    {"maxval_large.pgm", TEXT, "P5 2 2 70000\nabcdabcd", 0, 0, NULL, 0, F, "maxval is 70000"},
    {"above_maxval.pgm", TEXT, "P5 2 2 50\nabcd", 0, 0, NULL, 0, F, "above maxval"},
    {"cut.pgm", TEXT, "P5 4 4 255\nabc", 0, 0, NULL, 0, F, "3 of 16"},
    {"cut.ppm", TEXT, "P6 4 4 255\nabc", 0, 0, NULL, 0, F, "3 of 48"},
    {"plain.pgm", TEXT, "P2 2 2 255\n1 2 3 4\n", 0, 0, NULL, 0, O, "text is read"},
    {"pam.pgm", TEXT, "P7\nWIDTH 2\n", 0, 0, NULL, 0, U, "P7"},
};

static uint8_t noise[SIDE * SIDE * 4];

static test_file make_tiff(base kind)
{
    test_tiff_layout layout = {.photometric = PHOTOMETRIC_MINISBLACK, .compression = COMPRESSION_NONE};
    const test_picture picture = {SIDE, SIDE, 1, 8, noise};
    if (kind == TIFF_TILES)
        layout.tile_px = 16;
    if (kind == TIFF_LZW)
        layout.compression = COMPRESSION_LZW;
    if (kind == TIFF_JPEG)
        layout.compression = COMPRESSION_JPEG;
    if (kind == TIFF_OF_FLOATS)
        layout.sample_format = SAMPLEFORMAT_IEEEFP;
    if (kind == TIFF_TURNED)
        layout.orientation = ORIENTATION_RIGHTTOP;
    return test_tiff(&picture, &layout);
}

static test_file make_base(const broken *what)
{
    const test_picture grey = {SIDE, SIDE, 1, 8, noise};
    const test_picture inks = {SIDE, SIDE, 4, 8, noise};
    const unsigned char *size = (const unsigned char *)what->text;
    switch (what->base) {
    case TEXT:
        return (test_file){(uint8_t *)strdup(what->text), strlen(what->text)};
    case PNG:
        return test_png(&grey, PNG_COLOR_TYPE_GRAY, 0);
    case PNG_PALETTE:
        return test_png(&grey, PNG_COLOR_TYPE_PALETTE, 0);
    case PNG_HEADER:
        return test_png_header_only((uint32_t)(size[0] << 8 | size[1]), (uint32_t)(size[2] << 8 | size[3]));
    case JPEG:
        return test_jpeg(&grey, TEST_JPEG_PLAIN);
    case JPEG_PROGRESSIVE:
        return test_jpeg(&grey, TEST_JPEG_PROGRESSIVE);
    case JPEG_CMYK:
        return test_jpeg(&inks, TEST_JPEG_CMYK);
    default:
        return make_tiff(what->base);
    }
}

/* Offset of the value of a little-endian TIFF directory's entry. */
static size_t find_tag(const test_file *file, unsigned tag)
{
    const uint8_t *bytes = file->bytes;
    const size_t directory = bytes[4] | (size_t)bytes[5] << 8 | (size_t)bytes[6] << 16;
    const size_t n_entries = bytes[directory] | (size_t)bytes[directory + 1] << 8;
    for (size_t i = 0; i < n_entries; i++) {
        const size_t entry = directory + 2 + 12 * i;
        if ((bytes[entry] | (unsigned)bytes[entry + 1] << 8) == tag)
            return entry + 8;
    }
    fail_msg("no tag %u", tag);
    return 0;
}

static size_t find_marker(const test_file *file, int marker)
{
    for (size_t i = 0; i + 1 < file->n_bytes; i++)
        if (file->bytes[i] == 0xff && file->bytes[i + 1] == marker)
            return i;
    fail_msg("no marker %x", (unsigned)marker);
    return 0;
}

static size_t find_patch(const test_file *file, int at)
{
    switch (at) {
    case AT_SOF_SIZE:
        return find_marker(file, 0xc0) + 5;
    case AT_SCAN:
        return find_marker(file, 0xda) + 40;
    case AT_TIFF_WIDTH:
        return find_tag(file, TIFFTAG_IMAGEWIDTH);
    case AT_TIFF_HEIGHT:
        return find_tag(file, TIFFTAG_IMAGELENGTH);
    case AT_TIFF_TILE:
        return find_tag(file, TIFFTAG_TILEWIDTH);
    default:
        return at < 0 ? file->n_bytes - (size_t)-at : (size_t)at;
    }
}

static test_file make(const broken *what)
{
    test_file file = make_base(what);
    if (what->n_patch) {
        const size_t at = find_patch(&file, what->patch_at);
        assert_true(at + (size_t)what->n_patch <= file.n_bytes);
        memcpy(file.bytes + at, what->patch, (size_t)what->n_patch);
    }
    assert_true((size_t)abs(what->cut_at) < file.n_bytes || !what->cut_at);
    if (what->cut_at < 0)
        file.n_bytes -= (size_t)-what->cut_at;
    else if (what->cut_at)
        file.n_bytes = (size_t)what->cut_at;
    return file;
}

/* sono_source_next() with stderr caught: the decoders' own warnings must not reach the user. */
static sono_status next_in_silence(sono_source *source, sono_frame *frame, const char **name,
                                   sono_error *error)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "stderr");
    FILE *caught = fopen(path, "wb");
    assert_non_null(caught);
    fflush(stderr);
    const int kept = dup(STDERR_FILENO);
    dup2(fileno(caught), STDERR_FILENO);
    const sono_status status = sono_source_next(source, &frame->image, &frame->info, name, error);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    fclose(caught);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_size, 0);
    return status;
}

static void check_case(const broken *what, const char *good)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, what->name);
    test_file file = make(what);
    sono_test_write_file(path, file.bytes, file.n_bytes);
    free(file.bytes);

    const char *paths[] = {path, good};
    sono_error error = {0};
    sono_source *source = NULL;
    assert_ok(sono_source_open_images(paths, 2, NULL, &source, &error), &error);
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = NULL;
    const sono_status status = next_in_silence(source, &frame, &name, &error);
    if (status != what->status || (status && !strstr(error.text, what->reason)))
        fail_msg("%s: %s, '%s'", what->name, sono_status_name(status), error.text);
    if (status) {
        assert_int_equal(error.status, what->status);
        assert_non_null(strstr(error.text, path));
        assert_null(strchr(error.text, '\n'));
        assert_null(strstr(error.text, "4294967295"));
    }
    assert_string_equal(name, path);
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    assert_int_equal(frame.info.frame_id, 1);
    assert_int_equal(frame.image.width_px, SIDE);
    sono_source_close(source);
}

static void test_table(void **state)
{
    (void)state;
    char good[SONO_TEST_PATH_BYTES];
    const test_picture grey = {SIDE, SIDE, 1, 8, noise};
    test_file file = test_png(&grey, PNG_COLOR_TYPE_GRAY, 0);
    sono_test_path(good, sizeof good, "good.png");
    sono_test_write_file(good, file.bytes, file.n_bytes);
    free(file.bytes);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_case(&cases[i], good);
}

/* Every prefix of a whole file is refused and none is read out of bounds; a TIFF's directory stands at its
 * end. A PNG is whole without the 12 bytes of its end. */
static void test_every_prefix(void **state)
{
    (void)state;
    const broken whole[] = {
        {.base = PNG_PALETTE}, {.base = JPEG_PROGRESSIVE}, {.base = TIFF_TILES}, {.base = TIFF_LZW}};
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "prefix");
    const char *paths[] = {path};
    for (size_t f = 0; f < sizeof whole / sizeof whole[0]; f++) {
        test_file file = make_base(&whole[f]);
        for (size_t n = 0; n < file.n_bytes; n += n < 200 ? 1 : 7) {
            sono_error error = {0};
            sono_source *source = NULL;
            sono_frame frame = SONO_TEST_FRAME;
            const char *name = NULL;
            sono_test_write_file(path, file.bytes, n);
            assert_ok(sono_source_open_images(paths, 1, NULL, &source, &error), &error);
            const int is_whole = f == 0 && n + 12 >= file.n_bytes;
            assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &name, &error),
                             is_whole ? SONO_STATUS_OK : SONO_STATUS_FORMAT);
            sono_source_close(source);
        }
        free(file.bytes);
    }
}

static int fill(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof noise; i++) {
        x = x * 1664525u + 1013904223u;
        noise[i] = (uint8_t)(x >> 24);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_every_prefix),
    };
    return sono_test_run_with("source/broken_images", tests, sizeof tests / sizeof tests[0], fill, NULL);
}
