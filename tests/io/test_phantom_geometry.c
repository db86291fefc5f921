// SPDX-License-Identifier: Apache-2.0
/* Probes whose beams spread, and turned pictures: where beams end, where truth lies, what a turn moves. */
#include "phantom_failures.h"
#include "test.h"

#include "base/alloc.h"
#include "io/phantom/phantom.h"
#include "io/phantom/phantom_math.h"
#include "sonoseg/io.h"
#include "sonoseg/phantom.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define WIDTH   320
#define HEIGHT  280
#define N_PIXEL ((size_t)WIDTH * HEIGHT)
#define BUMPS   0.51f /* mm: half of 0.8 and of 0.22, how far a surface leaves its smooth form */

static const sono_phantom_geometry fans[] = {SONO_PHANTOM_CURVILINEAR, SONO_PHANTOM_PHASED,
                                             SONO_PHANTOM_ENDOCAVITY};
#define N_FANS (sizeof fans / sizeof fans[0])

static sono_phantom_options options_of(sono_phantom_geometry geometry, uint64_t seed,
                                       sono_phantom_shape shape)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.seed = seed;
    options.shape = shape;
    options.n_frames = 2;
    options.geometry = geometry;
    options.no_marks = 1;
    return options;
}

static sono_source *open_source(const sono_phantom_options *options)
{
    sono_error error = {0};
    sono_source *source = NULL;
    assert_ok(sono_source_open_phantom(options, &source, &error), &error);
    return source;
}

static sono_frame next_frame(sono_source *source, sono_truth *truth)
{
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = NULL;
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    assert_ok(sono_source_truth(source, truth, &error), &error);
    return frame;
}

/* A sweep's scene with its plane and map, as the source has it. */
typedef struct bench {
    sono_phantom_work work;
    sono_phantom_scene scene;
    uint8_t plane[N_PIXEL], grey[N_PIXEL], mask[N_PIXEL], labels[N_PIXEL];
    float surfaces_px[SONO_PHANTOM_BONES * WIDTH];
    sono_truth truth;
} bench;

static bench shared;

static bench *set_up(const sono_phantom_options *options)
{
    bench *b = &shared;
    assert_ok(sono_phantom_work_init(&b->work, options->width_px, options->height_px, NULL), NULL);
    assert_ok(sono_phantom_work_add_fans(&b->work, NULL), NULL);
    sono_phantom_scene_init(&b->scene, options, 0, &b->work);
    return b;
}

static float render(bench *b, double time_s)
{
    const float probe_mm = phantom_probe_mm(&b->scene, &b->work, time_s);
    sono_phantom_pose(&b->scene, time_s, &b->work);
    sono_phantom_render(&b->scene, time_s, 1, &b->work, b->plane);
    sono_phantom_convert(&b->scene, &b->work, b->plane, b->grey);
    sono_phantom_outline(&b->scene, &b->work, probe_mm, b->mask, b->labels, b->surfaces_px, &b->truth);
    return probe_mm;
}

/* A scene of the first seed from `seed` on whose probe is a steered linear one. */
static bench *set_up_trapezoid(uint64_t seed, sono_phantom_shape shape)
{
    for (;; seed++) {
        const sono_phantom_options options = options_of(SONO_PHANTOM_ANY_GEOMETRY, seed, shape);
        bench *b = set_up(&options);
        if (b->scene.fan.has_flat_face)
            return b;
        sono_phantom_work_reset(&b->work);
    }
}

static void expect_inverse(bench *b)
{
    const sono_phantom_columns *c = &b->work.columns;
    for (int32_t y = 1; y < b->work.height_px - 1; y += 7)
        for (int32_t x = 0; x < b->work.width_px; x += 5) {
            const float s = (float)y / b->scene.px_per_mm;
            const sono_phantom_place place = sono_phantom_find(
                &b->scene, &b->work, c->face_x_mm[x] + s * c->sine[x], c->face_y_mm[x] + s * c->along[x]);
            assert_true(fabsf(place.column - (float)x) < 0.02f && fabsf(place.row - (float)y) < 0.02f);
        }
}

