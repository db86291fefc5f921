// SPDX-License-Identifier: Apache-2.0
#include "pipeline_args.h"

#include "commands.h"
#include "phantom_input.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIDE_PX 16384
/* What the segmenter of sonoseg leaves beside a bone is below it, and no bone is (docs/evaluation.md). */
#define SHIPPED_MIN_PIECE 0.02f
#define SHIPPED_BRIDGE    0.15f

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

void pipeline_args_init(pipeline_args *args)
{
    *args = (pipeline_args){0};
    sono_pipeline_config_init(&args->config);
    sono_state_rules_init(&args->state_rules);
    args->burned_in = SONO_BURNED_IN_UNSEEN;
    args->config.detector_path = from_environment("SONO_DETECTOR");
    args->config.segmenter_path = from_environment("SONO_SEGMENTER");
}

static int add_input(pipeline_args *args, const char *path)
{
    if (!*path) {
        report_error("an input path is empty");
        return -1;
    }
    const char **inputs = realloc(args->inputs, ((size_t)args->n_inputs + 1) * sizeof *inputs);
    if (!inputs) {
        report_error("out of memory");
        return -1;
    }
    inputs[args->n_inputs++] = path;
    args->inputs = inputs;
    return 0;
}

static int take_device(pipeline_args *args, const char *value)
{
    const size_t n_digits = strncmp(value, "cuda:", 5) ? 0 : strlen(value + 5);
    const int is_numbered = n_digits && n_digits <= 3 && strspn(value + 5, "0123456789") == n_digits;
    if (strcmp(value, "auto") && strcmp(value, "cpu") && strcmp(value, "cuda") && !is_numbered) {
        report_error("--device: '%s' is none of auto, cpu, cuda, cuda:N", value);
        return -1;
    }
    args->config.device = value;
    return 0;
}

static int take_precision(pipeline_args *args, const char *value)
{
    const int is_half = !strcmp(value, "fp16");
    if (!is_half && strcmp(value, "fp32") != 0) {
        report_error("--precision: '%s' is neither fp32 nor fp16", value);
        return -1;
    }
    args->config.precision = is_half ? SONO_PRECISION_FP16 : SONO_PRECISION_FP32;
    return 0;
}

int family_take(const char *value, sono_detector_family *out)
{
    for (int family = SONO_FAMILY_DFINE; family <= SONO_FAMILY_DEIM; family++)
        if (!strcmp(value, sono_detector_family_name((sono_detector_family)family))) {
            *out = (sono_detector_family)family;
            return 0;
        }
    report_error("--detector-family: '%s' is neither dfine nor deim", value);
    return -1;
}

void family_warn(const char *path)
{
    report_warning("%s does not say whose detector it is: taken for D-FINE's, with ReLU in the decoder "
                   "(--detector-family deim if DEIM trained it, dfine takes it without this line)",
                   path);
}

static int take_size(const char *option, const char *value, const char *example, int32_t *width_px,
                     int32_t *height_px)
{
    char *end = NULL;
    const long width = strtol(value, &end, 10);
    const long height = *end == 'x' ? strtol(end + 1, &end, 10) : 0;
    if (*end || width < 1 || height < 1 || width > MAX_SIDE_PX || height > MAX_SIDE_PX) {
        report_error("--%s: '%s' is not a size like %s, sides within 1..%d", option, value, example,
                     MAX_SIDE_PX);
        return -1;
    }
    *width_px = (int32_t)width;
    *height_px = (int32_t)height;
    return 0;
}

static int take_float_range(pipeline_args *args, const char *value)
{
    char *end = NULL;
    const double low = strtod(value, &end);
    const double high = end != value && *end == ',' ? strtod(end + 1, &end) : low;
    if (*end || !isfinite(low) || !isfinite(high) || low >= high) {
        report_error("--float-range: '%s' is not a range like 0,1 with the lower value first", value);
        return -1;
    }
    args->float_low = low;
    args->float_high = high;
    return 0;
}

