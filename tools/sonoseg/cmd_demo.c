// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "flights.h"
#include "metrics.h"
#include "output_check.h"
#include "pipeline_args.h"
#include "sheet.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_OUTPUT "sonoseg-demo"
#define DEFAULT_FRAMES 48
#define DEFAULT_SEED   20 /* of its twelve sweeps one is empty, and every shape of bone is there */
#define N_CELLS        12 /* of the contact sheet, and sweeps */
#define MAX_PATH       (PATH_MAX + 64)

enum { ID_OUTPUT = 'o', ID_QUIET = 'q', ID_FRAMES = ID_OWN, ID_SEED };

typedef struct demo {
    pipeline_args args;
    const char *output;
    int32_t n_frames;
    int32_t seed;
    sono_phantom_options phantom;
    sono_pipeline_info info;
    flights flights;
    sono_sink *sink;
    sheet sheet;
    int32_t n_cells;
    metrics_frame *measured; /* n_frames of them, flights.n_frames filled */
    metrics_summary summary;
    double median_ms;
} demo;

static const sono_colour good_ink = {226, 228, 233}, bad_ink = {255, 82, 82};

static int take_option(void *user, int id, const char *value)
{
    demo *self = user;
    switch (id) {
    case ID_OUTPUT:
        self->output = value;
        return 0;
    case ID_QUIET:
        self->args.is_quiet = 1;
        return 0;
    case ID_FRAMES:
        return args_integer("frames", value, 1, 100000, &self->n_frames);
    case ID_SEED:
        return args_integer("seed", value, 0, INT32_MAX, &self->seed);
    case ARGS_BARE:
    case ID_INPUT:
        report_error("unexpected '%s': demo makes its own frames; `sonoseg run` takes yours", value);
        return -1;
    default:
        return pipeline_args_take(&self->args, id, value);
    }
}

static const args_option options[] = {
    {"output", ID_OUTPUT, "DIR", "folder for the results; default " DEFAULT_OUTPUT},
    {"frames", ID_FRAMES, "N", "frames; default 48"},
    {"seed", ID_SEED, "N", "another number, other sweeps; default 20"},
    PIPELINE_OPTIONS,
    {"quiet", ID_QUIET, NULL, "no progress line, no summary; errors only"},
};

static const args_spec spec = {
    .command = "demo",
    .usage = "demo [options]",
    .intro =
        "Shows the whole thing working, with nothing to download: takes twelve short sweeps of the "
        "synthetic scanner,\n"
        "by linear, curvilinear, phased and endocavity probes, through the models that come with sonoseg, "
        "compares what\n"
        "they find with what is there, and writes\n"
        "  DIR/contact_sheet.png     a frame of each sweep, with the outline that was found and the true "
        "one\n"
        "  DIR/overlays, DIR/masks   a picture a frame\n"
        "  DIR/results.jsonl         one JSON object a frame",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples = "examples\n"
                "  sonoseg demo\n"
                "  sonoseg demo --frames 12 --seed 7 --output other",
    .take = take_option,
};

/* Whether the frame is the contact sheet's next: the middle one of its share of the frames. */
static int is_shown(const demo *self, int64_t index)
{
    return index == (2 * self->sheet.n_cells + 1) * (int64_t)self->n_frames / (2 * self->n_cells);
}

static void show_frame(demo *self, const flight *current, const uint8_t *mask, const metrics_frame *frame)
{
    char caption[48];
    const int is_right = frame->is_positive == frame->is_found;
    if (frame->is_positive && frame->is_found)
        snprintf(caption, sizeof caption, "%.2f  IoU %.2f", frame->score, frame->mask_iou);
    else
        snprintf(caption, sizeof caption, "%.2f  %s", frame->score,
                 is_right             ? "empty"
                 : frame->is_positive ? "missed"
                                      : "false alarm");
    const sheet_cell cell = {&current->image, current->truth.mask, mask, caption,
                             is_right ? good_ink : bad_ink};
    sheet_add(&self->sheet, &cell);
}

static void say_duration(const demo *self, const sono_packet *packet)
{
    if (self->args.is_quiet || self->flights.bar.is_on)
        return;
    printf("about %.0f s to go\n", packet->latency_ms * 1e-3 * (self->n_frames - 1));
    fflush(stdout);
}

static sono_status take_result(void *user, const flight *current, const sono_packet *packet,
                               sono_error *error)
{
    demo *self = user;
    const int64_t index = self->flights.n_frames;
    const uint8_t *mask = flights_best_mask(packet);
    const metrics_truth truth = {current->truth.labels, packet->width_px, packet->height_px};
    metrics_frame *frame = &self->measured[index];
    if (index == 0)
        say_duration(self, packet);
    if (metrics_measure(sono_packet_object(packet, 0), mask, &truth, self->args.config.threshold, frame)) {
        *error = (sono_error){.status = SONO_STATUS_OUT_OF_MEMORY, .text = "out of memory"};
        return error->status;
    }
    if (is_shown(self, index))
        show_frame(self, current, mask, frame);
    return sono_sink_write(self->sink, packet, &current->image, current->name, error);
}

static void print_start(const demo *self)
{
    printf("%d frames of %d x %d, in sweeps of %d, from the synthetic scanner (seed %d)\n"
           "%s and %s, %s %s\n",
           self->n_frames, self->phantom.width_px, self->phantom.height_px, self->phantom.n_sweep_frames,
           self->seed, self->info.detector, self->info.segmenter, sono_backend_name(self->info.backend),
           sono_precision_name(self->info.precision));
    fflush(stdout);
}

