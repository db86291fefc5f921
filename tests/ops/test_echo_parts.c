// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* ECHO_PARTS against counts of pairs, lists and doubles; what the parts see; what they do not depend on. */
#include "op_scene.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EPSILON 1e-9 /* far below what rationals of these sizes differ by */

/* Grey values of one histogram. */
typedef struct greys {
    int32_t *values, n;
} greys;

typedef struct column {
    int32_t n;
    double centre;
} column;

static column column_of(const op_scene *s, int32_t frame, int32_t x)
{
    column c = {0};
    double sum = 0;
    for (int32_t y = s->headers[frame].height_px - 1; y >= 0; y--)
        if (op_scene_is_set(s, frame, x, y)) {
            c.n++;
            sum += y;
        }
    c.centre = c.n ? sum / c.n : 0;
    return c;
}

static int32_t step_of(int32_t height)
{
    const int32_t step = (int32_t)floor(height / 280.0 + 0.5);
    return step < 1 ? 1 : step;
}

/* Fills the lists inside, above, below. */
static void collect(const op_scene *s, int32_t frame, greys lists[3])
{
    const int32_t width = s->headers[frame].width_px, height = s->headers[frame].height_px;
    const int32_t gap = step_of(height);
    const int32_t thin = height / 50.0 + 0.5 < 2 ? 2 : (int32_t)(height / 50.0 + 0.5);
    for (int32_t x = width - 1; x >= 0; x--) {
        const column c = column_of(s, frame, x);
        const int32_t top = (int32_t)floor(c.centre - (c.n - 1) / 2.0 + EPSILON);
        if (!c.n)
            continue;
        for (int32_t y = 0; y < height; y++) {
            greys *list = NULL;
            if (op_scene_is_set(s, frame, x, y))
                list = &lists[0];
            else if (top - gap - thin <= y && y <= top - gap - 1)
                list = &lists[1];
            else if (top + c.n + gap <= y && y <= top + c.n + gap + 3 * thin - 1)
                list = &lists[2];
            if (list)
                list->values[list->n++] = op_scene_grey(s, frame, x, y);
        }
    }
}

/* Of all pairs, the share in which `inside` is brighter minus the share in which it is darker. */
static double rank_of(const greys *inside, const greys *outside)
{
    int64_t brighter = 0;
    for (int32_t i = 0; i < inside->n; i++)
        for (int32_t k = 0; k < outside->n; k++)
            brighter += (inside->values[i] > outside->values[k]) - (inside->values[i] < outside->values[k]);
    const int64_t n_pairs = (int64_t)inside->n * outside->n;
    return !n_pairs ? -1 : brighter < 0 ? 0 : floor((double)(brighter * 1000 / n_pairs));
}

/* Squares about the mean, times n, rounded as the op says it; exact for sums below 2^26. */
static double deviation(const double *values, int32_t n)
{
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += values[i];
        squares += values[i] * values[i];
    }
    assert_true(fabs(sum) < 0x1p26);
    return squares - floor(sum * sum / n);
}

static double sharpness_of(const op_scene *s, int32_t frame)
{
    const int32_t width = s->headers[frame].width_px, height = s->headers[frame].height_px;
    const int32_t d = step_of(height);
    double *laplacians = sono_alloc_array((size_t)width * (size_t)height, sizeof *laplacians);
    double *values = sono_alloc_array((size_t)width * (size_t)height, sizeof *values);
    assert_non_null(laplacians);
    assert_non_null(values);
    int32_t n = 0;
    for (int32_t x = d; x < width - d; x++)
        for (int32_t y = d; y < height - d; y++) {
            static const int32_t ways[5][3] = {{0, 0, 4}, {1, 0, -1}, {-1, 0, -1}, {0, 1, -1}, {0, -1, -1}};
            int near = 0;
            double sum = 0;
            for (int k = 0; k < 5; k++) {
                const int32_t at_x = x + d * ways[k][0], at_y = y + d * ways[k][1];
                near |= op_scene_is_set(s, frame, at_x, at_y);
                sum += ways[k][2] * op_scene_grey(s, frame, at_x, at_y);
            }
            laplacians[n] = sum;
            values[n] = op_scene_grey(s, frame, x, y);
            n += near;
        }
    const double edge = n ? deviation(laplacians, n) : 0, own = n ? deviation(values, n) : 0;
    sono_free(laplacians);
    sono_free(values);
    return !n ? -1 : edge + own > 0 ? floor(1000 * edge / (edge + own) + EPSILON) : 0;
}

