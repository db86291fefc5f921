// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "flights.h"
#include "made_by.h"
#include "output_check.h"
#include "pipeline_args.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ID_OUTPUT = 'o',
    ID_QUIET = 'q',
    ID_NO_MASKS = ID_OWN,
    ID_NO_OVERLAYS,
    ID_DETECTOR_ONLY,
    ID_BOX,
    ID_POINT
};

#define MAX_POINTS 16

typedef struct run {
    int argc;
    char **argv;
    pipeline_args args;
    const char *output;
    sono_sink_options sink_options;
    sono_sink *sink;
    flights flights;
    /* The one prompt of every frame. */
    sono_prompt prompt;
    sono_point points[MAX_POINTS];
    int has_box;
} run;

/* Numbers separated by commas, at most `most`. Returns how many, 0 for anything else. */
static int read_numbers(const char *text, float *out, int most)
{
    char *end = NULL;
    int n = 0;
    do {
        if (n == most)
            return 0;
        out[n] = strtof(text, &end);
        if (end == text || !isfinite(out[n++]) || (*end && *end != ','))
            return 0;
        text = end + 1;
    } while (*end);
    return n;
}

static int take_box(run *self, const char *value)
{
    float box[4];
    if (self->has_box || read_numbers(value, box, 4) != 4 || box[0] > box[2] || box[1] > box[3]) {
        report_error("--box: '%s' is %s", value,
                     self->has_box ? "the second one: there is one box"
                                   : "no box like 40,60,200,180: left, top, right, bottom");
        return -1;
    }
    memcpy(self->prompt.bbox_xyxy_px, box, sizeof box);
    self->has_box = 1;
    return 0;
}

static int take_point(run *self, const char *value)
{
    float at[3] = {0, 0, 1};
    const int n = read_numbers(value, at, 3);
    if (n < 2 || (at[2] != 0 && at[2] != 1)) {
        report_error("--point: '%s' is no point like 120,90 on the structure, or 120,90,0 off it", value);
        return -1;
    }
    if (self->prompt.n_points == MAX_POINTS) {
        report_error("--point: '%s' is one too many: %d are taken", value, MAX_POINTS);
        return -1;
    }
    self->points[self->prompt.n_points++] = (sono_point){at[0], at[1], (int32_t)at[2]};
    return 0;
}

/* Turns to the segmenter alone where the user points at something. */
static void settle_prompt(run *self)
{
    if (!self->has_box && !self->prompt.n_points)
        return;
    self->args.is_segmenter_only = 1;
    self->args.config.prompt_boxes = self->has_box;
    self->args.config.prompt_points = self->prompt.n_points;
    self->prompt.points = self->points;
    self->flights.prompts = &self->prompt;
    self->flights.n_prompts = 1;
}

static int take(void *user, int id, const char *value)
{
    run *self = user;
    switch (id) {
    case ID_OUTPUT:
        self->output = value;
        return 0;
    case ID_QUIET:
        self->args.is_quiet = 1;
        return 0;
    case ID_NO_MASKS:
        self->sink_options.write_masks = 0;
        return 0;
    case ID_NO_OVERLAYS:
        self->sink_options.write_overlays = 0;
        return 0;
    case ID_DETECTOR_ONLY:
        self->args.is_detector_only = 1;
        self->sink_options.write_masks = 0;
        return 0;
    case ID_BOX:
        return take_box(self, value);
    case ID_POINT:
        return take_point(self, value);
    default:
        return pipeline_args_take(&self->args, id, value);
    }
}

static const args_option options[] = {
    {"input", ID_INPUT, "PATH...",
     "image files (PNG, JPEG, TIFF, PGM, PPM) or folders of them, in\nnatural order; bare paths are inputs "
     "too; pages of a TIFF are frames\n<stem>_p0001, ...; pictures are turned as EXIF and TIFF say; "
     "recordings of\nPLUS, 3D Slicer and 'record' (.igs.mha, .mhd, .nrrd, .nhdr) are frames\n<stem>_f0001, "
     "...; "
     "phantom:[seed=N,frames=N,size=WxH,...] is the synthetic\nscanner"},
    {"output", ID_OUTPUT, "DIR",
     "folder for the results, made when missing; results.jsonl and\npictures that are there already are "
     "overwritten"},
    PIPELINE_OPTIONS,
    STATE_OPTIONS,
    {"detector-only", ID_DETECTOR_ONLY, NULL, "find boxes, outline nothing: no segmenter, no masks"},
    {"box", ID_BOX, "X1,Y1,X2,Y2", "outline what is in this box of each frame: no detector"},
    {"point", ID_POINT, "X,Y[,0]",
     "outline what is at this point of each frame, or with ,0 is not;\ncan be repeated, and go with --box"},
    {"weights", ID_WEIGHTS, NULL, "also write weights/<stem>_{edge,inside,outside}.png"},
    {"no-masks", ID_NO_MASKS, NULL, "write no masks/<stem>.png"},
    {"no-overlays", ID_NO_OVERLAYS, NULL, "write no overlays/<stem>.png"},
    {"quiet", ID_QUIET, NULL, "no progress line, no summary; errors only"},
    PROFILER_OPTION,
};

