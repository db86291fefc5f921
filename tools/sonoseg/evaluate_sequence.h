// SPDX-License-Identifier: Apache-2.0
/* `sonoseg evaluate --sequence`: how good states are over time. */
#ifndef SONOSEG_TOOL_EVALUATE_SEQUENCE_H
#define SONOSEG_TOOL_EVALUATE_SEQUENCE_H

#include "pipeline_args.h"

#define SEQUENCE_MAX_SETTINGS 64

enum { ID_SEQUENCE = ID_OWN + 100, ID_SWEEPS, ID_JOBS, ID_PARTS, ID_REPLAY };

/* Rows for the command's option table. */
#define SEQUENCE_OPTIONS                                                                                     \
    {NULL, ARGS_HEADING, NULL, "over time (docs/state.md)"},                                                 \
        {"sequence", ID_SEQUENCE, NULL,                                                                      \
         "the input is a stream, not a set of single frames: states over time;\ndefault "                    \
         "input " SEQUENCE_INPUT},                                                                           \
        {"sweeps", ID_SWEEPS, "N", "sweeps of the phantom, the n-th with seed + n; default 10"},             \
        {"jobs", ID_JOBS, "N", "threads that render the phantom ahead; default: every core"},                \
        {"parts", ID_PARTS, "FILE", "write what the states are decided from, a line a frame, to FILE"},      \
        {"replay", ID_REPLAY, "FILE", "no input, no networks: the frames of such a file, decided again"},    \
        DETECT_EVERY_OPTION,                                                                                 \
    {                                                                                                        \
        "state-rule", ID_STATE_SETTING, "RULE=VALUE",                                                        \
            "a rule of the state machine, as sono_state_rules names it; may be\nrepeated"                    \
    }
#define SEQUENCE_INPUT "phantom:seed=30000,frames=500,events=held-out"

typedef struct sequence_options {
    int is_on;
    int32_t n_sweeps, n_jobs; /* 0 = default */
    const char *parts_path, *replay_path;
    const char *settings[SEQUENCE_MAX_SETTINGS]; /* "RULE=VALUE" */
    int32_t n_settings;
} sequence_options;

/* Takes one of the options above; of a rule only notes that it was given, its value is for
 * pipeline_args_take(). Returns 0, or -1 after report_error(). */
int sequence_options_take(sequence_options *self, int id, const char *value);

/* Whether the options go together. Returns an exit status after report_error(). */
int sequence_options_check(const sequence_options *self, const pipeline_args *args);

/* Runs and reports; json_path: NULL = none. Returns an exit status. */
int evaluate_sequence(pipeline_args *args, const sequence_options *options, const char *json_path);

#endif
