// SPDX-License-Identifier: Apache-2.0
/* The folder sink: the lines' schema, escaped names, the lock, the pictures, unique names, and every way in
 * which writing fails. */
#include "test.h"

#include "base/alloc.h"
#include "io/folder/jsonl.h"
#include "pipeline/packet.h"
#include "sonoseg/io.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <math.h>
#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define WIDTH  48
#define HEIGHT 40
#define COUNT  (WIDTH * HEIGHT)
#define N_MAX  3

/* Maps lie as a pipeline leaves them: COUNT is a multiple of what aligns them. */
typedef struct scene {
    uint8_t grey[COUNT];
    union {
        struct {
            uint8_t mask[COUNT], edge[COUNT], inside[COUNT], outside[COUNT];
        } bytes[N_MAX];
        struct {
            uint8_t mask[COUNT];
            float edge[COUNT], inside[COUNT], outside[COUNT];
        } floats[N_MAX];
    } maps;
    sono_packet_storage storage;
    sono_frame frame;
} scene;

static scene shown;

/* n_objects rectangles of 10 x 8 pixels at (5 + 12 k, 20). */
static void set_scene(int32_t n_objects, sono_state state)
{
    memset(&shown, 0, sizeof shown);
    for (size_t i = 0; i < COUNT; i++)
        shown.grey[i] = (uint8_t)(40 + i % WIDTH);
    for (int32_t k = 0; k < n_objects; k++) {
        const int x0 = 5 + 12 * k, y0 = 20;
        for (int y = y0; y < y0 + 8 && state == SONO_STATE_VISIBLE; y++)
            memset(&shown.maps.bytes[k].mask[y * WIDTH + x0], 255, 10);
        for (size_t i = 0; i < COUNT; i++)
            shown.maps.bytes[k].edge[i] = i % 2;
        shown.storage.objects[k] = (sono_object){
            .struct_size = sizeof(sono_object),
            .bbox_xyxy_px = {(float)x0, (float)y0, (float)x0 + 9.5f, (float)y0 + 7.25f},
            .score = 0.9f - 0.1f * (float)k,
            .class_id = k + 4,
            .iou_predicted = 0.875f,
            .mask_area_px = state == SONO_STATE_VISIBLE ? 80 : 0,
        };
    }
    static const sono_frame_info info = {
        .struct_size = sizeof info, .frame_id = 7, .timestamp_ns = 1234567890125000000};
    shown.storage.maps = (const uint8_t *)&shown.maps;
    shown.storage.map_element_bytes = 1;
    shown.storage.packet = (sono_packet){.struct_size = sizeof(sono_packet),
                                         .info = &info,
                                         .state = state,
                                         .width_px = WIDTH,
                                         .height_px = HEIGHT,
                                         .n_objects = n_objects,
                                         .latency_ms = 8.5,
                                         .ledger = {.n_h2d = 1, .bytes_h2d = 5000000000}};
    for (int i = 0; i < SONO_STAGE_COUNT; i++)
        shown.storage.stage_ms[i] = i + 0.5;
    shown.frame = (sono_frame){.image = {.struct_size = sizeof(sono_image),
                                         .pixels = shown.grey,
                                         .width_px = WIDTH,
                                         .height_px = HEIGHT,
                                         .format = SONO_PIXEL_GRAY8},
                               .info = {.struct_size = sizeof(sono_frame_info)}};
}

static sono_sink *open_sink(const char *name, char *folder, int want_weights)
{
    sono_sink *sink = NULL;
    sono_error error = {0};
    sono_sink_options options;
    sono_sink_options_init(&options);
    options.write_weights = want_weights;
    sono_test_path(folder, SONO_TEST_PATH_BYTES - 64, name);
    assert_ok(sono_sink_open_folder(folder, &options, &sink, &error), &error);
    return sink;
}

static void write_one(sono_sink *sink, const char *source)
{
    sono_error error = {0};
    assert_ok(sono_sink_write(sink, &shown.storage.packet, &shown.frame.image, source, &error), &error);
}

static char *read_results(const char *folder)
{
    char path[SONO_TEST_PATH_BYTES];
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    return (char *)sono_test_read_file(path, NULL);
}

/* Reads folder/name as 8-bit rows; checks its size and channels. Freed with free(). */
static uint8_t *read_png(const char *folder, const char *name, int channels)
{
    char path[SONO_TEST_PATH_BYTES];
    png_image image = {.version = PNG_IMAGE_VERSION};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!png_image_begin_read_from_file(&image, path))
        fail_msg("%s: %s", path, image.message);
    assert_int_equal(image.width, WIDTH);
    assert_int_equal(image.height, HEIGHT);
    assert_int_equal(image.format, channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB);
    uint8_t *pixels = malloc(PNG_IMAGE_SIZE(image));
    assert_non_null(pixels);
    assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
    return pixels;
}

