// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=900 cost=19
/* What the command writes: never over what it reads, one run a folder, whole files however the run ends. On
 * the synthetic checkpoints that the build makes. */
#include "command.h"
#include "test.h"

#include "base/alloc.h"
#include "sonoseg/io.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SMALL_PX   64
#define LARGE_PX   1024
#define SPEC       "phantom:seed=5,frames=3,sweep=1,size=96x128"
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define CPU(...)                                                                                             \
    WORDS(__VA_ARGS__, "--detector", detector, "--segmenter", segmenter, "--segmenter-size", "256",          \
          "--device", "cpu", "--threshold", "0")

static const char *detector = "none", *segmenter = "none";

static void need_checkpoints(void)
{
    const char *first = getenv("SONO_TEST_DETECTOR"), *second = getenv("SONO_TEST_SEGMENTER");
    if (!first || !second || access(first, R_OK) || access(second, R_OK))
        sono_test_skip("no checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER)");
    detector = first;
    segmenter = second;
}

/* Paths below are relative to a folder of the test's own. */
static void enter(const char *name)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, name);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(chdir(path), 0);
}

static void make_set(const char *folder)
{
    command_expect(0, NULL, WORDS("phantom", SPEC, "--quiet", "--output", folder));
}

static int exists(const char *path)
{
    return !access(path, F_OK);
}

static void expect_same(const char *path, const uint8_t *bytes, size_t n_bytes)
{
    size_t n_now = 0;
    uint8_t *now = sono_test_read_file(path, &n_now);
    assert_int_equal(n_now, n_bytes);
    assert_memory_equal(now, bytes, n_bytes);
    sono_free(now);
}

/* The inputs of a run, whatever else is in the folder, and a truth stay what they are. */
static void test_run_over_inputs(void **state)
{
    (void)state;
    size_t n_bytes = 0;
    enter("inputs");
    make_set("set");
    uint8_t *truth = sono_test_read_file("set/masks/phantom_000000.png", &n_bytes);
    assert_int_equal(symlink("set", "way"), 0);
    command_expect(1, "set: there is a labelled set (set/images)",
                   CPU("run", "set/images", "--output", "set"));
    command_expect(1, "choose another folder", CPU("run", "set/images", "--output", "way"));
    command_expect(1, ": results in ./set would replace this input",
                   CPU("run", "set/masks", "--output", "./set"));
    command_expect(1, "labelled set", CPU("demo", "--output", "set"));
    assert_int_equal(rename("set/images", "images"), 0);
    command_expect(1, "would replace this input", CPU("run", "way/masks", "--output", "set"));
    command_expect(1, "no results.jsonl there explains set/masks/", CPU("run", "images", "-o", "set"));
    assert_false(exists("set/results.jsonl") || exists("set/overlays"));
    expect_same("set/masks/phantom_000000.png", truth, n_bytes);
    sono_free(truth);
}

/* Every other file that a command writes. */
static void test_other_writers(void **state)
{
    (void)state;
    size_t n_bytes = 0;
    enter("writers");
    make_set("set");
    uint8_t *truth = sono_test_read_file("set/masks/phantom_000001.png", &n_bytes);
    assert_int_equal(link("set/masks/phantom_000001.png", "hard.png"), 0);
    assert_int_equal(symlink("set/masks/phantom_000001.png", "soft.png"), 0);
    command_expect(1, "hard.png: writing it would overwrite the input soft.png",
                   WORDS("convert", "soft.png", "hard.png"));
    command_expect(1, "overwrite the input ./soft.png",
                   CPU("bench", "-i", "./soft.png", "--json", "hard.png"));
    command_expect(1, "overwrite the input set/masks/phantom_000001.png",
                   CPU("evaluate", "set", "--json", "hard.png"));
    command_expect(1, "overwrite the input hard.png",
                   CPU("run", "hard.png", "-o", "x", "--events", "soft.png"));
    command_expect(1, "overwrite the input hard.png", CPU("audit", "hard.png", "--json", "soft.png"));
    command_expect(
        1, "hard.png",
        WORDS("audit", "hard.png", "--trace-file", "soft.png", "--detector", "none", "--segmenter", "none"));
    command_expect(1, "a.json and ./a.json would write one file",
                   CPU("evaluate", "set", "--json", "a.json", "--events", "./a.json"));
    assert_int_equal(mkdir("out", 0777), 0);
    assert_int_equal(link("hard.png", "out/frames.jsonl"), 0);
    command_expect(1, "out/frames.jsonl: writing it would", CPU("evaluate", "set", "--output", "out"));
    expect_same("hard.png", truth, n_bytes);
    assert_false(exists("x") || exists("a.json"));
    sono_free(truth);
}

