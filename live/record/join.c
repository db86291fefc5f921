// SPDX-License-Identifier: Apache-2.0
/* A pair becomes one file: header, then pixels. */
#include "record/disk.h"
#include "record/fail.h"
#include "record/header.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_HEADER_BYTES ((int64_t)128 << 20) /* the recorder writes none that is larger */
#define COPY_BYTES       ((size_t)1 << 20)
#define END              "ElementDataFile = "

typedef struct joining {
    const char *header_path;
    char folder[PATH_MAX], raw_path[PATH_MAX], joined_path[PATH_MAX], part_path[PATH_MAX];
    char stale_part_path[PATH_MAX]; /* of a recorder that was killed */
    char *header;                   /* n_header bytes up to the last line, a 0 byte behind all */
    size_t n_header;
    int raw; /* -1 = not open */
    int64_t n_pixel_bytes;
} joining;

/* The value of a line "name = value" at the start of the header, as far as it goes; NULL without one. */
static const char *value_of(const joining *self, const char *name)
{
    const size_t n = strlen(name);
    for (const char *line = self->header; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, name, n) && !strncmp(line + n, " = ", 3))
            return line + n + 3;
    }
    return NULL;
}

static sono_status read_header(joining *self, sono_error *error)
{
    struct stat facts;
    const int file = open(self->header_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 || fstat(file, &facts)) {
        const int code = errno;
        if (file >= 0)
            close(file);
        return RECORD_FAIL_IO(error, code, "%s: cannot be read", self->header_path);
    }
    const size_t n_bytes = (size_t)facts.st_size;
    size_t n_read = 0;
    const int is_small = S_ISREG(facts.st_mode) && facts.st_size <= MAX_HEADER_BYTES;
    self->header = is_small ? malloc(n_bytes + 1) : NULL;
    while (self->header && n_read < n_bytes) {
        const ssize_t n = read(file, self->header + n_read, n_bytes - n_read);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        n_read += n > 0 ? (size_t)n : 0;
    }
    close(file);
    if (!is_small)
        return RECORD_FAIL(error, FORMAT,
                           "%s: not a header that sonoseg wrote: not a file of at most %lld bytes",
                           self->header_path, (long long)MAX_HEADER_BYTES);
    if (!self->header)
        return RECORD_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for the header", self->header_path);
    self->header[n_read] = 0;
    if (n_read < n_bytes || strlen(self->header) < n_bytes)
        return RECORD_FAIL(error, FORMAT, "%s: cut short, or not a text", self->header_path);
    return SONO_STATUS_OK;
}

static int64_t element_bytes_of(const char *value)
{
    static const sono_element elements[] = {SONO_ELEMENT_I8,  SONO_ELEMENT_U8,  SONO_ELEMENT_I16,
                                            SONO_ELEMENT_U16, SONO_ELEMENT_I32, SONO_ELEMENT_U32,
                                            SONO_ELEMENT_F32, SONO_ELEMENT_F64};
    for (size_t i = 0; value && i < sizeof elements / sizeof elements[0]; i++) {
        const char *name = sono_record_element_name(elements[i]);
        if (!strncmp(value, name, strlen(name)) && value[strlen(name)] == '\n')
            return (int64_t)sono_record_element_bytes(elements[i]);
    }
    return 0;
}

