// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* WEIGHT_MAPS against the definition: a look at every pixel of the square. */
#include "op_frame.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

typedef enum shape { EMPTY, FULL, DOT, CORNER, DISC, NOISE, DENSE_NOISE } shape;

typedef struct sizes {
    int32_t k, width, height, room_px;
    int32_t edge, outside;
} sizes;

/* as room_px: the limits are those of the frame turned by a quarter */
#define TURNED (-1)

static int32_t max_width_px(const sizes *s)
{
    return s->room_px == TURNED ? s->height : s->width + s->room_px;
}

static int32_t max_height_px(const sizes *s)
{
    return s->room_px == TURNED ? s->width : s->height + s->room_px;
}

static int is_set(sono_op_test *t, shape what, const sizes *s, int32_t x, int32_t y)
{
    const int32_t dx = 2 * x - s->width, dy = 2 * y - s->height;
    switch (what) {
    case EMPTY:
        return 0;
    case FULL:
        return 1;
    case DOT:
        return x == s->width / 2 && y == s->height / 2;
    case CORNER:
        return x < 4 && y < 3;
    case DISC:
        return (int64_t)dx * dx + (int64_t)dy * dy < (int64_t)s->width * s->height / 2;
    case NOISE:
        return sono_op_test_int(t, 0, 9) == 0;
    default:
        return sono_op_test_int(t, 0, 9) != 0;
    }
}

static void want_pixel(const uint8_t *mask, const sizes *s, int32_t x, int32_t y, double *edge,
                       double *inside, double *outside)
{
    const int32_t reach = (s->edge > s->outside ? s->edge : s->outside) / 2;
    int eroded = 1, dilated = 0, widened = 0;
    for (int32_t dy = -reach; dy <= reach; dy++)
        for (int32_t dx = -reach; dx <= reach; dx++) {
            const int32_t far = abs(dx) > abs(dy) ? abs(dx) : abs(dy);
            if (x + dx < 0 || x + dx >= s->width || y + dy < 0 || y + dy >= s->height)
                continue;
            const int set = mask[(y + dy) * s->width + x + dx] != 0;
            eroded &= set || far > s->edge / 2;
            dilated |= set && far <= s->edge / 2;
            widened |= set && far <= s->outside / 2;
        }
    *edge = dilated - eroded;
    *inside = eroded;
    *outside = widened && !mask[y * s->width + x];
}

static void record(sono_op_test *t, const sizes *s, shape what, sono_tid outs[3], uint8_t **masks)
{
    const int32_t n_pixels = s->width * s->height, room = max_width_px(s) * max_height_px(s);
    const sono_segment_args args = {.image_size = 1024,
                                    .max_width_px = max_width_px(s),
                                    .max_height_px = max_height_px(s),
                                    .edge_width_px = s->edge,
                                    .outside_width_px = s->outside};
    uint8_t *mask = sono_alloc((size_t)s->k * (size_t)room);
    assert_non_null(mask);
    memset(mask, 255, (size_t)s->k * (size_t)room); /* what lies behind the frame's pixels must not matter */
    for (int32_t k = 0; k < s->k; k++)
        for (int32_t i = 0; i < n_pixels; i++)
            mask[k * room + i] = is_set(t, what, s, i % s->width, i / s->width) ? 255 : 0;
    const sono_tid masks_in = sono_op_test_input_values(t, SONO_DTYPE_U8, s->k, 1, 1, room, mask);
    const sono_tid header = op_frame_header(t, s->width, s->height, 0.3f);
    sono_record_weight_maps(&t->rec, "maps", masks_in, header, &args, outs);
    *masks = mask;
}

static void check(const sizes *s, shape what)
{
    const int32_t n_pixels = s->width * s->height, room = max_width_px(s) * max_height_px(s);
    sono_op_test t;
    sono_tid outs[3], views[3];
    uint8_t *masks;
    double *want[3];
    sono_op_test_open(&t, 60 + (uint64_t)what);
    record(&t, s, what, outs, &masks);
    for (int i = 0; i < 3; i++)
        views[i] = sono_view_channels(&t.rec, outs[i], 0, n_pixels);
    sono_op_test_finish(&t);
    for (int i = 0; i < 3; i++)
        want[i] = sono_op_test_want(&t, views[i], sono_op_test_tolerance(SONO_OP_WEIGHT_MAPS));
    for (int32_t k = 0; k < s->k; k++)
        for (int32_t i = 0; i < n_pixels; i++)
            want_pixel(masks + k * room, s, i % s->width, i / s->width, want[0]++, want[1]++, want[2]++);
    sono_op_test_run(&t);
    sono_free(masks);
    sono_op_test_close(&t);
}

static void every_case_agrees(void **state)
{
    static const sizes cases[] = {
        {1, 1, 1, 0, 3, 5},    {1, 1, 30, 4, 3, 5},   {2, 41, 1, 0, 5, 3},
        {3, 70, 75, 10, 3, 5}, {1, 33, 64, 0, 1, 1},  {1, 67, 66, 0, 9, 17},
        {1, 20, 21, 0, 7, 31}, {1, 5, 90, 0, 13, 11}, {2, 95, 7, TURNED, 9, 17},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int what = EMPTY; what <= DENSE_NOISE; what++)
            check(&cases[i], (shape)what);
}

static void real_size_agrees(void **state)
{
    static const sizes frame = {1, 422, 558, 0, 3, 5};
    (void)state;
    check(&frame, DISC);
    check(&frame, DENSE_NOISE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_agrees),
                                       cmocka_unit_test(real_size_agrees)};
    if (sono_op_test_wants_bench(argc, argv)) {
        static const sizes cases[] = {
            {1, 422, 558, 0, 3, 5}, {1, 1920, 1200, 0, 3, 5}, {1, 1920, 1200, 0, 31, 63}};
        static const char *const labels[] = {"weight_maps 422x558", "weight_maps 1920x1200",
                                             "weight_maps 1920x1200, widths 31 and 63"};
        for (int i = 0; i < 3; i++) {
            sono_op_test t;
            sono_tid outs[3];
            uint8_t *masks;
            sono_op_test_open(&t, 1);
            record(&t, &cases[i], DISC, outs, &masks);
            sono_op_test_finish(&t);
            sono_op_test_bench(&t, labels[i]);
            sono_free(masks);
            sono_op_test_close(&t);
        }
        return 0;
    }
    return sono_test_run("ops/weight_maps", tests, sizeof tests / sizeof tests[0]);
}
