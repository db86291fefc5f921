// SPDX-License-Identifier: Apache-2.0
/* What a path may stand for beside a file: patterns, lists, folders; the units of an NRRD; videos where there
 * is no ffmpeg. tests/io/test_video_peer.py reads videos. */
#include "test.h"

#include "base/alloc.h"
#include "io/list.h"
#include "io/video/times.h"
#include "sonoseg/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void write_text(const char *name, const char *text)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, name);
    sono_test_write_file(path, text, strlen(text));
}

static void make_folder(const char *name)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, name);
    mkdir(path, 0700);
}

static void make_files(void)
{
    static const char *const names[] = {"s/f10.png", "s/f2.png", "s/f1.png",  "s/note.txt",
                                        "t/b.mp4",   "t/a.png",  "s/[x].png", "t/.hidden.png"};
    make_folder("s");
    make_folder("t");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        write_text(names[i], "none");
}

/* The names, without the test's folder, with blanks between them. */
static void describe(const sono_paths *paths, char *out, size_t out_bytes)
{
    const size_t n_folder = strlen(sono_test_folder()) + 1;
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < paths->count; i++) {
        assert_memory_equal(paths->items[i], sono_test_folder(), n_folder - 1);
        n += (size_t)snprintf(out + n, out_bytes - n, "%s%s", i ? " " : "", paths->items[i] + n_folder);
    }
}

/* `given` begins with '@' for a list, and is taken from the test's folder. */
static void expect(const char *given, const char *expected)
{
    char path[SONO_TEST_PATH_BYTES], whole[SONO_TEST_PATH_BYTES + 1], found[1024];
    sono_paths paths = {.takes_all = 1};
    sono_error error = {0};
    const int is_list = given[0] == '@';
    sono_test_path(path, sizeof path, given + is_list);
    snprintf(whole, sizeof whole, "%s%s", is_list ? "@" : "", path);
    assert_ok(sono_paths_add(&paths, whole, &error), &error);
    describe(&paths, found, sizeof found);
    assert_string_equal(found, expected);
    sono_paths_reset(&paths);
}

static void test_patterns(void **state)
{
    (void)state;
    make_files();
    expect("s/f*.png", "s/f1.png s/f2.png s/f10.png");
    expect("s/f?.png", "s/f1.png s/f2.png");
    expect("s/f[12]*.png", "s/f1.png s/f2.png s/f10.png");
    expect("s/[x].png", "s/[x].png"); /* it is there: a name, no pattern */
    expect("[st]", "s/[x].png s/f1.png s/f2.png s/f10.png t/a.png t/b.mp4");
    expect("t/*", "t/a.png t/b.mp4");
    expect("no/*.png", "no/*.png");
    expect("t", "t/a.png t/b.mp4");
}

static void test_lists(void **state)
{
    char list[2 * SONO_TEST_PATH_BYTES];
    (void)state;
    make_files();
    write_text("list.txt", "# the order of the sweep\n\ns/f10.png\r\ns/f2.png\nt\nno.png\ns/f?.png");
    expect("@list.txt", "s/f10.png s/f2.png t/a.png t/b.mp4 no.png s/f1.png s/f2.png");
    snprintf(list, sizeof list, "%s/s/f1.png\n", sono_test_folder());
    write_text("t/absolute.txt", list);
    expect("@t/absolute.txt", "s/f1.png");
    write_text("t/beside.txt", "a.png\n../s/f2.png\n");
    expect("@t/beside.txt", "t/a.png t/../s/f2.png");
}

static void test_broken_lists(void **state)
{
    static const struct {
        const char *name, *text, *reason;
        size_t n_bytes;
        sono_status status;
    } cases[] = {
        {"empty.txt", "# nothing\n\n", "names no file", 11, SONO_STATUS_FORMAT},
        {"zero.txt", "a.png\n\0b.png",
         "a zero byte: a list of files is a text with a path a line (at byte 6)", 12, SONO_STATUS_FORMAT},
        {"missing.txt", NULL, "cannot be opened: No such file", 0, SONO_STATUS_IO},
        {"s", NULL, "must be a regular file", 0, SONO_STATUS_IO},
    };
    (void)state;
    make_files();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[SONO_TEST_PATH_BYTES], given[SONO_TEST_PATH_BYTES + 1];
        sono_source *source = NULL;
        sono_error error;
        sono_test_path(path, sizeof path, cases[i].name);
        if (cases[i].text)
            sono_test_write_file(path, cases[i].text, cases[i].n_bytes);
        snprintf(given, sizeof given, "@%s", path);
        const char *const paths[] = {given};
        assert_status(cases[i].status, sono_source_open_files(paths, 1, NULL, &source, &error), &error);
        assert_null(source);
        if (!strstr(error.text, cases[i].reason) || !strstr(error.text, cases[i].name))
            fail_msg("%s: %s", cases[i].name, error.text);
    }
}

