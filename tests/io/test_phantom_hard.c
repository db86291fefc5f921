// SPDX-License-Identifier: Apache-2.0
/* Hard bones: what each effect does to the picture and to the truth, measured on a flat bone of which
 * everything else is even, and that all of them come up. */
#include "test.h"

#include "base/alloc.h"
#include "io/phantom/phantom_math.h"
#include "sonoseg/io.h"

#include <string.h>

#define WIDTH   320
#define HEIGHT  300
#define N_PIXEL ((size_t)WIDTH * HEIGHT)
#define MIDDLE  (WIDTH / 2)

typedef struct shot {
    sono_phantom_scene scene;
    sono_phantom_work work;
    uint8_t grey[N_PIXEL], mask[N_PIXEL], labels[N_PIXEL];
    float surfaces_px[SONO_TRUTH_STRUCTURES * WIDTH];
    sono_truth truth;
} shot;

static sono_phantom_options options_of(uint64_t seed, sono_phantom_shape shape, int32_t hard)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.seed = seed;
    options.shape = shape;
    options.hard = hard;
    options.no_marks = 1;
    return options;
}

/* A flat bone across the view, 20 of 40 mm deep, of one level. */
static void open_even(shot *s)
{
    sono_error error = {0};
    sono_phantom_options options = options_of(5, SONO_PHANTOM_FLAT, 0);
    options.depth_mm = 40;
    assert_ok(sono_phantom_work_init(&s->work, WIDTH, HEIGHT, &error), &error);
    sono_phantom_scene_init(&s->scene, &options, 0, &s->work);
    sono_phantom_bone *bone = &s->scene.bones[0];
    const sono_phantom_wave still = {0};
    bone->centre_mm = bone->rise_mm = bone->tilt = s->scene.probe_mm = still;
    bone->top_mm = (sono_phantom_wave){.mean = 20};
    bone->half_mm = (sono_phantom_wave){.mean = 18};
    bone->skew = 1;
    bone->level_db = 0;
    s->scene.roughness_db = s->scene.ripple_db = 0;
    s->scene.contact_db[0] = s->scene.contact_db[1] = 0;
    s->scene.bridge_mm = SONO_PHANTOM_BRIDGE_MM;
}

static void render_shot(shot *s)
{
    sono_phantom_pose(&s->scene, 0, &s->work);
    sono_phantom_render(&s->scene, 0, 5, &s->work, s->grey);
    sono_phantom_outline(&s->scene, &s->work, 0, s->mask, s->labels, s->surfaces_px, &s->truth);
}

static int is_in_mask(const shot *s, int32_t x)
{
    for (int32_t y = 0; y < HEIGHT; y++)
        if (s->mask[y * WIDTH + x])
            return 1;
    return 0;
}

/* Brightest grey of the echo in a column. */
static int echo_at(const shot *s, int32_t x)
{
    const int32_t y = (int32_t)(s->work.columns.bone[0][x] + 0.5f);
    int most = 0;
    for (int32_t v = y - 3; v <= y + 3; v++)
        most = s->grey[v * WIDTH + x] > most ? s->grey[v * WIDTH + x] : most;
    return most;
}

static double mean_echo(const shot *s, int32_t from, int32_t to)
{
    double sum = 0;
    for (int32_t x = from; x < to; x++)
        sum += echo_at(s, x);
    return sum / (to - from);
}

static int count_gap(const shot *s, int32_t from, int32_t to)
{
    int n = 0;
    for (int32_t x = from; x < to; x++)
        n += !is_in_mask(s, x);
    return n;
}

