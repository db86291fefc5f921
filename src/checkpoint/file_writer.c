// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/file_writer.h"

#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define SUFFIX ".partial-"

static const size_t buffer_bytes = 256 * 1024;
static atomic_uint n_opened; /* two threads may write beside the same path */

static sono_status fail(const sono_file_writer *writer, const char *what, sono_error *error)
{
    const int code = errno;
    return SONO_FAIL_NATIVE(error, IO, code, "%.300s: cannot %s: %s", writer->path, what, strerror(code));
}

/* Whether entry is name with what sono_file_writer_open() puts behind it. */
static int is_temporary(const char *entry, const char *name)
{
    static const char digits[] = "0123456789";
    if (strncmp(entry, name, strlen(name)) != 0 || strncmp(entry + strlen(name), SUFFIX, strlen(SUFFIX)) != 0)
        return 0;
    const char *process = entry + strlen(name) + strlen(SUFFIX);
    const size_t n_process = strspn(process, digits);
    const size_t n_number = process[n_process] == '-' ? strspn(process + n_process + 1, digits) : 0;
    return n_process && n_number && !process[n_process + 1 + n_number];
}

/* Removes what killed writers of the same file left: it is locked no more. path is changed on the way. */
static void sweep(char *path)
{
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (slash)
        *slash = 0;
    DIR *folder = opendir(!slash ? "." : slash == path ? "/" : path);
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        if (!is_temporary(entry->d_name, name))
            continue;
        const int file = openat(dirfd(folder), entry->d_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (file >= 0 && !flock(file, LOCK_EX | LOCK_NB))
            unlinkat(dirfd(folder), entry->d_name, 0);
        if (file >= 0)
            close(file);
    }
    if (folder)
        closedir(folder);
}

sono_status sono_file_writer_open(sono_file_writer *writer, const char *path, sono_error *error)
{
    *writer = (sono_file_writer){.path = path, .file = -1};
    const size_t name_bytes = strlen(path) + 48;
    writer->temporary = sono_alloc(name_bytes);
    writer->buffer = sono_alloc(buffer_bytes);
    if (!writer->temporary || !writer->buffer)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for writing %.300s", path);
    memcpy(writer->temporary, path, strlen(path) + 1);
    sweep(writer->temporary);
    snprintf(writer->temporary, name_bytes, "%s" SUFFIX "%ld-%u", path, (long)getpid(),
             atomic_fetch_add(&n_opened, 1));
    writer->file = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (writer->file < 0)
        return fail(writer, "create", error);
    (void)flock(writer->file, LOCK_EX | LOCK_NB); /* until it is closed: nobody takes it for a remainder */
    return SONO_STATUS_OK;
}

static sono_status flush(sono_file_writer *writer, sono_error *error)
{
    size_t done = 0;
    while (done < writer->n_buffered) {
        const ssize_t n = write(writer->file, writer->buffer + done, writer->n_buffered - done);
        if (n < 0 && errno != EINTR)
            return fail(writer, "write", error);
        if (n > 0)
            done += (size_t)n;
    }
    writer->n_buffered = 0;
    return SONO_STATUS_OK;
}

sono_status sono_file_writer_write(sono_file_writer *writer, const void *bytes, size_t n_bytes,
                                   sono_error *error)
{
    const uint8_t *from = bytes;
    while (n_bytes) {
        const size_t room = buffer_bytes - writer->n_buffered;
        const size_t n = n_bytes < room ? n_bytes : room;
        memcpy(writer->buffer + writer->n_buffered, from, n);
        writer->n_buffered += n;
        from += n;
        n_bytes -= n;
        if (writer->n_buffered == buffer_bytes)
            SONO_TRY(flush(writer, error));
    }
    return SONO_STATUS_OK;
}

/* Makes the rename last. A file system that cannot is no reason to fail: the file is there. */
static void sync_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        slash[slash == path] = 0;
    const int folder = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return;
    (void)fsync(folder);
    close(folder);
}

sono_status sono_file_writer_commit(sono_file_writer *writer, sono_error *error)
{
    sono_status status = flush(writer, error);
    if (status == SONO_STATUS_OK && fsync(writer->file))
        status = fail(writer, "write", error);
    const int failed = close(writer->file);
    writer->file = -1;
    if (status == SONO_STATUS_OK && failed)
        status = fail(writer, "write", error);
    if (status == SONO_STATUS_OK && rename(writer->temporary, writer->path))
        status = fail(writer, "put in place", error);
    if (status != SONO_STATUS_OK)
        unlink(writer->temporary);
    else
        sync_folder(writer->temporary);
    sono_free(writer->temporary);
    sono_free(writer->buffer);
    return status;
}

void sono_file_writer_abandon(sono_file_writer *writer)
{
    if (writer->file >= 0) {
        close(writer->file);
        unlink(writer->temporary);
    }
    sono_free(writer->temporary);
    sono_free(writer->buffer);
}