static void test_memory_of_lists(void **state)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_status status = SONO_STATUS_OUT_OF_MEMORY;
    (void)state;
    make_files();
    write_text("some.txt", "s/f10.png\ns/f*.png\nt\n");
    sono_test_path(path, sizeof path, "some.txt");
    uint64_t n = 0;
    while (status == SONO_STATUS_OUT_OF_MEMORY) {
        sono_paths paths = {.takes_all = 1};
        sono_alloc_fail_from(++n);
        status = sono_paths_add_list(&paths, path, NULL);
        sono_alloc_fail_from(0);
        sono_paths_reset(&paths);
        assert_true(n < 100);
    }
    assert_int_equal(status, SONO_STATUS_OK);
    assert_true(n > 5);
}

static void test_units(void **state)
{
    static const struct {
        const char *rows;
        double x, y;
    } cases[] = {
        {"spacings: 0.5 2\n", 0.5, 2},
        {"spacings: 0.5 2\nunits: \"mm\" \"cm\"\n", 0.5, 20},
        {"spacings: 500 2\nunits: \"um\" \"m\"\n", 0.5, 2000},
        {"spacings: 0.5 2\nunits: \"\" \"s\"\n", 0.5, 0},
        {"space dimension: 2\nspace directions: (0.3,0.4) (0,2)\nspace units: \"cm\" \"cm\"\n", 5, 20},
        {"space dimension: 2\nspace directions: (3,4) (0,2)\nspace units: \"pixel\" \"pixel\"\n", 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[SONO_TEST_PATH_BYTES], text[512];
        sono_frame frame = SONO_TEST_FRAME;
        sono_source *source = NULL;
        sono_error error;
        const char *name;
        snprintf(text, sizeof text, "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 2 1\nencoding: raw\n%s\nab",
                 cases[i].rows);
        write_text("units.nrrd", text);
        sono_test_path(path, sizeof path, "units.nrrd");
        assert_ok(sono_source_open_sequence(path, NULL, &source, &error), &error);
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        assert_float_equal(frame.info.spacing_mm[0], cases[i].x, 1e-12);
        assert_float_equal(frame.info.spacing_mm[1], cases[i].y, 1e-12);
        sono_source_close(source);
    }
}

/* Recordings that have ended are closed, but not before what they lent may go. */
static void test_many(void **state)
{
    char names[8][SONO_TEST_PATH_BYTES];
    const char *paths[8], *name;
    const uint8_t *held[9];
    sono_source_options options;
    sono_source *source = NULL;
    sono_error error;
    (void)state;
    for (int i = 0; i < 8; i++) {
        char file[32], text[512];
        snprintf(file, sizeof file, "many%d.mha", i);
        snprintf(text, sizeof text,
                 "NDims = 2\nDimSize = 2 1\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n%c%c", 'a' + i,
                 'A' + i);
        write_text(file, text);
        sono_test_path(names[i], sizeof names[i], i == 3 ? "missing.mha" : file);
        paths[i] = names[i];
    }
    sono_source_options_init(&options);
    options.n_held = 3;
    assert_ok(sono_source_open_files(paths, 8, &options, &source, &error), &error);
    for (int i = 0; i < 8; i++) {
        sono_frame frame = SONO_TEST_FRAME;
        const sono_status status = sono_source_next(source, &frame.image, &frame.info, &name, &error);
        assert_int_equal(status, i == 3 ? SONO_STATUS_IO : SONO_STATUS_OK);
        assert_int_equal(sono_source_count(source), 8);
        held[i] = frame.image.pixels;
        for (int k = i > 2 ? i - 2 : 0; k <= i; k++)
            assert_true(!held[k] || (held[k][0] == 'a' + k && held[k][1] == 'A' + k));
    }
    sono_source_close(source);
}

/* Without ffmpeg a video is an error that says what to install, and the files beside it are read. */
static void test_no_ffmpeg(void **state)
{
    char image[SONO_TEST_PATH_BYTES], video[SONO_TEST_PATH_BYTES];
    sono_frame frame = SONO_TEST_FRAME;
    sono_source *source = NULL;
    sono_error error;
    const char *name;
    (void)state;
    make_files();
    write_text("grey.pgm", "P5 1 1 255\nx");
    sono_test_path(image, sizeof image, "grey.pgm");
    sono_test_path(video, sizeof video, "t/b.mp4");
    char *before = strdup(getenv("PATH"));
    setenv("PATH", sono_test_folder(), 1);
    const char *const paths[] = {video, image};
    assert_ok(sono_source_open_files(paths, 2, NULL, &source, &error), &error);
    assert_status(SONO_STATUS_UNSUPPORTED, sono_source_next(source, &frame.image, &frame.info, &name, &error),
                  &error);
    assert_non_null(strstr(error.text, "t/b.mp4"));
    assert_non_null(strstr(error.text, "apt-get install ffmpeg"));
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    assert_int_equal(frame.info.frame_id, 1);
    assert_status(SONO_STATUS_END, sono_source_next(source, &frame.image, &frame.info, &name, &error),
                  &error);
    sono_source_close(source);
    setenv("PATH", before, 1);
    free(before);
    assert_status(SONO_STATUS_IO, sono_source_open_video("no/such.mp4", NULL, &source, &error), &error);
    assert_status(SONO_STATUS_IO, sono_source_open_video("/dev/null", NULL, &source, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_source_open_video("", NULL, &source, &error), &error);
}

static sono_status take(sono_video_times *times, const char *text)
{
    return sono_video_times_take(times, text, strlen(text), "v.mp4", NULL);
}

static void test_times(void **state)
{
    sono_video_times times = {0};
    const sono_video_time *item;
    (void)state;
    assert_int_equal(take(&times, "#software: x\n#tb 0: 1/90000\n#dimensions 0: 96x"), SONO_STATUS_OK);
    assert_int_equal(times.width_px, 0);
    assert_int_equal(take(&times, "64\n#sar 0: 0/1\n0,  7,  3003,  1,  61"), SONO_STATUS_OK);
    assert_true(times.width_px == 96 && times.height_px == 64);
    assert_null(sono_video_times_next(&times));
    assert_int_equal(take(&times, "44, 0x1, S=1\n0, 0, -9223372036854775808, 0, 1, 0x0\n"), SONO_STATUS_OK);
    item = sono_video_times_next(&times);
    assert_true(item && item->time_ns == 33366666 && item->n_bytes == 6144);
    item = sono_video_times_next(&times);
    assert_true(item && item->time_ns == 0 && item->n_bytes == 1);
    assert_null(sono_video_times_next(&times));
    sono_video_times_reset(&times);
    static const char *const wrong[] = {
        "0, 1, 2, 3, 4, 0x0\n",                               /* a frame before the unit of time */
        "#tb 0: 1/0\n",                                       /* no unit */
        "#tb 0: 1/25\n1, 0, 0, 1, 1, 0x0\n",                  /* a second stream */
        "#tb 0: 1/25\n0, 0, 0, 1, -1, 0x0\n",                 /* less than nothing */
        "#tb 0: 1/1\n0, 0, 9223372036854775807, 1, 1, 0x0\n", /* beyond 64 bits of nanoseconds */
        "#dimensions 0: 0x64\n",
        "\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(take(&times, wrong[i]), SONO_STATUS_FORMAT);
        sono_video_times_reset(&times);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),     cmocka_unit_test(test_lists),
        cmocka_unit_test(test_broken_lists), cmocka_unit_test(test_memory_of_lists),
        cmocka_unit_test(test_units),        cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_ffmpeg),    cmocka_unit_test(test_times),
    };
    return sono_test_run("io/inputs", tests, sizeof tests / sizeof tests[0]);
}
