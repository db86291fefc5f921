// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/zip.h"

#include "base/alloc.h"
#include "checkpoint/bytes.h"

#include <string.h>
#define ZLIB_CONST /* next_in points to const */
#include <zlib.h>

enum {
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR64_BYTES = 20,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT_BYTES = 65535,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8,  /* the local header's sizes may be 0 */
    FLAG_MASKED = 0x2000, /* central directory encryption */
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
};

static const uint32_t end_signature = 0x06054b50, end64_signature = 0x06064b50,
                      locator64_signature = 0x07064b50;
static const uint32_t central_signature = 0x02014b50, local_signature = 0x04034b50;
static const uint32_t max_entries = 1u << 20;
static const uint64_t max_unpacked_bytes = (uint64_t)1 << 30;
static const uint64_t max_deflate_ratio = 1032; /* 258 bytes from 2 bits */

typedef struct directory {
    uint64_t n_entries;
    uint64_t offset;
    uint64_t n_bytes;
    uint64_t limit; /* the directory ends at or before this offset */
} directory;

/* A central header's fields, zip64 resolved. */
typedef struct central {
    sono_text name;
    uint64_t n_bytes;
    uint64_t stored_bytes;
    uint64_t local_offset;
    uint32_t crc;
    uint16_t flags;
    uint16_t method;
    uint64_t header_bytes;
} central;

static sono_status read_end64(const sono_zip *zip, uint64_t locator, directory *out, sono_error *error)
{
    const uint8_t *bytes = zip->bytes;
    const uint64_t at = sono_le64(bytes + locator + 8);
    if (locator < END64_BYTES || at > locator - END64_BYTES || sono_le32(bytes + at) != end64_signature)
        return SONO_FAIL_AT(error, FORMAT, locator, "zip64 end record not found");
    if (sono_le32(bytes + at + 16) || sono_le32(bytes + at + 20))
        return SONO_FAIL_AT(error, UNSUPPORTED, at, "zip archive of several volumes");
    out->n_entries = sono_le64(bytes + at + 32);
    out->n_bytes = sono_le64(bytes + at + 40);
    out->offset = sono_le64(bytes + at + 48);
    out->limit = at;
    return SONO_STATUS_OK;
}

/* The end record at `at`: where the directory is. */
static sono_status read_end_at(const sono_zip *zip, uint64_t at, directory *out, sono_error *error)
{
    const uint8_t *end = zip->bytes + at;
    if (at >= LOCATOR64_BYTES && sono_le32(end - LOCATOR64_BYTES) == locator64_signature) {
        SONO_TRY(read_end64(zip, at - LOCATOR64_BYTES, out, error));
    } else {
        if (sono_le16(end + 4) || sono_le16(end + 6))
            return SONO_FAIL_AT(error, UNSUPPORTED, at, "zip archive of several volumes: join them first");
        *out = (directory){sono_le16(end + 10), sono_le32(end + 16), sono_le32(end + 12), at};
    }
    if (out->offset > out->limit || out->n_bytes > out->limit - out->offset)
        return SONO_FAIL_AT(error, FORMAT, at, "zip directory lies outside the file");
    if (out->n_entries > max_entries || out->n_entries > out->n_bytes / CENTRAL_BYTES)
        return SONO_FAIL_AT(error, FORMAT, at, "zip directory too small for its %llu entries",
                            (unsigned long long)out->n_entries);
    return SONO_STATUS_OK;
}

/* The end record whose comment reaches to the end of the file, or -1. */
static int64_t find_end(const sono_zip *zip)
{
    const uint8_t *bytes = zip->bytes;
    for (size_t comment = 0; comment <= MAX_COMMENT_BYTES && comment + END_BYTES <= zip->n_bytes; comment++) {
        const size_t at = zip->n_bytes - END_BYTES - comment;
        if (sono_le32(bytes + at) == end_signature && sono_le16(bytes + at + 20) == comment)
            return (int64_t)at;
    }
    return -1;
}

/* The last end record with something else behind it: tensors may hold any bytes, so it must stand right
 * behind the directory it names. */
static int64_t find_inner_end(const sono_zip *zip)
{
    size_t at = zip->n_bytes < END_BYTES ? 0 : zip->n_bytes - END_BYTES + 1;
    while (at-- > 0) {
        const uint8_t *found = memrchr(zip->bytes, 'P', at + 1);
        directory listed;
        if (!found)
            return -1;
        at = (size_t)(found - zip->bytes);
        if (sono_le32(found) == end_signature && read_end_at(zip, at, &listed, NULL) == SONO_STATUS_OK &&
            listed.n_entries && listed.offset + listed.n_bytes == listed.limit &&
            sono_le32(zip->bytes + listed.offset) == central_signature)
            return (int64_t)at;
    }
    return -1;
}

