// SPDX-License-Identifier: Apache-2.0
/* Pages of TIFF files as frames: which count, their names, and what happens where one is broken. */
#include "image_writer.h"
#include "test.h"

#include "base/alloc.h"
#include "io/images/image.h"
#include "io/images/tiff.h"
#include "sonoseg/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>

#define SIDE  16
#define PAGES 6

static uint8_t levels[PAGES][SIDE * SIDE];
static uint16_t deep[SIDE * SIDE];

static int fill(void **state)
{
    (void)state;
    for (int i = 0; i < PAGES; i++)
        memset(levels[i], i + 1, sizeof levels[i]);
    for (int i = 0; i < SIDE * SIDE; i++)
        deep[i] = (uint16_t)(i * 200);
    return 0;
}

/* Page i is filled with i + 1 and 16 - i rows high; the pages of `reduced` (bits) are marked as such.
 * variant: 1 = big-endian, 2 = BigTIFF, 3 = both. */
static test_file make_pages(int n, unsigned reduced, int variant)
{
    test_picture pictures[PAGES];
    test_tiff_layout layouts[PAGES];
    for (int i = 0; i < n; i++) {
        pictures[i] = (test_picture){SIDE, SIDE - i, 1, 8, levels[i]};
        layouts[i] = (test_tiff_layout){.photometric = PHOTOMETRIC_MINISBLACK,
                                        .compression = COMPRESSION_LZW,
                                        .subfile_type = reduced >> i & 1 ? FILETYPE_REDUCEDIMAGE : 0,
                                        .is_big_endian = variant & 1,
                                        .is_big_tiff = variant >> 1};
    }
    return test_tiff_pages(pictures, layouts, n);
}

static sono_source *open_file(const char *name, test_file file, char path[SONO_TEST_PATH_BYTES])
{
    sono_error error = {0};
    sono_source *source = NULL;
    sono_test_path(path, SONO_TEST_PATH_BYTES, name);
    sono_test_write_file(path, file.bytes, file.n_bytes);
    free(file.bytes);
    const char *paths[] = {path};
    assert_ok(sono_source_open_images(paths, 1, NULL, &source, &error), &error);
    return source;
}

static void expect_page(sono_source *source, const char *name, int level, uint64_t frame_id)
{
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    const char *path = NULL;
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &path, &error), &error);
    assert_string_equal(strrchr(path, '/') + 1, name);
    assert_int_equal(frame.info.frame_id, frame_id);
    assert_int_equal(frame.image.height_px, SIDE + 1 - level);
    assert_int_equal(((const uint8_t *)frame.image.pixels)[SIDE * (SIDE + 1 - level) - 1], level);
}

static void expect_failure(sono_source *source, const char *name, uint64_t frame_id, const char *reason)
{
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    const char *path = NULL;
    assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &path, &error), SONO_STATUS_FORMAT);
    assert_string_equal(strrchr(path, '/') + 1, name);
    assert_int_equal(frame.info.frame_id, frame_id);
    assert_non_null(strstr(error.text, path));
    if (!strstr(error.text, reason))
        fail_msg("'%s' does not say '%s'", error.text, reason);
}

static void expect_end(sono_source *source)
{
    sono_frame frame = SONO_TEST_FRAME;
    const char *path = "";
    assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &path, NULL), SONO_STATUS_END);
    sono_source_close(source);
}

static void test_every_page_is_a_frame(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    for (int variant = 0; variant < 4; variant++) {
        sono_source *source = open_file("scan.1.ome.tif", make_pages(4, 0, variant), path);
        assert_int_equal(sono_source_count(source), 1);
        expect_page(source, "scan.1.ome_p0001.tif", 1, 0);
        assert_int_equal(sono_source_count(source), 4);
        expect_page(source, "scan.1.ome_p0002.tif", 2, 1);
        expect_page(source, "scan.1.ome_p0003.tif", 3, 2);
        expect_page(source, "scan.1.ome_p0004.tif", 4, 3);
        expect_end(source);
    }
}