/* Every place of the plane is found again from its Cartesian millimetres; each probe keeps its ranges. */
static void test_places(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++)
        for (size_t k = 0; k < N_FANS; k++) {
            const sono_phantom_options options = options_of(fans[k], seed, SONO_PHANTOM_EMPTY);
            bench *b = set_up(&options);
            assert_int_equal(b->scene.fan.geometry, fans[k]);
            assert_true(b->scene.fan.is_fan && !b->scene.fan.has_flat_face);
            assert_in_range(b->work.width_px, 96, WIDTH);
            assert_in_range(b->work.height_px, 32, HEIGHT);
            assert_true(b->scene.depth_mm >= 45 && b->scene.depth_mm <= 180);
            expect_inverse(b);
            sono_phantom_work_reset(&b->work);
        }
    bench *b = set_up_trapezoid(1, SONO_PHANTOM_EMPTY);
    expect_inverse(b);
    sono_phantom_work_reset(&b->work);
}

/* Where a beam's echo shows, the beam meets the surface: its place in Cartesian millimetres lies on it. */
static void expect_on_surface(bench *b, float probe_mm, int64_t counts[2])
{
    const sono_phantom_columns *c = &b->work.columns;
    for (int32_t k = 0; k < b->scene.n_bones; k++)
        for (int32_t x = 0; x < b->work.width_px; x++) {
            if (sono_phantom_level_at(&b->scene, &b->work, k, x) < SONO_PHANTOM_SHOWN)
                continue;
            const float s = c->bone[k][x] / b->scene.px_per_mm;
            const float x_mm = c->face_x_mm[x] + s * c->sine[x], y_mm = c->face_y_mm[x] + s * c->along[x];
            const float off_mm =
                (sono_phantom_surface_mm(&b->scene, &b->work, k, x_mm, probe_mm) - y_mm) * c->cosine[k][x];
            counts[0]++;
            counts[1] += fabsf(off_mm) < 0.05f;
            assert_true(fabsf(off_mm) < 0.6f);
        }
}

static void test_beams_end_at_the_surface(void **state)
{
    (void)state;
    int64_t counts[2] = {0, 0};
    for (int shape = SONO_PHANTOM_FLAT; shape < SONO_PHANTOM_EMPTY; shape++)
        for (size_t k = 0; k <= N_FANS; k++) {
            const uint64_t seed = 20 + (uint64_t)shape;
            const sono_phantom_options options =
                options_of(fans[k < N_FANS ? k : 0], seed, (sono_phantom_shape)shape);
            bench *b = k < N_FANS ? set_up(&options) : set_up_trapezoid(seed, (sono_phantom_shape)shape);
            const float probe_mm = phantom_probe_mm(&b->scene, &b->work, 0.7);
            sono_phantom_pose(&b->scene, 0.7, &b->work);
            sono_phantom_gains(&b->scene, &b->work);
            expect_on_surface(b, probe_mm, counts);
            sono_phantom_work_reset(&b->work);
        }
    print_message("%lld beams, %lld of them within 0.05 mm\n", (long long)counts[0], (long long)counts[1]);
    assert_true(counts[0] > 1000);
    assert_true((double)counts[1] >= 0.98 * (double)counts[0]);
}

/* A bone without slope, curve and motion, across the whole view. */
static void lay_flat(bench *b)
{
    sono_phantom_bone *bone = &b->scene.bones[0];
    *bone = (sono_phantom_bone){.bend = 2, .skew = 1, .break_at = 9};
    bone->top_mm.mean = 0.45f * b->scene.depth_mm;
    bone->half_mm.mean = b->scene.depth_mm;
    b->scene.contact_db[0] = b->scene.contact_db[1] = 0;
}

/* Row of the brightest grey of a column, three rows taken together, near a row. */
static float brightest_row(const uint8_t *grey, int32_t x, float near_px, int32_t reach)
{
    float best = -1, sum = 0;
    for (int32_t y = (int32_t)near_px - reach; y <= (int32_t)near_px + reach; y++) {
        if (y < 1 || y + 1 >= HEIGHT)
            continue;
        const float here = (float)grey[(y - 1) * WIDTH + x] + 2 * (float)grey[y * WIDTH + x] +
                           (float)grey[(y + 1) * WIDTH + x];
        if (here > sum) {
            sum = here;
            best = (float)y;
        }
    }
    return best;
}

