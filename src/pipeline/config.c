// SPDX-License-Identifier: Apache-2.0
#include "pipeline/config.h"

#include "frame/slots.h"
#include "packet/packet.h"
#include "weights/weights.h"

#include <string.h>

#define MAX_FRAME_PX 16384

void sono_pipeline_config_init(sono_pipeline_config *config)
{
    *config = (sono_pipeline_config){
        .struct_size = sizeof *config,
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
    };
}

static sono_status check_range(const char *name, int64_t value, int64_t low, int64_t high, sono_error *error)
{
    if (value < low || value > high)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s is %lld: give %lld to %lld", name, (long long)value,
                         (long long)low, (long long)high);
    return SONO_STATUS_OK;
}

sono_status sono_config_resolve(const sono_pipeline_config *config, sono_pipeline_config *out,
                                sono_error *error)
{
    if (!config || config->struct_size < offsetof(sono_pipeline_config, device) ||
        config->struct_size > sizeof *config)
        return SONO_FAIL(error, INVALID_ARGUMENT, "start from sono_pipeline_config_init()");
    sono_pipeline_config c;
    sono_pipeline_config_init(&c);
    memcpy(&c, config, config->struct_size);
    if (!c.detector_path || !c.segmenter_path)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a detector and a segmenter checkpoint are needed");
    if (!(c.threshold >= 0.0f && c.threshold <= 1.0f))
        return SONO_FAIL(error, INVALID_ARGUMENT, "threshold is %g: give 0 to 1", (double)c.threshold);
    SONO_TRY(check_range("n_threads", c.n_threads, 0, 256, error));
    SONO_TRY(check_range("max_objects", c.max_objects, 1, SONO_MAX_OBJECTS, error));
    SONO_TRY(check_range("max_width_px", c.max_width_px, 1, MAX_FRAME_PX, error));
    SONO_TRY(check_range("max_height_px", c.max_height_px, 1, MAX_FRAME_PX, error));
    SONO_TRY(check_range("n_slots", c.n_slots, 1, SONO_MAX_SLOTS, error));
    SONO_TRY(check_range("gray16_white", c.gray16_white, 1, 65535, error));
    SONO_TRY(sono_weights_check(c.edge_width_px, c.outside_width_px, error));
    *out = c;
    return SONO_STATUS_OK;
}

/* "cuda" or "cuda:N" with a plain number. */
static int names_cuda(const char *device)
{
    if (strncmp(device, "cuda", 4) != 0)
        return 0;
    if (device[4] == '\0')
        return 1;
    return device[4] == ':' && device[5] != '\0' && strspn(device + 5, "0123456789") == strlen(device + 5);
}

sono_status sono_config_choose_backend(const sono_pipeline_config *config, sono_backend_choice *out,
                                       sono_error *error)
{
    const char *device = config->device ? config->device : "auto";
    const int automatic = strcmp(device, "auto") == 0;
    if (names_cuda(device))
        return SONO_FAIL(error, NO_DEVICE, "device %s: this build of sonoseg has no CUDA backend", device);
    if (!automatic && strcmp(device, "cpu") != 0)
        return SONO_FAIL(error, INVALID_ARGUMENT, "device %s: give auto, cpu, cuda or cuda:N", device);
    if (config->precision != SONO_PRECISION_AUTO && config->precision != SONO_PRECISION_FP32)
        return SONO_FAIL(error, UNSUPPORTED, "the CPU computes in fp32 only");
    *out = (sono_backend_choice){.backend = SONO_BACKEND_CPU,
                                 .ops = &sono_cpu_executor,
                                 .precision = SONO_PRECISION_FP32,
                                 .fallback = automatic ? "built_without_cuda" : NULL};
    return SONO_STATUS_OK;
}
