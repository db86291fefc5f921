// SPDX-License-Identifier: Apache-2.0
/* What a packet's functions say: objects, maps of either type where the layout puts them, stage times; and
 * what they refuse. */
#include "base/alloc.h"
#include "pipeline/packet.h"
#include "graph/map_layout.h"
#include "test.h"

#include <string.h>

#define WIDTH     5
#define HEIGHT    7
#define N_PIXELS  (WIDTH * HEIGHT)
#define N_OBJECTS 3

static sono_packet_storage storage;
static uint8_t maps[N_OBJECTS * 1024];

/* Two found objects and one gated, with weight maps of that many bytes an element. */
static const sono_packet *make_packet(int32_t element_bytes)
{
    static const sono_detection found[N_OBJECTS] = {
        {.score = 0.75f, .valid = 1.0f}, {.score = 0.5f, .valid = 1.0f}, {.score = 0.25f}};
    static const float iou[N_OBJECTS] = {0.5f, 0.25f, 0.125f};
    static const int32_t area_px[N_OBJECTS] = {4, 5, 6};
    const sono_frame frame = {.image = {.width_px = WIDTH, .height_px = HEIGHT}, .info = {.frame_id = 9}};
    const sono_packet_outputs outputs = {.detections = found,
                                         .iou = iou,
                                         .area_px = area_px,
                                         .maps = maps,
                                         .map_element_bytes = element_bytes,
                                         .iou_stride = 1,
                                         .max_objects = N_OBJECTS};
    sono_packet_begin(&storage, &frame, &(sono_region){0});
    sono_packet_fill(&storage, &outputs);
    storage.stage_ms[SONO_STAGE_DETECT] = 1.5;
    return &storage.packet;
}

/* A packet that nobody filled in says that nothing was found. */
static void test_zero_is_lost(void **state)
{
    static const sono_packet zero;
    (void)state;
    assert_int_equal(zero.state, SONO_STATE_LOST);
    assert_string_equal(sono_state_name(zero.state), "LOST");
    assert_null(sono_packet_object(&zero, 0));
}

static void test_objects(void **state)
{
    (void)state;
    const sono_packet *packet = make_packet(1);
    assert_int_equal(packet->struct_size, sizeof *packet);
    assert_int_equal(packet->n_objects, 2);
    assert_int_equal(sono_packet_object(packet, 0)->struct_size, sizeof(sono_object));
    assert_true(sono_packet_object(packet, 0)->score == 0.75f);
    assert_int_equal(sono_packet_object(packet, 1)->mask_area_px, 5);
    assert_null(sono_packet_object(packet, -1));
    assert_null(sono_packet_object(packet, 2));
    assert_null(sono_packet_object(NULL, 0));
}

static void expect_view(const sono_packet *packet, int32_t object, sono_map which, int64_t at,
                        sono_map_dtype dtype)
{
    sono_map_view view;
    memset(&view, 0xff, sizeof view);
    assert_int_equal(sono_packet_map(packet, object, which, &view), SONO_STATUS_OK);
    assert_ptr_equal(view.data, maps + at);
    assert_int_equal(view.dtype, dtype);
    assert_int_equal(view.width_px, WIDTH);
    assert_int_equal(view.height_px, HEIGHT);
    assert_int_equal(view.pitch_bytes, dtype == SONO_MAP_DTYPE_F32 ? 4 * WIDTH : WIDTH);
    assert_int_equal(view.reserved, 0);
}

