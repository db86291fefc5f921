// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "pipeline_args.h"
#include "progress.h"
#include "stats.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define N_SLOTS 2 /* one frame is computed while the one before is written and the one behind is read */

enum { ID_OUTPUT = 'o', ID_QUIET = 'q', ID_NO_MASKS = ID_OWN, ID_NO_OVERLAYS };

typedef struct flight {
    sono_frame frame;
    const char *name;
} flight;

typedef struct run {
    pipeline_args args;
    const char *output;
    sono_sink_options sink_options;
    sono_source *source;
    sono_sink *sink;
    sono_pipeline *pipeline;
    int at_end;      /* nothing more is read: the inputs are done, or the user wants to stop */
    int has_stopped; /* the pipeline or the output is of no more use */
    int64_t n_frames;
    int64_t n_lost;
    int64_t n_failed;
    samples latencies_ms;
    double started_s;
    progress bar;
} run;

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
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
    default:
        return pipeline_args_take(&self->args, id, value);
    }
}

static const args_option options[] = {
    {"input", ID_INPUT, "PATH...",
     "image files (PNG, JPEG, TIFF, PGM, PPM) or folders of them, in\nnatural order; bare paths are inputs "
     "too; phantom:[seed=N,frames=N,size=WxH,...] is the synthetic\nscanner"},
    {"output", ID_OUTPUT, "DIR",
     "folder for the results, made when missing; results.jsonl and\npictures that are there already are "
     "overwritten"},
    PIPELINE_OPTIONS,
    {"weights", ID_WEIGHTS, NULL, "also write weights/<stem>_{edge,inside,outside}.png"},
    {"no-masks", ID_NO_MASKS, NULL, "write no masks/<stem>.png"},
    {"no-overlays", ID_NO_OVERLAYS, NULL, "write no overlays/<stem>.png"},
    {"quiet", ID_QUIET, NULL, "no progress line, no summary; errors only"},
};

static const args_spec spec = {
    .command = "run",
    .usage = "run --input PATH... --output DIR [options]",
    .intro = "Finds one structure in each image and writes, in input order:\n"
             "  DIR/results.jsonl         one JSON object a frame: state, score, box, mask area, times\n"
             "  DIR/masks/<stem>.png      8 bits, 0 or 255, the size of the source image\n"
             "  DIR/overlays/<stem>.png   the image with contour, box and score, to look at\n"
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
        "  0 all done   1 an input, a checkpoint or the output failed   2 usage   130 interrupted (Ctrl-C:\n"
        "  frames in flight are finished and written)",
    .take = take,
};

static void fail_input(run *self, const char *name, const sono_error *error)
{
    self->n_failed++;
    progress_clear(&self->bar);
    if (strstr(error->text, name))
        report_error("%s%s", error->text, error->status == SONO_STATUS_LIMIT ? " (see --max-size)" : "");
    else
        report_error("%s: %s%s", name, error->text,
                     error->status == SONO_STATUS_LIMIT ? " (see --max-size)" : "");
    progress_update(&self->bar, self->n_frames + self->n_failed, "");
}

/* Reads the next frame that can be read, naming those that cannot. Returns whether there is one. */
static int read_next(run *self, flight *next)
{
    sono_error error;
    while (!self->at_end && !is_interrupted) {
        const sono_status status = sono_source_next(self->source, &next->frame, &next->name, &error);
        if (status == SONO_STATUS_OK)
            return 1;
        if (status == SONO_STATUS_END)
            break;
        fail_input(self, next->name, &error);
    }
    self->at_end = 1;
    return 0;
}

/* Returns whether the frame is in flight now. */
static int submit(run *self, const flight *next)
{
    sono_error error;
    if (is_interrupted || self->has_stopped)
        return 0;
    const sono_status status = sono_pipeline_submit(self->pipeline, &next->frame, &error);
    if (status == SONO_STATUS_OK)
        return 1;
    fail_input(self, next->name, &error);
    self->has_stopped = status == SONO_STATUS_DEVICE;
    return 0;
}

static void count_packet(run *self, const sono_packet *packet)
{
    char state[48];
    self->n_frames++;
    self->n_lost += packet->state == SONO_STATE_LOST;
    samples_add(&self->latencies_ms, packet->latency_ms);
    snprintf(state, sizeof state, "%s %.2f", sono_state_name(packet->state),
             (double)packet->objects[0].score);
    progress_update(&self->bar, self->n_frames + self->n_failed, state);
}

