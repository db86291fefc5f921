// SPDX-License-Identifier: Apache-2.0
/* SHA-256 (FIPS 180-4), for naming files, not for secrets. */
#ifndef SONO_BASE_SHA256_H
#define SONO_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* A hash of what comes in pieces. */
typedef struct sono_sha256 {
    uint32_t state[8];
    uint64_t n_bytes;  /* so far */
    uint8_t block[64]; /* its first n_bytes % 64 are not in state yet */
} sono_sha256;

void sono_sha256_begin(sono_sha256 *hash);
void sono_sha256_add(sono_sha256 *hash, const void *bytes, size_t n_bytes);
/* Lower-case hex, ended by a 0 byte; nothing may be added then. */
void sono_sha256_end(sono_sha256 *hash, char out[65]);

/* All of it for bytes[n_bytes]. */
void sono_sha256_hex(const void *bytes, size_t n_bytes, char out[65]);

#endif