/* Flat in millimetres is flat in the picture: truth to its bumps, the echo to its thickness. */
static void test_flat_bone_stays_flat(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_FANS; k++) {
        const sono_phantom_options options = options_of(fans[k], 3, SONO_PHANTOM_FLAT);
        bench *b = set_up(&options);
        lay_flat(b);
        render(b, 0);
        const float ppm = b->scene.px_per_mm, band = sono_phantom_band_px(&b->scene);
        const float row = (b->scene.bones[0].top_mm.mean - b->scene.fan.top_mm) * ppm;
        int n = 0, n_on_echo = 0;
        for (int32_t x = 0; x < WIDTH; x++) {
            const float y = b->truth.surface_px[0][x];
            if (y < 0)
                continue;
            assert_true(fabsf(y - row) <= BUMPS * ppm + 0.01f);
            assert_int_equal(b->mask[(size_t)(y + 0.5f) * WIDTH + (size_t)x], 255);
            n++;
            n_on_echo += fabsf(brightest_row(b->grey, x, y, (int32_t)(3 * band)) - y) <= 0.6f * band + 1;
        }
        print_message("%s: %d columns, brightest at the surface in %d\n", sono_phantom_geometry_name(fans[k]),
                      n, n_on_echo);
        assert_true(n > WIDTH / 5);
        assert_true(n_on_echo >= n * 95 / 100);
        assert_true(b->truth.bbox_xyxy_px[3] - b->truth.bbox_xyxy_px[1] < 2 * BUMPS * ppm + 3 * band + 3);
        sono_phantom_work_reset(&b->work);
    }
}

/* Means of the plane's grey in front of the surface and behind it, along the beams whose echo shows. */
static void add_means(const bench *b, double sums[2])
{
    const float band = sono_phantom_band_px(&b->scene);
    for (int32_t x = 0; x < b->work.width_px; x++) {
        if (sono_phantom_level_at(&b->scene, &b->work, 0, x) < SONO_PHANTOM_SHOWN)
            continue;
        const float bone = b->work.columns.bone[0][x], away = 3 * band / b->work.columns.cosine[0][x];
        for (int32_t i = 0; i < 12; i++) {
            const int32_t above = (int32_t)(bone - away) - i, below = (int32_t)(bone + away) + 2 * i;
            if (above < 0 || below >= b->work.height_px)
                continue;
            sums[0] += b->plane[above * b->work.width_px + x];
            sums[1] += b->plane[below * b->work.width_px + x];
        }
    }
}

/* Truth lies within the fan, which alone shows anything; the shadow runs along the beams. */
static void test_picture(void **state)
{
    (void)state;
    double sums[2] = {0, 0};
    int n_visible = 0, n_surface = 0, n_masked = 0;
    for (uint64_t seed = 40; seed < 46; seed++)
        for (size_t k = 0; k < N_FANS; k++) {
            const sono_phantom_options options = options_of(fans[k], seed, SONO_PHANTOM_ARCHED);
            bench *b = set_up(&options);
            render(b, 1.3);
            const sono_phantom_fan *fan = &b->scene.fan;
            for (size_t i = 0; i < N_PIXEL; i++) {
                if (b->work.map[i].column >= 0)
                    continue;
                assert_int_equal(b->mask[i], 0);
                assert_true(b->grey[i] == fan->outside || b->grey[i] == fan->border);
            }
            n_visible += b->truth.is_visible;
            for (int32_t x = 0; x < WIDTH; x++) {
                const float y = b->truth.surface_px[0][x];
                n_surface += y >= 0;
                n_masked += y >= 0 && b->mask[(size_t)(y + 0.5f) * WIDTH + (size_t)x];
            }
            add_means(b, sums);
            sono_phantom_work_reset(&b->work);
        }
    print_message("visible %d of 18, surface in the mask %d of %d, behind / in front %.2f\n", n_visible,
                  n_masked, n_surface, sums[1] / sums[0]);
    assert_true(n_visible >= 16);
    assert_true(n_surface > 1000);
    assert_int_equal(n_masked, n_surface);
    assert_true(sums[1] < 0.5 * sums[0]);
}

static size_t turned(size_t i, int is_mirrored, int is_flipped)
{
    const size_t x = i % WIDTH, y = i / WIDTH;
    return (is_flipped ? HEIGHT - 1 - y : y) * WIDTH + (is_mirrored ? WIDTH - 1 - x : x);
}

/* The place in the reference's millimetres of the middle of pixel i. */
static void place_of(const sono_frame_info *info, size_t i, double mm[2])
{
    const float *pose = info->image_to_reference;
    mm[0] = (double)pose[3] + (double)pose[0] * info->spacing_mm[0] * (double)(i % WIDTH);
    mm[1] = (double)pose[7] + (double)pose[5] * info->spacing_mm[1] * (double)(i / WIDTH);
}

