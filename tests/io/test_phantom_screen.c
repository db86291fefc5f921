// SPDX-License-Identifier: Apache-2.0
/* The phantom's screens: where the picture lies, what changes from frame to frame, what stays. */
#include "test.h"

#include "sonoseg/io.h"
#include "sonoseg/phantom.h"

#include <string.h>

#define WIDTH   400
#define HEIGHT  300
#define N_PIXEL ((size_t)WIDTH * HEIGHT)
#define N_SEEDS 12

static sono_phantom_options options_of(uint64_t seed, int no_marks)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.seed = seed;
    options.n_frames = 2;
    options.n_held = 2;
    options.geometry = SONO_PHANTOM_ANY_GEOMETRY;
    options.orientation = SONO_PHANTOM_ANY_ORIENTATION;
    options.screen = 1;
    options.no_marks = no_marks;
    return options;
}

typedef struct pair {
    sono_source *source;
    sono_frame frames[2];
    sono_truth truths[2];
} pair;

static pair open_pair(const sono_phantom_options *options)
{
    sono_error error = {0};
    pair p = {.frames = {SONO_TEST_FRAME, SONO_TEST_FRAME}};
    const char *name = NULL;
    assert_ok(sono_source_open_phantom(options, &p.source, &error), &error);
    for (int i = 0; i < 2; i++) {
        assert_ok(sono_source_next(p.source, &p.frames[i].image, &p.frames[i].info, &name, &error), &error);
        assert_ok(sono_source_truth(p.source, &p.truths[i], &error), &error);
    }
    return p;
}

static int is_inside(const int32_t region[4], size_t i)
{
    const int32_t x = (int32_t)(i % WIDTH), y = (int32_t)(i / WIDTH);
    return x >= region[0] && y >= region[1] && x < region[0] + region[2] && y < region[1] + region[3];
}

/* The region lies in the frame, truth in the region, and nothing moves outside it. */
static void test_region(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        const sono_phantom_options options = options_of(seed, 1);
        pair p = open_pair(&options);
        const int32_t *r = p.truths[0].region_px;
        const uint8_t *a = p.frames[0].image.pixels, *b = p.frames[1].image.pixels;
        int32_t ends[4] = {WIDTH, HEIGHT, -1, -1};
        assert_memory_equal(r, p.truths[1].region_px, sizeof p.truths[1].region_px);
        assert_true(r[0] >= 0 && r[1] >= 0 && r[0] + r[2] <= WIDTH && r[1] + r[3] <= HEIGHT);
        assert_true(r[2] >= WIDTH / 5 && r[3] >= HEIGHT / 5 && r[2] <= WIDTH * 9 / 10 &&
                    r[3] <= HEIGHT * 9 / 10);
        for (size_t i = 0; i < N_PIXEL; i++) {
            assert_true(!p.truths[0].mask[i] || is_inside(r, i));
            if (a[i] == b[i])
                continue;
            const int32_t x = (int32_t)(i % WIDTH), y = (int32_t)(i / WIDTH);
            assert_true(is_inside(r, i));
            ends[0] = x < ends[0] ? x : ends[0];
            ends[1] = y < ends[1] ? y : ends[1];
            ends[2] = x > ends[2] ? x : ends[2];
            ends[3] = y > ends[3] ? y : ends[3];
        }
        assert_true(ends[2] - ends[0] >= r[2] / 3 && ends[3] - ends[1] >= r[3] / 3);
        sono_source_close(p.source);
    }
}

/* Without a screen the region is the frame. */
static void test_no_screen(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(1, 0);
    options.screen = 0;
    pair p = open_pair(&options);
    const int32_t whole[4] = {0, 0, WIDTH, HEIGHT};
    assert_memory_equal(p.truths[0].region_px, whole, sizeof whole);
    sono_source_close(p.source);
}

/* There is something around the picture, and what is drawn over it leaves most of it and all truth alone. */
static void test_furniture(void **state)
{
    (void)state;
    int n_furnished = 0;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        const sono_phantom_options plain_options = options_of(seed, 1), options = options_of(seed, 0);
        pair plain = open_pair(&plain_options), p = open_pair(&options);
        const uint8_t *a = plain.frames[1].image.pixels, *b = p.frames[1].image.pixels;
        int64_t counts[256] = {0};
        size_t n_over = 0, n_in = 0;
        for (size_t i = 0; i < N_PIXEL; i++) {
            const int is_in = is_inside(p.truths[1].region_px, i);
            n_in += (size_t)is_in;
            n_over += is_in && a[i] != b[i];
            counts[b[i]] += !is_in;
        }
        int n_greys = 0;
        for (int grey = 0; grey < 256; grey++)
            n_greys += counts[grey] > 0;
        n_furnished += n_greys >= 3;
        assert_true(n_over < n_in / 4);
        assert_memory_equal(plain.truths[1].labels, p.truths[1].labels, N_PIXEL);
        sono_source_close(plain.source);
        sono_source_close(p.source);
    }
    print_message("furniture on %d of %d screens\n", n_furnished, N_SEEDS);
    assert_true(n_furnished >= N_SEEDS - 1);
}

static void test_same_again(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        const sono_phantom_options options = options_of(seed, 0);
        pair one = open_pair(&options), two = open_pair(&options);
        for (int i = 0; i < 2; i++)
            assert_memory_equal(one.frames[i].image.pixels, two.frames[i].image.pixels, N_PIXEL);
        sono_source_close(one.source);
        sono_source_close(two.source);
    }
}

static void test_refusal(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(1, 0);
    sono_source *source = NULL;
    sono_error error = {0};
    options.width_px = 199;
    assert_int_equal(sono_source_open_phantom(&options, &source, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "199 x 300 pixels is too small, sides must be 200 at least"));
    assert_null(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_region),     cmocka_unit_test(test_no_screen), cmocka_unit_test(test_furniture),
        cmocka_unit_test(test_same_again), cmocka_unit_test(test_refusal),
    };
    return sono_test_run("source/phantom_screen", tests, sizeof(tests) / sizeof(tests[0]));
}
