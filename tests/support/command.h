// SPDX-License-Identifier: Apache-2.0
/* Runs the built command ($SONO_COMMAND) and catches what it says. Each helper skips the test without it. */
#ifndef SONO_TESTS_SUPPORT_COMMAND_H
#define SONO_TESTS_SUPPORT_COMMAND_H

#include <sys/types.h>

typedef struct command_result {
    int status; /* exit status; 128 + the signal that ended it */
    char *out;  /* standard output */
    char *err;  /* standard error, or what the terminal got */
} command_result;

/* words: the arguments, NULL at the end. SONO_DETECTOR and SONO_SEGMENTER are not passed on. */
command_result command_run(const char *const *words);

/* The same with standard error on a terminal of 100 columns. */
command_result command_run_on_terminal(const char *const *words);

/* Starts it and returns at once; then command_wait(). */
pid_t command_start(const char *const *words);
command_result command_wait(pid_t child);

void command_free(command_result *result);

/* Runs it and checks the exit status and that `text` stands in standard error (NULL = nothing may stand
 * there). */
void command_expect(int status, const char *text, const char *const *words);

#endif
