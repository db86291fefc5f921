// SPDX-License-Identifier: Apache-2.0
/* DICOM files of the fuzzers' corpus (tests/support/make_dicom_corpus.py): pixels, times, names; what is
 * black, what is refused, where and why; memory that runs out. tests/io/test_dicom_peer.py compares with
 * pydicom. */
#include "test.h"

#include "base/alloc.h"
#include "base/sha256.h"
#include "sonoseg/io.h"

#include <stdio.h>
#include <string.h>

#define W 6
#define H 4
#define N (W * H)

typedef struct reading {
    sono_source *source;
    sono_image image;
    sono_frame_info info;
    const char *name;
    sono_error error;
} reading;

static void path_of(char path[SONO_TEST_PATH_BYTES], const char *name)
{
    char relative[128];
    snprintf(relative, sizeof relative, "tests/fuzz/corpus/fuzz_dicom/%s.dcm", name);
    sono_test_source(path, SONO_TEST_PATH_BYTES, relative);
}

static sono_status open_as(reading *r, const char *name, sono_burned_in burned_in, int32_t keep_colour)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_source_options options;
    path_of(path, name);
    sono_source_options_init(&options);
    options.burned_in = burned_in;
    options.keep_colour = keep_colour;
    options.wants_region = 1;
    *r = (reading){0};
    return sono_source_open_dicom(path, &options, &r->source, &r->error);
}

static sono_status next(reading *r)
{
    sono_image_init(&r->image);
    sono_frame_info_init(&r->info);
    return sono_source_next(r->source, &r->image, &r->info, &r->name, &r->error);
}

/* The first frame of a file, all of it. */
static void read_first(reading *r, const char *name, int32_t keep_colour)
{
    assert_ok(open_as(r, name, SONO_BURNED_IN_KEEP, keep_colour), &r->error);
    assert_ok(next(r), &r->error);
    assert_int_equal(r->image.width_px, W);
    assert_int_equal(r->image.height_px, H);
}

static uint8_t level(size_t i)
{
    return (uint8_t)(7 * i + 3);
}

static void expect_levels(const reading *r, size_t first)
{
    assert_int_equal(r->image.format, SONO_PIXEL_GRAY8);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(((const uint8_t *)r->image.pixels)[i], level(first + i));
}

static void test_grey(void **state)
{
    static const char *const plain[] = {"explicit", "open", "open_implicit", "bare", "burned", "unknown"};
    reading r;
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        read_first(&r, plain[i], 0);
        expect_levels(&r, 0);
        assert_int_equal(next(&r), SONO_STATUS_END);
        sono_source_close(r.source);
    }
    read_first(&r, "negative", 0);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(((const uint8_t *)r.image.pixels)[i], 255 - level(i));
    sono_source_close(r.source);
    read_first(&r, "deep", 0);
    assert_int_equal(r.image.format, SONO_PIXEL_GRAY16);
    assert_int_equal(r.image.gray16_white, 4095);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(((const uint16_t *)r.image.pixels)[i], (257 * i + 3) % 4096);
    sono_source_close(r.source);
}

static void test_colour(void **state)
{
    reading r;
    (void)state;
    read_first(&r, "rgb", 1);
    assert_int_equal(r.image.format, SONO_PIXEL_RGB8);
    for (size_t i = 0; i < 3 * N; i++)
        assert_int_equal(((const uint8_t *)r.image.pixels)[i], level(i));
    sono_source_close(r.source);
    read_first(&r, "planes", 0); /* luma is the first plane */
    expect_levels(&r, 0);
    sono_source_close(r.source);
    read_first(&r, "half", 0); /* Y Y Cb Cr */
    for (size_t i = 0; i < N; i++)
        assert_int_equal(((const uint8_t *)r.image.pixels)[i], level(i / 2 * 4 + i % 2));
    sono_source_close(r.source);
}

static void test_jpeg(void **state)
{
    reading r;
    (void)state;
    read_first(&r, "jpeg", 0);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(((const uint8_t *)r.image.pixels)[i], 96);
    sono_source_close(r.source);
    read_first(&r, "jpeg_pieces", 1);
    assert_ok(next(&r), &r.error);
    assert_int_equal(((const uint8_t *)r.image.pixels)[N - 1], 96);
    assert_int_equal(next(&r), SONO_STATUS_END);
    sono_source_close(r.source);
}

