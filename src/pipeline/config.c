// SPDX-License-Identifier: Apache-2.0
#include "pipeline/config.h"

#include "base/sized.h"
#include "pipeline/slots.h"
#include "pipeline/packet.h"
#include "pipeline/maps.h"

#include "sonoseg/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FRAME_PX     16384
#define MAX_DETECT_EVERY 100

static const sono_pipeline_config defaults = {
    .struct_size = sizeof defaults,
    .device = "auto",
    .precision = SONO_PRECISION_AUTO,
    .threshold = 0.30f,
    .max_objects = 1,
    .max_width_px = 1920,
    .max_height_px = 1200,
    .n_slots = 2,
    .edge_width_px = 3,
    .outside_width_px = 5,
    .gray16_white = 65535,
    .time_stages = 1,
    .batch = 1,
    .host_maps = 1,
    .prompt_boxes = 1,
    .detect_every = 1,
};

void sono_pipeline_config_init_sized(void *config, size_t struct_size)
{
    sono_sized_init(config, struct_size, &defaults, sizeof defaults);
}

/* Four whole numbers with commas between them, and nothing else; digits alone, so that no sign passes. */
static int read_four(const char *text, int32_t out[4])
{
    for (int i = 0; i < 4; i++) {
        char *end = NULL;
        if (*text < '0' || *text > '9')
            return 0;
        const long value = strtol(text, &end, 10);
        if (value > MAX_FRAME_PX || *end != (i < 3 ? ',' : '\0'))
            return 0;
        out[i] = (int32_t)value;
        text = end + 1;
    }
    return out[2] > 0 && out[3] > 0;
}

sono_status sono_pipeline_config_set_region(sono_pipeline_config *config, const char *text, sono_error *error)
{
    int32_t v[4] = {0};
    if (!config || !text ||
        config->struct_size < offsetof(sono_pipeline_config, region) + sizeof(sono_region))
        return SONO_FAIL(error, INVALID_ARGUMENT, "the configuration is NULL, not set up or has no region");
    const int is_find = strcmp(text, "find") == 0;
    if (!is_find && strcmp(text, "none") != 0 && !read_four(text, v))
        return SONO_FAIL(
            error, INVALID_ARGUMENT,
            "region '%.80s': give none, find, or x,y,w,h in whole pixels, such as 160,100,640,480", text);
    config->find_region = is_find;
    config->region = (sono_region){v[0], v[1], v[2], v[3]};
    return SONO_STATUS_OK;
}

static sono_status check_range(const char *name, int64_t value, int64_t low, int64_t high, sono_error *error)
{
    if (value < low || value > high)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s is %lld: give %lld to %lld", name, (long long)value,
                         (long long)low, (long long)high);
    return SONO_STATUS_OK;
}

/* Whether it lies within a frame shows with each frame. */
static sono_status check_region(const sono_pipeline_config *c, sono_error *error)
{
    const sono_region *r = &c->region;
    SONO_TRY(check_range("find_region", c->find_region, 0, 1, error));
    if (!r->x_px && !r->y_px && !r->width_px && !r->height_px)
        return SONO_STATUS_OK;
    if (c->find_region)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "find_region is 1 and region is given: the region is either found or given");
    SONO_TRY(check_range("region.x_px", r->x_px, 0, MAX_FRAME_PX - 1, error));
    SONO_TRY(check_range("region.y_px", r->y_px, 0, MAX_FRAME_PX - 1, error));
    SONO_TRY(check_range("region.width_px", r->width_px, 1, MAX_FRAME_PX, error));
    return check_range("region.height_px", r->height_px, 1, MAX_FRAME_PX, error);
}