/* 35 pixels: a map of bytes takes 48, one of float32 144. */
static void test_maps(void **state)
{
    (void)state;
    assert_int_equal(map_bytes(N_PIXELS, 1), 48);
    const sono_packet *packet = make_packet(1);
    for (int32_t k = 0; k < 2; k++)
        for (int m = SONO_MAP_MASK; m <= SONO_MAP_OUTSIDE; m++)
            expect_view(packet, k, (sono_map)m, (4 * k + m) * 48, SONO_MAP_DTYPE_U8);
    packet = make_packet(4);
    expect_view(packet, 1, SONO_MAP_MASK, 48 + 3 * 144, SONO_MAP_DTYPE_U8);
    for (int m = SONO_MAP_EDGE; m <= SONO_MAP_OUTSIDE; m++)
        expect_view(packet, 1, (sono_map)m, 2 * 48 + (2 + m) * 144, SONO_MAP_DTYPE_F32);
}

static void test_refused_maps(void **state)
{
    (void)state;
    sono_map_view view, before;
    memset(&view, 0x5a, sizeof view);
    before = view;
    const sono_packet *packet = make_packet(0);
    assert_int_equal(sono_packet_map(packet, 0, SONO_MAP_EDGE, &view), SONO_STATUS_UNSUPPORTED);
    assert_int_equal(sono_packet_map(packet, 2, SONO_MAP_MASK, &view), SONO_STATUS_INVALID_ARGUMENT);
    assert_int_equal(sono_packet_map(packet, -1, SONO_MAP_MASK, &view), SONO_STATUS_INVALID_ARGUMENT);
    assert_int_equal(sono_packet_map(packet, 0, (sono_map)4, &view), SONO_STATUS_INVALID_ARGUMENT);
    assert_int_equal(sono_packet_map(NULL, 0, SONO_MAP_MASK, &view), SONO_STATUS_INVALID_ARGUMENT);
    assert_int_equal(sono_packet_map(packet, 0, SONO_MAP_MASK, NULL), SONO_STATUS_INVALID_ARGUMENT);
    storage.maps = NULL; /* they stayed on a device */
    assert_int_equal(sono_packet_map(packet, 0, SONO_MAP_MASK, &view), SONO_STATUS_UNSUPPORTED);
    assert_memory_equal(&view, &before, sizeof view);
}

/* Lines end where columns have nothing, and where the ridge jumps by more than six rows. */
static void test_surface(void **state)
{
    static const int32_t rows[SONO_SURFACE_COLUMNS] = {256, 320, -1, 0, 6 * 256 + 1};
    static const float points_px[4][2] = {{0, 1}, {1, 1.25f}, {3, 0}, {4, 6 + 1 / 256.0f}};
    static const int32_t line_starts[4] = {0, 2, 3, 4};
    const sono_detection found = {.valid = 1.0f};
    sono_packet_outputs outputs = {.detections = &found, .surface = rows, .max_objects = 1};
    sono_surface_view view, before;
    (void)state;
    const sono_packet *packet = make_packet(1);
    memset(&view, 0xff, sizeof view);
    before = view;
    assert_int_equal(sono_packet_surface(packet, &view), SONO_STATUS_UNSUPPORTED);
    assert_int_equal(sono_packet_surface(NULL, &view), SONO_STATUS_INVALID_ARGUMENT);
    assert_int_equal(sono_packet_surface(packet, NULL), SONO_STATUS_INVALID_ARGUMENT);
    assert_memory_equal(&view, &before, sizeof view);
    sono_packet_fill(&storage, &outputs);
    assert_int_equal(sono_packet_surface(packet, &view), SONO_STATUS_OK);
    assert_int_equal(view.n_points, 4);
    assert_int_equal(view.n_lines, 3);
    assert_memory_equal(view.points_px, points_px, sizeof points_px);
    assert_memory_equal(view.line_starts, line_starts, sizeof line_starts);
    outputs.surface = rows + 6; /* zeroes: a flat line; the packet is filled in again, not added to */
    sono_packet_fill(&storage, &outputs);
    assert_int_equal(sono_packet_surface(packet, &view), SONO_STATUS_OK);
    assert_int_equal(view.n_points, WIDTH);
    assert_int_equal(view.n_lines, 1);
    assert_int_equal(view.line_starts[1], WIDTH);
}

