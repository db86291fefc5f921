// SPDX-License-Identifier: Apache-2.0
/* kill -9 at random moments while a recording is written: what lies there is read as it lies, by us and by
 * SimpleITK (where build/venv is), and has every frame that was synced. */
#include "recording.h"
#include "test.h"

#include "record/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define W          64
#define H          48
#define BYTES      (W * H)
#define KILLS      20
#define LONGEST_US 60000
#define SYNC_EVERY 7   /* frames: many syncs, so that kills hit each of their steps */
#define SEGMENT    100 /* frames */

#define PATH_BYTES (SONO_TEST_PATH_BYTES + 32)

static char paths[KILLS][SONO_TEST_PATH_BYTES]; /* prefixes */
static int64_t n_read[KILLS][2];                /* frames of the first two segments */

/* Records until it is killed. n_synced: shared with the parent. */
static void record_for_ever(const char *prefix, _Atomic uint64_t *n_synced)
{
    static uint8_t pixels[BYTES];
    sono_record_options options;
    sono_record *record = NULL;
    sono_record_options_init(&options);
    options.prefix = prefix;
    options.max_segment_frames = SEGMENT;
    if (sono_record_open(&options, &record, NULL))
        _exit(1);
    for (uint64_t id = 0;; id++) {
        const sono_record_transform transform = {
            "ImageToReference", {1, 0, 0, (float)id, 0, 1, 0, 0, 0, 0, 1}, 1};
        sono_record_info info;
        recording_fill(pixels, sizeof pixels, id);
        const sono_record_frame frame = {.pixels = pixels,
                                         .width_px = W,
                                         .height_px = H,
                                         .element = SONO_ELEMENT_U8,
                                         .components = 1,
                                         .id = id,
                                         .timestamp_ns = 1700000000000000000 + (int64_t)id * 16666667,
                                         .transforms = &transform,
                                         .n_transforms = 1};
        if (sono_record_frame_add(record, &frame, NULL) ||
            (id % SYNC_EVERY == 0 && sono_record_sync(record, NULL)))
            _exit(2);
        sono_record_query(record, &info);
        atomic_store(n_synced, info.n_synced);
    }
}

static void name_segment(char path[PATH_BYTES], int number, int segment)
{
    assert_true(snprintf(path, PATH_BYTES, "%.*s_%04d.igs.mhd", SONO_TEST_PATH_BYTES, paths[number],
                         segment + 1) < PATH_BYTES);
}

static void kill_one(int number, _Atomic uint64_t *n_synced, unsigned *seed)
{
    int status = 0;
    char folder[SONO_TEST_PATH_BYTES], name[32];
    snprintf(name, sizeof name, "killed%02d", number);
    sono_test_path(folder, sizeof folder, name);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_true(snprintf(paths[number], sizeof paths[number], "%s/rec", folder) < (int)sizeof paths[number]);
    atomic_store(n_synced, 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        record_for_ever(paths[number], n_synced);
    while (!atomic_load(n_synced) && !waitpid(child, &status, WNOHANG))
        nanosleep(&(struct timespec){0, 200000}, NULL);
    *seed = *seed * 1103515245u + 12345u;
    nanosleep(&(struct timespec){0, (long)(*seed / 65536u % LONGEST_US) * 1000}, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));

    int64_t n_all = 0;
    for (int segment = 0;; segment++) {
        char path[PATH_BYTES];
        name_segment(path, number, segment);
        if (access(path, F_OK))
            break;
        const int64_t n = recording_check(path, (uint64_t)n_all);
        assert_true(n > 0);
        if (segment < 2)
            n_read[number][segment] = n;
        n_all += n;
    }
    if (n_all < (int64_t)atomic_load(n_synced))
        fail_msg("%s: %lld frames were synced, %lld are there", paths[number],
                 (long long)atomic_load(n_synced), (long long)n_all);
    print_message("kill %d: %lld frames\n", number + 1, (long long)n_all);
}

