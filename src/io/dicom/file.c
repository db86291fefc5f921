// SPDX-License-Identifier: Apache-2.0
#include "io/dicom/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not even a pipe makes it wait. */
sono_status sono_dicom_file_open(sono_dicom_file *file, const char *path, sono_error *error)
{
    struct stat facts;
    file->path = path;
    file->n_window = 0;
    file->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->descriptor < 0)
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(file->descriptor, &facts))
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return SONO_FAIL(error, FORMAT, "%s: a DICOM file is read from a regular file: copy it to one", path);
    file->n_bytes = (uint64_t)facts.st_size;
    return SONO_STATUS_OK;
}

void sono_dicom_file_close(sono_dicom_file *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
}

/* Reads up to n bytes; *n_read is less only where the file ends. */
static sono_status read_some(const sono_dicom_file *file, uint64_t at, void *out, size_t n, size_t *n_read,
                             sono_error *error)
{
    for (*n_read = 0; *n_read < n;) {
        const ssize_t got =
            pread(file->descriptor, (uint8_t *)out + *n_read, n - *n_read, (off_t)(at + *n_read));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be read: %s", file->path, strerror(errno));
        if (got == 0)
            break;
        *n_read += (size_t)got;
    }
    return SONO_STATUS_OK;
}

static sono_status fail_short(const sono_dicom_file *file, uint64_t at, size_t n, sono_error *error)
{
    return SONO_FAIL_AT(error, FORMAT, at, "%s: the file is cut short: %zu bytes are needed, %llu are left",
                        file->path, n, at < file->n_bytes ? (unsigned long long)(file->n_bytes - at) : 0ULL);
}

sono_status sono_dicom_file_read(sono_dicom_file *file, uint64_t at, void *out, size_t n, sono_error *error)
{
    size_t n_read;
    if (at > file->n_bytes || n > file->n_bytes - at)
        return fail_short(file, at, n, error);
    SONO_TRY(read_some(file, at, out, n, &n_read, error));
    return n_read == n ? SONO_STATUS_OK : fail_short(file, at, n, error);
}

sono_status sono_dicom_file_peek(sono_dicom_file *file, uint64_t at, size_t n, const uint8_t **out,
                                 sono_error *error)
{
    if (at > file->n_bytes || n > file->n_bytes - at)
        return fail_short(file, at, n, error);
    if (at < file->window_at || at - file->window_at > file->n_window ||
        n > file->n_window - (size_t)(at - file->window_at)) {
        file->window_at = at;
        file->n_window = 0;
        SONO_TRY(read_some(file, at, file->window, sizeof file->window, &file->n_window, error));
        if (file->n_window < n)
            return fail_short(file, at, n, error);
    }
    *out = file->window + (at - file->window_at);
    return SONO_STATUS_OK;
}