static int take_white(pipeline_args *args, const char *value)
{
    if (strcmp(value, "auto"))
        return args_integer("gray16-white", value, 1, 65535, &args->gray16_white);
    args->gray16_white = SONO_GRAY16_AUTO;
    return 0;
}

static int take_state_mode(pipeline_args *args, const char *value)
{
    static const char *const names[] = {
        [SONO_STATE_BY_SCORE] = "score", [SONO_STATE_BY_FRAME] = "frame", [SONO_STATE_BY_STREAM] = "stream"};
    for (int mode = SONO_STATE_BY_SCORE; mode <= SONO_STATE_BY_STREAM; mode++)
        if (!strcmp(value, names[mode])) {
            args->config.state_mode = (sono_state_mode)mode;
            return 0;
        }
    report_error("--state: '%s' is none of score, frame, stream", value);
    return -1;
}

static int take_state_rule(pipeline_args *args, const char *value)
{
    char name[32];
    char *end = NULL;
    sono_error error;
    const size_t n = strcspn(value, "=");
    const char *number = value + n + (value[n] == '=');
    errno = 0;
    const long long rule = strtoll(number, &end, 10);
    if (!n || n >= sizeof name || end == number || *end || errno) {
        report_error("--state-rule: '%s' is not a rule and a whole number, such as visible_after_ms=120",
                     value);
        return -1;
    }
    memcpy(name, value, n);
    name[n] = 0;
    if (!sono_state_rules_set(&args->state_rules, name, rule, &error))
        return 0;
    report_error("--state-rule: %s", error.text);
    return -1;
}

static int take_surface(pipeline_args *args, const char *value)
{
    args->has_surface = 1;
    args->config.want_surface = !strcmp(value, "on");
    if (args->config.want_surface || !strcmp(value, "off"))
        return 0;
    report_error("--surface: %s is neither on nor off", value);
    return -1;
}

static int take_region(pipeline_args *args, const char *value)
{
    sono_error error;
    args->wants_file_region = !strcmp(value, "dicom");
    if (!sono_pipeline_config_set_region(&args->config, args->wants_file_region ? "none" : value, &error))
        return 0;
    report_error("--region: %s", error.text);
    return -1;
}

int pipeline_args_take(pipeline_args *args, int id, const char *value)
{
    sono_pipeline_config *config = &args->config;
    switch (id) {
    case ARGS_BARE:
    case ID_INPUT:
        return add_input(args, value);
    case ID_DETECTOR:
        config->detector_path = value;
        return 0;
    case ID_FAMILY:
        return family_take(value, &config->detector_family);
    case ID_DETECTOR_SIZE:
        return take_size("detector-size", value, "640x480", &config->detector_width_px,
                         &config->detector_height_px);
    case ID_SEGMENTER:
        config->segmenter_path = value;
        return 0;
    case ID_SEGMENTER_SIZE:
        return args_integer("segmenter-size", value, 64, MAX_SIDE_PX, &config->segmenter_size_px);
    case ID_DEVICE:
        return take_device(args, value);
    case ID_PRECISION:
        return take_precision(args, value);
    case ID_THRESHOLD:
        return args_fraction("threshold", value, 0, 1, &config->threshold);
    case ID_THREADS:
        return args_integer("threads", value, 0, 1024, &config->n_threads);
    case ID_MAX_OBJECTS:
        return args_integer("max-objects", value, 1, 16, &config->max_objects);
    case ID_MAX_SIZE:
        return take_size("max-size", value, "1920x1200", &config->max_width_px, &config->max_height_px);
    case ID_GRAY16_WHITE:
        return take_white(args, value);
    case ID_FLOAT_RANGE:
        return take_float_range(args, value);
    case ID_COLOR:
        args->keep_colour = 1;
        return 0;
    case ID_EVENTS:
        args->events_path = value;
        return 0;
    case ID_EVENTS_JSON:
        args->events_as_json = 1;
        return 0;
    case ID_WEIGHTS:
        config->want_weight_maps = 1;
        return 0;
    case ID_SKIP_DECODER:
        config->skip_decoder_when_lost = 1;
        return 0;
    case ID_MIN_PIECE:
        args->has_min_piece = 1;
        return args_fraction("min-piece", value, 0, 1, &config->min_piece_share);
    case ID_STATE_MODE:
        return take_state_mode(args, value);
    case ID_STATE_SETTING:
        return take_state_rule(args, value);
    case ID_DETECT_EVERY:
        return args_integer("detect-every", value, 1, 100, &config->detect_every);
    case ID_BRIDGE:
        args->has_bridge = 1;
        return args_fraction("bridge", value, 0, 1, &config->bridge_share);
    case ID_SURFACE:
        return take_surface(args, value);
    case ID_REGION:
        return take_region(args, value);
    case ID_NO_GRAPH:
        config->without_graph = 1;
        return 0;
    default:
        return -1;
    }
}

