// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=300
/* Results in device memory: what is lent there is what the host gets, host_maps 0 downloads no map, a tensor
 * keeps its slot, and the box goes from the detector to the segmenter at one address. On a GPU with the
 * synthetic checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER). */
#include "sonoseg/cuda.h"
#include "support/gpu_fixture.h"
#include "support/packet_maps.h"
#include "test.h"

#include <string.h>

#ifdef SONO_HAVE_CUDA
#include "pipeline/pipeline_private.h"

#include <cuda_runtime_api.h>

#define WIDTH_PX  320
#define HEIGHT_PX 240
#define N_PIXELS  (WIDTH_PX * HEIGHT_PX)

#define assert_cuda(call) assert_int_equal((call), cudaSuccess)

static uint8_t map[N_PIXELS * sizeof(float)];

static void expect_map(const void *device, const void *host, size_t n_bytes)
{
    assert_non_null(device);
    assert_non_null(host);
    assert_cuda(cudaMemcpy(map, device, n_bytes, cudaMemcpyDeviceToHost));
    assert_memory_equal(map, host, n_bytes);
}

/* Object k's maps on the device and on the host. */
static void expect_maps(sono_pipeline *pipeline, const sono_packet *packet, int32_t k, sono_map_dtype dtype)
{
    sono_error error = {0};
    sono_device_maps maps = {0};
    const size_t element_bytes = dtype == SONO_MAP_DTYPE_F32 ? sizeof(float) : 1;
    assert_ok(sono_packet_device_maps(pipeline, packet, k, &maps, &error), &error);
    assert_int_equal(maps.map_dtype, dtype);
    assert_int_equal(maps.mask_pitch_bytes, WIDTH_PX);
    assert_int_equal(maps.map_pitch_bytes, element_bytes * WIDTH_PX);
    assert_int_equal(maps.height_px, HEIGHT_PX);
    const void *device[] = {maps.mask, maps.edge, maps.inside, maps.outside};
    for (int m = SONO_MAP_MASK; m <= SONO_MAP_OUTSIDE; m++)
        expect_map(device[m], packet_map(packet, k, (sono_map)m), m ? element_bytes * N_PIXELS : N_PIXELS);
}

static void check_lent_maps(sono_map_dtype dtype)
{
    sono_pipeline_config config;
    sono_error error = {0};
    sono_device_maps maps = {0};
    gpu_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    config.map_dtype = dtype;
    config.max_objects = 2;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->n_objects, 2);
    for (int32_t k = 0; k < 2; k++)
        expect_maps(pipeline, packet, k, dtype);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_device_maps(pipeline, packet, 2, &maps, &error),
                  &error);
    assert_ok(sono_packet_release_after(pipeline, packet, NULL, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_device_maps(pipeline, packet, 0, &maps, &error),
                  &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_release_after(pipeline, packet, NULL, &error),
                  &error);
    sono_pipeline_close(pipeline);
}

static void test_lent_maps(void **state)
{
    (void)state;
    check_lent_maps(SONO_MAP_DTYPE_U8);
    check_lent_maps(SONO_MAP_DTYPE_F32);
}

