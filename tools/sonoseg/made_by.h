// SPDX-License-Identifier: Apache-2.0
/* By which command a folder of results was made: DIR/sonoseg_run.json, which `sonoseg report` reads. */
#ifndef SONOSEG_TOOL_MADE_BY_H
#define SONOSEG_TOOL_MADE_BY_H

#include "pipeline_args.h"

#include <stdio.h>

#define MADE_BY_NAME "sonoseg_run.json"

/* argv: the subcommand's, its name first. threshold: of LOST. A file of that name that is of another kind is
 * left alone. 0, or -1 after report_error(). */
int made_by_write(const char *folder, int argc, char **argv, const pipeline_args *args, float threshold,
                  const sono_pipeline *pipeline);

/* A word as a shell reads it. */
void made_by_put_word(FILE *stream, const char *word);

#endif