static void report_missing_checkpoints(int has_detector, int has_segmenter)
{
    report_error("no checkpoint for the %s: pass %s",
                 has_detector    ? "segmenter"
                 : has_segmenter ? "detector"
                                 : "detector and the segmenter",
                 has_detector ? "--segmenter FILE or set SONO_SEGMENTER"
                 : has_segmenter
                     ? "--detector FILE or set SONO_DETECTOR"
                     : "--detector FILE --segmenter FILE or set SONO_DETECTOR and SONO_SEGMENTER");
    models_print_places(stderr);
    fputs("Official checkpoints work as they are; no conversion is needed.\n"
          "  detector   D-FINE n, s, m, l or x: dfine_*.pth, release dfinev1.0 at\n"
          "             https://github.com/Peterande/storage/releases (named in the README of "
          "Peterande/D-FINE)\n"
          "  segmenter  MobileSAM: weights/mobile_sam.pt in https://github.com/ChaoningZhang/MobileSAM\n"
          "The detector must have been trained on what you look for: D-FINE's own releases know everyday "
          "objects.\n",
          stderr);
}

/* A device that is not there is reported when the pipeline is opened. */
static sono_backend expected_backend(const char *device)
{
    sono_backend backend = SONO_BACKEND_CPU;
    sono_device_backend(device, &backend, NULL);
    return backend;
}

int pipeline_args_find_checkpoints(pipeline_args *args)
{
    sono_pipeline_config *config = &args->config;
    const sono_backend backend = expected_backend(config->device);
    const char **paths[] = {
        [MODEL_DETECTOR] = &config->detector_path, [MODEL_SEGMENTER] = &config->segmenter_path};
    const int is_left_out[] = {
        [MODEL_DETECTOR] = args->is_segmenter_only, [MODEL_SEGMENTER] = args->is_detector_only};
    int is_there[MODEL_ROLE_COUNT];
    for (int i = 0; i < MODEL_ROLE_COUNT; i++) {
        if (is_left_out[i])
            *paths[i] = NULL;
        else if (!*paths[i])
            *paths[i] = args->shipped[i] = models_find((model_role)i, backend);
        is_there[i] = is_left_out[i] || *paths[i];
    }
    if (args->shipped[MODEL_SEGMENTER] && !args->has_min_piece)
        config->min_piece_share = SHIPPED_MIN_PIECE;
    if (args->shipped[MODEL_SEGMENTER] && !args->has_bridge)
        config->bridge_share = SHIPPED_BRIDGE;
    if (args->shipped[MODEL_SEGMENTER] && !args->has_surface)
        config->want_surface = 1;
    if (is_there[MODEL_DETECTOR] && is_there[MODEL_SEGMENTER])
        return STATUS_DONE;
    report_missing_checkpoints(is_there[MODEL_DETECTOR], is_there[MODEL_SEGMENTER]);
    return STATUS_USAGE;
}

static int open_phantom(const pipeline_args *args, int32_t n_held, sono_source **out)
{
    sono_error error;
    sono_phantom_options options;
    if (args->n_inputs > 1) {
        report_error("phantom: cannot be mixed with other inputs: run them one after the other");
        return STATUS_USAGE;
    }
    if (phantom_input_parse(args->inputs[0], &options))
        return STATUS_USAGE;
    options.n_held = n_held;
    if (!sono_source_open_phantom(&options, out, &error))
        return STATUS_DONE;
    report_error("%s", error.text);
    return error.status == SONO_STATUS_INVALID_ARGUMENT ? STATUS_USAGE : STATUS_FAILED;
}

