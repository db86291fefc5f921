// SPDX-License-Identifier: Apache-2.0
/* Header, extended header, metadata, timestamps and the writer; and messages that are too short, too large or
 * at odds with themselves. */
#include "igtl/messages.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define NO_LIMIT UINT64_MAX

static uint8_t memory[200000];

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* A version-2 STRING "text" with two entries of metadata in `memory`; its length. */
static size_t write_string(sono_igtl_writer *writer)
{
    const sono_igtl_string string = {3, "text", 4};
    const sono_igtl_metadata metadata[] = {
        {.key = "first", .key_bytes = 5, .value = "1", .value_bytes = 1, .encoding = 3},
        {.key = "second", .key_bytes = 6, .value = "\xc3\xa9", .value_bytes = 2, .encoding = 106},
    };
    sono_igtl_writer_init(writer, memory, sizeof memory);
    sono_igtl_message_begin(writer, 2, "STRING", "Device", 77);
    sono_igtl_string_encode(writer, &string);
    assert_int_equal(sono_igtl_message_end(writer, 5, metadata, 2), SONO_IGTL_OK);
    return writer->n_bytes;
}

/* Decodes the header and the body of the first message of `memory`. */
static sono_igtl_status decode(size_t n_bytes, sono_igtl_header *header, sono_igtl_body *body,
                               sono_igtl_fault *fault)
{
    const sono_igtl_status status = sono_igtl_header_decode(memory, n_bytes, NO_LIMIT, header, fault);
    if (status != SONO_IGTL_OK)
        return status;
    return sono_igtl_body_decode(header, memory + SONO_IGTL_HEADER_BYTES, n_bytes - SONO_IGTL_HEADER_BYTES,
                                 body, fault);
}

static void assert_refused(size_t n_bytes, sono_igtl_status expected, int64_t offset_bytes)
{
    sono_igtl_header header;
    sono_igtl_body body = {.n_metadata = 99};
    sono_igtl_fault fault;
    assert_int_equal(decode(n_bytes, &header, &body, &fault), expected);
    assert_int_equal(fault.status, expected);
    assert_int_equal(fault.offset_bytes, offset_bytes);
    assert_non_null(fault.reason);
    assert_int_equal(body.n_metadata, 99);
}

static void test_version_2(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    sono_igtl_header header;
    sono_igtl_body body;
    sono_igtl_metadata entry;
    const size_t n_bytes = write_string(&writer);
    assert_int_equal(n_bytes, 58 + 12 + 8 + 2 + 16 + 14);
    assert_int_equal(decode(n_bytes, &header, &body, NULL), SONO_IGTL_OK);
    assert_int_equal(header.version, 2);
    assert_string_equal(header.type, "STRING");
    assert_string_equal(header.device, "Device");
    assert_true(header.timestamp == 77);
    assert_true(header.crc == sono_igtl_crc64(0, memory + 58, n_bytes - 58));
    assert_int_equal(body.extended_bytes, 12);
    assert_int_equal(body.message_id, 5);
    assert_int_equal(body.content_bytes, 8);
    assert_int_equal(body.n_metadata, 2);
    assert_true(sono_igtl_metadata_at(&body, 1, &entry));
    assert_int_equal(entry.key_bytes, 6);
    assert_memory_equal(entry.key, "second", 6);
    assert_int_equal(entry.value_bytes, 2);
    assert_memory_equal(entry.value, "\xc3\xa9", 2);
    assert_int_equal(entry.encoding, 106);
    assert_false(sono_igtl_metadata_at(&body, 2, &entry));
    assert_true(sono_igtl_metadata_find(&body, "first", &entry));
    assert_memory_equal(entry.value, "1", 1);
    assert_false(sono_igtl_metadata_find(&body, "firs", &entry));
    assert_false(sono_igtl_metadata_find(&body, "third", &entry));
}

