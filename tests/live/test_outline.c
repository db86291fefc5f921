// SPDX-License-Identifier: Apache-2.0
/* The outline laid over its mask: pixels whose centres lie inside the lines are the mask's, to the pixel, for
 * shapes with holes, corners that touch, noise and whole images; and the same in mm for odd and even sizes
 * and oblique matrices, against a mapping written the other way round. */
#include "serve/outline.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define MAX_SIDE 64

typedef struct picture {
    int32_t width, height;
    uint8_t mask[MAX_SIDE * MAX_SIDE];
} picture;

static uint32_t random_bits(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Rows of '#' and '.', with '/' between them. */
static picture from_text(const char *text)
{
    picture out = {0};
    out.width = (int32_t)strcspn(text, "/");
    for (size_t n = 0; *text; text++) {
        if (*text != '/')
            out.mask[n++] = *text == '#' ? 255 : 0;
        out.height += *text == '/' || !text[1];
    }
    return out;
}

/* Even-odd rule along the row to the left of a point. */
static int is_inside(const sono_serve_outline *outline, double x, double y)
{
    int inside = 0;
    for (uint32_t line = 0; line < outline->n_lines; line++) {
        const uint32_t begin = outline->begins[line], end = outline->begins[line + 1];
        for (uint32_t i = begin, j = end - 1; i < end; j = i++) {
            const float *a = outline->points_px[i], *b = outline->points_px[j];
            if ((a[1] > y) != (b[1] > y) && x > a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
                inside = !inside;
        }
    }
    return inside;
}

static void assert_lies_over(sono_serve_outline *outline, const picture *in)
{
    assert_int_equal(sono_serve_outline_trace(outline, in->mask, in->width, in->height), 0);
    assert_int_equal(outline->n_left_out, 0);
    for (int32_t y = 0; y < in->height; y++)
        for (int32_t x = 0; x < in->width; x++)
            assert_int_equal(is_inside(outline, x, y), in->mask[y * in->width + x] == 255);
}

static void open_outline(sono_serve_outline *outline)
{
    assert_int_equal(sono_serve_outline_open(outline, MAX_SIDE * MAX_SIDE, 65536, 4096), 0);
}

/* Points in full, in order: what clients see must not change by chance. */
static void one_pixel_is_a_diamond(void **state)
{
    (void)state;
    sono_serve_outline outline;
    open_outline(&outline);
    const picture in = from_text("..../..#./....");
    assert_lies_over(&outline, &in);
    const float expected[4][2] = {{2.5f, 1}, {2, 1.5f}, {1.5f, 1}, {2, 0.5f}};
    assert_int_equal(outline.n_lines, 1);
    assert_int_equal(outline.n_points, 4);
    assert_memory_equal(outline.points_px, expected, sizeof expected);
    sono_serve_outline_close(&outline);
}

static void straight_sides_have_no_points_within(void **state)
{
    (void)state;
    sono_serve_outline outline;
    open_outline(&outline);
    picture in = {.width = 40, .height = 30};
    for (int32_t y = 5; y < 25; y++)
        memset(in.mask + y * in.width + 3, 255, 30);
    assert_lies_over(&outline, &in);
    assert_int_equal(outline.n_points, 8);
    memset(in.mask, 255, sizeof in.mask);
    assert_lies_over(&outline, &in);
    assert_int_equal(outline.n_points, 8);
    /* A slope of 45 degrees is one side, too. */
    memset(in.mask, 0, sizeof in.mask);
    for (int32_t y = 0; y < 20; y++)
        memset(in.mask + y * in.width, 255, (size_t)y + 1);
    assert_lies_over(&outline, &in);
    assert_in_range(outline.n_points, 3, 7);
    sono_serve_outline_close(&outline);
}

static void pieces_and_holes_have_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t n_lines;
    } cases[] = {
        {"...../...../.....", 0},
        {"#", 1},
        {"##/##", 1},
        {"#.#/.../#.#", 4},
        {"###/#.#/###", 2},
        {"#./.#", 1},                         /* corners join the mask ... */
        {".#./#.#/.#.", 2},                   /* ... and shut a hole in */
        {"####/#..#/#.##/####", 2},           /* one hole of three */
        {"#####/#.#.#/#####", 3},             /* two */
        {"#####/#.#.#/##.##/#####", 4},       /* three: holes do not join at corners */
        {"#####/#...#/#.#.#/#...#/#####", 3}, /* a piece within a hole */
        {"#########/.........", 1},
        {"........#/#........", 2},
    };
    sono_serve_outline outline;
    open_outline(&outline);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const picture in = from_text(cases[i].text);
        assert_lies_over(&outline, &in);
        assert_int_equal(outline.n_lines, cases[i].n_lines);
    }
    sono_serve_outline_close(&outline);
}

