// SPDX-License-Identifier: Apache-2.0
/* The source of a DICOM file. */
#include "io/dicom/pixels.h"
#include "io/source.h"

#include "base/alloc.h"
#include "base/sha256.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HASH_LETTERS   16
#define NAME_BYTES     64         /* "dicom_", the hash, "_f" and a number, ".dcm" */
#define HEADROOM_BYTES (16 << 20) /* what a JPEG may carry beside its pixels */
#define SAME_SPACING   1e-3       /* part by which two may differ */

typedef struct dicom {
    sono_source base;
    sono_source_options options;
    char *path;
    sono_dicom_file file;
    sono_dicom_dataset dataset;
    sono_dicom_frames frames;
    sono_dicom_pixels pixels;
    sono_frame_info common;     /* what all frames have in common */
    char hash[65];              /* of the file's bytes */
    int64_t next;               /* frame */
    int64_t n_lent;             /* those without an error take a place in the rings */
    sono_decoded_image *images; /* ring of n_held */
    char (*names)[NAME_BYTES];  /* likewise */
} dicom;

static int64_t count_frames(const sono_source *source)
{
    return ((const dicom *)(const void *)source)->dataset.n_frames;
}

/* No part of it comes from a tag, nor from the file's name: both may say who was examined. */
static void name_frame(const dicom *self, char out[NAME_BYTES])
{
    if (self->dataset.n_frames == 1)
        snprintf(out, NAME_BYTES, "dicom_%.*s.dcm", HASH_LETTERS, self->hash);
    else
        snprintf(out, NAME_BYTES, "dicom_%.*s_f%04lld.dcm", HASH_LETTERS, self->hash,
                 (long long)self->next + 1);
}

static sono_status decode(dicom *self, sono_decoded_image *image, sono_error *error)
{
    char text[512];
    if (self->dataset.n_frames > 1)
        snprintf(text, sizeof text, "%s (frame %lld)", self->path, (long long)self->next + 1);
    const sono_image_job job = {.name = self->dataset.n_frames > 1 ? text : self->path,
                                .options = &self->options,
                                .image = image,
                                .error = error};
    return sono_dicom_decode(&self->pixels, &self->file, &self->dataset, &self->frames, self->next, &job);
}

static void lend(const dicom *self, const sono_decoded_image *image, sono_image *out)
{
    const int32_t given = self->options.gray16_white;
    out->pixels = image->pixels;
    out->width_px = image->width_px;
    out->height_px = image->height_px;
    out->pitch_bytes = image->pitch_bytes;
    out->format = image->format;
    if (image->format == SONO_PIXEL_GRAY16)
        out->gray16_white = given > 0 ? given : image->gray16_white;
}

static int64_t time_of(const dicom *self)
{
    int64_t ns;
    if (self->frames.times_ns)
        return self->frames.times_ns[self->next];
    return __builtin_mul_overflow(self->next, self->dataset.frame_time_ns, &ns) ? 0 : ns;
}

static sono_status next_frame(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    dicom *self = (void *)source;
    if (self->next >= self->dataset.n_frames)
        return SONO_STATUS_END;
    const size_t slot = (size_t)(self->n_lent % self->options.n_held);
    frame->info = self->common;
    frame->info.frame_id = (uint64_t)self->next;
    frame->info.timestamp_ns = time_of(self);
    *name = self->path;
    const sono_status status = decode(self, &self->images[slot], error);
    if (status == SONO_STATUS_OK) {
        name_frame(self, self->names[slot]);
        *name = self->names[slot];
        lend(self, &self->images[slot], &frame->image);
        self->n_lent++;
    }
    self->next++;
    return status;
}