static void test_version_1(void **state)
{
    (void)state;
    const sono_igtl_metadata metadata = {.key = "k", .key_bytes = 1, .value = "v", .value_bytes = 1};
    sono_igtl_writer writer;
    sono_igtl_header header;
    sono_igtl_body body;
    sono_igtl_writer_init(&writer, memory, sizeof memory);
    sono_igtl_message_begin(&writer, 1, "GET_STATUS", "", 0);
    assert_int_equal(sono_igtl_message_end(&writer, 5, &metadata, 1), SONO_IGTL_OK);
    assert_int_equal(writer.n_bytes, 58);
    assert_int_equal(decode(58, &header, &body, NULL), SONO_IGTL_OK);
    assert_true(header.crc == 0);
    assert_int_equal(body.content_bytes + body.n_metadata + body.message_id, 0);
}

/* Strings that fill their fields have no 0 on the wire; longer ones are cut. */
static void test_full_strings(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    sono_igtl_header header;
    sono_igtl_header again;
    uint8_t wire[SONO_IGTL_HEADER_BYTES];
    sono_igtl_writer_init(&writer, memory, sizeof memory);
    sono_igtl_message_begin(&writer, 1, "ABCDEFGHIJKLM", "abcdefghijklmnopqrstuvwxyz", 1);
    assert_int_equal(sono_igtl_message_end(&writer, 0, NULL, 0), SONO_IGTL_OK);
    assert_memory_equal(memory + 2, "ABCDEFGHIJKLabcdefghijklmnopqrst", 32);
    assert_int_equal(sono_igtl_header_decode(memory, 58, 0, &header, NULL), SONO_IGTL_OK);
    assert_string_equal(header.type, "ABCDEFGHIJKL");
    assert_string_equal(header.device, "abcdefghijklmnopqrst");
    sono_igtl_header_encode(&header, wire);
    assert_memory_equal(wire, memory, sizeof wire);
    assert_int_equal(sono_igtl_header_decode(wire, sizeof wire, 0, &again, NULL), SONO_IGTL_OK);
    assert_string_equal(again.device, header.device);
}

static void test_header_refused(void **state)
{
    (void)state;
    sono_igtl_writer writer;
    const size_t n_bytes = write_string(&writer);
    for (size_t n = 0; n < SONO_IGTL_HEADER_BYTES; n++)
        assert_refused(n, SONO_IGTL_SHORT, (int64_t)n);
    for (size_t n = SONO_IGTL_HEADER_BYTES; n < n_bytes; n++)
        assert_refused(n, SONO_IGTL_SHORT, (int64_t)n - SONO_IGTL_HEADER_BYTES);
    put_u16(memory, 0);
    assert_refused(n_bytes, SONO_IGTL_MALFORMED, 0);
    put_u16(memory, 3);
    assert_refused(n_bytes, SONO_IGTL_MALFORMED, 0);
    put_u16(memory, 2);
    memory[3] = '\n';
    assert_refused(n_bytes, SONO_IGTL_MALFORMED, 2);
    memory[2] = 0;
    assert_refused(n_bytes, SONO_IGTL_MALFORMED, 2);
    sono_igtl_header header;
    sono_igtl_fault fault;
    write_string(&writer);
    assert_int_equal(sono_igtl_header_decode(memory, n_bytes, n_bytes - 59, &header, &fault),
                     SONO_IGTL_LIMIT);
    assert_int_equal(fault.offset_bytes, 42);
    assert_int_equal(sono_igtl_header_decode(memory, n_bytes, n_bytes - 58, &header, NULL), SONO_IGTL_OK);
}

/* Each size of the extended header and of the metadata's index at odds with the rest. */
static void test_body_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* of the body */
        uint16_t value;
        int64_t offset_bytes;
    } cases[] = {
        {0, 11, 0},  {0, 0, 0},        {0, 60000, 0},    {0, 21, 2},       {2, 0, 2},
        {2, 1, 2},   {2, 17, 21},      {2, 65535, 2},    {4, 0x1000, 2},   {4, 0xffff, 2},
        {6, 13, 21}, {20, 1, 20},      {20, 3, 20},      {20, 0xffff, 20}, {22, 6, 30},
        {22, 4, 20}, {26, 0xffff, 22}, {28, 0xffff, 22}, {36, 0, 20},      {30, 7, 30},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sono_igtl_writer writer;
        const size_t n_bytes = write_string(&writer);
        put_u16(memory + 58 + cases[i].at, cases[i].value);
        sono_igtl_header header;
        sono_igtl_body body;
        sono_igtl_fault fault = {0};
        const sono_igtl_status status = decode(n_bytes, &header, &body, &fault);
        if (status != SONO_IGTL_MALFORMED || fault.offset_bytes != cases[i].offset_bytes)
            fail_msg("case %zu: %s at %d: %s", i, sono_igtl_status_name(status), (int)fault.offset_bytes,
                     fault.reason ? fault.reason : "");
    }
}

