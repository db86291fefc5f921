// SPDX-License-Identifier: Apache-2.0
/* Messages out of a stream, cut anywhere: the same is told, byte for byte, whatever the pieces are. */
#include "igtl/reader.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define SCRATCH_BYTES 4096
#define MAX_EVENTS    32

/* What a reader told, in order. */
typedef struct heard {
    char lines[MAX_EVENTS][160];
    int n_lines;
    uint64_t n_messages;
} heard;

static uint8_t stream[100000];
static uint8_t pixels[70000];
static uint8_t scratch[SCRATCH_BYTES];
static const sono_igtl_limits limits = {.max_body_bytes = 80000, .max_metadata_bytes = 1000};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static sono_igtl_image small_image(uint16_t columns, uint16_t rows)
{
    return (sono_igtl_image){
        .version = 1,
        .n_components = 1,
        .scalar = SONO_IGTL_UINT8,
        .endian = 2,
        .coordinates = 1,
        .size = {columns, rows, 1},
        .matrix = {1, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6, 7},
        .subsize = {columns, rows, 1},
    };
}

static void write_image(sono_igtl_writer *writer, uint16_t version, uint16_t columns, uint16_t rows)
{
    const sono_igtl_metadata metadata = {.key = "id", .key_bytes = 2, .value = "17", .value_bytes = 2};
    const sono_igtl_image image = small_image(columns, rows);
    sono_igtl_message_begin(writer, version, "IMAGE", "Image_Reference", 3);
    sono_igtl_image_head_encode(writer, &image);
    uint8_t *room = sono_igtl_write_room(writer, (size_t)columns * rows);
    assert_non_null(room);
    for (size_t i = 0; i < (size_t)columns * rows; i++)
        room[i] = (uint8_t)(i * 7);
    assert_int_equal(sono_igtl_message_end(writer, 9, &metadata, 1), SONO_IGTL_OK);
}

static void write_status(sono_igtl_writer *writer, uint16_t version, size_t text_bytes)
{
    static char text[6000];
    const sono_igtl_metadata metadata = {.key = "k", .key_bytes = 1, .value = "v", .value_bytes = 1};
    const sono_igtl_state state = {.code = 1, .name = "OK", .text = text, .text_bytes = text_bytes};
    memset(text, 't', sizeof text);
    sono_igtl_message_begin(writer, version, "STATUS", "Device", 4);
    sono_igtl_status_encode(writer, &state);
    assert_int_equal(sono_igtl_message_end(writer, 9, &metadata, 1), SONO_IGTL_OK);
}

static void note(heard *h, const sono_igtl_reader *reader, sono_igtl_read told)
{
    static const char *const names[] = {"more", "image", "message", "bad crc", "refused", "broken"};
    assert_true(h->n_lines < MAX_EVENTS);
    char *line = h->lines[h->n_lines++];
    const size_t size = sizeof h->lines[0];
    if (told == SONO_IGTL_READ_IMAGE)
        (void)snprintf(line, size, "image %ux%u", (unsigned)reader->image.size[0],
                       (unsigned)reader->image.size[1]);
    else if (told == SONO_IGTL_READ_REFUSED || told == SONO_IGTL_READ_BROKEN)
        (void)snprintf(line, size, "%s %s %s %d", names[told],
                       told == SONO_IGTL_READ_BROKEN ? "" : reader->header.type,
                       sono_igtl_status_name(reader->fault.status), (int)reader->fault.offset_bytes);
    else
        (void)snprintf(line, size, "%s %s %zu+%zu placed %d crc %llx id %u", names[told], reader->header.type,
                       reader->body.content_bytes, reader->body.metadata_bytes, reader->is_placed,
                       (unsigned long long)sono_igtl_crc64(0, pixels, sizeof pixels),
                       (unsigned)reader->body.message_id);
    if (told == SONO_IGTL_READ_MESSAGE && reader->header.version == 2) {
        sono_igtl_metadata entry;
        assert_true(sono_igtl_metadata_at(&reader->body, 0, &entry));
    }
}

