// SPDX-License-Identifier: Apache-2.0
/* `sonoseg evaluate --suite`: the named sets, one table (docs/evaluation.md, "The suite"). */
#ifndef SONOSEG_TOOL_EVALUATE_SUITE_H
#define SONOSEG_TOOL_EVALUATE_SUITE_H

#include "pipeline_args.h"
#include "suite_sets.h"

enum { ID_SUITE = ID_OWN + 50, ID_SUITE_FRAMES, ID_SUITE_FOLD, ID_REAL };

/* Rows for the command's option table. */
#define SUITE_OPTIONS                                                                                        \
    {NULL, ARGS_HEADING, NULL, "named sets (docs/evaluation.md)"},                                           \
        {"suite", ID_SUITE, "NAMES",                                                                         \
         "all, or names with commas between: linear, curvilinear, endocavity,\nscreen, hard-negatives, "     \
         "real-bone, real-no-bone; no --input then"},                                                        \
        {"frames", ID_SUITE_FRAMES, "N", "of each set, of the real ones at most that many; default 500"},    \
        {"fold", ID_SUITE_FOLD, "N",                                                                         \
         "other phantoms of the same kinds, to fit on: N million is added to\ntheir seeds; 0 (default) to "  \
         "1000"},                                                                                            \
        {"real", ID_REAL, "DIR",                                                                             \
         "folder with frames/ and sequences/, the real frames; default\n$SONO_SHARED; without either they "  \
         "are skipped"},                                                                                     \
    {                                                                                                        \
        "state", ID_STATE_MODE, "HOW",                                                                       \
            "what decides which real frames are VISIBLE: score (default), frame\nor stream"                  \
    }

typedef struct suite_options {
    int is_on;
    int has_own;      /* an option that is for the suite alone was given */
    uint32_t sets;    /* bits */
    int32_t n_frames; /* of a set; 0 = default */
    int32_t fold;
    const char *real; /* NULL = not given */
    int wants_both;   /* --precision both */
} suite_options;

/* Takes one of the options above but --state; returns 0, or -1 after report_error(). */
int suite_options_take(suite_options *self, int id, const char *value);

/* Whether the options go together. Returns an exit status after report_error(). */
int suite_options_check(const suite_options *self, const pipeline_args *args, int is_sequence);

/* Runs and reports. output: a folder for the figures of each frame, json_path: both NULL = none. Returns an
 * exit status. */
int evaluate_suite(pipeline_args *args, const suite_options *options, const char *output,
                   const char *json_path);

#endif
