// SPDX-License-Identifier: Apache-2.0
/* The phantom's events: that each comes, that truth and picture agree, and what is promised of a freeze. */
#include "phantom_failures.h"
#include "test.h"

#include "base/alloc.h"
#include "sonoseg/io.h"
#include "sonoseg/phantom.h"

#include <math.h>
#include <string.h>

#define WIDTH   106
#define HEIGHT  140
#define N_PIXEL ((size_t)WIDTH * HEIGHT)
#define N_SWEEP 500 /* frames: 20 s */

static sono_phantom_options options_of(sono_phantom_event_set set, uint32_t kinds, int32_t n_frames)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.n_frames = n_frames;
    options.n_sweep_frames = N_SWEEP;
    options.no_marks = 1;
    options.events = set;
    options.event_kinds = kinds;
    return options;
}

typedef struct player {
    sono_source *source;
    const uint8_t *grey;
    sono_frame frame;
    sono_truth truth;
} player;

static player open_player(const sono_phantom_options *options)
{
    player self = {.frame = SONO_TEST_FRAME};
    sono_error error = {0};
    assert_ok(sono_source_open_phantom(options, &self.source, &error), &error);
    return self;
}

static void step(player *self)
{
    sono_error error = {0};
    const char *name = NULL;
    assert_ok(sono_source_next(self->source, &self->frame.image, &self->frame.info, &name, &error), &error);
    assert_ok(sono_source_truth(self->source, &self->truth, &error), &error);
    self->grey = self->frame.image.pixels;
}

static void test_same_options_same_bytes(void **state)
{
    (void)state;
    sono_phantom_options one = options_of(SONO_PHANTOM_EVENTS_HELD_OUT, 0, 250);
    one.width_px = one.height_px = 48;
    sono_phantom_options held = one;
    held.n_held = 3;
    player a = open_player(&one), b = open_player(&held);
    int n_eventful = 0;
    for (int i = 0; i < one.n_frames; i++) {
        step(&a);
        step(&b);
        assert_memory_equal(a.grey, b.grey, 48 * 48);
        assert_memory_equal(a.truth.labels, b.truth.labels, 48 * 48);
        for (int k = 0; k < SONO_TRUTH_STRUCTURES; k++)
            assert_memory_equal(a.truth.surface_px[k], b.truth.surface_px[k], 48 * sizeof(float));
        assert_true(a.truth.event == b.truth.event && a.truth.event_s == b.truth.event_s);
        assert_true(a.truth.stale_s == b.truth.stale_s);
        assert_true(a.frame.info.image_to_reference[3] == b.frame.info.image_to_reference[3]);
        n_eventful += a.truth.event != SONO_PHANTOM_QUIET;
    }
    assert_in_range(n_eventful, 20, 200);
    sono_source_close(a.source);
    sono_source_close(b.source);
}

/* Until the first event begins, a sweep is the one without events: the anatomy is the same. */
static void test_anatomy_stays(void **state)
{
    (void)state;
    const sono_phantom_options with = options_of(SONO_PHANTOM_EVENTS_TUNING, 0, 60);
    const sono_phantom_options without = options_of(SONO_PHANTOM_EVENTS_NONE, 0, 60);
    player a = open_player(&with), b = open_player(&without);
    int n_same = 0;
    for (int i = 0; i < with.n_frames; i++) {
        step(&a);
        step(&b);
        if (a.truth.event != SONO_PHANTOM_QUIET)
            break;
        assert_memory_equal(a.grey, b.grey, N_PIXEL);
        assert_memory_equal(a.truth.mask, b.truth.mask, N_PIXEL);
        n_same++;
    }
    assert_true(n_same >= 24);
    sono_source_close(a.source);
    sono_source_close(b.source);
}