static int exists(const char *folder, const char *name)
{
    char path[SONO_TEST_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return !access(path, F_OK);
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(value))
        fail_msg("%s is no number", key);
    return value->valuedouble;
}

static const char *text(const cJSON *object, const char *key)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    if (!value)
        fail_msg("%s is no string", key);
    return value;
}

static void check_keys(const cJSON *line)
{
    assert_int_equal(number(line, "schema"), 1);
    assert_int_equal(number(line, "frame_id"), 7);
    assert_string_equal(text(line, "source"), "b.png");
    assert_string_equal(text(line, "path"), "in/b.png");
    assert_string_equal(text(line, "stem"), "b");
    assert_true(number(line, "timestamp_s") == 1234567890.125);
    assert_string_equal(text(line, "state"), "VISIBLE");
    assert_true((float)number(line, "score") == 0.9f);
    const cJSON *box = cJSON_GetObjectItemCaseSensitive(line, "bbox_xyxy_px");
    assert_int_equal(cJSON_GetArraySize(box), 4);
    assert_true(cJSON_GetArrayItem(box, 2)->valuedouble == 14.5);
    assert_true(number(line, "iou_predicted") == 0.875);
    assert_int_equal(number(line, "mask_area_px"), 80);
    assert_string_equal(text(line, "backend"), "cpu");
    assert_string_equal(text(line, "precision"), "fp32");
    const cJSON *latency = cJSON_GetObjectItemCaseSensitive(line, "latency_ms");
    assert_true(number(latency, "total") == 8.5);
    for (int i = 0; i < SONO_STAGE_COUNT; i++)
        assert_true(number(latency, sono_stage_name((sono_stage)i)) == i + 0.5);
    const cJSON *ledger = cJSON_GetObjectItemCaseSensitive(line, "ledger");
    assert_int_equal(number(ledger, "n_h2d"), 1);
    assert_int_equal(number(ledger, "bytes_h2d"), 5000000000);
    assert_null(cJSON_GetObjectItemCaseSensitive(line, "objects"));
}

static void test_line(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64];
    set_scene(1, SONO_STATE_VISIBLE);
    sono_sink *sink = open_sink("line/with/parents", folder, 0);
    write_one(sink, "in/b.png");
    char *bytes = read_results(folder); /* flushed before close */
    assert_ptr_equal(strchr(bytes, '\n'), bytes + strlen(bytes) - 1);
    cJSON *line = cJSON_Parse(bytes);
    assert_non_null(line);
    check_keys(line);
    cJSON_Delete(line);
    sono_free(bytes);
    assert_ok(sono_sink_close(sink, NULL), NULL);
    assert_false(exists(folder, "weights"));
}

static void test_lost(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64];
    set_scene(1, SONO_STATE_LOST);
    sono_sink *sink = open_sink("lost", folder, 0);
    write_one(sink, "b.png");
    assert_ok(sono_sink_close(sink, NULL), NULL);
    char *bytes = read_results(folder);
    cJSON *line = cJSON_Parse(bytes);
    assert_string_equal(text(line, "state"), "LOST");
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(line, "bbox_xyxy_px")));
    cJSON_Delete(line);
    sono_free(bytes);
    uint8_t *mask = read_png(folder, "masks/b.png", 1);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(mask[i], 0);
    free(mask);
}

/* A line of two points and one of a single one. */
static void set_surface(void)
{
    static const float points_px[3][2] = {{6, 21.125f}, {7, 22.5f}, {10, 24}};
    static const int32_t line_starts[3] = {0, 2, 3};
    memcpy(shown.storage.points_px, points_px, sizeof points_px);
    memcpy(shown.storage.line_starts, line_starts, sizeof line_starts);
    shown.storage.has_surface = 1;
    shown.storage.n_points = 3;
    shown.storage.n_lines = 2;
}

static double coordinate(const cJSON *lines, int line, int point, int axis)
{
    const cJSON *points = cJSON_GetArrayItem(lines, line);
    const cJSON *value = cJSON_GetArrayItem(cJSON_GetArrayItem(points, point), axis);
    assert_true(cJSON_IsNumber(value));
    return value->valuedouble;
}