static void test_what_is_known(void **state)
{
    static const sono_region region = {1, 1, 4, 2};
    reading r;
    (void)state;
    read_first(&r, "implicit", 0);
    assert_memory_equal(&r.info.region, &region, sizeof region);
    assert_float_equal(r.info.spacing_mm[0], 0.125, 1e-12);
    assert_float_equal(r.info.spacing_mm[1], 0.2, 1e-12);
    assert_int_equal(r.info.timestamp_ns, 0);
    assert_int_equal(sono_source_count(r.source), 2);
    assert_ok(next(&r), &r.error);
    assert_int_equal(r.info.timestamp_ns, 33333000);
    assert_int_equal(r.info.frame_id, 1);
    expect_levels(&r, N);
    sono_source_close(r.source);
    read_first(&r, "times", 0);
    assert_ok(next(&r), &r.error);
    assert_int_equal(r.info.timestamp_ns, 40500000);
    sono_source_close(r.source);
    read_first(&r, "bare", 0);
    assert_float_equal(r.info.spacing_mm[0], 0.1, 1e-12);
    assert_int_equal(r.info.region.width_px, 0);
    sono_source_close(r.source);
}

/* Names are made of the file's bytes alone. */
static void test_names(void **state)
{
    char path[SONO_TEST_PATH_BYTES], hash[65], expected[64];
    size_t n_bytes;
    reading r;
    (void)state;
    path_of(path, "times");
    uint8_t *bytes = sono_test_read_file(path, &n_bytes);
    sono_sha256_hex(bytes, n_bytes, hash);
    read_first(&r, "times", 0);
    snprintf(expected, sizeof expected, "dicom_%.16s_f0001.dcm", hash);
    assert_string_equal(r.name, expected);
    sono_source_close(r.source);
    sono_free(bytes);
}

static void test_outside_is_black(void **state)
{
    reading r;
    (void)state;
    for (sono_burned_in how = SONO_BURNED_IN_REFUSE; how <= SONO_BURNED_IN_UNSEEN; how++) {
        assert_ok(open_as(&r, "explicit", how, 0), &r.error);
        assert_ok(next(&r), &r.error);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                const int is_inside = x >= 1 && x < 5 && y >= 1 && y < 3;
                assert_int_equal(((const uint8_t *)r.image.pixels)[y * W + x],
                                 is_inside ? level((size_t)(y * W + x)) : 0);
            }
        sono_source_close(r.source);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *name;
        sono_status status;
        const char *text;
    } cases[] = {
        {"bare", SONO_STATUS_UNSUPPORTED, "no ultrasound region says"},
        {"burned", SONO_STATUS_UNSUPPORTED, "--keep-burned-in"},
        {"cut", SONO_STATUS_FORMAT,
         "(7FE0,0010): cut short: its value ends beyond what holds it (at byte 418)"},
        {"huge", SONO_STATUS_FORMAT, "PixelData has 24 bytes, 2147483647 frames of 6 x 4 pixels take"},
        {"lossless", SONO_STATUS_UNSUPPORTED,
         "JPEG Lossless, first-order prediction (1.2.840.10008.1.2.4.70)"},
        {"nested", SONO_STATUS_LIMIT, "more than 16 deep"},
    };
    reading r;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_status(cases[i].status, open_as(&r, cases[i].name, SONO_BURNED_IN_REFUSE, 0), &r.error);
        assert_null(r.source);
        if (!strstr(r.error.text, cases[i].text) || !strstr(r.error.text, cases[i].name))
            fail_msg("%s: %s", cases[i].name, r.error.text);
    }
    assert_status(SONO_STATUS_INVALID_ARGUMENT, open_as(&r, "explicit", (sono_burned_in)3, 0), &r.error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_source_open_dicom(NULL, NULL, &r.source, NULL), NULL);
    assert_status(SONO_STATUS_IO, sono_source_open_dicom("no/such.dcm", NULL, &r.source, NULL), NULL);
    assert_status(SONO_STATUS_FORMAT, sono_source_open_dicom("/dev/null", NULL, &r.source, NULL), NULL);
}

/* Every request for memory failed once: an error, never a crash or a leak. */
static void test_memory(void **state)
{
    static const char *const names[] = {"planes", "jpeg_pieces", "times"};
    reading r;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        sono_status status = SONO_STATUS_OUT_OF_MEMORY;
        uint64_t n = 0;
        while (status == SONO_STATUS_OUT_OF_MEMORY) {
            sono_alloc_fail_from(++n);
            status = open_as(&r, names[i], SONO_BURNED_IN_REFUSE, 0);
            if (status == SONO_STATUS_OK)
                status = next(&r);
            sono_alloc_fail_from(0);
            sono_source_close(r.source);
            assert_true(n < 100);
        }
        assert_ok(status, &r.error);
        assert_true(n > 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grey),    cmocka_unit_test(test_colour),
        cmocka_unit_test(test_jpeg),    cmocka_unit_test(test_what_is_known),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_outside_is_black),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_memory),
    };
    return sono_test_run("io/dicom", tests, sizeof tests / sizeof tests[0]);
}