static sono_status read_end(const sono_zip *zip, directory *out, sono_error *error)
{
    int64_t at = find_end(zip);
    if (at < 0)
        at = find_inner_end(zip);
    if (at < 0)
        return SONO_FAIL(error, FORMAT,
                         "zip directory not found: the file is truncated or was not fully written");
    return read_end_at(zip, (uint64_t)at, out, error);
}

/* Takes the fields that the header stores as 0xffffffff from its zip64 extra field. */
static sono_status read_extra64(const uint8_t *extra, size_t n_bytes, uint32_t compressed, uint32_t plain,
                                uint32_t offset, central *out)
{
    out->stored_bytes = compressed;
    out->n_bytes = plain;
    out->local_offset = offset;
    uint64_t *const fields[] = {plain == UINT32_MAX ? &out->n_bytes : NULL,
                                compressed == UINT32_MAX ? &out->stored_bytes : NULL,
                                offset == UINT32_MAX ? &out->local_offset : NULL};
    if (!fields[0] && !fields[1] && !fields[2])
        return SONO_STATUS_OK;
    while (n_bytes >= 4) {
        const size_t field_bytes = sono_le16(extra + 2);
        if (field_bytes > n_bytes - 4)
            return SONO_STATUS_FORMAT;
        if (sono_le16(extra) == EXTRA_ZIP64) {
            size_t at = 0;
            for (size_t i = 0; i < 3; i++) {
                if (!fields[i])
                    continue;
                if (at + 8 > field_bytes)
                    return SONO_STATUS_FORMAT;
                *fields[i] = sono_le64(extra + 4 + at);
                at += 8;
            }
            return SONO_STATUS_OK;
        }
        extra += 4 + field_bytes;
        n_bytes -= 4 + field_bytes;
    }
    return SONO_STATUS_FORMAT;
}

static sono_status check_sizes(const central *entry, uint64_t at, sono_error *error)
{
    const int name = (int)entry->name.length;
    if (entry->method != METHOD_STORED && entry->method != METHOD_DEFLATED)
        return SONO_FAIL_AT(error, UNSUPPORTED, at,
                            "zip entry '%.*s' is compressed (method %u): only stored and deflated ones are "
                            "read; save the file again with torch.save",
                            name, entry->name.start, entry->method);
    if (entry->method == METHOD_STORED && entry->stored_bytes != entry->n_bytes)
        return SONO_FAIL_AT(
            error, FORMAT, at, "zip entry '%.*s': stored size %llu differs from plain size %llu", name,
            entry->name.start, (unsigned long long)entry->stored_bytes, (unsigned long long)entry->n_bytes);
    if (entry->method == METHOD_DEFLATED && entry->n_bytes / max_deflate_ratio > entry->stored_bytes)
        return SONO_FAIL_AT(error, FORMAT, at, "zip entry '%.*s': %llu bytes cannot unpack to %llu bytes",
                            name, entry->name.start, (unsigned long long)entry->stored_bytes,
                            (unsigned long long)entry->n_bytes);
    return SONO_STATUS_OK;
}

static sono_status read_central(const sono_zip *zip, uint64_t at, uint64_t end, central *out,
                                sono_error *error)
{
    const uint8_t *header = zip->bytes + at;
    if (end - at < CENTRAL_BYTES || sono_le32(header) != central_signature)
        return SONO_FAIL_AT(error, FORMAT, at, "zip directory entry is truncated or has a wrong signature");
    const size_t name_bytes = sono_le16(header + 28), extra_bytes = sono_le16(header + 30);
    out->header_bytes = CENTRAL_BYTES + name_bytes + extra_bytes + sono_le16(header + 32);
    if (out->header_bytes > end - at)
        return SONO_FAIL_AT(error, FORMAT, at, "zip directory entry is truncated");
    out->name = (sono_text){(const char *)header + CENTRAL_BYTES, name_bytes};
    out->flags = sono_le16(header + 8);
    out->method = sono_le16(header + 10);
    out->crc = sono_le32(header + 16);
    const int name = (int)name_bytes;
    if (read_extra64(header + CENTRAL_BYTES + name_bytes, extra_bytes, sono_le32(header + 20),
                     sono_le32(header + 24), sono_le32(header + 42), out) != SONO_STATUS_OK)
        return SONO_FAIL_AT(error, FORMAT, at, "zip entry '%.*s': bad zip64 field", name, out->name.start);
    if (out->flags & (FLAG_ENCRYPTED | FLAG_MASKED))
        return SONO_FAIL_AT(error, UNSUPPORTED, at,
                            "zip entry '%.*s' is encrypted: unpack it and save the weights with torch.save",
                            name, out->name.start);
    return check_sizes(out, at, error);
}

