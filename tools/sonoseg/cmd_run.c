// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ID_OUTPUT = 'o',
    ID_QUIET = 'q',
    ID_NO_MASKS = ID_OWN,
    ID_NO_OVERLAYS,
    ID_KEEP_BURNED_IN,
    ID_DETECTOR_ONLY,
    ID_BOX,
    ID_POINT,
    ID_WORKERS,
    ID_BATCH,
    ID_PIPELINES,
    ID_MASKS,
    ID_OVERLAYS,
    ID_NO_TIMES,
    ID_RESUME,
    ID_SHARD
};

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
    if (self->prompt.n_points == RUN_MAX_POINTS) {
        report_error("--point: '%s' is one too many: %d are taken", value, RUN_MAX_POINTS);
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
    self->archive.prompts = &self->prompt;
    self->archive.n_prompts = 1;
}

static int take_device(run *self, const char *value)
{
    const int is_list = fleet_take_device(&self->fleet, value);
    if (is_list < 0)
        return -1;
    if (!is_list)
        self->fleet.device = NULL;
    return pipeline_args_take(&self->args, ID_DEVICE, is_list ? "cuda" : value);
}

static int take_masks(run *self, const char *value)
{
    self->sink_options.write_masks = !strcmp(value, "png");
    self->sink_options.write_rle = !strcmp(value, "rle");
    if (self->sink_options.write_masks || self->sink_options.write_rle || !strcmp(value, "none"))
        return 0;
    report_error("--masks: '%s' is none of png, rle, none", value);
    return -1;
}

static int take_overlays(run *self, const char *value)
{
    static const char *const names[] = {"all", "changed", "none"};
    for (int i = OVERLAYS_ALL; i <= OVERLAYS_NONE; i++)
        if (!strcmp(value, names[i])) {
            self->archive.overlays = (archive_overlays)i;
            return 0;
        }
    report_error("--overlays: '%s' is none of all, changed, none", value);
    return -1;
}

/* How the frames go through. */
static int take_flow(run *self, int id, const char *value)
{
    switch (id) {
    case ID_DEVICE:
        return take_device(self, value);
    case ID_WORKERS:
        return args_integer("workers", value, 0, 256, &self->n_workers);
    case ID_BATCH:
        return args_integer("batch", value, 1, 32, &self->batch);
    case ID_PIPELINES:
        return args_integer("pipelines", value, 1, ARCHIVE_MAX_PIPELINES, &self->fleet.n_each);
    case ID_MASKS:
        return take_masks(self, value);
    case ID_OVERLAYS:
        return take_overlays(self, value);
    case ID_NO_TIMES:
        self->sink_options.without_times = 1;
        return 0;
    case ID_RESUME:
        self->is_resumed = 1;
        return 0;
    case ID_SHARD:
        return shard_take(&self->part, value);
    default:
        return pipeline_args_take(&self->args, id, value);
    }
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
        return take_masks(self, "none");
    case ID_NO_OVERLAYS:
        return take_overlays(self, "none");
    case ID_KEEP_BURNED_IN:
        self->args.burned_in = SONO_BURNED_IN_KEEP;
        return 0;
    case ID_DETECTOR_ONLY:
        self->args.is_detector_only = 1;
        return take_masks(self, "none");
    case ID_BOX:
        return take_box(self, value);
    case ID_POINT:
        return take_point(self, value);
    default:
        return take_flow(self, id, value);
    }
}

