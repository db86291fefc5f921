// SPDX-License-Identifier: Apache-2.0
/* Scanner and frame grabber effects: what each does to a frame, measured; that the truth follows what is
 * displayed; that a freeze stays bit for bit. */
#include "phantom_failures.h"
#include "test.h"

#include "base/alloc.h"
#include "io/phantom/phantom_math.h"
#include "sonoseg/io.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH   200
#define HEIGHT  150
#define N_PIXEL ((size_t)WIDTH * HEIGHT)

static uint8_t picture[N_PIXEL], found[N_PIXEL], scratch[N_PIXEL * 2];

/* Grey steps of 40 columns, with a fine pattern in the lower half. */
static void draw_picture(void)
{
    for (int32_t y = 0; y < HEIGHT; y++)
        for (int32_t x = 0; x < WIDTH; x++) {
            const int32_t step = x / 40 % 2 ? 180 : 60, fine = y >= HEIGHT / 2 && (x + y) % 2 ? 24 : 0;
            picture[y * WIDTH + x] = (uint8_t)(step + fine);
        }
}

static void grab(sono_phantom_grabber grabber)
{
    draw_picture();
    memcpy(found, picture, N_PIXEL);
    assert_true(sono_phantom_scratch_bytes(WIDTH, HEIGHT) <= sizeof scratch);
    sono_phantom_grab(&grabber, 9, 0.25, WIDTH, HEIGHT, found, scratch);
}

static double mean_of(const uint8_t *grey)
{
    double sum = 0;
    for (size_t i = 0; i < N_PIXEL; i++)
        sum += grey[i];
    return sum / N_PIXEL;
}

static int worst(void)
{
    int most = 0;
    for (size_t i = 0; i < N_PIXEL; i++) {
        const int off = abs((int)found[i] - (int)picture[i]);
        most = off > most ? off : most;
    }
    return most;
}

static void test_nothing(void **state)
{
    (void)state;
    grab((sono_phantom_grabber){0});
    assert_int_equal(worst(), 0);
}

static void test_comb_moves_odd_lines(void **state)
{
    (void)state;
    grab(
        (sono_phantom_grabber){.comb_px = 1, .comb_hz = 1}); /* a quarter of a turn at 0.25 s: by one pixel */
    for (int32_t y = 0; y < HEIGHT; y++)
        for (int32_t x = 1; x < WIDTH; x++)
            assert_int_equal(found[y * WIDTH + x], picture[y * WIDTH + (y % 2 ? x - 1 : x)]);
}

/* Steps at column 40 become slopes; the mean stays, and nothing moves. */
static void test_blur_and_resampling(void **state)
{
    (void)state;
    const sono_phantom_grabber grabbers[] = {{.blur_px = 1.2f}, {.resample = 0.7f}, {.resample = 1.4f}};
    for (int k = 0; k < 3; k++) {
        grab(grabbers[k]);
        assert_true(fabs(mean_of(found) - mean_of(picture)) < 0.6);
        const uint8_t *row = found + (ptrdiff_t)20 * WIDTH;
        assert_in_range(row[39], 62, 119);
        assert_in_range(row[40], 121, 178);
        assert_true(abs(row[39] + row[40] - 240) <= 24);
        assert_int_equal(row[20], 60);
        assert_int_equal(row[60], 180);
    }
}

static void test_ringing_overshoots(void **state)
{
    (void)state;
    grab((sono_phantom_grabber){.ringing = 0.5f});
    const uint8_t *row = found + (ptrdiff_t)20 * WIDTH;
    assert_int_equal(row[39], 36); /* mean of the five around: 60 + 2 / 5 120 */
    assert_int_equal(row[40], 204);
    assert_int_equal(row[36], 60);
}

static void test_hiss(void **state)
{
    (void)state;
    grab((sono_phantom_grabber){.hiss = 3});
    double sum = 0, squared = 0;
    for (size_t i = 0; i < N_PIXEL; i++) {
        const double off = (double)found[i] - (double)picture[i];
        sum += off;
        squared += off * off;
    }
    assert_true(fabs(sum / N_PIXEL) < 0.1);
    assert_true(fabs(sqrt(squared / N_PIXEL) - 3) < 0.15);
}

/* At 100 all steps are 1: an error of rounding. Even blocks keep their grey at any quality. */
static void test_blocks(void **state)
{
    (void)state;
    grab((sono_phantom_grabber){.quality = 100});
    assert_in_range(worst(), 0, 2);
    grab((sono_phantom_grabber){.quality = 30});
    assert_true(worst() > 8); /* the fine pattern is gone */
    assert_true(fabs(mean_of(found) - mean_of(picture)) < 2);
    for (int32_t x = 0; x < WIDTH; x++) /* steps lie on the edges of blocks: 40 = 5 * 8 */
        assert_true(abs(found[20 * WIDTH + x] - picture[20 * WIDTH + x]) <= 4);
    memset(found, 128, N_PIXEL);
    sono_phantom_blocks(5, WIDTH, HEIGHT, found);
    for (size_t i = 0; i < N_PIXEL; i++)
        assert_int_equal(found[i], 128);
}

