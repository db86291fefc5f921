// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "phantom_input.h"
#include "stop.h"

#include "replay/replay.h"
#include "serve/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_PORT    18944
#define DEFAULT_RATE_HZ 25 /* of images without times of their own */
#define HOST_BYTES      128

enum {
    ID_INPUT = 'i',
    ID_QUIET = 'q',
    ID_LISTEN = 256,
    ID_RATE,
    ID_BURST,
    ID_LOOP,
    ID_TIMESTAMPS,
    ID_DEVICE,
    ID_TRANSFORM,
    ID_PRELOAD,
    ID_QUEUE,
    ID_COLOR
};

typedef struct replay_run {
    const char **inputs;
    int32_t n_inputs;
    sono_replay_options options;
    sono_phantom_options phantom;
    char host[HOST_BYTES];
    int keeps_colour, is_phantom, is_sequence, has_rate, is_quiet;
} replay_run;

static int take_rate(replay_run *self, const char *value)
{
    char *end = NULL;
    self->has_rate = 1;
    self->options.pace = !strcmp(value, "max") ? SONO_REPLAY_MAXIMUM : SONO_REPLAY_ORIGINAL;
    if (!strcmp(value, "max") || !strcmp(value, "original"))
        return 0;
    self->options.pace = SONO_REPLAY_FIXED;
    self->options.rate_hz = strtod(value, &end);
    if (end != value && !*end && self->options.rate_hz >= 0.001 && self->options.rate_hz <= 10000)
        return 0;
    report_error("--rate: '%s' is neither original nor max nor frames a second within 0.001..10000", value);
    return -1;
}

static int take_timestamps(replay_run *self, const char *value)
{
    self->options.keeps_timestamps = !strcmp(value, "original");
    if (self->options.keeps_timestamps || !strcmp(value, "now"))
        return 0;
    report_error("--timestamps: '%s' is neither now nor original", value);
    return -1;
}

static int take_listen(replay_run *self, const char *value)
{
    self->options.host = self->host;
    if (!sono_serve_address_split(value, DEFAULT_PORT, self->host, sizeof self->host, &self->options.port))
        return 0;
    report_error("--listen: '%s' is no address like 127.0.0.1:%d", value, DEFAULT_PORT);
    return -1;
}

static int take_flag(replay_run *self, int id)
{
    if (id == ID_LOOP)
        self->options.is_loop = 1;
    else if (id == ID_PRELOAD)
        self->options.is_preloaded = 1;
    else if (id == ID_COLOR)
        self->keeps_colour = 1;
    else if (id == ID_QUIET)
        self->is_quiet = 1;
    else
        return -1;
    return 0;
}

static int take(void *user, int id, const char *value)
{
    replay_run *self = user;
    switch (id) {
    case ARGS_BARE:
    case ID_INPUT:
        self->inputs[self->n_inputs++] = value;
        return 0;
    case ID_LISTEN:
        return take_listen(self, value);
    case ID_RATE:
        return take_rate(self, value);
    case ID_BURST:
        return args_integer("burst", value, 1, 128, &self->options.burst);
    case ID_TIMESTAMPS:
        return take_timestamps(self, value);
    case ID_DEVICE:
        self->options.device = value;
        return 0;
    case ID_TRANSFORM:
        self->options.pose = value;
        return 0;
    case ID_QUEUE:
        return args_integer("queue", value, 1, 100000, &self->options.queue_frames);
    default:
        return take_flag(self, id);
    }
}

static const args_option options[] = {
    {"input", ID_INPUT, "PATH",
     "a sequence (.igs.mha, .igs.mhd, .igs.nrrd), image files, a folder of them,\n"
     "or phantom:[key=value,...] as of 'phantom'; a bare word is one, too"},
    {"listen", ID_LISTEN, "HOST:PORT", "default 127.0.0.1:18944; port 0 = any that is free"},
    {"rate", ID_RATE, "R",
     "original (default): as far apart as the frames' own times; frames a\n"
     "second (default 25 for images, which have no times); or max: as fast\nas the slowest client takes "
     "them"},
    {"burst", ID_BURST, "N", "with --rate HZ: N frames at once, every N/HZ seconds; 1..128"},
    {"loop", ID_LOOP, NULL, "begin again at the end"},
    {"timestamps", ID_TIMESTAMPS, "T",
     "now (default): when a frame is to be sent; original: its own, as recorded"},
    {"device", ID_DEVICE, "NAME", "of the IMAGE; default Image_Reference"},
    {"transform", ID_TRANSFORM, "NAME", "the pose in the IMAGE's matrix; default ImageToReference"},
    {"preload", ID_PRELOAD, NULL, "read every frame before the first client is let in"},
    {"queue", ID_QUEUE, "N", "a client that is N frames behind is disconnected; default 100"},
    {"color", ID_COLOR, NULL, "keep image files' colour; by default it becomes luma"},
    {"quiet", ID_QUIET, NULL, "no lines on clients, no summary; errors only"},
};

static const args_spec spec = {
    .command = "replay",
    .usage = "replay PATH [--loop] [--rate HZ|max|original] [options]",
    .intro =
        "Serves recorded or synthetic frames over OpenIGTLink as PlusServer does: IMAGE, TRANSFORM and\n"
        "metadata, to any number of clients. It begins when the first client comes and ends with the last\n"
        "frame, or at Ctrl-C.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples =
        "examples\n"
        "  sonoseg replay phantom: --loop\n"
        "  sonoseg replay sweep.igs.mha --timestamps original\n"
        "  sonoseg replay frames/ --rate 60 --loop --preload\n\n"
        "exit status\n"
        "  0 all done   1 a frame could not be read, the address is taken   2 usage   130, 143, 129 stopped\n"
        "  by Ctrl-C, SIGTERM, SIGHUP",
    .take = take,
};

