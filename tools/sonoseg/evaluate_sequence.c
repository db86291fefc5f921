// SPDX-License-Identifier: Apache-2.0
#include "evaluate_sequence.h"

#include "commands.h"
#include "flights.h"
#include "json.h"
#include "output_check.h"
#include "output_file.h"
#include "phantom_input.h"
#include "sequence_meter.h"
#include "sequence_report.h"
#include "stop.h"
#include "sweeps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SWEEPS 10
#define MAX_SWEEPS     100000
#define MAX_JOBS       256
#define PERMILLE       1000.0

typedef struct evaluation {
    pipeline_args *args;
    const sequence_options *options;
    const char *json_path;
    sequence_rules rules;
    sono_pipeline *pipeline;
    sono_source *source; /* of a recording; NULL = the phantom's sweeps */
    sweeps *sweeps;
    int32_t last_sweep; /* that a frame was read of */
    FILE *parts;
    float *surface_px; /* of one frame */
    int32_t surface_capacity_px;
    flights flights;
    sequence_meter meter;
    sequence_set set;
} evaluation;

/* ---- options */

int sequence_options_take(sequence_options *self, int id, const char *value)
{
    switch (id) {
    case ID_SEQUENCE:
        self->is_on = 1;
        return 0;
    case ID_SWEEPS:
        return args_integer("sweeps", value, 1, MAX_SWEEPS, &self->n_sweeps);
    case ID_JOBS:
        return args_integer("jobs", value, 1, MAX_JOBS, &self->n_jobs);
    case ID_PARTS:
        self->parts_path = value;
        return 0;
    case ID_REPLAY:
        self->replay_path = value;
        return 0;
    default:
        if (self->n_settings == SEQUENCE_MAX_SETTINGS) {
            report_error("--state-rule: more than %d", SEQUENCE_MAX_SETTINGS);
            return -1;
        }
        self->settings[self->n_settings++] = value;
        return 0;
    }
}

int sequence_options_check(const sequence_options *self, const pipeline_args *args)
{
    const int has_own =
        self->n_sweeps || self->n_jobs || self->parts_path || self->replay_path || self->n_settings;
    const char *input = args->n_inputs ? args->inputs[0] : "";
    const int is_recording = args->n_inputs && !phantom_input_matches(input);
    if (!self->is_on && has_own)
        report_error("--sweeps, --jobs, --parts, --replay and --state-rule need --sequence");
    else if (self->replay_path && (args->n_inputs || self->n_sweeps || self->n_jobs))
        report_error("--replay takes everything from its file: no --input, --sweeps or --jobs");
    else if (is_recording && (self->n_sweeps || self->n_jobs))
        report_error("%s: --sweeps and --jobs are for the phantom", input);
    else
        return STATUS_DONE;
    report_see_help("evaluate");
    return STATUS_USAGE;
}

/* The file's rules, and over them those of the command line. */
static int apply_settings(evaluation *self)
{
    pipeline_args over = {.state_rules = self->rules.rules};
    for (int32_t i = 0; i < self->options->n_settings; i++)
        if (pipeline_args_take(&over, ID_STATE_SETTING, self->options->settings[i]))
            return STATUS_USAGE;
    self->rules.rules = over.state_rules;
    return STATUS_DONE;
}

/* ---- input */

static int open_sweeps(evaluation *self)
{
    sono_phantom_options phantom;
    sono_error error;
    const char *input = self->args->inputs[0];
    const int32_t n_sweeps = self->options->n_sweeps ? self->options->n_sweeps : DEFAULT_SWEEPS;
    const long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int32_t n_jobs = self->options->n_jobs ? self->options->n_jobs
                                                 : (int32_t)(n_cores < 1          ? 1
                                                             : n_cores > MAX_JOBS ? MAX_JOBS
                                                                                  : n_cores);
    if (phantom_input_parse(input, &phantom))
        return STATUS_USAGE;
    if (phantom.n_sweep_frames) {
        report_error("%s: with --sequence frames= says how long a sweep is, and --sweeps how many there are",
                     input);
        return STATUS_USAGE;
    }
    if (sweeps_open(&phantom, n_sweeps, n_jobs, &self->sweeps, &error)) {
        report_error("%s", error.text);
        return error.status == SONO_STATUS_INVALID_ARGUMENT ? STATUS_USAGE : STATUS_FAILED;
    }
    self->flights.n_to_read = (int64_t)n_sweeps * phantom.n_frames;
    const int is_one = sweeps_threads(self->sweeps) == 1;
    if (!self->args->is_quiet)
        fprintf(stderr, "sonoseg: %d thread%s sweeps ahead, into %.0f MB at most\n",
                sweeps_threads(self->sweeps), is_one ? " renders" : "s render",
                (double)sweeps_bytes(self->sweeps) / 1e6);
    return STATUS_DONE;
}

