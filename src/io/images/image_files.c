// SPDX-License-Identifier: Apache-2.0
/* The source of image files. */
#include "io/formats.h"
#include "io/images/image.h"
#include "io/paths.h"
#include "io/source.h"
#include "io/images/tiff.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_READ_BYTES 65536
#define HEADROOM_BYTES   (16 << 20) /* metadata a file may carry beside its pixels */

typedef struct image_files {
    sono_source base;
    sono_source_options options;
    sono_paths paths;
    size_t next;      /* path */
    uint64_t n_given; /* entries so far */
    uint8_t *bytes;   /* the file being read; kept from file to file */
    size_t n_bytes, capacity_bytes;
    sono_tiff tiff; /* the file being read, page by page */
    int descriptor; /* its bytes; -1 = in memory */
    int64_t page, n_pages;
    int64_t n_more;             /* pages beyond one a path, of the files that were opened */
    sono_paths names;           /* of pages */
    sono_decoded_image *images; /* ring of n_held */
    size_t next_image;
    char left_out[SONO_PATHS_KINDS_BYTES];
    int32_t widest_white; /* with SONO_GRAY16_AUTO: the range that held every frame so far; 0 = none came */
} image_files;

static int64_t count_files(const sono_source *source)
{
    const image_files *self = (const void *)source;
    return (int64_t)self->paths.count + self->n_more;
}

static int64_t left_out(const sono_source *source, const char **suffixes)
{
    const image_files *self = (const void *)source;
    *suffixes = self->left_out;
    return self->paths.n_left_out;
}

