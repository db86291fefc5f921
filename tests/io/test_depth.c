// SPDX-License-Identifier: Apache-2.0
/* What means white in 16-bit images: a file's own tag, the options' word, the range of the samples. */
#include "image_writer.h"
#include "test.h"

#include "io/images/image.h"
#include "sonoseg/io.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT   3
#define NO_TAG  (-1)
#define N_AUTO  6
#define MAX_TAG 281

typedef struct deep_case {
    int tag;
    uint16_t samples[COUNT];
    int32_t white;
} deep_case;

static uint32_t crc32_of(const uint8_t *bytes, size_t n_bytes)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n_bytes; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* A 3 x 1 PNG; significant: what sBIT says, NO_TAG = no such chunk. */
static test_file make_png(const uint16_t *samples, int significant)
{
    enum { AT = 33, CHUNK_BYTES = 13 }; /* behind the signature and IHDR */
    const test_picture picture = {COUNT, 1, 1, 16, samples};
    test_file file = test_png(&picture, PNG_COLOR_TYPE_GRAY, 0);
    if (significant == NO_TAG)
        return file;
    uint8_t chunk[CHUNK_BYTES] = {0, 0, 0, 1, 's', 'B', 'I', 'T', (uint8_t)significant};
    const uint32_t crc = crc32_of(chunk + 4, 5);
    for (int i = 0; i < 4; i++)
        chunk[9 + i] = (uint8_t)(crc >> (24 - 8 * i));
    uint8_t *bytes = malloc(file.n_bytes + CHUNK_BYTES);
    assert_non_null(bytes);
    memcpy(bytes, file.bytes, AT);
    memcpy(bytes + AT, chunk, CHUNK_BYTES);
    memcpy(bytes + AT + CHUNK_BYTES, file.bytes + AT, file.n_bytes - AT);
    free(file.bytes);
    return (test_file){bytes, file.n_bytes + CHUNK_BYTES};
}

static void put_u16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
}

/* A 3 x 1 TIFF; most: what MaxSampleValue says, NO_TAG = no such tag. */
static test_file make_tiff(const uint16_t *samples, int is_inverted, int most)
{
    enum { N_TAGS = 10, PIXELS_AT = 8, DIRECTORY_AT = 16, N_BYTES = DIRECTORY_AT + 2 + 12 * N_TAGS + 4 };
    const unsigned tags[N_TAGS][2] = {
        {256, COUNT},     {257, 1}, {258, 16}, {259, 1},         {262, is_inverted ? 0 : 1},
        {273, PIXELS_AT}, {277, 1}, {278, 1},  {279, 2 * COUNT}, {MAX_TAG, (unsigned)most},
    };
    const unsigned n_tags = most == NO_TAG ? N_TAGS - 1 : N_TAGS;
    test_file file = {calloc(1, N_BYTES), N_BYTES};
    assert_non_null(file.bytes);
    memcpy(file.bytes, "II*\0", 4);
    put_u16(file.bytes + 4, DIRECTORY_AT);
    for (int i = 0; i < COUNT; i++)
        put_u16(file.bytes + PIXELS_AT + 2 * i, samples[i]);
    put_u16(file.bytes + DIRECTORY_AT, n_tags);
    for (unsigned i = 0; i < n_tags; i++) {
        uint8_t *entry = file.bytes + DIRECTORY_AT + 2 + 12 * (size_t)i;
        put_u16(entry, tags[i][0]);
        entry[2] = 3; /* SHORT */
        entry[4] = 1;
        put_u16(entry + 8, tags[i][1]);
    }
    return file;
}

static test_file make_pgm(const uint16_t *samples, int maxval)
{
    const test_picture picture = {COUNT, 1, 1, 16, samples};
    return test_pnm(&picture, maxval, "");
}

static void expect(test_file file, const char *what, int32_t given, const uint16_t *samples, int32_t white)
{
    sono_error error = {0};
    sono_decoded_image image = {0};
    sono_source_options options;
    sono_source_options_init(&options);
    options.gray16_white = given;
    assert_ok(sono_image_decode(file.bytes, file.n_bytes, "t", &options, &image, &error), &error);
    free(file.bytes);
    assert_int_equal(image.format, SONO_PIXEL_GRAY16);
    if (image.gray16_white != white || memcmp(image.pixels, samples, COUNT * sizeof *samples) != 0)
        fail_msg("%s: white %d, samples %d %d %d", what, image.gray16_white,
                 ((uint16_t *)(void *)image.pixels)[0], ((uint16_t *)(void *)image.pixels)[1],
                 ((uint16_t *)(void *)image.pixels)[2]);
    sono_image_reset(&image);
}

