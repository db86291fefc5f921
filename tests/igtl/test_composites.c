// SPDX-License-Identifier: Apache-2.0
/* Messages made of parts: POLYDATA, BIND, the lists, NDARRAY, SENSOR, COLORTABLE: what comes back, what is
 * refused. */
#include "igtl_recode.h"
#include "test.h"

static uint8_t wire[300000];
static uint8_t again[300000];
static sono_igtl_writer writer;

static void begin(void)
{
    sono_igtl_writer_init(&writer, wire, sizeof wire);
}

static void put_u16(size_t at, unsigned value)
{
    wire[at] = (uint8_t)(value >> 8);
    wire[at + 1] = (uint8_t)value;
}

static void put_u32(size_t at, uint32_t value)
{
    put_u16(at, value >> 16);
    put_u16(at + 2, value & 65535);
}

/* What `wire` holds comes back byte for byte, and not one byte more or less of it is taken. */
static void assert_comes_back(const char *type)
{
    sono_igtl_writer second;
    sono_igtl_fault fault = {.reason = ""};
    assert_false(writer.is_full);
    sono_igtl_writer_init(&second, again, sizeof again);
    const sono_igtl_status status = recode(type, wire, writer.n_bytes, &second, &fault);
    if (status != SONO_IGTL_OK)
        fail_msg("%s: %s", type, fault.reason);
    assert_int_equal(second.n_bytes, writer.n_bytes);
    assert_memory_equal(again, wire, writer.n_bytes);
    assert_int_equal(recode(type, wire, writer.n_bytes + 1, &second, NULL), SONO_IGTL_MALFORMED);
    if (writer.n_bytes)
        assert_int_equal(recode(type, wire, writer.n_bytes - 1, &second, NULL), SONO_IGTL_MALFORMED);
}

static void assert_malformed(const char *type, int64_t offset_bytes)
{
    sono_igtl_writer second;
    sono_igtl_fault fault = {0};
    sono_igtl_writer_init(&second, again, sizeof again);
    assert_int_equal(recode(type, wire, writer.n_bytes, &second, &fault), SONO_IGTL_MALFORMED);
    assert_int_equal(fault.offset_bytes, offset_bytes);
}

/* Every capacity that is too small is FULL and nothing is written behind it. */
static void assert_fits_only(void (*encode)(void))
{
    begin();
    encode();
    const size_t n_bytes = writer.n_bytes;
    for (size_t capacity = 0; capacity < n_bytes; capacity++) {
        sono_igtl_writer_init(&writer, wire, capacity);
        wire[capacity] = 0xee;
        encode();
        assert_true(writer.is_full);
        assert_true(writer.n_bytes <= capacity);
        assert_int_equal(wire[capacity], 0xee);
    }
    begin();
    encode();
}

static const float square[4][3] = {{0, 0, 0}, {10, 0, 0}, {10, 10, 0}, {0, 10, 0}};
static const uint32_t contour[] = {0, 1, 2, 3, 0};

/* Cells of every kind, attributes whose names have an even and an odd length. */
static void encode_mesh(void)
{
    static const uint32_t n_vertices[] = {1, 1};
    static const uint32_t n_contour[] = {5};
    static const uint32_t n_polygons[] = {3, 4, 0};
    static const uint32_t polygons[] = {0, 1, 2, 3, 2, 1, 0};
    static const float values[] = {1, 2, 3, 4, 0.25f, 0.5f, 0.75f, 1};
    static const sono_igtl_attribute attributes[] = {
        {SONO_IGTL_SCALARS, 1, 4, "odd", values},
        {SONO_IGTL_RGBA | SONO_IGTL_ON_CELLS, 4, 1, "even", values + 4},
    };
    const sono_igtl_mesh mesh = {
        .points = square,
        .n_points = 4,
        .vertices = {n_vertices, contour, 2},
        .lines = {n_contour, contour, 1},
        .polygons = {n_polygons, polygons, 3},
        .attributes = attributes,
        .n_attributes = 2,
    };
    sono_igtl_polydata_encode(&writer, &mesh);
}

