// SPDX-License-Identifier: Apache-2.0
/* The phantom: what is promised of its frames, its truth and its memory, and the statistics of its speckle.
 */
#include "phantom_failures.h"
#include "test.h"

#include "base/alloc.h"
#include "io/phantom/phantom.h"
#include "sonoseg/io.h"
#include "sonoseg/phantom.h"

#include <math.h>
#include <string.h>

#define WIDTH   211
#define HEIGHT  279
#define N_PIXEL ((size_t)WIDTH * HEIGHT)

static sono_phantom_options small_options(uint64_t seed, sono_phantom_shape shape)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.seed = seed;
    options.shape = shape;
    options.n_frames = 3;
    return options;
}

static sono_source *open_source(const sono_phantom_options *options)
{
    sono_error error = {0};
    sono_source *source = NULL;
    assert_ok(sono_source_open_phantom(options, &source, &error), &error);
    return source;
}

static const uint8_t *next_frame(sono_source *source, sono_truth *truth)
{
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = NULL;
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    assert_ok(sono_source_truth(source, truth, &error), &error);
    assert_int_equal(frame.image.width_px, truth->width_px);
    assert_int_equal(frame.image.height_px, truth->height_px);
    return frame.image.pixels;
}

static void expect_same(const sono_phantom_options *left, const sono_phantom_options *right, int is_same)
{
    sono_truth truths[2];
    sono_source *sources[2] = {open_source(left), open_source(right)};
    for (int i = 0; i < left->n_frames; i++) {
        const uint8_t *a = next_frame(sources[0], &truths[0]);
        const uint8_t *b = next_frame(sources[1], &truths[1]);
        assert_int_equal(!memcmp(a, b, N_PIXEL), is_same);
        assert_int_equal(!memcmp(truths[0].mask, truths[1].mask, N_PIXEL), is_same);
    }
    sono_source_close(sources[0]);
    sono_source_close(sources[1]);
}

static void test_seed_decides(void **state)
{
    (void)state;
    const sono_phantom_options one = small_options(5, SONO_PHANTOM_RIDGE);
    const sono_phantom_options same = small_options(5, SONO_PHANTOM_RIDGE);
    const sono_phantom_options other = small_options(6, SONO_PHANTOM_RIDGE);
    expect_same(&one, &same, 1);
    expect_same(&one, &other, 0);
}

static void expect_box(const uint8_t *map, uint8_t value, const float *box, int64_t area_px)
{
    int32_t left = WIDTH, top = HEIGHT, right = -1, bottom = -1;
    int64_t area = 0;
    for (int32_t y = 0; y < HEIGHT; y++)
        for (int32_t x = 0; x < WIDTH; x++)
            if (map[y * WIDTH + x] == value) {
                left = x < left ? x : left;
                right = x > right ? x : right;
                top = y < top ? y : top;
                bottom = y;
                area++;
            }
    assert_int_equal(area, area_px);
    assert_true(box[0] == (float)left && box[1] == (float)top);
    assert_true(box[2] == (float)right && box[3] == (float)bottom);
}

static void expect_truth(const sono_truth *truth, sono_phantom_shape shape)
{
    assert_true(truth->is_visible);
    assert_in_range(truth->n_structures, 1, shape == SONO_PHANTOM_PAIR ? 2 : 1);
    expect_box(truth->mask, 255, truth->bbox_xyxy_px, truth->mask_area_px);
    for (int32_t k = 0; k < truth->n_structures; k++)
        expect_box(truth->labels, (uint8_t)(k + 1), truth->structures[k].bbox_xyxy_px,
                   truth->structures[k].area_px);
    for (size_t i = 0; i < N_PIXEL; i++)
        assert_int_equal(truth->mask[i], truth->labels[i] ? 255 : 0);
}

/* Mean grey of up to `reach` rows above (sign -1) or below (1) the outline, `gap` rows away from it. */
static double mean_beside(const uint8_t *grey, const uint8_t *mask, int32_t sign, int32_t gap, int32_t reach)
{
    double sum = 0;
    int64_t n = 0;
    for (int32_t x = 0; x < WIDTH; x++)
        for (int32_t i = 0; i < HEIGHT; i++) {
            const int32_t y = sign < 0 ? i : HEIGHT - 1 - i;
            if (!mask[y * WIDTH + x])
                continue;
            for (int32_t k = gap; k < gap + reach; k++)
                if (y + sign * k >= 0 && y + sign * k < HEIGHT) {
                    sum += grey[(y + sign * k) * WIDTH + x];
                    n++;
                }
            break;
        }
    return n ? sum / (double)n : 0;
}