void pipeline_args_source_options(const pipeline_args *args, sono_source_options *out)
{
    const sono_pipeline_config *config = &args->config;
    sono_source_options_init(out);
    out->keep_colour = args->keep_colour;
    out->gray16_white = args->gray16_white;
    out->max_pixels = (int64_t)config->max_width_px * config->max_height_px;
    out->max_side_px =
        config->max_width_px > config->max_height_px ? config->max_width_px : config->max_height_px;
    out->float_low = args->float_low;
    out->float_high = args->float_high;
    out->wants_region = args->wants_file_region;
    out->burned_in = args->burned_in;
}

int pipeline_args_is_phantom(const pipeline_args *args)
{
    for (int32_t i = 0; i < args->n_inputs; i++)
        if (phantom_input_matches(args->inputs[i]))
            return 1;
    return 0;
}

int pipeline_args_open_source(const pipeline_args *args, int32_t n_held, sono_source **out)
{
    sono_error error;
    sono_source_options options;
    if (pipeline_args_is_phantom(args))
        return open_phantom(args, n_held, out);
    pipeline_args_source_options(args, &options);
    options.n_held = n_held;
    if (!sono_source_open_files(args->inputs, args->n_inputs, &options, out, &error))
        return STATUS_DONE;
    report_error("%s", error.text);
    return STATUS_FAILED;
}

void pipeline_args_say_left_out(const pipeline_args *args, const sono_source *source)
{
    const char *suffixes;
    const int64_t n = sono_source_left_out(source, &suffixes);
    if (n && !args->is_quiet)
        fprintf(stderr, "sonoseg: %lld file%s left out: %s\n", (long long)n, n == 1 ? "" : "s", suffixes);
}

static void warn_of_cpu(const pipeline_args *args, const sono_pipeline *pipeline)
{
    sono_pipeline_info info;
    const char *device = args->config.device;
    if (args->is_quiet || (device && strcmp(device, "auto") != 0))
        return;
    sono_pipeline_info_init(&info);
    if (sono_pipeline_query(pipeline, &info) == SONO_STATUS_OK && info.backend == SONO_BACKEND_CPU)
        fputs(
            "sonoseg: warning: no usable GPU: running on the CPU (--device cpu takes it without this line)\n",
            stderr);
}

int pipeline_args_open_events(pipeline_args *args)
{
    if (args->events_path) {
        if (events_open(&args->events, args->events_path, args->events_as_json))
            return STATUS_FAILED;
        args->config.on_event = events_write;
        args->config.on_event_user = &args->events;
    }
    args->config.state_rules = &args->state_rules;
    return STATUS_DONE;
}

void pipeline_args_warn(const pipeline_args *args, const sono_pipeline *pipeline)
{
    warn_of_cpu(args, pipeline);
    if (!args->is_quiet && args->config.detector_path && sono_pipeline_family(pipeline) == SONO_FAMILY_AUTO)
        family_warn(args->config.detector_path);
}

int pipeline_args_open(pipeline_args *args, sono_pipeline **out)
{
    sono_error error;
    if (pipeline_args_open_events(args))
        return STATUS_FAILED;
    const sono_status status = sono_pipeline_open(&args->config, out, &error);
    if (status == SONO_STATUS_OK) {
        pipeline_args_warn(args, *out);
        return STATUS_DONE;
    }
    report_error("%s", error.text);
    return status == SONO_STATUS_INVALID_ARGUMENT ? STATUS_USAGE : STATUS_FAILED;
}

int pipeline_args_close(pipeline_args *args)
{
    for (int i = 0; i < MODEL_ROLE_COUNT; i++)
        free(args->shipped[i]);
    free(args->inputs);
    args->inputs = NULL;
    return events_close(&args->events) ? STATUS_FAILED : STATUS_DONE;
}
