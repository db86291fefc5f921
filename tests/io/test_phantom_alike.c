// SPDX-License-Identifier: Apache-2.0
/* What looks like bone and is not: each kind is there and measured where it lies, has no truth, moves with
 * what carries it, and leaves the anatomy and the truth of bones as they are. */
#include "test.h"

#include "base/alloc.h"
#include "io/phantom/phantom_math.h"
#include "sonoseg/io.h"

#include <string.h>

#define WIDTH   240
#define HEIGHT  300
#define N_PIXEL ((size_t)WIDTH * HEIGHT)
#define N_SEEDS 12

typedef struct shot {
    sono_phantom_scene scene;
    sono_phantom_work work;
    uint8_t grey[N_PIXEL];
} shot;

static sono_phantom_options options_of(uint64_t seed, sono_phantom_shape shape, uint32_t kinds)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.seed = seed;
    options.shape = shape;
    options.look_alikes = kinds;
    options.no_marks = 1;
    options.n_frames = 2;
    return options;
}

static void render_shot(shot *s, double time_s)
{
    sono_phantom_pose(&s->scene, time_s, &s->work);
    sono_phantom_render(&s->scene, time_s, 77, &s->work, s->grey);
}

/* A sweep's first frame with all of the probe in contact. */
static void open_shot(shot *s, uint64_t seed, sono_phantom_shape shape, uint32_t kinds)
{
    sono_error error = {0};
    const sono_phantom_options options = options_of(seed, shape, kinds);
    assert_ok(sono_phantom_work_init(&s->work, WIDTH, HEIGHT, &error), &error);
    sono_phantom_scene_init(&s->scene, &options, 0, &s->work);
    s->scene.contact_db[0] = s->scene.contact_db[1] = 0;
    render_shot(s, 0);
}

static void close_shot(shot *s)
{
    sono_phantom_work_reset(&s->work);
}

/* Mean grey of the columns in which sheet i is whole, `off_mm` below it; -1 where that is out of view. */
static double beside_sheet(const shot *s, int32_t i, float off_mm)
{
    double sum = 0;
    int n = 0;
    for (int32_t x = 0; x < WIDTH; x++) {
        const int32_t y = (int32_t)(s->work.columns.sheet[i][x] + off_mm * s->scene.px_per_mm + 0.5f);
        if (s->work.columns.sheet_cover[i][x] < 0.95f || y < 0 || y >= HEIGHT)
            continue;
        sum += s->grey[y * WIDTH + x];
        n++;
    }
    return n ? sum / n : -1;
}

static int32_t column_of_spot(const shot *s, const sono_phantom_spot *spot)
{
    const float probe_mm = phantom_probe_mm(&s->scene, &s->work, 0);
    return (int32_t)((0.5f + spot->place) * WIDTH - probe_mm * s->scene.columns_per_mm);
}

/* Mean grey of a box around (x, y). */
static double mean_around(const shot *s, int32_t x, int32_t y, int32_t half_w, int32_t half_h)
{
    double sum = 0;
    int n = 0;
    for (int32_t v = y - half_h; v <= y + half_h; v++)
        for (int32_t u = x - half_w; u <= x + half_w; u++)
            if (u >= 0 && v >= 0 && u < WIDTH && v < HEIGHT) {
                sum += s->grey[v * WIDTH + u];
                n++;
            }
    return n ? sum / n : 0;
}

/* Sums over sweeps of one kind: on its first sheet, 1.5 mm above it, and `below_mm` below it. */
typedef struct profile {
    double above, on, below;
    int n;
} profile;

static profile profile_of(sono_phantom_look_alike kind, float below_mm)
{
    profile p = {0};
    static shot s;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        open_shot(&s, seed, SONO_PHANTOM_EMPTY, 1u << kind);
        assert_int_equal(s.scene.alikes.kinds, 1u << kind);
        assert_true(s.scene.alikes.n_sheets >= 1);
        const double above = beside_sheet(&s, 0, -2.2f), on = beside_sheet(&s, 0, 0.1f);
        const double below = beside_sheet(&s, 0, below_mm);
        if (above >= 0 && on >= 0 && below >= 0) {
            p.above += above;
            p.on += on;
            p.below += below;
            p.n++;
        }
        close_shot(&s);
    }
    print_message("%-10s n %d: above %.0f, on %.0f, below %.0f\n", sono_phantom_look_alike_name(kind), p.n,
                  p.above / p.n, p.on / p.n, p.below / p.n);
    assert_true(p.n >= N_SEEDS / 2);
    p.above /= p.n;
    p.on /= p.n;
    p.below /= p.n;
    return p;
}

