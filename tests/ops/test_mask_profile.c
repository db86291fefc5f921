// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* MASK_PROFILE against counts taken column by column and row by row. */
#include "op_scene.h"

#include <string.h>

typedef enum fill { EMPTY, FULL, NOISE, BORDERS, LINE } fill;

static int is_set(sono_op_test *t, fill what, const sono_frame_header *h, int32_t x, int32_t y)
{
    switch (what) {
    case EMPTY:
        return 0;
    case FULL:
        return 1;
    case NOISE:
        return sono_op_test_int(t, 0, 99) < 30;
    case BORDERS:
        return x == 0 || y == 0 || x == h->width_px - 1 || y == h->height_px - 1;
    default:
        return y == h->height_px / 2 + x % 3;
    }
}

static void want_profile(const op_scene *s, int32_t frame, double *profile)
{
    const int32_t width = s->headers[frame].width_px, height = s->headers[frame].height_px;
    const int32_t side = op_scene_side(s);
    for (int32_t x = 0; x < width; x++)
        for (int32_t y = 0; y < height; y++) {
            const int set = op_scene_is_set(s, frame, x, y);
            profile[x] += set;
            profile[side + x] += set * y;
            profile[2 * side + y] += set;
        }
}

static void check(op_scene *s, fill what)
{
    sono_op_test t;
    sono_tid outs[2];
    sono_op_test_open(&t, 3 + (uint64_t)what);
    op_scene_open(s, &t);
    for (int32_t i = 0; i < s->n_frames; i++)
        for (int32_t y = 0; y < s->headers[i].height_px; y++)
            for (int32_t x = 0; x < s->headers[i].width_px; x++)
                op_scene_set(s, i, x, y, is_set(&t, what, &s->headers[i], x, y));
    const op_scene_tensors x = op_scene_record(s, &t);
    const sono_segment_args args = op_scene_args(s);
    sono_record_mask_profile(&t.rec, "profile", x.mask, x.header, &args, outs);
    sono_op_test_finish(&t);
    double *want = sono_op_test_want(&t, outs[0], sono_op_test_tolerance(SONO_OP_MASK_PROFILE));
    for (int32_t i = 0; i < s->n_frames; i++)
        want_profile(s, i, want + (int64_t)i * 3 * op_scene_side(s));
    sono_op_test_want(&t, outs[1], 0); /* all 0 */
    sono_op_test_run(&t);
    op_scene_close(s);
    sono_op_test_close(&t);
}

static void every_case_agrees(void **state)
{
    (void)state;
    for (int what = EMPTY; what <= LINE; what++) {
        op_scene turned = {3, 2, 90, 70, 1, .headers = {{0}}};
        turned.headers[0] = op_scene_header(61, 70, SONO_PIXEL_GRAY8, 0);
        turned.headers[1] = op_scene_header(70, 90, SONO_PIXEL_RGB8, 5);
        turned.headers[2] = op_scene_header(1, 1, SONO_PIXEL_GRAY16, 0);
        check(&turned, (fill)what);
        op_scene single = {1, 1, 422, 558, 0, .headers = {{0}}};
        single.headers[0] = op_scene_header(422, 558, SONO_PIXEL_GRAY8, 0);
        check(&single, (fill)what);
        op_scene flat = {2, 1, 300, 1, 4, .headers = {{0}}};
        flat.headers[0] = op_scene_header(300, 1, SONO_PIXEL_GRAY8, 0);
        flat.headers[1] = op_scene_header(1, 300, SONO_PIXEL_GRAY8, 0);
        check(&flat, (fill)what);
    }
}

/* The rule itself, on a mask drawn by hand. */
static void counts_by_hand(void **state)
{
    static const char *const rows[] = {"..X.", "XXX.", "X..."};
    op_scene s = {1, 1, 4, 3, 0, .headers = {{0}}};
    sono_op_test t;
    sono_tid outs[2];
    (void)state;
    s.headers[0] = op_scene_header(4, 3, SONO_PIXEL_GRAY8, 0);
    sono_op_test_open(&t, 1);
    op_scene_open(&s, &t);
    for (int32_t i = 0; i < 12; i++)
        op_scene_set(&s, 0, i % 4, i / 4, rows[i / 4][i % 4] == 'X');
    const op_scene_tensors x = op_scene_record(&s, &t);
    const sono_segment_args args = op_scene_args(&s);
    sono_record_mask_profile(&t.rec, "profile", x.mask, x.header, &args, outs);
    sono_op_test_finish(&t);
    static const double hand[12] = {2, 1, 2, 0, 3, 1, 1, 0, 1, 3, 1, 0};
    double *want = sono_op_test_want(&t, outs[0], 0);
    for (int i = 0; i < 12; i++)
        want[i] = hand[i];
    sono_op_test_run(&t);
    op_scene_close(&s);
    sono_op_test_close(&t);
}

/* What the op cannot count is refused when it is recorded. */
static void refuses_what_does_not_fit(void **state)
{
    static const sono_segment_args large = {.max_width_px = 65536, .max_height_px = 2},
                                   wide = {.max_width_px = 40000, .max_height_px = 40000},
                                   none = {.max_width_px = 0, .max_height_px = 2},
                                   other = {.max_width_px = 8, .max_height_px = 9};
    static const sono_segment_args *const all[] = {&large, &wide, &none, &other};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sono_op_test t;
        sono_tid outs[2] = {7, 7};
        op_scene s = {1, 1, 8, 4, 0, .headers = {{0}}};
        s.headers[0] = op_scene_header(8, 4, SONO_PIXEL_GRAY8, 0);
        sono_op_test_open(&t, 1);
        op_scene_open(&s, &t);
        const op_scene_tensors x = op_scene_record(&s, &t);
        sono_record_mask_profile(&t.rec, "profile", x.mask, x.header, all[i], outs);
        assert_int_equal(sono_record_finish(&t.rec), SONO_STATUS_INVALID_ARGUMENT);
        assert_int_equal(outs[0], 0);
        assert_non_null(strstr(t.error.text, "profile: "));
        op_scene_close(&s);
        sono_op_test_close(&t);
    }
}

static void bench(void)
{
    static const int32_t sizes[][2] = {{422, 558}, {1920, 1200}};
    for (int i = 0; i < 2; i++) {
        op_scene s = {1, 1, sizes[i][0], sizes[i][1], 0, .headers = {{0}}};
        sono_op_test t;
        sono_tid outs[2];
        s.headers[0] = op_scene_header(sizes[i][0], sizes[i][1], SONO_PIXEL_GRAY8, 0);
        sono_op_test_open(&t, 1);
        op_scene_open(&s, &t);
        const op_scene_tensors x = op_scene_record(&s, &t);
        const sono_segment_args args = op_scene_args(&s);
        sono_record_mask_profile(&t.rec, "profile", x.mask, x.header, &args, outs);
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, i ? "mask_profile 1920x1200" : "mask_profile 422x558");
        op_scene_close(&s);
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_by_hand), cmocka_unit_test(every_case_agrees),
                                       cmocka_unit_test(refuses_what_does_not_fit)};
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/mask_profile", tests, sizeof tests / sizeof tests[0]);
}
