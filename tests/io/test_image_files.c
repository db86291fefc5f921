// SPDX-License-Identifier: Apache-2.0
/* The source of image files: what paths stand for, their order, how long pixels stay, the reference's
 * decoding. */
#include "image_writer.h"
#include "test.h"

#include "base/alloc.h"
#include "checkpoint/checkpoint.h"
#include "io/paths.h"
#include "sonoseg/io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[SONO_TEST_PATH_BYTES - 64];

/* A 2 x 1 PGM whose pixels are `level`. */
static const char *add_image(char *path, const char *name, unsigned level)
{
    char bytes[32];
    snprintf(path, SONO_TEST_PATH_BYTES, "%s/%s", folder, name);
    const int n = snprintf(bytes, sizeof bytes, "P5 2 1 255\n%c%c", (char)level, (char)level);
    sono_test_write_file(path, bytes, (size_t)n);
    return path;
}

static void use_folder(const char *name)
{
    sono_test_path(folder, sizeof folder, name);
    assert_int_equal(mkdir(folder, 0777), 0);
}

static sono_source *open_paths(const char *const *paths, int32_t n, const sono_source_options *options)
{
    sono_error error = {0};
    sono_source *source = NULL;
    assert_ok(sono_source_open_images(paths, n, options, &source, &error), &error);
    return source;
}

static void expect_next(sono_source *source, const char *name, unsigned level, uint64_t frame_id)
{
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    const char *path = NULL;
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &path, &error), &error);
    const char *slash = strrchr(path, '/');
    assert_string_equal(slash ? slash + 1 : path, name);
    assert_int_equal(*(const uint8_t *)frame.image.pixels, level);
    assert_int_equal(frame.info.frame_id, frame_id);
    assert_int_equal(frame.image.width_px, 2);
    assert_int_equal(frame.image.height_px, 1);
    assert_int_equal(frame.image.format, SONO_PIXEL_GRAY8);
}

static void expect_end(sono_source *source)
{
    sono_frame frame = SONO_TEST_FRAME;
    const char *path = "";
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &path, NULL), SONO_STATUS_END);
        assert_null(frame.image.pixels);
        assert_null(path);
    }
    sono_source_close(source);
}

static void test_natural_order(void **state)
{
    (void)state;
    static const char *const sorted[] = {"a",     "a1",    "a02", "a2",   "a10", "a10b", "a11",
                                         "a20a1", "a20a3", "b",   "b007", "b07", "b7",   "b8"};
    const int n = (int)(sizeof sorted / sizeof sorted[0]);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const int order = sono_paths_compare(sorted[i], sorted[j]);
            assert_true(i < j ? order < 0 : i > j ? order > 0 : order == 0);
        }
}