/* Bright where they lie, darker above; what is below says what they are. */
static void test_surfaces(void **state)
{
    (void)state;
    const profile tank = profile_of(SONO_PHANTOM_ALIKE_TANK, -6);
    assert_true(tank.on > 150 && tank.above < 60 && tank.below < 60); /* water above */
    const profile needle = profile_of(SONO_PHANTOM_ALIKE_NEEDLE, 9);
    assert_true(needle.on > needle.above + 60 && needle.below > 15); /* tissue below its copies */
    const profile pleura = profile_of(SONO_PHANTOM_ALIKE_PLEURA, 3);
    assert_true(pleura.on > pleura.above + 60 && pleura.below < pleura.on - 100);
    const profile diaphragm = profile_of(SONO_PHANTOM_ALIKE_DIAPHRAGM, 5);
    assert_true(diaphragm.on > diaphragm.above + 50);
    assert_true(fabs(diaphragm.above - diaphragm.below) < 20); /* the same speckle on both sides */
    const profile gas = profile_of(SONO_PHANTOM_ALIKE_GAS, 4);
    assert_true(gas.on > gas.above + 60 && gas.below > 50); /* a dirty shadow */
    const profile fascia = profile_of(SONO_PHANTOM_ALIKE_FASCIA, 2.5f);
    assert_true(fascia.on > fascia.above + 40 && fascia.below > 25); /* none */
}

static void test_face(void **state)
{
    (void)state;
    static shot with, without;
    double more = 0;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        open_shot(&with, seed, SONO_PHANTOM_EMPTY, 1u << SONO_PHANTOM_ALIKE_FACE);
        open_shot(&without, seed, SONO_PHANTOM_EMPTY, 0);
        const double on = beside_sheet(&with, 0, 0.1f);
        assert_true(on > 150);
        more += on - mean_around(&without, WIDTH / 2, (int32_t)with.work.columns.sheet[0][WIDTH / 2], 40, 0);
        render_shot(&with, 3); /* it stays where it is: the probe carries it */
        assert_true(with.work.columns.sheet[0][0] ==
                    with.scene.alikes.sheets[0].depth_mm * with.scene.px_per_mm);
        close_shot(&with);
        close_shot(&without);
    }
    assert_true(more / N_SEEDS > 10);
}

static void test_repeats_of_pleura(void **state)
{
    (void)state;
    static shot s;
    double on = 0, between = 0;
    int n = 0;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        open_shot(&s, seed, SONO_PHANTOM_EMPTY, 1u << SONO_PHANTOM_ALIKE_PLEURA);
        for (int32_t x = 0; x < WIDTH; x++) {
            const int32_t y = (int32_t)(2 * s.work.columns.sheet[0][x] + 0.5f), mid = y * 4 / 5;
            if (s.work.columns.sheet_cover[0][x] < 0.95f || y >= HEIGHT)
                continue;
            on += s.grey[y * WIDTH + x];
            between += s.grey[mid * WIDTH + x];
            n++;
        }
        close_shot(&s);
    }
    assert_true(n > 100);
    print_message("pleura: repeat %.0f, between %.0f\n", on / n, between / n);
    assert_true(on / n > between / n + 40);
}

