// SPDX-License-Identifier: Apache-2.0
#include "evaluate_suite.h"

#include "commands.h"

#define MAX_FRAMES 100000
#define MAX_FOLD   1000

int suite_options_take(suite_options *self, int id, const char *value)
{
    self->has_own = 1;
    switch (id) {
    case ID_SUITE:
        self->is_on = 1;
        return suite_names_take(value, &self->sets);
    case ID_SUITE_FRAMES:
        return args_integer("frames", value, 1, MAX_FRAMES, &self->n_frames);
    case ID_SUITE_FOLD:
        return args_integer("fold", value, 0, MAX_FOLD, &self->fold);
    default:
        self->real = value;
        return 0;
    }
}

int suite_options_check(const suite_options *self, const pipeline_args *args, int is_sequence)
{
    if (!self->is_on && (self->has_own || args->config.state_mode != SONO_STATE_BY_SCORE))
        report_error("--frames, --fold, --real and --state need --suite");
    else if (!self->is_on && self->wants_both)
        report_error("--precision both needs --suite");
    else if (self->is_on && is_sequence)
        report_error("--suite and --sequence are two evaluations: one after the other");
    else if (self->is_on && args->n_inputs)
        report_error("--suite has inputs of its own: no --input");
    else
        return STATUS_DONE;
    report_see_help("evaluate");
    return STATUS_USAGE;
}
