// SPDX-License-Identifier: Apache-2.0
/* IMAGE, TRANSFORM, STATUS, STRING, CAPABILITY, COMMAND, POSITION, VIDEO and the queries: where each field
 * lies, what comes back, what is refused. */
#include "igtl/query.h"
#include "igtl/tracking.h"
#include "igtl/video.h"
#include "test.h"

#include <string.h>

static uint8_t wire[4096];
static sono_igtl_writer writer;

static void begin(void)
{
    memset(wire, 0xee, sizeof wire);
    sono_igtl_writer_init(&writer, wire, sizeof wire);
}

static void put_u16(size_t at, unsigned value)
{
    wire[at] = (uint8_t)(value >> 8);
    wire[at + 1] = (uint8_t)value;
}

static sono_igtl_image image_of(uint8_t n_components, uint8_t scalar, uint16_t columns, uint16_t rows,
                                uint16_t slices)
{
    return (sono_igtl_image){
        .version = 1,
        .n_components = n_components,
        .scalar = scalar,
        .endian = 2,
        .coordinates = 1,
        .size = {columns, rows, slices},
        .matrix = {0.5f, 0, 0, 0, -0.25f, 0, 0, 0, 1, 10, 20, 30},
        .subsize = {columns, rows, slices},
    };
}

static void test_image(void **state)
{
    (void)state;
    sono_igtl_image image = image_of(3, SONO_IGTL_UINT16, 0x0102, 0x0304, 5);
    sono_igtl_image out;
    image.endian = 1;
    image.coordinates = 2;
    image.offset[1] = 4;
    image.subsize[0] = 2;
    image.subsize[1] = 0x0300;
    begin();
    sono_igtl_image_head_encode(&writer, &image);
    assert_int_equal(writer.n_bytes, SONO_IGTL_IMAGE_HEAD_BYTES);
    assert_memory_equal(wire, "\0\1\3\5\1\2\1\2\3\4\0\5\x3f\0\0\0", 16);
    assert_memory_equal(wire + 12 + 16, "\xbe\x80\0\0", 4);
    assert_memory_equal(wire + 12 + 44, "\x41\xf0\0\0", 4);
    assert_memory_equal(wire + 60, "\0\0\0\4\0\0\0\2\3\0\0\5", 12);
    assert_int_equal(sono_igtl_image_head_decode(wire, 72, &out, NULL), SONO_IGTL_OK);
    assert_int_equal(out.n_components, 3);
    assert_int_equal(out.endian, 1);
    assert_int_equal(out.coordinates, 2);
    assert_memory_equal(out.size, image.size, sizeof image.size);
    assert_memory_equal(out.matrix, image.matrix, sizeof image.matrix);
    assert_memory_equal(out.offset, image.offset, sizeof image.offset);
    assert_memory_equal(out.subsize, image.subsize, sizeof image.subsize);
    assert_true(sono_igtl_image_pixel_bytes(&out) == UINT64_C(3) * 2 * 2 * 0x0300 * 5);
    for (size_t n = 0; n < 72; n++)
        assert_int_equal(sono_igtl_image_head_decode(wire, n, &out, NULL), SONO_IGTL_SHORT);
}

static void test_image_pixels(void **state)
{
    (void)state;
    static const uint8_t scalars[] = {2, 3, 4, 5, 6, 7, 10, 11};
    static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 8};
    for (size_t i = 0; i < sizeof scalars; i++) {
        const sono_igtl_image image = image_of(2, scalars[i], 3, 2, 1);
        sono_igtl_image out;
        const uint8_t *pixels = NULL;
        const size_t n_bytes = 72 + 12 * sizes[i];
        begin();
        sono_igtl_image_head_encode(&writer, &image);
        assert_true(sono_igtl_image_pixel_bytes(&image) == 12 * sizes[i]);
        assert_int_equal(sono_igtl_image_decode(wire, n_bytes, &out, &pixels, NULL), SONO_IGTL_OK);
        assert_ptr_equal(pixels, wire + 72);
        assert_int_equal(sono_igtl_image_decode(wire, n_bytes - 1, &out, &pixels, NULL), SONO_IGTL_MALFORMED);
        assert_int_equal(sono_igtl_image_decode(wire, n_bytes + 1, &out, &pixels, NULL), SONO_IGTL_MALFORMED);
        assert_int_equal(sono_igtl_image_decode(wire, 71, &out, &pixels, NULL), SONO_IGTL_MALFORMED);
    }
    const sono_igtl_image largest = image_of(255, SONO_IGTL_FLOAT64, 65535, 65535, 65535);
    assert_true(sono_igtl_image_pixel_bytes(&largest) == UINT64_C(255) * 8 * 65535 * 65535 * 65535);
}

