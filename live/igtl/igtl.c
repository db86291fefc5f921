// SPDX-License-Identifier: Apache-2.0
/* Header, body and timestamps. Layout: OpenIGTLink protocol, Documents/Protocol/header.md, v3_proposal.md and
 * timestamp.md of the reference library (@ 94244fe). */
#include "igtl/wire.h"

#define METADATA_ENTRY_BYTES 8
#define NS_PER_S             1000000000u
#define HALF_FRACTION        (UINT64_C(1) << 31)

const char *sono_igtl_status_name(sono_igtl_status status)
{
    switch (status) {
    case SONO_IGTL_OK:
        return "ok";
    case SONO_IGTL_SHORT:
        return "short";
    case SONO_IGTL_LIMIT:
        return "limit";
    case SONO_IGTL_MALFORMED:
        return "malformed";
    case SONO_IGTL_CRC:
        return "crc";
    case SONO_IGTL_UNSUPPORTED:
        return "unsupported";
    case SONO_IGTL_FULL:
        return "full";
    }
    return "unknown";
}

static int is_type(const char *type)
{
    for (const char *at = type; *at; at++) {
        if (*at < ' ' || *at > '~')
            return 0;
    }
    return type[0] != 0;
}

sono_igtl_status sono_igtl_header_decode(const uint8_t *bytes, size_t n_bytes, uint64_t max_body_bytes,
                                         sono_igtl_header *out, sono_igtl_fault *fault)
{
    sono_igtl_header header;
    if (n_bytes < SONO_IGTL_HEADER_BYTES)
        return wire_fail(fault, SONO_IGTL_SHORT, n_bytes, "the bytes end within the 58-byte header");
    header.version = wire_u16(bytes);
    wire_chars(bytes + 2, header.type, SONO_IGTL_TYPE_CHARS);
    wire_chars(bytes + 14, header.device, SONO_IGTL_DEVICE_CHARS);
    header.timestamp = wire_u64(bytes + 34);
    header.body_bytes = wire_u64(bytes + 42);
    header.crc = wire_u64(bytes + 50);
    if (header.version < 1 || header.version > 2)
        return WIRE_MALFORMED(0, "the header's version is neither 1 nor 2");
    if (!is_type(header.type))
        return WIRE_MALFORMED(2, "the message type is empty or not printable");
    if (header.body_bytes > max_body_bytes)
        return wire_fail(fault, SONO_IGTL_LIMIT, 42, "the body is larger than the limit");
    *out = header;
    return SONO_IGTL_OK;
}

void sono_igtl_header_encode(const sono_igtl_header *header, uint8_t out[SONO_IGTL_HEADER_BYTES])
{
    wire_put_u16(out, header->version);
    wire_put_chars(out + 2, header->type, SONO_IGTL_TYPE_CHARS);
    wire_put_chars(out + 14, header->device, SONO_IGTL_DEVICE_CHARS);
    wire_put_u64(out + 34, header->timestamp);
    wire_put_u64(out + 42, header->body_bytes);
    wire_put_u64(out + 50, header->crc);
}

sono_igtl_status wire_extended_decode(const uint8_t *fields, uint64_t body_bytes, wire_extended *out,
                                      sono_igtl_fault *fault)
{
    wire_extended extended;
    if (body_bytes < WIRE_EXTENDED_FIELDS_BYTES)
        return WIRE_MALFORMED(0, "the body has no room for the extended header");
    extended.own_bytes = wire_u16(fields);
    extended.index_bytes = wire_u16(fields + 2);
    extended.metadata_bytes = wire_u32(fields + 4);
    extended.message_id = wire_u32(fields + 8);
    if (extended.own_bytes < WIRE_EXTENDED_FIELDS_BYTES)
        return WIRE_MALFORMED(0, "the extended header says that it has less than 12 bytes");
    if (extended.own_bytes > body_bytes)
        return WIRE_MALFORMED(0, "the extended header is larger than the body");
    const uint64_t tail_bytes = (uint64_t)extended.index_bytes + extended.metadata_bytes;
    if (tail_bytes > body_bytes - extended.own_bytes)
        return WIRE_MALFORMED(2, "the metadata is larger than the rest of the body");
    if (extended.index_bytes == 0 ? extended.metadata_bytes != 0 : extended.index_bytes < 2)
        return WIRE_MALFORMED(2, "the metadata's index has no room for its count");
    extended.content_bytes = body_bytes - extended.own_bytes - tail_bytes;
    *out = extended;
    return SONO_IGTL_OK;
}

