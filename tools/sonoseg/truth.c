// SPDX-License-Identifier: Apache-2.0
#include "truth.h"

#include "args.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_subfolder(const char *set, const char *name)
{
    char path[PATH_MAX];
    struct stat facts;
    const int n = snprintf(path, sizeof path, "%s/%s", set, name);
    if (n > 0 && (size_t)n < sizeof path && !stat(path, &facts) && S_ISDIR(facts.st_mode))
        return 0;
    report_error("%s: no folder %s/ in it: a labelled set holds images/<stem>.png or .jpg and "
                 "masks/<stem>.png",
                 set, name);
    return -1;
}

int truth_check_folder(const char *set)
{
    return check_subfolder(set, "images") || check_subfolder(set, "masks") ? -1 : 0;
}

__attribute__((format(printf, 3, 4))) static sono_status fail(sono_error *error, sono_status status,
                                                              const char *format, ...)
{
    va_list args;
    *error = (sono_error){.status = status, .offset_bytes = -1};
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return status;
}

/* SET/masks/<stem>.png */
static sono_status find_mask(const char *set, const char *image, char out[PATH_MAX], sono_error *error)
{
    const char *slash = strrchr(image, '/');
    const char *name = slash ? slash + 1 : image;
    const char *dot = strrchr(name, '.');
    const int n_stem = dot ? (int)(dot - name) : (int)strlen(name);
    if (snprintf(out, PATH_MAX, "%s/masks/%.*s.png", set, n_stem, name) < PATH_MAX)
        return SONO_STATUS_OK;
    return fail(error, SONO_STATUS_IO, "%s: the path of its mask is too long", image);
}

static sono_status make_room(truth_masks *self, size_t n_pixels, const char *path, sono_error *error)
{
    if (n_pixels <= self->capacity_px)
        return SONO_STATUS_OK;
    uint8_t *labels = realloc(self->labels, n_pixels);
    if (!labels)
        return fail(error, SONO_STATUS_OUT_OF_MEMORY, "%s: out of memory", path);
    self->labels = labels;
    self->capacity_px = n_pixels;
    return SONO_STATUS_OK;
}

static sono_status copy_labels(const sono_image *mask, const char *path, const metrics_truth *size,
                               uint8_t *out, sono_error *error)
{
    if (mask->format != SONO_PIXEL_GRAY8)
        return fail(error, SONO_STATUS_FORMAT,
                    "%s: a mask must be 8-bit grey: 0 = background, each other value one structure", path);
    if (mask->width_px != size->width_px || mask->height_px != size->height_px)
        return fail(error, SONO_STATUS_FORMAT, "%s: the mask is %d x %d pixels, its image %d x %d", path,
                    mask->width_px, mask->height_px, size->width_px, size->height_px);
    const size_t width = (size_t)size->width_px;
    const size_t pitch_bytes = mask->pitch_bytes ? mask->pitch_bytes : width;
    const uint8_t *row = mask->pixels;
    for (int32_t y = 0; y < size->height_px; y++, row += pitch_bytes, out += width)
        memcpy(out, row, width);
    return SONO_STATUS_OK;
}

static sono_status decode(const char *path, const metrics_truth *size, uint8_t *out, sono_error *error)
{
    sono_image mask;
    const char *name = NULL;
    sono_source *source = NULL;
    sono_source_options options;
    const int64_t n_pixels = (int64_t)size->width_px * size->height_px;
    sono_image_init(&mask);
    sono_source_options_init(&options);
    options.keep_colour = 1;
    if (options.max_pixels < n_pixels)
        options.max_pixels = n_pixels;
    sono_status status = sono_source_open_images(&path, 1, &options, &source, error);
    if (!status)
        status = sono_source_next(source, &mask, NULL, &name, error);
    if (!status)
        status = copy_labels(&mask, path, size, out, error);
    sono_source_close(source);
    return status;
}

sono_status truth_read(truth_masks *self, const char *image, int32_t width_px, int32_t height_px,
                       metrics_truth *out, sono_error *error)
{
    char path[PATH_MAX];
    const size_t n_pixels = (size_t)width_px * (size_t)height_px;
    sono_status status = find_mask(self->set, image, path, error);
    if (!status)
        status = make_room(self, n_pixels, path, error);
    if (status)
        return status;
    const metrics_truth truth = {self->labels, width_px, height_px};
    if (access(path, F_OK) && errno == ENOENT)
        memset(self->labels, 0, n_pixels);
    else
        status = decode(path, &truth, self->labels, error);
    if (!status)
        *out = truth;
    return status;
}

void truth_free(truth_masks *self)
{
    free(self->labels);
    *self = (truth_masks){0};
}