static void close_dicom(sono_source *source)
{
    dicom *self = (void *)source;
    for (int32_t i = 0; self->images && i < self->options.n_held; i++)
        sono_image_reset(&self->images[i]);
    sono_free(self->images);
    sono_free(self->names);
    sono_dicom_pixels_reset(&self->pixels);
    sono_dicom_frames_reset(&self->frames);
    sono_dicom_file_close(&self->file);
    sono_free(self->path);
    sono_free(self);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

/* Pictures of what may show a name are made by those alone who say so. */
static sono_status check_pictures(const dicom *self, sono_error *error)
{
    const sono_dicom_dataset *d = &self->dataset;
    if (self->options.burned_in != SONO_BURNED_IN_REFUSE || (d->n_regions && !d->says_burned_in))
        return SONO_STATUS_OK;
    return SONO_FAIL(error, UNSUPPORTED,
                     "%s: %s, so a picture of it may show who was examined: analyse it without pictures "
                     "(--no-overlays), or look at it first and take all of it (--keep-burned-in)",
                     self->path,
                     d->says_burned_in ? "BurnedInAnnotation says that text is part of the image"
                                       : "no ultrasound region says where the image ends and text begins");
}

static int differs(const double a[2], const double b[2])
{
    return fabs(a[0] - b[0]) > SAME_SPACING * a[0] || fabs(a[1] - b[1]) > SAME_SPACING * a[1];
}

/* Of the region that is looked at. Where several images of different scale are looked at it is unknown. */
static void find_spacing(dicom *self, const sono_dicom_region *main_region)
{
    const sono_dicom_dataset *d = &self->dataset;
    const double *mm =
        main_region && main_region->spacing_mm[0] > 0 ? main_region->spacing_mm : d->spacing_mm;
    for (int32_t i = 0; mm != d->spacing_mm && !self->options.wants_region && i < d->n_regions; i++)
        if (d->regions[i].is_image && differs(mm, d->regions[i].spacing_mm))
            return;
    memcpy(self->common.spacing_mm, mm, sizeof self->common.spacing_mm);
}

static sono_status hash_file(dicom *self, sono_error *error)
{
    sono_sha256 hash;
    uint8_t bytes[16384];
    sono_sha256_begin(&hash);
    for (uint64_t at = 0; at < self->file.n_bytes;) {
        const uint64_t left = self->file.n_bytes - at;
        const size_t n = left < sizeof bytes ? (size_t)left : sizeof bytes;
        SONO_TRY(sono_dicom_file_read(&self->file, at, bytes, n, error));
        sono_sha256_add(&hash, bytes, n);
        at += n;
    }
    sono_sha256_end(&hash, self->hash);
    return SONO_STATUS_OK;
}

static size_t limit_of(const sono_source_options *options)
{
    return options->max_pixels < INT64_MAX / 16 ? (size_t)options->max_pixels * 8 + HEADROOM_BYTES
                                                : SIZE_MAX / 2;
}

static sono_status fill(dicom *self, const char *path, const sono_source_options *options, sono_error *error)
{
    SONO_TRY(sono_source_options_read(options, &self->options, error));
    const size_t n_held = (size_t)self->options.n_held;
    self->path = sono_strdup(path);
    self->images = sono_alloc_array(n_held, sizeof *self->images);
    self->names = sono_alloc_array(n_held, sizeof *self->names);
    if (!self->path || !self->images || !self->names)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    SONO_TRY(sono_dicom_file_open(&self->file, self->path, error));
    SONO_TRY(sono_dicom_read_dataset(&self->file, &self->dataset, error));
    SONO_TRY(check_pictures(self, error));
    const sono_image_job job = {.name = self->path, .options = &self->options, .error = error};
    SONO_TRY(sono_image_check_size(&job, self->dataset.width_px, self->dataset.height_px));
    SONO_TRY(
        sono_dicom_find_frames(&self->file, &self->dataset, limit_of(&self->options), &self->frames, error));
    const sono_dicom_region *main_region = sono_dicom_main_region(&self->dataset);
    find_spacing(self, main_region);
    if (self->options.wants_region && main_region)
        self->common.region = main_region->place;
    if (self->options.burned_in != SONO_BURNED_IN_KEEP && self->dataset.n_regions)
        SONO_TRY(sono_dicom_blank_outside(&self->pixels, &self->dataset, self->path, error));
    return hash_file(self, error);
}

static const sono_source_ops dicom_ops = {.count = count_frames, .next = next_frame, .close = close_dicom};

sono_status sono_source_open_dicom(const char *path, const sono_source_options *options, sono_source **out,
                                   sono_error *error)
{
    if (!path || !*path || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a DICOM file's path and out must be given");
    dicom *self = sono_alloc(sizeof *self);
    if (!self)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    self->base.ops = &dicom_ops;
    self->file.descriptor = -1;
    sono_frame_info_init(&self->common);
    const sono_status status = fill(self, path, options, error);
    if (status != SONO_STATUS_OK) {
        close_dicom(&self->base);
        return status;
    }
    *out = &self->base;
    return SONO_STATUS_OK;
}
