// SPDX-License-Identifier: Apache-2.0
// labels: shared
/* Messages that the reference library packed (../shared/openigtlink/upstream-fixtures.json): through the
 * structs and back to equal bytes. Messages that must be refused (negative/index.json): refused for their
 * reason. */
#include "igtl_recode.h"
#include "base/alloc.h"
#include "test.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#define MAX_MESSAGE_BYTES 65536

static uint8_t wire[MAX_MESSAGE_BYTES];
static uint8_t again[MAX_MESSAGE_BYTES];

static cJSON *read_json(const char *relative)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_need_shared(path, sizeof path, relative);
    uint8_t *text = sono_test_read_file(path, NULL);
    cJSON *json = cJSON_Parse((const char *)text);
    sono_free(text);
    assert_non_null(json);
    return json;
}

static size_t from_hex(const char *hex, uint8_t *out, size_t n_most)
{
    size_t n = 0;
    for (; hex[2 * n]; n++) {
        unsigned byte;
        assert_true(n < n_most && hex[2 * n + 1]);
        const char pair[] = {hex[2 * n], hex[2 * n + 1], 0};
        assert_int_equal(sscanf(pair, "%2x", &byte), 1);
        out[n] = (uint8_t)byte;
    }
    return n;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    assert_non_null(text);
    return text;
}

/* A whole message to a whole message; *where says what failed. */
static sono_igtl_status recode_message(size_t n_bytes, sono_igtl_writer *writer, sono_igtl_fault *fault)
{
    sono_igtl_header header;
    sono_igtl_body body;
    static sono_igtl_metadata metadata[64];
    sono_igtl_status status = sono_igtl_header_decode(wire, n_bytes, UINT64_MAX, &header, fault);
    if (status != SONO_IGTL_OK)
        return status;
    const uint8_t *bytes = wire + SONO_IGTL_HEADER_BYTES;
    status = sono_igtl_body_decode(&header, bytes, n_bytes - SONO_IGTL_HEADER_BYTES, &body, fault);
    if (status != SONO_IGTL_OK)
        return status;
    if (sono_igtl_crc64(0, bytes, (size_t)header.body_bytes) != header.crc)
        return SONO_IGTL_CRC;
    sono_igtl_message_begin(writer, header.version, header.type, header.device, header.timestamp);
    status = recode(header.type, body.content, body.content_bytes, writer, fault);
    if (status != SONO_IGTL_OK)
        return status;
    assert_true(body.n_metadata <= sizeof metadata / sizeof metadata[0]);
    for (uint16_t i = 0; i < body.n_metadata; i++)
        assert_true(sono_igtl_metadata_at(&body, i, &metadata[i]));
    return sono_igtl_message_end(writer, body.message_id, metadata, body.n_metadata);
}

static void test_fixtures(void **state)
{
    (void)state;
    cJSON *json = read_json("openigtlink/upstream-fixtures.json");
    const cJSON *fixture;
    int n = 0;
    cJSON_ArrayForEach(fixture, cJSON_GetObjectItemCaseSensitive(json, "fixtures"))
    {
        sono_igtl_writer writer;
        sono_igtl_header header;
        sono_igtl_fault fault = {0};
        const size_t n_bytes = from_hex(text_of(fixture, "wire_hex"), wire, sizeof wire);
        sono_igtl_writer_init(&writer, again, sizeof again);
        const sono_igtl_status status = recode_message(n_bytes, &writer, &fault);
        if (status != SONO_IGTL_OK)
            fail_msg("%s: %s: %s", fixture->string, sono_igtl_status_name(status), fault.reason);
        assert_int_equal(sono_igtl_header_decode(again, writer.n_bytes, UINT64_MAX, &header, NULL),
                         SONO_IGTL_OK);
        assert_string_equal(header.type, text_of(fixture, "type_id"));
        assert_string_equal(header.device, text_of(fixture, "device_name"));
        if (writer.n_bytes != n_bytes || memcmp(wire, again, n_bytes) != 0)
            fail_msg("%s: %zu bytes became %zu other ones", fixture->string, n_bytes, writer.n_bytes);
        n++;
    }
    cJSON_Delete(json);
    assert_int_equal(n, 24);
}

static sono_igtl_status status_of(const char *error_class)
{
    static const struct {
        const char *name;
        sono_igtl_status status;
    } classes[] = {{"SHORT_BUFFER", SONO_IGTL_SHORT},
                   {"MALFORMED", SONO_IGTL_MALFORMED},
                   {"CRC_MISMATCH", SONO_IGTL_CRC}};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (strcmp(error_class, classes[i].name) == 0)
            return classes[i].status;
    }
    fail_msg("%s: no such class is known here", error_class);
    return SONO_IGTL_OK;
}

static void test_refused(void **state)
{
    (void)state;
    cJSON *json = read_json("openigtlink/negative/index.json");
    const cJSON *entry;
    int n = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(json, "entries"))
    {
        char relative[256];
        char path[SONO_TEST_PATH_BYTES];
        size_t n_bytes;
        sono_igtl_writer writer;
        sono_igtl_fault fault = {.reason = "no reason"};
        (void)snprintf(relative, sizeof relative, "openigtlink/negative/%s", text_of(entry, "path"));
        sono_test_need_shared(path, sizeof path, relative);
        uint8_t *bytes = sono_test_read_file(path, &n_bytes);
        assert_true(n_bytes <= sizeof wire);
        memcpy(wire, bytes, n_bytes);
        sono_free(bytes);
        sono_igtl_writer_init(&writer, again, sizeof again);
        const sono_igtl_status status = recode_message(n_bytes, &writer, &fault);
        if (status != status_of(text_of(entry, "error_class")))
            fail_msg("%s: %s (%s) instead of %s", entry->string, sono_igtl_status_name(status), fault.reason,
                     text_of(entry, "error_class"));
        n++;
    }
    cJSON_Delete(json);
    assert_int_equal(n, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_refused),
    };
    return sono_test_run("igtl/fixtures", tests, sizeof(tests) / sizeof(tests[0]));
}
