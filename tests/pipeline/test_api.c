// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300 cost=40
/* The public calls: what they refuse, in which order packets come, who owns what (test_threads.c: from two
 * threads). SONO_TEST_DEVICE names the device (default cpu). */
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "test.h"

#include "sonoseg/models.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One pipeline for the tests that do not need their own. */
static sono_pipeline *shared_pipeline(void)
{
    static sono_pipeline *pipeline;
    if (!pipeline) {
        sono_pipeline_config config;
        pipeline_fixture_synthetic(&config);
        config.want_weight_maps = 1;
        pipeline = pipeline_fixture_open(&config);
    }
    return pipeline;
}

static int close_shared(void **state)
{
    (void)state;
    if (getenv("SONO_TEST_DETECTOR"))
        sono_pipeline_close(shared_pipeline());
    return 0;
}

/* Opens with one field wrong. */
static void refuse(sono_pipeline_config config, sono_status wanted, const char *part_of_text)
{
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    assert_status(wanted, sono_pipeline_open(&config, &pipeline, &error), &error);
    assert_null(pipeline);
    assert_int_equal(error.status, wanted);
    if (!strstr(error.text, part_of_text))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part_of_text);
}

#define REFUSE(field, value, status, text)                                                                   \
    do {                                                                                                     \
        sono_pipeline_config c = config;                                                                     \
        c.field = (value);                                                                                   \
        refuse(c, SONO_STATUS_##status, text);                                                               \
    } while (0)

static void test_open_refuses(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    REFUSE(struct_size, 0, INVALID_ARGUMENT, "sono_pipeline_config_init");
    REFUSE(struct_size, SIZE_MAX, INVALID_ARGUMENT, "sono_pipeline_config_init");
    sono_pipeline_config none = config;
    none.detector_path = none.segmenter_path = NULL;
    refuse(none, SONO_STATUS_INVALID_ARGUMENT, "no checkpoint: set detector_path");
    REFUSE(threshold, NAN, INVALID_ARGUMENT, "threshold");
    REFUSE(threshold, 1.5f, INVALID_ARGUMENT, "threshold");
    REFUSE(n_threads, -1, INVALID_ARGUMENT, "n_threads");
    REFUSE(max_objects, 0, INVALID_ARGUMENT, "max_objects");
    REFUSE(max_objects, 17, INVALID_ARGUMENT, "max_objects");
    REFUSE(max_width_px, 0, INVALID_ARGUMENT, "max_width_px");
    REFUSE(max_height_px, 1 << 20, INVALID_ARGUMENT, "max_height_px");
    REFUSE(n_slots, 0, INVALID_ARGUMENT, "n_slots");
    REFUSE(gray16_white, 0, INVALID_ARGUMENT, "gray16_white");
    REFUSE(edge_width_px, 2, INVALID_ARGUMENT, "odd");
    REFUSE(map_dtype, (sono_map_dtype)2, INVALID_ARGUMENT, "map_dtype");
    REFUSE(outside_width_px, -1, INVALID_ARGUMENT, "odd");
    REFUSE(device, "gpu", INVALID_ARGUMENT, "gpu");
    REFUSE(device, "cuda:x", INVALID_ARGUMENT, "cuda:x");
    REFUSE(detector_path, "no/such/file.pth", IO, "no/such/file.pth");
    REFUSE(detector_path, config.segmenter_path, MODEL_MISMATCH, "mobilesam");
    REFUSE(segmenter_path, config.detector_path, MODEL_MISMATCH, "dfine");
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_open(NULL, NULL, NULL), NULL);
    config.device = "cpu";
    REFUSE(precision, SONO_PRECISION_FP16, UNSUPPORTED, "fp32");
}

static void test_null_handles(void **state)
{
    (void)state;
    const sono_packet *packet = NULL;
    sono_pipeline_info info;
    const sono_frame frame = pipeline_fixture_frame();
    sono_pipeline_close(NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_submit(NULL, &frame.image, &frame.info, NULL),
                  NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_receive(NULL, &packet, NULL), NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_release(NULL, NULL), NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_query(NULL, &info), NULL);
}

