// SPDX-License-Identifier: Apache-2.0
#include "record/disk.h"

#include "record/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Some file systems know no such rename, some of those no hard links either. */
static int publish_as_new(const char *from, const char *to)
{
    struct stat facts;
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (!link(from, to))
        return unlink(from);
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -1;
    if (!lstat(to, &facts)) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

static int publish(const char *from, const char *to, int replace)
{
    return replace ? rename(from, to) : publish_as_new(from, to);
}

static int sync_folder(const char *path)
{
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -1;
    /* EINVAL: a file system whose folders need no sync. */
    const int code = fsync(folder) && errno != EINVAL ? errno : 0;
    close(folder);
    errno = code;
    return code ? -1 : 0;
}

static ssize_t write_at(int file, const struct iovec *pieces, int n_pieces, off_t at)
{
    return pwritev(file, pieces, n_pieces, at);
}

const sono_record_disk sono_record_real_disk = {write_at, fdatasync, fsync, publish, sync_folder};

int sono_record_create(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int sono_record_write_all(const sono_record_disk *disk, int file, struct iovec *pieces, int n_pieces,
                          size_t n_bytes, off_t at)
{
    while (n_bytes) {
        const ssize_t n = disk->write_at(file, pieces, n_pieces, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        size_t done = (size_t)n;
        n_bytes -= done;
        at += n;
        while (n_pieces && done >= pieces->iov_len) {
            done -= pieces->iov_len;
            pieces++;
            n_pieces--;
        }
        if (n_pieces) {
            pieces->iov_base = (char *)pieces->iov_base + done;
            pieces->iov_len -= done;
        }
    }
    return 0;
}

sono_status sono_record_part_path(const char *path, char *out, size_t out_bytes, sono_error *error)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    const int n = snprintf(out, out_bytes, "%.*s.%s.part", (int)(file - path), path, file);
    if (n < 0 || (size_t)n >= out_bytes)
        return RECORD_FAIL(error, INVALID_ARGUMENT, "%s: the path is too long", path);
    return SONO_STATUS_OK;
}

sono_status sono_record_folder_of(const char *path, char *out, size_t out_bytes, sono_error *error)
{
    const char *slash = strrchr(path, '/');
    const int n_bytes = !slash ? 1 : slash == path ? 1 : (int)(slash - path);
    const int n = snprintf(out, out_bytes, "%.*s", n_bytes, slash ? path : ".");
    if (n < 0 || (size_t)n >= out_bytes)
        return RECORD_FAIL(error, INVALID_ARGUMENT, "%s: the path is too long", path);
    return SONO_STATUS_OK;
}
