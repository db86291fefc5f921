// SPDX-License-Identifier: Apache-2.0
// labels: slow serial timeout=300
/* Every CUDA call of open and of three frames fails in turn (gpu/hooks.h; a stride over those of open keeps
 * it under a minute, SONO_TEST_STEP=1 takes all): the error says in which call and stage, no packet is ever
 * an earlier frame's, closing works, opening again works. On a GPU with the synthetic checkpoints
 * (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER). */
#include "base/clock.h"
#include "engine/cuda/device/hooks.h"
#include "support/gpu_fixture.h"
#include "support/packet_maps.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef SONO_HAVE_CUDA
#define N_FRAMES           3
#define WIDTH_PX           320
#define HEIGHT_PX          240
#define N_PIXELS           (WIDTH_PX * HEIGHT_PX)
#define CUDA_ERROR_UNKNOWN 999                        /* what a call fails with when it is made to */
#define BUDGET_NS          (25 * INT64_C(1000000000)) /* a test */

/* Three pictures that differ, and what each gives when nothing fails. */
typedef struct pictures {
    uint8_t pixels[N_FRAMES][N_PIXELS];
    uint8_t masks[N_FRAMES][N_PIXELS];
    float scores[N_FRAMES];
} pictures;

static pictures all;

static void draw_pictures(void)
{
    const sono_frame frame = pipeline_fixture_frame();
    const uint8_t *from = frame.image.pixels;
    for (int i = 0; i < N_PIXELS; i++) {
        all.pixels[0][i] = from[i];
        all.pixels[1][i] = (uint8_t)(255 - from[i]);
        all.pixels[2][i] = from[N_PIXELS - 1 - i];
    }
}

/* The first failure of a run. */
typedef struct fault {
    sono_status status;
    sono_error error;
    int in_open, in_submit;
} fault;

static void note(fault *f, sono_status status, const sono_error *error)
{
    if (f->status != SONO_STATUS_OK)
        return;
    f->status = status;
    f->error = *error;
}

/* A packet that comes out is the one that was asked for, whatever failed before it. Behind a frame that was
 * refused an earlier one may come out, which the pipeline's own thread had completed by then; behind a frame
 * that failed none. */
static void receive(sono_pipeline *pipeline, int index, int is_first_run, fault *f)
{
    const sono_packet *packet = NULL;
    sono_error error = {0};
    const sono_status status = sono_pipeline_receive(pipeline, &packet, &error);
    if (status != SONO_STATUS_OK) {
        assert_null(packet);
        note(f, status, &error);
        return;
    }
    if (f->status != SONO_STATUS_OK && !f->in_submit)
        fail_msg("frame %d came out behind \"%s\"", index, f->error.text);
    assert_int_equal(packet->info->frame_id, index);
    if (is_first_run) {
        memcpy(all.masks[index], packet_mask(packet, 0), N_PIXELS);
        all.scores[index] = sono_packet_object(packet, 0)->score;
    }
    assert_memory_equal(packet_mask(packet, 0), all.masks[index], N_PIXELS);
    assert_true(sono_packet_object(packet, 0)->score == all.scores[index]);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

static int submit(sono_pipeline *pipeline, int index, fault *f)
{
    const sono_frame frame = {.image = {.struct_size = sizeof(sono_image),
                                        .pixels = all.pixels[index],
                                        .width_px = WIDTH_PX,
                                        .height_px = HEIGHT_PX,
                                        .format = SONO_PIXEL_GRAY8},
                              .info = {.struct_size = sizeof(sono_frame_info), .frame_id = (uint64_t)index}};
    sono_error error = {0};
    const sono_status status = sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error);
    if (status != SONO_STATUS_OK) {
        f->in_submit |= f->status == SONO_STATUS_OK;
        note(f, status, &error);
    } else if (f->status != SONO_STATUS_OK)
        fail_msg("a frame was taken behind \"%s\"", f->error.text);
    return status == SONO_STATUS_OK;
}

/* Opens, runs three frames with two in flight, closes; n_open: CUDA calls made by then, 0 = not wanted. */
static fault run(const sono_pipeline_config *config, int is_first_run, int64_t *n_open)
{
    fault f = {0};
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    const sono_status status = sono_pipeline_open(config, &pipeline, &error);
    if (status != SONO_STATUS_OK) {
        assert_null(pipeline);
        note(&f, status, &error);
        f.in_open = 1;
        return f;
    }
    if (n_open)
        *n_open = sono_gpu_call_count();
    int oldest = 0;
    for (int i = 0; i < N_FRAMES; i++) {
        const int is_flying = submit(pipeline, i, &f);
        if (i > 0 && oldest < i)
            receive(pipeline, oldest++, is_first_run, &f);
        if (!is_flying)
            break;
        if (i == N_FRAMES - 1)
            while (oldest < N_FRAMES)
                receive(pipeline, oldest++, is_first_run, &f);
    }
    if (f.status != SONO_STATUS_OK) {
        assert_int_equal(submit(pipeline, 0, &f), 0); /* latched */
        assert_status(SONO_STATUS_DEVICE, f.status, &f.error);
    }
    sono_pipeline_close(pipeline);
    return f;
}

