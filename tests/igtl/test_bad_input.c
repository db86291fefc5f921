// SPDX-License-Identifier: Apache-2.0
/* Input that broke the reference library, each built here byte by byte, with a checksum that fits: decoded at
 * once and read from a stream. What follows it on the stream must still be read. */
#include "igtl_recode.h"
#include "igtl/reader.h"
#include "test.h"

#define LIMIT_BYTES   (1 << 20)
#define SCRATCH_BYTES 100000

static uint8_t stream[200000];
static uint8_t scratch[SCRATCH_BYTES];
static uint8_t pixels[64];
static uint8_t content[4096];

/* A header for n_bytes of body, which lie behind it already. */
static size_t seal(uint16_t version, const char *type, size_t n_bytes)
{
    sono_igtl_header header = {.version = version, .body_bytes = n_bytes};
    memcpy(header.type, type, strlen(type));
    header.crc = sono_igtl_crc64(0, stream + SONO_IGTL_HEADER_BYTES, n_bytes);
    sono_igtl_header_encode(&header, stream);
    return SONO_IGTL_HEADER_BYTES + n_bytes;
}

static sono_igtl_status decode(size_t n_bytes)
{
    sono_igtl_header header;
    sono_igtl_body body;
    sono_igtl_writer writer;
    sono_igtl_fault fault = {0};
    sono_igtl_status status = sono_igtl_header_decode(stream, n_bytes, UINT64_MAX, &header, &fault);
    if (status == SONO_IGTL_OK)
        status = sono_igtl_body_decode(&header, stream + SONO_IGTL_HEADER_BYTES,
                                       n_bytes - SONO_IGTL_HEADER_BYTES, &body, &fault);
    sono_igtl_writer_init(&writer, content, sizeof content);
    if (status == SONO_IGTL_OK)
        status = recode(header.type, body.content, body.content_bytes, &writer, &fault);
    assert_int_equal(fault.status, status);
    return status;
}

/* Feeds the stream in pieces; what was told of its first message. The STATUS behind it must arrive unless the
 * stream broke. */
static sono_igtl_read feed(size_t n_bytes, size_t piece, sono_igtl_status *status)
{
    const sono_igtl_limits limits = {.max_body_bytes = LIMIT_BYTES, .max_metadata_bytes = 90000};
    const sono_igtl_state ok = {.code = SONO_IGTL_CODE_OK, .name = "OK", .text = "", .text_bytes = 0};
    sono_igtl_reader reader;
    sono_igtl_writer writer;
    sono_igtl_read first = SONO_IGTL_READ_MORE;
    sono_igtl_read last = SONO_IGTL_READ_MORE;
    sono_igtl_writer_init(&writer, stream + n_bytes, sizeof stream - n_bytes);
    sono_igtl_message_begin(&writer, 1, "STATUS", "", 0);
    sono_igtl_status_encode(&writer, &ok);
    assert_int_equal(sono_igtl_message_end(&writer, 0, NULL, 0), SONO_IGTL_OK);
    sono_igtl_reader_init(&reader, &limits, scratch, sizeof scratch);
    for (size_t at = 0; at < n_bytes + writer.n_bytes && last != SONO_IGTL_READ_BROKEN;) {
        uint8_t *where;
        size_t n = sono_igtl_reader_want(&reader, &where);
        n = n < piece ? n : piece;
        n = n < n_bytes + writer.n_bytes - at ? n : n_bytes + writer.n_bytes - at;
        memcpy(where, stream + at, n);
        at += n;
        last = sono_igtl_reader_take(&reader, n);
        if (last == SONO_IGTL_READ_IMAGE) {
            assert_true(sono_igtl_image_pixel_bytes(&reader.image) <= sizeof pixels);
            sono_igtl_reader_place(&reader, pixels);
        } else if (last != SONO_IGTL_READ_MORE && first == SONO_IGTL_READ_MORE) {
            first = last;
            *status = reader.fault.status;
        }
    }
    if (first != SONO_IGTL_READ_BROKEN) {
        assert_int_equal(last, SONO_IGTL_READ_MESSAGE);
        assert_string_equal(reader.header.type, "STATUS");
    }
    return first;
}

static void expect(size_t n_bytes, sono_igtl_status decoded, sono_igtl_read read, sono_igtl_status told)
{
    assert_int_equal(decode(n_bytes), decoded);
    for (size_t piece = 1; piece < 200000; piece = 3 * piece + 1) {
        sono_igtl_status status = SONO_IGTL_OK;
        assert_int_equal(feed(n_bytes, piece, &status), read);
        assert_int_equal(status, told);
    }
}

