// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "evaluate_sequence.h"
#include "evaluate_suite.h"
#include "flights.h"
#include "json.h"
#include "made_by.h"
#include "metrics_report.h"
#include "output_check.h"
#include "output_file.h"
#include "output_folder.h"
#include "phantom_input.h"
#include "pipeline_args.h"
#include "truth.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELD_OUT_SET "phantom:seed=20261123,frames=500,sweep=1"

enum { ID_OUTPUT = 'o', ID_QUIET = 'q', ID_JSON = ID_OWN };

typedef struct evaluate {
    int argc;
    char **argv;
    pipeline_args args;
    sequence_options sequence;
    suite_options suite;
    const char *output;
    const char *json_path;
    float threshold; /* of found and LOST; the pipeline itself runs without a gate */
    int is_phantom;
    truth_masks masks;
    char lines_path[PATH_MAX];
    FILE *lines; /* DIR/frames.jsonl; NULL = not asked for */
    sono_pipeline *pipeline;
    sono_source *source;
    flights flights;
    metrics_frame *frames;
    size_t n_frames, capacity;
    int64_t n_unlabelled; /* frames whose mask could not be read */
} evaluate;

static int take_option(void *user, int id, const char *value)
{
    evaluate *self = user;
    switch (id) {
    case ID_OUTPUT:
        self->output = value;
        return 0;
    case ID_QUIET:
        self->args.is_quiet = 1;
        return 0;
    case ID_JSON:
        self->json_path = value;
        return 0;
    case ID_SUITE:
    case ID_SUITE_FRAMES:
    case ID_SUITE_FOLD:
    case ID_REAL:
        return suite_options_take(&self->suite, id, value);
    case ID_PRECISION:
        self->suite.wants_both = !strcmp(value, "both");
        return self->suite.wants_both ? 0 : pipeline_args_take(&self->args, id, value);
    default:
        if (id >= ID_SEQUENCE)
            return sequence_options_take(&self->sequence, id, value);
        if (id == ID_STATE_SETTING && sequence_options_take(&self->sequence, id, value))
            return -1;
        return pipeline_args_take(&self->args, id, value);
    }
}

static const args_option options[] = {
    {"input", ID_INPUT, "SET",
     "labelled folder: images/<stem>.png or .jpg and\nmasks/<stem>.png (0 = background, each other value one "
     "structure);\nor phantom:[seed=N,frames=N,...] with its own truth;\ndefault " HELD_OUT_SET},
    {"output", ID_OUTPUT, "DIR", "write DIR/frames.jsonl, one JSON object a frame"},
    {"json", ID_JSON, "FILE", "write the figures as JSON, too"},
    PIPELINE_OPTIONS,
    {"quiet", ID_QUIET, NULL, "no progress line, no table; errors only"},
    SUITE_OPTIONS,
    SEQUENCE_OPTIONS,
};

static const args_spec spec = {
    .command = "evaluate",
    .usage = "evaluate [--input SET] [options]",
    .intro =
        "Runs the pipeline over labelled frames and says how good boxes, masks and scores are. The best box\n"
        "of each frame counts. A frame without a mask file, or with one of zeros, is an empty one. With\n"
        "--sequence: how soon and how surely states follow what a stream shows. With --suite: several named "
        "sets\n"
        "in one table; --precision both runs them in fp32 and fp16 (on a GPU).",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples =
        "examples\n"
        "  sonoseg evaluate --json figures.json\n"
        "  sonoseg evaluate --input set/ --output out --detector dfine_s.pth --segmenter mobile_sam.pt\n"
        "  sonoseg evaluate --suite all --precision both --real ../shared --json suite.json\n"
        "  sonoseg evaluate --sequence --sweeps 20 --parts parts.jsonl\n"
        "  sonoseg evaluate --sequence --replay parts.jsonl --state-rule on=650\n\n"
        "exit status\n"
        "  0 all done   1 an input, a checkpoint or the output failed   2 usage   130 Ctrl-C, 143 SIGTERM,\n"
        "  129 SIGHUP: the figures are those of the frames so far",
    .take = take_option,
};