static void test_polydata(void **state)
{
    (void)state;
    sono_igtl_polydata out;
    sono_igtl_cell cell;
    sono_igtl_attribute_view attribute;
    float point[3];
    uint32_t at = 0;
    assert_fits_only(encode_mesh);
    assert_comes_back("POLYDATA");
    assert_int_equal(sono_igtl_polydata_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_OK);
    assert_true(sono_igtl_point_at(&out, 2, point));
    assert_memory_equal(point, square[2], sizeof point);
    assert_false(sono_igtl_point_at(&out, 4, point));
    assert_int_equal(out.lines.n_cells, 1);
    assert_true(sono_igtl_cell_next(&out.lines, &at, &cell));
    assert_int_equal(cell.n_indices, 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(sono_igtl_cell_index(&cell, i), contour[i]);
    assert_false(sono_igtl_cell_next(&out.lines, &at, &cell));
    assert_true(sono_igtl_attribute_at(&out, 1, &attribute));
    assert_string_equal(attribute.name, "even");
    assert_int_equal(attribute.n_components, 4);
    assert_true(sono_igtl_attribute_value(&attribute, 2) == 0.75f);
    assert_false(sono_igtl_attribute_at(&out, 2, &attribute));
    begin();
    const sono_igtl_mesh nothing = {.n_points = 0};
    sono_igtl_polydata_encode(&writer, &nothing);
    assert_int_equal(writer.n_bytes, 40);
    assert_comes_back("POLYDATA");
}

static void encode_long_name(void)
{
    static char name[300];
    const sono_igtl_attribute attribute = {SONO_IGTL_SCALARS, 1, 0, name, NULL};
    const sono_igtl_mesh mesh = {.attributes = &attribute, .n_attributes = 1};
    memset(name, 'n', sizeof name - 1);
    sono_igtl_polydata_encode(&writer, &mesh);
}

/* Head: points at 0; vertices 4, lines 12, polygons 20, strips 28 with their sizes; attributes 36. Then 48
 * bytes of points, 16 of vertices, 24 of lines, 40 of polygons, 12 of attributes. */
static void test_polydata_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint32_t value;
        int64_t offset_bytes;
    } cases[] = {
        {0, 0xffffffff, 0},
        {0, 3, 4},
        {4, 3, 4},
        {4, 1, 8},
        {8, 7, 8},
        {8, 0xfffffffc, 8},
        {12, 2, 12},
        {12, 0, 16},
        {16, 20, 12},
        {20, 0xffffffff, 20},
        {28, 1, 28},
        {32, 4, 32},
        {36, 0xffffffff, 36},
        {36, 1, 36},
        {36, 3, 36},
        {40 + 48, 2, 4},
        {40 + 48, 0xffffffff, 4},
        {40 + 64 + 4, 4, 12},
        {168 + 2, 5, 36},
        {168 + 2, 0xffffffff, 36},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sono_igtl_writer second;
        sono_igtl_fault fault = {0};
        begin();
        encode_mesh();
        put_u32(cases[i].at, cases[i].value);
        sono_igtl_writer_init(&second, again, sizeof again);
        const sono_igtl_status status = recode("POLYDATA", wire, writer.n_bytes, &second, &fault);
        if (status != SONO_IGTL_MALFORMED || fault.offset_bytes != cases[i].offset_bytes)
            fail_msg("case %zu: %s at %d: %s", i, sono_igtl_status_name(status), (int)fault.offset_bytes,
                     fault.reason);
    }
    static const uint8_t wrong[][2] = {{0x14, 3}, {0x04, 1}, {1, 4}, {0x12, 2}, {3, 3}, {0, 0}, {5, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        begin();
        encode_mesh();
        wire[168 + 6] = wrong[i][0]; /* type of the second attribute */
        wire[168 + 7] = wrong[i][1]; /* its components */
        assert_malformed("POLYDATA", 36);
    }
    begin();
    encode_long_name();
    writer.n_bytes--;
    assert_malformed("POLYDATA", 36);
    /* 2^31 values of 2 components of 4 bytes are 0 in 32 bits. */
    begin();
    encode_long_name();
    wire[41] = 2;
    put_u32(42, 0x80000000);
    assert_malformed("POLYDATA", 36);
    /* A name of odd size whose padding is missing. */
    const sono_igtl_attribute odd = {SONO_IGTL_SCALARS, 1, 0, "ab", NULL};
    const sono_igtl_mesh mesh = {.attributes = &odd, .n_attributes = 1};
    begin();
    sono_igtl_polydata_encode(&writer, &mesh);
    assert_comes_back("POLYDATA");
}