static void test_spots(void **state)
{
    (void)state;
    static shot s;
    double wire = 0, stone = 0, shadow = 0, beside = 0;
    int n_wires = 0, n_stones = 0;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        open_shot(&s, seed, SONO_PHANTOM_EMPTY, 1u << SONO_PHANTOM_ALIKE_WIRES);
        assert_in_range(s.scene.alikes.n_spots, 2, 28);
        for (int32_t i = 0; i < s.scene.alikes.n_spots; i++) {
            const sono_phantom_spot *spot = &s.scene.alikes.spots[i];
            const int32_t x = column_of_spot(&s, spot), y = (int32_t)(spot->depth_mm * s.scene.px_per_mm);
            if (x < 3 || x >= WIDTH - 3 || y < 30 || y >= HEIGHT - 3 || spot->level_db < -8)
                continue;
            wire += mean_around(&s, x, y, 1, 1);
            n_wires++;
        }
        close_shot(&s);
        open_shot(&s, seed, SONO_PHANTOM_EMPTY, 1u << SONO_PHANTOM_ALIKE_STONE);
        const sono_phantom_spot *spot = &s.scene.alikes.spots[0];
        const int32_t x = column_of_spot(&s, spot), y = (int32_t)(spot->depth_mm * s.scene.px_per_mm);
        const int32_t low = y + (int32_t)(5 * s.scene.px_per_mm);
        const int32_t away = (int32_t)(2.2f * spot->half_mm * s.scene.px_per_mm);
        assert_true(2 * spot->half_mm <= 6); /* narrow */
        stone += mean_around(&s, x, y, 1, 1);
        shadow += mean_around(&s, x, low, 1, 20);
        beside += 0.5 * (mean_around(&s, x - away, low, 2, 20) + mean_around(&s, x + away, low, 2, 20));
        n_stones++;
        close_shot(&s);
    }
    print_message("wires %.0f (%d), stones %.0f, their shadow %.0f, beside it %.0f\n", wire / n_wires,
                  n_wires, stone / n_stones, shadow / n_stones, beside / n_stones);
    assert_true(n_wires > 40 && wire / n_wires > 160);
    assert_true(stone / n_stones > 160);
    assert_true(shadow / n_stones < 0.6 * beside / n_stones);
}

/* Without coupling: lines that fade, then noise that is the same everywhere. */
static void test_air(void **state)
{
    (void)state;
    static shot s;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        open_shot(&s, seed, SONO_PHANTOM_FLAT, 1u << SONO_PHANTOM_ALIKE_AIR);
        const double top = mean_around(&s, WIDTH / 2, 4, 60, 3), low = mean_around(&s, 60, 250, 50, 25);
        assert_true(top > 170 && low < 110 && top > low + 90);
        assert_true(fabs(low - mean_around(&s, 180, 250, 50, 25)) < 4);
        assert_true(fabs(low - mean_around(&s, 60, 270, 50, 25)) < 6);
        for (int32_t x = 0; x < WIDTH; x++) /* no bone shows */
            assert_true(sono_phantom_level_at(&s.scene, &s.work, 0, x) < SONO_PHANTOM_SHOWN);
        close_shot(&s);
    }
}

static void test_speckle(void **state)
{
    (void)state;
    static shot s;
    int n = 0;
    for (uint64_t seed = 0; seed < 3 * N_SEEDS; seed++) {
        open_shot(&s, seed, SONO_PHANTOM_EMPTY, 1u << SONO_PHANTOM_ALIKE_SPECKLE);
        assert_int_equal(s.scene.alikes.medium, SONO_PHANTOM_UNIFORM);
        for (int32_t i = 0; i < s.scene.alikes.n_discs; i++) {
            const sono_phantom_disc *d = &s.scene.alikes.discs[i];
            const sono_phantom_spot at = {.place = d->place, .depth_mm = d->depth_mm};
            const int32_t x = column_of_spot(&s, &at), y = (int32_t)(d->depth_mm * s.scene.px_per_mm);
            const int32_t r = (int32_t)(d->radius_mm * s.scene.px_per_mm);
            if (fabsf(d->contrast_db) < 8 || r < 8 || x < 2 * r || x > WIDTH - 2 * r || y < 60 ||
                y > HEIGHT - 2 * r)
                continue;
            const double outside = mean_around(&s, x, y - r - 8, r / 2, 3);
            const double inside = mean_around(&s, x, y, r / 2, r / 2);
            n += d->contrast_db < 0 ? inside < outside - 5 : inside > outside + 5;
            n -= d->contrast_db < 0 ? inside > outside + 5 : inside < outside - 5;
        }
        close_shot(&s);
    }
    print_message("%d discs as their contrast says\n", n);
    assert_true(n > 8);
}