static void test_image_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        unsigned value; /* 16 bits */
        sono_igtl_status status;
        int offset_bytes;
    } cases[] = {
        {0, 2, SONO_IGTL_UNSUPPORTED, 0},     {2, 0x0003, SONO_IGTL_MALFORMED, 2},
        {2, 0x0100, SONO_IGTL_MALFORMED, 3},  {2, 0x0108, SONO_IGTL_MALFORMED, 3},
        {2, 0x010d, SONO_IGTL_MALFORMED, 3},  {4, 0x0001, SONO_IGTL_MALFORMED, 4},
        {4, 0x0301, SONO_IGTL_MALFORMED, 4},  {4, 0x0200, SONO_IGTL_MALFORMED, 5},
        {4, 0x0203, SONO_IGTL_MALFORMED, 5},  {6, 0, SONO_IGTL_MALFORMED, 6},
        {10, 0, SONO_IGTL_MALFORMED, 10},     {68, 0, SONO_IGTL_MALFORMED, 68},
        {60, 1, SONO_IGTL_MALFORMED, 60},     {66, 9, SONO_IGTL_MALFORMED, 60},
        {64, 65535, SONO_IGTL_MALFORMED, 64},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const sono_igtl_image image = image_of(1, SONO_IGTL_UINT8, 8, 8, 1);
        sono_igtl_image out = {.version = 99};
        sono_igtl_fault fault = {0};
        begin();
        sono_igtl_image_head_encode(&writer, &image);
        put_u16(cases[i].at, cases[i].value);
        const sono_igtl_status status = sono_igtl_image_head_decode(wire, 72, &out, &fault);
        if (status != cases[i].status || fault.offset_bytes != cases[i].offset_bytes || out.version != 99)
            fail_msg("case %zu: %s at %d", i, sono_igtl_status_name(status), (int)fault.offset_bytes);
    }
}

static void test_transform(void **state)
{
    (void)state;
    sono_igtl_transform out;
    const sono_igtl_transform transform = {{1, 0, 0, 0, 1, 0, 0, 0, 1, -1.5f, 2, 3}};
    begin();
    sono_igtl_transform_encode(&writer, &transform);
    assert_int_equal(writer.n_bytes, 48);
    assert_memory_equal(wire + 36, "\xbf\xc0\0\0\x40\0\0\0\x40\x40\0\0", 12);
    assert_int_equal(sono_igtl_transform_decode(wire, 48, &out, NULL), SONO_IGTL_OK);
    assert_memory_equal(&out, &transform, sizeof out);
    assert_int_equal(sono_igtl_transform_decode(wire, 47, &out, NULL), SONO_IGTL_MALFORMED);
    assert_int_equal(sono_igtl_transform_decode(wire, 49, &out, NULL), SONO_IGTL_MALFORMED);
}

static void test_status(void **state)
{
    (void)state;
    sono_igtl_state out;
    const sono_igtl_state status = {.code = SONO_IGTL_CODE_TIME_OUT,
                                    .subcode = -2,
                                    .name = "12345678901234567890",
                                    .text = "lost",
                                    .text_bytes = 4};
    begin();
    sono_igtl_status_encode(&writer, &status);
    assert_int_equal(writer.n_bytes, 35);
    assert_memory_equal(wire,
                        "\0\7\xff\xff\xff\xff\xff\xff\xff\xfe"
                        "12345678901234567890lost\0",
                        35);
    assert_int_equal(sono_igtl_status_decode(wire, 35, &out, NULL), SONO_IGTL_OK);
    assert_int_equal(out.code, 7);
    assert_true(out.subcode == -2);
    assert_string_equal(out.name, "12345678901234567890");
    assert_int_equal(out.text_bytes, 4);
    assert_memory_equal(out.text, "lost", 4);
    /* Without its 0; without a text; cut off. */
    assert_int_equal(sono_igtl_status_decode(wire, 34, &out, NULL), SONO_IGTL_OK);
    assert_int_equal(out.text_bytes, 4);
    assert_int_equal(sono_igtl_status_decode(wire, 30, &out, NULL), SONO_IGTL_OK);
    assert_int_equal(out.text_bytes, 0);
    assert_int_equal(sono_igtl_status_decode(wire, 29, &out, NULL), SONO_IGTL_MALFORMED);
}

