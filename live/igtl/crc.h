// SPDX-License-Identifier: Apache-2.0
/* Both ways to compute the checksum, for their tests and the benchmark; others call sono_igtl_crc64(). */
#ifndef SONO_IGTL_CRC_H
#define SONO_IGTL_CRC_H

#include "igtl/igtl.h"

/* Eight tables: any CPU. */
uint64_t sono_igtl_crc64_by_tables(uint64_t crc, const void *bytes, size_t n_bytes);

/* Folding by carry-less multiplication. Only where sono_igtl_crc64_can_fold() is 1. */
uint64_t sono_igtl_crc64_by_folding(uint64_t crc, const void *bytes, size_t n_bytes);
int sono_igtl_crc64_can_fold(void);

#endif