/* Feeds n_bytes of `stream`; cut(i, state) says how many bytes piece i has at most. */
static heard feed(size_t n_bytes, size_t (*cut)(size_t at, uint64_t *state), uint64_t cut_state, int place)
{
    heard h = {.n_lines = 0};
    sono_igtl_reader reader;
    memset(pixels, 0, sizeof pixels);
    sono_igtl_reader_init(&reader, &limits, scratch, sizeof scratch);
    for (size_t at = 0; at < n_bytes;) {
        uint8_t *where;
        size_t n = sono_igtl_reader_want(&reader, &where);
        const size_t piece = cut(at, &cut_state);
        assert_true(n > 0 && piece > 0);
        n = n < piece ? n : piece;
        n = n < n_bytes - at ? n : n_bytes - at;
        memcpy(where, stream + at, n);
        at += n;
        const sono_igtl_read told = sono_igtl_reader_take(&reader, n);
        assert_true(reader.n_bytes == at);
        if (told == SONO_IGTL_READ_MORE) {
            assert_true(sono_igtl_reader_is_inside(&reader));
            continue;
        }
        note(&h, &reader, told);
        assert_int_equal(sono_igtl_reader_is_inside(&reader), told == SONO_IGTL_READ_IMAGE);
        if (told == SONO_IGTL_READ_IMAGE && place)
            sono_igtl_reader_place(&reader, pixels);
        if (told == SONO_IGTL_READ_BROKEN)
            break;
    }
    h.n_messages = reader.n_messages;
    return h;
}

static size_t cut_never(size_t at, uint64_t *state)
{
    (void)at;
    (void)state;
    return SIZE_MAX;
}

static size_t cut_bytes(size_t at, uint64_t *state)
{
    (void)at;
    (void)state;
    return 1;
}

static size_t cut_random(size_t at, uint64_t *state)
{
    (void)at;
    return 1 + next_random(state) % 200;
}

/* Once, at byte *state of the stream. */
static size_t cut_once(size_t at, uint64_t *state)
{
    return at < *state ? (size_t)*state - at : SIZE_MAX;
}

static void assert_same(const heard *a, const heard *b)
{
    assert_int_equal(a->n_lines, b->n_lines);
    assert_true(a->n_messages == b->n_messages);
    for (int i = 0; i < a->n_lines; i++)
        assert_string_equal(a->lines[i], b->lines[i]);
}

static size_t write_day(void)
{
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    write_image(&writer, 1, 40, 30);
    write_status(&writer, 1, 10);
    sono_igtl_message_begin(&writer, 1, "GET_CAPABIL", "", 0);
    assert_int_equal(sono_igtl_message_end(&writer, 0, NULL, 0), SONO_IGTL_OK);
    write_image(&writer, 2, 300, 200);
    write_status(&writer, 2, 10);
    write_status(&writer, 2, 5000);
    write_image(&writer, 2, 7, 3);
    stream[writer.n_bytes - 30] ^= 1;
    write_status(&writer, 1, 0);
    return writer.n_bytes;
}

static void test_a_day(void **state)
{
    (void)state;
    const size_t n_bytes = write_day();
    const heard whole = feed(n_bytes, cut_never, 0, 1);
    static const char *const expected[] = {
        "image 40x30",
        "message IMAGE 1272+0 placed 1",
        "message STATUS 41+0 placed 0",
        "message GET_CAPABIL 0+0 placed 0",
        "image 300x200",
        "message IMAGE 60072+4 placed 1",
        "message STATUS 41+2 placed 0",
        "refused STATUS limit 58",
        "image 7x3",
        "bad crc IMAGE 93+4 placed 1",
        "message STATUS 31+0 placed 0",
    };
    assert_int_equal(whole.n_lines, sizeof expected / sizeof expected[0]);
    assert_true(whole.n_messages == 8);
    for (int i = 0; i < whole.n_lines; i++) {
        if (strncmp(whole.lines[i], expected[i], strlen(expected[i])) != 0)
            fail_msg("%d: '%s' instead of '%s'", i, whole.lines[i], expected[i]);
    }
    const heard bytes = feed(n_bytes, cut_bytes, 0, 1);
    assert_same(&bytes, &whole);
    for (uint64_t seed = 1; seed <= 100; seed++) {
        const heard pieces = feed(n_bytes, cut_random, seed, 1);
        assert_same(&pieces, &whole);
    }
}