static void test_string(void **state)
{
    (void)state;
    sono_igtl_string out;
    const sono_igtl_string string = {106, "\xc3\xbc", 2};
    begin();
    sono_igtl_string_encode(&writer, &string);
    assert_int_equal(writer.n_bytes, 6);
    assert_memory_equal(wire, "\0\x6a\0\2\xc3\xbc", 6);
    assert_int_equal(sono_igtl_string_decode(wire, 6, &out, NULL), SONO_IGTL_OK);
    assert_int_equal(out.encoding, 106);
    assert_int_equal(out.n_bytes, 2);
    assert_memory_equal(out.text, "\xc3\xbc", 2);
    for (size_t n = 0; n < 9; n++) {
        if (n != 6)
            assert_int_equal(sono_igtl_string_decode(wire, n, &out, NULL), SONO_IGTL_MALFORMED);
    }
}

static void test_capability(void **state)
{
    (void)state;
    static const char *const types[] = {"IMAGE", "ABCDEFGHIJKL", "ABCDEFGHIJKLM"};
    sono_igtl_capability out;
    char type[SONO_IGTL_TYPE_CHARS + 1];
    begin();
    sono_igtl_capability_encode(&writer, types, 3);
    assert_int_equal(writer.n_bytes, 36);
    assert_memory_equal(wire, "IMAGE\0\0\0\0\0\0\0ABCDEFGHIJKLABCDEFGHIJKL", 36);
    assert_int_equal(sono_igtl_capability_decode(wire, 36, &out, NULL), SONO_IGTL_OK);
    assert_true(sono_igtl_capability_at(&out, 0, type));
    assert_string_equal(type, "IMAGE");
    assert_true(sono_igtl_capability_at(&out, 1, type));
    assert_string_equal(type, "ABCDEFGHIJKL");
    assert_false(sono_igtl_capability_at(&out, 3, type));
    assert_int_equal(sono_igtl_capability_decode(wire, 35, &out, NULL), SONO_IGTL_MALFORMED);
    assert_int_equal(sono_igtl_capability_decode(wire, 0, &out, NULL), SONO_IGTL_OK);
    assert_int_equal(out.n_types, 0);
}

static void test_command(void **state)
{
    (void)state;
    sono_igtl_command out;
    sono_igtl_command command = {.id = 0x01020304, .encoding = 3, .text = "<a/>", .n_bytes = 4};
    memset(command.name, 'n', SONO_IGTL_COMMAND_NAME_CHARS);
    begin();
    sono_igtl_command_encode(&writer, &command);
    assert_int_equal(writer.n_bytes, 142);
    assert_memory_equal(wire, "\1\2\3\4nn", 6);
    assert_memory_equal(wire + 131, "n\0\3\0\0\0\4<a/>", 11);
    assert_int_equal(sono_igtl_command_decode(wire, 142, &out, NULL), SONO_IGTL_OK);
    assert_int_equal(out.id, 0x01020304);
    assert_string_equal(out.name, command.name);
    assert_int_equal(out.n_bytes, 4);
    assert_memory_equal(out.text, "<a/>", 4);
    assert_int_equal(sono_igtl_command_decode(wire, 141, &out, NULL), SONO_IGTL_MALFORMED);
    assert_int_equal(sono_igtl_command_decode(wire, 143, &out, NULL), SONO_IGTL_MALFORMED);
    assert_int_equal(sono_igtl_command_decode(wire, 137, &out, NULL), SONO_IGTL_MALFORMED);
}

