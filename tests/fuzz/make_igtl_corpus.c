// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the corpora of fuzz_igtl_content and fuzz_igtl_reader with our own encoder: one body of each type,
 * and short streams.
 *
 *     cc -D_GNU_SOURCE -Ilive -Itests/support tests/fuzz/make_igtl_corpus.c live/igtl/[a-z]*.c -o make_corpus
 * &&
 *     ./make_corpus tests/fuzz/corpus
 */
#include "igtl_recode.h"

#include <stdio.h>

static uint8_t memory[65536];
static sono_igtl_writer writer;
static const char *folder;
static int n_failures;

static void write_file(const char *target, const char *name, const uint8_t *head, size_t head_bytes,
                       const uint8_t *bytes, size_t n_bytes)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        n_failures++;
        return;
    }
    n_failures +=
        fwrite(head, 1, head_bytes, file) != head_bytes || fwrite(bytes, 1, n_bytes, file) != n_bytes;
    n_failures += fclose(file) != 0;
}

static uint8_t choice_of(const char *type)
{
    for (size_t i = 0; i < RECODE_N_TYPES; i++) {
        if (strcmp(recode_types[i].type, type) == 0)
            return (uint8_t)i;
    }
    n_failures++;
    return 0;
}

static void begin(void)
{
    sono_igtl_writer_init(&writer, memory, sizeof memory);
}

/* The content that was encoded, as a body of version 2 with metadata. */
static void seed_version_2(const char *type, const uint8_t *content, size_t n_bytes)
{
    static uint8_t message[4096];
    const uint8_t head[] = {choice_of(type), 1};
    const sono_igtl_metadata metadata[] = {
        {.key = "frame", .key_bytes = 5, .value = "12", .value_bytes = 2, .encoding = 3},
        {.key = "", .value = "", .encoding = 106},
    };
    char name[32];
    sono_igtl_writer_init(&writer, message, sizeof message);
    sono_igtl_message_begin(&writer, 2, type, "", 0);
    sono_igtl_write(&writer, content, n_bytes);
    n_failures += sono_igtl_message_end(&writer, 3, metadata, 2) != SONO_IGTL_OK;
    (void)snprintf(name, sizeof name, "%s_2", type);
    write_file("fuzz_igtl_content", name, head, sizeof head, message + SONO_IGTL_HEADER_BYTES,
               writer.n_bytes - SONO_IGTL_HEADER_BYTES);
}

/* Takes what was encoded as the content of that type, and begins anew. */
static void seed(const char *type)
{
    const uint8_t head[] = {choice_of(type), 0};
    write_file("fuzz_igtl_content", type, head, sizeof head, memory, writer.n_bytes);
    if (strcmp(type, "IMAGE") == 0 || strcmp(type, "TRANSFORM") == 0)
        seed_version_2(type, memory, writer.n_bytes);
    begin();
}

static const sono_igtl_image image = {
    .version = 1,
    .n_components = 1,
    .scalar = SONO_IGTL_UINT8,
    .endian = 2,
    .coordinates = 1,
    .size = {4, 3, 1},
    .matrix = {1, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6, 7},
    .subsize = {4, 3, 1},
};

static void encode_polydata(void)
{
    static const float points[3][3] = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}};
    static const uint32_t n_indices[] = {4};
    static const uint32_t indices[] = {0, 1, 2, 0};
    static const float values[] = {1, 2, 3};
    static const sono_igtl_attribute attribute = {SONO_IGTL_SCALARS, 1, 3, "score", values};
    const sono_igtl_mesh mesh = {.points = points,
                                 .n_points = 3,
                                 .lines = {n_indices, indices, 1},
                                 .polygons = {n_indices, indices, 1},
                                 .attributes = &attribute,
                                 .n_attributes = 1};
    sono_igtl_polydata_encode(&writer, &mesh);
}

static void seed_structs(void)
{
    const sono_igtl_transform transform = {{1, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4}};
    const sono_igtl_state status = {.code = 1, .subcode = 2, .name = "OK", .text = "ready", .text_bytes = 5};
    const sono_igtl_string string = {3, "{\"fps\":60}", 10};
    const sono_igtl_command command = {
        .id = 7, .name = "status", .encoding = 3, .text = "<a/>", .n_bytes = 4};
    const sono_igtl_position position = {
        .position_mm = {1, 2, 3}, .quaternion = {0, 0, 0, 1}, .n_quaternion = 4};
    const sono_igtl_sensor sensor = {
        .n = 2, .unit = {.prefix = 11, .unit = {1}, .exponent = {1}}, .values = {1, 2}};
    const sono_igtl_video video = {.version = 1,
                                   .endian = 2,
                                   .codec = "H264",
                                   .coordinates = 1,
                                   .size = {4, 3, 1},
                                   .subsize = {4, 3, 1},
                                   .frame = (const uint8_t *)"x",
                                   .frame_bytes = 1};
    sono_igtl_image_head_encode(&writer, &image);
    sono_igtl_write(&writer, "0123456789ab", 12);
    seed("IMAGE");
    sono_igtl_transform_encode(&writer, &transform);
    seed("TRANSFORM");
    sono_igtl_status_encode(&writer, &status);
    seed("STATUS");
    sono_igtl_string_encode(&writer, &string);
    seed("STRING");
    sono_igtl_command_encode(&writer, &command);
    seed("COMMAND");
    sono_igtl_position_encode(&writer, &position);
    seed("POSITION");
    sono_igtl_sensor_encode(&writer, &sensor);
    seed("SENSOR");
    sono_igtl_video_encode(&writer, &video);
    seed("VIDEO");
    encode_polydata();
    seed("POLYDATA");
}

