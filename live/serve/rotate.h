// SPDX-License-Identifier: Apache-2.0
/*
 * Log files that are full, or old, are put aside: PATH becomes PATH.1, what was PATH.1.gz becomes PATH.2.gz,
 * and so on; PATH.1 is compressed to PATH.1.gz. Blocks as long as the disk does: not for the loop's thread.
 */
#ifndef SONO_SERVE_ROTATE_H
#define SONO_SERVE_ROTATE_H

#include <stdint.h>

#define SONO_SERVE_ROTATE_MOST 1000

typedef struct sono_serve_rotation {
    int64_t max_bytes; /* 0 = no limit */
    int64_t max_age_s; /* 0 = no limit */
    int32_t
        n_kept; /* files beside PATH, [1, SONO_SERVE_ROTATE_MOST]; the oldest is removed for a newer one */
} sono_serve_rotation;

/* 1 = a file of so many bytes that was made at since_s (seconds since 1970) has its time. An empty one never.
 */
int sono_serve_rotate_is_due(const sono_serve_rotation *rotation, int64_t n_bytes, int64_t since_s,
                             int64_t now_s);
/* When a file was made, in seconds since 1970; now_s where the file system does not know. */
int64_t sono_serve_rotate_made(int fd, int64_t now_s);
/* Puts PATH aside as PATH.1. 0, or -1: it is where it was. */
int sono_serve_rotate_aside(const char *path, int32_t n_kept);
/* PATH.1 becomes PATH.1.gz. 0, or -1: PATH.1 stays as it is. */
int sono_serve_rotate_compress(const char *path);

#endif