/* Every kind comes over some seeds, and stretches between events are of the published length. */
static void test_every_kind_comes(void **state)
{
    (void)state;
    for (int set = SONO_PHANTOM_EVENTS_HELD_OUT; set < SONO_PHANTOM_EVENTS_SET_COUNT; set++) {
        const double shortest = set == SONO_PHANTOM_EVENTS_HELD_OUT ? 1.5 : 1.0, longest = shortest + 2.5;
        int n_of[SONO_PHANTOM_EVENT_COUNT] = {0}, n_quiet = 0;
        sono_phantom_options options = options_of((sono_phantom_event_set)set, 0, 8 * N_SWEEP);
        options.width_px = options.height_px = 24;
        player self = open_player(&options);
        for (int i = 0; i < options.n_frames; i++) {
            const int begins = i % N_SWEEP == 0;
            step(&self);
            assert_true(self.truth.event >= 0 && self.truth.event < SONO_PHANTOM_EVENT_COUNT);
            if (self.truth.event != SONO_PHANTOM_QUIET && self.truth.event_s == 0) {
                n_of[self.truth.event]++;
                assert_true(n_quiet / 25.0 >= shortest - 0.021 && n_quiet / 25.0 <= longest + 0.021);
            }
            n_quiet = self.truth.event != SONO_PHANTOM_QUIET ? 0 : begins ? 1 : n_quiet + 1;
        }
        for (int kind = 1; kind < SONO_PHANTOM_EVENT_COUNT; kind++)
            assert_true(n_of[kind] >= 2);
        sono_source_close(self.source);
    }
}

/* Mean grey inside the mask (0) and in a band above it (1). */
static void mean_greys(const player *self, double means[2])
{
    double sums[2] = {0}, counts[2] = {1e-9, 1e-9};
    for (int32_t x = 0; x < WIDTH; x++)
        for (int32_t y = 0; y < HEIGHT; y++) {
            const int32_t at = y * WIDTH + x;
            const int is_in = self->truth.mask[at] != 0;
            const int is_above = !is_in && y + 8 < HEIGHT && self->truth.mask[at + 8 * WIDTH] &&
                                 !self->truth.mask[at + 4 * WIDTH];
            if (!is_in && !is_above)
                continue;
            sums[is_above] += self->grey[at];
            counts[is_above]++;
        }
    for (int i = 0; i < 2; i++)
        means[i] = sums[i] / counts[i];
}

/* Where truth says visible, the bone is brighter than what is above it, whatever goes on. */
static void test_visible_is_bright(void **state)
{
    (void)state;
    double sums[SONO_PHANTOM_EVENT_COUNT][3] = {{0}};
    for (int shape = SONO_PHANTOM_FLAT; shape < SONO_PHANTOM_EMPTY; shape++) {
        sono_phantom_options options = options_of(SONO_PHANTOM_EVENTS_HELD_OUT, 0, 200);
        options.shape = (sono_phantom_shape)shape;
        options.rate_hz = 5;
        options.seed = (uint64_t)shape;
        player self = open_player(&options);
        for (int i = 0; i < options.n_frames; i++) {
            double means[2];
            step(&self);
            if (!self.truth.is_visible)
                continue;
            mean_greys(&self, means);
            sums[self.truth.event][0] += means[0];
            sums[self.truth.event][1] += means[1];
            sums[self.truth.event][2]++;
        }
        sono_source_close(self.source);
    }
    for (int kind = 0; kind < SONO_PHANTOM_EVENT_COUNT; kind++) {
        const double n = sums[kind][2];
        print_message("%s: %.0f frames, inside %.1f, above %.1f\n",
                      sono_phantom_event_name((sono_phantom_event)kind), n, sums[kind][0] / n,
                      sums[kind][1] / n);
        assert_true(n >= 3 && sums[kind][0] > 1.5 * sums[kind][1]);
    }
}

/* Highest mean grey over 5 x 5 pixels in the lower three quarters of the picture. */
static double brightest_patch(const uint8_t *grey)
{
    double most = 0;
    for (int32_t y = HEIGHT / 4; y + 5 <= HEIGHT; y++)
        for (int32_t x = 0; x + 5 <= WIDTH; x++) {
            double sum = 0;
            for (int32_t i = 0; i < 25; i++)
                sum += grey[(y + i / 5) * WIDTH + x + i % 5];
            most = sum > most ? sum : most;
        }
    return most / 25;
}

/* A lifted probe sees nothing but the reverberation near the skin, save while contact fades: at most three
 * frames on either side, in which a strip of tissue without bone may show. */