static void test_killed(void **state)
{
    (void)state;
    struct timespec now;
    _Atomic uint64_t *n_synced =
        mmap(NULL, sizeof *n_synced, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(n_synced != MAP_FAILED);
    clock_gettime(CLOCK_MONOTONIC, &now);
    unsigned seed = (unsigned)now.tv_nsec;
    print_message("seed %u\n", seed);
    for (int i = 0; i < KILLS; i++)
        kill_one(i, n_synced, &seed);
    munmap((void *)(uintptr_t)n_synced, sizeof *n_synced);
}

/* The recordings of the test before, joined; the rest of a killed one goes with it. */
static void test_joined(void **state)
{
    (void)state;
    for (int i = 0; i < KILLS; i += 4) {
        char path[PATH_BYTES], joined[PATH_BYTES];
        sono_error error = {0};
        if (!n_read[i][0])
            continue;
        name_segment(path, i, 0);
        assert_ok(sono_record_join(path, joined, sizeof joined, &error), &error);
        assert_int_equal(recording_check(joined, 0), n_read[i][0]);
        assert_true(access(path, F_OK) != 0);
    }
}

static uint32_t crc_of(uint64_t first_id, size_t frame_bytes, int64_t n)
{
    static uint8_t pixels[8 * BYTES];
    uint32_t crc = 0;
    for (int64_t i = 0; i < n; i++) {
        recording_fill(pixels, frame_bytes, first_id + (uint64_t)i);
        crc = (uint32_t)crc32(crc, pixels, (unsigned)frame_bytes);
    }
    return crc;
}

static void expect_line(FILE *stream, const char *path, uint64_t first_id, size_t frame_bytes, int64_t n)
{
    long long n_theirs = -1;
    unsigned crc = 0;
    if (fscanf(stream, "%lld %u", &n_theirs, &crc) != 2)
        fail_msg("%s: SimpleITK does not read it", path);
    assert_int_equal(n_theirs, n);
    assert_int_equal(crc, crc_of(first_id, frame_bytes, n));
}

/* Starts SimpleITK on files; skips the test without it. */
static FILE *start_reader(char (*list)[PATH_BYTES], int n_list)
{
    char python[SONO_TEST_PATH_BYTES], script[SONO_TEST_PATH_BYTES];
    static char command[(KILLS * 2 + 2) * PATH_BYTES];
    sono_test_source(script, sizeof script, "tests/support/read_sequences.py");
    const char *root_end = strstr(script, "/tests/support/");
    snprintf(python, sizeof python, "%.*s/build/venv/bin/python", (int)(root_end - script), script);
    if (access(python, X_OK))
        sono_test_skip("no build/venv (scripts/venv.sh makes it)");
    size_t n = (size_t)snprintf(command, sizeof command, "%s %s", python, script);
    for (int i = 0; i < n_list; i++)
        n += (size_t)snprintf(command + n, sizeof command - n, " %s", list[i]);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    return stream;
}

static void test_independent_reader(void **state)
{
    (void)state;
    static char list[KILLS * 2][PATH_BYTES];
    int n_list = 0;
    for (int i = 0; i < KILLS; i++)
        for (int segment = 0; segment < 2 && n_read[i][segment]; segment++) {
            char *path = list[n_list++];
            name_segment(path, i, segment);
            if (access(path, F_OK)) /* joined */
                path[strlen(path) - 1] = 'a';
        }
    FILE *stream = start_reader(list, n_list);
    n_list = 0;
    for (int i = 0; i < KILLS; i++)
        for (int segment = 0; segment < 2 && n_read[i][segment]; segment++)
            expect_line(stream, list[n_list++], (uint64_t)segment * SEGMENT, BYTES, n_read[i][segment]);
    assert_int_equal(pclose(stream), 0);
    assert_true(n_list >= KILLS);
    print_message("%d files read by SimpleITK\n", n_list);
}

/* One frame of each type and number of components, as a pair and as one file. */
static void test_types(void **state)
{
    (void)state;
    static const struct {
        sono_element element;
        int32_t components;
        size_t pixel_bytes;
    } types[] = {{SONO_ELEMENT_U8, 1, 1},  {SONO_ELEMENT_U8, 3, 3},  {SONO_ELEMENT_U8, 4, 4},
                 {SONO_ELEMENT_I8, 1, 1},  {SONO_ELEMENT_U16, 1, 2}, {SONO_ELEMENT_I16, 2, 4},
                 {SONO_ELEMENT_I32, 1, 4}, {SONO_ELEMENT_U32, 1, 4}, {SONO_ELEMENT_F32, 1, 4},
                 {SONO_ELEMENT_F64, 1, 8}};
    enum { N_TYPES = sizeof types / sizeof types[0] };
    static uint8_t pixels[8 * BYTES];
    static char list[2 * N_TYPES][PATH_BYTES];
    static const sono_record_field fields[] = {{"State", "50%41 = a: b\t"}, {"Empty", ""}};
    for (int i = 0; i < 2 * N_TYPES; i++) {
        char prefix[SONO_TEST_PATH_BYTES];
        sono_record_options options;
        sono_record *record = NULL;
        sono_error error = {0};
        snprintf(prefix, sizeof prefix, "%s/type%d", sono_test_folder(), i);
        snprintf(list[i], PATH_BYTES, "%s_0001.igs.mh%c", prefix, i % 2 ? 'a' : 'd');
        sono_record_options_init(&options);
        options.prefix = prefix;
        options.fields = fields;
        options.n_fields = 2;
        assert_ok(sono_record_open(&options, &record, &error), &error);
        recording_fill(pixels, sizeof pixels, (uint64_t)i);
        const sono_record_frame frame = {.pixels = pixels,
                                         .width_px = W,
                                         .height_px = H,
                                         .element = types[i / 2].element,
                                         .components = types[i / 2].components,
                                         .id = (uint64_t)i,
                                         .fields = fields,
                                         .n_fields = 2};
        assert_ok(sono_record_frame_add(record, &frame, &error), &error);
        assert_ok(sono_record_close(record, i % 2, &error), &error);
        assert_int_equal(recording_check(list[i], (uint64_t)i), 1);
    }
    FILE *stream = start_reader(list, 2 * N_TYPES);
    for (int i = 0; i < 2 * N_TYPES; i++)
        expect_line(stream, list[i], (uint64_t)i, BYTES * types[i / 2].pixel_bytes, 1);
    assert_int_equal(pclose(stream), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed), cmocka_unit_test(test_joined),
                                       cmocka_unit_test(test_independent_reader),
                                       cmocka_unit_test(test_types)};
    return sono_test_run("record/killed", tests, sizeof tests / sizeof tests[0]);
}
