// SPDX-License-Identifier: Apache-2.0
// labels: threads
/*
 * Frames through an archive's threads and pipelines that compute nothing: whatever the number of workers,
 * pipelines and frames a batch, and whatever fails in mid-run, the folder holds the same bytes, each frame
 * once, in the order of the inputs.
 */
#include "archive.h"
#include "commands.h"
#include "image_writer.h"
#include "null_engine.h"
#include "resume.h"
#include "shard.h"
#include "test.h"

#include "base/alloc.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <fcntl.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIDE       NULL_ENGINE_SIDE_PX
#define N_IMAGES   60
#define N_SEQUENCE 7 /* frames of the recording between them */
#define N_FRAMES   (N_IMAGES + N_SEQUENCE)
#define N_PATHS    (N_IMAGES + 3)
#define BROKEN_AT  20 /* paths: a file cut short, one that is not there, a recording */
#define GONE_AT    21
#define MOVING_AT  22

static char paths[N_PATHS][SONO_TEST_PATH_BYTES];
static const char *inputs[N_PATHS];

static uint8_t value_of(int i)
{
    return (uint8_t)(20 + i * 37 % 200);
}

static int value_of_frame(int id)
{
    return id < MOVING_AT                ? value_of(id)
           : id < MOVING_AT + N_SEQUENCE ? value_of(100 + id - MOVING_AT)
                                         : value_of(id - N_SEQUENCE + 1);
}

static int is_lost(int id)
{
    return (float)value_of_frame(id) / 255.0f < 0.30f;
}

static void write_image(const char *path, uint8_t value, int is_broken)
{
    uint8_t pixels[SIDE * SIDE];
    memset(pixels, value, sizeof pixels);
    const test_picture picture = {SIDE, SIDE, 1, 8, pixels};
    test_file file = test_png(&picture, PNG_COLOR_TYPE_GRAY, 0);
    sono_test_write_file(path, file.bytes, is_broken ? file.n_bytes / 2 : file.n_bytes);
    free(file.bytes);
}

static void write_recording(const char *path)
{
    static char bytes[512 + N_SEQUENCE * SIDE * SIDE];
    int n = snprintf(bytes, 512,
                     "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
                     "CompressedData = False\nElementSpacing = 0.5 0.5 1\nDimSize = %d %d %d\n"
                     "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n",
                     SIDE, SIDE, N_SEQUENCE);
    for (int i = 0; i < N_SEQUENCE; i++, n += SIDE * SIDE)
        memset(bytes + n, value_of(100 + i), (size_t)SIDE * SIDE);
    sono_test_write_file(path, bytes, (size_t)n);
}

static int make_inputs(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES];
    sono_test_path(folder, sizeof folder, "in");
    mkdir(folder, 0777);
    for (int i = 0; i < N_PATHS; i++) {
        /* Two of the same name in folders of their own. */
        char name[64];
        snprintf(name, sizeof name,
                 i == 40          ? "in/other/f_39.png"
                 : i == MOVING_AT ? "in/m.mha"
                                  : "in/f_%d.png",
                 i);
        sono_test_path(paths[i], sizeof paths[i], name);
        inputs[i] = paths[i];
    }
    sono_test_path(folder, sizeof folder, "in/other");
    mkdir(folder, 0777);
    for (int i = 0; i < N_PATHS; i++)
        if (i == MOVING_AT)
            write_recording(paths[i]);
        else if (i != GONE_AT)
            write_image(paths[i], value_of(i), i == BROKEN_AT);
    return 0;
}

typedef struct setup {
    int n_workers, n_pipelines, batch, frame_us;
    int break_first_after, break_all_after; /* batches; 0 = never */
    archive_overlays overlays;
    int is_resumed;
    int is_whole; /* read by one source */
    shard part;
} setup;

typedef struct outcome {
    int status;
    int64_t n_frames, n_failed, n_kept;
    int n_left_out, n_again, has_stopped;
} outcome;

typedef struct context {
    resume done;
    shard part;
    int n_left_out, n_again;
} context;

static void note(void *user, const archive_pipeline *which, int32_t n_again)
{
    context *self = user;
    assert_true(which->has_failed);
    self->n_left_out++;
    self->n_again += n_again;
}

