// SPDX-License-Identifier: Apache-2.0
/*
 * DIR/run.json: what a folder's results depend on beside the inputs, a key a line, so that a run that goes on
 * with them can be refused when it would do it otherwise.
 */
#ifndef SONOSEG_TOOL_RUN_FILE_H
#define SONOSEG_TOOL_RUN_FILE_H

#include "pipeline_args.h"
#include "shard.h"

/* What differs from run to run of the same command. */
typedef struct run_facts {
    const pipeline_args *args;
    const sono_sink_options *sink;
    const char *overlays;       /* "all", ... */
    const sono_prompt *prompts; /* NULL = none */
    shard part;
} run_facts;

/* The file's text, to be freed; NULL after report_error(). */
char *run_file_text(const run_facts *facts, const sono_pipeline *pipeline);

/* Writes it, whole or not at all. 0, or -1 after report_error(). */
int run_file_write(const char *folder, const char *text);

/* Compares it with the folder's, where there is one. 0, or -1 after report_error(), which names what differs.
 */
int run_file_compare(const char *folder, const char *text);

/* Whether the folders' are the same but for the shard; one without a run.json is like any. 0, or -1 after
 * report_error(). */
int run_file_same(const char *const *folders, int32_t n);

/* Writes the one folder's, without its shard, into the other; nothing where there is none. 0, or -1 after
 * report_error(). */
int run_file_copy(const char *from, const char *to);

#endif
