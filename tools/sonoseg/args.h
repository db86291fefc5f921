// SPDX-License-Identifier: Apache-2.0
/*
 * Options of a subcommand: one table drives the parser, the help and the "did you mean". Errors go to stderr
 * as "sonoseg: error: ..." lines.
 */
#ifndef SONOSEG_TOOL_ARGS_H
#define SONOSEG_TOOL_ARGS_H

#include <stddef.h>
#include <stdint.h>

enum { ARGS_BARE = 0 }; /* id of a word that is no option */

enum { ARGS_HEADING = -1 }; /* id of a row that is a line of the help: its help; it has no name */

typedef struct args_option {
    const char *name;  /* without the dashes */
    int id;            /* above 0; a letter is the short form too */
    const char *value; /* what the help calls the value ("FILE"); NULL = takes none */
    const char *help;  /* may hold newlines */
} args_option;

typedef struct args_spec {
    const char *command; /* "run" */
    const char *usage;   /* behind "usage: sonoseg " */
    const char *intro;   /* one paragraph */
    const args_option *options;
    size_t n_options;
    const char *examples; /* shown last */
    /* Takes one option or bare word; returns 0, or -1 after report_error(). */
    int (*take)(void *user, int id, const char *value);
} args_spec;

typedef enum args_result { ARGS_GO, ARGS_HELP_SHOWN, ARGS_WRONG } args_result;

/* Parses argv[1..]; words and options may be mixed and reach take() in their order. --help is built in. */
args_result args_parse(const args_spec *spec, int argc, char **argv, void *user);

/* "sonoseg: error: ..." on stderr, one line, control characters as '?'. */
void report_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "sonoseg: warning: ..." likewise. */
void report_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "See 'sonoseg run --help'." on stderr. command may be NULL. */
void report_see_help(const char *command);

/* Whole-word numbers within [low, high]; 0, or -1 after report_error() naming option. */
int args_integer(const char *option, const char *text, int64_t low, int64_t high, int32_t *out);
int args_fraction(const char *option, const char *text, double low, double high, float *out);

#endif