static reel_want wants(void *user, uint64_t frame_id, const char *name)
{
    context *self = user;
    if (!shard_has(&self->part, frame_id))
        return REEL_ELSEWHERE;
    return self->done.file >= 0 && resume_check(&self->done, frame_id, name) ? REEL_DONE : REEL_WANTED;
}

static int recall(void *user, uint64_t frame_id, archive_done *out)
{
    return resume_recall(&((context *)user)->done, frame_id, out);
}

static void open_pipelines(archive *self, const setup *wanted)
{
    null_engine_gate(1);
    self->n_pipelines = wanted->n_pipelines;
    for (int i = 0; i < wanted->n_pipelines; i++) {
        const int is_first = i == 0 && wanted->break_first_after;
        null_engine_break(is_first                  ? wanted->break_first_after
                          : wanted->break_all_after ? wanted->break_all_after
                                                    : -1);
        /* Else the others may be done with everything before it has had its turn. */
        null_engine_await(wanted->break_first_after && !is_first);
        self->pipelines[i].pipeline =
            null_engine_open(wanted->batch > 1 ? 3 : 2, wanted->batch, wanted->frame_us, NULL, NULL);
        self->pipelines[i].device = "null";
    }
    null_engine_break(-1);
    null_engine_await(0);
}

static void open_resume(context *shared, archive *self, const char *folder, sono_sink_options *options)
{
    assert_int_equal(resume_open(&shared->done, folder), 0);
    assert_int_equal(resume_cut(&shared->done), 0);
    shared->done.wants_masks = options->write_masks;
    shared->done.wants_rle = options->write_rle;
    shared->done.wants_overlays = self->overlays == OVERLAYS_ALL;
    options->keep_results = 1;
    self->recall = recall;
}

static outcome run(const char *name, const setup *wanted)
{
    char folder[SONO_TEST_PATH_BYTES];
    sono_error error;
    sono_source *source = NULL;
    sono_source_options options;
    sono_sink_options sink_options;
    context shared = {.done = {.file = -1}, .part = wanted->part};
    archive self = {.batch = wanted->batch,
                    .n_workers = wanted->n_workers,
                    .overlays = wanted->overlays,
                    .is_quiet = 1,
                    .user = &shared,
                    .on_left_out = note};
    sono_test_path(folder, sizeof folder, name);
    sono_source_options_init(&options);
    sono_sink_options_init(&sink_options);
    sink_options.without_times = 1;
    if (wanted->is_resumed)
        open_resume(&shared, &self, folder, &sink_options);
    assert_ok(sono_source_open_files(inputs, N_PATHS, &options, &source, &error), &error);
    assert_ok(sono_sink_open_folder(folder, &sink_options, &self.sink, &error), &error);
    self.reel.source = source;
    self.reel.options = &options;
    self.reel.is_whole = wanted->is_whole;
    if (wanted->is_resumed || wanted->part.n) {
        self.reel.wants = wants;
        self.reel.user = &shared;
    }
    open_pipelines(&self, wanted);
    outcome result = {.status = archive_run(&self)};
    result.n_frames = self.n_frames;
    result.n_failed = self.n_failed;
    result.n_kept = self.n_kept;
    result.has_stopped = self.has_stopped;
    result.n_left_out = shared.n_left_out;
    result.n_again = shared.n_again;
    for (int i = 0; i < self.n_pipelines; i++)
        sono_pipeline_close(self.pipelines[i].pipeline);
    if (wanted->is_resumed)
        assert_int_equal(resume_sort(folder), 0);
    if (wanted->part.n)
        assert_int_equal(shard_write(&wanted->part, folder, archive_count(&self), self.n_failed), 0);
    assert_ok(sono_sink_close(self.sink, &error), &error);
    sono_source_close(source);
    resume_close(&shared.done);
    archive_free(&self);
    return result;
}