static void test_folder(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    use_folder("sweep");
    add_image(path, "10.png", 10);
    add_image(path, "2.PGM", 2);
    add_image(path, "1.Jpeg", 1);
    add_image(path, ".hidden.png", 99);
    add_image(path, "notes.txt", 99);
    snprintf(path, sizeof path, "%s/3.png", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    const char *paths[] = {folder};
    sono_source *source = open_paths(paths, 1, NULL);
    assert_int_equal(sono_source_count(source), 3);
    expect_next(source, "1.Jpeg", 1, 0);
    expect_next(source, "2.PGM", 2, 1);
    expect_next(source, "10.png", 10, 2);
    expect_end(source);
}

static void add_text(const char *name, const char *text)
{
    char path[SONO_TEST_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    sono_test_write_file(path, text, strlen(text));
}

static void test_what_is_left_out(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    const char *suffixes = NULL;
    use_folder("left_out");
    add_image(path, "1.jfif", 1);
    add_image(path, "2.JPE", 2);
    add_image(path, "3.pbm", 3);
    add_image(path, "4", 4);
    add_image(path, "frame.0005", 5);
    add_text("scan.dcm", "");
    add_text("a.bmp", "BM");
    add_text("b.BMP", "BM");
    add_text("NOTES", "none");
    add_text("7", "none");
    add_text("odd.a-b", "");
    add_text(".hidden", "");
    snprintf(path, sizeof path, "%s/folder.bmp", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    const char *paths[] = {folder};
    sono_source *source = open_paths(paths, 1, NULL);
    assert_int_equal(sono_source_left_out(source, &suffixes), 6);
    if (strcasecmp(suffixes, "no suffix, .bmp, .dcm") != 0)
        fail_msg("left out: %s", suffixes);
    assert_int_equal(sono_source_left_out(source, NULL), 6);
    expect_next(source, "1.jfif", 1, 0);
    expect_next(source, "2.JPE", 2, 1);
    expect_next(source, "3.pbm", 3, 2);
    expect_next(source, "4", 4, 3);
    expect_next(source, "frame.0005", 5, 4);
    expect_end(source);
    use_folder("nothing_taken");
    add_text("a.bmp", "BM");
    source = open_paths(paths, 1, NULL);
    sono_frame frame = SONO_TEST_FRAME;
    sono_error error = {0};
    const char *name = NULL;
    assert_int_equal(sono_source_left_out(source, &suffixes), 1);
    assert_string_equal(suffixes, ".bmp");
    assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &name, &error), SONO_STATUS_IO);
    assert_non_null(strstr(error.text, "no image files"));
    expect_end(source);
}

static void test_repeats_and_failures(void **state)
{
    (void)state;
    char image[SONO_TEST_PATH_BYTES], missing[SONO_TEST_PATH_BYTES];
    use_folder("mixed");
    add_image(image, "b.pgm", 7);
    snprintf(missing, sizeof missing, "%s/missing.png", folder);
    use_folder("bare");
    const char *paths[] = {image, missing, image, folder, image};
    sono_source *source = open_paths(paths, 5, NULL);
    assert_int_equal(sono_source_count(source), 5);
    expect_next(source, "b.pgm", 7, 0);
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = NULL;
    assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &name, &error), SONO_STATUS_IO);
    assert_string_equal(name, missing);
    assert_int_equal(frame.info.frame_id, 1);
    assert_non_null(strstr(error.text, "No such file"));
    expect_next(source, "b.pgm", 7, 2);
    assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &name, &error), SONO_STATUS_IO);
    assert_string_equal(name, folder);
    assert_non_null(strstr(error.text, "no image files"));
    expect_next(source, "b.pgm", 7, 4);
    expect_end(source);
}

/* With n_held = 2 the frame before the newest one keeps its pixels, also across a broken file. */
static void test_held_frames(void **state)
{
    (void)state;
    char a[SONO_TEST_PATH_BYTES], b[SONO_TEST_PATH_BYTES], c[SONO_TEST_PATH_BYTES];
    use_folder("held");
    add_image(a, "a.pgm", 1);
    add_image(b, "b.pgm", 2);
    add_image(c, "c.pgm", 3);
    const char *paths[] = {a, "/nonexistent.png", b, c};
    sono_source_options options;
    sono_source_options_init(&options);
    options.n_held = 2;
    sono_source *source = open_paths(paths, 4, &options);
    sono_frame frames[3] = {SONO_TEST_FRAME, SONO_TEST_FRAME, SONO_TEST_FRAME}, broken = SONO_TEST_FRAME;
    const char *names[3], *name;
    sono_error error = {0};
    assert_ok(sono_source_next(source, &frames[0].image, &frames[0].info, &names[0], &error), &error);
    assert_int_equal(sono_source_next(source, &broken.image, &broken.info, &name, &error), SONO_STATUS_IO);
    assert_ok(sono_source_next(source, &frames[1].image, &frames[1].info, &names[1], &error), &error);
    assert_int_equal(*(const uint8_t *)frames[0].image.pixels, 1);
    assert_ok(sono_source_next(source, &frames[2].image, &frames[2].info, &names[2], &error), &error);
    assert_int_equal(*(const uint8_t *)frames[1].image.pixels, 2);
    assert_int_equal(*(const uint8_t *)frames[2].image.pixels, 3);
    assert_string_equal(names[0], a);
    sono_source_close(source);
}

static void test_pipe(void **state)
{
    (void)state;
    char path[64];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "P5 2 1 255\n\x05\x05", 13), 13);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    const char *paths[] = {path};
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = NULL;
    sono_error error = {0};
    sono_source *source = open_paths(paths, 1, NULL);
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    assert_int_equal(*(const uint8_t *)frame.image.pixels, 5);
    sono_source_close(source);
    close(ends[0]);
}

static void test_limits(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    use_folder("limits");
    add_image(path, "a.pgm", 1);
    const char *paths[] = {path, "/dev/zero"};
    sono_source_options options;
    sono_source_options_init(&options);
    options.max_pixels = 1;
    sono_source *source = open_paths(paths, 2, &options);
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = NULL;
    sono_error error = {0};
    assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &name, &error), SONO_STATUS_LIMIT);
    assert_non_null(strstr(error.text, "2 x 1"));
    assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &name, &error), SONO_STATUS_LIMIT);
    assert_non_null(strstr(error.text, "/dev/zero"));
    sono_source_close(source);
    options.max_pixels = 2;
    options.max_side_px = 1;
    source = open_paths(paths, 1, &options);
    assert_int_equal(sono_source_next(source, &frame.image, &frame.info, &name, &error), SONO_STATUS_LIMIT);
    assert_non_null(strstr(error.text, "2 x 1 pixels, the limit is 1 pixels a side"));
    sono_source_close(source);
}