static const args_option options[] = {
    {"input", ID_INPUT, "PATH...",
     "image files (PNG, JPEG, TIFF, PGM, PPM), MetaIO and NRRD (.mha, .mhd,\n.nrrd, .nhdr, .igs.*), DICOM "
     "ultrasound, videos (.mp4, .avi, ...; by the\ncommand ffmpeg), folders of all these in natural order, "
     "quoted patterns\n('*.mp4'), and @FILE, a list of paths; bare paths are inputs too. Pages\nof a TIFF "
     "are "
     "frames <stem>_p0001, ..., those of the others\n<stem>_f0001, ...; docs/formats.md has the "
     "rest.\nphantom:[seed=N,frames=N,size=WxH,...] is the synthetic scanner"},
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
    {"masks", ID_MASKS, "HOW",
     "png (default): masks/<stem>.png; rle: run lengths in results.jsonl,\nas COCO's tools read them; none"},
    {"overlays", ID_OVERLAYS, "WHICH",
     "all (default), none, or changed: those of frames whose state is not\nthat of the frame before"},
    {"no-masks", ID_NO_MASKS, NULL, "the same as --masks none"},
    {"no-overlays", ID_NO_OVERLAYS, NULL, "the same as --overlays none"},
    {"no-times", ID_NO_TIMES, NULL,
     "results.jsonl without latency_ms and ledger, which differ from run to\nrun: the same inputs then give "
     "the same bytes"},
    {"keep-burned-in", ID_KEEP_BURNED_IN, NULL,
     "DICOM: overlays show all pixels, also those outside of the ultrasound\nregions and of files that may "
     "show a name (docs/formats.md)"},
    {"resume", ID_RESUME, NULL,
     "go on with what is in DIR: frames that are done, by the same settings\nand with pictures that are "
     "whole, are not done again"},
    {"shard", ID_SHARD, "I/N",
     "do the I-th of N shares of the frames alone, for several machines;\n'sonoseg merge' puts the folders "
     "together"},
    {"workers", ID_WORKERS, "N", "threads that read frames and write results; default 0 = every core"},
    {"batch", ID_BATCH, "N",
     "frames computed at once, 1..32; default 1 on the CPU, 8 on a GPU from\n64 inputs on"},
    {"pipelines", ID_PIPELINES, "N",
     "so many pipelines on each device, default 1; --device cuda:all or\ncuda:0,1 opens them on each of "
     "these "
     "GPUs. One that fails is left out,\nand the others do its frames again"},
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
        "  sonoseg run clip.mp4 study.dcm @list.txt --output out\n"
        "  sonoseg run sweep/ --output out --no-overlays --events kpi.log --quiet\n"
        "  sonoseg run archive/ --output out --device cuda:all --overlays changed --masks rle --resume\n\n"
        "exit status\n"
        "  0 all done   1 an input, a checkpoint or the output failed   2 usage   130 Ctrl-C, 143 SIGTERM,\n"
        "  129 SIGHUP: frames in flight are finished and written",
    .take = take,
};

/* What goes from frame to frame goes through one pipeline, from the first frame to the last. */
static const char *order_conflict(const run *self)
{
    const int is_stream = self->args.config.state_mode == SONO_STATE_BY_STREAM;
    const int is_part = self->is_resumed || self->part.n;
    if (is_stream && fleet_is_many(&self->fleet))
        return "--state stream goes from frame to frame: it takes one pipeline on one device";
    if (is_stream && is_part)
        return "--state stream goes from frame to frame: not with --resume or --shard, which leave some out";
    if (is_part && self->args.gray16_white == SONO_GRAY16_AUTO)
        return "--gray16-white auto looks at the frames before: with --resume and --shard give a number";
    if (self->part.n && self->archive.overlays == OVERLAYS_CHANGED)
        return "--overlays changed looks at the frame before, which is another shard's";
    return NULL;
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
    else if (self->args.is_detector_only && self->sink_options.write_rle)
        report_error("--masks rle needs masks, and --detector-only makes none");
    else if (order_conflict(self))
        report_error("%s", order_conflict(self));
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
    if (parsed == ARGS_GO) {
        fleet_hide_gpus(&self.fleet, &self.args);
        status = check_usage(&self);
    }
    if (parsed == ARGS_GO && !status)
        status = run_all(&self);
    const int closed = pipeline_args_close(&self.args);
    return status ? status : closed;
}
