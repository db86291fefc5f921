// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* CLEAN_MASK against a flood fill from every pixel. */
#include "op_frame.h"
#include "pieces.h"

#include "base/alloc.h"
#include "graph/map_layout.h"

#include <string.h>

#define MAX_OBJECTS 3

typedef struct sizes {
    int32_t k, width, height, room_px;
    int32_t permille;
    int32_t element_bytes; /* room for weight maps of such elements behind each mask */
    float box[4];          /* of every object; all 0 = none */
} sizes;

typedef enum shape { EMPTY, FULL, NOISE, SPARSE_NOISE, SNAKE, COMB, ISLANDS } shape;

static int is_set(sono_op_test *t, shape what, const sizes *s, int32_t x, int32_t y)
{
    switch (what) {
    case EMPTY:
        return 0;
    case FULL:
        return 1;
    case NOISE: /* near where pieces begin to join across the whole frame */
        return sono_op_test_int(t, 0, 99) < 41;
    case SPARSE_NOISE:
        return sono_op_test_int(t, 0, 99) < 15;
    case SNAKE: /* one long line from end to end */
        return y % 2 == 0 || x == (y % 4 == 1 ? s->width - 1 : 0);
    case COMB: /* teeth that meet only in the last row */
        return x % 2 == 0 || y == s->height - 1;
    default: /* squares of growing size on a diagonal, apart */
        return x % 20 < 1 + x / 20 && y % 20 < 1 + x / 20 && x / 20 == y / 20;
    }
}

typedef struct tensors {
    sono_tid maps, area;
    uint8_t *masks; /* what maps holds before the run */
} tensors;

static tensors record(sono_op_test *t, const sizes *s, shape what)
{
    const int32_t max_width = s->width + s->room_px, n_pixels = s->width * s->height;
    const sono_segment_args args = {.image_size = 1024,
                                    .max_width_px = max_width,
                                    .max_height_px = s->height,
                                    .map_element_bytes = s->element_bytes,
                                    .min_piece_permille = s->permille};
    const int32_t room = (int32_t)map_bytes(max_width * s->height, 1), n_planes = 1 + 3 * s->element_bytes;
    const int64_t n_bytes = (int64_t)s->k * n_planes * room;
    float found[MAX_OBJECTS][8] = {{0}};
    int32_t areas[MAX_OBJECTS] = {7, 7, 7};
    tensors x = {.masks = sono_alloc((size_t)n_bytes)};
    assert_non_null(x.masks);
    memset(x.masks, SONO_OP_TEST_UNTOUCHED_U8, (size_t)n_bytes);
    for (int32_t k = 0; k < s->k; k++) {
        memcpy(found[k], s->box, sizeof s->box);
        found[k][7] = 1.0f;
        for (int32_t i = 0; i < n_pixels; i++)
            x.masks[k * object_maps_bytes(n_pixels, s->element_bytes) + i] =
                is_set(t, what, s, i % s->width, i / s->width) ? 255 : 0;
    }
    x.maps = sono_op_test_inout_values(t, SONO_DTYPE_U8, s->k, 1, n_planes, room, x.masks);
    x.area = sono_op_test_inout_values(t, SONO_DTYPE_I32, s->k, 1, 1, 1, areas);
    const sono_tid detections = sono_op_test_input_values(t, SONO_DTYPE_F32, 1, 1, s->k, 8, found);
    const sono_tid header = op_frame_header(t, s->width, s->height, 0.3f);
    const sono_tid mask = sono_view_rows(&t->rec, x.maps, 0, 1, 1);
    sono_record_clean_mask(&t->rec, "pieces", mask, x.area, detections, header, &args);
    return x;
}