/* In pixels, in millimetres where the spacing is known, drawn; no key where it was not asked for. */
static void test_surface(void **state)
{
    static const uint8_t ink[3] = {255, 0, 230};
    sono_frame_info info = {.struct_size = sizeof info, .spacing_mm = {0.5, 0.25}};
    char folder[SONO_TEST_PATH_BYTES - 64];
    (void)state;
    set_scene(1, SONO_STATE_VISIBLE);
    sono_sink *sink = open_sink("surface", folder, 0);
    write_one(sink, "none.png");
    set_surface();
    write_one(sink, "px.png");
    shown.storage.packet.info = &info;
    write_one(sink, "mm.png");
    assert_ok(sono_sink_close(sink, NULL), NULL);
    char *bytes = read_results(folder), *rest = bytes;
    for (int i = 0; i < 3; i++, rest = strchr(rest, '\n') + 1) {
        cJSON *line = cJSON_Parse(rest);
        const cJSON *px = cJSON_GetObjectItemCaseSensitive(line, "surface_px");
        const cJSON *mm = cJSON_GetObjectItemCaseSensitive(line, "surface_mm");
        assert_int_equal(px != NULL, i > 0);
        assert_int_equal(mm != NULL, i > 1);
        if (px) {
            assert_int_equal(cJSON_GetArraySize(px), 2);
            assert_int_equal(cJSON_GetArraySize(cJSON_GetArrayItem(px, 0)), 2);
            assert_int_equal(cJSON_GetArraySize(cJSON_GetArrayItem(px, 1)), 1);
            assert_true(coordinate(px, 0, 1, 0) == 7 && coordinate(px, 0, 1, 1) == 22.5);
            assert_true(coordinate(px, 1, 0, 0) == 10 && coordinate(px, 1, 0, 1) == 24);
        }
        if (mm)
            assert_true(coordinate(mm, 0, 0, 0) == 3 && coordinate(mm, 0, 0, 1) == 5.281);
        cJSON_Delete(line);
    }
    sono_free(bytes);
    uint8_t *without = read_png(folder, "overlays/none.png", 3),
            *with = read_png(folder, "overlays/px.png", 3);
    assert_memory_equal(with + 3 * (21 * WIDTH + 6), ink, 3);
    assert_memory_equal(with + 3 * (24 * WIDTH + 10), ink, 3);
    assert_memory_not_equal(without + 3 * (24 * WIDTH + 10), ink, 3);
    assert_memory_equal(with + 3 * (24 * WIDTH + 12), without + 3 * (24 * WIDTH + 12), 3);
    free(without);
    free(with);
}

/* What the source knew of the image, and the class where it is not the first one. */
static void test_known(void **state)
{
    sono_frame_info info = {.struct_size = sizeof info,
                            .spacing_mm = {0.1, 1.0 / 3},
                            .image_to_reference = {1, 0, 0, 0.1f, 0, 1, 0, -2.5f, 0, 0, 1, 1e-7f},
                            .orientation = SONO_ORIENTATION_UF};
    char folder[SONO_TEST_PATH_BYTES - 64];
    (void)state;
    set_scene(1, SONO_STATE_VISIBLE);
    shown.storage.objects[0].class_id = 0;
    sono_sink *sink = open_sink("known", folder, 0);
    write_one(sink, "none.png");
    shown.storage.packet.info = &info;
    write_one(sink, "no_pose.png");
    info.has_pose = 1;
    shown.storage.objects[0].class_id = 7;
    write_one(sink, "pose.png");
    assert_ok(sono_sink_close(sink, NULL), NULL);
    char *bytes = read_results(folder), *rest = bytes;
    for (int i = 0; i < 3; i++, rest = strchr(rest, '\n') + 1) {
        cJSON *line = cJSON_Parse(rest);
        const cJSON *spacing = cJSON_GetObjectItemCaseSensitive(line, "spacing_mm");
        const cJSON *pose = cJSON_GetObjectItemCaseSensitive(line, "image_to_reference");
        const cJSON *orientation = cJSON_GetObjectItemCaseSensitive(line, "orientation");
        const cJSON *class_id = cJSON_GetObjectItemCaseSensitive(line, "class_id");
        assert_int_equal(spacing != NULL, i > 0);
        assert_int_equal(orientation != NULL, i > 0);
        assert_int_equal(pose != NULL, i > 1);
        assert_int_equal(class_id ? class_id->valueint : -1, i > 1 ? 7 : -1);
        for (int k = 0; k < 2 && spacing; k++)
            assert_true(cJSON_GetArrayItem(spacing, k)->valuedouble == info.spacing_mm[k]);
        for (int k = 0; k < 12 && pose; k++)
            assert_true((float)cJSON_GetArrayItem(pose, k)->valuedouble == info.image_to_reference[k]);
        if (orientation)
            assert_string_equal(orientation->valuestring, "UF");
        cJSON_Delete(line);
    }
    sono_free(bytes);
}