static double continuity_of(const op_scene *s, int32_t frame)
{
    const int32_t width = s->headers[frame].width_px;
    const float *box = s->boxes[frame];
    int32_t first = (int32_t)fmax(floor((double)box[0]), 0);
    int32_t end = (int32_t)fmin(ceil((double)box[2]), width);
    if (!(box[2] > box[0]) || !(box[3] > box[1]) || first >= width || end <= 0) {
        for (first = 0; !column_of(s, frame, first).n;)
            first++;
        for (end = width; !column_of(s, frame, end - 1).n;)
            end--;
    }
    int32_t together = 0;
    for (int32_t x = end - 1; x > first; x--) {
        const column a = column_of(s, frame, x), b = column_of(s, frame, x - 1);
        together += a.n > 0 && b.n > 0 && fabs(a.centre - b.centre) <= (a.n + b.n) / 2.0 + EPSILON;
    }
    return end - first > 1 ? together * 1000 / (end - first - 1) : 1000;
}

static uint64_t fingerprint_of_frame(const op_scene *s, int32_t frame)
{
    uint64_t sum = 0;
    for (int32_t x = 0; x < s->headers[frame].width_px; x++)
        for (int32_t y = 0; y < s->headers[frame].height_px; y++) {
            const uint64_t at = (uint64_t)y * (uint64_t)s->headers[frame].width_px + (uint64_t)x;
            uint64_t z = at * 256 + 1 + (uint64_t)op_scene_grey(s, frame, x, y);
            z *= 0x9e3779b97f4a7c15u;
            z ^= z >> 32;
            z *= 0xbf58476d1ce4e5b9u;
            z ^= z >> 32;
            sum += z;
        }
    return sum;
}

static void want_echo(const op_scene *s, int32_t frame, double *echo)
{
    const size_t n_pixels = (size_t)s->headers[frame].width_px * (size_t)s->headers[frame].height_px;
    const uint64_t fingerprint = fingerprint_of_frame(s, frame);
    greys lists[3] = {{0}};
    for (int k = 0; k < 3; k++) {
        lists[k].values = sono_alloc_array(n_pixels, sizeof(int32_t));
        assert_non_null(lists[k].values);
    }
    collect(s, frame, lists);
    echo[0] = echo[1] = echo[2] = echo[3] = -1;
    if (lists[0].n) {
        echo[0] = sharpness_of(s, frame);
        echo[1] = rank_of(&lists[0], &lists[1]);
        echo[2] = rank_of(&lists[0], &lists[2]);
        echo[3] = continuity_of(s, frame);
    }
    echo[4] = (int32_t)(fingerprint & 0xffffffffu);
    echo[5] = (int32_t)(fingerprint >> 32);
    echo[6] = lists[0].n;
    for (int k = 0; k < 3; k++)
        sono_free(lists[k].values);
}

static sono_tid record(const op_scene *s, sono_op_test *t)
{
    const op_scene_tensors x = op_scene_record(s, t);
    const sono_segment_args args = op_scene_args(s);
    sono_tid outs[2];
    sono_record_mask_profile(&t->rec, "profile", x.mask, x.header, &args, outs);
    return sono_record_echo_parts(&t->rec, "echo", x.pixels, x.header, x.mask, outs[0], outs[1], x.detections,
                                  &args);
}

