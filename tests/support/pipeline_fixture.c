// SPDX-License-Identifier: Apache-2.0
#include "pipeline_fixture.h"

#include "support/synthetic.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAME_WIDTH_PX  320
#define FRAME_HEIGHT_PX 240

static const char *device_to_test(void)
{
    const char *device = getenv("SONO_TEST_DEVICE");
    return device ? device : "cpu";
}

void pipeline_fixture_synthetic(sono_pipeline_config *config)
{
    const char *detector = getenv("SONO_TEST_DETECTOR"), *segmenter = getenv("SONO_TEST_SEGMENTER");
    if (!detector || !segmenter)
        sono_test_skip("SONO_TEST_DETECTOR and SONO_TEST_SEGMENTER are not set");
    sono_pipeline_config_init(config);
    config->detector_path = detector;
    config->segmenter_path = segmenter;
    config->device = device_to_test();
    config->threshold = 0.0f;
    config->max_width_px = config->max_height_px = 640;
    if (!strcmp(config->device,
                "cpu")) /* nothing is asked of these values, and a frame takes a tenth of the time */
        config->segmenter_size_px = 256;
}

void pipeline_fixture_real(sono_pipeline_config *config)
{
    static char detector[SONO_TEST_PATH_BYTES], segmenter[SONO_TEST_PATH_BYTES];
    sono_test_need_shared(detector, sizeof detector, "checkpoints/dfine_s_bone.pth");
    sono_test_need_shared(segmenter, sizeof segmenter, "checkpoints/mobile_sam_bone.pt");
    sono_pipeline_config_init(config);
    config->detector_path = detector;
    config->segmenter_path = segmenter;
    config->device = device_to_test();
    config->max_width_px = config->max_height_px = 640;
}

static void find_shipped(char *path, size_t path_bytes, const char *name)
{
    const char *source = getenv("SONO_SOURCE_DIR");
    snprintf(path, path_bytes, "%s/models/%s", source ? source : ".", name);
    if (access(path, R_OK))
        sono_test_skip("no shipped models");
}

void pipeline_fixture_shipped(sono_pipeline_config *config)
{
    static char detector[SONO_TEST_PATH_BYTES], segmenter[SONO_TEST_PATH_BYTES];
    const int is_cpu = !strcmp(device_to_test(), "cpu");
    find_shipped(detector, sizeof detector, is_cpu ? "dfine_n_bone.safetensors" : "dfine_s_bone.safetensors");
    find_shipped(segmenter, sizeof segmenter, "mobile_sam_bone.safetensors");
    sono_pipeline_config_init(config);
    config->detector_path = detector;
    config->segmenter_path = segmenter;
    config->device = device_to_test();
    config->max_width_px = config->max_height_px = 640;
}

void pipeline_fixture_shipped_half(sono_pipeline_config *config)
{
    pipeline_fixture_shipped(config);
    if (!pipeline_fixture_is_long())
        config->segmenter_size_px = 512;
}

int pipeline_fixture_is_long(void)
{
    return sono_test_is_long() || strcmp(device_to_test(), "cpu") != 0;
}

sono_pipeline *pipeline_fixture_open(const sono_pipeline_config *config)
{
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    assert_ok(sono_pipeline_open(config, &pipeline, &error), &error);
    return pipeline;
}

const sono_packet *pipeline_fixture_run(sono_pipeline *pipeline, const sono_frame *frame)
{
    const sono_packet *packet = NULL;
    sono_error error = {0};
    assert_ok(sono_pipeline_submit(pipeline, &frame->image, &frame->info, &error), &error);
    assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
    return packet;
}

sono_frame pipeline_fixture_frame(void)
{
    static uint8_t pixels[FRAME_WIDTH_PX * FRAME_HEIGHT_PX];
    synthetic_image(FRAME_WIDTH_PX, FRAME_HEIGHT_PX, pixels);
    return (sono_frame){.image = {.struct_size = sizeof(sono_image),
                                  .pixels = pixels,
                                  .width_px = FRAME_WIDTH_PX,
                                  .height_px = FRAME_HEIGHT_PX,
                                  .format = SONO_PIXEL_GRAY8},
                        .info = {.struct_size = sizeof(sono_frame_info),
                                 .frame_id = 7,
                                 .timestamp_ns = (int64_t)(12.5 * 1e9)}};
}