static void check(const sizes *s, shape what)
{
    const int64_t object_bytes = object_maps_bytes(s->width * s->height, s->element_bytes);
    sono_op_test t;
    sono_op_test_open(&t, 90 + (uint64_t)what);
    const tensors x = record(&t, s, what);
    sono_op_test_finish(&t);
    double *want = sono_op_test_want(&t, x.maps, sono_op_test_tolerance(SONO_OP_CLEAN_MASK));
    double *area = sono_op_test_want(&t, x.area, 0);
    const int64_t count = sono_tensor_count(sono_program_tensor(t.program, x.maps));
    for (int64_t i = 0; i < count; i++)
        want[i] = x.masks[i];
    uint8_t *left = sono_alloc((size_t)s->width * (size_t)s->height);
    assert_non_null(left);
    for (int32_t k = 0; k < s->k; k++) {
        area[k] = pieces_clean(x.masks + k * object_bytes, s->width, s->height, s->box, s->permille, left);
        for (int32_t i = 0; i < s->width * s->height; i++)
            want[k * object_bytes + i] = left[i];
    }
    sono_free(left);
    sono_op_test_run(&t);
    sono_free(x.masks);
    sono_op_test_close(&t);
}

static void every_case_agrees(void **state)
{
    static const sizes cases[] = {
        {1, 1, 1, 0, 20, 0, {0}},
        {1, 1, 40, 3, 500, 0, {0}},
        {2, 70, 1, 0, 500, 1, {0}},
        {3, 67, 66, 5, 20, 1, {10, 10, 30, 40}},
        {1, 97, 130, 0, 300, 0, {-5, 100, 50, 140}},
        {1, 140, 140, 0, 0, 0, {60, 60, 61, 61}},
        {2, 140, 140, 0, 1000, 4, {0}},
        {1, 140, 140, 0, 200, 0, {0, 0, 139, 139}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int what = EMPTY; what <= ISLANDS; what++)
            check(&cases[i], (shape)what);
}

static void real_size_agrees(void **state)
{
    static const sizes frame = {1, 422, 558, 0, 20, 1, {100, 200, 300, 260}};
    (void)state;
    check(&frame, NOISE);
    check(&frame, SNAKE);
    check(&frame, COMB);
}

/* The rule itself, on pieces drawn by hand: 13 pixels with one that touches by a corner, 3, and 1. */
static void small_pieces_go(void **state)
{
    static const char *const rows[] = {"XXXX....", "XXXX..XX", "XXXX..X.", "....X...", "......X."};
    static const char *const half[] = {"XXXX....", "XXXX....", "XXXX....", "....X...", "........"};
    static const float no_box[4] = {0}, beside[4] = {6, 0, 7, 1};
    uint8_t mask[40], left[40];
    (void)state;
    for (int i = 0; i < 40; i++)
        mask[i] = rows[i / 8][i % 8] == 'X' ? 255 : 0;
    assert_int_equal(pieces_clean(mask, 8, 5, no_box, 500, left), 13);
    for (int i = 0; i < 40; i++)
        assert_int_equal(left[i] != 0, half[i / 8][i % 8] == 'X');
    assert_int_equal(pieces_clean(mask, 8, 5, no_box, 231, left), 13); /* 3 of 13 are 0.2308 */
    assert_int_equal(pieces_clean(mask, 8, 5, no_box, 230, left), 16);
    assert_int_equal(pieces_clean(mask, 8, 5, beside, 0, left), 3);
}

static void bench(void)
{
    static const sizes frames[] = {{1, 422, 558, 0, 20, 0, {0}}, {1, 1920, 1200, 0, 20, 0, {0}}};
    for (int i = 0; i < 2; i++) {
        sono_op_test t;
        sono_op_test_open(&t, 1);
        const tensors x = record(&t, &frames[i], ISLANDS);
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, i ? "clean_mask 1920x1200" : "clean_mask 422x558");
        sono_free(x.masks);
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(small_pieces_go), cmocka_unit_test(every_case_agrees),
                                       cmocka_unit_test(real_size_agrees)};
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/clean", tests, sizeof tests / sizeof tests[0]);
}