static void test_polydata_names(void **state)
{
    (void)state;
    assert_fits_only(encode_long_name);
    assert_int_equal(writer.n_bytes, 40 + 6 + 256);
    assert_comes_back("POLYDATA");
    wire[writer.n_bytes - 1] = 'n';
    writer.n_bytes += 2;
    put_u16(writer.n_bytes - 2, 0);
    assert_malformed("POLYDATA", 36);
}

/* A STATUS of odd length between others, an unknown type, a BIND within. */
static void encode_bind(void)
{
    static const char transform[48] = {0};
    static const char status[31] = {0, 1};
    static const char inner[2 + 20 + 2 + 2 + 2] = {0, 1, 'P', 'R', 'I', 'V', 'A', 'T', 'E', 0, 0,   0, 0, 0,
                                                   0, 0, 0,   0,   0,   0,   0,   1,   0,   2, 'x', 0, 7, 0};
    static const sono_igtl_child children[] = {
        {"TRANSFORM", "ProbeToReference", (const uint8_t *)transform, 48},
        {"STATUS", "", (const uint8_t *)status, 31},
        {"UNKNOWN12345", "abcdefghijklmnopqrst", (const uint8_t *)"???", 3},
        {"BIND", "Inner", (const uint8_t *)inner, sizeof inner},
    };
    sono_igtl_bind_encode(&writer, children, 4);
}

static void test_bind(void **state)
{
    (void)state;
    sono_igtl_bind out;
    sono_igtl_child child;
    assert_fits_only(encode_bind);
    assert_int_equal(writer.n_bytes, 2 + 80 + 2 + 46 + 48 + 32 + 4 + 28);
    assert_comes_back("BIND");
    assert_int_equal(sono_igtl_bind_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_OK);
    assert_int_equal(out.n, 4);
    assert_true(sono_igtl_child_at(&out, 2, &child));
    assert_string_equal(child.type, "UNKNOWN12345");
    assert_string_equal(child.device, "abcdefghijklmnopqrst");
    assert_int_equal(child.content_bytes, 3);
    assert_memory_equal(child.content, "???", 3);
    assert_false(sono_igtl_child_at(&out, 4, &child));
    begin();
    sono_igtl_bind_encode(&writer, NULL, 0);
    assert_int_equal(writer.n_bytes, 4);
    assert_comes_back("BIND");
    /* 3121 names of 20 characters are more than 65534 bytes. */
    static sono_igtl_child many[3121];
    for (size_t i = 0; i < 3121; i++)
        memset(many[i].device, 'd', SONO_IGTL_DEVICE_CHARS);
    begin();
    sono_igtl_bind_encode(&writer, many, 3121);
    assert_true(writer.is_full);
    begin();
    sono_igtl_bind_encode(&writer, many, 3120);
    assert_int_equal(writer.n_bytes, 2 + 3120 * 20 + 2 + 3120 * 21);
}

static void test_bind_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        unsigned value;
        int64_t offset_bytes;
    } cases[] = {
        {0, 65535, 0},    {0, 5, 102},           {2 + 12, 0xffff, 14},
        {2 + 18, 49, 74}, {2 + 20 + 18, 99, 34}, {2 + 60 + 18, 26, 240},
        {82, 45, 82},     {82, 48, 82},          {82, 44, 123},
        {82, 65534, 82},  {84 + 16, 'x', 101},   {84 + 38, 0x7878, 102},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sono_igtl_writer second;
        sono_igtl_fault fault = {0};
        begin();
        encode_bind();
        put_u16(cases[i].at, cases[i].value);
        sono_igtl_writer_init(&second, again, sizeof again);
        const sono_igtl_status status = recode("BIND", wire, writer.n_bytes, &second, &fault);
        if (status != SONO_IGTL_MALFORMED || fault.offset_bytes != cases[i].offset_bytes)
            fail_msg("case %zu: %s at %d: %s", i, sono_igtl_status_name(status), (int)fault.offset_bytes,
                     fault.reason);
    }
}