/* Speckle of n patterns: its intensity's mean over its deviation grows as the root of n. */
static void test_looks_smooth_speckle(void **state)
{
    (void)state;
    sono_error error = {0};
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.shape = SONO_PHANTOM_EMPTY;
    sono_phantom_work work;
    static sono_phantom_scene scene;
    double ratios[2];
    assert_ok(sono_phantom_work_init(&work, WIDTH, HEIGHT, &error), &error);
    assert_ok(sono_phantom_work_add_looks(&work, &error), &error);
    sono_phantom_scene_init(&scene, &options, 0, &work);
    scene.alikes.medium = SONO_PHANTOM_UNIFORM; /* even speckle, evenly lit */
    scene.loss_db_mm = scene.ripple_db = scene.smoothing = 0;
    scene.near_db = -200;
    for (int k = 0; k < 2; k++) {
        scene.n_looks = k ? 4 : 0;
        sono_phantom_pose(&scene, 0, &work);
        for (int32_t x = 0; x < work.stride; x++)
            work.columns.contact[x] = work.columns.streak[x] = 1;
        sono_phantom_render(&scene, 0, 3, &work, found);
        double sum = 0, squared = 0;
        for (int32_t y = 20; y < HEIGHT - 20; y++)
            for (int32_t x = 20; x < WIDTH - 20; x++) {
                const double v = (double)work.amplitude[y * work.stride + x];
                sum += v;
                squared += v * v;
            }
        const double n = (HEIGHT - 40.0) * (WIDTH - 40.0), mean = sum / n;
        ratios[k] = mean / sqrt(squared / n - mean * mean);
    }
    sono_phantom_work_reset(&work);
    print_message("mean / deviation of the intensity: %.2f, of four %.2f\n", ratios[0], ratios[1]);
    assert_true(fabs(ratios[0] - 1) < 0.15);
    assert_true(fabs(ratios[1] / ratios[0] - 2) < 0.3);
}

static sono_source *open_source(uint64_t seed, int32_t degrade)
{
    sono_error error = {0};
    sono_source *source = NULL;
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.seed = seed;
    options.shape = SONO_PHANTOM_ARCHED;
    options.degrade = degrade;
    options.n_frames = 60;
    options.rate_hz = 10;
    options.events = SONO_PHANTOM_EVENTS_TUNING;
    options.event_kinds = 1u << SONO_PHANTOM_FREEZE;
    options.n_held = 2;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    return source;
}

static void test_sweeps(void **state)
{
    (void)state;
    static uint8_t last[N_PIXEL];
    sono_source *sources[3] = {open_source(2, 1), open_source(2, 1), open_source(2, 0)};
    const uint64_t before = sono_alloc_count();
    int n_frozen = 0, n_other = 0;
    for (int i = 0; i < 60; i++) {
        sono_error error = {0};
        sono_truth truth = {0};
        const uint8_t *pixels[3];
        for (int k = 0; k < 3; k++) {
            sono_frame frame = SONO_TEST_FRAME;
            const char *name = NULL;
            assert_ok(sono_source_next(sources[k], &frame.image, &frame.info, &name, &error), &error);
            pixels[k] = frame.image.pixels;
        }
        assert_ok(sono_source_truth(sources[0], &truth, &error), &error);
        assert_memory_equal(pixels[0], pixels[1], N_PIXEL);
        n_other += memcmp(pixels[0], pixels[2], N_PIXEL) != 0;
        if (truth.event == SONO_PHANTOM_FREEZE && truth.stale_s > 0) {
            assert_memory_equal(pixels[0], last, N_PIXEL);
            n_frozen++;
        }
        memcpy(last, pixels[0], N_PIXEL);
    }
    assert_int_equal(sono_alloc_count(), before);
    assert_int_equal(n_other, 60);
    assert_true(n_frozen > 3);
    for (int k = 0; k < 3; k++)
        sono_source_close(sources[k]);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.degrade = options.hard = 1;
    options.look_alikes = SONO_PHANTOM_ANY_LOOK_ALIKE;
    const uint64_t before = sono_alloc_count();
    sono_source *source = NULL;
    assert_int_equal(sono_source_open_phantom(&options, &source, NULL), SONO_STATUS_OK);
    const uint64_t n = sono_alloc_count() - before;
    sono_source_close(source);
    expect_phantom_needs_memory(&options, n);
}

/* A bone that a lower gain takes below the documented grey leaves the truth. */
static void test_truth_follows_gain(void **state)
{
    (void)state;
    sono_error error = {0};
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.shape = SONO_PHANTOM_ARCHED;
    static sono_phantom_scene scene;
    static uint8_t mask[N_PIXEL], labels[N_PIXEL];
    static float surfaces_px[SONO_TRUTH_STRUCTURES * WIDTH];
    sono_phantom_work work;
    int64_t areas[3];
    assert_ok(sono_phantom_work_init(&work, WIDTH, HEIGHT, &error), &error);
    sono_phantom_scene_init(&scene, &options, 0, &work);
    for (int k = 0; k < 3; k++) {
        sono_truth truth;
        scene.gain_db = k == 1 ? -14 : k == 2 ? -60 : 0;
        sono_phantom_pose(&scene, 0, &work);
        sono_phantom_render(&scene, 0, 3, &work, found);
        sono_phantom_outline(&scene, &work, 0, mask, labels, surfaces_px, &truth);
        areas[k] = truth.mask_area_px;
    }
    sono_phantom_work_reset(&work);
    print_message("%lld, %lld, %lld px\n", (long long)areas[0], (long long)areas[1], (long long)areas[2]);
    assert_true(areas[0] > areas[1] && areas[1] > 0);
    assert_int_equal(areas[2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_comb_moves_odd_lines),
        cmocka_unit_test(test_blur_and_resampling),
        cmocka_unit_test(test_ringing_overshoots),
        cmocka_unit_test(test_hiss),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_looks_smooth_speckle),
        cmocka_unit_test(test_sweeps),
        cmocka_unit_test(test_truth_follows_gain),
        cmocka_unit_test(test_out_of_memory),
    };
    return sono_test_run("source/phantom_degrade", tests, sizeof(tests) / sizeof(tests[0]));
}
