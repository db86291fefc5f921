// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/* Tensors as frames, and what a pipeline on the CPU says about device memory. */
#include "pipeline/dlpack.h"
#include "sonoseg/cuda.h"
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "test.h"

#include <string.h>

/* A tensor of host memory whose shape and strides a test writes into. */
typedef struct lent {
    int64_t shape[4], strides[4];
    DLManagedTensor tensor;
    int n_deleted;
} lent;

static void count_deleted(DLManagedTensor *self)
{
    ((lent *)self->manager_ctx)->n_deleted++;
}

static void fill(lent *l, void *data, DLDeviceType device, uint8_t bits, int32_t n_dims, const int64_t *shape)
{
    memset(l, 0, sizeof *l);
    memcpy(l->shape, shape, (size_t)n_dims * sizeof *shape);
    l->tensor =
        (DLManagedTensor){.dl_tensor = {data, {device, 0}, n_dims, {kDLUInt, bits, 1}, l->shape, NULL, 0},
                          .manager_ctx = l,
                          .deleter = count_deleted};
}

static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        int32_t n_dims;
        int64_t shape[3];
        uint8_t bits;
        int32_t width_px, height_px;
        sono_pixel_format format;
    } good[] = {
        {2, {5, 7}, 8, 7, 5, SONO_PIXEL_GRAY8},      {2, {5, 7}, 16, 7, 5, SONO_PIXEL_GRAY16},
        {3, {1, 5, 7}, 8, 7, 5, SONO_PIXEL_GRAY8},   {3, {5, 7, 1}, 8, 7, 5, SONO_PIXEL_GRAY8},
        {3, {5, 7, 3}, 8, 7, 5, SONO_PIXEL_RGB8},    {3, {5, 7, 4}, 8, 7, 5, SONO_PIXEL_RGBA8},
        {3, {1, 5, 7}, 16, 7, 5, SONO_PIXEL_GRAY16}, {3, {1, 5, 3}, 8, 5, 1, SONO_PIXEL_RGB8},
        {2, {5, 3}, 8, 3, 5, SONO_PIXEL_GRAY8},
    };
    static uint8_t pixels[256];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        lent l;
        int32_t on_device = -1;
        sono_frame frame = {.image =
                                {
                                    .struct_size = sizeof(sono_image),
                                },
                            .info = {.struct_size = sizeof(sono_frame_info), .frame_id = 9}};
        sono_error error = {0};
        fill(&l, pixels, kDLCPU, good[i].bits, good[i].n_dims, good[i].shape);
        l.tensor.dl_tensor.byte_offset = 2;
        assert_ok(sono_frame_from_dlpack(&l.tensor.dl_tensor, &frame.image, &on_device, &error), &error);
        assert_int_equal(frame.image.width_px, good[i].width_px);
        assert_int_equal(frame.image.height_px, good[i].height_px);
        assert_int_equal(frame.image.format, good[i].format);
        assert_int_equal(frame.info.frame_id, 9);
        assert_ptr_equal(frame.image.pixels, pixels + 2);
        assert_int_equal(on_device, 0);
    }
}

static void test_strides(void **state)
{
    (void)state;
    static uint8_t pixels[256];
    lent l;
    sono_frame frame = {.image =
                            {
                                .struct_size = sizeof(sono_image),
                            },
                        .info = {.struct_size = sizeof(sono_frame_info)}};
    sono_error error = {0};
    int32_t on_device = 0;
    fill(&l, pixels, kDLCUDA, 16, 3, (const int64_t[]){1, 5, 7});
    l.tensor.dl_tensor.strides = l.strides;
    memcpy(l.strides, (const int64_t[]){-4, 10, 1}, 3 * sizeof *l.strides);
    assert_ok(sono_frame_from_dlpack(&l.tensor.dl_tensor, &frame.image, &on_device, &error), &error);
    assert_int_equal(frame.image.pitch_bytes, 20);
    assert_int_equal(on_device, 1);
    static const int64_t bad[][3] = {{0, 6, 1}, {0, 7, 2}, {0, -7, 1}, {0, 1, 5}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memcpy(l.strides, bad[i], sizeof bad[i]);
        assert_status(SONO_STATUS_UNSUPPORTED,
                      sono_frame_from_dlpack(&l.tensor.dl_tensor, &frame.image, &on_device, &error), &error);
    }
    assert_int_equal(frame.image.pitch_bytes, 20); /* untouched on failure */
}

static void expect_refused(sono_status status, const lent *l)
{
    sono_frame frame = {.image =
                            {
                                .struct_size = sizeof(sono_image),
                            },
                        .info = {.struct_size = sizeof(sono_frame_info)}};
    sono_error error = {0};
    int32_t on_device = 0;
    assert_status(status, sono_frame_from_dlpack(&l->tensor.dl_tensor, &frame.image, &on_device, &error),
                  &error);
    assert_true(*error.text);
}