static void test_contact_lost_is_dark(void **state)
{
    (void)state;
    sono_phantom_options options =
        options_of(SONO_PHANTOM_EVENTS_HELD_OUT, 1u << SONO_PHANTOM_CONTACT_LOST, N_SWEEP);
    options.shape = SONO_PHANTOM_ARCHED;
    player self = open_player(&options);
    int n_events = 0, n_dark = 0, n_lit = 0;
    for (int i = 0; i < N_SWEEP; i++) {
        step(&self);
        const int is_dark = brightest_patch(self.grey) < 60;
        assert_true(self.truth.event != SONO_PHANTOM_QUIET || (self.truth.is_visible && !is_dark));
        if (self.truth.event == SONO_PHANTOM_QUIET)
            continue;
        n_events += self.truth.event_s == 0;
        n_dark += is_dark;
        n_lit += !is_dark;
        assert_false(is_dark && self.truth.visible_share > 0);
    }
    print_message("%d events: %d frames dark, %d fading\n", n_events, n_dark, n_lit);
    assert_true(n_events >= 3 && n_dark >= 50 && n_lit >= 2 * n_events && n_lit <= 6 * n_events);
    sono_source_close(self.source);
}

static void test_probe_leaves_and_returns(void **state)
{
    (void)state;
    for (int shape = SONO_PHANTOM_FLAT; shape < SONO_PHANTOM_EMPTY; shape++) {
        sono_phantom_options options =
            options_of(SONO_PHANTOM_EVENTS_HELD_OUT, 1u << SONO_PHANTOM_PROBE_LEAVES, 4 * 100);
        options.width_px = WIDTH / 2;
        options.height_px = HEIGHT / 2;
        options.n_sweep_frames = 100;
        options.rate_hz = 10;
        options.shape = (sono_phantom_shape)shape;
        player self = open_player(&options);
        int n_away = 0, n_back = 0;
        for (int i = 0; i < options.n_frames; i++) {
            const int was_away = i % 100 && self.truth.visible_share == 0;
            step(&self);
            assert_true(self.truth.event || self.truth.is_visible);
            n_away += self.truth.visible_share == 0;
            n_back += was_away && self.truth.visible_share > 0;
        }
        assert_true(n_away >= 20 && n_back >= 4);
        sono_source_close(self.source);
    }
}

/* What an event must not do: hide the bone. And what it must: the other bone is a second structure, and
 * motion blurs. */
static void test_bone_stays(void **state)
{
    (void)state;
    const uint32_t kinds =
        1u << SONO_PHANTOM_GAIN_JUMP | 1u << SONO_PHANTOM_MOTION_BLUR | 1u << SONO_PHANTOM_OTHER_BONE;
    int n_two = 0, n_blurred = 0;
    for (int shape = SONO_PHANTOM_FLAT; shape < SONO_PHANTOM_EMPTY; shape++) {
        sono_phantom_options options = options_of(SONO_PHANTOM_EVENTS_HELD_OUT, kinds, 6 * 60);
        options.width_px = WIDTH / 2;
        options.height_px = HEIGHT / 2;
        options.shape = (sono_phantom_shape)shape;
        options.n_sweep_frames = 60;
        options.rate_hz = 8;
        player self = open_player(&options);
        for (int i = 0; i < options.n_frames; i++) {
            step(&self);
            assert_true(self.truth.is_visible && self.truth.is_trustworthy && !self.truth.is_borderline);
            assert_true(self.truth.event == SONO_PHANTOM_MOTION_BLUR || self.truth.blur_px == 0);
            n_two += self.truth.event == SONO_PHANTOM_OTHER_BONE && self.truth.n_structures == 2;
            n_blurred += self.truth.blur_px > 1;
        }
        sono_source_close(self.source);
    }
    print_message("%d frames with another bone, %d blurred\n", n_two, n_blurred);
    assert_true(n_two >= 5 && n_blurred >= 20);
}

static void test_gain_jumps_within_a_frame(void **state)
{
    (void)state;
    sono_phantom_options options =
        options_of(SONO_PHANTOM_EVENTS_HELD_OUT, 1u << SONO_PHANTOM_GAIN_JUMP, N_SWEEP);
    options.shape = SONO_PHANTOM_FLAT;
    player self = open_player(&options);
    double before = 0;
    int n_jumps = 0;
    for (int i = 0; i < N_SWEEP; i++) {
        double sum = 0;
        step(&self);
        for (size_t k = 0; k < N_PIXEL; k++)
            sum += self.grey[k];
        if (i && self.truth.event == SONO_PHANTOM_GAIN_JUMP && self.truth.event_s == 0) {
            n_jumps++;
            assert_true(fabs(sum - before) > 0.1 * before);
        } else if (i && self.truth.event == SONO_PHANTOM_QUIET && !n_jumps) {
            assert_true(fabs(sum - before) < 0.1 * before);
        }
        before = sum;
    }
    assert_true(n_jumps >= 3);
    sono_source_close(self.source);
}