static int open_input(evaluation *self)
{
    if (phantom_input_matches(self->args->inputs[0]))
        return open_sweeps(self);
    const int status = pipeline_args_open_source(self->args, FLIGHTS_HELD, &self->source);
    if (!status)
        pipeline_args_say_left_out(self->args, self->source);
    return status;
}

/* The next frame of the sweeps, each of which is a stream of its own. */
static sono_status read_frame(void *user, flight *out, sono_error *error)
{
    evaluation *self = user;
    const sweep_frame *frame = NULL;
    out->name = "phantom";
    const sono_status status = sweeps_next(self->sweeps, &frame, error);
    if (status)
        return status;
    if (frame->sweep != self->last_sweep)
        sono_pipeline_reset_stream(self->pipeline);
    self->last_sweep = frame->sweep;
    out->image = frame->image;
    out->info = frame->info;
    out->name = frame->name;
    out->truth = frame->truth;
    out->sweep = frame->sweep;
    return SONO_STATUS_OK;
}

/* ---- results */

/* A packet's parts may be of a newer library, and longer. */
static void copy_parts(const sono_parts *parts, sono_parts *out)
{
    sono_parts_init(out);
    memcpy(out, parts, parts->struct_size < sizeof *out ? parts->struct_size : sizeof *out);
    out->struct_size = sizeof *out;
}

static int reserve_surface(evaluation *self, int32_t width_px)
{
    if (width_px <= self->surface_capacity_px)
        return 0;
    float *surface = realloc(self->surface_px, (size_t)width_px * sizeof *surface);
    if (!surface)
        return -1;
    self->surface_px = surface;
    self->surface_capacity_px = width_px;
    return 0;
}

/* The row of the surface in each column, -1 = none. */
static void spread_surface(evaluation *self, const sono_packet *packet)
{
    sono_surface_view view;
    for (int32_t x = 0; x < packet->width_px; x++)
        self->surface_px[x] = -1;
    if (sono_packet_surface(packet, &view))
        return;
    for (int32_t i = 0; i < view.n_points; i++) {
        const long x = lroundf(view.points_px[2 * i]);
        if (x >= 0 && x < packet->width_px)
            self->surface_px[x] = view.points_px[2 * i + 1];
    }
}

static int keep_result(evaluation *self, const flight *current, const sono_packet *packet)
{
    const sono_object *best = sono_packet_object(packet, 0);
    sequence_input input = {
        .timestamp_ns = packet->info->timestamp_ns,
        .width_px = packet->width_px,
        .height_px = packet->height_px,
    };
    sequence_frame frame;
    if (reserve_surface(self, packet->width_px))
        return -1;
    spread_surface(self, packet);
    copy_parts(sono_packet_parts(packet), &input.parts);
    const sequence_result result = {
        .info = packet->info,
        .parts = &input.parts,
        .width_px = packet->width_px,
        .quality = sono_packet_report(packet)->quality / PERMILLE,
        .score = (double)best->score,
        .mask_area_px = best->mask_area_px,
        .bbox_xyxy_px = best->bbox_xyxy_px,
        .surface_px = self->surface_px,
    };
    if (sequence_measure(&self->meter, &result, self->sweeps ? &current->truth : NULL, current->sweep,
                         &frame) ||
        sequence_set_add(&self->set, &frame, &input, packet->state))
        return -1;
    if (self->parts)
        sequence_write_line(self->parts, self->set.n - 1, &frame, &input, packet->state);
    return 0;
}

static sono_status take_result(void *user, const flight *current, const sono_packet *packet,
                               sono_error *error)
{
    evaluation *self = user;
    if (!keep_result(self, current, packet))
        return SONO_STATUS_OK;
    *error = (sono_error){.status = SONO_STATUS_OUT_OF_MEMORY, .offset_bytes = -1};
    snprintf(error->text, sizeof error->text, "out of memory");
    return SONO_STATUS_OUT_OF_MEMORY;
}

/* ---- report */

/* Frames in which the detector ran. */
static size_t count_detected(const sequence_set *set)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++)
        n += !set->inputs[i].parts.is_recalled;
    return n;
}

static int write_json(const evaluation *self, const sequence_report *report)
{
    sono_pipeline_info info;
    FILE *stream = output_file_open(self->json_path);
    if (!stream)
        return STATUS_FAILED;
    sono_pipeline_info_init(&info);
    if (self->pipeline) {
        sono_pipeline_query(self->pipeline, &info);
        json_begin_report(stream, &info);
    } else {
        fprintf(stream, "{\n  \"version\": \"%s\",\n", sono_version());
    }
    fputs("  \"input\": ", stream);
    json_string(stream, self->pipeline ? self->args->inputs[0] : self->options->replay_path);
    if (self->pipeline)
        fprintf(stream, ",\n  \"detector_frames\": %zu", count_detected(&self->set));
    fputs(",\n", stream);
    sequence_report_json(stream, report);
    fputs("}\n", stream);
    return output_file_close(stream, self->json_path) ? STATUS_FAILED : STATUS_DONE;
}