/* The files of a folder are those of the other, byte for byte; how many there are. */
static int expect_same(const char *left, const char *right, const char *part)
{
    char folder[SONO_TEST_PATH_BYTES], path[3 * SONO_TEST_PATH_BYTES], name[SONO_TEST_PATH_BYTES];
    int n = 0;
    snprintf(name, sizeof name, "%s/%s", left, part);
    sono_test_path(folder, sizeof folder, name);
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        struct stat facts;
        size_t n_left, n_right;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &facts) || !S_ISREG(facts.st_mode))
            continue;
        uint8_t *a = sono_test_read_file(path, &n_left);
        snprintf(name, sizeof name, "%s/%s", right, part);
        char other[SONO_TEST_PATH_BYTES];
        sono_test_path(other, sizeof other, name);
        snprintf(path, sizeof path, "%s/%s", other, entry->d_name);
        uint8_t *b = sono_test_read_file(path, &n_right);
        assert_int_equal(n_left, n_right);
        assert_memory_equal(a, b, n_left);
        sono_free(a);
        sono_free(b);
        n++;
    }
    closedir(stream);
    return n;
}

static int count_files(const char *relative)
{
    char folder[SONO_TEST_PATH_BYTES];
    int n = 0;
    sono_test_path(folder, sizeof folder, relative);
    DIR *stream = opendir(folder);
    for (const struct dirent *entry; stream && (entry = readdir(stream));)
        n += entry->d_name[0] != '.';
    if (stream)
        closedir(stream);
    return n;
}

static void expect_all(const char *name)
{
    assert_int_equal(expect_same("one", name, "."), 1);
    assert_int_equal(expect_same("one", name, "masks"), N_FRAMES);
    assert_int_equal(expect_same("one", name, "overlays"), N_FRAMES);
    assert_int_equal(count_files("one/masks"), N_FRAMES);
    char masks[64];
    snprintf(masks, sizeof masks, "%s/masks", name);
    assert_int_equal(count_files(masks), N_FRAMES);
}

/* Results, frame by frame: the numbers of the inputs, without those of the two that failed. */
static void expect_lines(const char *name)
{
    char relative[64], path[SONO_TEST_PATH_BYTES], *rest = NULL;
    snprintf(relative, sizeof relative, "%s/results.jsonl", name);
    sono_test_path(path, sizeof path, relative);
    char *text = (char *)sono_test_read_file(path, NULL);
    char *line = strtok_r(text, "\n", &rest);
    for (int id = 0; id < N_FRAMES + 2; id++) {
        if (id == BROKEN_AT || id == GONE_AT)
            continue;
        assert_non_null(line);
        cJSON *json = cJSON_Parse(line);
        assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "frame_id")), id);
        assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "mask_area_px")),
                         is_lost(id) ? 0 : value_of_frame(id));
        if (id == 40 + N_SEQUENCE - 1)
            assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "stem")),
                                "f_39_2");
        cJSON_Delete(json);
        line = strtok_r(NULL, "\n", &rest);
    }
    assert_null(line);
    sono_free(text);
}

static void test_same_bytes(void **state)
{
    (void)state;
    static const setup one = {.n_workers = 1, .n_pipelines = 1, .batch = 1};
    static const setup others[] = {
        {.n_workers = 4, .n_pipelines = 1, .batch = 1, .frame_us = 200},
        {.n_workers = 2, .n_pipelines = 1, .batch = 8, .frame_us = 100},
        {.n_workers = 8, .n_pipelines = 3, .batch = 4, .frame_us = 500},
        {.n_workers = 3, .n_pipelines = 2, .batch = 1, .frame_us = 300},
        {.n_workers = 3, .n_pipelines = 2, .batch = 32, .frame_us = 300, .is_whole = 1},
    };
    outcome result = run("one", &one);
    assert_int_equal(result.status, STATUS_FAILED); /* two inputs could not be read */
    assert_int_equal(result.n_frames, N_FRAMES);
    assert_int_equal(result.n_failed, 2);
    expect_lines("one");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "other%zu", i);
        result = run(name, &others[i]);
        assert_int_equal(result.n_frames, N_FRAMES);
        assert_int_equal(result.n_failed, 2);
        expect_all(name);
    }
}

