// SPDX-License-Identifier: Apache-2.0
/* gzip (RFC 1952) into a stream, piece by piece; the same bytes for the same input. */
#ifndef SONO_IO_EXPORT_GZIP_H
#define SONO_IO_EXPORT_GZIP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <zlib.h>

#define SONO_GZIP_PIECE_BYTES 65536

/* Zero-initialised = not open. */
typedef struct sono_gzip {
    FILE *stream; /* borrowed; NULL = not open */
    z_stream packer;
    uint8_t piece[SONO_GZIP_PIECE_BYTES];
} sono_gzip;

/* Each returns 0, or -1: no memory (open), or the stream has failed. */
int sono_gzip_open(sono_gzip *self, FILE *stream);
int sono_gzip_write(sono_gzip *self, const void *bytes, size_t n_bytes);
/* Writes what is left; closed in any case. 0 when it is not open. */
int sono_gzip_close(sono_gzip *self, int keep);

#endif
