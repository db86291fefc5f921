// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#include "test.h"

#include "base/alloc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_WORDS 64

static const char *program(void)
{
    const char *path = getenv("SONO_COMMAND");
    if (!path || !*path)
        sono_test_skip("no command (SONO_COMMAND)");
    return path;
}

static void exec_child(const char *path, const char *const *words, const char *out_path, int err_descriptor)
{
    char *argv[MAX_WORDS];
    int n = 0;
    argv[n++] = strdup(path);
    while (*words && n < MAX_WORDS - 1)
        argv[n++] = strdup(*words++);
    argv[n] = NULL;
    unsetenv("SONO_DETECTOR");
    unsetenv("SONO_SEGMENTER");
    const int out_descriptor = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(out_descriptor, STDOUT_FILENO);
    dup2(err_descriptor, STDERR_FILENO);
    close(out_descriptor);
    close(err_descriptor);
    execv(path, argv);
    _exit(126);
}

static pid_t start(const char *const *words, int err_descriptor)
{
    const char *path = program();
    char out_path[SONO_TEST_PATH_BYTES];
    sono_test_path(out_path, sizeof out_path, "command.out");
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        exec_child(path, words, out_path, err_descriptor);
    return child;
}

static int wait_status(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *read_caught(const char *name)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, name);
    return (char *)sono_test_read_file(path, NULL);
}

pid_t command_start(const char *const *words)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "command.err");
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(descriptor >= 0);
    const pid_t child = start(words, descriptor);
    close(descriptor);
    return child;
}

command_result command_wait(pid_t child)
{
    const int status = wait_status(child);
    return (command_result){status, read_caught("command.out"), read_caught("command.err")};
}

command_result command_run(const char *const *words)
{
    return command_wait(command_start(words));
}

command_result command_run_on_terminal(const char *const *words)
{
    char bytes[4096], path[SONO_TEST_PATH_BYTES];
    const int host = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(host >= 0 && !grantpt(host) && !unlockpt(host));
    const int terminal = open(ptsname(host), O_RDWR | O_NOCTTY);
    const struct winsize size = {.ws_row = 30, .ws_col = 100};
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &size), 0);
    const pid_t child = start(words, terminal);
    close(terminal);
    sono_test_path(path, sizeof path, "command.err");
    FILE *caught = fopen(path, "wb");
    assert_non_null(caught);
    for (ssize_t n; (n = read(host, bytes, sizeof bytes)) > 0;)
        fwrite(bytes, 1, (size_t)n, caught);
    fclose(caught);
    close(host);
    return command_wait(child);
}

void command_free(command_result *result)
{
    sono_free(result->out);
    sono_free(result->err);
    *result = (command_result){0};
}

void command_expect(int status, const char *text, const char *const *words)
{
    command_result result = command_run(words);
    if (result.status != status || (text ? !strstr(result.err, text) : *result.err))
        fail_msg("exit status %d (expected %d), stderr '%s' (expected '%s')", result.status, status,
                 result.err, text ? text : "");
    command_free(&result);
}