/* A pause at each byte of header, extended header, head and metadata. */
static void test_split_once(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    write_image(&writer, 2, 5, 4);
    write_status(&writer, 2, 3);
    const heard whole = feed(writer.n_bytes, cut_never, 0, 1);
    assert_int_equal(whole.n_lines, 3);
    for (uint64_t at = 1; at < writer.n_bytes; at++) {
        const heard split = feed(writer.n_bytes, cut_once, at, 1);
        assert_same(&split, &whole);
    }
}

/* Pixels that nobody placed are thrown away, and the checksum is still compared. */
static void test_not_placed(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    write_image(&writer, 2, 300, 200);
    const heard whole = feed(writer.n_bytes, cut_never, 0, 0);
    assert_int_equal(whole.n_lines, 2);
    assert_non_null(strstr(whole.lines[1], "message IMAGE 60072+4 placed 0"));
    for (size_t i = 0; i < sizeof pixels; i++)
        assert_int_equal(pixels[i], 0);
    stream[1000] ^= 4;
    const heard damaged = feed(writer.n_bytes, cut_random, 5, 0);
    assert_non_null(strstr(damaged.lines[1], "bad crc IMAGE"));
}

/* Where pixels were placed nothing is written but pixels. */
static void test_placed_exactly(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    write_image(&writer, 2, 30, 20);
    (void)feed(writer.n_bytes, cut_random, 3, 1);
    for (size_t i = 0; i < sizeof pixels; i++)
        assert_int_equal(pixels[i], i < 600 ? (uint8_t)(i * 7) : 0);
}

/* Bytes of `stream` to wherever the reader wants them, until it tells something. */
static sono_igtl_read feed_until_told(sono_igtl_reader *reader, size_t *at)
{
    sono_igtl_read told = SONO_IGTL_READ_MORE;
    while (told == SONO_IGTL_READ_MORE) {
        uint8_t *where;
        const size_t n = sono_igtl_reader_want(reader, &where);
        memcpy(where, stream + *at, n);
        *at += n;
        told = sono_igtl_reader_take(reader, n);
    }
    return told;
}

/* Nothing of an image is left for the next one: where its pixels went, that it had metadata. And a place that
 * comes late is no place. */
static void test_images_one_after_another(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    sono_igtl_reader reader;
    size_t at = 0;
    uint8_t *where;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    write_image(&writer, 2, 30, 20);
    write_image(&writer, 1, 20, 10);
    write_image(&writer, 1, 20, 10);
    sono_igtl_reader_init(&reader, &limits, scratch, sizeof scratch);
    memset(pixels, 0, sizeof pixels);
    assert_int_equal(feed_until_told(&reader, &at), SONO_IGTL_READ_IMAGE);
    sono_igtl_reader_place(&reader, pixels);
    assert_int_equal(feed_until_told(&reader, &at), SONO_IGTL_READ_MESSAGE);
    assert_int_equal(reader.is_placed, 1);
    memset(pixels, 0, sizeof pixels);
    sono_igtl_reader_place(&reader, pixels);
    assert_int_equal(feed_until_told(&reader, &at), SONO_IGTL_READ_IMAGE);
    assert_int_equal(feed_until_told(&reader, &at), SONO_IGTL_READ_MESSAGE);
    assert_int_equal(reader.is_placed, 0);
    assert_int_equal(reader.body.n_metadata, 0);
    assert_int_equal(feed_until_told(&reader, &at), SONO_IGTL_READ_IMAGE);
    assert_true(sono_igtl_reader_want(&reader, &where) > 7);
    memcpy(where, stream + at, 7);
    at += 7;
    assert_int_equal(sono_igtl_reader_take(&reader, 7), SONO_IGTL_READ_MORE);
    sono_igtl_reader_place(&reader, pixels);
    assert_int_equal(feed_until_told(&reader, &at), SONO_IGTL_READ_MESSAGE);
    assert_int_equal(reader.is_placed, 0);
    assert_int_equal(at, writer.n_bytes);
    for (size_t i = 0; i < sizeof pixels; i++)
        assert_int_equal(pixels[i], 0);
}