/* Waits for the frame in flight; NULL when there is no packet. */
static const sono_packet *receive(run *self, const flight *current)
{
    sono_error error;
    const sono_packet *packet = NULL;
    if (sono_pipeline_receive(self->pipeline, &packet, &error) == SONO_STATUS_OK)
        return packet;
    fail_input(self, current->name, &error);
    self->has_stopped = 1;
    return NULL;
}

static void write_result(run *self, const flight *current, const sono_packet *packet)
{
    sono_error error;
    if (sono_sink_write(self->sink, packet, &current->frame, current->name, &error) == SONO_STATUS_OK) {
        count_packet(self, packet);
    } else {
        fail_input(self, current->name, &error);
        self->has_stopped = 1;
    }
    sono_packet_release(self->pipeline, packet);
}

/* A frame's latency holds no waiting for another: it is submitted when the one before it has been received.
 */
static int process(run *self)
{
    flight current = {0}, next = {0};
    int is_flying = 0;
    self->started_s = now_s();
    progress_start(&self->bar, sono_source_count(self->source),
                   !self->args.is_quiet && self->args.events.stream != stderr);
    progress_update(&self->bar, 0, "");
    while (!self->has_stopped) {
        const int has_next = read_next(self, &next);
        if (!is_flying && !has_next)
            break;
        const sono_packet *packet = is_flying ? receive(self, &current) : NULL;
        is_flying = has_next && submit(self, &next);
        if (packet)
            write_result(self, &current, packet);
        current = next;
    }
    progress_clear(&self->bar);
    if (self->has_stopped)
        report_error("stopped: what was done before is in %s", self->output);
    return self->n_failed ? STATUS_FAILED : STATUS_DONE;
}

static void print_summary(run *self)
{
    const double elapsed = now_s() - self->started_s;
    printf(
        "%lld frame%s: %lld VISIBLE, %lld LOST; %lld failed; median %.1f ms, %.2f frames/s; results in %s\n",
        (long long)self->n_frames, self->n_frames == 1 ? "" : "s", (long long)(self->n_frames - self->n_lost),
        (long long)self->n_lost, (long long)self->n_failed, samples_percentile(&self->latencies_ms, 50),
        elapsed > 0 ? (double)self->n_frames / elapsed : 0.0, self->output);
}

static int open_and_process(run *self)
{
    sono_error error;
    self->args.config.n_slots = N_SLOTS;
    self->sink_options.write_weights = self->args.config.want_weight_maps;
    self->sink_options.gray16_white = self->args.config.gray16_white;
    int status = pipeline_args_open_source(&self->args, N_SLOTS, &self->source);
    if (!status)
        status = pipeline_args_open(&self->args, &self->pipeline);
    if (status)
        return status;
    if (sono_sink_open_folder(self->output, &self->sink_options, &self->sink, &error)) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    status = process(self);
    if (sono_sink_close(self->sink, &error)) {
        report_error("%s", error.text);
        status = STATUS_FAILED;
    }
    if (!self->args.is_quiet)
        print_summary(self);
    return is_interrupted ? STATUS_INTERRUPTED : status;
}

static int check_usage(const run *self)
{
    if (!self->args.n_inputs)
        report_error("no input: pass --input PATH...");
    else if (!self->output)
        report_error("no output folder: pass --output DIR");
    else
        return pipeline_args_has_checkpoints(&self->args) ? STATUS_DONE : STATUS_USAGE;
    report_see_help("run");
    return STATUS_USAGE;
}

int cmd_run(int argc, char **argv)
{
    run self = {0};
    pipeline_args_init(&self.args);
    sono_sink_options_init(&self.sink_options);
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    int status = parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (parsed == ARGS_GO)
        status = check_usage(&self);
    if (parsed == ARGS_GO && !status) {
        const struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
        sigaction(SIGINT, &action, NULL);
        status = open_and_process(&self);
    }
    sono_pipeline_close(self.pipeline);
    sono_source_close(self.source);
    samples_free(&self.latencies_ms);
    const int closed = pipeline_args_close(&self.args);
    return status ? status : closed;
}