static void test_several_objects(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64];
    set_scene(2, SONO_STATE_VISIBLE);
    sono_sink *sink = open_sink("several", folder, 1);
    write_one(sink, "b.png");
    assert_ok(sono_sink_close(sink, NULL), NULL);
    char *bytes = read_results(folder);
    cJSON *line = cJSON_Parse(bytes);
    const cJSON *objects = cJSON_GetObjectItemCaseSensitive(line, "objects");
    assert_int_equal(cJSON_GetArraySize(objects), 2);
    assert_int_equal(number(cJSON_GetArrayItem(objects, 1), "class_id"), 5);
    assert_true((float)number(cJSON_GetArrayItem(objects, 1), "score") == shown.storage.objects[1].score);
    assert_true(number(line, "score") == number(cJSON_GetArrayItem(objects, 0), "score"));
    cJSON_Delete(line);
    sono_free(bytes);
    uint8_t *both = read_png(folder, "masks/b.png", 1);
    uint8_t *first = read_png(folder, "masks/b_obj0.png", 1),
            *second = read_png(folder, "masks/b_obj1.png", 1);
    assert_memory_equal(first, shown.maps.bytes[0].mask, COUNT);
    assert_memory_equal(second, shown.maps.bytes[1].mask, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(both[i], first[i] | second[i]);
    free(both);
    free(first);
    free(second);
    uint8_t *edge = read_png(folder, "weights/b_obj1_edge.png", 1);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(edge[i], i % 2 ? 255 : 0);
    free(edge);
    assert_true(exists(folder, "weights/b_obj0_inside.png") && exists(folder, "weights/b_obj0_outside.png"));
}

/* Maps of float32 become the same pictures. */
static void test_float_maps(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64];
    set_scene(1, SONO_STATE_VISIBLE);
    for (size_t i = 0; i < COUNT; i++) {
        shown.maps.floats[0].edge[i] = i % 3 == 0;
        shown.maps.floats[0].inside[i] = 0;
        shown.maps.floats[0].outside[i] = 1;
    }
    shown.storage.map_element_bytes = (int32_t)sizeof(float);
    sono_sink *sink = open_sink("floats", folder, 1);
    write_one(sink, "b.png");
    assert_ok(sono_sink_close(sink, NULL), NULL);
    uint8_t *edge = read_png(folder, "weights/b_edge.png", 1),
            *inside = read_png(folder, "weights/b_inside.png", 1),
            *outside = read_png(folder, "weights/b_outside.png", 1);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(edge[i], i % 3 == 0 ? 255 : 0);
        assert_int_equal(inside[i], 0);
        assert_int_equal(outside[i], 255);
    }
    free(edge);
    free(inside);
    free(outside);
}

static void test_overlay(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64];
    set_scene(1, SONO_STATE_VISIBLE);
    sono_sink *sink = open_sink("overlay", folder, 0);
    write_one(sink, "b.png");
    assert_ok(sono_sink_close(sink, NULL), NULL);
    uint8_t *rgb = read_png(folder, "overlays/b.png", 3);
    const uint8_t *far = rgb + 3 * (5 * WIDTH + 40), *contour = rgb + 3 * (24 * WIDTH + 5);
    const uint8_t *inner = rgb + 3 * (24 * WIDTH + 10);
    assert_int_equal(far[0], 80);
    assert_true(far[0] == far[1] && far[1] == far[2]);
    assert_true(contour[1] > 180 && contour[0] < 60);
    assert_true(inner[1] > inner[0] && inner[1] < 120);
    free(rgb);
}