/* A narrow drop-out is dark in the picture and a part of the outline; a wide one is dark and a gap. */
static void test_drop_outs(void **state)
{
    (void)state;
    static shot s;
    open_even(&s);
    render_shot(&s);
    assert_int_equal(count_gap(&s, 60, 260), 0);
    const double whole = mean_echo(&s, MIDDLE - 2, MIDDLE + 3);
    sono_phantom_hardness *hard = &s.scene.bones[0].hard;
    hard->n_drops = 1;
    hard->drop_db[0] = 45;
    hard->drop_half_mm[0] = 0.6f;
    render_shot(&s);
    assert_int_equal(count_gap(&s, 60, 260), 0);
    assert_true(mean_echo(&s, MIDDLE - 1, MIDDLE + 2) < whole - 60);
    s.scene.bridge_mm = 0; /* what the bridge is for */
    render_shot(&s);
    assert_true(count_gap(&s, 60, 260) > 3);
    s.scene.bridge_mm = SONO_PHANTOM_BRIDGE_MM;
    hard->drop_half_mm[0] = 1.6f;
    render_shot(&s);
    const int gap = count_gap(&s, 60, 260);
    assert_in_range(gap, (int)(2 * s.scene.px_per_mm), (int)(4.5f * s.scene.px_per_mm));
    assert_true(mean_echo(&s, MIDDLE - 4, MIDDLE + 5) < 60);
    assert_true(s.work.columns.opacity[0][MIDDLE] == 1); /* its shadow stays */
    assert_true(s.surfaces_px[MIDDLE] < 0);
    sono_phantom_work_reset(&s.work);
}

/* The outline ends where the displayed level falls below the documented grey, well before the bone does. */
static void test_fading_flank(void **state)
{
    (void)state;
    static shot s;
    open_even(&s);
    sono_phantom_hardness *hard = &s.scene.bones[0].hard;
    hard->fade_from = 0.2f;
    hard->fade_db[1] = 45;
    render_shot(&s);
    int32_t last = WIDTH - 1;
    while (!is_in_mask(&s, last))
        last--;
    const int32_t end = MIDDLE + (int32_t)(18 * s.scene.px_per_mm);
    print_message("ends at %d of %d: grey %.0f before, %.0f behind\n", last, end,
                  mean_echo(&s, last - 12, last), mean_echo(&s, last + 1, last + 13));
    assert_true(last < end - 20 && last > MIDDLE + 30);
    assert_true(sono_phantom_level_at(&s.scene, &s.work, 0, last) >= SONO_PHANTOM_SHOWN);
    assert_true(sono_phantom_level_at(&s.scene, &s.work, 0, last + 15) < SONO_PHANTOM_SHOWN);
    assert_true(mean_echo(&s, last + 15, last + 27) < 255 * SONO_PHANTOM_SHOWN);
    assert_true(is_in_mask(&s, MIDDLE - 100)); /* the other flank is whole */
    sono_phantom_work_reset(&s.work);
}

static double thickness(const shot *s, int32_t from, int32_t to, int least)
{
    int n = 0;
    for (int32_t x = from; x < to; x++)
        for (int32_t y = 120; y < 190; y++)
            n += s->grey[y * WIDTH + x] >= least;
    return (double)n / (to - from);
}

static void test_blurred_crest(void **state)
{
    (void)state;
    static shot s;
    open_even(&s);
    render_shot(&s);
    const double before = mean_echo(&s, MIDDLE - 15, MIDDLE + 16);
    const double thick = thickness(&s, MIDDLE - 15, MIDDLE + 16, (int)(0.6 * before));
    const int64_t area_px = s.truth.mask_area_px;
    sono_phantom_hardness *hard = &s.scene.bones[0].hard;
    hard->crest_half = 0.3f;
    hard->crest_wide = 2.2f;
    hard->crest_db = 6;
    render_shot(&s);
    const double after = mean_echo(&s, MIDDLE - 15, MIDDLE + 16);
    const double thicker = thickness(&s, MIDDLE - 15, MIDDLE + 16, (int)(0.6 * after));
    print_message("grey %.0f to %.0f, thick %.1f to %.1f rows\n", before, after, thick, thicker);
    assert_true(after < before - 8 && thicker > 1.4 * thick);
    assert_int_equal(s.truth.mask_area_px, area_px); /* the outline is as thick as elsewhere */
    sono_phantom_work_reset(&s.work);
}

static void test_faint_bone_has_no_truth(void **state)
{
    (void)state;
    static shot s;
    open_even(&s);
    s.scene.bones[0].level_db = -s.scene.range_db * (1 - 0.5f * SONO_PHANTOM_SHOWN);
    render_shot(&s);
    assert_false(s.truth.is_visible);
    assert_int_equal(s.truth.mask_area_px, 0);
    sono_phantom_work_reset(&s.work);
}

