// SPDX-License-Identifier: Apache-2.0
/* BIND and its queries. Layout: Documents/Protocol/bind.md of the reference library (@ 94244fe). */
#include "igtl/bind.h"
#include "igtl/wire.h"

#define ENTRY_BYTES 20

/* A table of n names, its 16-bit size in front: what the names' sizes and one byte of padding add up to. */
static sono_igtl_status check_names(const uint8_t *bytes, size_t n_bytes, size_t table_at, uint16_t n,
                                    size_t *table_bytes, sono_igtl_fault *fault)
{
    if (n_bytes < table_at + 2)
        return WIRE_MALFORMED(0, "a BIND with more entries than its content has room for");
    const size_t n_table = wire_u16(bytes + table_at);
    const uint8_t *names = bytes + table_at + 2;
    size_t at = 0;
    if (n_table % 2)
        return WIRE_MALFORMED(table_at, "a BIND whose table of names has an odd size");
    if (n_table > n_bytes - table_at - 2)
        return WIRE_MALFORMED(table_at, "a BIND whose table of names reaches beyond the content");
    for (uint16_t i = 0; i < n; i++) {
        const size_t n_left = n_table - at;
        const size_t longest = SONO_IGTL_DEVICE_CHARS + 1;
        const uint8_t *end = memchr(names + at, 0, n_left < longest ? n_left : longest);
        if (!end)
            return WIRE_MALFORMED(table_at + 2 + at, "a BIND with a name that does not end or is too long");
        at = (size_t)(end + 1 - names);
    }
    if (at + at % 2 != n_table)
        return WIRE_MALFORMED(table_at, "a BIND whose table of names has more than one for each entry");
    *table_bytes = n_table;
    return SONO_IGTL_OK;
}

sono_igtl_status sono_igtl_bind_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_bind *out,
                                       sono_igtl_fault *fault)
{
    size_t table_bytes;
    if (n_bytes < 2)
        return WIRE_MALFORMED(n_bytes, "a BIND that ends within its count");
    const uint16_t n = wire_u16(bytes);
    const size_t table_at = 2 + ENTRY_BYTES * (size_t)n;
    const sono_igtl_status status = check_names(bytes, n_bytes, table_at, n, &table_bytes, fault);
    if (status != SONO_IGTL_OK)
        return status;
    size_t n_left = n_bytes - table_at - 2 - table_bytes;
    for (uint16_t i = 0; i < n; i++) {
        const size_t size_at = 2 + ENTRY_BYTES * (size_t)i + SONO_IGTL_TYPE_CHARS;
        const uint64_t child_bytes = wire_u64(bytes + size_at);
        if (child_bytes > n_left || child_bytes + child_bytes % 2 > n_left)
            return WIRE_MALFORMED(size_at, "a BIND with a message that reaches beyond the content");
        n_left -= (size_t)(child_bytes + child_bytes % 2);
    }
    if (n_left)
        return WIRE_MALFORMED(n_bytes - n_left, "a BIND with more content than its messages have");
    *out = (sono_igtl_bind){bytes + 2, bytes + table_at + 2, bytes + table_at + 2 + table_bytes, n};
    return SONO_IGTL_OK;
}

int sono_igtl_child_at(const sono_igtl_bind *bind, uint16_t index, sono_igtl_child *out)
{
    const uint8_t *entry = bind->entries;
    const uint8_t *name = bind->names;
    const uint8_t *content = bind->bodies;
    if (index >= bind->n)
        return 0;
    for (uint16_t i = 0; i < index; i++, entry += ENTRY_BYTES) {
        const size_t child_bytes = (size_t)wire_u64(entry + SONO_IGTL_TYPE_CHARS);
        content += child_bytes + child_bytes % 2;
        name += strlen((const char *)name) + 1;
    }
    wire_chars(entry, out->type, SONO_IGTL_TYPE_CHARS);
    wire_chars(name, out->device, SONO_IGTL_DEVICE_CHARS);
    out->content = content;
    out->content_bytes = (size_t)wire_u64(entry + SONO_IGTL_TYPE_CHARS);
    return 1;
}