static void write_image(uint16_t version, uint16_t side, uint16_t said_side)
{
    const sono_igtl_image image = {
        .version = 1,
        .n_components = 1,
        .scalar = SONO_IGTL_UINT8,
        .endian = 2,
        .coordinates = 1,
        .size = {said_side, said_side, 1},
        .subsize = {said_side, said_side, 1},
    };
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    sono_igtl_message_begin(&writer, version, "IMAGE", "", 0);
    sono_igtl_image_head_encode(&writer, &image);
    sono_igtl_write(&writer, "0123456789abcdef", (size_t)side * side);
    assert_int_equal(sono_igtl_message_end(&writer, 0, NULL, 0), SONO_IGTL_OK);
}

static void test_extended_header_of_60000(void **state)
{
    (void)state;
    write_image(2, 4, 4);
    stream[58] = 60000 >> 8;
    stream[59] = 60000 & 255;
    expect(seal(2, "IMAGE", 12 + 72 + 16 + 2), SONO_IGTL_MALFORMED, SONO_IGTL_READ_REFUSED,
           SONO_IGTL_MALFORMED);
}

static void test_metadata_of_256_mib(void **state)
{
    (void)state;
    write_image(2, 4, 4);
    stream[58 + 4] = 0x10;
    expect(seal(2, "IMAGE", 12 + 72 + 16 + 2), SONO_IGTL_MALFORMED, SONO_IGTL_READ_REFUSED,
           SONO_IGTL_MALFORMED);
}

static void test_image_of_10_bytes(void **state)
{
    (void)state;
    write_image(1, 4, 4);
    expect(seal(1, "IMAGE", 10), SONO_IGTL_MALFORMED, SONO_IGTL_READ_REFUSED, SONO_IGTL_MALFORMED);
}

static void test_image_of_16_pixels_that_says_16_million(void **state)
{
    (void)state;
    write_image(1, 4, 4000);
    expect(seal(1, "IMAGE", 72 + 16), SONO_IGTL_MALFORMED, SONO_IGTL_READ_REFUSED, SONO_IGTL_MALFORMED);
}

static void test_body_of_almost_2_to_the_64(void **state)
{
    (void)state;
    write_image(1, 4, 4);
    memset(stream + 42, 0xff, 7);
    stream[49] = 0;
    expect(58 + 72 + 16, SONO_IGTL_SHORT, SONO_IGTL_READ_BROKEN, SONO_IGTL_LIMIT);
}

static void test_string_of_3_bytes_that_says_60000(void **state)
{
    (void)state;
    static const uint8_t body[] = {0, 3, 60000 >> 8, 60000 & 255, 'a', 'b', 'c'};
    memcpy(stream + 58, body, sizeof body);
    /* The reader hands on contents that it does not know; their decoder refuses. */
    expect(seal(1, "STRING", sizeof body), SONO_IGTL_MALFORMED, SONO_IGTL_READ_MESSAGE, SONO_IGTL_OK);
}

/* Legal, and must be accepted. */
static void test_metadata_of_70000_bytes(void **state)
{
    (void)state;
    static char value[70000];
    const sono_igtl_image image = {
        .version = 1,
        .n_components = 1,
        .scalar = SONO_IGTL_UINT8,
        .endian = 2,
        .coordinates = 1,
        .size = {4, 4, 1},
        .subsize = {4, 4, 1},
    };
    memset(value, 'v', sizeof value);
    const sono_igtl_metadata metadata = {
        .key = "k", .key_bytes = 1, .value = value, .value_bytes = sizeof value, .encoding = 3};
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, stream, sizeof stream);
    sono_igtl_message_begin(&writer, 2, "IMAGE", "", 0);
    sono_igtl_image_head_encode(&writer, &image);
    sono_igtl_write(&writer, "0123456789abcdef", 16);
    assert_int_equal(sono_igtl_message_end(&writer, 0, &metadata, 1), SONO_IGTL_OK);
    expect(writer.n_bytes, SONO_IGTL_OK, SONO_IGTL_READ_MESSAGE, SONO_IGTL_OK);
    assert_memory_equal(pixels, "0123456789abcdef", 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extended_header_of_60000),
        cmocka_unit_test(test_metadata_of_256_mib),
        cmocka_unit_test(test_image_of_10_bytes),
        cmocka_unit_test(test_image_of_16_pixels_that_says_16_million),
        cmocka_unit_test(test_body_of_almost_2_to_the_64),
        cmocka_unit_test(test_string_of_3_bytes_that_says_60000),
        cmocka_unit_test(test_metadata_of_70000_bytes),
    };
    return sono_test_run("igtl/bad_input", tests, sizeof(tests) / sizeof(tests[0]));
}