/* How many sweeps show each effect. */
static void test_every_effect_comes(void **state)
{
    (void)state;
    enum { FADES, BLURS, DROPS, TWO, EDGE, NEAR, FAINT, BESIDE, N };
    int n_of[N] = {0}, n_none = 0;
    static sono_phantom_scene scenes[2];
    sono_error error = {0};
    sono_phantom_work work;
    assert_ok(sono_phantom_work_init(&work, WIDTH, HEIGHT, &error), &error);
    for (uint64_t seed = 0; seed < 200; seed++) {
        for (int32_t hard = 0; hard < 2; hard++) {
            const sono_phantom_options options = options_of(seed, SONO_PHANTOM_ARCHED, hard);
            sono_phantom_scene_init(&scenes[hard], &options, 0, &work);
        }
        const sono_phantom_bone *easy = &scenes[0].bones[0], *bone = &scenes[1].bones[0];
        const float half_view_mm = 0.5f * scenes[1].view_mm;
        int now[N] = {0};
        for (int32_t b = 0; b < scenes[1].n_bones; b++)
            now[EDGE] |= fabsf(scenes[1].bones[b].centre_mm.mean) + bone->half_mm.mean > half_view_mm + 2;
        now[FADES] = bone->hard.fade_from > 0;
        now[BLURS] = bone->hard.crest_half > 0;
        now[DROPS] = bone->hard.n_drops > 0;
        now[TWO] = scenes[1].n_bones == 2;
        now[NEAR] = bone->top_mm.mean < 0.095f * scenes[1].depth_mm && bone->top_mm.mean < easy->top_mm.mean;
        now[FAINT] = bone->level_db < easy->level_db - 7.9f;
        now[BESIDE] = scenes[1].alikes.kinds != 0;
        int n = 0;
        for (int k = 0; k < N; k++) {
            n_of[k] += now[k];
            n += now[k];
        }
        n_none += !n;
        assert_true(easy->hard.fade_from == 0 && easy->hard.crest_half == 0 && !easy->hard.n_drops);
        assert_true(scenes[0].bridge_mm == 0 && scenes[0].alikes.kinds == 0);
        assert_memory_equal(scenes[0].layer_mm, scenes[1].layer_mm, sizeof scenes[0].layer_mm);
    }
    sono_phantom_work_reset(&work);
    for (int k = 0; k < N; k++)
        assert_in_range(n_of[k], 12, 150);
    assert_int_equal(n_none, 0);
}

/* Frames as a reader gets them: the same twice, nothing allocated, truth within what shows. */
static void test_frames(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(3, SONO_PHANTOM_ANY, 1);
    options.n_frames = 24;
    options.n_sweep_frames = 1;
    options.empty_share = 0;
    sono_error error = {0};
    sono_source *sources[2] = {NULL, NULL};
    for (int k = 0; k < 2; k++)
        assert_ok(sono_source_open_phantom(&options, &sources[k], &error), &error);
    const uint64_t before = sono_alloc_count();
    int n_visible = 0;
    for (int i = 0; i < options.n_frames; i++) {
        sono_truth truths[2];
        sono_frame frames[2] = {SONO_TEST_FRAME, SONO_TEST_FRAME};
        const char *name = NULL;
        for (int k = 0; k < 2; k++) {
            assert_ok(sono_source_next(sources[k], &frames[k].image, &frames[k].info, &name, &error), &error);
            assert_ok(sono_source_truth(sources[k], &truths[k], &error), &error);
        }
        assert_memory_equal(frames[0].image.pixels, frames[1].image.pixels, N_PIXEL);
        assert_memory_equal(truths[0].labels, truths[1].labels, N_PIXEL);
        n_visible += truths[0].is_visible;
        double inside = 0;
        for (size_t p = 0; p < N_PIXEL; p++)
            inside += truths[0].mask[p] ? ((const uint8_t *)frames[0].image.pixels)[p] : 0;
        if (truths[0].is_visible)
            assert_true(inside / (double)truths[0].mask_area_px > 255 * SONO_PHANTOM_SHOWN);
    }
    assert_int_equal(sono_alloc_count(), before);
    assert_in_range(n_visible, 15, 24);
    for (int k = 0; k < 2; k++)
        sono_source_close(sources[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drop_outs),          cmocka_unit_test(test_fading_flank),
        cmocka_unit_test(test_blurred_crest),      cmocka_unit_test(test_faint_bone_has_no_truth),
        cmocka_unit_test(test_every_effect_comes), cmocka_unit_test(test_frames),
    };
    return sono_test_run("source/phantom_hard", tests, sizeof(tests) / sizeof(tests[0]));
}