/* Frames of one batch, of different sizes, each with its own maps. */
static void test_batch_maps(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    gpu_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    config.batch = 3;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame frame = pipeline_fixture_frame();
    frame.image.pitch_bytes = WIDTH_PX;
    for (int i = 0; i < 3; i++, frame.image.width_px -= 99, frame.image.height_px -= 31)
        assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
    for (int i = 0; i < 3; i++) {
        const sono_packet *packet = NULL;
        sono_device_maps maps = {0};
        assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
        assert_ok(sono_packet_device_maps(pipeline, packet, 0, &maps, &error), &error);
        const void *device[] = {maps.mask, maps.edge, maps.inside, maps.outside};
        for (int m = SONO_MAP_MASK; m <= SONO_MAP_OUTSIDE; m++)
            expect_map(device[m], packet_map(packet, 0, (sono_map)m),
                       (size_t)packet->width_px * (size_t)packet->height_px);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
}

/* Detections, predicted IoU and area, 256 bytes each, are all that crosses. */
static void test_no_host_maps(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    sono_device_maps maps = {0};
    static uint8_t host_mask[N_PIXELS];
    gpu_fixture_synthetic(&config);
    const sono_frame frame = pipeline_fixture_frame();
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    const float score = sono_packet_object(packet, 0)->score;
    const int64_t area_px = sono_packet_object(packet, 0)->mask_area_px;
    memcpy(host_mask, packet_mask(packet, 0), sizeof host_mask);
    sono_pipeline_close(pipeline);

    config.host_maps = 0;
    config.want_weight_maps = 1;
    pipeline = pipeline_fixture_open(&config);
    for (int i = 0; i < 3; i++) {
        packet = pipeline_fixture_run(pipeline, &frame);
        sono_map_view view;
        assert_int_equal(sono_packet_map(packet, 0, SONO_MAP_MASK, &view), SONO_STATUS_UNSUPPORTED);
        assert_int_equal(sono_packet_map(packet, 0, SONO_MAP_EDGE, &view), SONO_STATUS_UNSUPPORTED);
        assert_int_equal(packet->ledger.n_d2h, 1);
        assert_int_equal(packet->ledger.bytes_d2h, 3 * 256);
        assert_true(sono_packet_object(packet, 0)->score == score);
        assert_int_equal(sono_packet_object(packet, 0)->mask_area_px, area_px);
        assert_ok(sono_packet_device_maps(pipeline, packet, 0, &maps, &error), &error);
        expect_map(maps.mask, host_mask, sizeof host_mask);
        assert_non_null(maps.outside);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
}

static void test_tensors(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    DLManagedTensor *plain = NULL;
    DLManagedTensorVersioned *versioned = NULL;
    gpu_fixture_synthetic(&config);
    config.n_slots = 1;
    config.want_weight_maps = 1;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_ok(sono_packet_map_dlpack(pipeline, packet, 0, SONO_MAP_MASK, NULL, &plain, &error), &error);
    assert_ok(
        sono_packet_map_dlpack_versioned(pipeline, packet, 0, SONO_MAP_INSIDE, NULL, &versioned, &error),
        &error);
    assert_int_equal(plain->dl_tensor.device.device_type, kDLCUDA);
    assert_int_equal(plain->dl_tensor.shape[0], HEIGHT_PX);
    assert_int_equal(plain->dl_tensor.shape[1], WIDTH_PX);
    assert_int_equal(plain->dl_tensor.dtype.bits, 8);
    assert_int_equal(versioned->version.major, 1);
    assert_int_equal(versioned->dl_tensor.dtype.code, kDLUInt);
    assert_int_equal(versioned->dl_tensor.dtype.bits, 8);
    expect_map(plain->dl_tensor.data, packet_mask(packet, 0), N_PIXELS);
    expect_map(versioned->dl_tensor.data, packet_map(packet, 0, SONO_MAP_INSIDE), N_PIXELS);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_release(pipeline, packet), NULL);
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error),
                  &error);
    plain->deleter(plain);
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error),
                  &error);
    versioned->deleter(versioned);
    packet = pipeline_fixture_run(pipeline, &frame);
    /* A map is a frame that is in device memory already. */
    assert_ok(sono_packet_map_dlpack(pipeline, packet, 0, SONO_MAP_MASK, NULL, &plain, &error), &error);
    assert_status(SONO_STATUS_AGAIN, sono_pipeline_submit_dlpack(pipeline, plain, NULL, NULL, &error),
                  &error);
    plain->deleter(plain);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
}

static void test_float_tensor(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    DLManagedTensor *tensor = NULL;
    gpu_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    config.map_dtype = SONO_MAP_DTYPE_F32;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_ok(sono_packet_map_dlpack(pipeline, packet, 0, SONO_MAP_OUTSIDE, NULL, &tensor, &error), &error);
    assert_int_equal(tensor->dl_tensor.dtype.code, kDLFloat);
    assert_int_equal(tensor->dl_tensor.dtype.bits, 32);
    expect_map(tensor->dl_tensor.data, packet_map(packet, 0, SONO_MAP_OUTSIDE), N_PIXELS * sizeof(float));
    tensor->deleter(tensor);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
}

/* The tensor that SELECT_BOXES writes is the one that PROMPT reads: one id, so one address, and that is
 * device memory. */
static void test_box_address(void **state)
{
    (void)state;
    sono_pipeline_config config;
    gpu_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_program *program = pipeline->flow.program;
    const sono_op *select = NULL, *prompt = NULL;
    for (size_t i = 0; i < program->n_ops; i++) {
        if (program->ops[i].kind == SONO_OP_SELECT_BOXES)
            select = &program->ops[i];
        if (program->ops[i].kind == SONO_OP_PROMPT)
            prompt = &program->ops[i];
    }
    assert_non_null(select);
    assert_non_null(prompt);
    assert_int_equal(select->out[0], prompt->in[0]);
    for (int32_t slot = 0; slot < config.n_slots; slot++) {
        struct cudaPointerAttributes found = {0};
        pipeline->choice.ops->inspect->select_slot(pipeline->engine, slot);
        const void *written = pipeline->choice.ops->inspect->address(pipeline->engine, select->out[0]);
        const void *read = pipeline->choice.ops->inspect->address(pipeline->engine, prompt->in[0]);
        assert_non_null(written);
        assert_ptr_equal(written, read);
        assert_cuda(cudaPointerGetAttributes(&found, written));
        assert_int_equal(found.type, cudaMemoryTypeDevice);
        const uint8_t *block =
            pipeline->choice.ops->device->memory(pipeline->engine, slot, SONO_BLOCK_OUTPUTS);
        assert_ptr_equal(written, block + sono_pipeline_output_at(pipeline, select->out[0], 0, 0));
    }
    pipeline->choice.ops->inspect->select_slot(pipeline->engine, 0);
    sono_pipeline_close(pipeline);
}
#else
static void test_lent_maps(void **state)
{
    (void)state;
    sono_test_skip("built without CUDA");
}
#define test_batch_maps   test_lent_maps
#define test_float_tensor test_lent_maps
#define test_no_host_maps test_lent_maps
#define test_tensors      test_lent_maps
#define test_box_address  test_lent_maps
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lent_maps),    cmocka_unit_test(test_batch_maps),
        cmocka_unit_test(test_no_host_maps), cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_float_tensor), cmocka_unit_test(test_box_address),
    };
    return sono_test_run("gpu/device_maps", tests, sizeof tests / sizeof tests[0]);
}