/* A size in the local header may be absent (0 with a descriptor, 0xffffffff with zip64), but not another one.
 */
static int local_size_agrees(uint32_t local, uint64_t n_bytes, const central *entry)
{
    return local == n_bytes || local == UINT32_MAX || (local == 0 && (entry->flags & FLAG_DESCRIPTOR));
}

static sono_status read_local(const sono_zip *zip, const central *entry, uint64_t limit, sono_zip_entry *out,
                              sono_error *error)
{
    const uint64_t at = entry->local_offset;
    const int name = (int)entry->name.length;
    if (limit < LOCAL_BYTES || at > limit - LOCAL_BYTES)
        return SONO_FAIL_AT(error, FORMAT, at, "zip entry '%.*s' lies outside the file", name,
                            entry->name.start);
    const uint8_t *header = zip->bytes + at;
    if (sono_le32(header) != local_signature)
        return SONO_FAIL_AT(error, FORMAT, at, "zip entry '%.*s': wrong local signature", name,
                            entry->name.start);
    const uint64_t data = at + LOCAL_BYTES + sono_le16(header + 26) + sono_le16(header + 28);
    if (data > limit || entry->stored_bytes > limit - data)
        return SONO_FAIL_AT(error, FORMAT, at, "zip entry '%.*s' of %llu bytes reaches outside the file",
                            name, entry->name.start, (unsigned long long)entry->stored_bytes);
    const sono_text local_name = {(const char *)header + LOCAL_BYTES, sono_le16(header + 26)};
    if (sono_text_compare(local_name, entry->name) != 0 || sono_le16(header + 8) != entry->method ||
        !local_size_agrees(sono_le32(header + 18), entry->stored_bytes, entry) ||
        !local_size_agrees(sono_le32(header + 22), entry->n_bytes, entry))
        return SONO_FAIL_AT(error, FORMAT, at, "zip entry '%.*s': local header contradicts the directory",
                            name, entry->name.start);
    *out = (sono_zip_entry){.name = entry->name,
                            .data = zip->bytes + data,
                            .n_bytes = entry->n_bytes,
                            .stored_bytes = entry->stored_bytes,
                            .start = at,
                            .end = data + entry->stored_bytes,
                            .crc = entry->crc,
                            .is_deflated = entry->method == METHOD_DEFLATED};
    return SONO_STATUS_OK;
}

static int compare_starts(const void *context, uint32_t a, uint32_t b)
{
    const sono_zip_entry *entries = context;
    return (entries[a].start > entries[b].start) - (entries[a].start < entries[b].start);
}

static sono_text entry_name(const void *context, uint32_t item)
{
    return ((const sono_zip_entry *)context)[item].name;
}

/* Leaves by_name sorted. */
static sono_status check_entries(sono_zip *zip, sono_error *error)
{
    const sono_zip_entry *entries = zip->entries;
    uint32_t *order = zip->by_name;
    for (uint32_t i = 0; i < zip->n_entries; i++)
        order[i] = i;
    sono_sort(order, zip->n_entries, compare_starts, entries);
    for (uint32_t i = 1; i < zip->n_entries; i++) {
        const sono_zip_entry *before = &entries[order[i - 1]], *entry = &entries[order[i]];
        if (sono_text_compare(before->name, entry->name) != 0 && entry->start < before->end)
            return SONO_FAIL_AT(error, FORMAT, entry->start, "zip entries '%.*s' and '%.*s' overlap",
                                (int)before->name.length, before->name.start, (int)entry->name.length,
                                entry->name.start);
    }
    const int64_t twice = sono_sort_names(order, zip->n_entries, entry_name, entries);
    if (twice >= 0) {
        const sono_zip_entry *entry = &entries[order[twice + 1]];
        return SONO_FAIL_AT(error, FORMAT, entry->start, "zip entry '%.*s' is there twice",
                            (int)entry->name.length, entry->name.start);
    }
    return SONO_STATUS_OK;
}

static sono_status read_entries(sono_zip *zip, const directory *listed, sono_error *error)
{
    uint64_t at = listed->offset;
    const uint64_t end = listed->offset + listed->n_bytes;
    for (uint32_t i = 0; i < zip->n_entries; i++) {
        central header;
        SONO_TRY(read_central(zip, at, end, &header, error));
        SONO_TRY(read_local(zip, &header, listed->offset, &zip->entries[i], error));
        at += header.header_bytes;
    }
    if (at != end)
        return SONO_FAIL_AT(error, FORMAT, at, "zip directory holds more than its %u entries",
                            zip->n_entries);
    return check_entries(zip, error);
}