static void test_bind_queries(void **state)
{
    (void)state;
    static const sono_igtl_child wanted[] = {{.type = "IMAGE", .device = "Image"},
                                             {.type = "TRANSFORM", .device = "Tip"}};
    sono_igtl_bind_query out;
    sono_igtl_child child;
    begin();
    sono_igtl_bind_query_encode(&writer, 1, 0x8000, wanted, 2);
    assert_int_equal(writer.n_bytes, 8 + 2 + 24 + 2 + 10);
    assert_comes_back("STT_BIND");
    assert_int_equal(sono_igtl_bind_query_decode(1, wire, writer.n_bytes, &out, NULL), SONO_IGTL_OK);
    assert_true(out.interval == 0x8000);
    assert_true(sono_igtl_bind_query_at(&out, 1, &child));
    assert_string_equal(child.type, "TRANSFORM");
    assert_string_equal(child.device, "Tip");
    assert_false(sono_igtl_bind_query_at(&out, 2, &child));
    begin();
    sono_igtl_bind_query_encode(&writer, 0, 0, wanted, 2);
    assert_comes_back("GET_BIND");
    begin();
    sono_igtl_bind_query_encode(&writer, 0, 0, NULL, 0);
    assert_int_equal(writer.n_bytes, 0);
    assert_comes_back("GET_BIND");
    assert_int_equal(sono_igtl_bind_query_decode(1, wire, 7, &out, NULL), SONO_IGTL_MALFORMED);
}

static void test_labels(void **state)
{
    (void)state;
    static const sono_igtl_label labels[] = {
        {.name = "bone",
         .device = "BoneMask",
         .label = 1,
         .rgba = {230, 220, 70, 255},
         .size = {640, 480, 1},
         .owner = "Image_Reference"},
        {.name = "1234567890123456789012345678901234567890123456789012345678901234",
         .device = "12345678901234567890",
         .owner = "12345678901234567890"},
    };
    sono_igtl_list list;
    sono_igtl_label out;
    sono_igtl_landmark landmark;
    begin();
    sono_igtl_labels_encode(&writer, labels, 2);
    assert_int_equal(writer.n_bytes, 2 * 116);
    assert_memory_equal(wire + 84, "\1\0\xe6\xdc\x46\xff\2\x80\1\xe0\0\1Image_Reference", 27);
    assert_comes_back("LBMETA");
    assert_int_equal(sono_igtl_labels_decode(wire, writer.n_bytes, &list, NULL), SONO_IGTL_OK);
    assert_int_equal(list.n, 2);
    assert_true(sono_igtl_label_at(&list, 0, &out));
    assert_string_equal(out.name, "bone");
    assert_string_equal(out.device, "BoneMask");
    assert_int_equal(out.label, 1);
    assert_memory_equal(out.rgba, labels[0].rgba, sizeof out.rgba);
    assert_memory_equal(out.size, labels[0].size, sizeof out.size);
    assert_true(sono_igtl_label_at(&list, 1, &out));
    assert_string_equal(out.name, labels[1].name);
    assert_string_equal(out.owner, labels[1].owner);
    assert_false(sono_igtl_label_at(&list, 2, &out));
    assert_false(sono_igtl_landmark_at(&list, 0, &landmark));
}

static void encode_image_meta(void)
{
    const sono_igtl_image_meta meta = {
        .name = "n",
        .device = "d",
        .modality = "US",
        .patient_name = "p",
        .patient_id = "i",
        .timestamp = 0x0102030405060708,
        .size = {1, 2, 3},
        .scalar = 3,
    };
    sono_igtl_image_metas_encode(&writer, &meta, 1);
}