static const args_spec spec = {
    .command = "run",
    .usage = "run --input PATH... --output DIR [options]",
    .intro = "Finds one structure in each image and writes, in input order:\n"
             "  DIR/results.jsonl         one JSON object a frame: state, score, box, mask area, times\n"
             "  DIR/masks/<stem>.png      8 bits, 0 or 255, the size of the source image\n"
             "  DIR/overlays/<stem>.png   the image with contour, box and score, to look at\n"
             "  DIR/sonoseg_run.json      this command, its models and settings ('sonoseg report' reads it)\n"
             "A frame without a structure is LOST: box null, mask empty. An input that cannot be read is "
             "named on\n"
             "stderr, nothing is written for it, and the rest is done.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples =
        "examples\n"
        "  sonoseg run --input sweep/ --output out --detector dfine_s.pth --segmenter mobile_sam.pt\n"
        "  export SONO_DETECTOR=dfine_s.pth SONO_SEGMENTER=mobile_sam.pt\n"
        "  sonoseg run a.png b.png --output out --threshold 0.5\n"
        "  sonoseg run sweep/ --output out --no-overlays --events kpi.log --quiet\n\n"
        "exit status\n"
        "  0 all done   1 an input, a checkpoint or the output failed   2 usage   130 Ctrl-C, 143 SIGTERM,\n"
        "  129 SIGHUP: frames in flight are finished and written",
    .take = take,
};

static sono_status write_result(void *user, const flight *current, const sono_packet *packet,
                                sono_error *error)
{
    const run *self = user;
    return sono_sink_write(self->sink, packet, &current->image, current->name, error);
}

static void print_summary(run *self)
{
    flights *done = &self->flights;
    printf(
        "%lld frame%s: %lld VISIBLE, %lld LOST; %lld failed; median %.1f ms, %.2f frames/s; results in %s\n",
        (long long)done->n_frames, done->n_frames == 1 ? "" : "s", (long long)(done->n_frames - done->n_lost),
        (long long)done->n_lost, (long long)done->n_failed, samples_percentile(&done->latencies_ms, 50),
        done->elapsed_s > 0 ? (double)done->n_frames / done->elapsed_s : 0.0, self->output);
}

static int process(run *self)
{
    sono_error error;
    self->flights.take = write_result;
    self->flights.user = self;
    self->flights.has_no_hints = self->args.is_quiet;
    self->flights.is_quiet = self->args.is_quiet || self->args.events.stream == stderr;
    int status = flights_run(&self->flights);
    if (self->flights.has_stopped)
        report_error("stopped: what was done before is in %s", self->output);
    if (sono_sink_close(self->sink, &error)) {
        report_error("%s", error.text);
        status = STATUS_FAILED;
    }
    if (!self->args.is_quiet)
        print_summary(self);
    return status;
}

static int open_and_process(run *self)
{
    sono_error error;
    self->args.config.n_slots = FLIGHTS_HELD;
    self->sink_options.write_weights = self->args.config.want_weight_maps;
    int status = pipeline_args_open_source(&self->args, FLIGHTS_HELD, &self->flights.source);
    if (!status)
        status = output_check(&self->args, self->args.inputs, self->args.n_inputs,
                              &(sono_output){self->output, SONO_OUTPUT_RESULTS}, 1);
    if (!status)
        pipeline_args_say_left_out(&self->args, self->flights.source);
    if (!status)
        status = pipeline_args_open(&self->args, &self->flights.pipeline);
    if (status)
        return status;
    if (sono_sink_open_folder(self->output, &self->sink_options, &self->sink, &error)) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    if (made_by_write(self->output, self->argc, self->argv, &self->args, self->args.config.threshold,
                      self->flights.pipeline)) {
        sono_sink_close(self->sink, NULL);
        return STATUS_FAILED;
    }
    return process(self);
}

static int check_usage(run *self)
{
    if (!self->args.n_inputs)
        report_error("no input: pass --input PATH...");
    else if (!self->output)
        report_error("no output folder: pass --output DIR");
    else if (self->args.is_detector_only && self->args.is_segmenter_only)
        report_error("--box and --point go to the segmenter, and --detector-only opens none");
    else if (self->args.is_detector_only && self->args.config.want_weight_maps)
        report_error("--weights are made from masks, and --detector-only makes none");
    else
        return pipeline_args_find_checkpoints(&self->args);
    report_see_help("run");
    return STATUS_USAGE;
}

int cmd_run(int argc, char **argv)
{
    run self = {.argc = argc, .argv = argv};
    pipeline_args_init(&self.args);
    sono_sink_options_init(&self.sink_options);
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    int status = parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    settle_prompt(&self);
    if (parsed == ARGS_GO)
        status = check_usage(&self);
    if (parsed == ARGS_GO && !status)
        status = open_and_process(&self);
    sono_pipeline_close(self.flights.pipeline);
    sono_source_close(self.flights.source);
    flights_free(&self.flights);
    const int closed = pipeline_args_close(&self.args);
    return status ? status : closed;
}