static void noise_is_laid_over_to_the_pixel(void **state)
{
    (void)state;
    sono_serve_outline outline;
    open_outline(&outline);
    uint32_t seed = 7;
    for (int32_t round = 0; round < 150; round++) {
        picture in = {.width = 1 + round % 37, .height = 1 + round % 23};
        const uint32_t share = round % 3 == 0 ? 32 : round % 3 == 1 ? 128 : 224;
        for (int32_t i = 0; i < in.width * in.height; i++)
            in.mask[i] = (random_bits(&seed) & 255) < share ? 255 : 0;
        assert_lies_over(&outline, &in);
    }
    sono_serve_outline_close(&outline);
}

/* Points that are given back are the same, and each line is as long as its begins say. */
static void the_same_mask_gives_the_same_points(void **state)
{
    (void)state;
    sono_serve_outline first, second;
    open_outline(&first);
    open_outline(&second);
    uint32_t seed = 3;
    picture in = {.width = 31, .height = 17};
    for (int32_t i = 0; i < in.width * in.height; i++)
        in.mask[i] = random_bits(&seed) & 1 ? 255 : 0;
    assert_lies_over(&first, &in);
    picture other = in;
    memset(other.mask, 255, sizeof other.mask);
    assert_lies_over(&second, &other);
    assert_lies_over(&second, &in);
    assert_int_equal(first.n_points, second.n_points);
    assert_memory_equal(first.points_px, second.points_px, first.n_points * sizeof *first.points_px);
    assert_memory_equal(first.begins, second.begins, (first.n_lines + 1) * sizeof *first.begins);
    sono_serve_outline_close(&first);
    sono_serve_outline_close(&second);
}

static void what_does_not_fit_is_left_out(void **state)
{
    (void)state;
    sono_serve_outline outline;
    assert_int_equal(sono_serve_outline_open(&outline, 64, 8, 2), 0);
    picture in = from_text("#.#.#...");
    assert_int_equal(sono_serve_outline_trace(&outline, in.mask, in.width, in.height), 0);
    assert_int_equal(outline.n_lines, 2);
    assert_int_equal(outline.n_points, 8);
    assert_int_equal(outline.n_left_out, 1);
    /* A line of nine points does not fit, a later one of four does. */
    in = from_text("#.#...../###...../.......#");
    assert_int_equal(sono_serve_outline_trace(&outline, in.mask, in.width, in.height), 0);
    assert_int_equal(outline.n_lines, 1);
    assert_int_equal(outline.n_points, 4);
    assert_int_equal(outline.n_left_out, 1);
    assert_int_equal(sono_serve_outline_trace(&outline, in.mask, 8, 9), -1);
    assert_int_equal(outline.n_lines, 0);
    assert_int_equal(sono_serve_outline_trace(&outline, in.mask, 0, 1), -1);
    sono_serve_outline_close(&outline);
}

/* A pixel's centre in mm by the first pixel's place: the inverse order of what the code does. */
static void pixel_mm(const sono_igtl_image *image, double i, double j, double out[3])
{
    for (int axis = 0; axis < 3; axis++) {
        const double first = image->matrix[9 + axis] - image->matrix[axis] * 0.5 * (image->size[0] - 1) -
                             image->matrix[3 + axis] * 0.5 * (image->size[1] - 1) -
                             image->matrix[6 + axis] * 0.5 * (image->size[2] - 1);
        out[axis] = first + image->matrix[axis] * (i + image->offset[0]) +
                    image->matrix[3 + axis] * (j + image->offset[1]) +
                    image->matrix[6 + axis] * image->offset[2];
    }
}