/* Peers may send no index at all, a larger extended header, and nothing in version 2. */
static void test_body_variants(void **state)
{
    (void)state;
    const uint8_t larger[] = {0, 14, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 'x', 0, 0};
    const uint8_t without[] = {0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 'x'};
    sono_igtl_header header = {.version = 2, .body_bytes = sizeof larger};
    sono_igtl_body body;
    assert_int_equal(sono_igtl_body_decode(&header, larger, sizeof larger, &body, NULL), SONO_IGTL_OK);
    assert_int_equal(body.content_bytes, 1);
    assert_int_equal(body.content[0], 'x');
    assert_int_equal(body.message_id, 9);
    header.body_bytes = sizeof without;
    assert_int_equal(sono_igtl_body_decode(&header, without, sizeof without, &body, NULL), SONO_IGTL_OK);
    assert_int_equal(body.content_bytes, 1);
    assert_int_equal(body.n_metadata, 0);
    header.body_bytes = 0;
    assert_int_equal(sono_igtl_body_decode(&header, NULL, 0, &body, NULL), SONO_IGTL_OK);
    assert_int_equal(body.content_bytes, 0);
    for (header.body_bytes = 1; header.body_bytes < 12; header.body_bytes++) {
        assert_int_equal(sono_igtl_body_decode(&header, without, sizeof without, &body, NULL),
                         SONO_IGTL_MALFORMED);
    }
}

static void test_large_metadata(void **state)
{
    (void)state;
    enum { VALUE_BYTES = 70000 };
    sono_igtl_writer writer;
    sono_igtl_header header;
    sono_igtl_body body;
    sono_igtl_metadata entry = {.key = "large", .key_bytes = 5, .value_bytes = VALUE_BYTES, .encoding = 106};
    char *value = malloc(VALUE_BYTES);
    assert_non_null(value);
    memset(value, 'v', VALUE_BYTES);
    value[VALUE_BYTES - 1] = 'z';
    entry.value = value;
    sono_igtl_writer_init(&writer, memory, sizeof memory);
    sono_igtl_message_begin(&writer, 2, "STATUS", "", 0);
    assert_int_equal(sono_igtl_message_end(&writer, 1, &entry, 1), SONO_IGTL_OK);
    assert_int_equal(decode(writer.n_bytes, &header, &body, NULL), SONO_IGTL_OK);
    assert_true(sono_igtl_metadata_find(&body, "large", &entry));
    assert_int_equal(entry.value_bytes, VALUE_BYTES);
    assert_memory_equal(entry.value, value, VALUE_BYTES);
    free(value);
}

/* Every capacity that is too small: FULL, whole messages stay, nothing is written behind the end. */
static void test_full_writer(void **state)
{
    (void)state;
    const sono_igtl_metadata metadata = {.key = "key", .key_bytes = 3, .value = "value", .value_bytes = 5};
    const sono_igtl_state status = {.code = 1, .name = "name", .text = "text", .text_bytes = 4};
    const size_t n_needed = 58 + 12 + 35 + 2 + 8 + 8;
    for (size_t capacity = 0; capacity <= n_needed; capacity++) {
        sono_igtl_writer writer;
        memset(memory, 0xee, 58 + n_needed + 1);
        sono_igtl_writer_init(&writer, memory, 58 + capacity);
        sono_igtl_message_begin(&writer, 1, "GET_STATUS", "", 0);
        assert_int_equal(sono_igtl_message_end(&writer, 0, NULL, 0), SONO_IGTL_OK);
        sono_igtl_message_begin(&writer, 2, "STATUS", "", 0);
        sono_igtl_status_encode(&writer, &status);
        const sono_igtl_status ended = sono_igtl_message_end(&writer, 0, &metadata, 1);
        assert_int_equal(ended, capacity < n_needed ? SONO_IGTL_FULL : SONO_IGTL_OK);
        assert_int_equal(writer.is_full, capacity < n_needed);
        assert_int_equal(writer.n_bytes, capacity < n_needed ? 58 : 58 + n_needed);
        assert_int_equal(memory[58 + capacity], 0xee);
    }
}