static void encode_names(sono_igtl_writer *writer, const sono_igtl_child *children, uint16_t n)
{
    size_t n_table = 0;
    for (uint16_t i = 0; i < n; i++)
        n_table += strnlen(children[i].device, SONO_IGTL_DEVICE_CHARS) + 1;
    if (n_table > UINT16_MAX - 1)
        writer->is_full = 1;
    uint8_t *room = sono_igtl_write_room(writer, 2 + n_table + n_table % 2);
    if (!room)
        return;
    memset(room, 0, 2 + n_table + n_table % 2);
    wire_put_u16(room, (uint16_t)(n_table + n_table % 2));
    room += 2;
    for (uint16_t i = 0; i < n; i++) {
        const size_t n_chars = strnlen(children[i].device, SONO_IGTL_DEVICE_CHARS);
        wire_put_chars(room, children[i].device, n_chars);
        room += n_chars + 1;
    }
}

void sono_igtl_bind_encode(sono_igtl_writer *writer, const sono_igtl_child *children, uint16_t n)
{
    uint8_t *room = sono_igtl_write_room(writer, 2 + ENTRY_BYTES * (size_t)n);
    if (!room)
        return;
    wire_put_u16(room, n);
    for (uint16_t i = 0; i < n; i++) {
        uint8_t *entry = room + 2 + ENTRY_BYTES * (size_t)i;
        wire_put_chars(entry, children[i].type, SONO_IGTL_TYPE_CHARS);
        wire_put_u64(entry + SONO_IGTL_TYPE_CHARS, children[i].content_bytes);
    }
    encode_names(writer, children, n);
    for (uint16_t i = 0; i < n; i++) {
        sono_igtl_write(writer, children[i].content, children[i].content_bytes);
        sono_igtl_write(writer, "", children[i].content_bytes % 2);
    }
}

sono_igtl_status sono_igtl_bind_query_decode(int is_start, const uint8_t *bytes, size_t n_bytes,
                                             sono_igtl_bind_query *out, sono_igtl_fault *fault)
{
    const size_t head_bytes = is_start ? 8 : 0;
    sono_igtl_bind_query query = {.is_start = is_start != 0};
    size_t table_bytes;
    if (n_bytes < head_bytes)
        return WIRE_MALFORMED(n_bytes, "an STT_BIND that ends within its interval");
    if (is_start)
        query.interval = wire_u64(bytes);
    if (n_bytes > head_bytes) {
        if (n_bytes < head_bytes + 2)
            return WIRE_MALFORMED(n_bytes, "a query of BIND that ends within its count");
        query.n = wire_u16(bytes + head_bytes);
        query.types = bytes + head_bytes + 2;
        const size_t table_at = head_bytes + 2 + SONO_IGTL_TYPE_CHARS * (size_t)query.n;
        const sono_igtl_status status = check_names(bytes, n_bytes, table_at, query.n, &table_bytes, fault);
        if (status != SONO_IGTL_OK)
            return status;
        query.names = bytes + table_at + 2;
        if (table_at + 2 + table_bytes != n_bytes)
            return WIRE_MALFORMED(table_at, "a query of BIND with more content than its parts have");
    }
    *out = query;
    return SONO_IGTL_OK;
}

int sono_igtl_bind_query_at(const sono_igtl_bind_query *query, uint16_t index, sono_igtl_child *out)
{
    const uint8_t *name = query->names;
    if (index >= query->n)
        return 0;
    for (uint16_t i = 0; i < index; i++)
        name += strlen((const char *)name) + 1;
    *out = (sono_igtl_child){.content = NULL};
    wire_chars(query->types + SONO_IGTL_TYPE_CHARS * (size_t)index, out->type, SONO_IGTL_TYPE_CHARS);
    wire_chars(name, out->device, SONO_IGTL_DEVICE_CHARS);
    return 1;
}

void sono_igtl_bind_query_encode(sono_igtl_writer *writer, int is_start, uint64_t interval,
                                 const sono_igtl_child *children, uint16_t n)
{
    uint8_t *room = sono_igtl_write_room(writer, is_start ? 8 : 0);
    if (room && is_start)
        wire_put_u64(room, interval);
    if (n == 0)
        return;
    room = sono_igtl_write_room(writer, 2);
    if (room)
        wire_put_u16(room, n);
    for (uint16_t i = 0; i < n; i++) {
        room = sono_igtl_write_room(writer, SONO_IGTL_TYPE_CHARS);
        if (!room)
            return;
        wire_put_chars(room, children[i].type, SONO_IGTL_TYPE_CHARS);
    }
    encode_names(writer, children, n);
}
