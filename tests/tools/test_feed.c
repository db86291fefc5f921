// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* Frames rendered ahead are the phantom's own, in order, however far ahead, and stay as long as they are
 * held. */
#include "feed.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define N_FRAMES 9
#define WIDTH_PX 40
#define N_PIXELS (WIDTH_PX * 56)

static sono_phantom_options small_phantom(void)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH_PX;
    options.height_px = N_PIXELS / WIDTH_PX;
    options.n_frames = N_FRAMES;
    options.n_sweep_frames = 1;
    options.seed = 11;
    return options;
}

static void expect_frame(const flight *frame, sono_source *source)
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
    assert_string_equal(frame->name, name);
    assert_int_equal(frame->info.frame_id, info.frame_id);
    assert_int_equal(frame->image.width_px, image.width_px);
    assert_int_equal(frame->image.height_px, image.height_px);
    assert_memory_equal(frame->image.pixels, image.pixels, N_PIXELS);
    assert_memory_equal(frame->truth.labels, truth.labels, N_PIXELS);
}

/* Each frame is looked at when it is the older one of the two that a reader holds. */
static void expect_all(int64_t ahead_bytes)
{
    const sono_phantom_options options = small_phantom();
    sono_source *source = NULL;
    feed *fed = NULL;
    flight held = {0}, next = {0};
    sono_error error;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    assert_ok(feed_open(&options, ahead_bytes, &fed, &error), &error);
    assert_ok(feed_next(fed, &held, &error), &error);
    for (int i = 1; i < N_FRAMES; i++) {
        assert_ok(feed_next(fed, &next, &error), &error);
        expect_frame(&held, source);
        held = next;
    }
    expect_frame(&held, source);
    assert_int_equal(feed_next(fed, &next, &error), SONO_STATUS_END);
    assert_int_equal(feed_next(fed, &next, &error), SONO_STATUS_END);
    feed_close(fed);
    sono_source_close(source);
}

static void test_same_frames(void **state)
{
    (void)state;
    expect_all(0);
    expect_all((int64_t)4 * 2 * N_PIXELS);
    expect_all((int64_t)1 << 30);
}

static void test_closed_early(void **state)
{
    (void)state;
    const sono_phantom_options options = small_phantom();
    sono_error error;
    for (int n_taken = 0; n_taken < 3; n_taken++) {
        feed *fed = NULL;
        flight next = {0};
        assert_ok(feed_open(&options, 0, &fed, &error), &error);
        for (int i = 0; i < n_taken; i++)
            assert_ok(feed_next(fed, &next, &error), &error);
        feed_close(fed);
    }
    feed_close(NULL);
}

static void test_refused(void **state)
{
    (void)state;
    sono_phantom_options options = small_phantom();
    sono_error error;
    feed *fed = NULL;
    options.rate_hz = -1;
    assert_int_equal(feed_open(&options, 0, &fed, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_null(fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_frames),
        cmocka_unit_test(test_closed_early),
        cmocka_unit_test(test_refused),
    };
    return sono_test_run("tools/feed", tests, sizeof tests / sizeof tests[0]);
}