static void test_png_significant_bits(void **state)
{
    (void)state;
    static const deep_case cases[] = {
        {NO_TAG, {0, 5, 4095}, 0},
        {16, {0, 5, 4095}, 0},
        {12, {0, 5, 4095}, 4095},
        {12, {1, 5, 7}, 4095},
        {10, {0, 300, 1023}, 1023},
        {8, {0, 1, 255}, 255},
        {10, {0, 300, 1024}, 65535},
        {12, {0, 0x0ab0, 0xabca}, 65535},
        {12, {0, 0x0010, 0x0ab0}, 65535}, /* scaled, and dark */
        {8, {0, 0, 0}, 65535},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(make_png(cases[i].samples, cases[i].tag), "png", 0, cases[i].samples, cases[i].white);
}

static void test_tiff_largest_sample(void **state)
{
    (void)state;
    static const deep_case cases[] = {
        {NO_TAG, {0, 5, 4095}, 0}, {4095, {0, 5, 4095}, 4095}, {4095, {0, 5, 100}, 4095},
        {1023, {0, 1, 2}, 1023},   {4095, {0, 5, 4096}, 0},    {3000, {0, 5, 3000}, 0},
        {65535, {0, 5, 6}, 0},     {127, {0, 5, 6}, 0},        {32767, {0, 5, 32767}, 32767},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(make_tiff(cases[i].samples, 0, cases[i].tag), "tiff", 0, cases[i].samples, cases[i].white);
}

/* Inverted samples: white - sample, whatever white is. */
static void test_tiff_inverted(void **state)
{
    (void)state;
    static const uint16_t samples[COUNT] = {0, 5, 4095};
    static const uint16_t of_12_bits[COUNT] = {4095, 4090, 0}, of_16_bits[COUNT] = {65535, 65530, 61440};
    static const uint16_t of_1000[COUNT] = {1000, 995, 0};
    expect(make_tiff(samples, 1, 4095), "tagged", 0, of_12_bits, 4095);
    expect(make_tiff(samples, 1, NO_TAG), "without a tag", 0, of_16_bits, 0);
    expect(make_tiff(samples, 1, 1023), "a wrong tag", 0, of_16_bits, 0);
    expect(make_tiff(samples, 1, NO_TAG), "given", 4095, of_12_bits, 0);
    expect(make_tiff(samples, 1, 4095), "given beside a tag", 1000, of_1000, 4095);
}

static void test_pgm_maxval(void **state)
{
    (void)state;
    static const uint16_t samples[COUNT] = {0, 273, 4095}, scaled[COUNT] = {0, 4369, 65535};
    expect(make_pgm(samples, 4095), "pgm", 0, scaled, 65535);
    expect(make_pgm(samples, 65535), "pgm of 65535", 0, samples, 0);
}

/* Writes files of 3 samples and checks frame.image.gray16_white of each in turn. */
static void expect_whites(const test_file *files, int32_t n_files, int32_t given, const int32_t *whites)
{
    char paths[N_AUTO][SONO_TEST_PATH_BYTES];
    const char *list[N_AUTO];
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    sono_source *source = NULL;
    sono_source_options options;
    sono_source_options_init(&options);
    options.gray16_white = given;
    for (int32_t i = 0; i < n_files; i++) {
        char name[32];
        snprintf(name, sizeof name, "deep_%d", i);
        sono_test_path(paths[i], sizeof paths[i], name);
        sono_test_write_file(paths[i], files[i].bytes, files[i].n_bytes);
        free(files[i].bytes);
        list[i] = paths[i];
    }
    assert_ok(sono_source_open_images(list, n_files, &options, &source, &error), &error);
    for (int32_t i = 0; i < n_files; i++) {
        const char *name = NULL;
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        assert_int_equal(frame.image.gray16_white, whites[i]);
    }
    sono_source_close(source);
}

static void test_given_wins(void **state)
{
    (void)state;
    static const uint16_t samples[COUNT] = {0, 273, 4095};
    static const uint8_t shallow[COUNT] = {0, 1, 2};
    static const int32_t of_tags[] = {4095, 4095, 65535, 0, 0}, of_1365[] = {1365, 1365, 21845, 1365, 0};
    const test_picture grey8 = {COUNT, 1, 1, 8, shallow};
    for (int pass = 0; pass < 2; pass++) {
        const test_file files[] = {make_png(samples, 12), make_tiff(samples, 0, 4095),
                                   make_pgm(samples, 4095), make_png(samples, NO_TAG),
                                   test_png(&grey8, PNG_COLOR_TYPE_GRAY, 0)};
        expect_whites(files, 5, pass ? 1365 : 0, pass ? of_1365 : of_tags);
    }
    const test_file pgm[] = {make_pgm(samples, 4095)};
    static const int32_t all[] = {65535};
    expect_whites(pgm, 1, 65535, all);
}

static void test_auto(void **state)
{
    (void)state;
    static const uint16_t black[COUNT] = {0}, eight[COUNT] = {0, 9, 255}, ten[COUNT] = {256, 9, 1023},
                          twelve[COUNT] = {1, 2, 1024}, all[COUNT] = {1, 2, 65535};
    static const int32_t rising[] = {255, 255, 1023, 4095, 4095, 65535}, tagged[] = {1023, 4095, 65535, 1023};
    const test_file files[] = {make_png(black, NO_TAG),  make_png(eight, NO_TAG),     make_pgm(ten, 65535),
                               make_png(twelve, NO_TAG), make_tiff(eight, 0, NO_TAG), make_png(all, NO_TAG)};
    expect_whites(files, N_AUTO, SONO_GRAY16_AUTO, rising);
    const test_file mixed[] = {make_png(ten, NO_TAG), make_png(twelve, 12), make_pgm(twelve, 4095),
                               make_png(eight, NO_TAG)};
    expect_whites(mixed, 4, SONO_GRAY16_AUTO, tagged);
}

static void test_options(void **state)
{
    (void)state;
    static const char *const paths[] = {"x.png"};
    sono_source_options options;
    for (int i = 0; i < 2; i++) {
        sono_source *source = NULL;
        sono_error error = {0};
        sono_source_options_init(&options);
        options.gray16_white = i ? 65536 : -2;
        assert_status(SONO_STATUS_INVALID_ARGUMENT,
                      sono_source_open_images(paths, 1, &options, &source, &error), &error);
        assert_non_null(strstr(error.text, "gray16_white"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_significant_bits),
        cmocka_unit_test(test_tiff_largest_sample),
        cmocka_unit_test(test_tiff_inverted),
        cmocka_unit_test(test_pgm_maxval),
        cmocka_unit_test(test_given_wins),
        cmocka_unit_test(test_auto),
        cmocka_unit_test(test_options),
    };
    return sono_test_run("source/depth", tests, sizeof tests / sizeof tests[0]);
}
