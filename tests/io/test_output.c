// SPDX-License-Identifier: Apache-2.0
/* Which outputs are refused, given what is read and what is there already. */
#include "test.h"

#include "sonoseg/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[SONO_TEST_PATH_BYTES - 256];

/* A folder of its own for each test; paths below are relative to it. */
static void enter(const char *name)
{
    sono_test_path(root, sizeof root, name);
    assert_int_equal(mkdir(root, 0777), 0);
    assert_int_equal(chdir(root), 0);
}

static void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0777), 0);
}

static void make_file(const char *path, const char *text)
{
    sono_test_write_file(path, text, strlen(text));
}

static void expect(sono_status status, const char *text, const char *input, const char *output,
                   sono_output_kind kind)
{
    sono_error error = {0};
    const sono_output outputs[] = {{output, kind}};
    assert_status(status, sono_output_check(&input, input ? 1 : 0, outputs, 1, &error), &error);
    if (text && !strstr(error.text, text))
        fail_msg("'%s' says nothing of '%s'", error.text, text);
}

#define GOES(input, output, kind) expect(SONO_STATUS_OK, NULL, input, output, SONO_OUTPUT_##kind)
#define REFUSED(text, input, output, kind)                                                                   \
    expect(SONO_STATUS_INVALID_ARGUMENT, text, input, output, SONO_OUTPUT_##kind)

static void test_files(void **state)
{
    (void)state;
    enter("files");
    make_folder("in");
    make_file("in/a.png", "a");
    make_file("in/notes.json", "{}");
    assert_int_equal(link("in/a.png", "hard"), 0);
    assert_int_equal(symlink("in/a.png", "soft"), 0);
    REFUSED("overwrite the input in/a.png", "in/a.png", "in/a.png", FILE);
    REFUSED("hard: ", "in/a.png", "hard", FILE);
    REFUSED("soft: ", "in/a.png", "soft", FILE);
    REFUSED("in/a.png", "in", "./in/../hard", FILE);
    REFUSED("hard", "hard", "in/a.png", FILE);
    REFUSED("is empty", "in", "", FILE);
    GOES("in", "in/notes.json", FILE); /* no image: the folder does not stand for it */
    GOES("in", "in/new.png", FILE);
    GOES("/nonexistent", "in/a.png", FILE);
    GOES("/dev/null", "/dev/null", FILE);
    GOES(NULL, "in/a.png", FILE);
}

static void test_results(void **state)
{
    (void)state;
    enter("results");
    make_folder("in");
    make_file("in/a.png", "a");
    GOES("in", "out", RESULTS);
    GOES("in", "in", RESULTS); /* pictures go into folders below it */
    make_folder("out");
    make_folder("out/masks");
    GOES("in", "out", RESULTS);
    make_file("out/masks/a.png", "a");
    make_file("out/results.jsonl", "{\"schema\": 1, \"frame_id\": 0}\n");
    GOES("in", "out", RESULTS);
    make_file("out/results.jsonl", "{\"frame_id\": 0}\n"); /* before it had a schema */
    GOES("in", "out", RESULTS);
    REFUSED("out/masks/a.png: results in out", "out/masks", "out", RESULTS);
    REFUSED("out/masks/a.png: results in ./out", "out/masks/a.png", "./out", RESULTS);
    assert_int_equal(symlink("out/masks/a.png", "soft.png"), 0);
    REFUSED("soft.png", "soft.png", "out", RESULTS);
    assert_int_equal(symlink("out", "way"), 0);
    REFUSED("out/masks/a.png", "out/masks", "way", RESULTS);
    make_folder("out/overlays");
    assert_int_equal(link("in/a.png", "out/overlays/b.png"), 0);
    REFUSED("in/a.png", "in", "out", RESULTS);
    assert_int_equal(unlink("out/overlays/b.png"), 0);
    assert_int_equal(unlink("out/results.jsonl"), 0);
    assert_int_equal(link("in/a.png", "out/results.jsonl"), 0);
    REFUSED("out/results.jsonl: writing it would overwrite the input in/a.png", "in", "out", RESULTS);
}

static void test_labelled_sets(void **state)
{
    (void)state;
    enter("sets");
    make_folder("set");
    make_folder("set/masks");
    GOES(NULL, "set", RESULTS);
    make_file("set/masks/a.png", "a");
    REFUSED("set/masks/a.png", NULL, "set", RESULTS);
    make_file("set/results.jsonl", "{\"other\": \"program\"}\n");
    REFUSED("choose another folder", NULL, "set", RESULTS);
    make_file("set/results.jsonl", ""); /* of a run that was stopped before its first frame */
    GOES(NULL, "set", RESULTS);
    make_folder("set/images");
    REFUSED("labelled set (set/images)", NULL, "set", RESULTS);
    sono_sink *sink = NULL;
    sono_error error = {0};
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_sink_open_folder("set", NULL, &sink, &error), &error);
    assert_int_not_equal(access("set/overlays", F_OK), 0);
}

