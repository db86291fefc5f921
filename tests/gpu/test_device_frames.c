// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=300
/* Frames in device memory and DLPack tensors: the packet is the one that host memory gives, bit for bit, and
 * nothing is uploaded. On a GPU with the synthetic checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER). */
#include "base/clock.h"
#include "sonoseg/cuda.h"
#include "sonoseg/diagnostics.h"
#include "support/gpu_fixture.h"
#include "support/packet_maps.h"
#include "test.h"

#include <string.h>

#ifdef SONO_HAVE_CUDA
#include <cuda_runtime_api.h>
#include <stdatomic.h>

#define WIDTH_PX  320
#define HEIGHT_PX 240
#define N_PIXELS  (WIDTH_PX * HEIGHT_PX)
#define PITCH     512

static uint8_t expected[N_PIXELS];

#define assert_cuda(call) assert_int_equal((call), cudaSuccess)

/* The packet of host memory. */
static float run_host(sono_pipeline *pipeline, const sono_frame *frame)
{
    const sono_packet *packet = pipeline_fixture_run(pipeline, frame);
    const float score = sono_packet_object(packet, 0)->score;
    memcpy(expected, packet_mask(packet, 0), N_PIXELS);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    return score;
}

/* The frame in flight gives what run_host() gave, and cost no upload. */
static void receive_same(sono_pipeline *pipeline, float score, int32_t n_h2d)
{
    const sono_packet *packet = NULL;
    sono_error error = {0};
    assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
    assert_true(sono_packet_object(packet, 0)->score == score);
    assert_memory_equal(packet_mask(packet, 0), expected, N_PIXELS);
    assert_int_equal(packet->ledger.n_h2d, n_h2d);
    assert_int_equal(packet->ledger.bytes_h2d == 0, n_h2d == 0);
    assert_int_equal(packet->ledger.n_launches, 1);
    assert_int_equal(packet->ledger.n_d2h, 1);
    assert_int_equal(packet->ledger.n_waits, 1);
    assert_int_equal(packet->ledger.n_allocations, 0);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

/* Rows of pixels in device memory, PITCH bytes apart, on their way when this returns. */
static void *put_rows(const sono_frame *frame, cudaStream_t stream)
{
    void *device = NULL;
    assert_cuda(cudaMalloc(&device, (size_t)PITCH * HEIGHT_PX));
    assert_cuda(cudaMemsetAsync(device, 0x5a, (size_t)PITCH * HEIGHT_PX, stream));
    assert_cuda(cudaMemcpy2DAsync(device, PITCH, frame->image.pixels, WIDTH_PX, WIDTH_PX, HEIGHT_PX,
                                  cudaMemcpyHostToDevice, stream));
    return device;
}

/* Host and device frames take turns in both slots, so that each graph changes its way in every time. */
static void test_device_memory(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    sono_audit_counts before, after;
    cudaStream_t stream = NULL;
    gpu_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame host = pipeline_fixture_frame(), device = host;
    const float score = run_host(pipeline, &host);
    assert_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    device.image.pixels = put_rows(&host, stream);
    device.image.pitch_bytes = PITCH;
    assert_ok(sono_pipeline_audit(pipeline, &before), NULL);
    for (int i = 0; i < 6; i++) {
        assert_ok(sono_pipeline_submit_cuda(pipeline, &device.image, &device.info, stream, &error), &error);
        assert_ok(sono_pipeline_submit(pipeline, &host.image, &host.info, &error), &error);
        receive_same(pipeline, score, 0);
        receive_same(pipeline, score, 1);
        assert_ok(
            sono_pipeline_submit_cuda(pipeline, &device.image, &device.info, i % 2 ? stream : NULL, &error),
            &error);
        receive_same(pipeline, score, 0);
    }
    assert_ok(sono_pipeline_audit(pipeline, &after), NULL);
    assert_int_equal(
        after.n[SONO_PHASE_FRAME][SONO_CROSSING_H2D] - before.n[SONO_PHASE_FRAME][SONO_CROSSING_H2D], 6);
    sono_pipeline_close(pipeline);
    cudaFree((void *)(uintptr_t)device.image.pixels);
    cudaStreamDestroy(stream);
}

/* A stream whose work is still to come: the pipeline waits for it on the GPU. Gives up after a while, so that
 * a submit that waits makes the test fail and not hang. */
static void CUDART_CB hold(void *user)
{
    atomic_int *released = user;
    const int64_t end_ns = sono_clock_ns() + 5 * INT64_C(1000000000);
    while (!atomic_load(released) && sono_clock_ns() < end_ns)
        ;
}

static void test_stream_order(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    cudaStream_t stream = NULL;
    void *staged = NULL, *pixels = NULL;
    static atomic_int released;
    gpu_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame host = pipeline_fixture_frame(), device = host;
    const float score = run_host(pipeline, &host);
    assert_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    assert_cuda(cudaMalloc(&staged, N_PIXELS));
    assert_cuda(cudaMalloc(&pixels, N_PIXELS));
    assert_cuda(cudaMemcpy(staged, host.image.pixels, N_PIXELS, cudaMemcpyHostToDevice));
    assert_cuda(cudaMemcpy(pixels, staged, N_PIXELS, cudaMemcpyDeviceToDevice)); /* loads what it takes */
    assert_cuda(cudaMemset(pixels, 0, N_PIXELS));
    assert_cuda(cudaDeviceSynchronize());
    atomic_store(&released, 0);
    const int64_t start_ns = sono_clock_ns();
    assert_cuda(cudaLaunchHostFunc(stream, hold, &released));
    assert_cuda(cudaMemcpyAsync(pixels, staged, N_PIXELS, cudaMemcpyDeviceToDevice, stream));
    device.image.pixels = pixels;
    assert_ok(sono_pipeline_submit_cuda(pipeline, &device.image, &device.info, stream, &error), &error);
    assert_true(sono_clock_ns() - start_ns < 4 * INT64_C(1000000000)); /* the host did not wait */
    atomic_store(&released, 1);
    receive_same(pipeline, score, 0);
    sono_pipeline_close(pipeline);
    cudaFree(staged);
    cudaFree(pixels);
    cudaStreamDestroy(stream);
}

static void test_refused(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    const sono_packet *packet = NULL;
    gpu_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame frame = pipeline_fixture_frame();
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_pipeline_submit_cuda(pipeline, &frame.image, &frame.info, NULL, &error), &error);
    assert_non_null(strstr(error.text, "not in memory of cuda:0"));
    frame.image.width_px = 10000;
    assert_status(SONO_STATUS_LIMIT,
                  sono_pipeline_submit_cuda(pipeline, &frame.image, &frame.info, NULL, &error), &error);
    assert_status(SONO_STATUS_END, sono_pipeline_receive(pipeline, &packet, NULL), NULL);
    frame.image.width_px = WIDTH_PX;
    for (int i = 0; i < 4; i++) /* neither a slot nor the device was lost */
        run_host(pipeline, &frame);
    sono_pipeline_close(pipeline);
}

