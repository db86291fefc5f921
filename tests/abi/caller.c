// SPDX-License-Identifier: Apache-2.0
/*
 * A program that knows the library by one header and runs with a library of another age:
 * tests/abi/test_ages.sh compiles it against both and runs it with both. Each struct that it makes has a
 * canary behind it.
 */
#include <sonoseg/sonoseg.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANARY 0x5a

#define GUARDED(type)                                                                                        \
    struct {                                                                                                 \
        type is;                                                                                             \
        unsigned char canary[64];                                                                            \
    }

static int n_failed;

static void expect(int holds, const char *what)
{
    if (!holds) {
        printf("FAILED: %s\n", what);
        n_failed++;
    }
}

static void expect_canary(const unsigned char *canary, const char *what)
{
    for (int i = 0; i < 64; i++)
        if (canary[i] != CANARY) {
            expect(0, what);
            return;
        }
}

#define SET_CANARY(guarded) memset(&(guarded), CANARY, sizeof(guarded))

static void run_frame(sono_pipeline *pipeline)
{
    static unsigned char pixels[64 * 48];
    GUARDED(sono_image) image;
    GUARDED(sono_frame_info) info;
    GUARDED(sono_pipeline_info) facts;
    sono_error error;
    const sono_packet *packet = NULL;
    SET_CANARY(image);
    SET_CANARY(info);
    SET_CANARY(facts);
    sono_image_init(&image.is);
    sono_frame_info_init(&info.is);
    sono_pipeline_info_init(&facts.is);
    expect_canary(image.canary, "sono_image_init() wrote behind the image");
    expect_canary(info.canary, "sono_frame_info_init() wrote behind the metadata");
    expect_canary(facts.canary, "sono_pipeline_info_init() wrote behind the facts");
    image.is.pixels = pixels;
    image.is.width_px = 64;
    image.is.height_px = 48;
    image.is.format = SONO_PIXEL_GRAY8;
    info.is.frame_id = 41;
    info.is.timestamp_ns = 1234567890123456789;
    info.is.user = 0xfedcba9876543210u;
    snprintf(info.is.device_name, sizeof info.is.device_name, "Image_Reference");
    expect(sono_pipeline_submit(pipeline, &image.is, &info.is, &error) == SONO_STATUS_OK, "submit");
    expect(sono_pipeline_receive(pipeline, &packet, &error) == SONO_STATUS_OK, "receive");
    if (packet) {
        expect(packet->struct_size > sizeof(size_t), "a packet without a size");
        expect(packet->info->frame_id == 41 && packet->info->timestamp_ns == 1234567890123456789 &&
                   packet->info->user == 0xfedcba9876543210u &&
                   strcmp(packet->info->device_name, "Image_Reference") == 0,
               "the metadata came back changed");
        expect(packet->width_px == 64 && packet->height_px == 48, "the packet's size");
        expect(sono_packet_object(packet, 0) != NULL, "a packet without an object");
        expect(sono_packet_release(pipeline, packet) == SONO_STATUS_OK, "release");
    }
    expect(sono_pipeline_query(pipeline, &facts.is) == SONO_STATUS_OK, "query");
    expect(facts.is.struct_size == sizeof facts.is && facts.is.n_threads > 0, "the facts");
    expect_canary(facts.canary, "sono_pipeline_query() wrote behind the facts");
}

int main(int argc, char **argv)
{
    GUARDED(sono_pipeline_config) config;
    sono_pipeline *pipeline = NULL;
    sono_error error;
    if (argc != 3)
        return 2;
    SET_CANARY(config);
    sono_pipeline_config_init(&config.is);
    expect_canary(config.canary, "sono_pipeline_config_init() wrote behind the configuration");
    expect(config.is.struct_size == sizeof config.is, "the configuration's size");
    config.is.detector_path = argv[1];
    config.is.segmenter_path = argv[2];
    config.is.device = "cpu";
    config.is.threshold = 1.0f;
    config.is.max_width_px = config.is.max_height_px = 64;
    config.is.segmenter_size_px = 256; /* nothing is asked of the masks */
#ifdef SONO_HAS_TEST_FIELD
    config.is.test_field = 1; /* to a library that does not know it, something new that it cannot do */
    const sono_status status = sono_pipeline_open(&config.is, &pipeline, &error);
    expect(status == SONO_STATUS_UNSUPPORTED || status == SONO_STATUS_OK, "a field that is set");
    printf("with a new field set: %s\n", sono_status_name(status));
    sono_pipeline_close(pipeline);
    config.is.test_field = 0;
#endif
    if (sono_pipeline_open(&config.is, &pipeline, &error) != SONO_STATUS_OK) {
        printf("FAILED: open: %s\n", error.text);
        return 1;
    }
    run_frame(pipeline);
    sono_pipeline_close(pipeline);
    printf("%s, %d failed\n", sono_version(), n_failed);
    return n_failed ? 1 : 0;
}