static void test_refused(void **state)
{
    (void)state;
    static uint8_t pixels[256];
    lent l;
    fill(&l, pixels, kDLCPU, 8, 3, (const int64_t[]){2, 5, 7});
    expect_refused(SONO_STATUS_UNSUPPORTED, &l);
    fill(&l, pixels, kDLCPU, 16, 3, (const int64_t[]){5, 7, 3});
    expect_refused(SONO_STATUS_UNSUPPORTED, &l);
    fill(&l, pixels, kDLCPU, 32, 2, (const int64_t[]){5, 7});
    expect_refused(SONO_STATUS_UNSUPPORTED, &l);
    fill(&l, pixels, kDLCPU, 8, 1, (const int64_t[]){5});
    expect_refused(SONO_STATUS_UNSUPPORTED, &l);
    fill(&l, pixels, kDLCPU, 8, 2, (const int64_t[]){0, 7});
    expect_refused(SONO_STATUS_INVALID_ARGUMENT, &l);
    fill(&l, pixels, kDLCPU, 8, 2, (const int64_t[]){5, INT64_C(1) << 40});
    expect_refused(SONO_STATUS_INVALID_ARGUMENT, &l);
    fill(&l, NULL, kDLCPU, 8, 2, (const int64_t[]){5, 7});
    expect_refused(SONO_STATUS_INVALID_ARGUMENT, &l);
    fill(&l, pixels, kDLCPU, 8, 2, (const int64_t[]){5, 7});
    l.tensor.dl_tensor.byte_offset = UINT64_MAX; /* wraps to in front of the data */
    expect_refused(SONO_STATUS_INVALID_ARGUMENT, &l);
    fill(&l, pixels, kDLCPU, 8, 2, (const int64_t[]){5, 7});
    l.tensor.dl_tensor.byte_offset = UINT64_MAX - (uintptr_t)pixels - 33; /* its last pixel does */
    expect_refused(SONO_STATUS_INVALID_ARGUMENT, &l);
    fill(&l, pixels, kDLCPU, 8, 2, (const int64_t[]){5, 7});
    l.tensor.dl_tensor.dtype.code = kDLFloat;
    expect_refused(SONO_STATUS_UNSUPPORTED, &l);
    fill(&l, pixels, kDLCPU, 8, 2, (const int64_t[]){5, 7});
    l.tensor.dl_tensor.device.device_type = (DLDeviceType)7;
    expect_refused(SONO_STATUS_UNSUPPORTED, &l);
}

/* A host tensor on a CPU pipeline is a frame like any other; device memory is refused and stays the caller's.
 */
static void test_cpu_pipeline(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    const sono_packet *packet = NULL;
    lent l;
    pipeline_fixture_synthetic(&config);
    config.device = "cpu";
    config.host_maps = 0; /* the CPU has no other memory */
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    packet = pipeline_fixture_run(pipeline, &frame);
    const float score = sono_packet_object(packet, 0)->score;
    assert_non_null(packet_mask(packet, 0));
    assert_ok(sono_packet_release(pipeline, packet), NULL);

    void *pixels = (void *)(uintptr_t)frame.image.pixels;
    fill(&l, pixels, kDLCPU, 8, 2, (const int64_t[]){frame.image.height_px, frame.image.width_px});
    assert_ok(sono_pipeline_submit_dlpack(pipeline, &l.tensor, &frame.info, NULL, &error), &error);
    assert_int_equal(l.n_deleted, 1);
    assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
    assert_int_equal(packet->info->frame_id, frame.info.frame_id);
    assert_true(sono_packet_object(packet, 0)->score == score);
    assert_ok(sono_packet_release(pipeline, packet), NULL);

    fill(&l, pixels, kDLCUDA, 8, 2, (const int64_t[]){frame.image.height_px, frame.image.width_px});
    assert_status(SONO_STATUS_UNSUPPORTED,
                  sono_pipeline_submit_dlpack(pipeline, &l.tensor, NULL, NULL, &error), &error);
    assert_non_null(strstr(error.text, "device memory"));
    assert_int_equal(l.n_deleted, 0);
    sono_device_maps maps;
    DLManagedTensor *map = NULL;
    packet = pipeline_fixture_run(pipeline, &frame);
    assert_status(SONO_STATUS_UNSUPPORTED, sono_packet_device_maps(pipeline, packet, 0, &maps, &error),
                  &error);
    assert_non_null(strstr(error.text, "no device memory"));
    assert_status(SONO_STATUS_UNSUPPORTED,
                  sono_packet_map_dlpack(pipeline, packet, 0, SONO_MAP_MASK, NULL, &map, &error), &error);
    assert_status(SONO_STATUS_UNSUPPORTED, sono_packet_release_after(pipeline, packet, NULL, &error), &error);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    assert_status(SONO_STATUS_UNSUPPORTED,
                  sono_pipeline_submit_cuda(pipeline, &frame.image, &frame.info, NULL, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_pipeline_submit_dlpack(pipeline, NULL, NULL, NULL, &error), &error);
    DLManagedTensorVersioned later = {.version = {2, 0}};
    assert_status(SONO_STATUS_UNSUPPORTED,
                  sono_pipeline_submit_dlpack_versioned(pipeline, &later, NULL, NULL, &error), &error);
    sono_pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_strides),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cpu_pipeline),
    };
    return sono_test_run("pipeline/dlpack", tests, sizeof tests / sizeof tests[0]);
}
