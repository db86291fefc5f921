// SPDX-License-Identifier: Apache-2.0
#include "serve/rotate.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define PATH_BYTES 600

int sono_serve_rotate_is_due(const sono_serve_rotation *rotation, int64_t n_bytes, int64_t since_s,
                             int64_t now_s)
{
    if (n_bytes <= 0 || rotation->n_kept < 1) {
        return 0;
    }
    return (rotation->max_bytes > 0 && n_bytes >= rotation->max_bytes) ||
           (rotation->max_age_s > 0 && now_s - since_s >= rotation->max_age_s);
}

int64_t sono_serve_rotate_made(int fd, int64_t now_s)
{
    struct statx facts;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &facts) || !(facts.stx_mask & STATX_BTIME)) {
        return now_s;
    }
    return facts.stx_btime.tv_sec;
}

static void name_of(const char *path, int32_t number, const char *ending, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s.%d%s", path, (int)number, ending);
}

/* Compressed or not: a compression that failed leaves a plain one. */
static void move_up(const char *path, int32_t number)
{
    static const char *const endings[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        char from[PATH_BYTES], to[PATH_BYTES];
        name_of(path, number, endings[i], from);
        name_of(path, number + 1, endings[i], to);
        rename(from, to); /* most are not there */
    }
}

int sono_serve_rotate_aside(const char *path, int32_t n_kept)
{
    char first[PATH_BYTES], last[PATH_BYTES];
    name_of(path, n_kept, "", last);
    unlink(last);
    name_of(path, n_kept, ".gz", last);
    unlink(last);
    for (int32_t i = n_kept - 1; i >= 1; i--) {
        move_up(path, i);
    }
    name_of(path, 1, "", first);
    return rename(path, first) ? -1 : 0;
}

/* 0, or -1. */
static int pack(int from, gzFile to)
{
    char bytes[65536];
    ssize_t n;
    while ((n = read(from, bytes, sizeof bytes)) > 0) {
        if (gzwrite(to, bytes, (unsigned)n) != n) {
            return -1;
        }
    }
    return n < 0 ? -1 : 0;
}

int sono_serve_rotate_compress(const char *path)
{
    char plain[PATH_BYTES], packed[PATH_BYTES], part[PATH_BYTES];
    name_of(path, 1, "", plain);
    name_of(path, 1, ".gz", packed);
    name_of(path, 1, ".gz.part", part);
    const int from = open(plain, O_RDONLY | O_CLOEXEC);
    const int to = from < 0 ? -1 : open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    gzFile stream = to < 0 ? NULL : gzdopen(to, "wb6");
    int failed = !stream || pack(from, stream);
    /* The plain file goes when the packed one is on the disk. */
    failed = failed || gzflush(stream, Z_FINISH) != Z_OK || fsync(to);
    if (stream) {
        failed |= gzclose(stream) != Z_OK;
    } else if (to >= 0) {
        close(to);
    }
    if (from >= 0) {
        close(from);
    }
    if (failed || rename(part, packed)) {
        unlink(part);
        return -1;
    }
    return unlink(plain);
}
