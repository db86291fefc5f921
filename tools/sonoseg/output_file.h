// SPDX-License-Identifier: Apache-2.0
/* A file that the command writes: what goes wrong with it is reported by name. */
#ifndef SONOSEG_TOOL_OUTPUT_FILE_H
#define SONOSEG_TOOL_OUTPUT_FILE_H

#include <stdio.h>

/* Creates or empties it, and keeps other runs from it until it is closed. NULL after report_error(). */
FILE *output_file_open(const char *path);

/* Returns 0, or -1 after report_error() when something could not be written. */
int output_file_close(FILE *stream, const char *path);

#endif