static void encode_video_meta(void)
{
    const sono_igtl_video_meta meta = {
        .name = "n",
        .device = "d",
        .patient_name = "p",
        .patient_id = "i",
        .zoom_level = -2,
        .focal_length_mm = 1.5,
        .size = {1, 2, 3},
        .matrix = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
        .scalar = 5,
    };
    sono_igtl_video_metas_encode(&writer, &meta, 1);
}

static void encode_landmark(void)
{
    const sono_igtl_landmark landmark = {.name = "n",
                                         .group = "Fiducial",
                                         .rgba = {1, 2, 3, 4},
                                         .position_mm = {1, 2, 3},
                                         .diameter_mm = 4,
                                         .owner = "o"};
    sono_igtl_landmarks_encode(&writer, &landmark, 1);
}

static void encode_trajectory(void)
{
    const sono_igtl_trajectory path = {.name = "n",
                                       .group = "g",
                                       .type = 3,
                                       .rgba = {1, 2, 3, 4},
                                       .entry_mm = {1, 2, 3},
                                       .target_mm = {4, 5, 6},
                                       .diameter_mm = 7,
                                       .owner = "o"};
    sono_igtl_trajectories_encode(&writer, &path, 1);
}

static void encode_tool(void)
{
    const sono_igtl_tool tool = {.name = "t", .type = 2, .matrix = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
    sono_igtl_tools_encode(&writer, &tool, 1);
}

static void encode_quaternion_tool(void)
{
    const sono_igtl_quaternion_tool tool = {
        .name = "t", .type = 4, .position_mm = {1, 2, 3}, .quaternion = {0, 0, 0, 1}};
    sono_igtl_quaternion_tools_encode(&writer, &tool, 1);
}

/* The other lists: sizes, where numbers lie, what comes back; no list is read as one of another type. */
static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        void (*encode)(void);
        size_t n_bytes, at, n;
        const char *expected; /* n bytes from `at` on */
    } cases[] = {
        {"IMGMETA", encode_image_meta, 260, 244, 16, "\1\2\3\4\5\6\7\10\0\1\0\2\0\3\3\0"},
        {"VIDEOMETA", encode_video_meta, 322, 256, 18, "\xff\xfe\x3f\xf8\0\0\0\0\0\0\0\1\0\2\0\3\x3f\x80"},
        {"POINT", encode_landmark, 136, 96, 8, "\1\2\3\4\x3f\x80\0\0"},
        {"TRAJ", encode_trajectory, 150, 96, 10, "\3\0\1\2\3\4\x3f\x80\0\0"},
        {"TDATA", encode_tool, 70, 20, 6, "\2\0\x3f\x80\0\0"},
        {"QTDATA", encode_quaternion_tool, 50, 20, 6, "\4\0\x3f\x80\0\0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_fits_only(cases[i].encode);
        assert_int_equal(writer.n_bytes, cases[i].n_bytes);
        assert_memory_equal(wire + cases[i].at, cases[i].expected, cases[i].n);
        assert_comes_back(cases[i].type);
    }
    const sono_igtl_list strange = {wire, 1, 1};
    sono_igtl_label label;
    sono_igtl_image_meta image_meta;
    sono_igtl_video_meta video_meta;
    sono_igtl_landmark landmark;
    sono_igtl_trajectory path;
    sono_igtl_tool tool;
    sono_igtl_quaternion_tool turned;
    assert_false(sono_igtl_label_at(&strange, 0, &label));
    assert_false(sono_igtl_image_meta_at(&strange, 0, &image_meta));
    assert_false(sono_igtl_video_meta_at(&strange, 0, &video_meta));
    assert_false(sono_igtl_landmark_at(&strange, 0, &landmark));
    assert_false(sono_igtl_trajectory_at(&strange, 0, &path));
    assert_false(sono_igtl_tool_at(&strange, 0, &tool));
    assert_false(sono_igtl_quaternion_tool_at(&strange, 0, &turned));
}

