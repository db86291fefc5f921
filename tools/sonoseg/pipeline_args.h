// SPDX-License-Identifier: Apache-2.0
/* The options that `run` and `bench` share: the checkpoints, the device, what to look for, the inputs. */
#ifndef SONOSEG_TOOL_PIPELINE_ARGS_H
#define SONOSEG_TOOL_PIPELINE_ARGS_H

#include "args.h"
#include "events.h"
#include "models.h"

#include "sonoseg/io.h"
#include "sonoseg/models.h"
#include "sonoseg/sonoseg.h"

enum {
    ID_INPUT = 'i',
    ID_DETECTOR = 256,
    ID_FAMILY,
    ID_DETECTOR_SIZE,
    ID_SEGMENTER_SIZE,
    ID_SEGMENTER,
    ID_DEVICE,
    ID_PRECISION,
    ID_THRESHOLD,
    ID_THREADS,
    ID_MAX_OBJECTS,
    ID_MAX_SIZE,
    ID_GRAY16_WHITE,
    ID_FLOAT_RANGE,
    ID_COLOR,
    ID_EVENTS,
    ID_EVENTS_JSON,
    ID_WEIGHTS,
    ID_SKIP_DECODER,
    ID_NO_GRAPH,
    ID_MIN_PIECE,
    ID_STATE_MODE,
    ID_STATE_SETTING,
    ID_DETECT_EVERY,
    ID_BRIDGE,
    ID_SURFACE,
    ID_REGION,
    ID_OWN /* first id of a command's own options */
};

/* A row for the option table of every command that opens a detector, and what takes its value: 0, or -1 after
 * report_error(). */
#define FAMILY_OPTION                                                                                        \
    {                                                                                                        \
        "detector-family", ID_FAMILY, "F",                                                                   \
            "dfine or deim (SiLU for ReLU in the decoder), where the\nfile does not say it; default dfine"   \
    }
int family_take(const char *value, sono_detector_family *out);

/* Says on stderr that the file's detector was taken for D-FINE's. */
void family_warn(const char *path);

/* Rows for a command's option table. */
#define PIPELINE_OPTIONS                                                                                     \
    {"detector", ID_DETECTOR, "FILE",                                                                        \
     "D-FINE checkpoint (.pth, .pt, .safetensors); default\n$SONO_DETECTOR, else the model that comes with " \
     "sonoseg"},                                                                                             \
        FAMILY_OPTION,                                                                                       \
        {"detector-size", ID_DETECTOR_SIZE, "WxH",                                                           \
         "the detector's input, multiples of 32; default as the file says,\nelse 640x640"},                  \
        {"segmenter", ID_SEGMENTER, "FILE", "MobileSAM checkpoint; default likewise, $SONO_SEGMENTER"},      \
        {"segmenter-size", ID_SEGMENTER_SIZE, "N",                                                           \
         "the segmenter's input, a multiple of 64; default as the file says,\nelse 1024"},                   \
        {"device", ID_DEVICE, "NAME", "auto (default), cpu, cuda or cuda:N"},                                \
        {"precision", ID_PRECISION, "P", "fp32 (default on the CPU) or fp16 (CUDA only, its default)"},      \
        {"threshold", ID_THRESHOLD, "T", "a best score below T is LOST; 0..1, default 0.30"},                \
        {"threads", ID_THREADS, "N", "CPU threads; default 0 = every core"},                                 \
        {"max-objects", ID_MAX_OBJECTS, "K", "segment up to K boxes a frame, 1..16; default 1"},             \
        {"min-piece", ID_MIN_PIECE, "SHARE",                                                                 \
         "remove pieces of the mask with less than this share of its largest\none, and those far from the "  \
         "box; 0 = none; default 0.02 with the\nsegmenter of sonoseg, 0 with others"},                       \
        {"bridge", ID_BRIDGE, "SHARE",                                                                       \
         "close gaps in the mask up to this share of the box's width where the\nimage has an echo; 0 = "     \
         "none; default 0.15 with the segmenter of\nsonoseg, 0 with others"},                                \
        {"surface", ID_SURFACE, "on|off",                                                                    \
         "find the ridge of the echo, to a fraction of a pixel; default on with\nthe segmenter of sonoseg, " \
         "off with others"},                                                                                 \
        {"region", ID_REGION, "none|find|dicom|X,Y,W,H",                                                     \
         "what the networks see of a frame: all of it (none, the default), the\nultrasound image that is "   \
         "found on a screen, the region that a DICOM\nfile names, or these pixels (docs/region.md)"},        \
        {"skip-decoder", ID_SKIP_DECODER, NULL, "CUDA 12.4: run no mask decoder where nothing is found"},    \
        {"max-size", ID_MAX_SIZE, "WxH",                                                                     \
         "largest frame, default 1920x1200; what is longer or has more pixels\nis refused, 1200x1920 is "    \
         "not"},                                                                                             \
        {"gray16-white", ID_GRAY16_WHITE, "V",                                                               \
         "16-bit value that means white, or auto: the file's own word, else the\nsmallest range that held "  \
         "all samples so far; default: the file's own word, else 65535"},                                    \
        {"float-range", ID_FLOAT_RANGE, "LO,HI",                                                             \
         "float TIFF, and sequences whose samples are signed, of 32 bits or\nfloats: LO becomes black, HI "  \
         "white; needed for such files"},                                                                    \
        {"color", ID_COLOR, NULL, "keep colour; by default colour images become luma"},                      \
        {"events", ID_EVENTS, "FILE", "write KPI events to FILE; '-' = standard error"},                     \
    {                                                                                                        \
        "events-json", ID_EVENTS_JSON, NULL, "KPI events as JSON lines"                                      \
    }