/* A stream that is being captured cannot be waited for, and nothing of the frame gets into the capture. */
static void test_captured_stream(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    cudaStream_t stream = NULL;
    cudaGraph_t graph = NULL;
    size_t n_nodes = 1;
    gpu_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame host = pipeline_fixture_frame(), device = host;
    const float score = run_host(pipeline, &host);
    assert_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    device.image.pixels = put_rows(&host, stream);
    device.image.pitch_bytes = PITCH;
    assert_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_pipeline_submit_cuda(pipeline, &device.image, &device.info, stream, &error), &error);
    assert_non_null(strstr(error.text, "cuda:0 does not know it"));
    assert_cuda(cudaStreamEndCapture(stream, &graph));
    assert_cuda(cudaGraphGetNodes(graph, NULL, &n_nodes));
    assert_int_equal(n_nodes, 0);
    assert_cuda(cudaGraphDestroy(graph));
    assert_ok(sono_pipeline_submit_cuda(pipeline, &device.image, &device.info, stream, &error), &error);
    receive_same(pipeline, score, 0);
    sono_pipeline_close(pipeline);
    cudaFree((void *)(uintptr_t)device.image.pixels);
    cudaStreamDestroy(stream);
}

/* Frames of one batch may come from either memory; only where one of them is the host's is there an upload.
 */