static void test_overlay_formats(void **state)
{
    (void)state;
    static uint16_t deep[COUNT + HEIGHT];
    static uint8_t colour[COUNT * 4];
    char folder[SONO_TEST_PATH_BYTES - 64];
    set_scene(1, SONO_STATE_LOST);
    for (size_t i = 0; i < sizeof deep / sizeof deep[0]; i++)
        deep[i] = 257 * 80;
    memset(colour, 80, sizeof colour);
    const sono_frame frames[] = {
        {.image = {.struct_size = sizeof(sono_image),
                   .pixels = deep,
                   .width_px = WIDTH,
                   .height_px = HEIGHT,
                   .format = SONO_PIXEL_GRAY16,
                   .pitch_bytes = 2 * WIDTH + 2}},
        {.image = {.struct_size = sizeof(sono_image),
                   .pixels = colour,
                   .width_px = WIDTH,
                   .height_px = HEIGHT,
                   .format = SONO_PIXEL_RGB8}},
        {.image = {.struct_size = sizeof(sono_image),
                   .pixels = colour,
                   .width_px = WIDTH,
                   .height_px = HEIGHT,
                   .format = SONO_PIXEL_RGBA8}},
    };
    sono_sink *sink = open_sink("formats", folder, 0);
    const char *const names[] = {"overlays/b.png", "overlays/b_2.png", "overlays/b_3.png"};
    for (int i = 0; i < 3; i++) {
        sono_error error = {0};
        assert_ok(sono_sink_write(sink, &shown.storage.packet, &frames[i].image, "b.png", &error), &error);
        uint8_t *rgb = read_png(folder, names[i], 3);
        assert_int_equal(rgb[3 * (COUNT - 1)], 80);
        free(rgb);
    }
    assert_ok(sono_sink_close(sink, NULL), NULL);
}

static void expect_json(const char *given, const char *expected)
{
    char *bytes = NULL;
    size_t n_bytes = 0;
    FILE *stream = open_memstream(&bytes, &n_bytes);
    assert_non_null(stream);
    sono_json_write_name(stream, given);
    fclose(stream);
    assert_string_equal(bytes, expected);
    free(bytes);
}

static void test_strings(void **state)
{
    (void)state;
    expect_json("plain", "\"plain\"");
    expect_json("a\"b\\c", "\"a\\\"b\\\\c\"");
    expect_json("line\nbell\a\x7f", "\"line%0Abell%07%7F\"");
    expect_json("K\xc3\xb6rper \xe9\xaa\xa8 \xf0\x9f\xa6\xb4",
                "\"K\xc3\xb6rper \xe9\xaa\xa8 \xf0\x9f\xa6\xb4\"");
    expect_json("latin \xf6.", "\"latin %F6.\"");
    expect_json("\xc0\xaf", "\"%C0%AF\"");
    expect_json("\xed\xa0\x80", "\"%ED%A0%80\"");
    expect_json("\xe9\xaa", "\"%E9%AA\"");
    expect_json("%F6", "\"%25F6\"");
    expect_json("%0A %25 %7F", "\"%250A %2525 %257F\"");
    expect_json("50% %f6 a%20b %7E %", "\"50% %f6 a%20b %7E %\"");
    expect_json("%\xf6", "\"%%F6\"");
}

/* A line of what is shown; freed by the caller. */
static cJSON *line_of(const sono_jsonl_style *style)
{
    sono_text text = {0};
    sono_jsonl_packet(&text, &shown.storage.packet, "b.png", "b", style);
    sono_text_add_bytes(&text, "", 1);
    assert_false(text.is_short);
    cJSON *line = cJSON_Parse(text.bytes);
    assert_non_null(line);
    sono_text_reset(&text);
    return line;
}

static void test_not_finite(void **state)
{
    (void)state;
    set_scene(1, SONO_STATE_VISIBLE);
    shown.storage.objects[0].score = NAN;
    shown.storage.packet.latency_ms = INFINITY;
    cJSON *line = line_of(&(sono_jsonl_style){0});
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(line, "score")));
    cJSON_Delete(line);
}

static void test_without_times(void **state)
{
    (void)state;
    set_scene(1, SONO_STATE_VISIBLE);
    cJSON *line = line_of(&(sono_jsonl_style){.without_times = 1});
    assert_null(cJSON_GetObjectItemCaseSensitive(line, "latency_ms"));
    assert_null(cJSON_GetObjectItemCaseSensitive(line, "ledger"));
    assert_non_null(cJSON_GetObjectItemCaseSensitive(line, "backend"));
    cJSON_Delete(line);
}

/* Run lengths back to a mask, as COCO's tools do it: column after column, from the fourth run on differences
 * to the run before the last. */
static void expect_rle(const cJSON *rle, const uint8_t *mask)
{
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(rle, "size");
    const char *at = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rle, "counts"));
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetArrayItem(size, 0)), HEIGHT);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetArrayItem(size, 1)), WIDTH);
    long runs[COUNT + 1];
    int n_runs = 0, n_seen = 0;
    while (*at) {
        long value = 0;
        int n_bits = 0, letter;
        do {
            letter = *at++ - 48;
            assert_in_range(letter, 0, 63);
            value |= (long)(letter & 0x1f) << n_bits;
            n_bits += 5;
        } while (letter & 0x20);
        if (letter & 0x10)
            value -= 1L << n_bits;
        runs[n_runs] = value + (n_runs > 2 ? runs[n_runs - 2] : 0);
        for (long k = 0; k < runs[n_runs]; k++, n_seen++) {
            assert_in_range(n_seen, 0, COUNT - 1);
            const int x = n_seen / HEIGHT, y = n_seen % HEIGHT;
            assert_int_equal(mask[y * WIDTH + x] != 0, n_runs % 2);
        }
        n_runs++;
    }
    assert_int_equal(n_seen, COUNT);
}

