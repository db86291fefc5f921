// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* Lines of the log as text and as JSON (live/serve/log.h), and the thread that writes them (lines.h). */
#include "serve/log.h"
#include "serve/snapshot_file.h"
#include "base/alloc.h"
#include "test.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

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

/* ---- levels, rotation, the snapshot's file ---- */

static void levels_choose_lines(void **state)
{
    static const struct {
        const char *event, *text;
        sono_serve_area area;
        sono_serve_level level;
    } cases[] = {
        {"drop", "frame=1 reason=age", SONO_SERVE_AREA_FRAMES, SONO_SERVE_LEVEL_INFO},
        {"engine_failed", "status=IO", SONO_SERVE_AREA_ENGINE, SONO_SERVE_LEVEL_ERROR},
        {"web_refused", "", SONO_SERVE_AREA_WEB, SONO_SERVE_LEVEL_WARNING},
        {"state", "fault=OK text=\"VISIBLE\"", SONO_SERVE_AREA_SERVICE, SONO_SERVE_LEVEL_INFO},
        {"state", "fault=NO_SOURCE text=\"x\"", SONO_SERVE_AREA_SERVICE, SONO_SERVE_LEVEL_WARNING},
        {"whatever", "", SONO_SERVE_AREA_SERVICE, SONO_SERVE_LEVEL_INFO},
    };
    sono_serve_levels levels;
    sono_serve_area area;
    sono_serve_level level;
    char why[256];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        sono_serve_level_of(cases[i].event, cases[i].text, &area, &level);
        assert_int_equal(area, cases[i].area);
        assert_int_equal(level, cases[i].level);
    }
    assert_int_equal(sono_serve_levels_parse("warning,frames=error,web=info", &levels, why, sizeof why), 0);
    assert_int_equal(levels.of[SONO_SERVE_AREA_SOURCE], SONO_SERVE_LEVEL_WARNING);
    assert_int_equal(levels.of[SONO_SERVE_AREA_FRAMES], SONO_SERVE_LEVEL_ERROR);
    assert_int_equal(levels.of[SONO_SERVE_AREA_WEB], SONO_SERVE_LEVEL_INFO);
    assert_int_equal(sono_serve_levels_parse("web=error", &levels, why, sizeof why), 0);
    assert_int_equal(levels.of[SONO_SERVE_AREA_SINK], SONO_SERVE_LEVEL_INFO);
    for (const char *const *bad =
             (const char *const[]){"", "debug", "info,warning", "info,wab=error", "web=", NULL};
         *bad; ++bad) {
        assert_int_equal(sono_serve_levels_parse(*bad, &levels, why, sizeof why), -1);
        assert_non_null(strstr(why, "areas are"));
    }
}

static void the_error_log_has_what_is_bad(void **state)
{
    char path[SONO_TEST_PATH_BYTES], errors[SONO_TEST_PATH_BYTES];
    sono_serve_log log = {.lines = NULL};
    sono_error error;
    (void)state;
    sono_test_path(path, sizeof path, "chosen.log");
    sono_test_path(errors, sizeof errors, "errors.log");
    assert_ok(sono_serve_log_open(&log, path, 0, &error), &error);
    assert_ok(sono_serve_lines_open(errors, NULL, &log.errors, &error), &error);
    log.has_levels = 1;
    assert_int_equal(sono_serve_levels_parse("info,frames=error", &log.levels, error.text, sizeof error.text),
                     0);
    sono_serve_log_put(&log, "drop", "frame=1");
    sono_serve_log_put(&log, "source_up", "");
    sono_serve_log_put(&log, "engine_loss", "frame=2");
    sono_serve_lines_close(log.errors);
    sono_serve_log_close(&log);
    uint8_t *all = sono_test_read_file(path, NULL), *bad = sono_test_read_file(errors, NULL);
    assert_null(strstr((const char *)all, "event=drop"));
    assert_non_null(strstr((const char *)all, "event=source_up"));
    assert_non_null(strstr((const char *)all, "event=engine_loss frame=2"));
    assert_null(strstr((const char *)bad, "source_up"));
    assert_non_null(strstr((const char *)bad, "event=engine_loss frame=2"));
    sono_free(all);
    sono_free(bad);
}

/* The text of a compressed file, to be freed. */
static char *unpacked(const char *path)
{
    char *text = calloc(1, 65536);
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    assert_non_null(text);
    assert_true(gzread(file, text, 65535) > 0);
    gzclose(file);
    return text;
}