static void test_batch(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    gpu_fixture_synthetic(&config);
    config.batch = 2;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame host = pipeline_fixture_frame(), device = host;
    device.image.pixels = put_rows(&host, NULL);
    device.image.pitch_bytes = PITCH;
    float score = 0.0f;
    for (int round = 0; round < 3; round++) {
        const sono_frame *first = round == 2 ? &device : &host;
        const sono_packet *packets[2] = {NULL, NULL};
        for (int i = 0; i < 2; i++) {
            const sono_frame *frame = i == 0 ? first : round == 0 ? &host : &device;
            assert_ok(frame == &host
                          ? sono_pipeline_submit(pipeline, &frame->image, &frame->info, &error)
                          : sono_pipeline_submit_cuda(pipeline, &frame->image, &frame->info, NULL, &error),
                      &error);
        }
        for (int i = 0; i < 2; i++)
            assert_ok(sono_pipeline_receive(pipeline, &packets[i], &error), &error);
        assert_int_equal(packets[0]->ledger.n_h2d, round == 2 ? 0 : 1);
        if (round == 0) {
            score = sono_packet_object(packets[0], 0)->score;
            memcpy(expected, packet_mask(packets[0], 0), N_PIXELS);
        }
        for (int i = 0; i < 2; i++) {
            assert_true(sono_packet_object(packets[i], 0)->score == score);
            assert_memory_equal(packet_mask(packets[i], 0), expected, N_PIXELS);
            assert_ok(sono_packet_release(pipeline, packets[i]), NULL);
        }
    }
    sono_pipeline_close(pipeline);
    cudaFree((void *)(uintptr_t)device.image.pixels);
}

static int n_deleted;

static void count_deleted(DLManagedTensorVersioned *self)
{
    assert_ptr_equal(self->manager_ctx, &n_deleted);
    n_deleted++;
}

static void test_dlpack(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    gpu_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame host = pipeline_fixture_frame();
    const float score = run_host(pipeline, &host);
    uint8_t *device = put_rows(&host, NULL);
    int64_t shape[3] = {1, HEIGHT_PX, WIDTH_PX}, strides[3] = {7, PITCH, 1};
    DLManagedTensorVersioned tensor = {
        .version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION},
        .manager_ctx = &n_deleted,
        .deleter = count_deleted,
        .dl_tensor = {device - 16, {kDLCUDA, 0}, 3, {kDLUInt, 8, 1}, shape, strides, 16}};
    n_deleted = 0;
    for (int i = 0; i < 3; i++) {
        assert_ok(sono_pipeline_submit_dlpack_versioned(pipeline, &tensor, &host.info, NULL, &error), &error);
        assert_int_equal(n_deleted, i);
        receive_same(pipeline, score, 0);
        assert_int_equal(n_deleted, i + 1);
    }
    /* One that is still in flight when the pipeline is closed. */
    assert_ok(sono_pipeline_submit_dlpack_versioned(pipeline, &tensor, NULL, NULL, &error), &error);
    sono_pipeline_close(pipeline);
    assert_int_equal(n_deleted, 4);
    cudaFree(device);
}
#else
static void test_device_memory(void **state)
{
    (void)state;
    sono_test_skip("built without CUDA");
}
#define test_stream_order    test_device_memory
#define test_refused         test_device_memory
#define test_captured_stream test_device_memory
#define test_batch           test_device_memory
#define test_dlpack          test_device_memory
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_memory), cmocka_unit_test(test_stream_order),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_captured_stream),
        cmocka_unit_test(test_batch),         cmocka_unit_test(test_dlpack),
    };
    return sono_test_run("gpu/device_frames", tests, sizeof tests / sizeof tests[0]);
}