sono_status sono_config_resolve(const sono_pipeline_config *config, sono_pipeline_config *out,
                                sono_error *error)
{
    sono_pipeline_config c = defaults;
    SONO_TRY(sono_sized_read(config, offsetof(sono_pipeline_config, device), &c, sizeof c,
                             "sono_pipeline_config", error));
    if (c.models && (c.detector_path || c.segmenter_path || (c.device && strcmp(c.device, "auto") != 0) ||
                     c.precision != SONO_PRECISION_AUTO || c.detector_family != SONO_FAMILY_AUTO ||
                     c.detector_width_px || c.detector_height_px || c.segmenter_size_px))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "models is set, and a model set brings checkpoints, family, input sizes, device and "
                         "precision with it: leave these fields at their defaults");
    if (!c.models && !c.detector_path && !c.segmenter_path)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "no checkpoint: set detector_path, segmenter_path, or both");
    if (!(c.threshold >= 0.0f && c.threshold <= 1.0f))
        return SONO_FAIL(error, INVALID_ARGUMENT, "threshold is %g: give 0 to 1", (double)c.threshold);
    if (!(c.min_piece_share >= 0.0f && c.min_piece_share <= 1.0f))
        return SONO_FAIL(error, INVALID_ARGUMENT, "min_piece_share is %g: give 0 to 1",
                         (double)c.min_piece_share);
    SONO_TRY(check_range("detector_family", c.detector_family, SONO_FAMILY_AUTO, SONO_FAMILY_DEIM, error));
    SONO_TRY(check_range("detector_width_px", c.detector_width_px, 0, MAX_FRAME_PX, error));
    SONO_TRY(check_range("detector_height_px", c.detector_height_px, 0, MAX_FRAME_PX, error));
    SONO_TRY(check_range("segmenter_size_px", c.segmenter_size_px, 0, MAX_FRAME_PX, error));
    SONO_TRY(check_range("prompt_points", c.prompt_points, 0, SONO_MAX_POINTS, error));
    SONO_TRY(check_range("n_threads", c.n_threads, 0, 256, error));
    SONO_TRY(check_range("max_objects", c.max_objects, 1, SONO_MAX_OBJECTS, error));
    SONO_TRY(check_range("max_width_px", c.max_width_px, 1, MAX_FRAME_PX, error));
    SONO_TRY(check_range("max_height_px", c.max_height_px, 1, MAX_FRAME_PX, error));
    SONO_TRY(check_range("n_slots", c.n_slots, 1, SONO_MAX_SLOTS, error));
    SONO_TRY(check_range("batch", c.batch, 1, SONO_MAX_BATCH, error));
    if (c.batch > 1 && c.max_objects > 1)
        return SONO_FAIL(error, UNSUPPORTED, "batch is %d and max_objects is %d: one of the two must be 1",
                         c.batch, c.max_objects);
    SONO_TRY(check_range("map_dtype", c.map_dtype, SONO_MAP_DTYPE_U8, SONO_MAP_DTYPE_F32, error));
    SONO_TRY(check_range("state_mode", c.state_mode, SONO_STATE_BY_SCORE, SONO_STATE_BY_STREAM, error));
    SONO_TRY(check_range("want_surface", c.want_surface, 0, 1, error));
    SONO_TRY(check_range("detect_every", c.detect_every, 1, MAX_DETECT_EVERY, error));
    if (c.detect_every > 1 && (c.state_mode != SONO_STATE_BY_STREAM || c.batch > 1 || c.max_objects > 1))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "detect_every is %d: the box of the image before can stand for the detector's only "
                         "with state_mode BY_STREAM, batch 1 and max_objects 1",
                         c.detect_every);
    SONO_TRY(check_region(&c, error));
    if (!(c.bridge_share >= 0.0f && c.bridge_share <= 1.0f))
        return SONO_FAIL(error, INVALID_ARGUMENT, "bridge_share is %g: give 0 to 1", (double)c.bridge_share);
    SONO_TRY(check_range("gray16_white", c.gray16_white, 1, 65535, error));
    SONO_TRY(sono_weights_check(c.edge_width_px, c.outside_width_px, error));
    *out = c;
    return SONO_STATUS_OK;
}

/* "cuda" or "cuda:N" with a plain number; writes N. */
static int names_cuda(const char *device, int32_t *ordinal)
{
    char *end = NULL;
    *ordinal = 0;
    if (strncmp(device, "cuda", 4) != 0)
        return 0;
    if (device[4] == '\0')
        return 1;
    if (device[4] != ':' || device[5] < '0' || device[5] > '9')
        return 0;
    const long n = strtol(device + 5, &end, 10);
    *ordinal = n > 1023 ? 1023 : (int32_t)n;
    return *end == '\0';
}

static void choose_cpu(const char *fallback, sono_backend_choice *out)
{
    *out = (sono_backend_choice){.backend = SONO_BACKEND_CPU,
                                 .ops = &sono_cpu_engine,
                                 .precision = SONO_PRECISION_FP32,
                                 .device_name = "cpu",
                                 .fallback = fallback};
}

#ifdef SONO_HAVE_CUDA
static int32_t count_cuda(sono_error *error)
{
    return sono_cuda_count(error);
}