static void expect_turned(const sono_frame *a, const sono_truth *up, const sono_frame *b,
                          const sono_truth *other, int is_mirrored, int is_flipped)
{
    const uint8_t *left = a->image.pixels, *right = b->image.pixels;
    double from[2], to[2];
    for (size_t i = 0; i < N_PIXEL; i++) {
        const size_t k = turned(i, is_mirrored, is_flipped);
        assert_true(left[i] == right[k] && up->mask[i] == other->mask[k] &&
                    up->labels[i] == other->labels[k]);
    }
    place_of(&a->info, 12345, from);
    place_of(&b->info, turned(12345, is_mirrored, is_flipped), to);
    assert_true(fabs(from[0] - to[0]) < 1e-3 && fabs(from[1] - to[1]) < 1e-3);
    assert_int_equal(up->n_structures, other->n_structures);
    assert_int_equal(up->mask_area_px, other->mask_area_px);
    const float *box = up->bbox_xyxy_px, *moved = other->bbox_xyxy_px;
    const float last[2] = {WIDTH - 1, HEIGHT - 1};
    const int is_turned[2] = {is_mirrored, is_flipped};
    for (int axis = 0; axis < 2; axis++) {
        assert_true(moved[axis] == (is_turned[axis] ? last[axis] - box[axis + 2] : box[axis]));
        assert_true(moved[axis + 2] == (is_turned[axis] ? last[axis] - box[axis] : box[axis + 2]));
    }
    for (int k = 0; k < SONO_TRUTH_STRUCTURES; k++)
        for (int32_t x = 0; x < WIDTH; x++) {
            const float y = up->surface_px[k][x];
            const float z = other->surface_px[k][is_mirrored ? WIDTH - 1 - x : x];
            assert_true(y < 0 ? z < 0 : fabsf(z - (is_flipped ? last[1] - y : y)) < 1e-3f);
        }
}

static void test_turns_move_truth(void **state)
{
    (void)state;
    static const sono_orientation expected[] = {SONO_ORIENTATION_MF, SONO_ORIENTATION_UF, SONO_ORIENTATION_MN,
                                                SONO_ORIENTATION_UN};
    for (int geometry = 0; geometry < SONO_PHANTOM_GEOMETRY_COUNT; geometry++)
        for (int turn = SONO_PHANTOM_UP; turn < SONO_PHANTOM_ANY_ORIENTATION; turn++) {
            sono_phantom_options options = options_of((sono_phantom_geometry)geometry, 7, SONO_PHANTOM_PAIR);
            sono_source *up = open_source(&options);
            options.orientation = (sono_phantom_orientation)turn;
            sono_source *other = open_source(&options);
            for (int i = 0; i < options.n_frames; i++) {
                sono_truth truths[2];
                const sono_frame a = next_frame(up, &truths[0]), b = next_frame(other, &truths[1]);
                assert_int_equal(a.info.orientation, SONO_ORIENTATION_MF);
                assert_int_equal(b.info.orientation, expected[turn]);
                expect_turned(&a, &truths[0], &b, &truths[1], turn & 1, turn >> 1);
            }
            sono_source_close(up);
            sono_source_close(other);
        }
}

/* "any" comes to everything, the same for the same seed, whatever frames come before. */
static void test_any(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(SONO_PHANTOM_ANY_GEOMETRY, 2, SONO_PHANTOM_ANY);
    options.width_px = options.height_px = 64;
    options.orientation = SONO_PHANTOM_ANY_ORIENTATION;
    options.n_frames = 60;
    options.n_sweep_frames = 1;
    sono_source *sources[2] = {open_source(&options), open_source(&options)};
    unsigned seen = 0;
    for (int i = 0; i < options.n_frames; i++) {
        sono_truth truths[2];
        const sono_frame a = next_frame(sources[0], &truths[0]), b = next_frame(sources[1], &truths[1]);
        assert_memory_equal(a.image.pixels, b.image.pixels, 64 * 64);
        assert_memory_equal(truths[0].labels, truths[1].labels, 64 * 64);
        seen |= 1u << a.info.orientation;
    }
    assert_int_equal(seen, 1u << SONO_ORIENTATION_MF | 1u << SONO_ORIENTATION_UF | 1u << SONO_ORIENTATION_MN |
                               1u << SONO_ORIENTATION_UN);
    sono_source_close(sources[0]);
    sono_source_close(sources[1]);
    unsigned kinds = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        options.seed = seed;
        bench *b = set_up(&options);
        kinds |= 1u << (b->scene.fan.has_flat_face ? 16 : (int)b->scene.fan.geometry);
        sono_phantom_work_reset(&b->work);
    }
    assert_int_equal(kinds, 1u << 16 | ((1u << SONO_PHANTOM_ANY_GEOMETRY) - 1));
}

