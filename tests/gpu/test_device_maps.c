// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=300
/* Results in device memory: what is lent there is what the host gets, host_maps 0 downloads no map, a tensor
 * keeps its slot, and the box goes from the detector to the segmenter at one address. On a GPU with the
 * synthetic checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER). */
#include "sonoseg/cuda.h"
#include "support/gpu_fixture.h"
#include "test.h"

#include <string.h>

#ifdef SONO_HAVE_CUDA
#include "pipeline/pipeline_private.h"

#include <cuda_runtime_api.h>

#define WIDTH_PX  320
#define HEIGHT_PX 240
#define N_PIXELS  (WIDTH_PX * HEIGHT_PX)

#define assert_cuda(call) assert_int_equal((call), cudaSuccess)

static uint8_t mask[N_PIXELS];
static float map[N_PIXELS];

static void expect_mask(const uint8_t *device, const uint8_t *host)
{
    assert_cuda(cudaMemcpy(mask, device, sizeof mask, cudaMemcpyDeviceToHost));
    assert_memory_equal(mask, host, sizeof mask);
}

static void expect_map(const float *device, const float *host)
{
    assert_cuda(cudaMemcpy(map, device, sizeof map, cudaMemcpyDeviceToHost));
    assert_memory_equal(map, host, sizeof map);
}

static void test_lent_maps(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    sono_device_maps maps = {0};
    gpu_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    config.max_objects = 2;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->n_objects, 2);
    for (int32_t k = 0; k < 2; k++) {
        assert_ok(sono_packet_device_maps(pipeline, packet, k, &maps, &error), &error);
        assert_int_equal(maps.mask_pitch_bytes, WIDTH_PX);
        assert_int_equal(maps.map_pitch_bytes, 4 * WIDTH_PX);
        assert_int_equal(maps.height_px, HEIGHT_PX);
        expect_mask(maps.mask, packet->objects[k].mask);
        expect_map(maps.edge, packet->objects[k].edge);
        expect_map(maps.inside, packet->objects[k].inside);
        expect_map(maps.outside, packet->objects[k].outside);
    }
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_device_maps(pipeline, packet, 2, &maps, &error),
                  &error);
    assert_ok(sono_packet_release_after(pipeline, packet, NULL, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_device_maps(pipeline, packet, 0, &maps, &error),
                  &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_release_after(pipeline, packet, NULL, &error),
                  &error);
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
    const sono_object object = packet->objects[0];
    memcpy(host_mask, object.mask, sizeof host_mask);
    sono_pipeline_close(pipeline);

    config.host_maps = 0;
    config.want_weight_maps = 1;
    pipeline = pipeline_fixture_open(&config);
    for (int i = 0; i < 3; i++) {
        packet = pipeline_fixture_run(pipeline, &frame);
        assert_null(packet->objects[0].mask);
        assert_null(packet->objects[0].edge);
        assert_int_equal(packet->ledger.n_d2h, 1);
        assert_int_equal(packet->ledger.bytes_d2h, 3 * 256);
        assert_true(packet->objects[0].score == object.score);
        assert_int_equal(packet->objects[0].mask_area_px, object.mask_area_px);
        assert_ok(sono_packet_device_maps(pipeline, packet, 0, &maps, &error), &error);
        expect_mask(maps.mask, host_mask);
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
    assert_int_equal(versioned->dl_tensor.dtype.code, kDLFloat);
    expect_mask(plain->dl_tensor.data, packet->objects[0].mask);
    expect_map(versioned->dl_tensor.data, packet->objects[0].inside);
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
#define test_no_host_maps test_lent_maps
#define test_tensors      test_lent_maps
#define test_box_address  test_lent_maps
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lent_maps),
        cmocka_unit_test(test_no_host_maps),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_box_address),
    };
    return sono_test_run("gpu/device_maps", tests, sizeof tests / sizeof tests[0]);
}