/* A row for commands that run streams. */
#define DETECT_EVERY_OPTION                                                                                  \
    {                                                                                                        \
        "detect-every", ID_DETECT_EVERY, "K",                                                                \
            "with states by stream: while VISIBLE the detector runs in every K-th\nframe only, else the "    \
            "box "                                                                                           \
            "is that of the mask before; 1..100, default 1"                                                  \
    }

/* Rows for commands that show states. */
#define STATE_OPTIONS                                                                                        \
    {"state", ID_STATE_MODE, "HOW",                                                                          \
     "what a state is decided by: score (default), frame (the quality of\neach image), or stream (of the "   \
     "images before it, too)"},                                                                              \
        DETECT_EVERY_OPTION,                                                                                 \
    {                                                                                                        \
        "state-rule", ID_STATE_SETTING, "NAME=V",                                                            \
            "a rule of the states, such as visible_after_ms=120; may be repeated\n(docs/state.md lists "     \
            "them)"                                                                                          \
    }

/* The last row of a command's table. */
#define PROFILER_OPTION                                                                                      \
    {                                                                                                        \
        "no-graph", ID_NO_GRAPH, NULL,                                                                       \
            "for profilers (ncu): CUDA launches op by op instead of one graph.\nThe same results, later; "   \
            "beyond the budget of audit: a launch an op"                                                     \
    }

typedef struct pipeline_args {
    sono_pipeline_config config;
    sono_state_rules state_rules; /* config's, once it is opened */
    int32_t keep_colour;
    double float_low, float_high;    /* 0, 0 = not given */
    int32_t gray16_white;            /* as in sono_source_options */
    int32_t wants_file_region;       /* likewise wants_region */
    int32_t burned_in;               /* likewise; UNSEEN unless the command shows pictures */
    char *shipped[MODEL_ROLE_COUNT]; /* paths; NULL = not needed */
    const char **inputs;             /* array owned, texts borrowed from argv */
    int32_t n_inputs;
    const char *events_path; /* NULL = none */
    int events_as_json;
    int is_detector_only;  /* no segmenter is looked for or opened */
    int is_segmenter_only; /* likewise */
    int is_quiet;          /* no warnings */
    int has_min_piece;     /* the user said which pieces stay */
    int has_bridge;        /* likewise which gaps are closed */
    int has_surface;       /* likewise whether a surface is wanted */
    events events;
} pipeline_args;

/* Defaults, and the checkpoints that the environment names. */
void pipeline_args_init(pipeline_args *args);

/* Takes one of the options above or a bare input path. 0, -1 after report_error(). */
int pipeline_args_take(pipeline_args *args, int id, const char *value);

/* Takes the models that come with sonoseg where no checkpoint is named (models.h). Returns an exit status (0
 * = both are named now) after saying on stderr where it looked and where official checkpoints come from. */
int pipeline_args_find_checkpoints(pipeline_args *args);

/* Opens the source of images and sequences over the inputs, or the phantom when they name it
 * (phantom_input.h), with n_held frames kept. Returns an exit status (0 = opened). */
int pipeline_args_open_source(const pipeline_args *args, int32_t n_held, sono_source **out);

/* What that source is opened with, one frame kept. */
void pipeline_args_source_options(const pipeline_args *args, sono_source_options *out);

/* Whether an input is the phantom. */
int pipeline_args_is_phantom(const pipeline_args *args);

/* Says in one line on stderr which files of the folders are left out, if any; nothing when quiet. */
void pipeline_args_say_left_out(const pipeline_args *args, const sono_source *source);

/* Opens the events and the pipeline; warns when `auto` ended on the CPU and when the detector's family is
 * only assumed. Returns an exit status (0 = opened) after reporting. */
int pipeline_args_open(pipeline_args *args, sono_pipeline **out);

/* Parts of it, for who opens several pipelines: opens the events and completes the configuration (an exit
 * status); says the warnings of an open pipeline. */
int pipeline_args_open_events(pipeline_args *args);
void pipeline_args_warn(const pipeline_args *args, const sono_pipeline *pipeline);

/* Closes the events, frees the list of inputs. Returns an exit status. */
int pipeline_args_close(pipeline_args *args);

#endif