static void test_phantom_sets(void **state)
{
    (void)state;
    enter("phantoms");
    GOES(NULL, "set", SET);
    make_folder("set");
    make_folder("set/images");
    make_folder("set/masks");
    make_file("set/images/phantom_000000.png", "a");
    make_file("set/masks/phantom_000000.png", "a");
    GOES(NULL, "set", SET);
    make_file("set/masks/phantom_1b.png", "a");
    REFUSED("set/masks/phantom_1b.png", NULL, "set", SET);
    assert_int_equal(unlink("set/masks/phantom_1b.png"), 0);
    make_file("set/images/patient.png", "a");
    REFUSED("set/images/patient.png", NULL, "set", SET);
    assert_int_equal(unlink("set/images/patient.png"), 0);
    make_file("set/results.jsonl", "");
    REFUSED("set/results.jsonl", NULL, "set", SET);
}

static sono_status check_two(sono_output left, sono_output right, sono_error *error)
{
    return sono_output_check(NULL, 0, (const sono_output[]){left, right}, 2, error);
}

static void test_two_outputs(void **state)
{
    (void)state;
    enter("two");
    sono_error error = {0};
    const sono_output new = {"a.json", SONO_OUTPUT_FILE}, same = {"./a.json", SONO_OUTPUT_FILE};
    const sono_output null = {"/dev/null", SONO_OUTPUT_FILE}, out = {"out", SONO_OUTPUT_RESULTS};
    const sono_output inside = {"out/results.jsonl", SONO_OUTPUT_FILE};
    assert_status(SONO_STATUS_INVALID_ARGUMENT, check_two(new, same, &error), &error);
    assert_non_null(strstr(error.text, "a.json and ./a.json"));
    assert_ok(check_two(null, null, &error), &error);
    assert_ok(check_two(new, null, &error), &error);
    make_folder("out");
    assert_status(SONO_STATUS_INVALID_ARGUMENT, check_two(out, inside, &error), &error);
    make_file("a.json", "");
    assert_int_equal(link("a.json", "b.json"), 0);
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  check_two(new, (sono_output){"b.json", SONO_OUTPUT_FILE}, &error), &error);
}

static void test_in_use(void **state)
{
    (void)state;
    enter("used");
    int32_t lock = -1, second = -1;
    sono_error error = {0};
    make_folder("out");
    make_file("log", "");
    assert_ok(sono_folder_lock("out", &lock, &error), &error);
    expect(SONO_STATUS_STATE, "out: another run is writing there", NULL, "out", SONO_OUTPUT_RESULTS);
    expect(SONO_STATUS_STATE, "another folder", NULL, "out", SONO_OUTPUT_SET);
    assert_status(SONO_STATUS_STATE, sono_folder_lock("out", &second, &error), &error);
    sono_folder_unlock(lock);
    GOES(NULL, "out", RESULTS);
    assert_ok(sono_folder_lock("out", &second, &error), &error);
    sono_folder_unlock(second);
    const int file = open("log", O_WRONLY | O_CLOEXEC);
    assert_int_equal(flock(file, LOCK_EX | LOCK_NB), 0);
    expect(SONO_STATUS_STATE, "another path", NULL, "log", SONO_OUTPUT_FILE);
    close(file);
    GOES(NULL, "log", FILE);
}

static void test_misuse(void **state)
{
    (void)state;
    sono_error error = {0};
    int32_t lock = -1;
    assert_ok(sono_output_check(NULL, 0, NULL, 0, NULL), NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_output_check(NULL, 1, NULL, 0, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_folder_lock("", &lock, &error), &error);
    sono_folder_unlock(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),         cmocka_unit_test(test_results),
        cmocka_unit_test(test_labelled_sets), cmocka_unit_test(test_phantom_sets),
        cmocka_unit_test(test_two_outputs),   cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_misuse),
    };
    return sono_test_run("sink/output", tests, sizeof tests / sizeof tests[0]);
}