static void test_submit_refuses(void **state)
{
    (void)state;
    sono_pipeline *pipeline = shared_pipeline();
    const sono_frame good = pipeline_fixture_frame();
    sono_frame bad = good;
    bad.image.pixels = NULL;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_submit(pipeline, &bad.image, &bad.info, NULL),
                  NULL);
    bad = good;
    bad.image.width_px = 0;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_submit(pipeline, &bad.image, &bad.info, NULL),
                  NULL);
    bad = good;
    bad.image.pitch_bytes = 10;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_submit(pipeline, &bad.image, &bad.info, NULL),
                  NULL);
    bad = good;
    bad.image.format = (sono_pixel_format)99;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_submit(pipeline, &bad.image, &bad.info, NULL),
                  NULL);
    bad = good;
    bad.image.width_px = 641;
    assert_status(SONO_STATUS_LIMIT, sono_pipeline_submit(pipeline, &bad.image, &bad.info, NULL), NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_submit(pipeline, NULL, NULL, NULL), NULL);
    const sono_packet *packet = NULL;
    assert_status(SONO_STATUS_END, sono_pipeline_receive(pipeline, &packet, NULL), NULL);
}

/* The longer side and the area of the largest frame count: an upright frame fits where it fits lying down. */
static void test_largest_frame(void **state)
{
    static const struct {
        int32_t width_px, height_px;
        sono_status status;
    } cases[] = {
        {48, 20, SONO_STATUS_OK},    {20, 48, SONO_STATUS_OK},    {30, 32, SONO_STATUS_OK},
        {31, 31, SONO_STATUS_LIMIT}, {49, 10, SONO_STATUS_LIMIT}, {10, 49, SONO_STATUS_LIMIT},
    };
    static uint8_t pixels[49 * 49];
    sono_pipeline_config config;
    (void)state;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 2654435761u >> 24);
    pipeline_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    sono_pipeline *roomy = pipeline_fixture_open(&config);
    config.max_width_px = 48;
    config.max_height_px = 20;
    sono_pipeline *tight = pipeline_fixture_open(&config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const sono_frame frame = {.image = {.struct_size = sizeof(sono_image),
                                            .pixels = pixels,
                                            .width_px = cases[i].width_px,
                                            .height_px = cases[i].height_px,
                                            .format = SONO_PIXEL_GRAY8},
                                  .info = {.struct_size = sizeof(sono_frame_info)}};
        sono_error error = {0};
        const size_t n_pixels = (size_t)frame.image.width_px * (size_t)frame.image.height_px;
        if (cases[i].status != SONO_STATUS_OK) {
            assert_status(cases[i].status, sono_pipeline_submit(tight, &frame.image, &frame.info, &error),
                          &error);
            assert_non_null(strstr(error.text, "48 x 20"));
            continue;
        }
        const sono_packet *want = pipeline_fixture_run(roomy, &frame),
                          *got = pipeline_fixture_run(tight, &frame);
        assert_memory_equal(packet_mask(got, 0), packet_mask(want, 0), n_pixels);
        assert_memory_equal(packet_map(got, 0, SONO_MAP_OUTSIDE), packet_map(want, 0, SONO_MAP_OUTSIDE),
                            n_pixels);
        sono_packet_release(roomy, want);
        sono_packet_release(tight, got);
    }
    sono_pipeline_close(roomy);
    sono_pipeline_close(tight);
}

/* On a GPU two lanes of stages run side by side. */
static void check_times(const sono_packet *packet)
{
    double sum_ms = 0;
    for (int i = 0; i < sono_stage_count(); i++) {
        assert_true(sono_packet_stage_ms(packet, (sono_stage)i) <= packet->latency_ms);
        sum_ms += sono_packet_stage_ms(packet, (sono_stage)i);
    }
    assert_true(sum_ms > 0);
    assert_true(packet->backend != SONO_BACKEND_CPU || sum_ms <= packet->latency_ms);
}