static void test_phantom_over_others(void **state)
{
    (void)state;
    enter("phantoms");
    make_set("set");
    make_set("set"); /* its own it may replace */
    assert_int_equal(rename("set/masks/phantom_000002.png", "set/masks/patient.png"), 0);
    command_expect(1, "set/masks/patient.png was not made by `sonoseg phantom`",
                   WORDS("phantom", SPEC, "--output", "set"));
    assert_int_equal(mkdir("out", 0777), 0);
    sono_test_write_file("out/results.jsonl", "", 0);
    command_expect(1, "there are results (out/results.jsonl)", WORDS("phantom", SPEC, "--output", "out"));
    assert_false(exists("out/images"));
}

/* With events a line for each frame; one that another program wrote is kept, one of a phantom is replaced,
 * and gone when the new one has no events. */
static void test_phantom_lines(void **state)
{
    (void)state;
    enter("phantom_lines");
#define EVENTS WORDS("phantom", SPEC ",events=1,only=freeze", "--quiet", "--output", "set")
    command_expect(0, NULL, EVENTS);
    command_expect(0, NULL, EVENTS);
    char *lines = (char *)sono_test_read_file("set/frames.jsonl", NULL);
    int n_lines = 0;
    char *end = NULL;
    for (char *line = lines; (end = strchr(line, '\n')); line = end + 1, n_lines++) {
        char start[32];
        *end = 0;
        snprintf(start, sizeof start, "{\"frame_id\": %d, ", n_lines);
        assert_memory_equal(line, start, strlen(start));
        assert_non_null(strstr(line, "\"event\": \"quiet\", \"event_s\": 0.000000, \"is_visible\": "));
        assert_non_null(strstr(line, "\"surfaces_px\": ["));
        assert_string_equal(end - 2, "]}");
    }
    assert_int_equal(n_lines, 3);
    sono_free(lines);
    make_set("set");
    assert_false(exists("set/frames.jsonl"));
    sono_test_write_file("set/frames.jsonl", "mine", 4);
    command_expect(1, "set/frames.jsonl was not made by `sonoseg phantom`", EVENTS);
    expect_same("set/frames.jsonl", (const uint8_t *)"mine", 4);
#undef EVENTS
}

/* in/0.png ... of noise, which takes its time to compress. */
static void make_frames(int n_frames, int32_t side_px)
{
    static uint8_t pixels[LARGE_PX * LARGE_PX];
    uint32_t noise = 1;
    assert_int_equal(mkdir("in", 0777), 0);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)((noise = noise * 1664525u + 1013904223u) >> 24);
    for (int i = 0; i < n_frames; i++) {
        char path[32];
        snprintf(path, sizeof path, "in/%d.png", i);
        assert_ok(sono_png_write(path, pixels, side_px, side_px, 1, NULL), NULL);
    }
}

static int count_lines(const char *path)
{
    if (!exists(path))
        return 0;
    char *bytes = (char *)sono_test_read_file(path, NULL), *rest = NULL;
    int n = 0;
    assert_true(!*bytes || bytes[strlen(bytes) - 1] == '\n');
    for (char *at = strtok_r(bytes, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest), n++) {
        cJSON *line = cJSON_Parse(at);
        if (!line)
            fail_msg("no JSON: %s", at);
        cJSON_Delete(line);
    }
    sono_free(bytes);
    return n;
}

static void pause_ms(long duration_ms)
{
    nanosleep(&(struct timespec){.tv_nsec = duration_ms * 1000000}, NULL);
}

/* Returns when the run has written so many lines. */
static void wait_for(const char *path, int n_lines)
{
    for (int i = 0; i < 6000 && count_lines(path) < n_lines; i++)
        pause_ms(10);
}

static int has_entry(const char *folder)
{
    DIR *stream = opendir(folder);
    int n = 0;
    while (stream && readdir(stream))
        n++;
    if (stream)
        closedir(stream);
    return n > 2;
}

/* Each picture can be read whole. Returns how many there are; *n_parts: half-written ones under hidden names.
 */
