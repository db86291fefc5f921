// SPDX-License-Identifier: Apache-2.0
/*
 * Private to the recorder: everything that it does to a disk, as a table, so that a test can watch the order
 * and fail any step. Each returns 0 (write_at: bytes) or -1 with errno, as the calls that it stands for.
 * Thread-safe.
 */
#ifndef SONOSEG_LIVE_RECORD_DISK_H
#define SONOSEG_LIVE_RECORD_DISK_H

#include "sonoseg/sonoseg.h"

#include <sys/types.h>
#include <sys/uio.h>

typedef struct sono_record_disk {
    ssize_t (*write_at)(int file, const struct iovec *pieces, int n_pieces, off_t at);
    int (*sync_data)(int file); /* fdatasync() */
    int (*sync)(int file);      /* fsync() */
    /* Gives a file its final name. replace 0: EEXIST when something has that name. */
    int (*publish)(const char *from, const char *to, int replace);
    int (*sync_folder)(const char *path); /* names made in it survive a power cut */
} sono_record_disk;

extern const sono_record_disk sono_record_real_disk;

/* Makes a file of its own, 0600, open for writing: EEXIST when there is one. Returns its descriptor or -1. */
int sono_record_create(const char *path);

/* Writes all n_bytes, which the pieces sum up to; pieces are changed on the way. Returns 0 or errno. */
int sono_record_write_all(const sono_record_disk *disk, int file, struct iovec *pieces, int n_pieces,
                          size_t n_bytes, off_t at);

/* "FOLDER/.FILE.part" of "FOLDER/FILE": where a file is written before it gets its name. */
sono_status sono_record_part_path(const char *path, char *out, size_t out_bytes, sono_error *error);

/* "FOLDER" of "FOLDER/FILE", "." of "FILE". */
sono_status sono_record_folder_of(const char *path, char *out, size_t out_bytes, sono_error *error);

#endif
