// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* The null engine behind the engine's interface (live/serve/engine.h): opening and closing without waiting,
 * order, delay, losses on request, memory. */
#include "serve/engine.h"
#include "serve/loop.h"
#include "test.h"

#include <poll.h>
#include <string.h>

static sono_serve_config config;
static sono_serve_engine *engine;
static sono_serve_result result;
static sono_error error;

static int begin(void **state)
{
    (void)state;
    sono_serve_config_init(&config);
    config.engine_kind = 1;
    config.engine_max_width_px = config.engine_max_height_px = 64;
    return 0;
}

static int end(void **state)
{
    (void)state;
    sono_serve_engine_free(engine);
    engine = NULL;
    return 0;
}

/* What it tells next, within 10 s. */
static sono_serve_engine_news next(void)
{
    struct pollfd poll_fd = {.fd = sono_serve_engine_fd(engine), .events = POLLIN};
    for (;;) {
        assert_int_equal(poll(&poll_fd, 1, 10000), 1);
        sono_serve_engine_news news = sono_serve_engine_next(engine, &result, &error);
        if (news != SONO_SERVE_ENGINE_NOTHING) {
            return news;
        }
    }
}

static int is_silent(void)
{
    struct pollfd poll_fd = {.fd = sono_serve_engine_fd(engine), .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 0 &&
           sono_serve_engine_next(engine, &result, &error) == SONO_SERVE_ENGINE_NOTHING;
}

static void open_engine(void)
{
    assert_ok(sono_serve_engine_new(&config, NULL, NULL, &engine, &error), &error);
    assert_true(is_silent());
    sono_serve_engine_open(engine);
    assert_int_equal(next(), SONO_SERVE_ENGINE_UP);
    assert_true(is_silent());
}

static void submit(uint64_t id, sono_pixel_format format, const void *pixels, size_t n_bytes, int32_t width)
{
    size_t room;
    void *input;
    uint8_t *memory = sono_serve_engine_lend(engine, &room, &input);
    sono_image image;
    sono_frame_info info;
    assert_non_null(memory);
    assert_true(room >= n_bytes && (uintptr_t)memory % 64 == 0);
    memcpy(memory, pixels, n_bytes);
    sono_image_init(&image);
    sono_frame_info_init(&info);
    image.pixels = memory;
    image.width_px = width;
    image.height_px = 1;
    image.format = format;
    info.frame_id = id;
    assert_ok(sono_serve_engine_submit(engine, input, &image, &info, &error), &error);
}

static void test_masks(void **state)
{
    (void)state;
    open_engine();
    submit(7, SONO_PIXEL_GRAY8, (const uint8_t[]){0, 127, 128, 255}, 4, 4);
    assert_int_equal(next(), SONO_SERVE_ENGINE_RESULT);
    assert_int_equal(result.frame, 7);
    assert_int_equal(result.state, SONO_STATE_VISIBLE);
    assert_memory_equal(result.mask, ((const uint8_t[]){0, 0, 255, 255}), 4);
    assert_int_equal(result.mask_area_px, 2);
    assert_true(result.bbox_xyxy_px[0] == 2 && result.bbox_xyxy_px[2] == 3 && result.bbox_xyxy_px[3] == 0);
    sono_serve_engine_release(engine, &result);
    submit(8, SONO_PIXEL_GRAY16, (const uint16_t[]){0, 32767, 32768, 65535}, 8, 4);
    assert_int_equal(next(), SONO_SERVE_ENGINE_RESULT);
    assert_memory_equal(result.mask, ((const uint8_t[]){0, 0, 255, 255}), 4);
    sono_serve_engine_release(engine, &result);
    submit(9, SONO_PIXEL_RGB8, (const uint8_t[]){200, 0, 0, 0, 200, 200}, 6, 2);
    assert_int_equal(next(), SONO_SERVE_ENGINE_RESULT);
    assert_memory_equal(result.mask, ((const uint8_t[]){255, 0}), 2);
    sono_serve_engine_release(engine, &result);
    submit(10, SONO_PIXEL_GRAY8, (const uint8_t[]){0, 1}, 2, 2);
    assert_int_equal(next(), SONO_SERVE_ENGINE_RESULT);
    assert_int_equal(result.state, SONO_STATE_LOST);
    assert_int_equal(result.mask_area_px, 0);
    sono_serve_engine_release(engine, &result);
}

static void test_delay_and_order(void **state)
{
    const uint8_t pixel = 255;
    (void)state;
    config.engine_null_delay_ms = 20;
    config.engine_depth = 3;
    open_engine();
    int64_t begun = sono_serve_now_ns();
    for (uint64_t id = 1; id <= 3; ++id) {
        submit(id, SONO_PIXEL_GRAY8, &pixel, 1, 1);
    }
    assert_true(is_silent());
    for (uint64_t id = 1; id <= 3; ++id) { /* one after the other, as a device does */
        assert_int_equal(next(), SONO_SERVE_ENGINE_RESULT);
        assert_int_equal(result.frame, id);
        assert_true(sono_serve_now_ns() - begun >= (int64_t)id * 20000000);
        assert_true(result.latency_ms >= 20.0 * (double)id - 1);
        sono_serve_engine_release(engine, &result);
    }
}

static void test_losses(void **state)
{
    const uint8_t pixel = 255;
    (void)state;
    config.engine_null_fail_every = 2;
    open_engine();
    for (uint64_t id = 1; id <= 40; ++id) { /* more than there are places: losses give theirs back */
        submit(id, SONO_PIXEL_GRAY8, &pixel, 1, 1);
        assert_int_equal(next(), id % 2 ? SONO_SERVE_ENGINE_RESULT : SONO_SERVE_ENGINE_LOSS);
        assert_int_equal(result.frame, id);
        if (id % 2) {
            sono_serve_engine_release(engine, &result);
        } else {
            assert_int_equal(error.status, SONO_STATUS_DEVICE);
        }
    }
}

static void test_places(void **state)
{
    void *inputs[16], *one;
    size_t room;
    int n = 0;
    (void)state;
    config.engine_depth = 2;
    open_engine();
    while (n < 16 && sono_serve_engine_lend(engine, &room, &inputs[n])) {
        ++n;
    }
    assert_int_equal(n, sono_serve_engine_slots(&config));
    assert_int_equal(n, 2 + 1 + 1 + 1 + 1); /* in the engine, waiting, held, being filled, being sent */
    assert_null(sono_serve_engine_lend(engine, &room, &one));
    sono_serve_engine_return(engine, inputs[0]);
    assert_non_null(sono_serve_engine_lend(engine, &room, &one));
    assert_int_equal(room, 64 * 64 * 4);
}

static void test_open_and_close(void **state)
{
    void *input;
    size_t room;
    sono_serve_engine_info info;
    (void)state;
    assert_ok(sono_serve_engine_new(&config, NULL, NULL, &engine, &error), &error);
    sono_serve_engine_query(engine, &info);
    assert_string_equal(info.kind, "null"); /* it never passes for another */
    for (int i = 0; i < 3; ++i) {
        assert_null(sono_serve_engine_lend(engine, &room, &input));
        sono_serve_engine_open(engine);
        assert_int_equal(next(), SONO_SERVE_ENGINE_UP);
        assert_non_null(sono_serve_engine_lend(engine, &room, &input));
        submit(1, SONO_PIXEL_GRAY8, "x", 1, 1); /* closed with a frame in it */
        sono_serve_engine_close(engine);
        assert_null(sono_serve_engine_lend(engine, &room, &input));
        assert_int_equal(next(), SONO_SERVE_ENGINE_DOWN);
        assert_int_equal(error.status, SONO_STATUS_OK);
        assert_true(is_silent());
    }
    sono_serve_engine_open(engine);
    sono_serve_engine_close(engine); /* while it opens: one DOWN, no UP */
    assert_int_equal(next(), SONO_SERVE_ENGINE_DOWN);
    assert_true(is_silent());
    sono_serve_engine_open(engine); /* freed while it opens */
}

static void test_opening_fails(void **state)
{
    (void)state;
    config.engine_kind = 0;
    assert_ok(sono_serve_engine_new(&config, NULL, NULL, &engine, &error), &error);
    sono_serve_engine_open(engine);
    assert_int_equal(next(), SONO_SERVE_ENGINE_DOWN);
    assert_int_equal(error.status, SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "engine.detector"));
}

static void test_too_many_places(void **state)
{
    (void)state;
    config.source_order = 1;
    config.mailbox_n_waiting = 14;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_serve_engine_new(&config, NULL, NULL, &engine, &error),
                  &error);
    assert_non_null(strstr(error.text, "mailbox.n_waiting 14"));
    assert_null(engine);
    config.source_order = 0; /* the newest wins: one waits, whatever the number says */
    config.engine_depth = 12;
    assert_ok(sono_serve_engine_new(&config, NULL, NULL, &engine, &error), &error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_masks),          TEST(test_delay_and_order), TEST(test_losses),          TEST(test_places),
        TEST(test_open_and_close), TEST(test_opening_fails),   TEST(test_too_many_places),
    };
    return sono_test_run("live/engine_null", tests, sizeof(tests) / sizeof(tests[0]));
}