static void test_run_lengths(void **state)
{
    (void)state;
    const sono_jsonl_style style = {.with_rle = 1};
    uint32_t seed = 1;
    for (int round = 0; round < 40; round++) {
        set_scene(round == 2 ? 2 : 1, round == 0 ? SONO_STATE_LOST : SONO_STATE_VISIBLE);
        uint8_t *mask = shown.maps.bytes[0].mask;
        for (int i = 0; round == 1 && i < COUNT; i++)
            mask[i] = 255;
        for (int i = 0; round > 2 && i < COUNT; i++) {
            seed = seed * 1664525u + 1013904223u;
            mask[i] = (seed >> 24) < (uint32_t)round * 6 ? 255 : 0;
        }
        cJSON *line = line_of(&style);
        expect_rle(cJSON_GetObjectItemCaseSensitive(line, "mask_rle"), mask);
        if (round == 2) {
            const cJSON *objects = cJSON_GetObjectItemCaseSensitive(line, "objects");
            expect_rle(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(objects, 1), "mask_rle"),
                       shown.maps.bytes[1].mask);
        }
        cJSON_Delete(line);
    }
}

/* Counts that pycocotools 2.0.11 gives for the same mask. */
static void test_known_run_lengths(void **state)
{
    (void)state;
    set_scene(1, SONO_STATE_VISIBLE);
    cJSON *line = line_of(&(sono_jsonl_style){.with_rle = 1});
    const cJSON *rle = cJSON_GetObjectItemCaseSensitive(line, "mask_rle");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rle, "counts")),
                        "l68P100000000000000000dX1");
    cJSON_Delete(line);
}

/* Names in order, pictures and lines by entries: the folder is that of sono_sink_write(). */
static void test_entries(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64], path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_sink_entry *entries[3];
    set_scene(2, SONO_STATE_VISIBLE);
    sono_sink *sink = open_sink("entries", folder, 0);
    for (int i = 0; i < 3; i++) {
        assert_ok(sono_sink_entry_open(&entries[i], &error), &error);
        assert_ok(sono_sink_name(sink, entries[i], "a/b.png", 2, &error), &error);
    }
    assert_string_equal(sono_sink_entry_stem(entries[0]), "b");
    assert_string_equal(sono_sink_entry_stem(entries[2]), "b_3");
    for (int i = 2; i >= 0; i--)
        assert_ok(sono_sink_draw(sink, entries[i], &shown.storage.packet, i == 1 ? NULL : &shown.frame.image,
                                 "a/b.png", &error),
                  &error);
    sono_sink_discard(sink, entries[2]);
    assert_ok(sono_sink_commit(sink, entries[0], &error), &error);
    assert_ok(sono_sink_commit(sink, entries[1], &error), &error);
    for (int i = 0; i < 3; i++)
        sono_sink_entry_close(entries[i]);
    assert_ok(sono_sink_close(sink, &error), &error);
    static const struct {
        const char *name;
        int is_there;
    } files[] = {{"masks/b.png", 1},      {"masks/b_obj1.png", 1},  {"overlays/b.png", 1},
                 {"masks/b_2.png", 1},    {"overlays/b_2.png", 0},  {"masks/b_3.png", 0},
                 {"overlays/b_3.png", 0}, {"masks/b_3_obj0.png", 0}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        assert_int_equal(!access(path, F_OK), files[i].is_there);
    }
    char *lines = read_results(folder);
    const char *second = strchr(lines, '\n') + 1;
    assert_non_null(strstr(lines, "\"stem\": \"b\""));
    assert_non_null(strstr(second, "\"stem\": \"b_2\""));
    assert_null(strstr(lines, "b_3"));
    sono_free(lines);
}

static void expect_io(sono_sink *sink, const char *reason)
{
    sono_error error = {0};
    assert_int_equal(sono_sink_write(sink, &shown.storage.packet, &shown.frame.image, "b.png", &error),
                     SONO_STATUS_IO);
    if (!strstr(error.text, reason))
        fail_msg("'%s' says nothing of '%s'", error.text, reason);
}