/* Events that reckon with parallel beams stay away; the others come. */
static void test_events(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(SONO_PHANTOM_ENDOCAVITY, 3, SONO_PHANTOM_ARCHED);
    options.width_px = 96;
    options.height_px = 80;
    options.n_frames = 500;
    options.events = SONO_PHANTOM_EVENTS_HELD_OUT;
    sono_source *source = open_source(&options);
    unsigned seen = 0;
    for (int i = 0; i < options.n_frames; i++) {
        sono_truth truth;
        next_frame(source, &truth);
        seen |= 1u << truth.event;
    }
    assert_int_equal(seen, ((1u << SONO_PHANTOM_EVENT_COUNT) - 1) & ~SONO_PHANTOM_LINEAR_EVENTS);
    sono_source_close(source);
}

static void test_sizes(void **state)
{
    (void)state;
    static const int32_t sizes[][2] = {{16, 16}, {17, 301}, {333, 19}, {161, 120}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int geometry = 0; geometry < SONO_PHANTOM_GEOMETRY_COUNT; geometry++) {
            sono_phantom_options options = options_of((sono_phantom_geometry)geometry, i, SONO_PHANTOM_ANY);
            options.width_px = sizes[i][0];
            options.height_px = sizes[i][1];
            options.n_frames = 6;
            options.n_sweep_frames = 1;
            options.no_marks = 0;
            sono_source *source = open_source(&options);
            sono_truth truth;
            for (int k = 0; k < options.n_frames; k++)
                next_frame(source, &truth);
            sono_source_close(source);
        }
}

static void expect_refused(sono_phantom_options options, const char *part)
{
    sono_error error = {0};
    sono_source *source = NULL;
    assert_int_equal(sono_source_open_phantom(&options, &source, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_null(source);
    assert_non_null(strstr(error.text, part));
}

static void test_refusals(void **state)
{
    (void)state;
    const sono_phantom_options good = options_of(SONO_PHANTOM_PHASED, 1, SONO_PHANTOM_ANY);
    sono_phantom_options bad = good;
    bad.geometry = SONO_PHANTOM_GEOMETRY_COUNT;
    expect_refused(bad, "no geometry 5");
    bad = good;
    bad.orientation = SONO_PHANTOM_ORIENTATION_COUNT;
    expect_refused(bad, "no orientation 5");
    bad = good;
    bad.look_alikes = 1u << SONO_PHANTOM_ALIKE_COUNT;
    expect_refused(bad, "look_alikes is 0x800");
    bad = good;
    bad.degrade = 2;
    expect_refused(bad, "degrade 2");
    bad = good;
    bad.events = SONO_PHANTOM_EVENTS_TUNING;
    bad.event_kinds = 1u << SONO_PHANTOM_SHADOW;
    expect_refused(bad, "geometry linear");
}

/* Callers of an older header have shorter structs. */
static void test_shorter_structs(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(SONO_PHANTOM_PHASED, 1, SONO_PHANTOM_FLAT);
    options.struct_size = offsetof(sono_phantom_options, geometry);
    sono_source *source = open_source(&options);
    sono_truth truth;
    memset(&truth, 0x55, sizeof truth);
    next_frame(source, &truth);
    assert_int_equal(truth.region_px[2], WIDTH);
    memset(&truth, 0x55, sizeof truth);
    assert_ok(sono_source_truth_sized(source, &truth, offsetof(sono_truth, region_px), NULL), NULL);
    assert_int_equal(truth.width_px, WIDTH);
    assert_int_equal(truth.region_px[2], 0x55555555);
    sono_source_close(source);
}

static void test_memory(void **state)
{
    (void)state;
    sono_phantom_options options = options_of(SONO_PHANTOM_ANY_GEOMETRY, 1, SONO_PHANTOM_PAIR);
    options.orientation = SONO_PHANTOM_ANY_ORIENTATION;
    options.screen = 1;
    options.no_marks = 0;
    options.events = SONO_PHANTOM_EVENTS_TUNING;
    options.n_sweep_frames = 1;
    options.n_frames = 8;
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
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_beams_end_at_the_surface),
        cmocka_unit_test(test_flat_bone_stays_flat),
        cmocka_unit_test(test_picture),
        cmocka_unit_test(test_turns_move_truth),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_shorter_structs),
        cmocka_unit_test(test_memory),
    };
    return sono_test_run("source/phantom_geometry", tests, sizeof(tests) / sizeof(tests[0]));
}