static void expect_frozen(const player *self, const player *before, const uint8_t *grey, double stale_s)
{
    assert_memory_equal(self->grey, grey, N_PIXEL);
    assert_true(self->truth.stale_s > 0 && fabs(self->truth.stale_s - stale_s) < 1e-9);
    assert_false(self->truth.is_trustworthy);
    assert_int_equal(self->truth.is_visible, before->truth.is_visible);
    assert_int_equal(self->truth.mask_area_px, before->truth.mask_area_px);
    assert_true(self->frame.info.image_to_reference[3] == before->frame.info.image_to_reference[3]);
}

static void test_freeze_repeats_bytes(void **state)
{
    (void)state;
    static uint8_t grey[N_PIXEL];
    sono_phantom_options options =
        options_of(SONO_PHANTOM_EVENTS_HELD_OUT, 1u << SONO_PHANTOM_FREEZE, N_SWEEP);
    options.shape = SONO_PHANTOM_RIDGE;
    options.no_marks = 0;
    player self = open_player(&options), before = {0};
    int n_frozen = 0, n_in_a_row = 0;
    for (int i = 0; i < N_SWEEP; i++) {
        step(&self);
        assert_true(fabs(self.frame.info.timestamp_ns - 4e7 * (i + 1)) < 1);
        assert_int_equal(self.frame.info.frame_id, i);
        if (self.truth.event == SONO_PHANTOM_FREEZE) {
            expect_frozen(&self, &before, grey, ++n_in_a_row * 0.04);
            n_frozen++;
            continue;
        }
        assert_true(self.truth.stale_s == 0 && (!i || memcmp(self.grey, grey, N_PIXEL) != 0));
        n_in_a_row = 0;
        memcpy(grey, self.grey, N_PIXEL);
        before = self;
    }
    assert_true(n_frozen >= 50);
    sono_source_close(self.source);
}

/* Column by column: a surface lies inside its structure's band, and where there is one the structure is. */
static void test_surface_lies_in_mask(void **state)
{
    (void)state;
    int64_t n_rows = 0, n_hidden = 0;
    for (int shape = SONO_PHANTOM_FLAT; shape < SONO_PHANTOM_SHAPE_COUNT; shape++) {
        sono_phantom_options options = options_of(SONO_PHANTOM_EVENTS_HELD_OUT, 0, 150);
        options.shape = (sono_phantom_shape)shape;
        options.rate_hz = 5;
        player self = open_player(&options);
        for (int i = 0; i < options.n_frames; i++) {
            step(&self);
            for (int32_t at = 0; at < SONO_TRUTH_STRUCTURES * WIDTH; at++) {
                const int32_t k = at / WIDTH, x = at % WIDTH;
                const float row = self.truth.surface_px[k][x];
                assert_true(row == -1 || (row >= 0 && row <= HEIGHT - 1 && k < self.truth.n_structures));
                int32_t first = HEIGHT, last = -1;
                for (int32_t y = 0; y < HEIGHT; y++)
                    if (self.truth.labels[y * WIDTH + x] == k + 1) {
                        first = y < first ? y : first;
                        last = y;
                    }
                n_rows += row >= 0;
                if (row >= 0 && last < 0)
                    n_hidden++; /* behind another bone's band */
                else if (row >= 0)
                    assert_true(row >= (float)first - 0.5f && row <= (float)last + 0.5f);
            }
        }
        sono_source_close(self.source);
    }
    assert_true(n_rows > 10000 && n_hidden < n_rows / 1000);
}

