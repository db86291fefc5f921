// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* WEIGHT_MAPS against the definition: a look at every pixel of the square. */
#include "op_frame.h"

#include "base/alloc.h"
#include "graph/map_layout.h"

#include <stdlib.h>
#include <string.h>

typedef enum shape { EMPTY, FULL, DOT, CORNER, DISC, NOISE, DENSE_NOISE } shape;

typedef struct sizes {
    int32_t k, width, height, room_px;
    int32_t edge, outside;
    int32_t element_bytes; /* of a weight map; 0 = try both */
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

/* A tensor with masks and room for their maps, all of it marked that is no mask's pixel. */
static uint8_t *make_masks(sono_op_test *t, const sizes *s, shape what, int64_t n_bytes)
{
    const int32_t n_pixels = s->width * s->height;
    uint8_t *maps = sono_alloc((size_t)n_bytes);
    assert_non_null(maps);
    memset(maps, SONO_OP_TEST_UNTOUCHED_U8, (size_t)n_bytes);
    for (int32_t k = 0; k < s->k; k++)
        for (int32_t i = 0; i < n_pixels; i++)
            maps[k * object_maps_bytes(n_pixels, s->element_bytes) + i] =
                is_set(t, what, s, i % s->width, i / s->width) ? 255 : 0;
    return maps;
}

/* Returns the tensor of all maps; *masks: what it holds before the run. */
static sono_tid record(sono_op_test *t, const sizes *s, shape what, uint8_t **masks)
{
    const sono_segment_args args = {.image_size = 1024,
                                    .max_width_px = max_width_px(s),
                                    .max_height_px = max_height_px(s),
                                    .edge_width_px = s->edge,
                                    .outside_width_px = s->outside,
                                    .map_element_bytes = s->element_bytes};
    const int32_t room = (int32_t)map_bytes(max_width_px(s) * max_height_px(s), 1);
    const int32_t n_planes = 1 + 3 * s->element_bytes;
    *masks = make_masks(t, s, what, (int64_t)s->k * n_planes * room);
    const sono_tid maps = sono_op_test_inout_values(t, SONO_DTYPE_U8, s->k, 1, n_planes, room, *masks);
    const sono_tid mask = sono_view_rows(&t->rec, maps, 0, 1, 1);
    const sono_tid header = op_frame_header(t, s->width, s->height, 0.3f);
    sono_record_weight_maps(&t->rec, "maps", mask, header, &args);
    return maps;
}

/* want: of the map's bytes. */
static void want_element(double *want, int64_t i, double value, int32_t element_bytes)
{
    const float element = (float)value;
    uint8_t bytes[sizeof element];
    memcpy(bytes, &element, sizeof element);
    for (int32_t b = 0; b < element_bytes; b++)
        want[i * element_bytes + b] = element_bytes == 1 ? value : bytes[b];
}

static void want_object(const sizes *s, const uint8_t *mask, double *want)
{
    const int32_t n_pixels = s->width * s->height;
    for (int32_t i = 0; i < n_pixels; i++) {
        double values[3];
        want_pixel(mask, s, i % s->width, i / s->width, &values[0], &values[1], &values[2]);
        for (int32_t m = 0; m < 3; m++)
            want_element(want + weight_map_at(n_pixels, s->element_bytes, m), i, values[m], s->element_bytes);
    }
}

static void check_type(const sizes *s, shape what)
{
    const int64_t object_bytes = object_maps_bytes(s->width * s->height, s->element_bytes);
    sono_op_test t;
    uint8_t *masks;
    sono_op_test_open(&t, 60 + (uint64_t)what);
    const sono_tid maps = record(&t, s, what, &masks);
    sono_op_test_finish(&t);
    double *want = sono_op_test_want(&t, maps, sono_op_test_tolerance(SONO_OP_WEIGHT_MAPS));
    const int64_t count = sono_tensor_count(sono_program_tensor(t.program, maps));
    for (int64_t i = 0; i < count; i++)
        want[i] = masks[i];
    for (int32_t k = 0; k < s->k; k++)
        want_object(s, masks + k * object_bytes, want + k * object_bytes);
    sono_op_test_run(&t);
    sono_free(masks);
    sono_op_test_close(&t);
}

static void check(const sizes *s, shape what)
{
    sizes typed = *s;
    typed.element_bytes = 1;
    check_type(&typed, what);
    typed.element_bytes = 4;
    check_type(&typed, what);
}

static void every_case_agrees(void **state)
{
    static const sizes cases[] = {
        {1, 1, 1, 0, 3, 5, 0},    {1, 1, 30, 4, 3, 5, 0},   {2, 41, 1, 0, 5, 3, 0},
        {3, 70, 75, 10, 3, 5, 0}, {1, 33, 64, 0, 1, 1, 0},  {1, 67, 66, 0, 9, 17, 0},
        {1, 20, 21, 0, 7, 31, 0}, {1, 5, 90, 0, 13, 11, 0}, {2, 95, 7, TURNED, 9, 17, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int what = EMPTY; what <= DENSE_NOISE; what++)
            check(&cases[i], (shape)what);
}

static void real_size_agrees(void **state)
{
    static const sizes frame = {1, 422, 558, 0, 3, 5, 0};
    (void)state;
    check(&frame, DISC);
    check(&frame, DENSE_NOISE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_agrees),
                                       cmocka_unit_test(real_size_agrees)};
    if (sono_op_test_wants_bench(argc, argv)) {
        static const sizes cases[] = {{1, 422, 558, 0, 3, 5, 1},
                                      {1, 1920, 1200, 0, 3, 5, 1},
                                      {1, 1920, 1200, 0, 31, 63, 1},
                                      {1, 422, 558, 0, 3, 5, 4},
                                      {1, 1920, 1200, 0, 3, 5, 4}};
        static const char *const labels[] = {"weight_maps 422x558", "weight_maps 1920x1200",
                                             "weight_maps 1920x1200, widths 31 and 63",
                                             "weight_maps 422x558 float32", "weight_maps 1920x1200 float32"};
        for (int i = 0; i < 5; i++) {
            sono_op_test t;
            uint8_t *masks;
            sono_op_test_open(&t, 1);
            record(&t, &cases[i], DISC, &masks);
            sono_op_test_finish(&t);
            sono_op_test_bench(&t, labels[i]);
            sono_free(masks);
            sono_op_test_close(&t);
        }
        return 0;
    }
    return sono_test_run("ops/weight_maps", tests, sizeof tests / sizeof tests[0]);
}
