// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "output_folder.h"
#include "progress.h"
#include "stop.h"

#include "record/record.h"
#include "serve/recorder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIDE_PX 4096 /* of an image */

enum {
    ID_OUTPUT = 'o',
    ID_QUIET = 'q',
    ID_SOURCE = 256,
    ID_NAME,
    ID_DEVICE,
    ID_FRAMES,
    ID_SECONDS,
    ID_ONCE,
    ID_PAIRS,
    ID_JOIN
};

typedef struct record_run {
    sono_serve_config config;
    sono_serve_recorder_options options;
    const char *output;
    const char *join; /* a pair to join; NULL = record */
    int is_quiet;
    progress bar;
} record_run;

/* A key of the configuration. */
static int set(record_run *self, const char *option, const char *flag, const char *value)
{
    sono_error error;
    if (sono_serve_config_set(&self->config, flag, value, &error) == SONO_STATUS_OK)
        return 0;
    report_error("--%s: %s", option, error.text);
    return -1;
}

static int take_seconds(record_run *self, const char *value)
{
    char *end = NULL;
    const double seconds = strtod(value, &end);
    if (end != value && !*end && seconds > 0 && seconds <= 1e6) {
        self->options.max_ns = (int64_t)(seconds * 1e9);
        return 0;
    }
    report_error("--seconds: '%s' is not a number above 0, up to 1000000", value);
    return -1;
}

static int take_frames(record_run *self, const char *value)
{
    int32_t n = 0;
    if (args_integer("frames", value, 1, INT32_MAX, &n))
        return -1;
    self->options.max_frames = (uint64_t)n;
    return 0;
}

static int take(void *user, int id, const char *value)
{
    record_run *self = user;
    switch (id) {
    case ID_SOURCE:
        return set(self, "source", "source-address", value);
    case ID_NAME:
        return set(self, "name", "record-name", value);
    case ID_DEVICE:
        return set(self, "device", "source-device", value);
    case ID_FRAMES:
        return take_frames(self, value);
    case ID_SECONDS:
        return take_seconds(self, value);
    case ID_OUTPUT:
        self->output = value;
        return 0;
    case ID_JOIN:
        self->join = value;
        return 0;
    case ID_ONCE:
        self->options.is_once = 1;
        return 0;
    case ID_PAIRS:
        self->config.record_join = 0;
        return 0;
    case ID_QUIET:
        self->is_quiet = 1;
        return 0;
    default:
        report_error("unexpected '%s'", value);
        return -1;
    }
}

static const args_option options[] = {
    {"source", ID_SOURCE, "HOST:PORT",
     "the image source, a PlusServer for instance; default 127.0.0.1:18944"},
    {"output", ID_OUTPUT, "DIR", "folder for the files, made when missing; nothing in it is overwritten"},
    {"name", ID_NAME, "NAME", "files begin with it; default sonoseg"},
    {"device", ID_DEVICE, "NAME", "the IMAGE to record; default the first that comes"},
    {"frames", ID_FRAMES, "N", "end after N images"},
    {"seconds", ID_SECONDS, "S", "end S seconds after the first image"},
    {"once", ID_ONCE, NULL, "end when the source does; by default it is waited for and connected to\nagain"},
    {"pairs", ID_PAIRS, NULL, "leave .igs.mhd + .raw as they are, make no .igs.mha at the end"},
    {"join", ID_JOIN, "FILE",
     "record nothing: make one .igs.mha of FILE.igs.mhd and its .raw, which a\nrecorder that was killed "
     "left"},
    {"quiet", ID_QUIET, NULL, "no progress line, no summary; errors only"},
};