static void test_reduced_pages(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    sono_source *source;
    for (int variant = 0; variant < 4; variant++) {
        source = open_file("thumbnail_first", make_pages(2, 1, variant), path);
        expect_page(source, "thumbnail_first", 2, 0);
        expect_end(source);
    }
    source = open_file("mixed.tif", make_pages(5, 2 + 8, 1), path);
    expect_page(source, "mixed_p0001.tif", 1, 0);
    expect_page(source, "mixed_p0002.tif", 3, 1);
    expect_page(source, "mixed_p0003.tif", 5, 2);
    expect_end(source);
    source = open_file("only.tif", make_pages(2, 3, 0), path);
    expect_page(source, "only.tif", 1, 0);
    expect_end(source);
}

static uint32_t number_at(const test_file *file, size_t at, int n)
{
    uint32_t value = 0;
    for (int i = n - 1; i >= 0; i--)
        value = value << 8 | file->bytes[at + (size_t)i];
    return value;
}

/* Offset of directory i of a little-endian file; *next: of its link to the next one. */
static size_t find_directory(const test_file *file, int i, size_t *next)
{
    size_t at = number_at(file, 4, 4);
    for (;; i--) {
        *next = at + 2 + 12 * number_at(file, at, 2);
        if (!i)
            return at;
        at = number_at(file, *next, 4);
    }
}

static void put_link(const test_file *file, size_t at, size_t value)
{
    for (int i = 0; i < 4; i++)
        file->bytes[at + (size_t)i] = (uint8_t)(value >> 8 * i);
}

/* A mask, a thumbnail in the old way, and one below a page. */
static void test_pages_that_are_no_frames(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    test_picture pictures[5];
    test_tiff_layout layouts[5] = {[0] = {.n_subpages = 1},
                                   [2] = {.subfile_type = FILETYPE_MASK},
                                   [3] = {.subfile_type = FILETYPE_REDUCEDIMAGE},
                                   [4] = {.subfile_type = FILETYPE_PAGE}};
    for (int i = 0; i < 5; i++) {
        pictures[i] = (test_picture){SIDE, SIDE - i, 1, 8, levels[i]};
        layouts[i].photometric = PHOTOMETRIC_MINISBLACK;
        layouts[i].compression = COMPRESSION_NONE;
    }
    test_file file = test_tiff_pages(pictures, layouts, 5);
    size_t next = 0;
    const size_t entry = find_directory(&file, 2, &next) + 2;
    assert_int_equal(number_at(&file, entry, 2), TIFFTAG_SUBFILETYPE);
    file.bytes[entry] = TIFFTAG_OSUBFILETYPE & 255; /* libtiff does not write this tag */
    file.bytes[entry + 8] = OFILETYPE_REDUCEDIMAGE;
    sono_source *source = open_file("kinds.tif", file, path);
    expect_page(source, "kinds_p0001.tif", 1, 0);
    expect_page(source, "kinds_p0002.tif", 5, 1);
    expect_end(source);
}

static void test_broken_page(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    test_file file = make_pages(3, 0, 0);
    size_t next = 0;
    const size_t entry = find_directory(&file, 1, &next) + 2;
    for (size_t at = entry; at < next; at += 12)
        if (number_at(&file, at, 2) == TIFFTAG_STRIPOFFSETS)
            put_link(&file, number_at(&file, at + 8, 4), 1 << 30);
    sono_source *source = open_file("broken.tif", file, path);
    expect_page(source, "broken_p0001.tif", 1, 0);
    expect_failure(source, "broken_p0002.tif", 1, "(page 2 of broken.tif): damaged or cut short TIFF: ");
    expect_page(source, "broken_p0003.tif", 3, 2);
    expect_end(source);
}

/* A file cut behind its second page, and lists that run in a circle. */
static void test_broken_list(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    size_t next = 0, last = 0;
    test_file file = make_pages(3, 0, 0);
    file.n_bytes = find_directory(&file, 2, &next);
    sono_source *source = open_file("cut.tif", file, path);
    expect_page(source, "cut_p0001.tif", 1, 0);
    expect_page(source, "cut_p0002.tif", 2, 1);
    expect_failure(source, "cut_p0003.tif", 2, "cut short");
    assert_int_equal(sono_source_count(source), 3);
    expect_end(source);
    for (int target = 0; target < 5; target++) {
        file = make_pages(5, 0, 0);
        find_directory(&file, 4, &last);
        put_link(&file, last, find_directory(&file, target, &next));
        source = open_file("circle.tif", file, path);
        for (int i = 0; i < 5; i++) {
            char name[32];
            snprintf(name, sizeof name, "circle_p%04d.tif", i + 1);
            expect_page(source, name, i + 1, (uint64_t)i);
        }
        expect_failure(source, "circle_p0006.tif", 5, "circle");
        expect_end(source);
    }
}