static void test_misuse(void **state)
{
    (void)state;
    const char *paths[] = {"a"}, *no_path[] = {""};
    sono_error error = {0};
    sono_source *source = NULL;
    sono_source_options options;
    assert_int_equal(sono_source_open_images(paths, 0, NULL, &source, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_int_equal(sono_source_open_images(NULL, 1, NULL, &source, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_int_equal(sono_source_open_images(no_path, 1, NULL, &source, &error),
                     SONO_STATUS_INVALID_ARGUMENT);
    for (int i = 0; i < 8; i++) {
        sono_source_options_init(&options);
        if (i == 0)
            options.struct_size = 0;
        if (i == 1)
            options.max_pixels = 0;
        if (i == 2)
            options.n_held = 0;
        if (i == 3)
            options.n_held = 17;
        if (i == 4)
            options.max_side_px = -1;
        if (i >= 5)
            options.float_low = i == 5 ? 1 : (double)NAN;
        if (i == 7)
            options.float_low = options.float_high = 2;
        assert_int_equal(sono_source_open_images(paths, 1, &options, &source, &error),
                         SONO_STATUS_INVALID_ARGUMENT);
    }
    assert_null(source);
    assert_int_equal(sono_source_next(NULL, NULL, NULL, NULL, &error), SONO_STATUS_INVALID_ARGUMENT);
    sono_source_close(NULL);
}

/* Every request that fails gives OUT_OF_MEMORY, at open or for a frame; leaks show under the address
 * sanitizer. */
static void test_out_of_memory(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    use_folder("memory");
    add_image(path, "1.pgm", 1);
    const char *paths[] = {folder, path};
    sono_status status = SONO_STATUS_OUT_OF_MEMORY;
    uint64_t n = 0;
    while (status == SONO_STATUS_OUT_OF_MEMORY) {
        sono_source *source = NULL;
        sono_frame frame = SONO_TEST_FRAME;
        const char *name = NULL;
        sono_error error = {0};
        sono_alloc_fail_from(++n);
        status = sono_source_open_images(paths, 2, NULL, &source, &error);
        if (status == SONO_STATUS_OK)
            status = sono_source_next(source, &frame.image, &frame.info, &name, &error);
        sono_alloc_fail_from(0);
        sono_source_close(source);
    }
    assert_int_equal(status, SONO_STATUS_OK);
    assert_true(n > 5);
}

/* The reference's `image` is what its frame decodes to, byte for byte. */
static void test_reference_luma(void **state)
{
    (void)state;
    char reference[SONO_TEST_PATH_BYTES], image[SONO_TEST_PATH_BYTES];
    sono_test_need_shared(reference, sizeof reference, "reference/outputs_00100.safetensors");
    sono_test_need_shared(image, sizeof image, "frames/00100.jpg");
    sono_error error = {0};
    sono_checkpoint *file = NULL;
    assert_ok(sono_checkpoint_open(reference, &file, &error), &error);
    const sono_checkpoint_tensor *expected = sono_checkpoint_find(file, "image");
    assert_non_null(expected);
    const char *paths[] = {image}, *name = NULL;
    sono_source *source = open_paths(paths, 1, NULL);
    sono_frame frame = SONO_TEST_FRAME;
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    assert_int_equal(frame.image.height_px, expected->dims[0]);
    assert_int_equal(frame.image.width_px, expected->dims[1]);
    assert_int_equal(frame.image.pitch_bytes, expected->dims[1]);
    assert_memory_equal(frame.image.pixels, expected->data, (size_t)sono_checkpoint_tensor_count(expected));
    sono_source_close(source);
    sono_checkpoint_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_natural_order),    cmocka_unit_test(test_folder),
        cmocka_unit_test(test_what_is_left_out), cmocka_unit_test(test_repeats_and_failures),
        cmocka_unit_test(test_held_frames),      cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_limits),           cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_out_of_memory),    cmocka_unit_test(test_reference_luma),
    };
    return sono_test_run("source/image_files", tests, sizeof tests / sizeof tests[0]);
}