/* Every line is in one file, in order; full files are compressed, and only so many kept. */
static void full_files_are_put_aside(void **state)
{
    const sono_serve_rotation rotation = {.max_bytes = 1000, .n_kept = 3};
    char path[SONO_TEST_PATH_BYTES], aside[SONO_TEST_PATH_BYTES + 16], line[200];
    sono_serve_lines *lines;
    sono_error error;
    struct stat facts;
    int next = 0;
    (void)state;
    sono_test_path(path, sizeof path, "turning.log");
    assert_ok(sono_serve_lines_open(path, "head", &lines, &error), &error);
    sono_serve_lines_rotate(lines, &rotation);
    for (int i = 0; i < 60; ++i) {
        snprintf(line, sizeof line, "line %03d %0*d", i, 120, 0);
        sono_serve_lines_put(lines, line);
        usleep(i % 10 == 9 ? 150000 : 0); /* what comes at once is written at once */
    }
    sono_serve_lines_close(lines);
    snprintf(aside, sizeof aside, "%s.4.gz", path);
    assert_int_not_equal(stat(aside, &facts), 0);
    for (int number = 3; number >= 0; --number) {
        snprintf(aside, sizeof aside, number ? "%s.%d.gz" : "%s", path, number);
        char *text = number ? unpacked(aside) : (char *)sono_test_read_file(path, NULL);
        assert_int_equal(strncmp(text, "head\nline ", 10), 0);
        for (char *at = text + 5; *at; at = strchr(at, '\n') + 1) {
            const int i = (int)strtol(at + 5, NULL, 10);
            assert_true(next == 0 || i == next);
            next = i + 1;
        }
        if (number) {
            free(text);
        } else {
            sono_free(text);
        }
    }
    assert_int_equal(next, 60);
}

static void when_a_file_has_its_time(void **state)
{
    const sono_serve_rotation by_both = {.max_bytes = 100, .max_age_s = 60, .n_kept = 1};
    const sono_serve_rotation never = {.n_kept = 1}, off = {.max_bytes = 1};
    (void)state;
    assert_false(sono_serve_rotate_is_due(&by_both, 99, 1000, 1059));
    assert_true(sono_serve_rotate_is_due(&by_both, 100, 1000, 1000));
    assert_true(sono_serve_rotate_is_due(&by_both, 1, 1000, 1060));
    assert_false(sono_serve_rotate_is_due(&by_both, 0, 0, 1060));
    assert_false(sono_serve_rotate_is_due(&never, 1 << 30, 0, 1 << 30));
    assert_false(sono_serve_rotate_is_due(&off, 1 << 30, 0, 1 << 30));
}

/* Whoever reads it while it is written a thousand times sees a whole one. */
static void the_snapshot_file_is_always_whole(void **state)
{
    char path[SONO_TEST_PATH_BYTES], text[4000];
    sono_serve_snapshot_file *file;
    sono_error error;
    (void)state;
    sono_test_path(path, sizeof path, "kpi_snapshot.json");
    assert_ok(sono_serve_snapshot_file_open(path, &file, &error), &error);
    for (int i = 0; i < 1000; ++i) {
        memset(text, 'a' + i % 26, sizeof text);
        sono_serve_snapshot_file_put(file, text, sizeof text);
        if (access(path, F_OK) == 0) {
            size_t n_bytes;
            char *seen = (char *)sono_test_read_file(path, &n_bytes);
            assert_int_equal(n_bytes, sizeof text + 1);
            assert_int_equal(strspn(seen, (char[]){seen[0], 0}), sizeof text);
            assert_int_equal(seen[sizeof text], '\n');
            sono_free(seen);
        }
    }
    sono_serve_snapshot_file_close(file);
    char *last = (char *)sono_test_read_file(path, NULL);
    assert_int_equal(last[0], 'a' + 999 % 26);
    sono_free(last);
    assert_ok(sono_serve_snapshot_file_open("/nowhere/at/all", &file, &error), &error);
    sono_serve_snapshot_file_put(file, "x", 1);
    while (!sono_serve_snapshot_file_failures(file)) {
        usleep(1000);
    }
    sono_serve_snapshot_file_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_lines_are_cut),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_no_such_folder),
        cmocka_unit_test(test_a_stuck_reader),
        cmocka_unit_test(levels_choose_lines),
        cmocka_unit_test(the_error_log_has_what_is_bad),
        cmocka_unit_test(full_files_are_put_aside),
        cmocka_unit_test(when_a_file_has_its_time),
        cmocka_unit_test(the_snapshot_file_is_always_whole),
    };
    return sono_test_run("live/log", tests, sizeof(tests) / sizeof(tests[0]));
}
