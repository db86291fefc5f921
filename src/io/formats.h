// SPDX-License-Identifier: Apache-2.0
/* What a file is, from its first bytes. */
#ifndef SONO_IO_FORMATS_H
#define SONO_IO_FORMATS_H

#include <stddef.h>
#include <stdint.h>

typedef enum sono_format {
    SONO_FORMAT_NONE, /* none of those that are read */
    SONO_FORMAT_PNG,
    SONO_FORMAT_JPEG,
    SONO_FORMAT_TIFF,
    SONO_FORMAT_PNM
} sono_format;

#define SONO_FORMAT_BYTES 1024 /* so many from the start are enough for both functions */

sono_format sono_format_of(const uint8_t *bytes, size_t n_bytes);

/* "a BMP file" and the like for well-known files that are not read; NULL = unknown. */
const char *sono_format_foreign(const uint8_t *bytes, size_t n_bytes);

#endif
