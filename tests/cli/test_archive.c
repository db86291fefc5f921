// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600
/* `run` over many frames, as a user sees it: killed and resumed, over several pipelines, in shards that are
 * merged: the same bytes; and what is refused. */
#include "command.h"
#include "image_writer.h"
#include "test.h"

#include "base/alloc.h"

#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIDE     64
#define N_FRAMES 16

static char detector[SONO_TEST_PATH_BYTES], in[SONO_TEST_PATH_BYTES];

#define WORDS(...)                                                                                           \
    ((const char *const[]){"run", in, __VA_ARGS__, "--detector", detector, "--detector-family", "dfine",     \
                           "--detector-size", "320x320", "--detector-only", "--device", "cpu",               \
                           "--threshold", "0", NULL})

static int make_inputs(void **state)
{
    (void)state;
    uint8_t pixels[SIDE * SIDE];
    sono_test_path(in, sizeof in, "in");
    mkdir(in, 0777);
    for (int k = 0; k < N_FRAMES; k++) {
        char name[32], path[SONO_TEST_PATH_BYTES];
        for (size_t i = 0; i < sizeof pixels; i++)
            pixels[i] = (uint8_t)(i * (size_t)(37 + k));
        const test_picture picture = {SIDE, SIDE, 1, 8, pixels};
        test_file file = test_png(&picture, PNG_COLOR_TYPE_GRAY, 0);
        snprintf(name, sizeof name, "in/%d.png", k);
        sono_test_path(path, sizeof path, name);
        sono_test_write_file(path, file.bytes, file.n_bytes);
        free(file.bytes);
    }
    return 0;
}

static void need_detector(void)
{
    const char *path = getenv("SONO_TEST_DETECTOR");
    if (!path || access(path, R_OK))
        sono_test_skip("no checkpoint (SONO_TEST_DETECTOR)");
    snprintf(detector, sizeof detector, "%s", path);
}

static void path_of(char out[SONO_TEST_PATH_BYTES], const char *name)
{
    sono_test_path(out, SONO_TEST_PATH_BYTES, name);
}

static int count_lines(const char *relative)
{
    char path[SONO_TEST_PATH_BYTES];
    path_of(path, relative);
    if (access(path, F_OK))
        return 0;
    char *text = (char *)sono_test_read_file(path, NULL);
    int n = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        n++;
    sono_free(text);
    return n;
}

static void expect_same_file(const char *left, const char *right, const char *name)
{
    char relative[SONO_TEST_PATH_BYTES / 2], path[SONO_TEST_PATH_BYTES];
    size_t n_left, n_right;
    snprintf(relative, sizeof relative, "%s/%s", left, name);
    path_of(path, relative);
    uint8_t *a = sono_test_read_file(path, &n_left);
    snprintf(relative, sizeof relative, "%s/%s", right, name);
    path_of(path, relative);
    uint8_t *b = sono_test_read_file(path, &n_right);
    assert_int_equal(n_left, n_right);
    assert_memory_equal(a, b, n_left);
    sono_free(a);
    sono_free(b);
}

static void expect_same(const char *name)
{
    expect_same_file("one", name, "results.jsonl");
    expect_same_file("one", name, "run.json");
    for (int k = 0; k < N_FRAMES; k++) {
        char picture[32];
        snprintf(picture, sizeof picture, "overlays/%d.png", k);
        expect_same_file("one", name, picture);
    }
}

static void test_one_run(void **state)
{
    (void)state;
    char output[SONO_TEST_PATH_BYTES];
    need_detector();
    path_of(output, "one");
    command_result result = command_run(WORDS("-o", output, "--no-times", "--workers", "1"));
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "16 frames: 16 VISIBLE, 0 LOST; 0 failed"));
    assert_non_null(strstr(result.out, "slowest part: computing, "));
    command_free(&result);
    assert_int_equal(count_lines("one/results.jsonl"), N_FRAMES);
}

/* Starts a run and kills it once there are so many lines; returns how many there are then. */
static int kill_at(const char *const *words, int n_lines)
{
    const pid_t child = command_start(words);
    for (int i = 0; i < 30000 && (i < 20 || count_lines("killed/results.jsonl") < n_lines); i++)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    command_result result = command_wait(child);
    /* All was written, and it was on its way out. */
    assert_true(result.status == 128 + SIGKILL || (result.status == 0 && n_lines == N_FRAMES));
    command_free(&result);
    const int n = count_lines("killed/results.jsonl");
    assert_in_range(n, n_lines, N_FRAMES);
    return n;
}