static void check(const op_scene *s, sono_op_test *t)
{
    const sono_tid echo = record(s, t);
    sono_op_test_finish(t);
    double *want = sono_op_test_want(t, echo, sono_op_test_tolerance(SONO_OP_ECHO_PARTS));
    for (int32_t i = 0; i < s->n_frames; i++)
        want_echo(s, i, want + (int64_t)i * SONO_ECHO_INTS);
    sono_op_test_run(t);
}

typedef enum fill { EMPTY, FULL, NOISE, BORDERS, LINE, CORNER, ONE_COLUMN } fill;

static int is_set(sono_op_test *t, fill what, const sono_frame_header *h, int32_t x, int32_t y)
{
    switch (what) {
    case EMPTY:
        return 0;
    case FULL:
        return 1;
    case NOISE:
        return sono_op_test_int(t, 0, 99) < 8;
    case BORDERS:
        return x == 0 || y == 0 || x == h->width_px - 1 || y == h->height_px - 1;
    case LINE: /* with gaps and steps */
        return x % 23 < 18 && (y - h->height_px / 2 - x % 7) / 3 == 0;
    case CORNER:
        return x < 3 && y < 2;
    default:
        return x == h->width_px / 2 && y > h->height_px / 2;
    }
}

static void check_fill(op_scene *s, fill what)
{
    sono_op_test t;
    sono_op_test_open(&t, 17 + (uint64_t)what);
    op_scene_open(s, &t);
    for (int32_t i = 0; i < s->n_frames; i++)
        for (int32_t y = 0; y < s->headers[i].height_px; y++)
            for (int32_t x = 0; x < s->headers[i].width_px; x++)
                op_scene_set(s, i, x, y, is_set(&t, what, &s->headers[i], x, y));
    check(s, &t);
    op_scene_close(s);
    sono_op_test_close(&t);
}

/* All formats, turned frames, boxes within, around, beside and without a frame. */
static void every_case_agrees(void **state)
{
    (void)state;
    for (int what = EMPTY; what <= ONE_COLUMN; what++) {
        op_scene turned = {4, 2, 90, 70, 1, .boxes = {{10.5f, 3, 44.25f, 60}, {0}, {-9, -9, 99, 99}}};
        turned.headers[0] = op_scene_header(61, 70, SONO_PIXEL_GRAY8, 3);
        turned.headers[1] = op_scene_header(70, 90, SONO_PIXEL_RGB8, 5);
        turned.headers[2] = op_scene_header(33, 47, SONO_PIXEL_GRAY16, 1);
        turned.headers[3] = op_scene_header(90, 31, SONO_PIXEL_RGBA8, 0);
        memcpy(turned.boxes[3], (float[4]){200, 3, 210, 60}, sizeof turned.boxes[3]);
        check_fill(&turned, (fill)what);
        op_scene tiny = {3, 1, 300, 2, 0, .boxes = {{0, 0, 1, 1}, {0.5f, 0, 0.75f, 1}, {0}}};
        tiny.headers[0] = op_scene_header(1, 1, SONO_PIXEL_GRAY8, 0);
        tiny.headers[1] = op_scene_header(300, 2, SONO_PIXEL_GRAY8, 0);
        tiny.headers[2] = op_scene_header(2, 300, SONO_PIXEL_GRAY16, 0);
        check_fill(&tiny, (fill)what);
    }
}

static const op_bone plain = {.gain = 1, .gamma = 1};

static void real_size_agrees(void **state)
{
    op_scene s = {1, 1, 422, 558, 0, .boxes = {{0}}};
    sono_op_test t;
    (void)state;
    s.headers[0] = op_scene_header(422, 558, SONO_PIXEL_GRAY8, 0);
    sono_op_test_open(&t, 1);
    op_scene_open(&s, &t);
    op_scene_draw_bone(&s, 0, &plain);
    check(&s, &t);
    op_scene_close(&s);
    sono_op_test_close(&t);
}

