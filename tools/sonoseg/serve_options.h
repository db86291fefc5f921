// SPDX-License-Identifier: Apache-2.0
/* The options of `serve`: its own, short ones, and one for each key of the configuration. */
#ifndef SONOSEG_TOOL_SERVE_OPTIONS_H
#define SONOSEG_TOOL_SERVE_OPTIONS_H

#include "args.h"

#include "serve/config.h"

typedef struct serve_options {
    sono_serve_config config; /* flags are in it when they have been parsed */
    const char *path;         /* --config; NULL = none */
    int wants_check, wants_config, wants_keys, wants_demo;
} serve_options;

/* Parses argv over the defaults. */
args_result serve_options_parse(serve_options *self, int argc, char **argv);

/* All keys, a line each, for scripts: flag, short flag, section, name, what is allowed, default, "reload" or
 * "restart", help; tabs between. */
void serve_options_print_keys(FILE *stream);

#endif