static void cut_last_line(void)
{
    char path[SONO_TEST_PATH_BYTES];
    size_t n_bytes;
    path_of(path, "killed/results.jsonl");
    sono_free(sono_test_read_file(path, &n_bytes));
    assert_int_equal(truncate(path, (off_t)(n_bytes - 100)), 0);
}

static void go_on(const char *output, int n_done)
{
    char says[64];
    command_result result = command_run(WORDS("-o", output, "--no-times", "--resume"));
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    snprintf(says, sizeof says, "%d frames were done before, and found whole", n_done);
    assert_non_null(strstr(result.out, says));
    command_free(&result);
    expect_same("killed");
}

/* After some frames, while it opens, and further on, each time going on where the one before was killed; then
 * once more when its last line is there. */
static void test_killed_and_resumed(void **state)
{
    (void)state;
    static const int moments[] = {0, 6, 11};
    char output[SONO_TEST_PATH_BYTES];
    need_detector();
    path_of(output, "killed");
    int n = kill_at(WORDS("-o", output, "--no-times"), 2);
    command_expect(1, "was made with \"times\": 0, and this run has \"times\": 1",
                   WORDS("-o", output, "--resume"));
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
        n = kill_at(WORDS("-o", output, "--no-times", "--resume"), moments[i] > n ? moments[i] : n);
    go_on(output, n);
    cut_last_line();
    n = kill_at(WORDS("-o", output, "--no-times", "--resume"), N_FRAMES);
    go_on(output, n);
}

static void test_pipelines(void **state)
{
    (void)state;
    char output[SONO_TEST_PATH_BYTES];
    need_detector();
    path_of(output, "many");
    command_result result =
        command_run(WORDS("-o", output, "--no-times", "--pipelines", "2", "--batch", "2", "--workers", "4"));
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "frames by pipeline: cpu#1: "));
    command_free(&result);
    expect_same("many");
}

static void test_shards(void **state)
{
    (void)state;
    char first[SONO_TEST_PATH_BYTES], second[SONO_TEST_PATH_BYTES], output[SONO_TEST_PATH_BYTES];
    need_detector();
    path_of(first, "part1");
    path_of(second, "part2");
    path_of(output, "merged");
    command_expect(0, NULL, WORDS("-o", first, "--no-times", "--shard", "1/2", "--quiet"));
    command_expect(1, "part2/shard.json: No such file or directory: run this shard to its end first",
                   (const char *const[]){"merge", first, second, "-o", output, NULL});
    command_expect(0, NULL, WORDS("-o", second, "--no-times", "--shard", "2/2", "--quiet"));
    command_expect(0, NULL, (const char *const[]){"merge", first, second, "-o", output, "-q", NULL});
    expect_same("merged");
    command_expect(1, "merged/results.jsonl is there",
                   (const char *const[]){"merge", first, second, "-o", output, NULL});
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *option, *value, *says;
    } cases[] = {
        {"--masks", "jpeg", "--masks: 'jpeg' is none of png, rle, none"},
        {"--overlays", "some", "--overlays: 'some' is none of all, changed, none"},
        {"--shard", "3/2", "--shard: '3/2' is no share like 1/4 to 4/4"},
        {"--batch", "33", "--batch: '33' is not a whole number within 1..32"},
        {"--pipelines", "0", "--pipelines: '0' is not a whole number within 1..16"},
        {"--device", "cuda:0,", "--device: 'cuda:0,' is no list like cuda:0,1, and not cuda:all"},
        {"--device", "cuda:,1", "is no list like"},
        {"--device", "cuda:all,1", "is no list like"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        command_expect(2, cases[i].says,
                       (const char *const[]){"run", in, "-o", "x", cases[i].option, cases[i].value, NULL});
    command_expect(
        2, "it takes one pipeline on one device",
        (const char *const[]){"run", in, "-o", "x", "--state", "stream", "--pipelines", "2", NULL});
    command_expect(2, "not with --resume or --shard",
                   (const char *const[]){"run", in, "-o", "x", "--state", "stream", "--resume", NULL});
    command_expect(2, "with --resume and --shard give a number",
                   (const char *const[]){"run", in, "-o", "x", "--gray16-white", "auto", "--resume", NULL});
    command_expect(
        2, "which is another shard's",
        (const char *const[]){"run", in, "-o", "x", "--overlays", "changed", "--shard", "1/2", NULL});
    command_expect(2, "no output folder: pass --output DIR", (const char *const[]){"merge", in, NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_run),   cmocka_unit_test(test_killed_and_resumed),
        cmocka_unit_test(test_pipelines), cmocka_unit_test(test_shards),
        cmocka_unit_test(test_refused),
    };
    return sono_test_run_with("cli/archive", tests, sizeof tests / sizeof tests[0], make_inputs, NULL);
}