static int count_pictures(const char *folder, int *n_parts)
{
    DIR *stream = opendir(folder);
    int n = 0;
    assert_non_null(stream);
    *n_parts = 0;
    for (const struct dirent *entry; (entry = readdir(stream));) {
        char path[PATH_MAX];
        png_image image = {.version = PNG_IMAGE_VERSION};
        static uint8_t pixels[LARGE_PX * LARGE_PX * 3];
        *n_parts += !strncmp(entry->d_name, ".sonoseg-", 9);
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        assert_true(png_image_begin_read_from_file(&image, path));
        assert_true(PNG_IMAGE_SIZE(image) <= sizeof pixels);
        if (!png_image_finish_read(&image, NULL, pixels, 0, NULL))
            fail_msg("%s: %s", path, image.message);
        n++;
    }
    closedir(stream);
    return n;
}

/* The second run into a folder ends at once, and the first goes on; a killed one leaves no lock. */
static void test_two_runs(void **state)
{
    (void)state;
    int n_parts = 0;
    need_checkpoints();
    enter("both");
    make_frames(30, SMALL_PX);
    const pid_t child = command_start(CPU("run", "in", "--output", "out", "--events", "log", "--quiet"));
    wait_for("out/results.jsonl", 1);
    command_expect(
        1, "sonoseg: error: out: another run is writing there: wait for its end, or choose another folder\n",
        CPU("run", "in/1.png", "--output", "out"));
    command_expect(1, "sonoseg: error: log: another run is writing there",
                   CPU("run", "in/1.png", "--output", "other", "--events", "log"));
    assert_false(exists("other"));
    const int n_lines = count_lines("out/results.jsonl");
    assert_in_range(n_lines, 1, 29);
    wait_for("out/results.jsonl", n_lines + 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    command_result result = command_wait(child);
    assert_int_equal(result.status, 128 + SIGKILL);
    command_free(&result);
    command_expect(0, NULL, CPU("run", "in/1.png", "--output", "out", "--quiet"));
    assert_int_equal(count_lines("out/results.jsonl"), 1);
    count_pictures("out/masks", &n_parts);
    assert_int_equal(n_parts, 0);
}

static void test_two_phantoms(void **state)
{
    (void)state;
    int32_t lock = -1;
    enter("twins");
    make_set("set");
    assert_ok(sono_folder_lock("set", &lock, NULL), NULL);
    command_expect(1, "set: another run is writing there", WORDS("phantom", SPEC, "--output", "set"));
    sono_folder_unlock(lock);
    make_set("set");
}

/* Asked to stop, the frame in flight is finished: a mask and a line for each, and the status says what it
 * was. */
static void test_stop(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGHUP};
    int n_parts = 0;
    need_checkpoints();
    enter("stop");
    make_frames(30, SMALL_PX);
    for (int i = 0; i < 2; i++) {
        const char *folder = i ? "hup" : "term";
        char results[32], masks[32];
        snprintf(results, sizeof results, "%s/results.jsonl", folder);
        snprintf(masks, sizeof masks, "%s/masks", folder);
        const pid_t child = command_start(CPU("run", "in", "--output", folder));
        wait_for(results, 1);
        assert_int_equal(kill(child, signals[i]), 0);
        command_result result = command_wait(child);
        assert_int_equal(result.status, 128 + signals[i]);
        const int n = count_lines(results);
        assert_in_range(n, 1, 29);
        assert_int_equal(count_pictures(masks, &n_parts), n);
        assert_int_equal(n_parts, 0);
        assert_non_null(strstr(result.out, "results in"));
        command_free(&result);
    }
}

/* Killed while it writes a picture: none is cut, no line either, and at most one mask has no line yet. The
 * next run takes the remains away. */
static void test_killed(void **state)
{
    (void)state;
    int n_parts = 0, n_none = 0;
    need_checkpoints();
    enter("killed");
    make_frames(3, LARGE_PX);
    const pid_t child = command_start(CPU("run", "in", "--output", "out", "--quiet"));
    for (int i = 0; i < 60000 && !has_entry("out/overlays"); i++)
        pause_ms(1);
    assert_int_equal(kill(child, SIGKILL), 0);
    command_result result = command_wait(child);
    assert_int_equal(result.status, 128 + SIGKILL);
    command_free(&result);
    count_pictures("out/overlays", &n_parts);
    const int n_lines = count_lines("out/results.jsonl"), n_masks = count_pictures("out/masks", &n_none);
    assert_in_range(n_masks - n_lines, 0, 1);
    assert_in_range(n_parts, 0, 1);
    command_expect(0, NULL, CPU("run", "in/0.png", "--output", "out", "--quiet", "--no-overlays"));
    count_pictures("out/overlays", &n_parts);
    assert_int_equal(n_parts, 0);
}