/* The mask's point that a place in mm belongs to: along the two in-plane axes, which are orthogonal. */
static void mm_to_px(const sono_igtl_image *image, const float at_mm[3], float out[2])
{
    double first[3];
    pixel_mm(image, 0, 0, first);
    for (int axis = 0; axis < 2; axis++) {
        double along = 0, length = 0;
        for (int i = 0; i < 3; i++) {
            along += (at_mm[i] - first[i]) * image->matrix[3 * axis + i];
            length += (double)image->matrix[3 * axis + i] * image->matrix[3 * axis + i];
        }
        out[axis] = (float)(along / length);
    }
}

static void the_outline_in_mm_lies_over_the_mask(void **state)
{
    (void)state;
    static const float matrices[3][12] = {
        {0.2f, 0, 0, 0, 0.3f, 0, 0, 0, 1, 0, 0, 0},
        {0.2f, 0, 0, 0, -0.3f, 0, 0, 0, 1, 12.5f, -7, 100},
        /* Oblique: a rotation of columns (2,-1,2)/3, (2,2,-1)/3, (-1,2,2)/3, times 0.3, 0.15 and 1. */
        {0.2f, -0.1f, 0.2f, 0.1f, 0.1f, -0.05f, -1 / 3.f, 2 / 3.f, 2 / 3.f, -40, 3.25f, 81},
    };
    static const uint16_t sizes[4][2] = {{32, 24}, {33, 24}, {32, 25}, {33, 25}};
    sono_serve_outline outline;
    open_outline(&outline);
    uint32_t seed = 11;
    for (int n = 0; n < 24; n++) {
        sono_igtl_image image = {.size = {sizes[n % 4][0], sizes[n % 4][1], 1}};
        memcpy(image.matrix, matrices[n / 4 % 3], sizeof image.matrix);
        memcpy(image.subsize, image.size, sizeof image.subsize);
        picture in = {.width = image.size[0], .height = image.size[1]};
        if (n >= 12) { /* a part of the third of four slices */
            image.offset[0] = 5, image.offset[1] = 3, image.offset[2] = 2, image.size[2] = 4;
            in.width = image.subsize[0] = 20, in.height = image.subsize[1] = 17;
        }
        for (int32_t i = 0; i < in.width * in.height; i++)
            in.mask[i] = random_bits(&seed) & 1 ? 255 : 0;
        assert_lies_over(&outline, &in);
        for (uint32_t i = 0; i < outline.n_points; i++) {
            const float px[2] = {outline.points_px[i][0], outline.points_px[i][1]};
            float at_mm[3];
            double expected[3];
            sono_serve_outline_to_mm(&image, px, at_mm);
            pixel_mm(&image, px[0], px[1], expected);
            for (int axis = 0; axis < 3; axis++)
                assert_true(fabs(at_mm[axis] - expected[axis]) < 2e-5);
            mm_to_px(&image, at_mm, outline.points_px[i]);
        }
        for (int32_t y = 0; y < in.height; y++)
            for (int32_t x = 0; x < in.width; x++)
                assert_int_equal(is_inside(&outline, x, y), in.mask[y * in.width + x] == 255);
    }
    sono_serve_outline_close(&outline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pixel_is_a_diamond),
        cmocka_unit_test(straight_sides_have_no_points_within),
        cmocka_unit_test(pieces_and_holes_have_lines),
        cmocka_unit_test(noise_is_laid_over_to_the_pixel),
        cmocka_unit_test(the_same_mask_gives_the_same_points),
        cmocka_unit_test(what_does_not_fit_is_left_out),
        cmocka_unit_test(the_outline_in_mm_lies_over_the_mask),
    };
    return sono_test_run("live/outline", tests, sizeof(tests) / sizeof(tests[0]));
}