/* The four parts of two bones in frames of these sizes; mirrored: the second frame is the first one's mirror
 * image. */
static void parts_of(const op_bone *a, const int32_t size_a[2], const op_bone *b, const int32_t size_b[2],
                     int32_t parts[2][4])
{
    const int32_t max_w = size_a[0] > size_b[0] ? size_a[0] : size_b[0];
    const int32_t max_h = size_a[1] > size_b[1] ? size_a[1] : size_b[1];
    op_scene s = {2, 1, max_w, max_h, 0, .boxes = {{0}}};
    sono_op_test t;
    s.headers[0] = op_scene_header(size_a[0], size_a[1], SONO_PIXEL_GRAY8, 0);
    s.headers[1] = op_scene_header(size_b[0], size_b[1], SONO_PIXEL_GRAY8, 0);
    sono_op_test_open(&t, 1);
    op_scene_open(&s, &t);
    op_scene_draw_bone(&s, 0, a);
    if (b)
        op_scene_draw_bone(&s, 1, b);
    else
        op_scene_mirror(&s, 0, 1);
    const sono_tid echo = record(&s, &t);
    sono_op_test_finish(&t);
    int32_t *values = op_scene_run(&t, echo);
    for (int32_t i = 0; i < 2; i++)
        for (int32_t k = 0; k < 4; k++)
            parts[i][k] = values[i * SONO_ECHO_INTS + k];
    sono_free(values);
    op_scene_close(&s);
    sono_op_test_close(&t);
}

static const int32_t usual[2] = {422, 558};

/* How far a part may move when nothing but gain, gamma or size changes. */
typedef struct allowed {
    int32_t sharpness, contrast, shadow, continuity;
} allowed;

static void expect_near(int32_t parts[2][4], allowed most, const char *what)
{
    const int32_t limits[4] = {most.sharpness, most.contrast, most.shadow, most.continuity};
    for (int32_t k = 0; k < 4; k++) {
        assert_in_range(parts[0][k], 1, 1000);
        if (abs(parts[0][k] - parts[1][k]) > limits[k])
            fail_msg("%s: part %d is %d and %d, allowed are %d apart", what, k, parts[0][k], parts[1][k],
                     limits[k]);
    }
}

static void gain_and_gamma_do_not_matter(void **state)
{
    static const op_bone dim = {.gain = 0.6, .gamma = 1}, soft = {.gain = 1, .gamma = 0.7},
                         hard = {.gain = 1, .gamma = 1.4};
    int32_t parts[2][4];
    (void)state;
    parts_of(&plain, usual, &dim, usual, parts);
    expect_near(parts, (allowed){5, 3, 3, 0}, "gain 0.6");
    parts_of(&plain, usual, &soft, usual, parts);
    expect_near(parts, (allowed){30, 3, 3, 0}, "gamma 0.7");
    parts_of(&plain, usual, &hard, usual, parts);
    expect_near(parts, (allowed){30, 3, 3, 0}, "gamma 1.4");
}

static void size_does_not_matter(void **state)
{
    static const int32_t half[2] = {211, 279}, twice[2] = {844, 1116};
    int32_t parts[2][4];
    (void)state;
    parts_of(&plain, usual, &plain, half, parts);
    expect_near(parts, (allowed){30, 5, 5, 10}, "half the size");
    parts_of(&plain, usual, &plain, twice, parts);
    expect_near(parts, (allowed){30, 5, 5, 10}, "twice the size");
}

static void mirrors_are_equal(void **state)
{
    int32_t parts[2][4];
    (void)state;
    parts_of(&(op_bone){.gain = 1, .gamma = 1, .move_x = 0.07, .gap = 0.1}, usual, NULL, usual, parts);
    expect_near(parts, (allowed){0, 0, 0, 0}, "mirror");
}