static void test_every_shape(void **state)
{
    (void)state;
    for (int shape = SONO_PHANTOM_FLAT; shape < SONO_PHANTOM_EMPTY; shape++) {
        double above = 0, inside = 0, below = 0;
        for (uint64_t seed = 0; seed < 12; seed++) {
            const sono_phantom_options options = small_options(seed, (sono_phantom_shape)shape);
            sono_source *source = open_source(&options);
            sono_truth truth;
            for (int i = 0; i < options.n_frames; i++) {
                const uint8_t *grey = next_frame(source, &truth);
                expect_truth(&truth, (sono_phantom_shape)shape);
                above += mean_beside(grey, truth.mask, -1, 3, 15);
                below += mean_beside(grey, truth.mask, 1, 8, 60);
                inside += mean_beside(grey, truth.mask, -1, -3, 2);
            }
            sono_source_close(source);
        }
        print_message("shape %d: above %.1f, inside %.1f, below %.1f\n", shape, above / 36, inside / 36,
                      below / 36);
        assert_true(below < 0.5 * above);
        assert_true(inside > 1.5 * above);
    }
}

static void test_empty(void **state)
{
    (void)state;
    const sono_phantom_options options = small_options(3, SONO_PHANTOM_EMPTY);
    sono_source *source = open_source(&options);
    sono_truth truth;
    next_frame(source, &truth);
    assert_false(truth.is_visible);
    assert_int_equal(truth.n_structures, 0);
    assert_int_equal(truth.mask_area_px, 0);
    for (size_t i = 0; i < N_PIXEL; i++)
        assert_int_equal(truth.mask[i], 0);
    sono_source_close(source);
}

static void test_share_of_empty_sweeps(void **state)
{
    (void)state;
    sono_phantom_options options = small_options(11, SONO_PHANTOM_ANY);
    options.width_px = options.height_px = 16;
    options.n_frames = 200;
    options.n_sweep_frames = 1;
    options.empty_share = 0.5f;
    sono_source *source = open_source(&options);
    int n_empty = 0;
    for (int i = 0; i < options.n_frames; i++) {
        sono_truth truth;
        next_frame(source, &truth);
        n_empty += !truth.is_visible;
    }
    assert_in_range(n_empty, 70, 130);
    sono_source_close(source);
}

/* Rayleigh's mean over standard deviation is sqrt(pi / (4 - pi)) = 1.913; a complex part of variance 1 has a
 * mean square of 2. */
static void test_speckle_is_rayleigh(void **state)
{
    (void)state;
    sono_phantom_options options = small_options(1, SONO_PHANTOM_EMPTY);
    options.width_px = 640;
    options.height_px = 480;
    sono_phantom_work work;
    sono_phantom_scene scene;
    assert_ok(sono_phantom_work_init(&work, options.width_px, options.height_px, NULL), NULL);
    sono_phantom_scene_init(&scene, &options, 0, &work);
    sono_phantom_pose(&scene, 0.37, &work);
    for (size_t i = 0; i < (size_t)work.stride * 480; i++)
        work.amplitude[i] = 1;
    sono_phantom_scatter(&scene, 0.37, &work);
    double sum = 0, squares = 0, n = 0;
    for (int32_t y = 16; y < 464; y++) {
        sono_phantom_axial_row(&scene, y, &work);
        for (int32_t x = 0; x < 640; x++, n++) {
            const double re = (double)work.envelope_real[x], im = (double)work.envelope_imaginary[x];
            sum += sqrt(re * re + im * im);
            squares += re * re + im * im;
        }
    }
    const double mean = sum / n, deviation = sqrt(squares / n - mean * mean);
    print_message("mean / deviation %.3f, mean square %.3f\n", mean / deviation, squares / n);
    assert_true(fabs(mean / deviation - 1.913) < 0.06);
    assert_true(fabs(squares / n - 2) < 0.1);
    sono_phantom_work_reset(&work);
}

/* A frame moves little against the one before, and something over a second. */
static void test_motion(void **state)
{
    (void)state;
    sono_phantom_options options = small_options(4, SONO_PHANTOM_ARCHED);
    options.n_frames = 50;
    sono_source *source = open_source(&options);
    sono_truth truth, before;
    next_frame(source, &before);
    float furthest = 0;
    const sono_truth first = before;
    for (int i = 1; i < options.n_frames; i++, before = truth) {
        next_frame(source, &truth);
        assert_true(fabsf(truth.bbox_xyxy_px[1] - before.bbox_xyxy_px[1]) <= 4);
        for (int k = 0; k < 4; k++)
            furthest = fmaxf(furthest, fabsf(truth.bbox_xyxy_px[k] - first.bbox_xyxy_px[k]));
    }
    assert_true(furthest >= 3);
    sono_source_close(source);
}