/* /dev/full stands for a full disk. */
static void test_disk_full(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64], path[SONO_TEST_PATH_BYTES];
    set_scene(1, SONO_STATE_VISIBLE);
    sono_test_path(folder, sizeof folder, "full_line");
    assert_int_equal(mkdir(folder, 0777), 0);
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    assert_int_equal(symlink("/dev/full", path), 0);
    sono_sink *sink = open_sink("full_line", folder, 0);
    expect_io(sink, "results.jsonl: cannot be written: No space left");
    assert_false(exists(folder, "masks/b.png"));
    assert_false(exists(folder, "overlays/b.png"));
    sono_sink_close(sink, NULL);

    sink = open_sink("full_overlay", folder, 0);
    snprintf(path, sizeof path, "%s/overlays/b.png", folder);
    assert_int_equal(symlink("/dev/full", path), 0);
    expect_io(sink, "overlays/b.png: cannot be written: No space left");
    assert_false(exists(folder, "masks/b.png"));
    assert_ok(sono_sink_close(sink, NULL), NULL);
    char *bytes = read_results(folder);
    assert_string_equal(bytes, "");
    sono_free(bytes);
}

static int count_entries(const char *folder, const char *name)
{
    char path[SONO_TEST_PATH_BYTES];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    DIR *stream = opendir(path);
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream));)
        n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(stream);
    return n;
}

/* A file that outgrows `ulimit -f`: as a full disk, and the older picture of that name stays whole. */
static void test_file_too_large(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64];
    struct rlimit before, small;
    set_scene(1, SONO_STATE_VISIBLE);
    sono_sink *sink = open_sink("limited", folder, 0);
    write_one(sink, "b.png");
    assert_ok(sono_sink_close(sink, NULL), NULL);
    sink = open_sink("limited", folder, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){64, before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    sono_error error = {0};
    const sono_status status =
        sono_sink_write(sink, &shown.storage.packet, &shown.frame.image, "b.png", &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_status(SONO_STATUS_IO, status, &error);
    assert_non_null(strstr(error.text, "masks/b.png: cannot be written: File too large"));
    free(read_png(folder, "masks/b.png", 1));
    assert_int_equal(count_entries(folder, "masks"), 1);
    assert_ok(sono_sink_close(sink, NULL), NULL);
}

/* One writer a folder; what a killed one left half-written is gone, and nothing else. */
static void test_lock(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64], path[SONO_TEST_PATH_BYTES];
    sono_sink *second = NULL;
    sono_error error = {0};
    set_scene(1, SONO_STATE_VISIBLE);
    sono_sink *sink = open_sink("locked", folder, 0);
    write_one(sink, "b.png");
    assert_status(SONO_STATUS_STATE, sono_sink_open_folder(folder, NULL, &second, &error), &error);
    assert_non_null(strstr(error.text, folder));
    char *bytes = read_results(folder);
    assert_non_null(strchr(bytes, '\n')); /* the second did not empty it */
    sono_free(bytes);
    assert_ok(sono_sink_close(sink, NULL), NULL);
    snprintf(path, sizeof path, "%s/masks/.sonoseg-part-1-0", folder);
    sono_test_write_file(path, "half", 4);
    snprintf(path, sizeof path, "%s/masks/.mine", folder);
    sono_test_write_file(path, "mine", 4);
    sink = open_sink("locked", folder, 0);
    assert_false(exists(folder, "masks/.sonoseg-part-1-0"));
    assert_true(exists(folder, "masks/.mine") && exists(folder, "masks/b.png"));
    assert_ok(sono_sink_close(sink, NULL), NULL);
}

/* Names that differ in bytes that are no text: each mask is where its line says. */
static void test_names(void **state)
{
    (void)state;
    static const char *const sources[] = {"in/k\xf6.png", "in/k\xe4.png", "in/k%F6.png", "in/k\n.png"};
    static const char *const names[] = {"k%F6.png", "k%E4.png", "k%25F6.png", "k%0A.png"};
    char folder[SONO_TEST_PATH_BYTES - 64], *rest = NULL;
    set_scene(1, SONO_STATE_VISIBLE);
    sono_sink *sink = open_sink("names", folder, 0);
    for (int i = 0; i < 4; i++)
        write_one(sink, sources[i]);
    assert_ok(sono_sink_close(sink, NULL), NULL);
    char *bytes = read_results(folder);
    char *at = strtok_r(bytes, "\n", &rest);
    for (int i = 0; i < 4; i++, at = strtok_r(NULL, "\n", &rest)) {
        cJSON *line = cJSON_Parse(at);
        char mask[64];
        assert_non_null(line);
        assert_string_equal(text(line, "source"), names[i]);
        snprintf(mask, sizeof mask, "masks/%s", names[i]);
        assert_true(exists(folder, mask));
        assert_int_equal(strncmp(names[i], text(line, "stem"), strlen(names[i]) - 4), 0);
        assert_int_equal(strlen(text(line, "stem")), strlen(names[i]) - 4);
        cJSON_Delete(line);
    }
    sono_free(bytes);
}

