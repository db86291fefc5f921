// SPDX-License-Identifier: Apache-2.0
/* Messages appended to the caller's memory. */
#include "igtl/wire.h"

#define EXTENDED_BYTES WIRE_EXTENDED_FIELDS_BYTES
#define ENTRY_BYTES    8
#define MAX_ENTRIES    ((UINT16_MAX - 2) / ENTRY_BYTES) /* the index's size is 16 bits on the wire */

void sono_igtl_writer_init(sono_igtl_writer *writer, uint8_t *bytes, size_t capacity)
{
    *writer = (sono_igtl_writer){.bytes = bytes, .capacity = capacity};
}

uint8_t *sono_igtl_write_room(sono_igtl_writer *writer, size_t n_bytes)
{
    if (writer->is_full || n_bytes > writer->capacity - writer->n_bytes) {
        writer->is_full = 1;
        return NULL;
    }
    uint8_t *room = writer->bytes + writer->n_bytes;
    writer->n_bytes += n_bytes;
    return room;
}

void sono_igtl_write(sono_igtl_writer *writer, const void *bytes, size_t n_bytes)
{
    if (n_bytes == 0)
        return;
    uint8_t *room = sono_igtl_write_room(writer, n_bytes);
    if (room)
        memcpy(room, bytes, n_bytes);
}

void sono_igtl_message_begin(sono_igtl_writer *writer, uint16_t version, const char *type, const char *device,
                             uint64_t timestamp)
{
    const size_t extended_bytes = version < 2 ? 0 : EXTENDED_BYTES;
    writer->begin = writer->n_bytes;
    uint8_t *room = sono_igtl_write_room(writer, SONO_IGTL_HEADER_BYTES + extended_bytes);
    if (!room)
        return;
    memset(room, 0, SONO_IGTL_HEADER_BYTES + extended_bytes);
    wire_put_u16(room, version);
    wire_put_chars(room + 2, type, SONO_IGTL_TYPE_CHARS);
    wire_put_chars(room + 14, device, SONO_IGTL_DEVICE_CHARS);
    wire_put_u64(room + 34, timestamp);
}

static sono_igtl_status metadata_size(const sono_igtl_metadata *metadata, size_t n_metadata,
                                      uint64_t *n_bytes)
{
    uint64_t sum = 0;
    if (n_metadata > MAX_ENTRIES)
        return SONO_IGTL_LIMIT;
    for (size_t i = 0; i < n_metadata; i++) {
        if (metadata[i].key_bytes > UINT16_MAX || metadata[i].value_bytes > UINT32_MAX)
            return SONO_IGTL_LIMIT;
        sum += metadata[i].key_bytes + metadata[i].value_bytes;
    }
    if (sum > UINT32_MAX)
        return SONO_IGTL_LIMIT;
    *n_bytes = sum;
    return SONO_IGTL_OK;
}

static void write_metadata(sono_igtl_writer *writer, const sono_igtl_metadata *metadata, size_t n_metadata)
{
    uint8_t *index = sono_igtl_write_room(writer, 2 + ENTRY_BYTES * n_metadata);
    if (!index)
        return;
    wire_put_u16(index, (uint16_t)n_metadata);
    for (size_t i = 0; i < n_metadata; i++) {
        uint8_t *entry = index + 2 + ENTRY_BYTES * i;
        wire_put_u16(entry, (uint16_t)metadata[i].key_bytes);
        wire_put_u16(entry + 2, metadata[i].encoding);
        wire_put_u32(entry + 4, (uint32_t)metadata[i].value_bytes);
    }
    for (size_t i = 0; i < n_metadata; i++) {
        sono_igtl_write(writer, metadata[i].key, metadata[i].key_bytes);
        sono_igtl_write(writer, metadata[i].value, metadata[i].value_bytes);
    }
}

/* What _end() does while there is room; on a failure the caller takes the message back. */
static sono_igtl_status end_message(sono_igtl_writer *writer, uint32_t message_id,
                                    const sono_igtl_metadata *metadata, size_t n_metadata)
{
    uint8_t *header = writer->bytes + writer->begin;
    uint8_t *body = header + SONO_IGTL_HEADER_BYTES;
    if (writer->n_bytes - writer->begin < SONO_IGTL_HEADER_BYTES)
        return SONO_IGTL_MALFORMED;
    if (wire_u16(header) >= 2) {
        uint64_t metadata_bytes;
        const sono_igtl_status status = metadata_size(metadata, n_metadata, &metadata_bytes);
        if (status != SONO_IGTL_OK)
            return status;
        write_metadata(writer, metadata, n_metadata);
        wire_put_u16(body, EXTENDED_BYTES);
        wire_put_u16(body + 2, (uint16_t)(2 + ENTRY_BYTES * n_metadata));
        wire_put_u32(body + 4, (uint32_t)metadata_bytes);
        wire_put_u32(body + 8, message_id);
    }
    if (writer->is_full)
        return SONO_IGTL_FULL;
    const size_t body_bytes = writer->n_bytes - writer->begin - SONO_IGTL_HEADER_BYTES;
    wire_put_u64(header + 42, body_bytes);
    wire_put_u64(header + 50, sono_igtl_crc64(0, body, body_bytes));
    return SONO_IGTL_OK;
}

sono_igtl_status sono_igtl_message_end(sono_igtl_writer *writer, uint32_t message_id,
                                       const sono_igtl_metadata *metadata, size_t n_metadata)
{
    sono_igtl_status status = SONO_IGTL_FULL;
    if (!writer->is_full)
        status = end_message(writer, message_id, metadata, n_metadata);
    if (status != SONO_IGTL_OK)
        writer->n_bytes = writer->begin;
    writer->begin = writer->n_bytes;
    return status;
}