static void parts_see_what_is_wrong(void **state)
{
    static const op_bone blurred = {.gain = 1, .gamma = 1, .blur = 0.03},
                         low = {.gain = 1, .gamma = 1, .mask_off = 0.05},
                         high = {.gain = 1, .gamma = 1, .mask_off = -0.05},
                         broken = {.gain = 1, .gamma = 1, .gap = 0.2};
    int32_t parts[2][4];
    (void)state;
    parts_of(&plain, usual, &blurred, usual, parts);
    assert_true(parts[1][0] < parts[0][0] - 200);
    parts_of(&plain, usual, &low, usual, parts); /* it lies in the shadow */
    assert_true(parts[1][1] < parts[0][1] - 400);
    parts_of(&plain, usual, &high, usual, parts); /* tissue is above it, and the bone below */
    assert_true(parts[1][1] < parts[0][1] - 400);
    assert_true(parts[1][2] < parts[0][2] - 400);
    parts_of(&plain, usual, &broken, usual, parts);
    assert_in_range(parts[0][3], 980, 1000);
    assert_in_range(parts[1][3], 640, 690); /* 0.2 of 0.6 of the width is missing */
}

/* A fingerprint changes with any one pixel, and when two change places. */
static void fingerprint_sees_one_pixel(void **state)
{
    (void)state;
    op_scene s = {3, 1, 40, 30, 0, .boxes = {{0}}};
    sono_op_test t;
    for (int32_t i = 0; i < 3; i++)
        s.headers[i] = op_scene_header(40, 30, SONO_PIXEL_GRAY8, 0);
    sono_op_test_open(&t, 1);
    op_scene_open(&s, &t);
    memcpy(s.pixels + 1200, s.pixels, 1200);
    memcpy(s.pixels + 2400, s.pixels, 1200);
    const sono_tid same = record(&s, &t);
    s.pixels[1200 + 777] ^= 1;
    const uint8_t first = s.pixels[2400 + 5], other = (uint8_t)(first + 1);
    s.pixels[900] = s.pixels[1200 + 900] = other; /* the third frame has the two the other way round */
    s.pixels[5] = s.pixels[1200 + 5] = first;
    s.pixels[2400 + 900] = first;
    s.pixels[2400 + 5] = other;
    const sono_tid changed = record(&s, &t);
    sono_op_test_finish(&t);
    int32_t *a = op_scene_run(&t, same), *b = op_scene_run(&t, changed);
    for (int32_t i = 1; i < 3; i++) {
        assert_memory_equal(a + 4, a + i * SONO_ECHO_INTS + 4, 8);
        assert_memory_not_equal(b + 4, b + i * SONO_ECHO_INTS + 4, 8);
    }
    sono_free(a);
    sono_free(b);
    op_scene_close(&s);
    sono_op_test_close(&t);
}

static void bench(void)
{
    static const int32_t sizes[][2] = {{422, 558}, {1920, 1200}};
    for (int i = 0; i < 2; i++) {
        op_scene s = {1, 1, sizes[i][0], sizes[i][1], 0, .boxes = {{0}}};
        sono_op_test t;
        s.headers[0] = op_scene_header(sizes[i][0], sizes[i][1], SONO_PIXEL_GRAY8, 0);
        sono_op_test_open(&t, 1);
        op_scene_open(&s, &t);
        op_scene_draw_bone(&s, 0, &plain);
        record(&s, &t);
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, i ? "mask_profile, echo_parts 1920x1200" : "mask_profile, echo_parts 422x558");
        op_scene_close(&s);
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_agrees),
                                       cmocka_unit_test(real_size_agrees),
                                       cmocka_unit_test(gain_and_gamma_do_not_matter),
                                       cmocka_unit_test(size_does_not_matter),
                                       cmocka_unit_test(mirrors_are_equal),
                                       cmocka_unit_test(parts_see_what_is_wrong),
                                       cmocka_unit_test(fingerprint_sees_one_pixel)};
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/echo_parts", tests, sizeof tests / sizeof tests[0]);
}
