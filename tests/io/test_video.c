// SPDX-License-Identifier: Apache-2.0
/* A video source over a command that plays ffmpeg's part: what it says and gives, whole, cut, in another
 * order, or not at all. tests/io/test_video_peer.py reads videos by ffmpeg itself. */
#include "test.h"

#include "base/alloc.h"
#include "sonoseg/io.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define HEAD "#tb 0: 1/1000\\n#dimensions 0: 4x3\\n"

static char video[SONO_TEST_PATH_BYTES];

typedef struct reading {
    sono_source *source;
    sono_frame frame;
    const char *name;
    sono_error error;
} reading;

/* Makes a "ffmpeg" of these lines of shell, the only one that is found. */
static void play(const char *lines)
{
    char path[SONO_TEST_PATH_BYTES], script[2048];
    snprintf(script, sizeof script, "#!/bin/sh\nPATH=/usr/bin:/bin\n%s\n", lines);
    sono_test_path(path, sizeof path, "bin");
    mkdir(path, 0700);
    setenv("PATH", path, 1);
    sono_test_path(path, sizeof path, "bin/ffmpeg");
    sono_test_write_file(path, script, strlen(script));
    chmod(path, 0700);
    sono_test_path(video, sizeof video, "v.mp4");
    sono_test_write_file(video, "x", 1);
}

static sono_status open_video(reading *r, int32_t n_held)
{
    sono_source_options options;
    sono_source_options_init(&options);
    options.n_held = n_held;
    *r = (reading){.frame = SONO_TEST_FRAME};
    return sono_source_open_video(video, &options, &r->source, &r->error);
}

static sono_status next(reading *r)
{
    r->frame = (sono_frame)SONO_TEST_FRAME;
    return sono_source_next(r->source, &r->frame.image, &r->frame.info, &r->name, &r->error);
}

static void expect_frame(reading *r, const char *pixels, int64_t time_ns)
{
    assert_ok(next(r), &r->error);
    assert_true(r->frame.image.width_px == 4 && r->frame.image.height_px == 3);
    assert_memory_equal(r->frame.image.pixels, pixels, 12);
    assert_int_equal(r->frame.info.timestamp_ns, time_ns);
}