/* A phantom that is stopped has a mask to each image. */
static void test_stopped_phantom(void **state)
{
    (void)state;
    int n_parts = 0;
    enter("stopped_phantom");
    const pid_t child =
        command_start(WORDS("phantom", "phantom:frames=100000,size=32x32", "--output", "set", "--quiet"));
    for (int i = 0; i < 1000 && !exists("set/images/phantom_000003.png"); i++)
        pause_ms(10);
    assert_int_equal(kill(child, SIGTERM), 0);
    command_result result = command_wait(child);
    assert_int_equal(result.status, 128 + SIGTERM);
    command_free(&result);
    const int n_images = count_pictures("set/images", &n_parts);
    assert_int_equal(count_pictures("set/masks", &n_parts), n_images);
    assert_int_equal(n_parts, 0);
}

/* `ulimit -f`: an error with a reason, no signal. */
static void test_file_limit(void **state)
{
    (void)state;
    struct rlimit before;
    need_checkpoints();
    enter("limit");
    make_frames(2, SMALL_PX);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {1024, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const pid_t child = command_start(CPU("run", "in", "--output", "out", "--quiet"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    command_result result = command_wait(child);
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "cannot be written: File too large"));
    command_free(&result);
    int n_parts = 0;
    const int n_lines = count_lines("out/results.jsonl");
    assert_int_equal(count_pictures("out/masks", &n_parts), n_lines);
    assert_int_equal(n_parts, 0);
}

/* A phantom over an older one that cannot write an image: no older image is left with a mask of the new. */
static void test_phantom_file_limit(void **state)
{
    (void)state;
    struct rlimit before;
    int n_parts = 0;
    enter("phantom_limit");
    make_set("set");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {1024, before.rlim_max}; /* enough for a mask */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const pid_t child = command_start(WORDS("phantom", "phantom:seed=9,size=96x128", "--output", "set"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    command_result result = command_wait(child);
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "images/phantom_000000.png: cannot be written: File too large"));
    command_free(&result);
    assert_false(exists("set/images/phantom_000000.png") || exists("set/masks/phantom_000000.png"));
    assert_int_equal(count_pictures("set/images", &n_parts), 2);
    assert_int_equal(count_pictures("set/masks", &n_parts), 2);
}

/* The names in a line of JSON, back as they were, and the mask that it names. */
static void test_names(void **state)
{
    (void)state;
    need_checkpoints();
    enter("names");
    make_frames(2, SMALL_PX);
    assert_int_equal(rename("in/0.png", "in/k\xe4.png") || rename("in/1.png", "in/k\xf6.png"), 0);
    command_expect(0, NULL, CPU("run", "in", "--output", "out", "--quiet", "--no-overlays"));
    assert_int_equal(count_lines("out/results.jsonl"), 2);
    char *bytes = (char *)sono_test_read_file("out/results.jsonl", NULL);
    assert_int_equal(strncmp(bytes, "{\"schema\": 1, ", 14), 0);
    assert_true(strstr(bytes, "\"stem\": \"k%E4\"") && strstr(bytes, "\"stem\": \"k%F6\""));
    sono_free(bytes);
    assert_true(exists("out/masks/k%E4.png") && exists("out/masks/k%F6.png"));
    make_set("set");
    assert_int_equal(rename("set/images/phantom_000000.png", "set/images/\xff\".png"), 0);
    command_expect(0, NULL, CPU("evaluate", "set", "--output", "out", "--quiet", "--json", "out/a.json"));
    bytes = (char *)sono_test_read_file("out/frames.jsonl", NULL);
    assert_non_null(strstr(bytes, "\"source\": \"%FF\\\".png\""));
    sono_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_over_inputs),
        cmocka_unit_test(test_other_writers),
        cmocka_unit_test(test_phantom_over_others),
        cmocka_unit_test(test_phantom_lines),
        cmocka_unit_test(test_two_runs),
        cmocka_unit_test(test_two_phantoms),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_stopped_phantom),
        cmocka_unit_test(test_file_limit),
        cmocka_unit_test(test_phantom_file_limit),
        cmocka_unit_test(test_names),
    };
    signal(SIGHUP, SIG_DFL); /* also below nohup */
    return sono_test_run("cli/outputs", tests, sizeof tests / sizeof tests[0]);
}