/* How many bytes of pixels the header names. */
static sono_status count_pixels(joining *self, sono_error *error)
{
    long long width, height, n_frames, components;
    const char *size = value_of(self, "DimSize"), *channels = value_of(self, "ElementNumberOfChannels");
    const char *compressed = value_of(self, "CompressedData");
    const int64_t element_bytes = element_bytes_of(value_of(self, "ElementType"));
    if (!value_of(self, "RecordedBy") || !size || !channels || !element_bytes || !compressed ||
        strncmp(compressed, "False\n", 6) != 0 ||
        sscanf(size, "%10lld %10lld %10lld\n", &width, &height, &n_frames) != 3 ||
        sscanf(channels, "%3lld\n", &components) != 1)
        return RECORD_FAIL(error, FORMAT, "%s: not a header that sonoseg wrote", self->header_path);
    if (width < 1 || width > 65535 || height < 1 || height > 65535 || n_frames < 1 || n_frames > INT32_MAX ||
        components < 1 || components > 4)
        return RECORD_FAIL(error, FORMAT, "%s: DimSize or ElementNumberOfChannels is out of range",
                           self->header_path);
    if (__builtin_mul_overflow(width * height * components * element_bytes, n_frames, &self->n_pixel_bytes))
        return RECORD_FAIL(error, FORMAT, "%s: DimSize is out of range", self->header_path);
    return SONO_STATUS_OK;
}

/* Finds the last line, which names the pixels' file, and cuts the header before it. */
static sono_status find_raw(joining *self, sono_error *error)
{
    char *line = self->header;
    for (char *next = line; next && *next; next = strchr(next, '\n')) {
        next += *next == '\n';
        if (!strncmp(next, END, strlen(END)))
            line = next;
    }
    char *name = line + strlen(END), *end = strchr(line, '\n');
    if (strncmp(line, END, strlen(END)) != 0 || !end || end[1] || end == name)
        return RECORD_FAIL(error, FORMAT, "%s: the last line is not \"" END "NAME\"", self->header_path);
    *end = 0;
    if (strchr(name, '/') || !strcmp(name, "LOCAL") ||
        snprintf(self->raw_path, PATH_MAX, "%s/%s", self->folder, name) >= PATH_MAX)
        return RECORD_FAIL(error, FORMAT, "%s: the pixels must be in a file beside it, not in \"%.100s\"",
                           self->header_path, name);
    self->n_header = (size_t)(line - self->header);
    return SONO_STATUS_OK;
}

