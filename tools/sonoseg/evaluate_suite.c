// SPDX-License-Identifier: Apache-2.0
#include "evaluate_suite.h"

#include "commands.h"
#include "flights.h"
#include "json.h"
#include "output_check.h"
#include "output_file.h"
#include "output_folder.h"
#include "suite_frames.h"
#include "suite_report.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FRAMES  500
#define MAX_FRAMES      100000
#define SPEC_BYTES      256
#define SUITE_MAX_FILES 64

typedef struct suite {
    pipeline_args *args;
    const suite_options *options;
    const char *output, *json_path;
    const char *real; /* folder; NULL = none */
    int32_t n_frames;
    sono_pipeline *pipelines[SUITE_PRECISIONS];
    float threshold;
    sono_state_mode state_mode;
    suite_frames frames; /* of the set that is being run */
    suite_report report;
} suite;

/* ---- options */

int suite_options_take(suite_options *self, int id, const char *value)
{
    self->has_own = 1;
    switch (id) {
    case ID_SUITE:
        self->is_on = 1;
        return suite_names_take(value, &self->sets);
    case ID_SUITE_FRAMES:
        return args_integer("frames", value, 1, MAX_FRAMES, &self->n_frames);
    default:
        self->real = value;
        return 0;
    }
}

int suite_options_check(const suite_options *self, const pipeline_args *args, int is_sequence)
{
    if (!self->is_on && (self->has_own || args->config.state_mode != SONO_STATE_BY_SCORE))
        report_error("--frames, --real and --state need --suite");
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

static const char *state_mode_name(sono_state_mode mode)
{
    return mode == SONO_STATE_BY_SCORE ? "score" : mode == SONO_STATE_BY_FRAME ? "frame" : "stream";
}

/* ---- pipelines */

static void close_pipelines(suite *self)
{
    for (int p = 0; p < SUITE_PRECISIONS; p++) {
        sono_pipeline_close(self->pipelines[p]);
        self->pipelines[p] = NULL;
    }
}

/* The second precision, where the device has it. */
static int open_second(suite *self)
{
    sono_error error;
    suite_report *report = &self->report;
    if (!self->options->wants_both)
        return STATUS_DONE;
    if (report->info.backend != SONO_BACKEND_CUDA) {
        report->only_one = "float16 is for GPUs";
        return STATUS_DONE;
    }
    sono_pipeline_config config = self->args->config;
    config.precision = SONO_PRECISION_FP16;
    if (sono_pipeline_open(&config, &self->pipelines[1], &error)) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
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
    const int status = pipeline_args_open(self->args, &self->pipelines[0]);
    if (status)
        return status;
    sono_pipeline_info_init(&report->info);
    sono_pipeline_query(self->pipelines[0], &report->info);
    report->precisions[0] = report->info.precision;
    report->n_precisions = 1;
    return open_second(self);
}

/* ---- one set */

static sono_status fail(sono_error *error, sono_status status, const char *text)
{
    *error = (sono_error){.status = status, .offset_bytes = -1};
    snprintf(error->text, sizeof error->text, "%s", text);
    return status;
}

static sono_status keep(suite *self, int p, const flight *current, const sono_packet *packet,
                        sono_error *error)
{
    if (suite_frames_add(&self->frames, p, current, packet))
        return fail(error, SONO_STATUS_OUT_OF_MEMORY, "out of memory");
    if (suite_frames_written(&self->frames, p))
        return SONO_STATUS_OK;
    return fail(error, SONO_STATUS_IO, "its line cannot be written to the output folder");
}

/* The frame through the second pipeline, too, while it is at hand: it is drawn once. */
static sono_status take_result(void *user, const flight *current, const sono_packet *packet,
                               sono_error *error)
{
    suite *self = user;
    sono_status status = keep(self, 0, current, packet, error);
    if (status || !self->pipelines[1])
        return status;
    const sono_packet *second = NULL;
    status = sono_pipeline_submit(self->pipelines[1], &current->image, &current->info, error);
    if (!status)
        status = sono_pipeline_receive(self->pipelines[1], &second, error);
    if (status)
        return status;
    status = keep(self, 1, current, second, error);
    sono_packet_release(self->pipelines[1], second);
    return status;
}

static int run_source(suite *self, sono_source *source, int is_phantom)
{
    flights run = {
        .source = source,
        .pipeline = self->pipelines[0],
        .wants_truth = is_phantom,
        .has_no_hints = 1,
        .is_quiet = self->args->is_quiet || self->args->events.stream == stderr,
        .take = take_result,
        .user = self,
    };
    for (int p = 0; p < self->report.n_precisions; p++)
        sono_pipeline_reset_stream(self->pipelines[p]);
    const int status = flights_run(&run);
    flights_free(&run);
    return status;
}

static int run_phantoms(suite *self, suite_set set)
{
    int status = STATUS_DONE;
    for (int part = 0; !status && suite_set_part(set, part); part++) {
        char spec[SPEC_BYTES];
        const char *inputs[] = {spec};
        pipeline_args images = *self->args;
        sono_source *source = NULL;
        const int32_t n_frames = suite_set_share(set, part, self->n_frames);
        if (!n_frames)
            continue;
        snprintf(spec, sizeof spec, "%s,frames=%d", suite_set_part(set, part), (int)n_frames);
        images.inputs = inputs;
        images.n_inputs = 1;
        status = pipeline_args_open_source(&images, FLIGHTS_HELD, &source);
        if (!status)
            status = run_source(self, source, 1);
        sono_source_close(source);
    }
    return status;
}

/* Files of a folder of the real frames, as one stream. */
static int run_real(suite *self, const char *const *paths, int32_t n_paths)
{
    pipeline_args images = *self->args;
    const char *inputs[SUITE_MAX_FILES];
    sono_source *source = NULL;
    for (int32_t i = 0; i < n_paths; i++)
        inputs[i] = paths[i];
    images.inputs = inputs;
    images.n_inputs = n_paths;
    int status = pipeline_args_open_source(&images, FLIGHTS_HELD, &source);
    if (!status)
        status = run_source(self, source, 0);
    sono_source_close(source);
    return status;
}

static char *path_of(const suite *self, const char *folder, const char *file)
{
    const size_t n = strlen(self->real) + strlen(folder) + strlen(file) + 3;
    char *path = malloc(n);
    if (path)
        snprintf(path, n, "%s/%s/%s", self->real, folder, file);
    else
        report_error("out of memory");
    return path;
}

/* The frames over a bone are of one sweep. */
static int run_bone(suite *self)
{
    char *paths[SUITE_MAX_FILES] = {0};
    int32_t n = 0;
    int status = STATUS_DONE;
    for (size_t i = 0; !status && i < real_mark_count && n < SUITE_MAX_FILES && n < self->n_frames; i++) {
        paths[n] = path_of(self, "frames", real_marks[i].file);
        status = paths[n++] ? STATUS_DONE : STATUS_FAILED;
    }
    if (!status)
        status = run_real(self, (const char *const *)paths, n);
    for (int32_t i = 0; i < n; i++)
        free(paths[i]);
    return status;
}

/* Each recording is a stream; a file that fails is named, and the others are run. */
static int run_no_bone(suite *self)
{
    int status = STATUS_DONE;
    for (size_t i = 0; i < real_sequence_count && status <= STATUS_USAGE; i++) {
        if (suite_frames_count(&self->frames) >= (size_t)self->n_frames)
            break;
        char *path = path_of(self, "sequences", real_sequences[i].file);
        const int ran = path ? run_real(self, (const char *const *)&path, 1) : STATUS_FAILED;
        free(path);
        status = ran ? ran : status;
    }
    return status;
}

static int open_lines(suite *self, suite_set set)
{
    for (int p = 0; self->output && p < self->report.n_precisions; p++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s.%s.jsonl", self->output, suite_set_name(set),
                     sono_precision_name(self->report.precisions[p])) >= (int)sizeof path) {
            report_error("%s: the path is too long", self->output);
            return STATUS_FAILED;
        }
        if (suite_frames_open_lines(&self->frames, p, path))
            return STATUS_FAILED;
    }
    return STATUS_DONE;
}

static int run_set(suite *self, suite_set set)
{
    suite_result *result = &self->report.results[set];
    if (!self->args->is_quiet)
        fprintf(stderr, "sonoseg: %s\n", suite_set_name(set));
    self->frames = (suite_frames){
        .is_real = suite_set_is_real(set), .threshold = self->threshold, .n_most = (size_t)self->n_frames};
    int status = open_lines(self, set);
    if (!status)
        status = set == SUITE_REAL_BONE      ? run_bone(self)
                 : set == SUITE_REAL_NO_BONE ? run_no_bone(self)
                                             : run_phantoms(self, set);
    if (suite_frames_close_lines(&self->frames))
        status = STATUS_FAILED;
    if (!suite_frames_count(&self->frames)) {
        snprintf(result->reason, sizeof result->reason, "no frame could be evaluated");
        status = status ? status : STATUS_FAILED;
    } else if (suite_frames_summarise(&self->frames, set == SUITE_REAL_BONE, self->report.n_precisions,
                                      result)) {
        report_error("out of memory");
        status = STATUS_FAILED;
    }
    suite_frames_free(&self->frames);
    return status;
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
        is_open = 1;
        const int ran = run_set(self, set);
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
    return status;
}
