// SPDX-License-Identifier: Apache-2.0
/* A file that always holds the newest snapshot as a whole: written beside its place and renamed, by a thread
 * of its own, the newest wins. For those who read files, not HTTP. */
#ifndef SONO_SERVE_SNAPSHOT_FILE_H
#define SONO_SERVE_SNAPSHOT_FILE_H

#include "sonoseg/sonoseg.h"

typedef struct sono_serve_snapshot_file sono_serve_snapshot_file;

/* Errors: IO (a thread), OUT_OF_MEMORY. A place that cannot be written shows by _failures(). */
sono_status sono_serve_snapshot_file_open(const char *path, sono_serve_snapshot_file **out,
                                          sono_error *error);
/* text is copied; at most 65535 bytes. Never waits for the disk. NULL is allowed, and does nothing. */
void sono_serve_snapshot_file_put(sono_serve_snapshot_file *file, const char *text, size_t n_bytes);
uint64_t sono_serve_snapshot_file_failures(sono_serve_snapshot_file *file);
/* Writes what is there yet, and ends. NULL is allowed. */
void sono_serve_snapshot_file_close(sono_serve_snapshot_file *file);

#endif
