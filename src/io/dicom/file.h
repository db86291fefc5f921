// SPDX-License-Identifier: Apache-2.0
/* A regular file, read piece by piece from anywhere in it; memory does not depend on its size. */
#ifndef SONO_IO_DICOM_FILE_H
#define SONO_IO_DICOM_FILE_H

#include "base/status.h"

#define SONO_DICOM_WINDOW_BYTES ((size_t)8 << 10)

/* Zero-initialised with descriptor -1 = not open. */
typedef struct sono_dicom_file {
    const char *path; /* borrowed; for errors */
    int descriptor;   /* owned */
    uint64_t n_bytes;
    uint64_t window_at; /* what lies in `window` */
    size_t n_window;
    uint8_t window[SONO_DICOM_WINDOW_BYTES];
} sono_dicom_file;

/* Errors: IO, FORMAT (not a regular file). */
sono_status sono_dicom_file_open(sono_dicom_file *file, const char *path, sono_error *error);
void sono_dicom_file_close(sono_dicom_file *file);

/* Reads bytes [at, at + n) to out. Errors: IO, FORMAT (the file ends before). */
sono_status sono_dicom_file_read(sono_dicom_file *file, uint64_t at, void *out, size_t n, sono_error *error);

/* The same into the file's own memory, n at most SONO_DICOM_WINDOW_BYTES: borrowed until the next call. */
sono_status sono_dicom_file_peek(sono_dicom_file *file, uint64_t at, size_t n, const uint8_t **out,
                                 sono_error *error);

/* Little-endian numbers at any address. */
static inline uint32_t sono_dicom_u16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

static inline uint32_t sono_dicom_u32(const uint8_t *bytes)
{
    return sono_dicom_u16(bytes) | sono_dicom_u16(bytes + 2) << 16;
}

#endif