static metrics_frame *next_place(evaluate *self)
{
    if (self->n_frames == self->capacity) {
        const size_t capacity = self->capacity ? 2 * self->capacity : 256;
        metrics_frame *frames = realloc(self->frames, capacity * sizeof *frames);
        if (!frames)
            return NULL;
        self->frames = frames;
        self->capacity = capacity;
    }
    return &self->frames[self->n_frames];
}

static sono_status fail(sono_error *error, sono_status status, const char *text)
{
    *error = (sono_error){.status = status, .offset_bytes = -1};
    snprintf(error->text, sizeof error->text, "%s", text);
    return status;
}

/* Whether the frame's truth is known; a mask that cannot be read is named and leaves the frame out. */
static int find_truth(evaluate *self, const flight *current, metrics_truth *out)
{
    sono_error error;
    const sono_image *image = &current->image;
    if (self->is_phantom) {
        *out = (metrics_truth){current->truth.labels, image->width_px, image->height_px};
        return 1;
    }
    if (!truth_read(&self->masks, current->name, image->width_px, image->height_px, out, &error))
        return 1;
    self->n_unlabelled++;
    progress_clear(&self->flights.bar);
    report_error("%s", error.text);
    return 0;
}

static sono_status take_result(void *user, const flight *current, const sono_packet *packet,
                               sono_error *error)
{
    evaluate *self = user;
    metrics_truth truth;
    if (!find_truth(self, current, &truth))
        return SONO_STATUS_OK;
    metrics_frame *frame = next_place(self);
    if (!frame || metrics_measure(sono_packet_object(packet, 0), flights_best_mask(packet), &truth,
                                  self->threshold, frame))
        return fail(error, SONO_STATUS_OUT_OF_MEMORY, "out of memory");
    self->n_frames++;
    if (!self->lines)
        return SONO_STATUS_OK;
    metrics_report_line(self->lines, packet, current->name, frame);
    if (!fflush(self->lines))
        return SONO_STATUS_OK;
    return fail(error, SONO_STATUS_IO, "its line in frames.jsonl cannot be written");
}

static int open_set(evaluate *self)
{
    const char *set = self->args.inputs[0];
    pipeline_args images = self->args;
    char path[PATH_MAX];
    const char *inputs[] = {path};
    self->is_phantom = phantom_input_matches(set);
    if (!self->is_phantom) {
        if (truth_check_folder(set))
            return STATUS_FAILED;
        self->masks.set = set;
        snprintf(path, sizeof path, "%s/images", set);
        images.inputs = inputs;
    }
    const int status = pipeline_args_open_source(&images, FLIGHTS_HELD, &self->source);
    if (!status)
        pipeline_args_say_left_out(&images, self->source);
    return status;
}

static int check_outputs(evaluate *self)
{
    const char *set = self->args.inputs[0];
    char images[PATH_MAX], masks[PATH_MAX];
    const char *const inputs[] = {images, masks};
    if (self->output &&
        snprintf(self->lines_path, sizeof self->lines_path, "%s/frames.jsonl", self->output) >= PATH_MAX) {
        report_error("%s: the path is too long", self->output);
        return STATUS_FAILED;
    }
    snprintf(images, sizeof images, "%s/images", set);
    snprintf(masks, sizeof masks, "%s/masks", set);
    const sono_output outputs[] = {{self->output ? self->lines_path : NULL, SONO_OUTPUT_FILE},
                                   {self->json_path, SONO_OUTPUT_FILE}};
    return output_check(&self->args, inputs, self->is_phantom ? 0 : 2, outputs, 2);
}

static int open_lines(evaluate *self)
{
    if (!self->output)
        return STATUS_DONE;
    if (output_folder_make(self->output) ||
        made_by_write(self->output, self->argc, self->argv, &self->args, self->threshold, self->pipeline))
        return STATUS_FAILED;
    self->lines = output_file_open(self->lines_path);
    return self->lines ? STATUS_DONE : STATUS_FAILED;
}