static void check_text(const fault *f, int64_t number)
{
    const int has_device = f->status == SONO_STATUS_DEVICE || f->status == SONO_STATUS_NO_DEVICE;
    if (!has_device)
        fail_msg("call %lld: %s (%s)", (long long)number, sono_status_name(f->status), f->error.text);
    if (f->status == SONO_STATUS_DEVICE && f->error.native_code != CUDA_ERROR_UNKNOWN)
        fail_msg("call %lld: \"%s\" is not the failure that was asked for", (long long)number, f->error.text);
    if (f->status == SONO_STATUS_DEVICE && (!strstr(f->error.text, " in ") || !f->error.where[0] ||
                                            strncmp(f->error.text, f->error.where, strlen(f->error.where))))
        fail_msg("call %lld: \"%s\" does not name call and stage (%s)", (long long)number, f->error.text,
                 f->error.where);
}

static void fail_every_call(const sono_pipeline_config *config)
{
    draw_pictures();
    const int64_t start_ns = sono_clock_ns();
    int64_t n_open = 0, n_before = sono_gpu_call_count();
    const fault none = run(config, 1, &n_open);
    assert_ok(none.status, &none.error);
    const int64_t n_all = sono_gpu_call_count() - n_before, run_ns = sono_clock_ns() - start_ns;
    n_open -= n_before;
    const int64_t n_frame_calls = n_all - n_open;
    const int64_t n_trials = BUDGET_NS / (run_ns + 1) - n_frame_calls;
    const char *step_text = getenv("SONO_TEST_STEP");
    const int64_t step =
        step_text ? strtoll(step_text, NULL, 10) : n_open / (n_trials > 20 ? n_trials : 20) + 1;
    printf("%lld CUDA calls to open, %lld for %d frames; every %lld of open fails\n", (long long)n_open,
           (long long)n_frame_calls, N_FRAMES, (long long)step);
    assert_true(n_frame_calls >= 5 * N_FRAMES && step >= 1);

    for (int64_t n = 1; n <= n_all; n += n < n_open ? step : 1) {
        sono_gpu_fail_call(n);
        const fault f = run(config, 0, NULL);
        sono_gpu_fail_call(0);
        if (f.status == SONO_STATUS_OK)
            fail_msg("call %lld of %lld failed and nobody said so", (long long)n, (long long)n_all);
        assert_int_equal(f.in_open, n <= n_open);
        check_text(&f, n);
        if (n < n_open && n + step > n_open)
            n = n_open - step; /* next comes the last call of open, then those of the frames */
    }
    const fault again = run(config, 0, NULL);
    assert_ok(again.status, &again.error);
}

static void configure(sono_pipeline_config *config)
{
    gpu_fixture_synthetic(config);
    config->time_stages = 0;
    config->max_width_px = WIDTH_PX;
    config->max_height_px = HEIGHT_PX;
}

static void test_every_call_fails(void **state)
{
    (void)state;
    sono_pipeline_config config;
    configure(&config);
    fail_every_call(&config);
}

/* A capture within the capture, and events around the graph. */
static void test_every_call_fails_with_a_condition(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    configure(&config);
    config.skip_decoder_when_lost = 1;
    config.time_device = 1;
    if (sono_pipeline_open(&config, &pipeline, &error) == SONO_STATUS_UNSUPPORTED)
        sono_test_skip(error.text);
    sono_pipeline_close(pipeline);
    fail_every_call(&config);
}

static int leave(void **state)
{
    (void)state;
    sono_gpu_fail_call(0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_call_fails, leave),
        cmocka_unit_test_teardown(test_every_call_fails_with_a_condition, leave),
    };
    return sono_test_run("gpu/faults", tests, sizeof tests / sizeof tests[0]);
}

#else

static void test_nothing(void **state)
{
    (void)state;
    sono_test_skip("built without CUDA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing)};
    return sono_test_run("gpu/faults", tests, sizeof tests / sizeof tests[0]);
}
#endif
