// SPDX-License-Identifier: Apache-2.0
#include "evaluate_suite.h"

#include "commands.h"
#include "json.h"
#include "output_check.h"
#include "output_file.h"
#include "output_folder.h"
#include "suite_run.h"

#include <limits.h>
#include <stdlib.h>

#define DEFAULT_FRAMES 500

/* ---- pipelines */

static const char *state_mode_name(sono_state_mode mode)
{
    return mode == SONO_STATE_BY_SCORE ? "score" : mode == SONO_STATE_BY_FRAME ? "frame" : "stream";
}

static void close_pipelines(suite *self)
{
    for (int p = 0; p < SUITE_PRECISIONS; p++) {
        sono_pipeline_close(self->pipelines[p]);
        self->pipelines[p] = NULL;
    }
}

static int open_one(suite *self, int p, const sono_pipeline_config *config)
{
    sono_error error;
    if (!sono_pipeline_open(config, &self->pipelines[p], &error))
        return STATUS_DONE;
    report_error("%s", error.text);
    return STATUS_FAILED;
}

/* The first precision; what is opened once for all, and said once, is at the first time. */
static int open_first(suite *self)
{
    if (self->has_opened)
        return open_one(self, 0, &self->args->config);
    self->has_opened = 1;
    return pipeline_args_open(self->args, &self->pipelines[0]);
}

/* The second precision, where the device has it. */
static int open_second(suite *self)
{
    suite_report *report = &self->report;
    if (!self->options->wants_both)
        return STATUS_DONE;
    if (report->info.backend != SONO_BACKEND_CUDA) {
        report->only_one = "float16 is for GPUs";
        return STATUS_DONE;
    }
    sono_pipeline_config config = self->args->config;
    config.precision = SONO_PRECISION_FP16;
    if (open_one(self, 1, &config))
        return STATUS_FAILED;
    report->precisions[1] = SONO_PRECISION_FP16;
    report->n_precisions = SUITE_PRECISIONS;
    return STATUS_DONE;
}

/* Phantoms run without a gate, as average precision needs the box of every frame; real ones as a user's. */
static int open_pipelines(suite *self, int is_real)
{
    sono_pipeline_config *config = &self->args->config;
    suite_report *report = &self->report;
    close_pipelines(self);
    config->threshold = is_real ? self->threshold : 0;
    config->state_mode = is_real ? self->state_mode : SONO_STATE_BY_SCORE;
    config->n_slots = FLIGHTS_HELD;
    if (self->options->wants_both)
        config->precision = SONO_PRECISION_FP32;
    const int status = open_first(self);
    if (status)
        return status;
    sono_pipeline_info_init(&report->info);
    sono_pipeline_query(self->pipelines[0], &report->info);
    report->precisions[0] = report->info.precision;
    report->n_precisions = 1;
    return open_second(self);
}

/* ---- all sets */

/* Says why a real set is left out. Returns whether it is. */
static int is_skipped(suite *self, suite_set set)
{
    suite_result *result = &self->report.results[set];
    char path[PATH_MAX];
    const char *folder = set == SUITE_REAL_BONE ? "frames" : "sequences";
    if (!suite_set_is_real(set))
        return 0;
    if (!self->real)
        snprintf(result->reason, sizeof result->reason,
                 "no folder of real frames (--real DIR, $SONO_SHARED)");
    else if (snprintf(path, sizeof path, "%s/%s", self->real, folder) >= (int)sizeof path ||
             !suite_folder_exists(path))
        snprintf(result->reason, sizeof result->reason, "no folder %s in %.*s", folder,
                 SUITE_REASON_BYTES / 2, self->real);
    if (!result->reason[0])
        return 0;
    fprintf(stderr, "sonoseg: SKIP %s: %s\n", suite_set_name(set), result->reason);
    return 1;
}

static int run_group(suite *self, int is_real)
{
    int status = STATUS_DONE, is_open = 0;
    for (int i = 0; i < SUITE_SET_COUNT; i++) {
        const suite_set set = (suite_set)i;
        if (!(self->options->sets >> set & 1) || suite_set_is_real(set) != is_real || is_skipped(self, set))
            continue;
        const int opened = is_open ? STATUS_DONE : open_pipelines(self, is_real);
        if (opened)
            return opened;
        if (!is_open && !is_real)
            suite_open_feeds(self);
        is_open = 1;
        const int ran = suite_run_set(self, set);
        status = ran ? ran : status;
        if (ran > STATUS_USAGE) /* asked to stop */
            return ran;
    }
    return status;
}

static int write_json(const suite *self)
{
    FILE *stream = output_file_open(self->json_path);
    if (!stream)
        return STATUS_FAILED;
    json_begin_report(stream, &self->report.info);
    suite_report_json(stream, &self->report);
    fputs("}\n", stream);
    return output_file_close(stream, self->json_path) ? STATUS_FAILED : STATUS_DONE;
}

static int report_all(const suite *self)
{
    int n_measured = 0;
    for (int set = 0; set < SUITE_SET_COUNT; set++)
        n_measured += self->report.results[set].is_measured;
    if (!n_measured)
        return STATUS_FAILED;
    if (!self->args->is_quiet)
        suite_report_table(stdout, &self->report);
    return self->json_path ? write_json(self) : STATUS_DONE;
}

int evaluate_suite(pipeline_args *args, const suite_options *options, const char *output,
                   const char *json_path)
{
    const char *shared = getenv("SONO_SHARED");
    suite self = {
        .args = args,
        .options = options,
        .output = output,
        .json_path = json_path,
        .real = options->real       ? options->real
                : shared && *shared ? shared
                                    : NULL,
        .n_frames = options->n_frames ? options->n_frames : DEFAULT_FRAMES,
        .threshold = args->config.threshold,
        .state_mode = args->config.state_mode,
    };
    self.report.sets = options->sets;
    self.report.fold = options->fold;
    self.report.threshold = (double)self.threshold;
    self.report.state_mode = state_mode_name(self.state_mode);
    const sono_output outputs[] = {{json_path, SONO_OUTPUT_FILE}};
    int status = output_check(args, NULL, 0, outputs, 1);
    if (!status && output && output_folder_make(output))
        status = STATUS_FAILED;
    if (!status) {
        status = run_group(&self, 0);
        const int real = status > STATUS_USAGE ? STATUS_DONE : run_group(&self, 1);
        status = real ? real : status;
        const int reported = report_all(&self);
        status = status ? status : reported;
    }
    close_pipelines(&self);
    suite_close_feeds(&self);
    return status;
}
