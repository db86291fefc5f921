// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* Lines of the log as text and as JSON (live/serve/log.h), and the thread that writes them (lines.h). */
#include "serve/log.h"
#include "base/alloc.h"
#include "test.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char out[4096];

static void test_text(void **state)
{
    (void)state;
    size_t n = sono_serve_log_line(0, 1700000000123456789, "drop", "frame=3 reason=age", out, sizeof out);
    assert_string_equal(out, "ts=1700000000.123456 event=drop frame=3 reason=age");
    assert_int_equal(n, strlen(out));
    sono_serve_log_line(0, 0, "stopped", "", out, sizeof out);
    assert_string_equal(out, "ts=0.000000 event=stopped");
}

static cJSON *as_json(const char *text)
{
    sono_serve_log_line(1, 1500000000, "e", text, out, sizeof out);
    cJSON *root = cJSON_Parse(out);
    if (!root) {
        print_error("%s\n", out);
    }
    assert_non_null(root);
    assert_true(cJSON_GetObjectItem(root, "ts")->valuedouble == 1.5);
    assert_string_equal(cJSON_GetObjectItem(root, "event")->valuestring, "e");
    return root;
}

static void has_text(const char *line, const char *key, const char *value)
{
    cJSON *root = as_json(line);
    const cJSON *item = cJSON_GetObjectItem(root, key);
    assert_true(cJSON_IsString(item));
    assert_string_equal(item->valuestring, value);
    cJSON_Delete(root);
}

static void has_number(const char *line, const char *key, double value)
{
    cJSON *root = as_json(line);
    const cJSON *item = cJSON_GetObjectItem(root, key);
    assert_true(cJSON_IsNumber(item));
    assert_true(item->valuedouble == value);
    cJSON_Delete(root);
}

static void test_json(void **state)
{
    (void)state;
    has_number("frame=3 reason=age", "frame", 3);
    has_number("a=1 b=-2.5", "b", -2.5);
    has_text("frame=3 reason=age", "reason", "age");
    has_text("reason=\"two words\" x=1", "reason", "two words");
    has_number("reason=\"two words\" x=1", "x", 1);
    has_text("d=\"a\"b\"", "d", "a\"b"); /* names of devices are any bytes */
    has_text("d=a\\b", "d", "a\\b");
    has_text("d=\"never ends", "d", "never ends");
    has_text("d=", "d", "");
    has_text("t=007 x=1", "t", "007");
    has_text("t=0x12", "t", "0x12");
    has_text("t=1234567890123456", "t", "1234567890123456"); /* more than a double keeps */
    has_text("t=1.", "t", "1.");
    has_text("t=- x=1", "t", "-");
    has_text("some words", "text", "some words");
    has_text("a=1 some words", "text", "some words");
    has_text("d=\x01\xff", "d", "\x01\xc3\xbf");
}

static void test_lines_are_cut(void **state)
{
    char small[20];
    (void)state;
    memset(small, 'x', sizeof small);
    assert_int_equal(sono_serve_log_line(0, 0, "event", "key=value", small, 10), 9);
    assert_string_equal(small, "ts=0.0000");
    assert_int_equal(small[10], 'x');
}

static void reads(const char *path, const char *expected)
{
    uint8_t *bytes = sono_test_read_file(path, NULL);
    assert_string_equal((char *)bytes, expected);
    sono_free(bytes);
}

static void test_files(void **state)
{
    char path[SONO_TEST_PATH_BYTES], moved[SONO_TEST_PATH_BYTES];
    sono_serve_lines *lines;
    sono_error error;
    struct stat facts;
    (void)state;
    sono_test_path(path, sizeof path, "lines");
    sono_test_path(moved, sizeof moved, "lines.1");
    assert_ok(sono_serve_lines_open(path, "head", &lines, &error), &error);
    sono_serve_lines_put(lines, "one");
    sono_serve_lines_put(lines, "t\two\nthree");
    sono_serve_lines_close(lines);
    reads(path, "head\none\nt_wo_three\n");
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777 & 0137, 0);                      /* nobody else may read it */
    assert_ok(sono_serve_lines_open(path, "head", &lines, &error), &error); /* appends, without a head */
    assert_int_equal(rename(path, moved), 0);
    sono_serve_lines_reopen(lines);
    while (access(path, F_OK)) {
        usleep(1000);
    }
    sono_serve_lines_put(lines, "four");
    sono_serve_lines_close(lines);
    reads(path, "head\nfour\n");
    reads(moved, "head\none\nt_wo_three\n");
}

static void test_no_such_folder(void **state)
{
    sono_serve_lines *lines = NULL;
    sono_error error;
    (void)state;
    assert_status(SONO_STATUS_IO, sono_serve_lines_open("/nowhere/at/all", NULL, &lines, &error), &error);
    assert_non_null(strstr(error.text, "/nowhere/at/all"));
    assert_null(lines);
}

/* A reader that does not read holds up nobody, neither while lines are put nor at the end. */
static void test_a_stuck_reader(void **state)
{
    char path[SONO_TEST_PATH_BYTES], line[1000];
    sono_serve_lines *lines;
    sono_error error;
    (void)state;
    sono_test_path(path, sizeof path, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    assert_ok(sono_serve_lines_open(path, NULL, &lines, &error), &error);
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = 0;
    for (int i = 0; i < 2000; ++i) { /* 2 MB */
        sono_serve_lines_put(lines, line);
    }
    assert_true(sono_serve_lines_dropped(lines) > 1000);
    sono_serve_lines_close(lines);
    char bytes[65536]; /* the thread that was left behind ends, too */
    while (read(fd, bytes, sizeof bytes) != 0) {
        usleep(100);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),           cmocka_unit_test(test_json),
        cmocka_unit_test(test_lines_are_cut),  cmocka_unit_test(test_files),
        cmocka_unit_test(test_no_such_folder), cmocka_unit_test(test_a_stuck_reader),
    };
    return sono_test_run("live/log", tests, sizeof(tests) / sizeof(tests[0]));
}