static void test_pages_between_files(void **state)
{
    (void)state;
    char pages[SONO_TEST_PATH_BYTES], single[SONO_TEST_PATH_BYTES];
    sono_source_close(open_file("single.tif", make_pages(1, 0, 0), single));
    sono_source_close(open_file("pages.tif", make_pages(2, 0, 0), pages));
    const char *paths[] = {single, pages, "/nonexistent/a.tif", single}, *names[2];
    sono_error error = {0};
    sono_source *source = NULL;
    sono_source_options options;
    sono_source_options_init(&options);
    options.n_held = 2;
    assert_ok(sono_source_open_images(paths, 4, &options, &source, &error), &error);
    sono_frame frames[2] = {SONO_TEST_FRAME, SONO_TEST_FRAME}, broken = SONO_TEST_FRAME;
    expect_page(source, "single.tif", 1, 0);
    assert_ok(sono_source_next(source, &frames[0].image, &frames[0].info, &names[0], &error), &error);
    assert_ok(sono_source_next(source, &frames[1].image, &frames[1].info, &names[1], &error), &error);
    assert_int_equal(*(const uint8_t *)frames[0].image.pixels, 1);
    assert_int_equal(*(const uint8_t *)frames[1].image.pixels, 2);
    const char *name = NULL;
    assert_int_equal(sono_source_next(source, &broken.image, &broken.info, &name, &error), SONO_STATUS_IO);
    assert_int_equal(sono_source_count(source), 5);
    expect_page(source, "single.tif", 1, 4);
    assert_non_null(strstr(names[0], "pages_p0001.tif")); /* names stay until close */
    expect_end(source);
}

static void test_pages_from_a_pipe(void **state)
{
    (void)state;
    char path[64];
    int ends[2];
    test_file file = make_pages(2, 0, 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], file.bytes, file.n_bytes), file.n_bytes);
    close(ends[1]);
    free(file.bytes);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    const char *paths[] = {path};
    sono_error error = {0};
    sono_source *source = NULL;
    assert_ok(sono_source_open_images(paths, 1, NULL, &source, &error), &error);
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = NULL;
    for (int i = 1; i <= 2; i++) {
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        assert_int_equal(*(const uint8_t *)frame.image.pixels, i);
    }
    expect_end(source);
    close(ends[0]);
}

/* Every request of ours that fails gives OUT_OF_MEMORY; leaks show under the address sanitizer. */
static void test_out_of_memory(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    sono_source_close(open_file("memory.tif", make_pages(2, 0, 0), path));
    const char *paths[] = {path};
    sono_status status = SONO_STATUS_OUT_OF_MEMORY;
    uint64_t n = 0;
    while (status == SONO_STATUS_OUT_OF_MEMORY) {
        sono_source *source = NULL;
        sono_frame frame = SONO_TEST_FRAME;
        const char *name = NULL;
        sono_error error = {0};
        sono_alloc_fail_from(++n);
        status = sono_source_open_images(paths, 1, NULL, &source, &error);
        for (int page = 0; page < 2 && status == SONO_STATUS_OK; page++)
            status = sono_source_next(source, &frame.image, &frame.info, &name, &error);
        sono_alloc_fail_from(0);
        sono_source_close(source);
    }
    assert_int_equal(status, SONO_STATUS_OK);
    assert_true(n > 8);
}

/* ---- ImageJ ---- */

static void expect_image(sono_source *source, int number, int bits)
{
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    const char *path = NULL;
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &path, &error), &error);
    for (int i = 0; i < SIDE * SIDE; i++)
        if (bits == 16)
            assert_int_equal(((const uint16_t *)frame.image.pixels)[i], (uint16_t)(deep[i] + number));
        else
            assert_int_equal(((const uint8_t *)frame.image.pixels)[i], levels[2][i] + number);
}