static void test_tissue_carries_them(void **state)
{
    (void)state;
    static shot s;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        open_shot(&s, seed, SONO_PHANTOM_EMPTY, 1u << SONO_PHANTOM_ALIKE_GAS);
        float sides[2], probes[2];
        for (int k = 0; k < 2; k++) {
            const double time_s = 0.9 * k;
            sono_phantom_pose(&s.scene, time_s, &s.work);
            probes[k] = phantom_probe_mm(&s.scene, &s.work, time_s);
            float sum = 0, moment = 0;
            for (int32_t x = 0; x < WIDTH; x++) {
                sum += s.work.columns.sheet_cover[0][x];
                moment += (float)x * s.work.columns.sheet_cover[0][x];
            }
            sides[k] = moment / sum;
        }
        const sono_phantom_sheet *front = &s.scene.alikes.sheets[0];
        const float reach = (front->half_mm + 3) * s.scene.px_per_mm;
        const float middle = (0.5f + front->place) * WIDTH;
        if (middle > reach && middle < WIDTH - reach) /* else its middle is that of the part in view */
            assert_true(fabsf(sides[1] - sides[0] + (probes[1] - probes[0]) * s.scene.px_per_mm) < 0.2f);
        close_shot(&s);
    }
}

static void test_anatomy_stays(void **state)
{
    (void)state;
    static sono_phantom_scene scenes[2];
    static float lattice[SONO_PHANTOM_LATTICE * SONO_PHANTOM_LATTICE];
    sono_error error = {0};
    sono_phantom_work work;
    assert_ok(sono_phantom_work_init(&work, WIDTH, HEIGHT, &error), &error);
    for (uint64_t seed = 0; seed < 40; seed++) {
        for (int k = 0; k < 2; k++) {
            const sono_phantom_options options =
                options_of(seed, SONO_PHANTOM_ANY, k ? SONO_PHANTOM_ANY_LOOK_ALIKE : 0);
            sono_phantom_scene_init(&scenes[k], &options, 0, &work);
            if (!k)
                memcpy(lattice, work.lattice, sizeof lattice);
        }
        assert_memory_equal(lattice, work.lattice, sizeof lattice);
        assert_true(scenes[1].alikes.kinds != 0);
        memset(&scenes[1].alikes, 0, sizeof scenes[1].alikes);
        scenes[1].noise_db = scenes[0].noise_db; /* air has its own */
        assert_memory_equal(&scenes[0], &scenes[1], sizeof scenes[0]);
    }
    sono_phantom_work_reset(&work);
}

static void test_any_draws_one_or_two(void **state)
{
    (void)state;
    sono_error error = {0};
    sono_phantom_work work;
    static sono_phantom_scene scene;
    int n_of[SONO_PHANTOM_ALIKE_COUNT] = {0}, n_two = 0;
    assert_ok(sono_phantom_work_init(&work, WIDTH, HEIGHT, &error), &error);
    for (uint64_t seed = 0; seed < 200; seed++) {
        const sono_phantom_options options =
            options_of(seed, SONO_PHANTOM_EMPTY, SONO_PHANTOM_ANY_LOOK_ALIKE);
        sono_phantom_scene_init(&scene, &options, 0, &work);
        int n = 0;
        for (int k = 0; k < SONO_PHANTOM_ALIKE_COUNT; k++) {
            n += scene.alikes.kinds >> k & 1;
            n_of[k] += scene.alikes.kinds >> k & 1;
        }
        assert_in_range(n, 1, 2);
        assert_in_range(scene.alikes.n_sheets, 0, SONO_PHANTOM_SHEETS);
        assert_in_range(scene.alikes.n_spots, 0, SONO_PHANTOM_SPOTS);
        n_two += n == 2;
    }
    sono_phantom_work_reset(&work);
    assert_in_range(n_two, 50, 110);
    for (int k = 0; k < SONO_PHANTOM_ALIKE_COUNT; k++)
        assert_in_range(n_of[k], 10, 50);
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
    return frame.image.pixels;
}