static void print_summary(const demo *self)
{
    const metrics_summary *s = &self->summary;
    printf("\n");
    if (s->n_positive)
        printf("  found         %.0f of %lld frames with a bone\n"
               "  mask IoU      %.3f on average against the phantom's truth, Dice %.3f\n",
               s->found_share * (double)s->n_positive, (long long)s->n_positive, s->iou_mean, s->dice_mean);
    if (s->n_empty)
        printf("  false alarms  %.0f in %lld frames without one\n", s->false_alarm_share * (double)s->n_empty,
               (long long)s->n_empty);
    printf("  latency       %.1f ms a frame (median)\n\n", self->median_ms);
    printf("Look at  %s/contact_sheet.png\n"
           "and at   %s/overlays/\n"
           "also     %s/masks/ and %s/results.jsonl\n\n"
           "Your own frames: sonoseg run --input FRAMES --output out\n",
           self->output, self->output, self->output, self->output);
}

static int write_sheet(demo *self)
{
    const metrics_summary *s = &self->summary;
    sono_error error;
    char path[MAX_PATH], heading[128], line[160];
    snprintf(heading, sizeof heading, "sonoseg demo: %lld synthetic frames", (long long)s->n_frames);
    snprintf(line, sizeof line,
             "bone found in %.0f of %lld, mask IoU %.2f, false alarms %.0f of %lld, %s %.1f ms",
             s->n_positive ? s->found_share * (double)s->n_positive : 0.0, (long long)s->n_positive,
             s->n_positive ? s->iou_mean : 0.0, s->n_empty ? s->false_alarm_share * (double)s->n_empty : 0.0,
             (long long)s->n_empty, sono_backend_name(self->info.backend), self->median_ms);
    sheet_write_heading(&self->sheet, heading, line);
    const sono_picture *picture = &self->sheet.picture;
    snprintf(path, sizeof path, "%s/contact_sheet.png", self->output);
    if (!sono_png_write(path, picture->pixels, picture->width_px, picture->height_px, 3, &error))
        return STATUS_DONE;
    report_error("%s", error.text);
    return STATUS_FAILED;
}

static int summarise(demo *self)
{
    const size_t n = (size_t)self->flights.n_frames;
    self->median_ms = samples_percentile(&self->flights.latencies_ms, 50);
    if (!metrics_summarise(self->measured, n, self->args.config.threshold, &self->summary))
        return STATUS_DONE;
    report_error("out of memory");
    return STATUS_FAILED;
}

static int process(demo *self)
{
    sono_error error;
    self->flights.take = take_result;
    self->flights.user = self;
    self->flights.wants_truth = 1;
    self->flights.is_quiet = self->args.is_quiet || self->args.events.stream == stderr;
    if (!self->args.is_quiet)
        print_start(self);
    int status = flights_run(&self->flights);
    if (sono_sink_close(self->sink, &error)) {
        report_error("%s", error.text);
        status = STATUS_FAILED;
    }
    if (!self->flights.n_frames)
        return status;
    const int finished = summarise(self) || write_sheet(self);
    if (!finished && !self->args.is_quiet)
        print_summary(self);
    return status ? status : finished;
}

static int open_source(demo *self)
{
    sono_error error;
    sono_phantom_options_init(&self->phantom);
    self->phantom.n_frames = self->n_frames;
    self->phantom.n_sweep_frames = (self->n_frames + N_CELLS - 1) / N_CELLS;
    self->phantom.seed = (uint64_t)self->seed;
    self->phantom.n_held = FLIGHTS_HELD;
    self->phantom.geometry = SONO_PHANTOM_ANY_GEOMETRY;
    if (!sono_source_open_phantom(&self->phantom, &self->flights.source, &error))
        return STATUS_DONE;
    report_error("%s", error.text);
    return STATUS_FAILED;
}

static int open_results(demo *self)
{
    sono_error error;
    sono_sink_options sink_options;
    sono_sink_options_init(&sink_options);
    sink_options.write_weights = self->args.config.want_weight_maps;
    self->n_cells = self->n_frames < N_CELLS ? self->n_frames : N_CELLS;
    self->measured = calloc((size_t)self->n_frames, sizeof *self->measured);
    if (!self->measured ||
        sheet_open(&self->sheet, self->n_cells, self->phantom.width_px, self->phantom.height_px)) {
        report_error("out of memory");
        return STATUS_FAILED;
    }
    if (!sono_sink_open_folder(self->output, &sink_options, &self->sink, &error))
        return STATUS_DONE;
    report_error("%s", error.text);
    return STATUS_FAILED;
}

static int open_and_process(demo *self)
{
    self->args.config.n_slots = FLIGHTS_HELD;
    int status = open_source(self);
    if (!status)
        status = output_check(&self->args, NULL, 0, &(sono_output){self->output, SONO_OUTPUT_RESULTS}, 1);
    if (!status)
        status = pipeline_args_open(&self->args, &self->flights.pipeline);
    if (!status)
        status = open_results(self);
    if (status)
        return status;
    sono_pipeline_info_init(&self->info);
    sono_pipeline_query(self->flights.pipeline, &self->info);
    return process(self);
}

int cmd_demo(int argc, char **argv)
{
    demo self = {.output = DEFAULT_OUTPUT, .n_frames = DEFAULT_FRAMES, .seed = DEFAULT_SEED};
    pipeline_args_init(&self.args);
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    int status = parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (parsed == ARGS_GO)
        status = pipeline_args_find_checkpoints(&self.args);
    if (parsed == ARGS_GO && !status)
        status = open_and_process(&self);
    sono_pipeline_close(self.flights.pipeline);
    sono_source_close(self.flights.source);
    flights_free(&self.flights);
    sheet_free(&self.sheet);
    free(self.measured);
    const int closed = pipeline_args_close(&self.args);
    return status ? status : closed;
}
