// SPDX-License-Identifier: Apache-2.0
/*
 * The zip container as torch.save() writes it: stored entries, zip64 where needed. Layout after the .ZIP File
 * Format Specification 6.3.10 (sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16, 4.5.3).
 */
#ifndef SONO_MODEL_ZIP_H
#define SONO_MODEL_ZIP_H

#include "base/status.h"
#include "model/sort.h"

typedef struct sono_zip_entry {
    sono_text name; /* points into the file */
    const uint8_t *data;
    uint64_t n_bytes;
    uint64_t start; /* of the local header in the file */
    uint64_t end;   /* behind the data in the file */
} sono_zip_entry;

typedef struct sono_zip {
    const uint8_t *bytes;
    size_t n_bytes;
    sono_zip_entry *entries;
    uint32_t n_entries;
    uint32_t *by_name; /* entry numbers */
} sono_zip;

/* Reads the directory; bytes must outlive zip. On failure zip needs no close.
 * Errors: FORMAT (truncated, contradicting headers, entries that overlap or share a name), UNSUPPORTED (a
 * compressed or encrypted entry, several volumes), OUT_OF_MEMORY. */
sono_status sono_zip_open(const uint8_t *bytes, size_t n_bytes, sono_zip *zip, sono_error *error);
void sono_zip_close(sono_zip *zip);

/* NULL when there is none. */
const sono_zip_entry *sono_zip_find(const sono_zip *zip, sono_text name);

#endif
