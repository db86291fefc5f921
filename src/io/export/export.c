// SPDX-License-Identifier: Apache-2.0
#include "io/export/export.h"

#include "base/alloc.h"
#include "base/sized.h"
#include "io/folder/rle.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define MAX_SIDE_PX 65535

static const sono_export_options export_defaults = {.struct_size = sizeof export_defaults};

void sono_export_options_init_sized(void *options, size_t struct_size)
{
    sono_sized_init(options, struct_size, &export_defaults, sizeof export_defaults);
}

static const sono_export_ops *ops_of(sono_export_format format)
{
    switch (format) {
    case SONO_EXPORT_COCO:
        return &sono_export_coco;
    case SONO_EXPORT_NIFTI:
        return &sono_export_nifti;
    case SONO_EXPORT_NRRD:
        return &sono_export_nrrd;
    case SONO_EXPORT_CSV:
        return &sono_export_csv;
    }
    return NULL;
}

static int is_length(double value)
{
    return isfinite(value) && value >= 0;
}

static sono_status check_options(const char *path, const sono_export_options *options, sono_error *error)
{
    const sono_export_ops *ops = ops_of(options->format);
    if (!ops)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: format %d is none", path, (int)options->format);
    if (options->n_frames < 1)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: %lld frames", path, (long long)options->n_frames);
    if (!ops->is_stack)
        return SONO_STATUS_OK;
    if (options->width_px < 1 || options->width_px > MAX_SIDE_PX || options->height_px < 1 ||
        options->height_px > MAX_SIDE_PX)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: frames of %d x %d, each within 1..%d is needed", path,
                         options->width_px, options->height_px, MAX_SIDE_PX);
    if (!is_length(options->spacing_mm[0]) || !is_length(options->spacing_mm[1]) ||
        !is_length(options->interval_s))
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: spacing %g x %g mm, %g s from frame to frame", path,
                         options->spacing_mm[0], options->spacing_mm[1], options->interval_s);
    return SONO_STATUS_OK;
}

static sono_status write_failed(const sono_export *self, sono_error *error)
{
    const int code = errno ? errno : EIO;
    return SONO_FAIL_NATIVE(error, IO, code, "%s: cannot be written: %s", self->path, strerror(code));
}

sono_status sono_export_write(sono_export *self, const void *bytes, size_t n_bytes, sono_error *error)
{
    errno = 0;
    const int has_failed = self->gzip.stream
                               ? sono_gzip_write(&self->gzip, bytes, n_bytes)
                               : n_bytes && fwrite(bytes, 1, n_bytes, self->part.stream) != n_bytes;
    return has_failed ? write_failed(self, error) : SONO_STATUS_OK;
}

static sono_status no_memory(const sono_export *self, sono_error *error)
{
    return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", self->path);
}

/* What a format's function has made goes to the file. */
static sono_status flush(sono_export *self, sono_status status, sono_error *error)
{
    if (status == SONO_STATUS_OK && (self->text.is_short || self->kept.is_short))
        status = no_memory(self, error);
    if (status == SONO_STATUS_OK)
        status = sono_export_write(self, self->text.bytes, self->text.n_bytes, error);
    sono_text_clear(&self->text);
    self->failed = status;
    return status;
}

static sono_status open_file(sono_export *self, sono_error *error)
{
    const int code = sono_part_open(&self->part, self->path);
    if (code) {
        self->part.stream = NULL;
        return SONO_FAIL_NATIVE(error, IO, code, "%s: cannot be created: %s", self->path, strerror(code));
    }
    return flush(self, self->ops->open(self, error), error);
}

sono_status sono_export_open(const char *path, const sono_export_options *options, sono_export **out,
                             sono_error *error)
{
    sono_export_options given = export_defaults;
    if (!path || !*path || !options || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "path, options and out must not be NULL or empty");
    SONO_TRY(sono_sized_read(options, sizeof options->struct_size, &given, sizeof given,
                             "sono_export_options", error));
    SONO_TRY(check_options(path, &given, error));
    sono_export *self = sono_alloc(sizeof *self);
    if (!self)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    self->options = given;
    self->ops = ops_of(given.format);
    self->path = sono_strdup(path);
    self->category = sono_strdup(given.category ? given.category : "structure");
    if (self->ops->is_stack)
        self->labels = sono_alloc_array((size_t)given.height_px, (size_t)given.width_px);
    sono_status status = SONO_STATUS_OK;
    if (!self->path || !self->category || (self->ops->is_stack && !self->labels))
        status = SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    else
        status = open_file(self, error);
    if (status != SONO_STATUS_OK) {
        sono_export_close(self, 0, NULL);
        return status;
    }
    *out = self;
    return SONO_STATUS_OK;
}

static sono_status check_frame(const sono_export *self, const sono_export_frame *frame, sono_error *error)
{
    if (!self || !frame || !frame->info || !frame->name)
        return SONO_FAIL(error, INVALID_ARGUMENT, "an export, a frame, its info and name must not be NULL");
    if (self->failed != SONO_STATUS_OK)
        return SONO_FAIL(error, STATE, "%s: the export has failed already", self->path);
    const sono_export_options *options = &self->options;
    if (frame->width_px < 1 || frame->width_px > MAX_SIDE_PX || frame->height_px < 1 ||
        frame->height_px > MAX_SIDE_PX ||
        (self->ops->is_stack &&
         (frame->width_px != options->width_px || frame->height_px != options->height_px)))
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: %s has %d x %d pixels, the stack %d x %d", self->path,
                         frame->name, frame->width_px, frame->height_px, options->width_px,
                         options->height_px);
    return SONO_STATUS_OK;
}