static void test_writer_limits(void **state)
{
    (void)state;
    static sono_igtl_metadata many[8192];
    const sono_igtl_metadata long_key = {.key = "", .key_bytes = 65536, .value = ""};
    const sono_igtl_metadata long_value = {.key = "", .value_bytes = UINT64_C(1) << 32, .value = ""};
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, memory, sizeof memory);
    assert_int_equal(sono_igtl_message_end(&writer, 0, NULL, 0), SONO_IGTL_MALFORMED);
    sono_igtl_message_begin(&writer, 2, "A", "", 0);
    assert_int_equal(sono_igtl_message_end(&writer, 0, &long_key, 1), SONO_IGTL_LIMIT);
    assert_int_equal(writer.n_bytes, 0);
    sono_igtl_message_begin(&writer, 2, "A", "", 0);
    assert_int_equal(sono_igtl_message_end(&writer, 0, &long_value, 1), SONO_IGTL_LIMIT);
    sono_igtl_message_begin(&writer, 2, "A", "", 0);
    assert_int_equal(sono_igtl_message_end(&writer, 0, many, 8192), SONO_IGTL_LIMIT);
    sono_igtl_message_begin(&writer, 2, "A", "", 0);
    assert_int_equal(sono_igtl_message_end(&writer, 0, many, 8191), SONO_IGTL_OK);
    sono_igtl_header header;
    sono_igtl_body body;
    assert_int_equal(decode(writer.n_bytes, &header, &body, NULL), SONO_IGTL_OK);
    assert_int_equal(body.n_metadata, 8191);
}

static void test_timestamps(void **state)
{
    (void)state;
    uint64_t random = 42;
    assert_true(sono_igtl_timestamp_ns(0) == 0 && sono_igtl_timestamp_raw(0) == 0);
    assert_true(sono_igtl_timestamp_ns(UINT64_C(0x0000000180000000)) == 1500000000);
    assert_true(sono_igtl_timestamp_raw(1500000000) == UINT64_C(0x0000000180000000));
    assert_true(sono_igtl_timestamp_raw(2) == 9); /* 8.59 */
    assert_true(sono_igtl_timestamp_raw(-1) == 0 && sono_igtl_timestamp_raw(INT64_MIN) == 0);
    assert_true(sono_igtl_timestamp_raw(INT64_MAX) == UINT64_MAX);
    assert_true(sono_igtl_timestamp_ns(UINT64_MAX) == INT64_C(4294967296000000000));
    const int64_t last_ns = INT64_C(4294967295999999999);
    assert_true(sono_igtl_timestamp_ns(sono_igtl_timestamp_raw(last_ns)) == last_ns);
    for (int i = 0; i < 1000000; i++) {
        const int64_t ns = (int64_t)(next_random(&random) % (uint64_t)(last_ns + 1));
        assert_true(sono_igtl_timestamp_ns(sono_igtl_timestamp_raw(ns)) == ns);
    }
}

static void test_status_names(void **state)
{
    (void)state;
    for (int i = SONO_IGTL_OK; i <= SONO_IGTL_FULL; i++)
        assert_string_not_equal(sono_igtl_status_name((sono_igtl_status)i), "unknown");
    assert_string_equal(sono_igtl_status_name(SONO_IGTL_MALFORMED), "malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_2),      cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_full_strings),   cmocka_unit_test(test_header_refused),
        cmocka_unit_test(test_body_refused),   cmocka_unit_test(test_body_variants),
        cmocka_unit_test(test_large_metadata), cmocka_unit_test(test_full_writer),
        cmocka_unit_test(test_writer_limits),  cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_status_names),
    };
    return sono_test_run("igtl/framing", tests, sizeof(tests) / sizeof(tests[0]));
}