static void choose_cuda(const sono_pipeline_config *config, int32_t device, sono_backend_choice *out)
{
    *out = (sono_backend_choice){.backend = SONO_BACKEND_CUDA,
                                 .ops = &sono_cuda_engine,
                                 .precision = config->precision == SONO_PRECISION_AUTO ? SONO_PRECISION_FP16
                                                                                       : config->precision,
                                 .device = device};
    snprintf(out->device_name, sizeof out->device_name, "cuda:%d", device);
}
#define NO_CUDA_WORD "no_usable_device"
static sono_status facts_of(int32_t device, sono_cuda_facts *out, sono_error *error)
{
    return sono_cuda_facts_of(device, out, error);
}

#define BACKENDS "cpu cuda"
#else
static int32_t count_cuda(sono_error *error)
{
    sono_error_set(error, SONO_STATUS_NO_DEVICE, 0, -1, __func__,
                   "this build of sonoseg has no CUDA backend");
    return 0;
}

static void choose_cuda(const sono_pipeline_config *config, int32_t device, sono_backend_choice *out)
{
    (void)config;
    (void)device;
    choose_cpu(NULL, out);
}

static sono_status facts_of(int32_t device, sono_cuda_facts *out, sono_error *error)
{
    (void)device;
    (void)out;
    count_cuda(error);
    return SONO_STATUS_NO_DEVICE;
}
#define NO_CUDA_WORD "built_without_cuda"
#define BACKENDS     "cpu"
#endif

const char *sono_backends(void)
{
    return BACKENDS;
}

sono_status sono_config_choose_backend(const sono_pipeline_config *config, sono_backend_choice *out,
                                       sono_error *error)
{
    const char *device = config->device ? config->device : "auto";
    const int automatic = strcmp(device, "auto") == 0;
    int32_t ordinal = 0;
    const int wants_cuda = names_cuda(device, &ordinal);
    if (!wants_cuda && !automatic && strcmp(device, "cpu") != 0)
        return SONO_FAIL(error, INVALID_ARGUMENT, "device %s: give auto, cpu, cuda or cuda:N", device);
    if (wants_cuda || automatic) {
        sono_error why = {0};
        if (count_cuda(&why) > 0) {
            choose_cuda(config, ordinal, out);
            return SONO_STATUS_OK;
        }
        if (wants_cuda)
            return SONO_FAIL(error, NO_DEVICE, "device %s: %s", device, why.text);
    }
    if (config->precision != SONO_PRECISION_AUTO && config->precision != SONO_PRECISION_FP32)
        return SONO_FAIL(error, UNSUPPORTED, "the CPU computes in fp32 only");
    choose_cpu(automatic ? NO_CUDA_WORD : NULL, out);
    return SONO_STATUS_OK;
}

sono_status sono_config_facts(const char *device, sono_backend *backend, sono_cuda_facts *facts,
                              sono_error *why, sono_error *error)
{
    static const sono_cuda_facts h200 = {
        .n_multiprocessors = 132, .compute_capability = 90, .name = "NVIDIA H200"};
    int32_t ordinal = 0;
    const int is_cuda = names_cuda(device, &ordinal);
    if (!is_cuda && strcmp(device, "cpu") != 0)
        return SONO_FAIL(error, INVALID_ARGUMENT, "device %s: give cpu, cuda or cuda:N", device);
    *backend = is_cuda ? SONO_BACKEND_CUDA : SONO_BACKEND_CPU;
    why->text[0] = '\0';
    if (is_cuda && facts_of(ordinal, facts, why) != SONO_STATUS_OK)
        *facts = h200;
    return SONO_STATUS_OK;
}

sono_status sono_device_backend(const char *device, sono_backend *out, sono_error *error)
{
    sono_pipeline_config config;
    sono_backend_choice choice;
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    sono_pipeline_config_init(&config);
    config.device = device;
    SONO_TRY(sono_config_choose_backend(&config, &choice, error));
    *out = choice.backend;
    return SONO_STATUS_OK;
}

sono_status sono_device_count(int32_t *out, sono_error *error)
{
    sono_error reason = {0};
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    const int32_t n = count_cuda(&reason);
    if (n < 1)
        return SONO_FAIL(error, NO_DEVICE, "no usable CUDA device: %.400s", reason.text);
    *out = n;
    return SONO_STATUS_OK;
}