static void test_sizes(void **state)
{
    (void)state;
    static const int32_t sizes[][2] = {{64, 48}, {16, 16}, {17, 301}, {333, 19}, {641, 479}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int shape = SONO_PHANTOM_FLAT; shape < SONO_PHANTOM_SHAPE_COUNT; shape++) {
            sono_phantom_options options = small_options(i, (sono_phantom_shape)shape);
            options.width_px = sizes[i][0];
            options.height_px = sizes[i][1];
            sono_source *source = open_source(&options);
            sono_truth truth;
            next_frame(source, &truth);
            if (i == 0)
                assert_int_equal(truth.is_visible, shape != SONO_PHANTOM_EMPTY);
            sono_source_close(source);
        }
}

static void test_frames_and_end(void **state)
{
    (void)state;
    sono_phantom_options options = small_options(2, SONO_PHANTOM_FLAT);
    options.n_held = 2;
    options.rate_hz = 10;
    options.depth_mm = 50;
    sono_source *source = open_source(&options);
    sono_truth truth;
    sono_frame frames[3] = {SONO_TEST_FRAME, SONO_TEST_FRAME, SONO_TEST_FRAME};
    const char *name = NULL;
    uint8_t copy[64];
    assert_int_equal(sono_source_count(source), 3);
    assert_int_equal(sono_source_truth(source, &truth, NULL), SONO_STATUS_STATE);
    for (int i = 0; i < 3; i++) {
        assert_ok(sono_source_next(source, &frames[i].image, &frames[i].info, &name, NULL), NULL);
        assert_int_equal(frames[i].info.frame_id, i);
        assert_true(fabs(frames[i].info.timestamp_ns - 1e8 * (i + 1)) < 1);
        assert_true(fabs(frames[i].info.spacing_mm[0] - 50.0 / HEIGHT) < 1e-6);
        if (i == 1)
            memcpy(copy, (const uint8_t *)frames[1].image.pixels + N_PIXEL / 3, sizeof copy);
    }
    assert_string_equal(name, "phantom_000002");
    assert_memory_equal(copy, (const uint8_t *)frames[1].image.pixels + N_PIXEL / 3, sizeof copy);
    assert_int_equal(sono_source_next(source, &frames[0].image, &frames[0].info, &name, NULL),
                     SONO_STATUS_END);
    sono_source_close(source);
}

static void expect_refused(sono_phantom_options options)
{
    sono_error error = {0};
    sono_source *source = NULL;
    assert_int_equal(sono_source_open_phantom(&options, &source, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_null(source);
    assert_true(error.text[0] != 0);
}

static void test_refusals(void **state)
{
    (void)state;
    const sono_phantom_options good = small_options(1, SONO_PHANTOM_ANY);
#define REFUSE(field, value)                                                                                 \
    do {                                                                                                     \
        sono_phantom_options bad = good;                                                                     \
        bad.field = (value);                                                                                 \
        expect_refused(bad);                                                                                 \
    } while (0)
    REFUSE(struct_size, 0);
    REFUSE(struct_size, sizeof(size_t) - 1);
    REFUSE(width_px, 15);
    REFUSE(height_px, 4097);
    REFUSE(n_frames, 0);
    REFUSE(n_sweep_frames, -1);
    REFUSE(rate_hz, 0);
    REFUSE(rate_hz, (double)NAN);
    REFUSE(shape, SONO_PHANTOM_SHAPE_COUNT);
    REFUSE(empty_share, 1.5f);
    REFUSE(depth_mm, 5);
    REFUSE(depth_mm, NAN);
    REFUSE(n_held, 0);
    REFUSE(n_held, 17);
#undef REFUSE
    assert_int_equal(sono_source_open_phantom(&good, NULL, NULL), SONO_STATUS_INVALID_ARGUMENT);
    const char *paths[] = {"nothing"};
    sono_source *images = NULL;
    sono_truth truth;
    assert_ok(sono_source_open_images(paths, 1, NULL, &images, NULL), NULL);
    assert_int_equal(sono_source_truth(images, &truth, NULL), SONO_STATUS_UNSUPPORTED);
    assert_int_equal(sono_source_truth(images, NULL, NULL), SONO_STATUS_INVALID_ARGUMENT);
    sono_source_close(images);
}

static void test_memory(void **state)
{
    (void)state;
    sono_phantom_options options = small_options(1, SONO_PHANTOM_PAIR);
    options.n_sweep_frames = 2;
    const uint64_t before = sono_alloc_count();
    sono_source *source = open_source(&options);
    const uint64_t n = sono_alloc_count() - before;
    sono_truth truth;
    for (int i = 0; i < options.n_frames; i++)
        next_frame(source, &truth);
    assert_int_equal(sono_alloc_count() - before, n);
    sono_source_close(source);
    expect_phantom_needs_memory(&options, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_decides),
        cmocka_unit_test(test_every_shape),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_share_of_empty_sweeps),
        cmocka_unit_test(test_speckle_is_rayleigh),
        cmocka_unit_test(test_motion),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_frames_and_end),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory),
    };
    return sono_test_run("source/phantom", tests, sizeof(tests) / sizeof(tests[0]));
}