sono_status sono_export_describe(sono_export *self, const sono_export_frame *frame, sono_error *error)
{
    SONO_TRY(check_frame(self, frame, error));
    if (self->n_described == self->options.n_frames)
        return SONO_FAIL(error, STATE, "%s: all %lld frames are described", self->path,
                         (long long)self->n_described);
    if (self->ops->describe)
        SONO_TRY(flush(self, self->ops->describe(self, frame, error), error));
    self->n_described++;
    if (self->n_described == self->options.n_frames && self->ops->described)
        SONO_TRY(flush(self, self->ops->described(self, error), error));
    return SONO_STATUS_OK;
}

static sono_status check_objects(const sono_export *self, const sono_export_object *objects,
                                 int32_t n_objects, sono_error *error)
{
    if (n_objects < 0 || (n_objects && !objects))
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: %d objects", self->path, n_objects);
    if (self->ops->is_stack && n_objects > SONO_EXPORT_LABELS)
        return SONO_FAIL(error, LIMIT, "%s: %d objects in a frame, at most %d have labels", self->path,
                         n_objects, SONO_EXPORT_LABELS);
    for (int32_t k = 0; k < n_objects; k++)
        if (objects[k].class_id < 0 || objects[k].class_id >= SONO_EXPORT_CLASSES ||
            (self->ops->is_stack && !objects[k].mask))
            return SONO_FAIL(error, INVALID_ARGUMENT, "%s: object %d has class %d, or no mask", self->path, k,
                             objects[k].class_id);
    return SONO_STATUS_OK;
}

sono_status sono_export_add(sono_export *self, const sono_export_frame *frame,
                            const sono_export_object *objects, int32_t n_objects,
                            const sono_export_surface *surface, sono_error *error)
{
    SONO_TRY(check_frame(self, frame, error));
    SONO_TRY(check_objects(self, objects, n_objects, error));
    if (self->n_described < self->options.n_frames || self->n_added == self->options.n_frames)
        return SONO_FAIL(error, STATE, "%s: %lld of %lld frames are described, %lld added", self->path,
                         (long long)self->n_described, (long long)self->options.n_frames,
                         (long long)self->n_added);
    SONO_TRY(flush(self, self->ops->add(self, frame, objects, n_objects, surface, error), error));
    self->n_added++;
    return SONO_STATUS_OK;
}

static sono_status end(sono_export *self, sono_error *error)
{
    if (self->failed != SONO_STATUS_OK || self->n_added < self->options.n_frames)
        return SONO_FAIL(error, STATE, "%s: %lld of %lld frames were added: it is not written", self->path,
                         (long long)self->n_added, (long long)self->options.n_frames);
    return self->ops->end ? flush(self, self->ops->end(self, error), error) : SONO_STATUS_OK;
}

sono_status sono_export_close(sono_export *self, int32_t keep, sono_error *error)
{
    if (!self)
        return SONO_STATUS_OK;
    sono_status status = keep ? end(self, error) : SONO_STATUS_OK;
    keep = keep && status == SONO_STATUS_OK;
    errno = 0;
    if (sono_gzip_close(&self->gzip, keep)) {
        status = write_failed(self, error);
        keep = 0;
    }
    const int code = self->part.stream ? sono_part_close(&self->part, keep) : 0;
    if (code && keep)
        status = SONO_FAIL_NATIVE(error, IO, code, "%s: cannot be written: %s", self->path, strerror(code));
    sono_text_reset(&self->text);
    sono_text_reset(&self->kept);
    sono_free(self->labels);
    sono_free(self->category);
    sono_free(self->path);
    sono_free(self);
    return status;
}

sono_status sono_export_add_labels(sono_export *self, const sono_export_frame *frame,
                                   const sono_export_object *objects, int32_t n_objects,
                                   const sono_export_surface *surface, sono_error *error)
{
    (void)surface;
    const size_t n = (size_t)frame->width_px * (size_t)frame->height_px;
    memset(self->labels, 0, n);
    for (int32_t k = n_objects - 1; k >= 0; k--)
        for (size_t i = 0; i < n; i++)
            if (objects[k].mask[i])
                self->labels[i] = (uint8_t)(k + 1);
    return sono_export_write(self, self->labels, n, error);
}

sono_status sono_export_unpack_rle(const char *counts, int32_t width_px, int32_t height_px, uint8_t *mask,
                                   sono_error *error)
{
    if (!counts || !mask || width_px < 1 || width_px > MAX_SIDE_PX || height_px < 1 ||
        height_px > MAX_SIDE_PX)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "run lengths: counts and mask must not be NULL, sizes within 1..%d", MAX_SIDE_PX);
    const char *wrong = sono_rle_read(counts, width_px, height_px, mask);
    return wrong ? SONO_FAIL(error, FORMAT, "%s", wrong) : SONO_STATUS_OK;
}