static void test_position(void **state)
{
    (void)state;
    static const uint8_t n_quaternions[] = {0, 3, 4};
    for (size_t i = 0; i < 3; i++) {
        sono_igtl_position position = {.position_mm = {1, 2, 3}, .n_quaternion = n_quaternions[i]};
        sono_igtl_position out;
        for (uint8_t k = 0; k < position.n_quaternion; k++)
            position.quaternion[k] = 0.5f + k;
        begin();
        sono_igtl_position_encode(&writer, &position);
        assert_int_equal(writer.n_bytes, 12 + 4 * position.n_quaternion);
        assert_int_equal(sono_igtl_position_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_OK);
        assert_int_equal(out.n_quaternion, position.n_quaternion);
        assert_memory_equal(out.position_mm, position.position_mm, sizeof out.position_mm);
        assert_memory_equal(out.quaternion, position.quaternion, sizeof out.quaternion);
    }
    for (size_t n = 0; n < 40; n++) {
        sono_igtl_position out;
        const int is_legal = n == 12 || n == 24 || n == 28;
        assert_int_equal(sono_igtl_position_decode(wire, n, &out, NULL),
                         is_legal ? SONO_IGTL_OK : SONO_IGTL_MALFORMED);
    }
}

static void test_video(void **state)
{
    (void)state;
    const sono_igtl_video video = {
        .version = 1,
        .endian = 2,
        .codec = "H264",
        .frame_type = 0x0102,
        .coordinates = 1,
        .size = {640, 480, 1},
        .matrix = {1, 0, 0, 0, 1, 0, 0, 0, 1, 4, 5, 6},
        .subsize = {640, 480, 1},
        .frame = (const uint8_t *)"frame",
        .frame_bytes = 5,
    };
    sono_igtl_video out;
    begin();
    sono_igtl_video_encode(&writer, &video);
    assert_int_equal(writer.n_bytes, SONO_IGTL_VIDEO_HEAD_BYTES + 5);
    assert_memory_equal(wire, "\0\1\2H264\1\2\1\2\x80\1\xe0\0\1", 16);
    assert_int_equal(sono_igtl_video_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_OK);
    assert_string_equal(out.codec, "H264");
    assert_int_equal(out.frame_type, 0x0102);
    assert_memory_equal(out.size, video.size, sizeof out.size);
    assert_memory_equal(out.matrix, video.matrix, sizeof out.matrix);
    assert_int_equal(out.frame_bytes, 5);
    assert_memory_equal(out.frame, "frame", 5);
    assert_int_equal(sono_igtl_video_decode(wire, 75, &out, NULL), SONO_IGTL_MALFORMED);
    put_u16(64, 1); /* offset of the subvolume */
    assert_int_equal(sono_igtl_video_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_MALFORMED);
    put_u16(64, 0);
    put_u16(70, 641);
    assert_int_equal(sono_igtl_video_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_MALFORMED);
    wire[9] = 3;
    assert_int_equal(sono_igtl_video_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_MALFORMED);
    wire[2] = 0;
    assert_int_equal(sono_igtl_video_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_MALFORMED);
    wire[1] = 2;
    assert_int_equal(sono_igtl_video_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_UNSUPPORTED);
}

static void test_query_types(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        sono_igtl_verb verb;
        const char *of;
        int is_written; /* so, too */
    } cases[] = {
        {"GET_IMAGE", SONO_IGTL_GET, "IMAGE", 1},
        {"GET_CAPABIL", SONO_IGTL_GET, "CAPABILITY", 1},
        {"GET_TRANSFOR", SONO_IGTL_GET, "TRANSFORM", 0},
        {"STT_TRANS", SONO_IGTL_START, "TRANSFORM", 1},
        {"STP_TDATA", SONO_IGTL_STOP, "TDATA", 1},
        {"RTS_POSITION", SONO_IGTL_ANSWER, "POSITION", 1},
        {"GET_COLORT", SONO_IGTL_GET, "COLORTABLE", 1},
        {"GET_VMETA", SONO_IGTL_GET, "VIDEOMETA", 1},
        {"GET_COLORTAB", SONO_IGTL_GET, "COLORTABLE", 0},
        {"RTS_COMMAND", SONO_IGTL_ANSWER, "COMMAND", 1},
        {"IMAGE", SONO_IGTL_NO_QUERY, "", 0},
        {"GET_", SONO_IGTL_NO_QUERY, "", 0},
        {"GETIMAGE", SONO_IGTL_NO_QUERY, "", 0},
        {"GET", SONO_IGTL_NO_QUERY, "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char of[SONO_IGTL_TYPE_CHARS + 1];
        char type[SONO_IGTL_TYPE_CHARS + 1];
        assert_int_equal(sono_igtl_query_verb(cases[i].type, of), cases[i].verb);
        assert_string_equal(of, cases[i].of);
        sono_igtl_query_type(cases[i].verb, cases[i].of, type);
        if (cases[i].is_written)
            assert_string_equal(type, cases[i].type);
    }
}