/* No type reads beyond a content that is far too short: each length in memory of its own. */
static void test_short_contents(void **state)
{
    (void)state;
    for (size_t type = 0; type < RECODE_N_TYPES; type++) {
        for (size_t n = 0; n < 48; n++) {
            uint8_t *bytes = malloc(n + 1);
            assert_non_null(bytes);
            memset(bytes + 1, type % 2 ? 0 : 3, n);
            sono_igtl_writer_init(&writer, wire, sizeof wire);
            (void)recode(recode_types[type].type, bytes + 1, n, &writer, NULL);
            free(bytes);
        }
    }
    /* One name, not ended, in a table that says it goes on for long. */
    static const uint8_t unended[] = {0, 1, 'A', 0, 0, 0, 0, 0, 0, 0,    0,    0,  0,
                                      0, 0, 0,   0, 0, 0, 0, 0, 0, 0xff, 0xfe, 'x'};
    uint8_t *bytes = malloc(sizeof unended);
    assert_non_null(bytes);
    memcpy(bytes, unended, sizeof unended);
    assert_int_equal(recode("BIND", bytes, sizeof unended, &writer, NULL), SONO_IGTL_MALFORMED);
    free(bytes);
    begin();
    assert_malformed("BIND", 0);
    assert_malformed("NDARRAY", 0);
    assert_malformed("SENSOR", 0);
    assert_malformed("COLORT", 0);
}

static void test_ndarray(void **state)
{
    (void)state;
    static const struct {
        uint8_t scalar;
        size_t bytes;
    } scalars[] = {{2, 1}, {3, 1}, {4, 2}, {5, 2}, {6, 4}, {7, 4}, {10, 4}, {11, 8}, {13, 16}};
    static const uint16_t sizes[] = {2, 3};
    uint8_t values[96];
    uint8_t out[96];
    for (size_t i = 0; i < sizeof values; i++)
        values[i] = (uint8_t)(0x81 + 7 * i);
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        sono_igtl_ndarray array;
        uint16_t size = 0;
        begin();
        sono_igtl_ndarray_encode(&writer, scalars[i].scalar, sizes, 2, values);
        assert_int_equal(writer.n_bytes, 2 + 4 + 6 * scalars[i].bytes);
        assert_comes_back("NDARRAY");
        assert_int_equal(sono_igtl_ndarray_decode(wire, writer.n_bytes, &array, NULL), SONO_IGTL_OK);
        assert_int_equal(array.n, 6);
        assert_true(sono_igtl_ndarray_size_at(&array, 1, &size));
        assert_int_equal(size, 3);
        assert_false(sono_igtl_ndarray_size_at(&array, 2, &size));
        assert_true(sono_igtl_ndarray_values(&array, 1, 5, out));
        assert_memory_equal(out, values + scalars[i].bytes, 5 * scalars[i].bytes);
        assert_false(sono_igtl_ndarray_values(&array, 1, 6, out));
        assert_false(sono_igtl_ndarray_values(&array, 7, 0, out));
    }
    const double one = 1;
    begin();
    sono_igtl_ndarray_encode(&writer, SONO_IGTL_FLOAT64, (const uint16_t[]){1}, 1, &one);
    assert_memory_equal(wire, "\13\1\0\1\x3f\xf0\0\0\0\0\0\0", 12);
}

static void test_ndarray_refused(void **state)
{
    (void)state;
    uint16_t sizes[255];
    for (size_t i = 0; i < 255; i++)
        sizes[i] = 65535;
    begin();
    sono_igtl_ndarray_encode(&writer, SONO_IGTL_UINT8, sizes, 255, sizes);
    assert_true(writer.is_full);
    begin();
    sono_igtl_ndarray_encode(&writer, 99, sizes, 1, sizes);
    assert_true(writer.is_full);
    /* 32768^5 is 0 in 64 bits. */
    begin();
    wire[0] = SONO_IGTL_UINT8;
    wire[1] = 5;
    for (size_t i = 0; i < 5; i++)
        put_u16(2 + 2 * i, 0x8000);
    writer.n_bytes = 12;
    assert_malformed("NDARRAY", 2);
    wire[1] = 0;
    writer.n_bytes = 2;
    assert_malformed("NDARRAY", 1);
    sizes[1] = 0;
    begin();
    sono_igtl_ndarray_encode(&writer, SONO_IGTL_FLOAT64, sizes, 3, sizes);
    assert_int_equal(writer.n_bytes, 8);
    assert_comes_back("NDARRAY");
}