static void test_unwritable(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64], path[SONO_TEST_PATH_BYTES];
    sono_sink *sink = NULL;
    sono_error error = {0};
    sono_test_path(folder, sizeof folder, "file");
    sono_test_write_file(folder, "x", 1);
    assert_int_equal(sono_sink_open_folder(folder, NULL, &sink, &error), SONO_STATUS_IO);
    assert_non_null(strstr(error.text, folder));
    snprintf(path, sizeof path, "%s/below", folder);
    assert_int_equal(sono_sink_open_folder(path, NULL, &sink, &error), SONO_STATUS_IO);
    sono_test_path(folder, sizeof folder, "taken");
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    assert_int_equal(mkdir(folder, 0777) || mkdir(path, 0777), 0);
    assert_int_equal(sono_sink_open_folder(folder, NULL, &sink, &error), SONO_STATUS_IO);
    assert_non_null(strstr(error.text, "results.jsonl"));
    assert_null(sink);
    set_scene(1, SONO_STATE_VISIBLE);
    sink = open_sink("gone", folder, 0);
    snprintf(path, sizeof path, "%s/masks", folder);
    assert_int_equal(rmdir(path), 0);
    expect_io(sink, "masks/b.png: cannot be created");
    sono_sink_close(sink, NULL);
}

static void test_misuse(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64];
    sono_error error = {0};
    sono_sink *none = NULL;
    assert_int_equal(sono_sink_open_folder("", NULL, &none, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_int_equal(sono_sink_write(NULL, NULL, NULL, NULL, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_ok(sono_sink_close(NULL, NULL), NULL);
    sono_sink_options options;
    sono_sink_options_init(&options);
    options.gray16_white = 0;
    assert_int_equal(sono_sink_open_folder("x", &options, &none, &error), SONO_STATUS_INVALID_ARGUMENT);
    set_scene(1, SONO_STATE_VISIBLE);
    sono_sink *sink = open_sink("misuse", folder, 1);
    assert_int_equal(sono_sink_write(sink, &shown.storage.packet, NULL, "b.png", &error),
                     SONO_STATUS_INVALID_ARGUMENT);
    shown.frame.image.width_px--;
    assert_int_equal(sono_sink_write(sink, &shown.storage.packet, &shown.frame.image, "b.png", &error),
                     SONO_STATUS_INVALID_ARGUMENT);
    shown.frame.image.width_px++;
    shown.storage.map_element_bytes = 0; /* no weight maps */
    assert_int_equal(sono_sink_write(sink, &shown.storage.packet, &shown.frame.image, "b.png", &error),
                     SONO_STATUS_INVALID_ARGUMENT);
    assert_false(exists(folder, "masks/b.png"));
    assert_ok(sono_sink_close(sink, NULL), NULL);
}

/* Every request that fails gives OUT_OF_MEMORY and leaves no picture; leaks show under the address sanitizer.
 */
static void test_out_of_memory(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES - 64];
    sono_status status = SONO_STATUS_OUT_OF_MEMORY;
    uint64_t n = 0;
    set_scene(2, SONO_STATE_VISIBLE);
    sono_test_path(folder, sizeof folder, "memory");
    while (status == SONO_STATUS_OUT_OF_MEMORY) {
        sono_sink *sink = NULL;
        sono_error error = {0};
        sono_alloc_fail_from(++n);
        status = sono_sink_open_folder(folder, NULL, &sink, &error);
        if (status == SONO_STATUS_OK)
            status = sono_sink_write(sink, &shown.storage.packet, &shown.frame.image, "b.png", &error);
        sono_alloc_fail_from(0);
        if (status != SONO_STATUS_OK)
            assert_false(exists(folder, "masks/b.png") || exists(folder, "masks/b_obj0.png"));
        sono_sink_close(sink, NULL);
    }
    assert_int_equal(status, SONO_STATUS_OK);
    assert_true(n > 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_surface),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_several_objects),
        cmocka_unit_test(test_float_maps),
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_overlay_formats),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_without_times),
        cmocka_unit_test(test_run_lengths),
        cmocka_unit_test(test_known_run_lengths),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_file_too_large),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_out_of_memory),
    };
    return sono_test_run("sink/folder", tests, sizeof tests / sizeof tests[0]);
}