static void test_queries(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        sono_igtl_query query;
        size_t n_bytes;
    } cases[] = {
        {"GET_STATUS", {.verb = SONO_IGTL_GET, .of = "STATUS"}, 0},
        {"STP_VIDEO", {.verb = SONO_IGTL_STOP, .of = "VIDEO"}, 0},
        {"STT_IMAGE", {.verb = SONO_IGTL_START, .of = "IMAGE"}, 0},
        {"RTS_TDATA", {.verb = SONO_IGTL_ANSWER, .of = "TDATA", .status = 1}, 1},
        {"STT_TDATA",
         {.verb = SONO_IGTL_START,
          .of = "TDATA",
          .interval_ms = -5,
          .coordinates = "12345678901234567890123456789012"},
         36},
        {"STT_QTDATA",
         {.verb = SONO_IGTL_START, .of = "QTDATA", .interval_ms = 50, .coordinates = "Patient"},
         36},
        {"STT_POLYDATA", {.verb = SONO_IGTL_START, .of = "POLYDATA"}, 0},
        {"STT_POLYDATA",
         {.verb = SONO_IGTL_START, .of = "POLYDATA", .has_interval = 1, .interval = 1u << 31},
         8},
        {"STT_VIDEO", {.verb = SONO_IGTL_START, .of = "VIDEO", .interval_ms = 40, .codec = "VP90"}, 8},
        {"STP_BIND", {.verb = SONO_IGTL_STOP, .of = "BIND"}, 0},
        {"GET_BIND", {.verb = SONO_IGTL_GET, .of = "BIND"}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const sono_igtl_query *query = &cases[i].query;
        sono_igtl_query out;
        begin();
        sono_igtl_query_encode(&writer, query);
        assert_int_equal(writer.n_bytes, cases[i].n_bytes);
        assert_int_equal(sono_igtl_query_decode(cases[i].type, wire, writer.n_bytes, &out, NULL),
                         SONO_IGTL_OK);
        assert_int_equal(out.verb, query->verb);
        assert_string_equal(out.of, query->of);
        assert_int_equal(out.status, query->status);
        assert_int_equal(out.has_interval, query->has_interval);
        assert_true(out.interval == query->interval);
        assert_int_equal(out.interval_ms, query->interval_ms);
        assert_string_equal(out.coordinates, query->coordinates);
        assert_string_equal(out.codec, query->codec);
        assert_int_not_equal(sono_igtl_query_decode(cases[i].type, wire, cases[i].n_bytes + 1, &out, NULL),
                             SONO_IGTL_OK);
    }
    sono_igtl_query out;
    assert_int_equal(sono_igtl_query_decode("RTS_IMAGE", wire, 0, &out, NULL), SONO_IGTL_MALFORMED);
    assert_int_equal(sono_igtl_query_decode("IMAGE", wire, 0, &out, NULL), SONO_IGTL_UNSUPPORTED);
    assert_int_equal(sono_igtl_query_decode("RTS_COMMAND", wire, 138, &out, NULL), SONO_IGTL_UNSUPPORTED);
    assert_int_equal(sono_igtl_query_decode("STT_BIND", wire, 8, &out, NULL), SONO_IGTL_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image),         cmocka_unit_test(test_image_pixels),
        cmocka_unit_test(test_image_refused), cmocka_unit_test(test_transform),
        cmocka_unit_test(test_status),        cmocka_unit_test(test_string),
        cmocka_unit_test(test_capability),    cmocka_unit_test(test_command),
        cmocka_unit_test(test_position),      cmocka_unit_test(test_video),
        cmocka_unit_test(test_query_types),   cmocka_unit_test(test_queries),
    };
    return sono_test_run("igtl/messages", tests, sizeof(tests) / sizeof(tests[0]));
}