/* Over a flat bone the echo's brightest row, averaged over many columns, is the surface's. */
static void test_echo_peaks_at_surface(void **state)
{
    (void)state;
    double sum_px = 0, band_mm = 0;
    int n = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        sono_phantom_options options = options_of(SONO_PHANTOM_EVENTS_NONE, 0, 1);
        options.width_px = 422;
        options.height_px = 558;
        options.shape = SONO_PHANTOM_FLAT;
        options.seed = seed;
        player self = open_player(&options);
        step(&self);
        for (int32_t x = 0; x < 422; x++) {
            const float row = self.truth.surface_px[0][x];
            int32_t best = -1;
            for (int32_t y = 0; y < 558; y++)
                if (self.truth.labels[y * 422 + x] == 1 &&
                    (best < 0 || self.grey[y * 422 + x] > self.grey[best * 422 + x]))
                    best = y;
            /* White without end is no peak. */
            if (row < 0 || best < 0 || self.grey[best * 422 + x] == 255)
                continue;
            sum_px += best - (double)row;
            n++;
        }
        band_mm += self.frame.info.spacing_mm[1];
        sono_source_close(self.source);
    }
    const double off_mm = sum_px / n * band_mm / 12;
    print_message("%d columns: the brightest row is %.3f mm below the surface\n", n, off_mm);
    assert_true(n > 500 && off_mm > -0.05 && off_mm < 0.25);
}

static void test_refusals(void **state)
{
    (void)state;
    const sono_phantom_options good = options_of(SONO_PHANTOM_EVENTS_TUNING, 0, 1);
    for (int i = 0; i < 3; i++) {
        sono_phantom_options bad = good;
        sono_error error = {0};
        sono_source *source = NULL;
        if (i == 0)
            bad.events = SONO_PHANTOM_EVENTS_SET_COUNT;
        else
            bad.event_kinds = i == 1 ? 1u << SONO_PHANTOM_QUIET : 1u << SONO_PHANTOM_EVENT_COUNT;
        assert_int_equal(sono_source_open_phantom(&bad, &source, &error), SONO_STATUS_INVALID_ARGUMENT);
        assert_true(!source && error.text[0]);
    }
    assert_string_equal(sono_phantom_event_name(SONO_PHANTOM_OTHER_BONE), "other_bone");
    assert_string_equal(sono_phantom_event_name(SONO_PHANTOM_EVENT_COUNT), "unknown");
}

/* An older caller's truth is shorter; nothing beyond it is written. */
static void test_shorter_truth(void **state)
{
    (void)state;
    const sono_phantom_options options = options_of(SONO_PHANTOM_EVENTS_NONE, 0, 1);
    player self = open_player(&options);
    step(&self);
    const size_t n_older = offsetof(sono_truth, surface_px);
    sono_truth older;
    memset(&older, 0x5a, sizeof older);
    assert_ok(sono_source_truth_sized(self.source, &older, n_older, NULL), NULL);
    assert_memory_equal(&older, &self.truth, n_older);
    for (size_t i = n_older; i < sizeof older; i++)
        assert_int_equal(((const uint8_t *)&older)[i], 0x5a);
    sono_source_close(self.source);
}

static void test_memory(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(SONO_PHANTOM_EVENTS_HELD_OUT, 0, 200);
    options.width_px = options.height_px = 32;
    const uint64_t before = sono_alloc_count();
    player self = open_player(&options);
    const uint64_t n = sono_alloc_count() - before;
    for (int i = 0; i < options.n_frames; i++)
        step(&self);
    assert_int_equal(sono_alloc_count() - before, n);
    sono_source_close(self.source);
    expect_phantom_needs_memory(&options, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_options_same_bytes),
        cmocka_unit_test(test_anatomy_stays),
        cmocka_unit_test(test_every_kind_comes),
        cmocka_unit_test(test_visible_is_bright),
        cmocka_unit_test(test_contact_lost_is_dark),
        cmocka_unit_test(test_probe_leaves_and_returns),
        cmocka_unit_test(test_bone_stays),
        cmocka_unit_test(test_gain_jumps_within_a_frame),
        cmocka_unit_test(test_freeze_repeats_bytes),
        cmocka_unit_test(test_surface_lies_in_mask),
        cmocka_unit_test(test_echo_peaks_at_surface),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_shorter_truth),
        cmocka_unit_test(test_memory),
    };
    return sono_test_run("source/phantom_events", tests, sizeof(tests) / sizeof(tests[0]));
}