sono_igtl_status wire_metadata_check(const uint8_t *index, uint16_t index_bytes, uint32_t metadata_bytes,
                                     sono_igtl_fault *fault)
{
    const uint16_t n = wire_u16(index);
    if (2 + METADATA_ENTRY_BYTES * (uint32_t)n != index_bytes)
        return WIRE_MALFORMED(0, "the metadata's index does not have the size of its count of entries");
    uint64_t sum = 0;
    for (uint16_t i = 0; i < n; i++) {
        const uint8_t *entry = index + 2 + METADATA_ENTRY_BYTES * (size_t)i;
        sum += (uint64_t)wire_u16(entry) + wire_u32(entry + 4);
        if (sum > metadata_bytes)
            return WIRE_MALFORMED((uint64_t)(entry - index), "a metadata entry reaches beyond the metadata");
    }
    if (sum != metadata_bytes)
        return WIRE_MALFORMED(0, "the metadata entries do not add up to the metadata's size");
    return SONO_IGTL_OK;
}

sono_igtl_status sono_igtl_body_decode(const sono_igtl_header *header, const uint8_t *bytes, size_t n_bytes,
                                       sono_igtl_body *out, sono_igtl_fault *fault)
{
    wire_extended extended;
    sono_igtl_body body = {.content = bytes};
    if (n_bytes < header->body_bytes)
        return wire_fail(fault, SONO_IGTL_SHORT, n_bytes, "the bytes end within the body");
    if (header->version < 2 || header->body_bytes == 0) {
        body.content_bytes = (size_t)header->body_bytes;
        *out = body;
        return SONO_IGTL_OK;
    }
    sono_igtl_status status = wire_extended_decode(bytes, header->body_bytes, &extended, fault);
    if (status != SONO_IGTL_OK)
        return status;
    body.content = bytes + extended.own_bytes;
    body.content_bytes = (size_t)extended.content_bytes;
    body.extended_bytes = extended.own_bytes;
    body.message_id = extended.message_id;
    if (extended.index_bytes) {
        const uint8_t *index = body.content + body.content_bytes;
        status = wire_metadata_check(index, extended.index_bytes, extended.metadata_bytes, fault);
        if (status != SONO_IGTL_OK) {
            if (fault)
                fault->offset_bytes += index - bytes;
            return status;
        }
        body.n_metadata = wire_u16(index);
        body.index = index + 2;
        body.metadata = index + extended.index_bytes;
        body.metadata_bytes = extended.metadata_bytes;
    }
    *out = body;
    return SONO_IGTL_OK;
}

/* The entry whose index record is `record` and whose key lies at `at`. */
static sono_igtl_metadata entry_at(const uint8_t *record, const uint8_t *at)
{
    const sono_igtl_metadata entry = {
        .key = (const char *)at,
        .key_bytes = wire_u16(record),
        .encoding = wire_u16(record + 2),
        .value = (const char *)at + wire_u16(record),
        .value_bytes = wire_u32(record + 4),
    };
    return entry;
}

int sono_igtl_metadata_at(const sono_igtl_body *body, uint16_t index, sono_igtl_metadata *out)
{
    const uint8_t *at = body->metadata;
    if (index >= body->n_metadata)
        return 0;
    for (uint16_t i = 0; i < index; i++) {
        const sono_igtl_metadata entry = entry_at(body->index + METADATA_ENTRY_BYTES * (size_t)i, at);
        at += entry.key_bytes + entry.value_bytes;
    }
    *out = entry_at(body->index + METADATA_ENTRY_BYTES * (size_t)index, at);
    return 1;
}

int sono_igtl_metadata_find(const sono_igtl_body *body, const char *key, sono_igtl_metadata *out)
{
    const uint8_t *at = body->metadata;
    const size_t key_bytes = strlen(key);
    for (uint16_t i = 0; i < body->n_metadata; i++) {
        const sono_igtl_metadata entry = entry_at(body->index + METADATA_ENTRY_BYTES * (size_t)i, at);
        if (entry.key_bytes == key_bytes && memcmp(entry.key, key, key_bytes) == 0) {
            *out = entry;
            return 1;
        }
        at += entry.key_bytes + entry.value_bytes;
    }
    return 0;
}

int64_t sono_igtl_timestamp_ns(uint64_t raw)
{
    const uint64_t ns = ((raw & UINT32_MAX) * NS_PER_S + HALF_FRACTION) >> 32;
    return (int64_t)((raw >> 32) * NS_PER_S + ns);
}

uint64_t sono_igtl_timestamp_raw(int64_t ns)
{
    if (ns <= 0)
        return 0;
    const uint64_t seconds = (uint64_t)ns / NS_PER_S;
    const uint64_t rest_ns = (uint64_t)ns % NS_PER_S;
    if (seconds > UINT32_MAX)
        return UINT64_MAX;
    return seconds << 32 | ((rest_ns << 32) + NS_PER_S / 2) / NS_PER_S;
}