static sono_status open_raw(joining *self, sono_error *error)
{
    struct stat facts;
    self->raw = open(self->raw_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (self->raw < 0 || fstat(self->raw, &facts))
        return RECORD_FAIL_IO(error, errno, "%s: cannot be read", self->raw_path);
    if (flock(self->raw, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return RECORD_FAIL(error, STATE, "%s: is being recorded: stop that first", self->raw_path);
    if (!S_ISREG(facts.st_mode) || facts.st_size < self->n_pixel_bytes)
        return RECORD_FAIL(error, FORMAT, "%s: has %lld bytes, %s names %lld", self->raw_path,
                           (long long)facts.st_size, self->header_path, (long long)self->n_pixel_bytes);
    return SONO_STATUS_OK;
}

/* Where copy_file_range() is not to be had. Returns 0 or errno. */
static int copy_in_pieces(const joining *self, int out, off_t from, off_t to, char *buffer)
{
    while (from < self->n_pixel_bytes) {
        const int64_t left = self->n_pixel_bytes - from;
        const size_t wanted = left < (int64_t)COPY_BYTES ? (size_t)left : COPY_BYTES;
        const ssize_t n = pread(self->raw, buffer, wanted, from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        struct iovec piece = {buffer, (size_t)n};
        const int code = sono_record_write_all(&sono_record_real_disk, out, &piece, 1, (size_t)n, to);
        if (code)
            return code;
        from += n;
        to += n;
    }
    return 0;
}

/* Puts the pixels behind the header. Returns 0 or errno. */
static int copy_pixels(const joining *self, int out, off_t at)
{
    off_t from = 0, to = at;
    while (from < self->n_pixel_bytes) {
        const int64_t left = self->n_pixel_bytes - from;
        const size_t wanted = left < (1 << 30) ? (size_t)left : (size_t)1 << 30;
        const ssize_t n = copy_file_range(self->raw, &from, out, &to, wanted, 0);
        if (n > 0)
            continue;
        if (n < 0 && (errno == ENOSPC || errno == EIO || errno == EDQUOT || errno == EFBIG))
            return errno;
        char *buffer = malloc(COPY_BYTES);
        const int code = buffer ? copy_in_pieces(self, out, from, to, buffer) : ENOMEM;
        free(buffer);
        return code;
    }
    return 0;
}

/* Writes the joined file under its temporary name. Returns 0 or errno. */
static int write_part(const joining *self)
{
    static char end[] = END "LOCAL\n";
    struct stat facts;
    struct iovec pieces[] = {{self->header, self->n_header}, {end, sizeof end - 1}};
    const size_t n_header = self->n_header + sizeof end - 1;
    (void)unlink(self->part_path); /* of a join that was killed; the pair's lock is ours */
    const int out = sono_record_create(self->part_path);
    if (out < 0)
        return errno;
    int code = sono_record_write_all(&sono_record_real_disk, out, pieces, 2, n_header, 0);
    if (!code)
        code = copy_pixels(self, out, (off_t)n_header);
    if (!code && (fsync(out) || fstat(out, &facts)))
        code = errno;
    if (!code && facts.st_size != (off_t)n_header + self->n_pixel_bytes)
        code = EIO;
    if (close(out) && !code)
        code = errno;
    return code;
}

static sono_status join(joining *self, sono_error *error)
{
    RECORD_TRY(read_header(self, error));
    RECORD_TRY(count_pixels(self, error));
    RECORD_TRY(find_raw(self, error));
    RECORD_TRY(open_raw(self, error));
    int code = access(self->joined_path, F_OK) ? 0 : EEXIST;
    if (!code)
        code = write_part(self);
    if (!code && sono_record_real_disk.publish(self->part_path, self->joined_path, 0))
        code = errno;
    if (code) {
        (void)unlink(self->part_path);
        return RECORD_FAIL_IO(error, code, "%s: cannot be made, the pair stays", self->joined_path);
    }
    if (sono_record_real_disk.sync_folder(self->folder))
        return RECORD_FAIL_IO(error, errno, "%s: cannot be synced, the pair stays", self->folder);
    (void)unlink(self->stale_part_path);
    if (unlink(self->header_path) || unlink(self->raw_path) ||
        sono_record_real_disk.sync_folder(self->folder))
        return RECORD_FAIL_IO(error, errno, "%s: complete, but the pair cannot be removed",
                              self->joined_path);
    return SONO_STATUS_OK;
}

sono_status sono_record_join(const char *header_path, char *out_path, size_t out_bytes, sono_error *error)
{
    static const char suffix[] = ".igs.mhd";
    const size_t n = header_path ? strlen(header_path) : 0, n_suffix = sizeof suffix - 1;
    if (n <= n_suffix || strcmp(header_path + n - n_suffix, suffix) != 0)
        return RECORD_FAIL(error, INVALID_ARGUMENT, "\"%.200s\": only a NAME_0001.igs.mhd can be joined",
                           header_path ? header_path : "");
    joining *self = calloc(1, sizeof *self);
    if (!self)
        return RECORD_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", header_path);
    self->header_path = header_path;
    self->raw = -1;
    sono_status status = SONO_STATUS_OK;
    if (n >= PATH_MAX)
        status = RECORD_FAIL(error, INVALID_ARGUMENT, "%.200s: the path is too long", header_path);
    if (status == SONO_STATUS_OK) {
        memcpy(self->joined_path, header_path, n);
        self->joined_path[n - 1] = 'a';
        status = sono_record_folder_of(header_path, self->folder, PATH_MAX, error);
    }
    if (status == SONO_STATUS_OK)
        status = sono_record_part_path(self->joined_path, self->part_path, PATH_MAX, error);
    if (status == SONO_STATUS_OK)
        status = sono_record_part_path(header_path, self->stale_part_path, PATH_MAX, error);
    if (status == SONO_STATUS_OK)
        status = join(self, error);
    if (status == SONO_STATUS_OK && out_path)
        snprintf(out_path, out_bytes, "%s", self->joined_path);
    if (self->raw >= 0)
        close(self->raw);
    free(self->header);
    free(self);
    return status;
}
