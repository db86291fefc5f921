// SPDX-License-Identifier: Apache-2.0
/* The source of image files. */
#include "source/image.h"
#include "source/paths.h"
#include "source/source.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_READ_BYTES 65536
#define HEADROOM_BYTES   (16 << 20) /* metadata a file may carry beside its pixels */

typedef struct image_files {
    sono_source base;
    sono_source_options options;
    sono_paths paths;
    size_t next;
    uint8_t *bytes; /* the file being read; kept from file to file */
    size_t capacity_bytes;
    sono_image *images; /* ring of n_held */
    size_t next_image;
} image_files;

static int64_t count_files(const sono_source *source)
{
    return (int64_t)((const image_files *)(const void *)source)->paths.count;
}

/* No format stores a pixel in more than 8 bytes. */
static size_t file_limit(const image_files *self)
{
    const int64_t pixels = self->options.max_pixels;
    return pixels < INT64_MAX / 16 ? (size_t)pixels * 8 + HEADROOM_BYTES : SIZE_MAX / 2;
}

static sono_status grow_buffer(image_files *self, size_t needed, const char *path, sono_error *error)
{
    if (needed <= self->capacity_bytes)
        return SONO_STATUS_OK;
    const size_t limit = file_limit(self);
    if (needed > limit)
        return SONO_FAIL(error, LIMIT, "%s: the file is larger than %zu bytes", path, limit);
    void *bytes = self->bytes;
    if (sono_alloc_grow(&bytes, &self->capacity_bytes, needed, 1))
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for the file", path);
    self->bytes = bytes;
    return SONO_STATUS_OK;
}

static sono_status read_all(image_files *self, int descriptor, const char *path, size_t *out,
                            sono_error *error)
{
    size_t n_bytes = 0;
    for (;;) {
        if (n_bytes == self->capacity_bytes)
            SONO_TRY(grow_buffer(self, n_bytes + 1, path, error));
        const ssize_t n = read(descriptor, self->bytes + n_bytes, self->capacity_bytes - n_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be read: %s", path, strerror(errno));
        if (n == 0)
            break;
        n_bytes += (size_t)n;
    }
    *out = n_bytes;
    return SONO_STATUS_OK;
}

static sono_status read_file(image_files *self, const char *path, size_t *out, sono_error *error)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat facts;
    sono_status status = SONO_STATUS_OK;
    if (!fstat(descriptor, &facts) && S_ISDIR(facts.st_mode))
        status =
            SONO_FAIL(error, IO, "%s: the folder holds no image files (PNG, JPEG, TIFF, PGM, PPM)", path);
    else if (S_ISREG(facts.st_mode) && facts.st_size > 0)
        status = grow_buffer(self, (size_t)facts.st_size + 1, path, error);
    else
        status = grow_buffer(self, FIRST_READ_BYTES, path, error);
    if (status == SONO_STATUS_OK)
        status = read_all(self, descriptor, path, out, error);
    close(descriptor);
    return status;
}

static sono_status next_file(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    image_files *self = (void *)source;
    if (self->next == self->paths.count)
        return SONO_STATUS_END;
    const char *path = self->paths.items[self->next];
    *name = path;
    *frame = (sono_frame){.frame_id = self->next++};
    size_t n_bytes = 0;
    SONO_TRY(read_file(self, path, &n_bytes, error));
    sono_image *image = &self->images[self->next_image];
    SONO_TRY(sono_image_decode(self->bytes, n_bytes, path, &self->options, image, error));
    self->next_image = (self->next_image + 1) % (size_t)self->options.n_held;
    frame->pixels = image->pixels;
    frame->width_px = image->width_px;
    frame->height_px = image->height_px;
    frame->pitch_bytes = image->pitch_bytes;
    frame->format = image->format;
    return SONO_STATUS_OK;
}

static void close_files(sono_source *source)
{
    image_files *self = (void *)source;
    for (int32_t i = 0; self->images && i < self->options.n_held; i++)
        sono_image_reset(&self->images[i]);
    sono_free(self->images);
    sono_free(self->bytes);
    sono_paths_reset(&self->paths);
    sono_free(self);
}

static const sono_source_ops image_files_ops = {count_files, next_file, close_files, NULL};

static sono_status fill(image_files *self, const char *const *paths, int32_t n_paths,
                        const sono_source_options *options, sono_error *error)
{
    SONO_TRY(sono_source_options_read(options, &self->options, error));
    self->images = sono_alloc_array((size_t)self->options.n_held, sizeof *self->images);
    if (!self->images)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the source of images");
    for (int32_t i = 0; i < n_paths; i++) {
        if (!paths[i] || !*paths[i])
            return SONO_FAIL(error, INVALID_ARGUMENT, "input path %d is empty", i + 1);
        SONO_TRY(sono_paths_add(&self->paths, paths[i], error));
    }
    return SONO_STATUS_OK;
}

sono_status sono_source_open_images(const char *const *paths, int32_t n_paths,
                                    const sono_source_options *options, sono_source **out, sono_error *error)
{
    if (!paths || n_paths < 1 || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "at least one input path is needed");
    image_files *self = sono_alloc(sizeof *self);
    if (!self)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the source of images");
    self->base.ops = &image_files_ops;
    const sono_status status = fill(self, paths, n_paths, options, error);
    if (status != SONO_STATUS_OK) {
        close_files(&self->base);
        return status;
    }
    *out = &self->base;
    return SONO_STATUS_OK;
}
