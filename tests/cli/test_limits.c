// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=900 cost=20
/* The command with little address space (ulimit -v): it ends, with all done or with one line that says why.
 * The short form has the segmenter at 256 pixels. */
#include "command.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define LOW_MB    60
#define HIGH_MB   1400
#define STEP_MB   120
#define LIMIT_S   120
#define STATUS_OK 0

/* Kills it and fails the test when it takes longer than LIMIT_S. */
static command_result wait_in_time(pid_t child, int limit_mb)
{
    const struct timespec nap = {.tv_nsec = 10000000};
    for (int i = 0; i < LIMIT_S * 100; i++) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid)
            return command_wait(child);
        nanosleep(&nap, NULL);
    }
    kill(child, SIGKILL);
    command_result result = command_wait(child);
    fail_msg("with %d MB it did not end; stderr: %s", limit_mb, result.err);
    return result;
}

static command_result run_within(int limit_mb, const char *const *words)
{
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)limit_mb * 1000000;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    const pid_t child = command_start(words);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    return wait_in_time(child, limit_mb);
}

/* Runs one frame; returns whether all was done. */
static int runs_within(int limit_mb)
{
    char out[SONO_TEST_PATH_BYTES];
    sono_test_path(out, sizeof out, "out");
    const char *const words[] = {"run",       "phantom:frames=1,size=200x200",
                                 "--output",  out,
                                 "--device",  "cpu",
                                 "--threads", "2",
                                 "--quiet",   sono_test_is_long() ? NULL : "--segmenter-size",
                                 "256",       NULL};
    command_result result = run_within(limit_mb, words);
    const int is_done = result.status == STATUS_OK && !*result.err;
    const char *end = strchr(result.err, '\n');
    const int is_refused = result.status == 1 && strstr(result.err, "sonoseg: error: ") == result.err &&
                           end && !end[1] && (strstr(result.err, "memory") || strstr(result.err, "ulimit"));
    if (!is_done && !is_refused)
        fail_msg("with %d MB: exit status %d, stderr: %s", limit_mb, result.status, result.err);
    print_message("%d MB: %s", limit_mb, is_done ? "done\n" : result.err);
    command_free(&result);
    return is_done;
}

static void test_run_ends(void **state)
{
    (void)state;
    int too_little = LOW_MB, enough = HIGH_MB;
    assert_false(runs_within(LOW_MB));
    assert_true(runs_within(HIGH_MB));
    for (int limit = LOW_MB + STEP_MB; limit < HIGH_MB && enough == HIGH_MB; limit += STEP_MB)
        *(runs_within(limit) ? &enough : &too_little) = limit;
    while (enough - too_little > 1) {
        const int middle = (enough + too_little) / 2;
        *(runs_within(middle) ? &enough : &too_little) = middle;
    }
}

/* What computes nothing needs nothing of it. */
static void test_version_ends(void **state)
{
    (void)state;
    const char *const words[] = {"version", NULL};
    command_result result = run_within(LOW_MB, words);
    assert_int_equal(result.status, STATUS_OK);
    assert_string_equal(result.err, "");
    command_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_version_ends), cmocka_unit_test(test_run_ends)};
    return sono_test_run("cli/limits", tests, sizeof tests / sizeof tests[0]);
}