/* One of two or three fails in mid-run: its frames are done again, and each is there once. */
static void test_a_pipeline_fails(void **state)
{
    (void)state;
    static const setup cases[] = {
        {.n_workers = 2, .n_pipelines = 2, .batch = 4, .frame_us = 400, .break_first_after = 2},
        {.n_workers = 4, .n_pipelines = 3, .batch = 1, .frame_us = 300, .break_first_after = 5},
        {.n_workers = 2, .n_pipelines = 2, .batch = 16, .frame_us = 200, .break_first_after = 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "broken%zu", i);
        const outcome result = run(name, &cases[i]);
        assert_int_equal(result.n_left_out, 1);
        assert_in_range(result.n_again, 1, 2 * cases[i].batch);
        assert_false(result.has_stopped);
        assert_int_equal(result.n_frames, N_FRAMES);
        assert_int_equal(result.n_failed, 2);
        expect_all(name);
    }
}

/* With the last one the run ends: what is there is the beginning, and whole. */
static void test_all_fail(void **state)
{
    (void)state;
    static const setup cases[] = {
        {.n_workers = 2, .n_pipelines = 1, .batch = 1, .break_all_after = 5},
        {.n_workers = 3, .n_pipelines = 2, .batch = 4, .frame_us = 200, .break_all_after = 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32], masks[64];
        snprintf(name, sizeof name, "ended%zu", i);
        snprintf(masks, sizeof masks, "%s/masks", name);
        const outcome result = run(name, &cases[i]);
        assert_int_equal(result.status, STATUS_FAILED);
        assert_true(result.has_stopped);
        assert_in_range(result.n_frames, 5, 16);
        assert_int_equal(count_files(masks), result.n_frames);
        assert_int_equal(result.n_failed, 1);
    }
}

/* A picture that cannot be written ends the run there; nothing behind it stays. */
static void test_a_picture_fails(void **state)
{
    (void)state;
    static const setup wanted = {.n_workers = 4, .n_pipelines = 2, .batch = 2, .frame_us = 100};
    char path[SONO_TEST_PATH_BYTES];
    static const char *const folders[] = {"full", "full/overlays", "full/overlays/f_12.png",
                                          "full/overlays/f_12.png/in_the_way"};
    for (int i = 0; i < 4; i++) {
        sono_test_path(path, sizeof path, folders[i]);
        assert_int_equal(mkdir(path, 0777), 0);
    }
    const outcome result = run("full", &wanted);
    assert_int_equal(result.status, STATUS_FAILED);
    assert_true(result.has_stopped);
    assert_int_equal(result.n_frames, 12);
    assert_int_equal(result.n_failed, 1);
    assert_int_equal(count_files("full/masks"), 12);
    assert_int_equal(count_files("full/overlays"), 13);
}

static void damage(const char *relative)
{
    char path[SONO_TEST_PATH_BYTES];
    size_t n_bytes;
    sono_test_path(path, sizeof path, relative);
    uint8_t *bytes = sono_test_read_file(path, &n_bytes);
    bytes[n_bytes / 2] ^= 1;
    sono_test_write_file(path, bytes, n_bytes);
    sono_free(bytes);
}

/* What a killed run leaves, and worse: a line cut short, pictures gone, damaged and too many. */
static void test_resume(void **state)
{
    (void)state;
    static const setup first = {.n_workers = 3, .n_pipelines = 2, .batch = 2, .frame_us = 100};
    static const setup again = {
        .n_workers = 4, .n_pipelines = 2, .batch = 4, .frame_us = 100, .is_resumed = 1};
    char path[SONO_TEST_PATH_BYTES];
    run("resumed", &first);
    sono_test_path(path, sizeof path, "resumed/results.jsonl");
    size_t n_bytes;
    sono_free(sono_test_read_file(path, &n_bytes));
    assert_int_equal(truncate(path, (off_t)(n_bytes * 2 / 3)), 0);
    sono_test_path(path, sizeof path, "resumed/masks/f_7.png");
    assert_int_equal(unlink(path), 0);
    damage("resumed/overlays/f_11.png");
    damage("resumed/masks/m_f0003.png");
    outcome result = run("resumed", &again);
    assert_int_equal(result.n_kept + result.n_frames, N_FRAMES);
    assert_in_range(result.n_frames, N_FRAMES / 3, N_FRAMES / 3 + 5);
    expect_all("resumed");
    result = run("resumed", &again);
    assert_int_equal(result.n_kept, N_FRAMES);
    assert_int_equal(result.n_frames, 0);
    expect_all("resumed");
    expect_lines("resumed");
}