static void test_packet(void **state)
{
    (void)state;
    sono_pipeline_info info;
    sono_pipeline *pipeline = shared_pipeline();
    sono_pipeline_info_init(&info);
    assert_ok(sono_pipeline_query(pipeline, &info), NULL);
    sono_frame frame = pipeline_fixture_frame();
    frame.info.spacing_mm[0] = 0.25;
    frame.info.image_to_reference[11] = 1.0f;
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->info->frame_id, 7);
    assert_true(packet->info->timestamp_ns == 12500000000 && packet->info->spacing_mm[0] == 0.25);
    assert_true(packet->info->image_to_reference[11] == 1.0f);
    assert_int_equal(packet->width_px, frame.image.width_px);
    assert_int_equal(packet->height_px, frame.image.height_px);
    assert_int_equal(packet->state, SONO_STATE_VISIBLE);
    assert_int_equal(packet->backend, info.backend);
    assert_int_equal(packet->n_objects, 1);
    const sono_object *o = sono_packet_object(packet, 0);
    assert_true(o->score >= 0.0f && o->score <= 1.0f);
    assert_true(o->bbox_xyxy_px[0] >= 0 && o->bbox_xyxy_px[2] <= (float)(frame.image.width_px - 1));
    assert_true(o->bbox_xyxy_px[1] >= 0 && o->bbox_xyxy_px[3] <= (float)(frame.image.height_px - 1));
    const uint8_t *mask = packet_mask(packet, 0), *edge = packet_map(packet, 0, SONO_MAP_EDGE),
                  *inside = packet_map(packet, 0, SONO_MAP_INSIDE),
                  *outside = packet_map(packet, 0, SONO_MAP_OUTSIDE);
    check_times(packet);
    for (int i = 0; i < frame.image.width_px * frame.image.height_px; i++) {
        assert_true(mask[i] == 0 || mask[i] == 255);
        assert_true(edge[i] <= 1 && inside[i] <= 1 && outside[i] <= 1);
        assert_true(inside[i] == 0 || mask[i] == 255);
        assert_true(outside[i] == 0 || mask[i] == 0);
    }
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_release(pipeline, packet), NULL);
    const sono_packet stranger = {0};
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_release(pipeline, &stranger), NULL);
}

static void test_query(void **state)
{
    (void)state;
    sono_pipeline_info info;
    sono_pipeline_info_init(&info);
    assert_ok(sono_pipeline_query(shared_pipeline(), &info), NULL);
    assert_string_equal(info.detector, "dfine-n, 3 classes");
    assert_string_equal(info.segmenter, "mobilesam-vit_t");
    assert_true(info.n_threads >= 1);
    assert_true(info.params_bytes > 20 * 1000 * 1000); /* as halves, where an engine wants no other */
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.segmenter_size_px = 0;
    sono_pipeline *whole_size = pipeline_fixture_open(&config);
    const double flops = sono_pipeline_stage_flops(whole_size, SONO_STAGE_ENCODE);
    assert_true(flops > 70e9 && flops < 85e9);
    sono_pipeline_close(whole_size);
}

/* What a device name stands for, before any model is chosen. */
static void test_device_backend(void **state)
{
    (void)state;
    sono_error error = {0};
    sono_backend backend = SONO_BACKEND_CUDA;
    assert_ok(sono_device_backend("cpu", &backend, &error), &error);
    assert_int_equal(backend, SONO_BACKEND_CPU);
    assert_ok(sono_device_backend(NULL, &backend, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_device_backend("gpu", &backend, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_device_backend("cpu", NULL, &error), &error);
    if (strcmp(sono_backends(), "cpu") == 0) {
        assert_int_equal(backend, SONO_BACKEND_CPU);
        assert_status(SONO_STATUS_NO_DEVICE, sono_device_backend("cuda", &backend, &error), &error);
    }
}

static void test_back_pressure_and_order(void **state)
{
    (void)state;
    sono_pipeline *pipeline = shared_pipeline();
    sono_frame frame = pipeline_fixture_frame();
    sono_error error = {0};
    for (frame.info.frame_id = 100; frame.info.frame_id < 102; frame.info.frame_id++)
        assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), NULL);
    const sono_packet *first = NULL, *second = NULL;
    assert_ok(sono_pipeline_receive(pipeline, &first, &error), &error);
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), NULL);
    assert_ok(sono_pipeline_receive(pipeline, &second, &error), &error);
    assert_int_equal(first->info->frame_id, 100);
    assert_int_equal(second->info->frame_id, 101);
    assert_true(packet_mask(first, 0) != packet_mask(second, 0));
    assert_memory_equal(packet_mask(first, 0), packet_mask(second, 0), 320 * 240);
    assert_ok(sono_packet_release(pipeline, first), NULL);
    assert_ok(sono_packet_release(pipeline, second), NULL);
}

