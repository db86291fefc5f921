// SPDX-License-Identifier: Apache-2.0
/* SHA-256 (FIPS 180-4), for naming files, not for secrets. */
#ifndef SONO_CHECKPOINT_SHA256_H
#define SONO_CHECKPOINT_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* Lower-case hex of the hash of bytes[n_bytes], ended by a 0 byte. */
void sono_sha256_hex(const void *bytes, size_t n_bytes, char out[65]);

#endif
