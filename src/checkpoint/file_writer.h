// SPDX-License-Identifier: Apache-2.0
/* A file that appears whole or not at all: written beside its place, flushed to the disk, renamed. */
#ifndef SONO_CHECKPOINT_FILE_WRITER_H
#define SONO_CHECKPOINT_FILE_WRITER_H

#include "base/status.h"

typedef struct sono_file_writer {
    const char *path;
    char *temporary;
    uint8_t *buffer;
    size_t n_buffered;
    int file; /* -1 = closed */
} sono_file_writer;

/* Removes what a killed writer of that path left beside it. path must outlive the writer. Errors: IO,
 * OUT_OF_MEMORY. Whatever comes of it, end with commit or abandon.
 */
sono_status sono_file_writer_open(sono_file_writer *writer, const char *path, sono_error *error);
sono_status sono_file_writer_write(sono_file_writer *writer, const void *bytes, size_t n_bytes,
                                   sono_error *error);

/* Puts the file in its place; on failure nothing is left behind. Closes the writer either way. */
sono_status sono_file_writer_commit(sono_file_writer *writer, sono_error *error);
void sono_file_writer_abandon(sono_file_writer *writer);

#endif