/* Never a stale result: a frame below the threshold, after one above it, comes back empty. */
static void test_gate(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.threshold = 1.0f;
    config.n_slots = 1;
    config.want_weight_maps = 1;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    const sono_object *o = sono_packet_object(packet, 0);
    assert_int_equal(packet->state, SONO_STATE_LOST);
    assert_int_equal(packet->n_objects, 1);
    assert_true(o->score > 0.0f && o->score < 1.0f);
    assert_true(o->iou_predicted == 0.0f);
    assert_int_equal(o->mask_area_px, 0);
    for (int i = 0; i < 4; i++)
        assert_true(o->bbox_xyxy_px[i] == 0.0f);
    for (int i = 0; i < frame.image.width_px * frame.image.height_px; i++)
        for (int m = SONO_MAP_MASK; m <= SONO_MAP_OUTSIDE; m++)
            assert_int_equal(((const uint8_t *)packet_map(packet, 0, (sono_map)m))[i], 0);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
}

/* The values that bytes have, as float32. */
static void test_float_maps(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    config.map_dtype = SONO_MAP_DTYPE_F32;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *got = pipeline_fixture_run(pipeline, &frame),
                      *want = pipeline_fixture_run(shared_pipeline(), &frame);
    assert_memory_equal(packet_mask(got, 0), packet_mask(want, 0), 320 * 240);
    for (int m = SONO_MAP_EDGE; m <= SONO_MAP_OUTSIDE; m++) {
        const uint8_t *bytes = packet_map(want, 0, (sono_map)m);
        const float *floats = packet_map(got, 0, (sono_map)m);
        for (int i = 0; i < 320 * 240; i++)
            assert_true(floats[i] == (float)bytes[i]);
    }
    assert_ok(sono_packet_release(shared_pipeline(), want), NULL);
    assert_ok(sono_packet_release(pipeline, got), NULL);
    sono_pipeline_close(pipeline);
}

static void test_several_objects(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    config.max_objects = 3;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->n_objects, 3);
    assert_true(sono_packet_object(packet, 0)->score >= sono_packet_object(packet, 1)->score);
    assert_true(sono_packet_object(packet, 1)->score >= sono_packet_object(packet, 2)->score);
    const sono_packet *alone = pipeline_fixture_run(shared_pipeline(), &frame);
    assert_true(fabsf(sono_packet_object(alone, 0)->score - sono_packet_object(packet, 0)->score) < 1e-5f);
    int64_t differing = 0;
    for (int i = 0; i < frame.image.width_px * frame.image.height_px; i++)
        differing += packet_mask(alone, 0)[i] != packet_mask(packet, 0)[i];
    assert_true(differing <= frame.image.width_px * frame.image.height_px / 1000);
    assert_ok(sono_packet_release(shared_pipeline(), alone), NULL);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
}