static const args_spec spec = {
    .command = "record",
    .usage = "record --output DIR [--source HOST:PORT] [options] | record --join FILE.igs.mhd",
    .intro =
        "Records the images of an OpenIGTLink source with their poses and times, until Ctrl-C:\n"
        "  DIR/NAME_0001.igs.mhd, .raw   while it records, readable at any moment\n"
        "  DIR/NAME_0001.igs.mha         at the end, in their place\n"
        "3D Slicer, Plus, 'sonoseg replay' and 'sonoseg run' read them. Images may show patients: the files\n"
        "are readable by you alone.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples =
        "examples\n"
        "  sonoseg record --source 127.0.0.1:18944 --output recordings\n"
        "  sonoseg record --output recordings --name knee --seconds 30\n"
        "  sonoseg record --join recordings/knee_0001.igs.mhd\n\n"
        "exit status\n"
        "  0 recorded, also when stopped by Ctrl-C or SIGTERM   1 the disk failed, nothing came   2 usage",
    .take = take,
};

static int on_progress(void *user, const sono_serve_recorder_facts *facts)
{
    record_run *self = user;
    char state[320];
    if (facts->is_connected && !*facts->text)
        snprintf(state, sizeof state, "%.1f MB", (double)facts->n_bytes * 1e-6);
    else
        snprintf(state, sizeof state, "%.1f MB  %s", (double)facts->n_bytes * 1e-6,
                 *facts->text ? facts->text : "connecting");
    progress_update(&self->bar, (int64_t)facts->recorded, state);
    return stop_status() != 0;
}

static void print_summary(const record_run *self, const sono_serve_recorder_facts *facts, int is_joined)
{
    const double seconds = (double)facts->duration_ns * 1e-9;
    printf("%llu images in %.1f s", (unsigned long long)facts->recorded, seconds);
    if (facts->recorded > 1 && seconds > 0)
        printf(", %.2f images/s", (double)(facts->recorded - 1) / seconds);
    if (facts->refused)
        printf(", %llu refused", (unsigned long long)facts->refused);
    printf(", %.1f MB in %s/%s_*.igs.%s\n", (double)facts->n_bytes * 1e-6, self->config.record_folder,
           self->config.record_name, is_joined ? "mha" : "mhd");
}

static int record(record_run *self)
{
    sono_error error;
    sono_serve_recorder_facts facts;
    if (set(self, "output", "record-folder", self->output) || output_folder_make(self->output))
        return STATUS_FAILED;
    if (sono_serve_config_check(&self->config, &error) != SONO_STATUS_OK) {
        report_error("%s", error.text);
        return STATUS_USAGE;
    }
    stop_watch();
    progress_start(&self->bar, self->options.max_frames ? (int64_t)self->options.max_frames : -1,
                   !self->is_quiet);
    const sono_status status = sono_serve_recorder_run(&self->config, &self->options, &facts, &error);
    progress_clear(&self->bar);
    if (!self->is_quiet && facts.recorded)
        print_summary(self, &facts, self->config.record_join && status == SONO_STATUS_OK);
    if (status != SONO_STATUS_OK)
        report_error("%s", error.text);
    else if (!facts.recorded)
        report_error("no image came from %s", *facts.text ? facts.text : self->config.source_address);
    return status == SONO_STATUS_OK && facts.recorded ? STATUS_DONE : STATUS_FAILED;
}

static int join(const record_run *self)
{
    char path[PATH_MAX];
    sono_error error;
    if (sono_record_join(self->join, path, sizeof path, &error) != SONO_STATUS_OK) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    if (!self->is_quiet)
        puts(path);
    return STATUS_DONE;
}

int cmd_record(int argc, char **argv)
{
    record_run self = {.options = {.progress = on_progress}};
    sono_serve_config_init(&self.config);
    self.config.record_masks = 0;
    self.config.engine_max_width_px = self.config.engine_max_height_px = MAX_SIDE_PX;
    self.options.user = &self;
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    if (parsed != ARGS_GO)
        return parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (self.join && self.output) {
        report_error("--join records nothing: leave --output out");
        return STATUS_USAGE;
    }
    if (self.join)
        return join(&self);
    if (self.output)
        return record(&self);
    report_error("no output folder: pass --output DIR");
    report_see_help(spec.command);
    return STATUS_USAGE;
}