/* A body that fills the scratch memory, and one that is a byte larger. */
static void test_scratch(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    write_status(&writer, 1, SCRATCH_BYTES - 31);
    write_status(&writer, 1, SCRATCH_BYTES - 30);
    const heard whole = feed(writer.n_bytes, cut_never, 0, 1);
    assert_int_equal(whole.n_lines, 2);
    assert_non_null(strstr(whole.lines[0], "message STATUS 4096+0"));
    assert_string_equal(whole.lines[1], "refused STATUS limit 58");
}

static void expect_refused(size_t n_bytes, const char *line)
{
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, stream + n_bytes, sizeof stream - n_bytes);
    write_status(&writer, 1, 1);
    const heard whole = feed(n_bytes + writer.n_bytes, cut_never, 0, 1);
    const heard bytes = feed(n_bytes + writer.n_bytes, cut_bytes, 0, 1);
    assert_same(&bytes, &whole);
    assert_int_equal(whole.n_lines, strncmp(whole.lines[0], "image", 5) == 0 ? 3 : 2);
    assert_string_equal(whole.lines[whole.n_lines - 2], line);
    assert_non_null(strstr(whole.lines[whole.n_lines - 1], "message STATUS"));
}

/* Ends the message of `stream` by hand: `body_bytes` of body as they lie there, with a checksum that fits. */
static size_t seal(sono_igtl_writer *writer, uint16_t version, const char *type, size_t body_bytes)
{
    sono_igtl_header header = {.version = version, .body_bytes = body_bytes};
    memcpy(header.type, type, strlen(type));
    header.crc = sono_igtl_crc64(0, stream + 58, body_bytes);
    sono_igtl_header_encode(&header, stream);
    writer->n_bytes = 58 + body_bytes;
    return writer->n_bytes;
}

/* A refused message costs itself only: the one behind it is read. */
static void test_refused(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    write_image(&writer, 1, 5, 4);
    stream[58 + 3] = 99; /* scalar */
    expect_refused(seal(&writer, 1, "IMAGE", 92), "refused IMAGE malformed 61");
    stream[58 + 3] = SONO_IGTL_UINT8;
    stream[58 + 1] = 2; /* version of the head */
    expect_refused(seal(&writer, 1, "IMAGE", 92), "refused IMAGE unsupported 58");
    stream[58 + 1] = 1;
    expect_refused(seal(&writer, 1, "IMAGE", 91), "refused IMAGE malformed 130");
    expect_refused(seal(&writer, 1, "IMAGE", 71), "refused IMAGE malformed 58");
    expect_refused(seal(&writer, 1, "IMAGE", 0), "refused IMAGE malformed 58");
    expect_refused(seal(&writer, 2, "IMAGE", 0), "refused IMAGE malformed 58");
    expect_refused(seal(&writer, 2, "IMAGE", 11), "refused IMAGE malformed 58");
    expect_refused(seal(&writer, 2, "STATUS", 11), "refused STATUS malformed 58");
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    write_image(&writer, 2, 5, 4);
    stream[58 + 12 + 92 + 1] = 7; /* entries of metadata */
    expect_refused(seal(&writer, 2, "IMAGE", 12 + 92 + 14), "refused IMAGE malformed 162");
    /* Damaged on its way: that is what the checksum says, too. */
    stream[57] ^= 1;
    expect_refused(writer.n_bytes, "refused IMAGE crc 162");
}