/* Ends with an error of that text, then END; no process is left. */
static void expect_failure(reading *r, int n_before, sono_status status, const char *text)
{
    assert_status(status, next(r), &r->error);
    if (!strstr(r->error.text, text))
        fail_msg("'%s' is not in '%s'", text, r->error.text);
    assert_string_equal(r->name, video);
    const int64_t n = sono_source_count(r->source); /* this failure is one */
    assert_true(n == n_before + 1);
    assert_status(SONO_STATUS_END, next(r), &r->error);
    assert_int_equal(sono_source_count(r->source), n);
    sono_source_close(r->source);
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void test_whole(void **state)
{
    reading r;
    (void)state;
    play("printf '" HEAD "0, 0, 0, 1, 12, 0x0\\n0, 40, 40, 1, 12, 0x0\\n0, 90, 90, 1, 12, 0x0\\n' >&3\n"
         "printf abcdefghijkl; printf mnopqrstuvwx; printf ABCDEFGHIJKL");
    assert_ok(open_video(&r, 2), &r.error);
    assert_int_equal(sono_source_count(r.source), -1);
    expect_frame(&r, "abcdefghijkl", 0);
    const void *first = r.frame.image.pixels;
    expect_frame(&r, "mnopqrstuvwx", 40000000);
    assert_memory_equal(first, "abcdefghijkl", 12); /* held */
    assert_non_null(strstr(r.name, "/v_f0002.mp4"));
    expect_frame(&r, "ABCDEFGHIJKL", 90000000);
    const void *last = r.frame.image.pixels;
    assert_status(SONO_STATUS_END, next(&r), &r.error);
    assert_memory_equal(last, "ABCDEFGHIJKL", 12); /* the end takes nothing back */
    assert_int_equal(sono_source_count(r.source), 3);
    sono_source_close(r.source);
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* Pixels before they are announced, in pieces, more than a pipe holds. */
static void test_order(void **state)
{
    reading r;
    (void)state;
    play("head -c 2000000 /dev/zero; printf '#tb 0: 1/10\\n#dimensions 0: 1000x1000\\n0, 0, 0, 1, 1000000, "
         "0\\n' >&3\n"
         "sleep 0.05; printf '0, 1, 1, 1, 1000000, 0\\n' >&3");
    assert_ok(open_video(&r, 1), &r.error);
    assert_ok(next(&r), &r.error);
    assert_ok(next(&r), &r.error);
    assert_int_equal(r.frame.info.timestamp_ns, 100000000);
    assert_status(SONO_STATUS_END, next(&r), &r.error);
    sono_source_close(r.source);
}

static void test_failures(void **state)
{
    static const struct {
        const char *lines, *text;
        sono_status status;
        int n_frames;
    } cases[] = {
        {"exit 0", "no frame can be read: ffmpeg says: nothing", SONO_STATUS_FORMAT, 0},
        {"echo '[mov @ 0x55] moov atom not found' >&2; echo 'v.mp4: Invalid data' >&2; exit 1",
         "ffmpeg says: moov atom not found; v.mp4: Invalid data", SONO_STATUS_FORMAT, 0},
        {"printf '" HEAD "0, 0, 0, 1, 12, 0\\n' >&3; printf abcdefghijkl; echo 'corrupt' >&2; exit 1",
         "damaged or cut short behind frame 1: ffmpeg says: corrupt", SONO_STATUS_FORMAT, 1},
        {"printf '" HEAD "0, 0, 0, 1, 12, 0\\n' >&3; printf abcdefghijkl; echo 'concealed' >&2",
         "behind frame 1: ffmpeg says: concealed", SONO_STATUS_FORMAT, 1},
        {"printf '" HEAD "0, 0, 0, 1, 12, 0\\n0, 1, 1, 1, 12, 0\\n' >&3; printf abcdefghijklmno",
         "behind frame 1: ffmpeg says: nothing", SONO_STATUS_FORMAT, 1},
        {"printf '" HEAD "0, 0, 0, 1, 12, 0\\n' >&3; printf abcdefghijklmno",
         "behind frame 1: ffmpeg says: nothing", SONO_STATUS_FORMAT, 1},
        {"printf '" HEAD "0, 0, 0, 1, 12, 0\\n' >&3; printf abcdefghijkl; kill -9 $$", "behind frame 1",
         SONO_STATUS_FORMAT, 1},
        {"printf '" HEAD "0, 0, 0, 1, 12, 0\\n0, 1, 1, 1, 24, 0\\n' >&3; printf abcdefghijkl; exec sleep 60",
         "frame 2 has another size", SONO_STATUS_UNSUPPORTED, 1},
        {"printf '" HEAD "0, 0, 0, 1, 13, 0\\n' >&3; exec sleep 60",
         "gives 13 bytes for a frame of 4 x 3 pixels", SONO_STATUS_FORMAT, 0},
        {"printf '" HEAD "0, 0, 0, 1, 36, 0\\n' >&3; exec sleep 60", "gives 36 bytes", SONO_STATUS_FORMAT, 0},
        {"printf '#tb 0: 1/1\\n0, 0, 0, 1, 36, 0\\n' >&3; exec sleep 60", "of 0 x 0 pixels",
         SONO_STATUS_FORMAT, 0},
        {"printf '#tb 0: 1/1\\n#dimensions 0: 9999x9999\\n0, 0, 0, 1, 99980001, 0\\n' >&3; exec sleep 60",
         "9999 x 9999 pixels, more than", SONO_STATUS_LIMIT, 0},
        {"echo hello >&3; exec sleep 60", "\"hello\": not understood", SONO_STATUS_FORMAT, 0},
        {"head -c 600 /dev/zero >&3; exec sleep 60", "more of a frame", SONO_STATUS_FORMAT, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reading r;
        play(cases[i].lines);
        assert_ok(open_video(&r, 1), &r.error);
        for (int k = 0; k < cases[i].n_frames; k++)
            expect_frame(&r, "abcdefghijkl", 0);
        expect_failure(&r, cases[i].n_frames, cases[i].status, cases[i].text);
    }
}

/* One that says much and never ends is read on, and ended at once when nobody wants more. */
static void test_endless(void **state)
{
    reading r;
    (void)state;
    play("head -c 300000 /dev/zero | tr '\\0' 'e' >&2\n"
         "printf '" HEAD "0, 0, 0, 1, 12, 0\\n' >&3; printf abcdefghijkl; exec sleep 60");
    assert_ok(open_video(&r, 1), &r.error);
    expect_frame(&r, "abcdefghijkl", 0);
    sono_source_close(r.source);
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* A program that lets the system wait for its children. */
static void test_ignored_children(void **state)
{
    reading r;
    (void)state;
    play("printf '" HEAD "0, 0, 0, 1, 12, 0\\n' >&3; printf abcdefghijkl");
    signal(SIGCHLD, SIG_IGN);
    assert_ok(open_video(&r, 1), &r.error);
    expect_frame(&r, "abcdefghijkl", 0);
    const sono_status status = next(&r);
    signal(SIGCHLD, SIG_DFL);
    assert_status(SONO_STATUS_END, status, &r.error);
    sono_source_close(r.source);
}

static void test_memory(void **state)
{
    sono_status status = SONO_STATUS_OUT_OF_MEMORY;
    reading r;
    (void)state;
    play("printf '" HEAD "0, 0, 0, 1, 12, 0\\n' >&3; printf abcdefghijkl");
    uint64_t n = 0;
    while (status == SONO_STATUS_OUT_OF_MEMORY) {
        sono_alloc_fail_from(++n);
        status = open_video(&r, 2);
        if (status == SONO_STATUS_OK)
            status = next(&r);
        sono_alloc_fail_from(0);
        sono_source_close(r.source);
        assert_true(n < 100);
    }
    assert_ok(status, &r.error);
    assert_true(n > 8);
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_ignored_children),
        cmocka_unit_test(test_memory),
    };
    return sono_test_run("io/video", tests, sizeof tests / sizeof tests[0]);
}