static void test_sensor(void **state)
{
    (void)state;
    sono_igtl_sensor sensor = {
        .n = 2, .status = 1, .unit = {.prefix = 11, .unit = {1, 3}, .exponent = {1, -2}}};
    sono_igtl_sensor out;
    sensor.values[0] = 1;
    sensor.values[1] = -0.0;
    begin();
    sono_igtl_sensor_encode(&writer, &sensor);
    /* 1011 000001 0001 000011 1110, then 0: mm / s^2 */
    assert_memory_equal(wire, "\2\1\xb0\x44\x3e\0\0\0\0\0\x3f\xf0\0\0\0\0\0\0\x80", 19);
    assert_comes_back("SENSOR");
    assert_int_equal(sono_igtl_sensor_decode(wire, writer.n_bytes, &out, NULL), SONO_IGTL_OK);
    assert_memory_equal(&out.unit, &sensor.unit, sizeof out.unit);
    memset(&wire[2], 0xff, 8);
    assert_comes_back("SENSOR");
    sensor.n = 255;
    begin();
    sono_igtl_sensor_encode(&writer, &sensor);
    assert_int_equal(writer.n_bytes, 10 + 255 * 8);
    assert_comes_back("SENSOR");
}

static void test_colortable(void **state)
{
    (void)state;
    static const uint8_t maps[] = {SONO_IGTL_MAP_UINT8, SONO_IGTL_MAP_UINT16, SONO_IGTL_MAP_RGB};
    static sono_igtl_color colors[65536];
    for (uint32_t i = 0; i < 65536; i++)
        colors[i] = (sono_igtl_color){(uint16_t)(7 * i), {(uint8_t)i, (uint8_t)(i >> 8), 9}};
    for (size_t i = 0; i < 6; i++) {
        const uint8_t map = maps[i % 3];
        const uint8_t index = i < 3 ? SONO_IGTL_UINT8 : SONO_IGTL_UINT16;
        const size_t n = i < 3 ? 256 : 65536;
        sono_igtl_colortable table;
        sono_igtl_color color;
        begin();
        sono_igtl_colortable_encode(&writer, index, map, colors);
        assert_int_equal(writer.n_bytes, 2 + n * (i % 3 + 1));
        assert_comes_back("COLORTABLE");
        assert_comes_back("COLORT");
        assert_int_equal(sono_igtl_colortable_decode(wire, writer.n_bytes, &table, NULL), SONO_IGTL_OK);
        assert_true(sono_igtl_color_at(&table, 200, &color));
        assert_int_equal(color.value, map == SONO_IGTL_MAP_RGB     ? 0
                                      : map == SONO_IGTL_MAP_UINT8 ? 1400 % 256
                                                                   : 1400);
        assert_int_equal(color.rgb[0], map == SONO_IGTL_MAP_RGB ? 200 : 0);
        assert_false(sono_igtl_color_at(&table, (uint32_t)n, &color));
        wire[0] = 4;
        assert_malformed("COLORT", 0);
        wire[0] = index;
        wire[1] = 4;
        assert_malformed("COLORT", 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_polydata),        cmocka_unit_test(test_polydata_refused),
        cmocka_unit_test(test_polydata_names),  cmocka_unit_test(test_bind),
        cmocka_unit_test(test_bind_refused),    cmocka_unit_test(test_bind_queries),
        cmocka_unit_test(test_short_contents),  cmocka_unit_test(test_labels),
        cmocka_unit_test(test_lists),           cmocka_unit_test(test_ndarray),
        cmocka_unit_test(test_ndarray_refused), cmocka_unit_test(test_sensor),
        cmocka_unit_test(test_colortable),
    };
    return sono_test_run("igtl/composites", tests, sizeof(tests) / sizeof(tests[0]));
}