static const char *path_at(const sono_source *source, int64_t index)
{
    const image_files *self = (const void *)source;
    return (size_t)index < self->paths.count ? self->paths.items[index] : NULL;
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

static sono_status read_all(image_files *self, int descriptor, const char *path, sono_error *error)
{
    for (;;) {
        if (self->n_bytes == self->capacity_bytes)
            SONO_TRY(grow_buffer(self, self->n_bytes + 1, path, error));
        const ssize_t n = read(descriptor, self->bytes + self->n_bytes, self->capacity_bytes - self->n_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be read: %s", path, strerror(errno));
        if (n == 0)
            return SONO_STATUS_OK;
        self->n_bytes += (size_t)n;
    }
}

static void close_file(image_files *self)
{
    sono_tiff_reset(&self->tiff);
    if (self->descriptor >= 0)
        close(self->descriptor);
    self->descriptor = -1;
    self->page = self->n_pages = 0;
}

/* A TIFF on disk may be larger than memory: only what its pages need is read. */
static int is_tiff_on_disk(const image_files *self, const struct stat *facts)
{
    uint8_t start[4];
    return S_ISREG(facts->st_mode) && pread(self->descriptor, start, sizeof start, 0) == sizeof start &&
           sono_format_of(start, sizeof start) == SONO_FORMAT_TIFF;
}

/* Reads the file into memory and closes it. */
static sono_status read_file(image_files *self, const struct stat *facts, const char *path, sono_error *error)
{
    const int has_size = S_ISREG(facts->st_mode) && facts->st_size > 0;
    sono_status status =
        grow_buffer(self, has_size ? (size_t)facts->st_size + 1 : FIRST_READ_BYTES, path, error);
    if (status == SONO_STATUS_OK)
        status = read_all(self, self->descriptor, path, error);
    close(self->descriptor);
    self->descriptor = -1;
    return status;
}

static sono_status list_pages(image_files *self, const sono_tiff_input *input, const char *path,
                              sono_error *error)
{
    const sono_image_job job = {.name = path, .options = &self->options, .error = error};
    SONO_TRY(sono_tiff_open(&self->tiff, input, &job));
    self->n_pages = sono_tiff_count(&self->tiff);
    self->n_more += self->n_pages - 1;
    return SONO_STATUS_OK;
}

static sono_status open_file(image_files *self, const char *path, sono_error *error)
{
    struct stat facts;
    self->n_bytes = 0;
    self->n_pages = 1;
    self->descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (self->descriptor < 0)
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(self->descriptor, &facts))
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be read: %s", path, strerror(errno));
    if (S_ISDIR(facts.st_mode))
        return SONO_FAIL(error, IO, "%s: the folder holds no image files (PNG, JPEG, TIFF, PGM, PPM)", path);
    if (is_tiff_on_disk(self, &facts)) {
        const sono_tiff_input input = {NULL, self->descriptor, (uint64_t)facts.st_size};
        return list_pages(self, &input, path, error);
    }
    SONO_TRY(read_file(self, &facts, path, error));
    if (sono_format_of(self->bytes, self->n_bytes) != SONO_FORMAT_TIFF)
        return SONO_STATUS_OK;
    const sono_tiff_input input = {self->bytes, -1, self->n_bytes};
    return list_pages(self, &input, path, error);
}

/* "a/b.tif" -> "a/b_p0003.tif", kept until close; NULL without memory. */
static const char *page_name(image_files *self, const char *path, int64_t page, sono_error *error)
{
    const size_t n_bytes = strlen(path) + 24;
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    const char *dot = strrchr(file, '.');
    const char *suffix = dot && dot != file ? dot : path + strlen(path);
    char *name = sono_alloc(n_bytes);
    if (name)
        snprintf(name, n_bytes, "%.*s_p%04lld%s", (int)(suffix - path), path, (long long)page + 1, suffix);
    return sono_paths_keep(&self->names, name, error) == SONO_STATUS_OK ? name : NULL;
}

static sono_status decode_page(image_files *self, const char *path, const char *name, sono_error *error)
{
    char text[512];
    const char *slash = strrchr(path, '/');
    sono_decoded_image *image = &self->images[self->next_image];
    if (!self->tiff.input.n_bytes)
        return sono_image_decode(self->bytes, self->n_bytes, path, &self->options, image, error);
    if (name != path)
        snprintf(text, sizeof text, "%s (page %lld of %s)", name, (long long)self->page + 1,
                 slash ? slash + 1 : path);
    const sono_image_job job = {
        .name = name == path ? path : text, .options = &self->options, .image = image, .error = error};
    return sono_image_finish(&job, sono_tiff_decode(&self->tiff, self->page, &job));
}

/* The smallest usual range that holds this frame's samples and those before it. */
static int32_t widen_white(image_files *self, const sono_decoded_image *image)
{
    const int32_t most = sono_image_gray16_max(image);
    int32_t n_bits = 8;
    while (n_bits < 16 && sono_image_white_of_bits(n_bits) < most)
        n_bits += 2;
    const int32_t white = n_bits < 16 ? sono_image_white_of_bits(n_bits) : 65535;
    if (white > self->widest_white)
        self->widest_white = white;
    return self->widest_white;
}

/* What means white in a frame: the options' word, the file's, or 0. */
static int32_t white_of(image_files *self, const sono_decoded_image *image)
{
    const int32_t given = self->options.gray16_white;
    if (image->format != SONO_PIXEL_GRAY16)
        return 0;
    if (given == SONO_GRAY16_AUTO && !image->gray16_white)
        return widen_white(self, image);
    if (given <= 0)
        return image->gray16_white;
    const int64_t scaled = image->gray16_unit ? (int64_t)given * 65535 / image->gray16_unit : given;
    return scaled < 1 ? 1 : scaled > 65535 ? 65535 : (int32_t)scaled;
}

static void lend(image_files *self, sono_frame *frame)
{
    const sono_decoded_image *image = &self->images[self->next_image];
    self->next_image = (self->next_image + 1) % (size_t)self->options.n_held;
    frame->image.pixels = image->pixels;
    frame->image.width_px = image->width_px;
    frame->image.height_px = image->height_px;
    frame->image.pitch_bytes = image->pitch_bytes;
    frame->image.format = image->format;
    frame->image.gray16_white = white_of(self, image);
}

static sono_status next_page(image_files *self, const char *path, const char **name, sono_error *error)
{
    if (self->page == 0)
        SONO_TRY(open_file(self, path, error));
    if (self->n_pages > 1) {
        const char *own = page_name(self, path, self->page, error);
        if (!own)
            return SONO_STATUS_OUT_OF_MEMORY;
        *name = own;
    }
    return decode_page(self, path, *name, error);
}

static sono_status next_file(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    image_files *self = (void *)source;
    if (self->next == self->paths.count)
        return SONO_STATUS_END;
    const char *path = self->paths.items[self->next];
    *name = path;
    frame->info.frame_id = self->n_given++;
    const sono_status status = next_page(self, path, name, error);
    if (status == SONO_STATUS_OK)
        lend(self, frame);
    if (++self->page >= self->n_pages) {
        close_file(self);
        self->next++;
    }
    return status;
}

static void close_files(sono_source *source)
{
    image_files *self = (void *)source;
    close_file(self);
    for (int32_t i = 0; self->images && i < self->options.n_held; i++)
        sono_image_reset(&self->images[i]);
    sono_free(self->images);
    sono_free(self->bytes);
    sono_paths_reset(&self->names);
    sono_paths_reset(&self->paths);
    sono_free(self);
}

static const sono_source_ops image_files_ops = {
    .count = count_files, .next = next_file, .close = close_files, .left_out = left_out, .path = path_at};

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
    sono_paths_describe_left_out(&self->paths, self->left_out);
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
    self->descriptor = -1;
    const sono_status status = fill(self, paths, n_paths, options, error);
    if (status != SONO_STATUS_OK) {
        close_files(&self->base);
        return status;
    }
    *out = &self->base;
    return SONO_STATUS_OK;
}