sono_status sono_zip_open(const uint8_t *bytes, size_t n_bytes, sono_zip *zip, sono_error *error)
{
    *zip = (sono_zip){.bytes = bytes, .n_bytes = n_bytes};
    directory listed;
    SONO_TRY(read_end(zip, &listed, error));
    zip->n_entries = (uint32_t)listed.n_entries;
    zip->entries = sono_alloc_array(zip->n_entries, sizeof *zip->entries);
    zip->by_name = sono_alloc_array(zip->n_entries, sizeof *zip->by_name);
    sono_status status = SONO_STATUS_OK;
    if (!zip->entries || !zip->by_name)
        status = SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for %u zip entries", zip->n_entries);
    else
        status = read_entries(zip, &listed, error);
    if (status != SONO_STATUS_OK)
        sono_zip_close(zip);
    return status;
}

void sono_zip_close(sono_zip *zip)
{
    for (uint32_t i = 0; zip->entries && i < zip->n_entries; i++)
        sono_free(zip->entries[i].unpacked);
    sono_free(zip->entries);
    sono_free(zip->by_name);
    *zip = (sono_zip){0};
}

/* ---- deflated entries ---------------------------------------------------------------------------------- */

static void *take_memory(void *unused, unsigned n, unsigned n_bytes)
{
    (void)unused;
    return sono_alloc_array(n, n_bytes);
}

static void give_memory(void *unused, void *memory)
{
    (void)unused;
    sono_free(memory);
}

/* One byte of room more than the entry may fill, so that too much data shows. Returns zlib's code. */
static int inflate_entry(const sono_zip_entry *entry, uint8_t *out)
{
    z_stream stream = {.zalloc = take_memory,
                       .zfree = give_memory,
                       .next_in = entry->data,
                       .avail_in = (unsigned)entry->stored_bytes,
                       .next_out = out,
                       .avail_out = (unsigned)entry->n_bytes + 1};
    int code = inflateInit2(&stream, -MAX_WBITS);
    if (code != Z_OK)
        return code;
    code = inflate(&stream, Z_FINISH);
    const int fits = code == Z_STREAM_END && stream.total_out == entry->n_bytes && !stream.avail_in;
    (void)inflateEnd(&stream);
    return fits ? Z_OK : code == Z_MEM_ERROR ? code : Z_DATA_ERROR;
}

sono_status sono_zip_unpack(sono_zip *zip, const sono_zip_entry *entry, const uint8_t **out,
                            sono_error *error)
{
    sono_zip_entry *own = &zip->entries[entry - zip->entries];
    const int name = (int)own->name.length;
    if (!own->is_deflated || own->unpacked) {
        *out = own->is_deflated ? own->unpacked : own->data;
        return SONO_STATUS_OK;
    }
    if (own->n_bytes > max_unpacked_bytes - zip->unpacked_bytes)
        return SONO_FAIL_AT(
            error, UNSUPPORTED, own->start,
            "zip entry '%.*s' unpacks to %llu bytes, all entries to more than 1 GiB: save the "
            "file again with torch.save, which does not compress",
            name, own->name.start, (unsigned long long)own->n_bytes);
    const int is_possible = own->stored_bytes <= UINT32_MAX; /* of 1 GiB, in zlib's counters */
    uint8_t *unpacked = is_possible ? sono_alloc(own->n_bytes + 1) : NULL;
    const int code = !is_possible ? Z_DATA_ERROR : unpacked ? inflate_entry(own, unpacked) : Z_MEM_ERROR;
    if (code == Z_OK && crc32(0, unpacked, (unsigned)own->n_bytes) == own->crc) {
        own->unpacked = unpacked;
        zip->unpacked_bytes += own->n_bytes;
        *out = unpacked;
        return SONO_STATUS_OK;
    }
    sono_free(unpacked);
    if (code == Z_MEM_ERROR)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the %llu bytes of zip entry '%.*s'",
                         (unsigned long long)own->n_bytes, name, own->name.start);
    return SONO_FAIL_AT(
        error, FORMAT, own->start,
        "zip entry '%.*s' does not unpack to the %llu bytes and the checksum it is listed with", name,
        own->name.start, (unsigned long long)own->n_bytes);
}

const sono_zip_entry *sono_zip_find(const sono_zip *zip, sono_text name)
{
    const int64_t found = sono_sort_find(zip->by_name, zip->n_entries, entry_name, zip->entries, name);
    return found < 0 ? NULL : &zip->entries[found];
}