/* The same picture in every format, tight and with a pitch, gives the same answer. */
static void test_formats(void **state)
{
    (void)state;
    enum { W = 320, H = 240, PITCH = 4 * W + 24 };
    static uint8_t pixels[H * PITCH];
    static uint8_t first_mask[W * H];
    sono_pipeline *pipeline = shared_pipeline();
    const sono_frame grey = pipeline_fixture_frame();
    const uint8_t *from = grey.image.pixels;
    for (int format = SONO_PIXEL_GRAY8; format <= SONO_PIXEL_RGBA8; format++) {
        sono_frame frame = grey;
        frame.image.format = (sono_pixel_format)format;
        frame.image.pixels = pixels;
        frame.image.pitch_bytes = PITCH;
        memset(pixels, 0x5a, sizeof pixels);
        for (int y = 0; y < H; y++) {
            for (int x = 0; x < W; x++) {
                uint8_t *to = pixels + y * PITCH +
                              x * (format == SONO_PIXEL_GRAY16  ? 2
                                   : format == SONO_PIXEL_RGB8  ? 3
                                   : format == SONO_PIXEL_RGBA8 ? 4
                                                                : 1);
                const uint16_t wide = (uint16_t)(from[y * W + x] * 257);
                if (format == SONO_PIXEL_GRAY16)
                    memcpy(to, &wide, sizeof wide);
                else
                    memset(to, from[y * W + x], format == SONO_PIXEL_GRAY8 ? 1 : 3);
            }
        }
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        int64_t differing = 0;
        for (int i = 0; i < W * H; i++)
            differing += packet_mask(packet, 0)[i] != first_mask[i];
        if (format == SONO_PIXEL_GRAY8)
            memcpy(first_mask, packet_mask(packet, 0), sizeof first_mask);
        else
            assert_true(differing <= W * H / 1000);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
}

typedef struct heard {
    pthread_mutex_t mutex;
    char text[16384];
} heard;

static void listen_to(void *user, const sono_event *event)
{
    heard *h = user;
    char line[1024];
    sono_event_format(event, line, sizeof line);
    pthread_mutex_lock(&h->mutex);
    snprintf(h->text + strlen(h->text), sizeof h->text - strlen(h->text), "%s\n", line);
    pthread_mutex_unlock(&h->mutex);
}

/* The hashes are those of the files, and known by close. */
static void expect_hashes(const char *text, const char *key, const char *path)
{
    char wanted[100];
    sono_error error = {0};
    sono_model_info info;
    assert_ok(sono_model_inspect(path, &info, &error), &error);
    snprintf(wanted, sizeof wanted, " %s=%s", key, info.sha256);
    const char *event = strstr(text, "event=models_hashed ");
    assert_non_null(event);
    assert_non_null(strstr(event, wanted));
    assert_null(strstr(event + 1, "event=models_hashed "));
}

static void test_events(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "event=backend_fallback", "event=init_models",  "event=warmup",      "event=frame_in",
        "event=sam_call_start",   "event=sam_call_end", "event=infer_frame", "event=drop"};
    static heard h = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    sono_pipeline_config config;
    sono_backend automatic = SONO_BACKEND_CPU;
    pipeline_fixture_synthetic(&config);
    assert_ok(sono_device_backend("auto", &automatic, NULL), NULL);
    config.device = "auto";
    config.n_slots = 1;
    config.on_event = listen_to;
    config.on_event_user = &h;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_submit(pipeline, &frame.image, &frame.info, NULL), NULL);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
    const char *from = h.text;
    for (size_t i = automatic == SONO_BACKEND_CPU ? 0 : 1; i < sizeof wanted / sizeof wanted[0]; i++) {
        from = strstr(from, wanted[i]);
        if (!from)
            fail_msg("no %s, or out of order, in:\n%s", wanted[i], h.text);
    }
    for (const char *line = h.text; *line; line = strchr(line, '\n') + 1)
        assert_memory_equal(line, "ts=", 3);
    expect_hashes(h.text, "detector_sha256", config.detector_path);
    expect_hashes(h.text, "segmenter_sha256", config.segmenter_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_refuses),   cmocka_unit_test(test_null_handles),
        cmocka_unit_test(test_submit_refuses), cmocka_unit_test(test_largest_frame),
        cmocka_unit_test(test_packet),         cmocka_unit_test(test_query),
        cmocka_unit_test(test_device_backend), cmocka_unit_test(test_back_pressure_and_order),
        cmocka_unit_test(test_gate),           cmocka_unit_test(test_several_objects),
        cmocka_unit_test(test_float_maps),     cmocka_unit_test(test_formats),
        cmocka_unit_test(test_events),
    };
    return sono_test_run_with("pipeline/api", tests, sizeof tests / sizeof tests[0], NULL, close_shared);
}