/* Average precision needs the box of every frame, and a packet below the pipeline's threshold has none. */
static int open_all(evaluate *self)
{
    self->threshold = self->args.config.threshold;
    self->args.config.threshold = 0;
    self->args.config.n_slots = FLIGHTS_HELD;
    int status = open_set(self);
    if (!status)
        status = check_outputs(self);
    if (!status)
        status = pipeline_args_open(&self->args, &self->pipeline);
    return status ? status : open_lines(self);
}

static int write_json(const evaluate *self, const sono_pipeline_info *info, const metrics_summary *summary)
{
    FILE *stream = output_file_open(self->json_path);
    if (!stream)
        return STATUS_FAILED;
    json_begin_report(stream, info);
    fputs("  \"input\": ", stream);
    json_string(stream, self->args.inputs[0]);
    fputs(",\n", stream);
    metrics_report_json(stream, summary);
    fputs("}\n", stream);
    return output_file_close(stream, self->json_path) ? STATUS_FAILED : STATUS_DONE;
}

static int report(const evaluate *self)
{
    sono_pipeline_info info;
    metrics_summary summary;
    if (!self->n_frames) {
        report_error("%s: no frame could be evaluated", self->args.inputs[0]);
        return STATUS_FAILED;
    }
    if (metrics_summarise(self->frames, self->n_frames, self->threshold, &summary)) {
        report_error("out of memory");
        return STATUS_FAILED;
    }
    sono_pipeline_info_init(&info);
    sono_pipeline_query(self->pipeline, &info);
    if (!self->args.is_quiet) {
        printf("%s + %s, %s %s, %s\n\n", info.detector, info.segmenter, sono_backend_name(info.backend),
               sono_precision_name(info.precision), self->args.inputs[0]);
        metrics_report_table(stdout, &summary);
    }
    return self->json_path ? write_json(self, &info, &summary) : STATUS_DONE;
}

static int evaluate_set(evaluate *self)
{
    int status = open_all(self);
    if (status)
        return status;
    self->flights = (flights){
        .source = self->source,
        .pipeline = self->pipeline,
        .wants_truth = self->is_phantom,
        .has_no_hints = self->args.is_quiet,
        .is_quiet = self->args.is_quiet || self->args.events.stream == stderr,
        .take = take_result,
        .user = self,
    };
    status = flights_run(&self->flights);
    if (!status && self->n_unlabelled)
        status = STATUS_FAILED;
    if (self->lines && output_file_close(self->lines, self->lines_path))
        status = STATUS_FAILED;
    const int reported = report(self);
    return status ? status : reported;
}

static int check_usage(evaluate *self)
{
    const char *usual = self->sequence.is_on ? SEQUENCE_INPUT : HELD_OUT_SET;
    int status = sequence_options_check(&self->sequence, &self->args);
    if (!status)
        status = suite_options_check(&self->suite, &self->args, self->sequence.is_on);
    if (status)
        return status;
    if (self->suite.is_on)
        return pipeline_args_find_checkpoints(&self->args);
    if (self->sequence.replay_path)
        return STATUS_DONE;
    if (self->sequence.is_on && self->output)
        report_error("--output is not for --sequence, whose frames --parts writes");
    else if (self->args.n_inputs > 1 && !self->sequence.is_on)
        report_error("one labelled set at a time");
    else if (!self->args.n_inputs && pipeline_args_take(&self->args, ID_INPUT, usual))
        return STATUS_FAILED;
    else
        return pipeline_args_find_checkpoints(&self->args);
    report_see_help("evaluate");
    return STATUS_USAGE;
}

int cmd_evaluate(int argc, char **argv)
{
    evaluate self = {.argc = argc, .argv = argv};
    pipeline_args_init(&self.args);
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    int status = parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (parsed == ARGS_GO)
        status = check_usage(&self);
    if (parsed == ARGS_GO && !status)
        status = self.sequence.is_on ? evaluate_sequence(&self.args, &self.sequence, self.json_path)
                 : self.suite.is_on  ? evaluate_suite(&self.args, &self.suite, self.output, self.json_path)
                                     : evaluate_set(&self);
    sono_pipeline_close(self.pipeline);
    sono_source_close(self.source);
    flights_free(&self.flights);
    truth_free(&self.masks);
    free(self.frames);
    const int closed = pipeline_args_close(&self.args);
    return status ? status : closed;
}