static void test_stages(void **state)
{
    (void)state;
    const sono_packet *packet = make_packet(1);
    assert_true(sono_packet_stage_ms(packet, SONO_STAGE_DETECT) == 1.5);
    assert_true(sono_packet_stage_ms(packet, SONO_STAGE_MASK) == 0);
    assert_true(sono_packet_stage_ms(packet, (sono_stage)sono_stage_count()) == 0);
    assert_true(sono_packet_stage_ms(packet, (sono_stage)-1) == 0);
    assert_true(sono_packet_stage_ms(NULL, SONO_STAGE_DETECT) == 0);
    assert_int_equal(sono_stage_count(), SONO_STAGE_SURFACE + 1);
    assert_string_equal(sono_stage_name((sono_stage)sono_stage_count()), "unknown");
}

/* A copy says what the packet said, also when that is gone, and its memory is used again. */
static void test_copy(void **state)
{
    (void)state;
    sono_packet *copy = NULL;
    sono_error error;
    for (int round = 0; round < 3; round++) {
        const int32_t element_bytes = round == 0 ? 1 : 4;
        for (size_t i = 0; i < sizeof maps; i++)
            maps[i] = (uint8_t)(i * 7 + (size_t)round);
        const sono_packet *packet = make_packet(element_bytes);
        storage.has_surface = 1;
        storage.n_points = 2;
        storage.n_lines = 1;
        storage.line_starts[1] = 2;
        storage.points_px[1][0] = 3.5f;
        const sono_packet *before = copy;
        assert_ok(sono_packet_copy(packet, &copy, &error), &error);
        assert_true(round == 0 || copy == before);
        uint8_t first = maps[0];
        memset(maps, 0xee, sizeof maps);
        memset(&storage, 0xee, sizeof storage);
        sono_map_view view;
        assert_int_equal(sono_packet_map(copy, 1, SONO_MAP_OUTSIDE, &view), SONO_STATUS_OK);
        const int64_t at =
            object_maps_bytes(N_PIXELS, element_bytes) + weight_map_at(N_PIXELS, element_bytes, 2);
        assert_int_equal(*(const uint8_t *)view.data, (uint8_t)(at * 7 + round));
        assert_int_equal(sono_packet_map(copy, 0, SONO_MAP_MASK, &view), SONO_STATUS_OK);
        assert_int_equal(*(const uint8_t *)view.data, first);
        sono_surface_view surface;
        assert_int_equal(sono_packet_surface(copy, &surface), SONO_STATUS_OK);
        assert_true(surface.n_points == 2 && surface.points_px[2] == 3.5f);
        assert_int_equal(copy->info->frame_id, 9);
        assert_int_equal(sono_packet_object(copy, 1)->mask_area_px, 5);
        assert_true(sono_packet_stage_ms(copy, SONO_STAGE_DETECT) == 1.5);
    }
    sono_packet_free(copy);
    sono_packet_free(NULL);
}

static void test_copy_without_memory(void **state)
{
    (void)state;
    sono_packet *copy = NULL;
    sono_error error;
    const sono_packet *packet = make_packet(1);
    for (uint64_t n = 1; n <= 2; n++) {
        sono_alloc_fail_from(n);
        assert_status(SONO_STATUS_OUT_OF_MEMORY, sono_packet_copy(packet, &copy, &error), &error);
        sono_alloc_fail_from(0);
        assert_null(copy);
    }
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_copy(NULL, &copy, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_packet_copy(packet, NULL, &error), &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_is_lost), cmocka_unit_test(test_objects),
        cmocka_unit_test(test_maps),         cmocka_unit_test(test_refused_maps),
        cmocka_unit_test(test_surface),      cmocka_unit_test(test_stages),
        cmocka_unit_test(test_copy),         cmocka_unit_test(test_copy_without_memory),
    };
    return sono_test_run("pipeline/packet", tests, sizeof tests / sizeof tests[0]);
}
