// SPDX-License-Identifier: Apache-2.0
#include "model/zip.h"

#include "base/alloc.h"
#include "model/bytes.h"

#include <string.h>

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
};

static const uint32_t end_signature = 0x06054b50, end64_signature = 0x06064b50,
                      locator64_signature = 0x07064b50;
static const uint32_t central_signature = 0x02014b50, local_signature = 0x04034b50;
static const uint32_t max_entries = 1u << 20;

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
    uint64_t local_offset;
    uint32_t crc;
    uint16_t flags;
    uint16_t method;
    uint64_t header_bytes;
} central;

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

static sono_status read_end(const sono_zip *zip, directory *out, sono_error *error)
{
    const int64_t found = find_end(zip);
    if (found < 0)
        return SONO_FAIL(error, FORMAT,
                         "zip directory not found: the file is truncated or was not fully written");
    const uint64_t at = (uint64_t)found;
    const uint8_t *end = zip->bytes + at;
    if (at >= LOCATOR64_BYTES && sono_le32(end - LOCATOR64_BYTES) == locator64_signature) {
        SONO_TRY(read_end64(zip, at - LOCATOR64_BYTES, out, error));
    } else {
        if (sono_le16(end + 4) || sono_le16(end + 6))
            return SONO_FAIL_AT(error, UNSUPPORTED, at, "zip archive of several volumes");
        *out = (directory){sono_le16(end + 10), sono_le32(end + 16), sono_le32(end + 12), at};
    }
    if (out->offset > out->limit || out->n_bytes > out->limit - out->offset)
        return SONO_FAIL_AT(error, FORMAT, at, "zip directory lies outside the file");
    if (out->n_entries > max_entries || out->n_entries > out->n_bytes / CENTRAL_BYTES)
        return SONO_FAIL_AT(error, FORMAT, at, "zip directory too small for its %llu entries",
                            (unsigned long long)out->n_entries);
    return SONO_STATUS_OK;
}

/* Takes the fields that the header stores as 0xffffffff from its zip64 extra field. */
static sono_status read_extra64(const uint8_t *extra, size_t n_bytes, uint32_t compressed, uint32_t plain,
                                uint32_t offset, central *out, uint64_t *compressed_bytes)
{
    *compressed_bytes = compressed;
    out->n_bytes = plain;
    out->local_offset = offset;
    uint64_t *const fields[] = {plain == UINT32_MAX ? &out->n_bytes : NULL,
                                compressed == UINT32_MAX ? compressed_bytes : NULL,
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
    uint64_t compressed = 0;
    if (read_extra64(header + CENTRAL_BYTES + name_bytes, extra_bytes, sono_le32(header + 20),
                     sono_le32(header + 24), sono_le32(header + 42), out, &compressed) != SONO_STATUS_OK)
        return SONO_FAIL_AT(error, FORMAT, at, "zip entry '%.*s': bad zip64 field", name, out->name.start);
    if (out->flags & (FLAG_ENCRYPTED | FLAG_MASKED))
        return SONO_FAIL_AT(error, UNSUPPORTED, at, "zip entry '%.*s' is encrypted", name, out->name.start);
    if (out->method != 0)
        return SONO_FAIL_AT(error, UNSUPPORTED, at,
                            "zip entry '%.*s' is compressed (method %u): only stored entries", name,
                            out->name.start, out->method);
    if (compressed != out->n_bytes)
        return SONO_FAIL_AT(
            error, FORMAT, at, "zip entry '%.*s': stored size %llu differs from plain size %llu", name,
            out->name.start, (unsigned long long)compressed, (unsigned long long)out->n_bytes);
    return SONO_STATUS_OK;
}

/* A size in the local header may be absent (0 with a descriptor, 0xffffffff with zip64), but not another one.
 */
static int local_size_agrees(uint32_t local, const central *entry)
{
    return local == entry->n_bytes || local == UINT32_MAX || (local == 0 && (entry->flags & FLAG_DESCRIPTOR));
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
    if (data > limit || entry->n_bytes > limit - data)
        return SONO_FAIL_AT(error, FORMAT, at, "zip entry '%.*s' of %llu bytes reaches outside the file",
                            name, entry->name.start, (unsigned long long)entry->n_bytes);
    const sono_text local_name = {(const char *)header + LOCAL_BYTES, sono_le16(header + 26)};
    if (sono_text_compare(local_name, entry->name) != 0 || sono_le16(header + 8) != entry->method ||
        !local_size_agrees(sono_le32(header + 18), entry) ||
        !local_size_agrees(sono_le32(header + 22), entry))
        return SONO_FAIL_AT(error, FORMAT, at, "zip entry '%.*s': local header contradicts the directory",
                            name, entry->name.start);
    *out = (sono_zip_entry){entry->name, zip->bytes + data, entry->n_bytes, at, data + entry->n_bytes};
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
    sono_free(zip->entries);
    sono_free(zip->by_name);
    *zip = (sono_zip){0};
}

const sono_zip_entry *sono_zip_find(const sono_zip *zip, sono_text name)
{
    const int64_t found = sono_sort_find(zip->by_name, zip->n_entries, entry_name, zip->entries, name);
    return found < 0 ? NULL : &zip->entries[found];
}