static void test_metadata_limit(void **state)
{
    (void)state;
    static char value[1000];
    sono_igtl_metadata metadata = {.key = "k", .key_bytes = 1, .value = value};
    const sono_igtl_image image = small_image(2, 2);
    for (size_t over = 0; over < 2; over++) {
        sono_igtl_writer writer;
        sono_igtl_writer_init(&writer, stream, sizeof stream);
        sono_igtl_message_begin(&writer, 2, "IMAGE", "", 0);
        sono_igtl_image_head_encode(&writer, &image);
        sono_igtl_write(&writer, "abcd", 4);
        metadata.value_bytes = 1000 - 10 - 1 + over;
        assert_int_equal(sono_igtl_message_end(&writer, 0, &metadata, 1), SONO_IGTL_OK);
        if (over) {
            expect_refused(writer.n_bytes, "refused IMAGE limit 60");
        } else {
            const heard whole = feed(writer.n_bytes, cut_never, 0, 1);
            assert_non_null(strstr(whole.lines[1], "message IMAGE 76+990 placed 1"));
        }
    }
}

/* A header that cannot be believed ends the stream, whatever follows; the reader still says where to put
 * bytes.
 */
static void test_broken(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    sono_igtl_reader reader;
    uint8_t *where;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    write_status(&writer, 1, 1);
    (void)seal(&writer, 1, "STATUS", 80000);
    stream[49] += 1;
    heard h = feed(writer.n_bytes, cut_random, 1, 1);
    assert_int_equal(h.n_lines, 1);
    assert_string_equal(h.lines[0], "broken  limit 42");
    memset(stream, 0xff, 16);
    h = feed(writer.n_bytes, cut_bytes, 1, 1);
    assert_string_equal(h.lines[0], "broken  malformed 0");
    sono_igtl_reader_init(&reader, &limits, scratch, sizeof scratch);
    size_t n = sono_igtl_reader_want(&reader, &where);
    memset(where, 0, n);
    assert_int_equal(sono_igtl_reader_take(&reader, n), SONO_IGTL_READ_BROKEN);
    n = sono_igtl_reader_want(&reader, &where);
    assert_true(n > 0);
    memset(where, 0, n);
    assert_int_equal(sono_igtl_reader_take(&reader, n), SONO_IGTL_READ_BROKEN);
    assert_int_equal(sono_igtl_reader_is_inside(&reader), 0);
}

/* Garbage never makes the reader do anything but go on, refuse or break. */
static void test_garbage(void **state)
{
    (void)state;
    uint64_t random = 7;
    const size_t n_bytes = write_day();
    static uint8_t clean[sizeof stream];
    memcpy(clean, stream, n_bytes);
    for (int round = 0; round < 300; round++) {
        memcpy(stream, clean, n_bytes);
        const int n_flips = 1 + (int)(next_random(&random) % 8);
        for (int i = 0; i < n_flips; i++)
            stream[next_random(&random) % 1600] = (uint8_t)next_random(&random);
        const heard whole = feed(n_bytes, cut_never, 0, 1);
        const heard pieces = feed(n_bytes, cut_random, (uint64_t)round + 1, 1);
        assert_same(&pieces, &whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_day),
        cmocka_unit_test(test_split_once),
        cmocka_unit_test(test_not_placed),
        cmocka_unit_test(test_placed_exactly),
        cmocka_unit_test(test_images_one_after_another),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_metadata_limit),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_garbage),
    };
    return sono_test_run("igtl/reader", tests, sizeof(tests) / sizeof(tests[0]));
}