/* Nothing in an empty sweep is true, whatever the probe and the screen. */
static void test_no_truth(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(9, SONO_PHANTOM_EMPTY, SONO_PHANTOM_ANY_LOOK_ALIKE);
    options.geometry = SONO_PHANTOM_ANY_GEOMETRY;
    options.screen = options.degrade = options.hard = 1;
    options.n_frames = 30;
    options.n_sweep_frames = 1;
    static const uint8_t none[N_PIXEL];
    const uint64_t before = sono_alloc_count();
    sono_source *source = open_source(&options);
    const uint64_t n = sono_alloc_count() - before;
    for (int i = 0; i < options.n_frames; i++) {
        sono_truth truth;
        next_frame(source, &truth);
        assert_false(truth.is_visible);
        assert_int_equal(truth.n_structures, 0);
        assert_memory_equal(truth.mask, none, N_PIXEL);
    }
    assert_int_equal(sono_alloc_count() - before, n); /* nor is anything allocated */
    sono_source_close(source);
}

static void test_same_options_same_bytes(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(4, SONO_PHANTOM_ANY, SONO_PHANTOM_ANY_LOOK_ALIKE);
    options.n_sweep_frames = 1;
    options.n_frames = 6;
    sono_source *sources[2] = {open_source(&options), open_source(&options)};
    options.look_alikes = 0;
    sono_source *plain = open_source(&options);
    for (int i = 0; i < options.n_frames; i++) {
        sono_truth truths[3];
        const uint8_t *a = next_frame(sources[0], &truths[0]), *b = next_frame(sources[1], &truths[1]);
        assert_memory_equal(a, b, N_PIXEL);
        assert_memory_equal(truths[0].mask, truths[1].mask, N_PIXEL);
        assert_true(memcmp(a, next_frame(plain, &truths[2]), N_PIXEL) != 0);
    }
    for (int k = 0; k < 2; k++)
        sono_source_close(sources[k]);
    sono_source_close(plain);
}

/* Beside a look-alike a bone's truth is what it would be, but for what its shadow takes away. */
static void test_bones_keep_their_truth(void **state)
{
    (void)state;
    static const uint32_t shading = 1u << SONO_PHANTOM_ALIKE_AIR | 1u << SONO_PHANTOM_ALIKE_PLEURA |
                                    1u << SONO_PHANTOM_ALIKE_GAS | 1u << SONO_PHANTOM_ALIKE_STONE;
    int64_t n_bone = 0, n_kept = 0;
    for (int kind = 0; kind < SONO_PHANTOM_ALIKE_COUNT; kind++)
        for (uint64_t seed = 1; seed < 5; seed++) {
            sono_phantom_options options = options_of(seed, SONO_PHANTOM_ARCHED, 1u << kind);
            sono_source *with = open_source(&options);
            options.look_alikes = 0;
            sono_source *without = open_source(&options);
            sono_truth truths[2];
            next_frame(with, &truths[0]);
            next_frame(without, &truths[1]);
            const int may_hide = shading >> kind & 1;
            if (!may_hide)
                assert_memory_equal(truths[0].mask, truths[1].mask, N_PIXEL);
            for (size_t i = 0; i < N_PIXEL; i++) {
                assert_true(!truths[0].mask[i] || truths[1].mask[i]);
                n_bone += may_hide && kind != SONO_PHANTOM_ALIKE_AIR && truths[1].mask[i];
                n_kept += may_hide && truths[0].mask[i];
            }
            if (kind == SONO_PHANTOM_ALIKE_AIR)
                assert_false(truths[0].is_visible);
            sono_source_close(with);
            sono_source_close(without);
        }
    print_message("below or beside shadows %.2f of the bone is kept\n", (double)n_kept / (double)n_bone);
    assert_true(n_kept > n_bone / 4 && n_kept < n_bone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_surfaces),
        cmocka_unit_test(test_face),
        cmocka_unit_test(test_repeats_of_pleura),
        cmocka_unit_test(test_spots),
        cmocka_unit_test(test_air),
        cmocka_unit_test(test_speckle),
        cmocka_unit_test(test_tissue_carries_them),
        cmocka_unit_test(test_anatomy_stays),
        cmocka_unit_test(test_any_draws_one_or_two),
        cmocka_unit_test(test_no_truth),
        cmocka_unit_test(test_same_options_same_bytes),
        cmocka_unit_test(test_bones_keep_their_truth),
    };
    return sono_test_run("source/phantom_alike", tests, sizeof(tests) / sizeof(tests[0]));
}