static void test_imagej_stack(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    for (int i = 0; i < 4; i++) {
        const int bits = i & 1 ? 16 : 8;
        const test_picture picture = {SIDE, SIDE, 1, bits, bits == 16 ? (const void *)deep : levels[2]};
        sono_source *source = open_file("stack.tif", test_imagej(&picture, 5, 5, i >> 1), path);
        for (int k = 0; k < 5; k++)
            expect_image(source, k, bits);
        assert_int_equal(sono_source_count(source), 5);
        expect_end(source);
        source = open_file("cut.tif", test_imagej(&picture, 5, 3, i >> 1), path);
        for (int k = 0; k < 3; k++)
            expect_image(source, k, bits);
        expect_failure(source, "cut_p0004.tif", 3, "3 of 5");
        expect_end(source);
        /* one image taken out of a stack, with the stack's description */
        source = open_file("one.tif", test_imagej(&picture, 5, 1, i >> 1), path);
        expect_image(source, 0, bits);
        expect_end(source);
    }
}

/* ImageJ writes no such stacks: it is the file's one image. */
static void test_imagej_packed(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    for (int big = 0; big < 2; big++) {
        const test_picture picture = {SIDE, SIDE, 1, 1, levels[2]};
        sono_source *source = open_file("packed.tif", test_imagej(&picture, 3, 3, big), path);
        sono_frame frame = SONO_TEST_FRAME;
        sono_error error = {0};
        const char *name = NULL;
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        assert_int_equal(((const uint8_t *)frame.image.pixels)[6], 255); /* of 00000011 */
        assert_int_equal(((const uint8_t *)frame.image.pixels)[5], 0);
        expect_end(source);
    }
}

/* The last image of a stack of 5 GB, most of which is a hole in the file. */
static void test_imagej_beyond_4_gb(void **state)
{
    (void)state;
    enum { WIDE = 2048, HIGH = 2048, N = 1200 };
    char path[SONO_TEST_PATH_BYTES];
    static uint8_t pixels[WIDE * HIGH];
    const test_picture picture = {WIDE, HIGH, 1, 8, pixels};
    test_file file = test_imagej(&picture, N, 1, 0);
    const off_t start = (off_t)(file.n_bytes - sizeof pixels), n_bytes = start + (off_t)N * WIDE * HIGH;
    sono_test_path(path, sizeof path, "large.tif");
    sono_test_write_file(path, file.bytes, file.n_bytes);
    free(file.bytes);
    const int descriptor = open(path, O_RDWR);
    const uint8_t mark = 77;
    if (ftruncate(descriptor, n_bytes) || pwrite(descriptor, &mark, 1, n_bytes - 1) != 1)
        sono_test_skip("no room for a file of 5 GB with holes");
    const sono_tiff_input input = {NULL, descriptor, (uint64_t)n_bytes};
    sono_source_options options;
    sono_source_options_init(&options);
    sono_error error = {0};
    sono_decoded_image image = {0};
    const sono_image_job job = {.name = path, .options = &options, .image = &image, .error = &error};
    sono_tiff tiff = {0};
    assert_ok(sono_tiff_open(&tiff, &input, &job), &error);
    assert_int_equal(sono_tiff_count(&tiff), N);
    assert_ok(sono_tiff_decode(&tiff, N - 1, &job), &error);
    assert_int_equal(image.pixels[WIDE * HIGH - 1], mark);
    assert_int_equal(image.pixels[WIDE * HIGH - 2], 0);
    sono_image_reset(&image);
    sono_tiff_reset(&tiff);
    close(descriptor);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_page_is_a_frame),
        cmocka_unit_test(test_reduced_pages),
        cmocka_unit_test(test_pages_that_are_no_frames),
        cmocka_unit_test(test_broken_page),
        cmocka_unit_test(test_broken_list),
        cmocka_unit_test(test_pages_between_files),
        cmocka_unit_test(test_pages_from_a_pipe),
        cmocka_unit_test(test_imagej_stack),
        cmocka_unit_test(test_imagej_packed),
        cmocka_unit_test(test_imagej_beyond_4_gb),
        cmocka_unit_test(test_out_of_memory),
    };
    return sono_test_run_with("source/pages", tests, sizeof tests / sizeof tests[0], fill, NULL);
}