/* A folder with nothing in it is begun. */
static void test_resume_of_nothing(void **state)
{
    (void)state;
    static const setup wanted = {.n_workers = 2, .n_pipelines = 1, .batch = 1, .is_resumed = 1};
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "begun");
    mkdir(path, 0777);
    assert_int_equal(run("begun", &wanted).n_frames, N_FRAMES);
    expect_all("begun");
}

static int merge(const char *const *folders, int n, const char *output)
{
    static char texts[8][SONO_TEST_PATH_BYTES];
    static char command[] = "merge", option[] = "--output";
    char *words[12] = {command};
    int n_words = 1;
    for (int i = 0; i < n; i++) {
        sono_test_path(texts[i], sizeof texts[i], folders[i]);
        words[n_words++] = texts[i];
    }
    sono_test_path(texts[n], sizeof texts[n], output);
    words[n_words++] = option;
    words[n_words++] = texts[n];
    return cmd_merge(n_words, words);
}

/* Three parts make what one run makes; of fewer, or others, nothing is made. */
static void test_shards(void **state)
{
    (void)state;
    static const char *const folders[] = {"part1", "part2", "part3", "part1"};
    int64_t n_frames = 0, n_failed = 0;
    for (int32_t i = 1; i <= 3; i++) {
        const setup wanted = {.n_workers = 2, .n_pipelines = 1, .batch = 2, .part = {i, 3}};
        const outcome result = run(folders[i - 1], &wanted);
        assert_in_range(result.n_frames, N_FRAMES / 3 - 1, N_FRAMES / 3 + 1);
        n_frames += result.n_frames;
        n_failed += result.n_failed;
    }
    assert_int_equal(n_frames, N_FRAMES);
    assert_int_equal(n_failed, 2);
    assert_int_equal(merge(folders, 2, "merged"), STATUS_FAILED);
    assert_int_equal(merge(folders, 4, "merged"), STATUS_FAILED);
    assert_int_equal(count_files("merged"), 0);
    assert_int_equal(merge(folders, 3, "merged"), STATUS_DONE);
    expect_all("merged");
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "part2/results.jsonl");
    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(merge(folders, 3, "short"), STATUS_FAILED);
}

static void test_shard_words(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",     "1",  "0/2", "3/2",   "1/0", "a/2",
                                        "1/2x", "1/", "/2",  "1/2/3", "-1/2"};
    shard part = {0};
    assert_int_equal(shard_take(&part, "2/16"), 0);
    assert_true(part.number == 2 && part.n == 16);
    assert_true(shard_has(&part, 1) && shard_has(&part, 17) && !shard_has(&part, 2));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(shard_take(&part, wrong[i]), -1);
}

/* Frames whose score is below 0.30 are LOST: an overlay wherever that changes. */
static void test_changed(void **state)
{
    (void)state;
    static const setup wanted = {
        .n_workers = 4, .n_pipelines = 2, .batch = 2, .frame_us = 100, .overlays = OVERLAYS_CHANGED};
    int n_wanted = 0, was = -1;
    for (int id = 0; id < N_FRAMES + 2; id++) {
        if (id == BROKEN_AT || id == GONE_AT)
            continue;
        n_wanted += is_lost(id) != was;
        was = is_lost(id);
    }
    assert_int_equal(run("changed", &wanted).n_frames, N_FRAMES);
    assert_in_range(n_wanted, 3, N_FRAMES / 2);
    assert_int_equal(expect_same("changed", "one", "overlays"), n_wanted);
    assert_int_equal(expect_same("one", "changed", "masks"), N_FRAMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),  cmocka_unit_test(test_a_pipeline_fails),
        cmocka_unit_test(test_all_fail),    cmocka_unit_test(test_a_picture_fails),
        cmocka_unit_test(test_resume),      cmocka_unit_test(test_resume_of_nothing),
        cmocka_unit_test(test_changed),     cmocka_unit_test(test_shards),
        cmocka_unit_test(test_shard_words),
    };
    return sono_test_run_with("tools/archive", tests, sizeof tests / sizeof tests[0], make_inputs, NULL);
}
