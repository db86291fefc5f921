// SPDX-License-Identifier: Apache-2.0
/* Bytes as a file that is in memory alone, for readers that want a path. */
#ifndef SONO_FUZZ_MEMORY_FILE_H
#define SONO_FUZZ_MEMORY_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Returns its descriptor, to be closed, and its path; -1 where there is none. */
static inline int memory_file(const uint8_t *bytes, size_t n_bytes, char path[64])
{
    const int file = memfd_create("fuzz", MFD_CLOEXEC);
    if (file < 0)
        return -1;
    snprintf(path, 64, "/proc/self/fd/%d", file);
    if (!n_bytes || write(file, bytes, n_bytes) == (ssize_t)n_bytes)
        return file;
    close(file);
    return -1;
}

#endif
