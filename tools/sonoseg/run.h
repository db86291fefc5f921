// SPDX-License-Identifier: Apache-2.0
/* What `sonoseg run` was asked for, and what it opens for it. */
#ifndef SONOSEG_TOOL_RUN_H
#define SONOSEG_TOOL_RUN_H

#include "archive.h"
#include "fleet.h"
#include "pipeline_args.h"
#include "resume.h"
#include "shard.h"

#define RUN_MAX_POINTS 16

typedef struct run {
    int argc; /* the command's words */
    char **argv;
    pipeline_args args;
    const char *output;
    sono_sink_options sink_options;
    int32_t n_workers; /* 0 = a core each */
    int32_t batch;     /* 0 = as fits */
    int is_resumed;
    shard part;
    fleet fleet;
    /* The one prompt of every frame. */
    sono_prompt prompt;
    sono_point points[RUN_MAX_POINTS];
    int has_box;
    archive archive;
    sono_source *source;
    sono_source_options source_options;
    resume resume;
} run;

/* Does what was asked for; returns an exit status. */
int run_all(run *self);

#endif
