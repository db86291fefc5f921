// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* Sweeps rendered ahead are the phantom's own, in order, whatever the number of threads. */
#include "sweeps.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define N_SWEEPS 7
#define N_FRAMES 3

static sono_phantom_options small_phantom(void)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = 40;
    options.height_px = 56;
    options.n_frames = N_FRAMES;
    options.seed = 11;
    return options;
}

static void expect_frame(const sweep_frame *frame, sono_source *source)
{
    sono_image image;
    sono_frame_info info;
    sono_truth truth;
    sono_error error;
    const char *name = NULL;
    sono_image_init(&image);
    sono_frame_info_init(&info);
    assert_ok(sono_source_next(source, &image, &info, &name, &error), &error);
    assert_ok(sono_source_truth(source, &truth, &error), &error);
    assert_int_equal(frame->image.width_px, image.width_px);
    assert_int_equal(frame->image.height_px, image.height_px);
    assert_memory_equal(frame->image.pixels, image.pixels, (size_t)image.width_px * (size_t)image.height_px);
    assert_int_equal(frame->info.timestamp_ns, info.timestamp_ns);
    assert_int_equal(frame->truth.is_visible, truth.is_visible);
    for (int k = 0; k < SONO_TRUTH_STRUCTURES; k++)
        assert_memory_equal(frame->truth.surface_px[k], truth.surface_px[k],
                            (size_t)image.width_px * sizeof(float));
    assert_memory_equal(frame->truth.bbox_xyxy_px, truth.bbox_xyxy_px, sizeof truth.bbox_xyxy_px);
}

static void expect_sweep(sweeps *set, int32_t number)
{
    sono_phantom_options options = small_phantom();
    sono_source *source = NULL;
    sono_error error;
    options.seed += (uint64_t)number;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    for (int32_t i = 0; i < N_FRAMES; i++) {
        const sweep_frame *frame = NULL;
        assert_ok(sweeps_next(set, &frame, &error), &error);
        assert_int_equal(frame->sweep, number);
        assert_int_equal(frame->info.frame_id, i);
        expect_frame(frame, source);
    }
    sono_source_close(source);
}

static void test_as_phantom(void **state)
{
    (void)state;
    static const int32_t jobs[] = {1, 2, 3, 16};
    const sono_phantom_options options = small_phantom();
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        sweeps *set = NULL;
        const sweep_frame *frame = NULL;
        sono_error error;
        assert_ok(sweeps_open(&options, N_SWEEPS, jobs[i], &set, &error), &error);
        assert_in_range(sweeps_threads(set), 1, jobs[i]);
        assert_true(sweeps_bytes(set) > 0);
        for (int32_t number = 0; number < N_SWEEPS; number++)
            expect_sweep(set, number);
        assert_int_equal(sweeps_next(set, &frame, &error), SONO_STATUS_END);
        assert_int_equal(sweeps_next(set, &frame, &error), SONO_STATUS_END);
        sweeps_close(set);
    }
}

/* A frame stays while two further ones are taken, also of the next sweep. */
static void test_lent(void **state)
{
    (void)state;
    const sono_phantom_options options = small_phantom();
    const size_t n_bytes = (size_t)options.width_px * (size_t)options.height_px;
    uint8_t *copies[2] = {malloc(n_bytes), malloc(n_bytes)};
    const sweep_frame *lent[2] = {NULL, NULL}, *frame = NULL;
    sweeps *set = NULL;
    sono_error error;
    assert_true(copies[0] && copies[1]);
    assert_ok(sweeps_open(&options, N_SWEEPS, 2, &set, &error), &error);
    for (int n = 0; !sweeps_next(set, &frame, &error); n++) {
        for (int k = 0; k < 2; k++)
            if (lent[k])
                assert_memory_equal(lent[k]->image.pixels, copies[k], n_bytes);
        lent[n % 2] = frame;
        memcpy(copies[n % 2], frame->image.pixels, n_bytes);
    }
    sweeps_close(set);
    free(copies[0]);
    free(copies[1]);
}

static void test_closed_early(void **state)
{
    (void)state;
    sono_phantom_options options = small_phantom();
    options.n_frames = 2000;
    for (int n_taken = 0; n_taken < 3; n_taken++) {
        sweeps *set = NULL;
        const sweep_frame *frame = NULL;
        sono_error error;
        assert_ok(sweeps_open(&options, 100, 3, &set, &error), &error);
        for (int i = 0; i < n_taken; i++)
            assert_ok(sweeps_next(set, &frame, &error), &error);
        sweeps_close(set);
    }
    sweeps_close(NULL);
}

/* Frames that are too large for SWEEPS_MAX_BYTES are made by fewer threads. */
static void test_bounded(void **state)
{
    (void)state;
    sono_phantom_options options = small_phantom();
    sweeps *set = NULL;
    sono_error error;
    options.width_px = options.height_px = 1024;
    options.n_frames = 1200;
    assert_ok(sweeps_open(&options, 100, 16, &set, &error), &error);
    assert_in_range(sweeps_threads(set), 1, 3);
    assert_true(sweeps_bytes(set) <= SWEEPS_MAX_BYTES);
    sweeps_close(set);
    options.width_px = 1;
    assert_int_equal(sweeps_open(&options, 1, 1, &set, &error), SONO_STATUS_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_phantom),
        cmocka_unit_test(test_lent),
        cmocka_unit_test(test_closed_early),
        cmocka_unit_test(test_bounded),
    };
    return sono_test_run("tools/sweeps", tests, sizeof tests / sizeof tests[0]);
}