static void seed_lists(void)
{
    static const char *const types[] = {"IMAGE", "GET_IMAGE"};
    static const sono_igtl_color colors[256] = {{1, {1, 2, 3}}};
    static const uint16_t sizes[] = {2, 3};
    static const float numbers[6] = {1, 2, 3, 4, 5, 6};
    const sono_igtl_child children[] = {{"STRING", "A", (const uint8_t *)"\0\3\0\1x", 5},
                                        {"TDATA", "Tools", NULL, 0}};
    const sono_igtl_label label = {.name = "bone", .device = "BoneMask", .label = 1, .owner = "Image"};
    const sono_igtl_image_meta image_meta = {.name = "scan", .device = "Image", .modality = "US"};
    const sono_igtl_video_meta video_meta = {.name = "video", .zoom_level = 1};
    const sono_igtl_landmark landmark = {.name = "tip", .group = "Fiducial"};
    const sono_igtl_trajectory trajectory = {.name = "path", .type = 3};
    const sono_igtl_tool tool = {.name = "probe", .type = 2};
    const sono_igtl_quaternion_tool turned = {.name = "probe", .type = 2};
    sono_igtl_capability_encode(&writer, types, 2);
    seed("CAPABILITY");
    sono_igtl_colortable_encode(&writer, SONO_IGTL_UINT8, SONO_IGTL_MAP_RGB, colors);
    seed("COLORTABLE");
    sono_igtl_ndarray_encode(&writer, SONO_IGTL_FLOAT32, sizes, 2, numbers);
    seed("NDARRAY");
    sono_igtl_bind_encode(&writer, children, 2);
    seed("BIND");
    sono_igtl_bind_query_encode(&writer, 0, 0, children, 2);
    seed("GET_BIND");
    sono_igtl_bind_query_encode(&writer, 1, 9, children, 2);
    seed("STT_BIND");
    sono_igtl_labels_encode(&writer, &label, 1);
    seed("LBMETA");
    sono_igtl_image_metas_encode(&writer, &image_meta, 1);
    seed("IMGMETA");
    sono_igtl_video_metas_encode(&writer, &video_meta, 1);
    seed("VIDEOMETA");
    sono_igtl_landmarks_encode(&writer, &landmark, 1);
    seed("POINT");
    sono_igtl_trajectories_encode(&writer, &trajectory, 1);
    seed("TRAJ");
    sono_igtl_tools_encode(&writer, &tool, 1);
    seed("TDATA");
    sono_igtl_quaternion_tools_encode(&writer, &turned, 1);
    seed("QTDATA");
}

static void append_image(uint16_t version)
{
    const sono_igtl_metadata metadata = {
        .key = "id", .key_bytes = 2, .value = "7", .value_bytes = 1, .encoding = 3};
    sono_igtl_message_begin(&writer, version, "IMAGE", "Image", 1);
    sono_igtl_image_head_encode(&writer, &image);
    sono_igtl_write(&writer, "0123456789ab", 12);
    n_failures += sono_igtl_message_end(&writer, 2, &metadata, 1) != SONO_IGTL_OK;
}

static void append_status(uint16_t version)
{
    const sono_igtl_state status = {.code = 1, .name = "OK", .text = "", .text_bytes = 0};
    sono_igtl_message_begin(&writer, version, "STATUS", "", 0);
    sono_igtl_status_encode(&writer, &status);
    n_failures += sono_igtl_message_end(&writer, 2, NULL, 0) != SONO_IGTL_OK;
}

static void seed_streams(void)
{
    const uint8_t choice[] = {1, 1, 1, 1, 0, 7, 20, 66};
    begin();
    append_image(1);
    append_status(1);
    append_image(1);
    write_file("fuzz_igtl_reader", "version_1", choice, sizeof choice, memory, writer.n_bytes);
    begin();
    append_image(2);
    append_status(2);
    write_file("fuzz_igtl_reader", "version_2", choice, sizeof choice, memory, writer.n_bytes);
    begin();
    append_image(2);
    append_status(1);
    memory[SONO_IGTL_HEADER_BYTES + 1] = 14; /* a larger extended header: the image is refused */
    write_file("fuzz_igtl_reader", "refused", choice, sizeof choice, memory, writer.n_bytes);
    begin();
    append_image(1);
    append_status(1);
    memory[57] ^= 1;
    write_file("fuzz_igtl_reader", "bad_crc", choice, sizeof choice, memory, writer.n_bytes);
    begin();
    append_status(1);
    memory[42] = 0xff;
    write_file("fuzz_igtl_reader", "broken", choice, sizeof choice, memory, writer.n_bytes);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s tests/fuzz/corpus\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    begin();
    seed_structs();
    seed_lists();
    seed_streams();
    return n_failures != 0;
}
