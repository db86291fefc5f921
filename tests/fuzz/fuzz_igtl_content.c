// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer entry: any bytes as the body of any OpenIGTLink message. What can be decoded is encoded again, as
 * a whole message with its metadata; that one must decode, its checksum must fit, and encoding it once more
 * must give equal bytes. Input: one byte that chooses the type, one for the version, the body.
 */
#include "igtl_recode.h"

#define MAX_BYTES   (1 << 18) /* of an input; a message that is encoded needs a little more */
#define MAX_ENTRIES 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static const char *const queries[] = {"GET_IMAGE", "STT_TDATA",    "STT_QTDATA", "STT_POLYDATA",
                                      "STP_BIND",  "STT_VIDEO",    "RTS_TDATA",  "GET_CAPABIL",
                                      "STT_TRANS", "RTS_POLYDATA", "NONSENSE"};
#define N_QUERIES (sizeof queries / sizeof queries[0])

static const char *type_of(uint8_t choice)
{
    const size_t index = choice % (RECODE_N_TYPES + N_QUERIES);
    return index < RECODE_N_TYPES ? recode_types[index].type : queries[index - RECODE_N_TYPES];
}

static void demand(int holds)
{
    if (!holds)
        abort();
}

/* The body of a message of that header, through the structs, to a message in `memory`; its size, 0 when
 * refused. */
static size_t encode(const sono_igtl_header *header, const uint8_t *bytes, uint8_t *memory, size_t capacity)
{
    sono_igtl_body body;
    sono_igtl_writer writer;
    sono_igtl_metadata metadata[MAX_ENTRIES];
    sono_igtl_fault fault = {.offset_bytes = -1};
    uint16_t n = 0;
    if (sono_igtl_body_decode(header, bytes, (size_t)header->body_bytes, &body, &fault) != SONO_IGTL_OK) {
        demand(fault.offset_bytes >= 0 && (uint64_t)fault.offset_bytes <= header->body_bytes && fault.reason);
        return 0;
    }
    if (sono_igtl_metadata_find(&body, "frame", metadata))
        demand(metadata[0].key_bytes == 5 && memcmp(metadata[0].key, "frame", 5) == 0);
    while (n < MAX_ENTRIES && sono_igtl_metadata_at(&body, n, &metadata[n]))
        n++;
    sono_igtl_writer_init(&writer, memory, capacity);
    sono_igtl_message_begin(&writer, header->version, header->type, header->device, header->timestamp);
    if (recode(header->type, body.content, body.content_bytes, &writer, &fault) != SONO_IGTL_OK) {
        demand(fault.offset_bytes >= 0 && (uint64_t)fault.offset_bytes <= body.content_bytes && fault.reason);
        return 0;
    }
    demand(sono_igtl_message_end(&writer, body.message_id, metadata, n) == SONO_IGTL_OK);
    return writer.n_bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static uint8_t first[2 * MAX_BYTES];
    static uint8_t second[2 * MAX_BYTES];
    sono_igtl_header header = {.version = 1, .device = "Device", .timestamp = 5};
    if (n_bytes < 2 || n_bytes > MAX_BYTES)
        return 0;
    const char *type = type_of(bytes[0]);
    memcpy(header.type, type, strlen(type));
    header.version = bytes[1] % 2 ? 2 : 1;
    header.body_bytes = n_bytes - 2;
    const size_t n_first = encode(&header, bytes + 2, first, sizeof first);
    if (n_first == 0)
        return 0;
    demand(sono_igtl_header_decode(first, n_first, n_first, &header, NULL) == SONO_IGTL_OK);
    demand(header.body_bytes == n_first - SONO_IGTL_HEADER_BYTES);
    demand(header.crc == sono_igtl_crc64(0, first + SONO_IGTL_HEADER_BYTES, (size_t)header.body_bytes));
    const size_t n_second = encode(&header, first + SONO_IGTL_HEADER_BYTES, second, sizeof second);
    demand(n_second == n_first && memcmp(first, second, n_first) == 0);
    return 0;
}