static int is_sequence(const char *path)
{
    static const char *const suffixes[] = {".mha", ".mhd", ".nrrd", ".nhdr"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (!strcasecmp(dot, suffixes[i]))
            return 1;
    return 0;
}

static sono_status open_source(void *user, sono_source **out, sono_error *error)
{
    const replay_run *self = user;
    sono_source_options source;
    if (self->is_phantom)
        return sono_source_open_phantom(&self->phantom, out, error);
    sono_source_options_init(&source);
    source.keep_colour = self->keeps_colour;
    source.as_stored = self->is_sequence;
    source.pose_transform = self->options.pose;
    if (self->is_sequence)
        return sono_source_open_sequence(self->inputs[0], &source, out, error);
    return sono_source_open_images(self->inputs, self->n_inputs, &source, out, error);
}

static int is_stopped(void *user)
{
    (void)user;
    return stop_status() != 0;
}

static void say_ready(void *user, int32_t port)
{
    const replay_run *self = user;
    const char *const open = strchr(self->options.host, ':') ? "[" : "", *const close = *open ? "]" : "";
    char rate[48] = "at the frames' own rate";
    if (self->options.pace == SONO_REPLAY_MAXIMUM)
        snprintf(rate, sizeof rate, "as fast as clients take them");
    else if (self->options.pace == SONO_REPLAY_FIXED)
        snprintf(rate, sizeof rate, "at %g frames/s", self->options.rate_hz);
    printf("listening on %s%s%s:%d: %s %s, from the first client on; Ctrl-C ends it\n", open,
           self->options.host, close, port, self->inputs[0], rate);
    fflush(stdout);
}

static void say(void *user, const char *text)
{
    const replay_run *self = user;
    if (!self->is_quiet)
        fprintf(stderr, "sonoseg: %s\n", text);
}

static void print_summary(const replay_run *self, const sono_replay_summary *sum)
{
    printf("%llu frames in %.1f s", (unsigned long long)sum->n_frames, (double)sum->duration_ns * 1e-9);
    if (sum->rate_hz > 0)
        printf(", %.2f frames/s", sum->rate_hz);
    if (self->options.pace != SONO_REPLAY_MAXIMUM)
        printf(", %llu of them more than 1 ms late (worst %.2f ms)", (unsigned long long)sum->n_late,
               (double)sum->worst_late_ns * 1e-6);
    if (sum->n_unreadable)
        printf(", %llu left out", (unsigned long long)sum->n_unreadable);
    printf("; %.1f MB to %llu client%s", (double)sum->n_bytes * 1e-6, (unsigned long long)sum->n_clients,
           sum->n_clients == 1 ? "" : "s");
    if (sum->n_slow)
        printf(", %llu disconnected for being slow", (unsigned long long)sum->n_slow);
    printf("\n");
}

/* What only all options together show. 0, or -1 after report_error(). */
static int settle(replay_run *self)
{
    if (!self->n_inputs) {
        report_error("no input given");
        report_see_help(spec.command);
        return -1;
    }
    self->is_phantom = phantom_input_matches(self->inputs[0]);
    self->is_sequence = is_sequence(self->inputs[0]);
    for (int32_t i = 1; i < self->n_inputs; i++)
        if (self->is_phantom || phantom_input_matches(self->inputs[i]) || self->is_sequence ||
            is_sequence(self->inputs[i])) {
            report_error("'%s' is too many: one sequence or phantom at a time", self->inputs[i]);
            return -1;
        }
    if (!self->is_phantom && !self->is_sequence && !self->has_rate) {
        self->options.pace = SONO_REPLAY_FIXED;
        self->options.rate_hz = DEFAULT_RATE_HZ;
    }
    if (self->options.burst > 1 && self->options.pace != SONO_REPLAY_FIXED) {
        report_error("--burst goes with --rate HZ");
        return -1;
    }
    return self->is_phantom ? phantom_input_parse(self->inputs[0], &self->phantom) : 0;
}

static int serve(replay_run *self)
{
    sono_error error = {0};
    sono_replay_summary sum;
    if (settle(self))
        return STATUS_USAGE;
    stop_watch();
    const sono_status status = sono_replay_run(&self->options, &sum, &error);
    if (!self->is_quiet && sum.n_clients)
        print_summary(self, &sum);
    if (status != SONO_STATUS_OK) {
        report_error("%s", error.text);
        return status == SONO_STATUS_INVALID_ARGUMENT ? STATUS_USAGE : STATUS_FAILED;
    }
    return stop_status() ? stop_status() : sum.n_unreadable ? STATUS_FAILED : STATUS_DONE;
}

int cmd_replay(int argc, char **argv)
{
    replay_run self = {0};
    sono_replay_options_init(&self.options);
    self.options.open_source = open_source;
    self.options.is_stopped = is_stopped;
    self.options.ready = say_ready;
    self.options.log = say;
    self.options.user = &self;
    self.inputs = calloc((size_t)argc, sizeof *self.inputs);
    if (!self.inputs) {
        report_error("out of memory");
        return STATUS_FAILED;
    }
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    const int status = parsed == ARGS_GO ? serve(&self) : parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    free(self.inputs);
    return status;
}
