// SPDX-License-Identifier: Apache-2.0
/*
 * The zip container as torch.save() writes it, stored entries and zip64 where needed, and as packers rewrite
 * it, with deflated entries. Layout after the .ZIP File Format Specification 6.3.10 (sections 4.3.7, 4.3.12,
 * 4.3.14 to 4.3.16, 4.4.5, 4.5.3). Bytes behind the archive are left alone.
 */
#ifndef SONO_CHECKPOINT_ZIP_H
#define SONO_CHECKPOINT_ZIP_H

#include "base/status.h"
#include "checkpoint/sort.h"

typedef struct sono_zip_entry {
    sono_text name;        /* points into the file */
    const uint8_t *data;   /* as it lies in the file, deflated or not */
    uint64_t n_bytes;      /* of the contents */
    uint64_t stored_bytes; /* in the file */
    uint64_t start;        /* of the local header in the file */
    uint64_t end;          /* behind the data in the file */
    uint32_t crc;
    int is_deflated;
    uint8_t *unpacked; /* NULL until sono_zip_unpack() made it */
} sono_zip_entry;

typedef struct sono_zip {
    const uint8_t *bytes;
    size_t n_bytes;
    sono_zip_entry *entries;
    uint32_t n_entries;
    uint32_t *by_name;       /* entry numbers */
    uint64_t unpacked_bytes; /* of all entries together */
} sono_zip;

/* Reads the directory; bytes must outlive zip. On failure zip needs no close.
 * Errors: FORMAT (truncated, contradicting headers, entries that overlap or share a name, a size that no
 * deflated data can have), UNSUPPORTED (an entry packed otherwise or encrypted, several volumes),
 * OUT_OF_MEMORY. */
sono_status sono_zip_open(const uint8_t *bytes, size_t n_bytes, sono_zip *zip, sono_error *error);
void sono_zip_close(sono_zip *zip);

/* An entry's contents, n_bytes of them, valid until close. A deflated entry is unpacked when it is asked for
 * the first time, never into more than the directory says, and checked against its CRC; together they may
 * take 1 GiB. Errors: FORMAT (other data than the directory says), UNSUPPORTED (above 1 GiB), OUT_OF_MEMORY.
 */
sono_status sono_zip_unpack(sono_zip *zip, const sono_zip_entry *entry, const uint8_t **out,
                            sono_error *error);

/* NULL when there is none. */
const sono_zip_entry *sono_zip_find(const sono_zip *zip, sono_text name);

#endif