static int report_figures(const evaluation *self)
{
    if (!self->set.n) {
        report_error("no frame could be evaluated");
        return STATUS_FAILED;
    }
    sequence_report *report = malloc(sizeof *report);
    if (!report || sequence_report_make(&self->set, &self->rules, report)) {
        free(report);
        report_error("out of memory");
        return STATUS_FAILED;
    }
    if (!self->args->is_quiet)
        sequence_report_table(stdout, report);
    if (!self->args->is_quiet && count_detected(&self->set) < self->set.n)
        printf("\nthe detector ran in %zu of %zu frames\n", count_detected(&self->set), self->set.n);
    const int status = self->json_path ? write_json(self, report) : STATUS_DONE;
    free(report);
    return status;
}

/* ---- both ways */

static int check_outputs(const evaluation *self)
{
    const char *const inputs[] = {self->options->replay_path ? self->options->replay_path
                                                             : self->args->inputs[0]};
    const int is_file = self->options->replay_path || !phantom_input_matches(inputs[0]);
    const sono_output outputs[] = {{self->options->parts_path, SONO_OUTPUT_FILE},
                                   {self->json_path, SONO_OUTPUT_FILE}};
    return output_check(self->args, inputs, is_file, outputs, 2);
}

/* The replayed frames, with the states that they have now. */
static int write_parts(evaluation *self)
{
    const sequence_set *set = &self->set;
    FILE *stream = output_file_open(self->options->parts_path);
    if (!stream)
        return STATUS_FAILED;
    sequence_write_head(stream, self->options->replay_path, &self->rules);
    for (size_t i = 0; i < set->n; i++)
        sequence_write_line(stream, i, &set->frames[i], &set->inputs[i], (sono_state)set->states[i]);
    return output_file_close(stream, self->options->parts_path) ? STATUS_FAILED : STATUS_DONE;
}

static int replay(evaluation *self)
{
    int status = check_outputs(self);
    if (!status && sequence_read(self->options->replay_path, &self->set, &self->rules))
        status = STATUS_FAILED;
    if (!status)
        status = apply_settings(self);
    if (!status && sequence_replay(&self->set, &self->rules))
        status = STATUS_FAILED;
    if (!status && self->options->parts_path)
        status = write_parts(self);
    return status ? status : report_figures(self);
}

static int open_all(evaluation *self)
{
    sono_pipeline_config *config = &self->args->config;
    self->rules = (sequence_rules){self->args->state_rules, SONO_STATE_BY_STREAM, (double)config->threshold};
    config->n_slots = FLIGHTS_HELD;
    config->state_mode = self->rules.mode;
    config->want_surface = 1;
    int status = check_outputs(self);
    if (!status)
        status = open_input(self);
    if (!status)
        status = pipeline_args_open(self->args, &self->pipeline);
    if (status || !self->options->parts_path)
        return status;
    self->parts = output_file_open(self->options->parts_path);
    if (!self->parts)
        return STATUS_FAILED;
    sequence_write_head(self->parts, self->args->inputs[0], &self->rules);
    return STATUS_DONE;
}

static int run(evaluation *self)
{
    int status = open_all(self);
    if (status)
        return status;
    self->flights.source = self->source;
    self->flights.pipeline = self->pipeline;
    self->flights.read = self->sweeps ? read_frame : NULL;
    self->flights.has_no_hints = self->args->is_quiet;
    self->flights.is_quiet = self->args->is_quiet || self->args->events.stream == stderr;
    self->flights.take = take_result;
    self->flights.user = self;
    status = flights_run(&self->flights);
    FILE *parts = self->parts;
    self->parts = NULL;
    if (parts && output_file_close(parts, self->options->parts_path))
        status = STATUS_FAILED;
    const int reported = report_figures(self);
    return status ? status : reported;
}

int evaluate_sequence(pipeline_args *args, const sequence_options *options, const char *json_path)
{
    evaluation self = {.args = args, .options = options, .json_path = json_path};
    const int status = options->replay_path ? replay(&self) : run(&self);
    if (self.parts) /* opened, but nothing ran */
        fclose(self.parts);
    sono_pipeline_close(self.pipeline);
    sono_source_close(self.source);
    sweeps_close(self.sweeps);
    flights_free(&self.flights);
    sequence_meter_free(&self.meter);
    sequence_set_free(&self.set);
    free(self.surface_px);
    return status;
}
