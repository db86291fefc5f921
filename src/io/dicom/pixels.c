// SPDX-License-Identifier: Apache-2.0
#include "io/dicom/pixels.h"

#include "base/alloc.h"
#include "base/pixel.h"

#include <string.h>

typedef struct decoder {
    sono_dicom_pixels *pixels;
    sono_dicom_file *file;
    const sono_dicom_dataset *dataset;
    const sono_dicom_frames *frames;
    int64_t frame;
    const sono_image_job *job;
} decoder;

static size_t count(const decoder *d)
{
    return (size_t)d->dataset->width_px * (size_t)d->dataset->height_px;
}

/* Reads the frame to pixels->stored. */
static sono_status read_stored(const decoder *d, size_t *n_bytes)
{
    sono_dicom_pixels *pixels = d->pixels;
    *n_bytes = sono_dicom_frame_bytes(d->frames, d->frame);
    if (*n_bytes > pixels->capacity) {
        uint8_t *stored = sono_alloc(*n_bytes);
        if (!stored)
            return SONO_FAIL(d->job->error, OUT_OF_MEMORY, "%s: out of memory for a frame", d->job->name);
        sono_free(pixels->stored);
        pixels->stored = stored;
        pixels->capacity = *n_bytes;
    }
    return sono_dicom_read_frame(d->file, d->dataset, d->frames, d->frame, pixels->stored, d->job->error);
}

/* ---- grey ---------------------------------------------------------------------------------------------- */

/* Bytes as the file has them -> samples of the host without what is not stored in them. */
static void settle_deep(const decoder *d)
{
    const uint32_t white = (1u << d->dataset->bits_stored) - 1;
    uint16_t *samples = (void *)d->job->image->pixels;
    for (size_t i = 0; i < count(d); i++)
        samples[i] = (uint16_t)(sono_dicom_u16((const uint8_t *)&samples[i]) & white);
    d->job->image->gray16_white = (int32_t)white;
}

static sono_status decode_grey(const decoder *d)
{
    const int is_deep = d->dataset->bits_allocated == 16;
    SONO_TRY(sono_image_shape(d->job, d->dataset->width_px, d->dataset->height_px,
                              is_deep ? SONO_PIXEL_GRAY16 : SONO_PIXEL_GRAY8));
    SONO_TRY(sono_dicom_read_frame(d->file, d->dataset, d->frames, d->frame, d->job->image->pixels,
                                   d->job->error));
    if (is_deep)
        settle_deep(d);
    return SONO_STATUS_OK;
}

static void invert(const decoder *d)
{
    const sono_decoded_image *image = d->job->image;
    uint16_t *samples = (void *)image->pixels;
    if (image->format == SONO_PIXEL_GRAY16)
        for (size_t i = 0; i < count(d); i++)
            samples[i] = (uint16_t)(image->gray16_white - samples[i]);
    else if (image->format == SONO_PIXEL_GRAY8)
        for (size_t i = 0; i < count(d); i++)
            image->pixels[i] = (uint8_t)(255 - image->pixels[i]);
}

/* ---- colour -------------------------------------------------------------------------------------------- */

static void weave_planes(const uint8_t *stored, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++)
            out[3 * i + k] = stored[k * n + i];
}

/* Y Y Cb Cr of two pixels each: both have the same Cb and Cr. */
static void spread_chroma(const uint8_t *stored, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *pair = stored + i / 2 * 4;
        out[3 * i] = pair[i % 2];
        out[3 * i + 1] = pair[2];
        out[3 * i + 2] = pair[3];
    }
}

static sono_status decode_colour(const decoder *d)
{
    size_t n_bytes;
    uint8_t *out;
    SONO_TRY(sono_image_shape(d->job, d->dataset->width_px, d->dataset->height_px, SONO_PIXEL_RGB8));
    out = d->job->image->pixels;
    if (!d->dataset->is_planar && !d->frames->is_half_chroma)
        return sono_dicom_read_frame(d->file, d->dataset, d->frames, d->frame, out, d->job->error);
    SONO_TRY(read_stored(d, &n_bytes));
    if (d->dataset->is_planar)
        weave_planes(d->pixels->stored, count(d), out);
    else
        spread_chroma(d->pixels->stored, count(d), out);
    return SONO_STATUS_OK;
}

static sono_dicom_colour by_label(const sono_dicom_dataset *dataset)
{
    return dataset->photometric == SONO_DICOM_RGB ? SONO_DICOM_COLOUR_RGB : SONO_DICOM_COLOUR_YBR;
}

/* By the pixels, else by what the JPEG says of itself, else by the label. */
static void judge(const decoder *d, size_t n_jpeg_bytes)
{
    sono_dicom_colour *colour = &d->pixels->colour;
    if (*colour != SONO_DICOM_COLOUR_UNKNOWN)
        return;
    if (d->frames->is_half_chroma)
        *colour = SONO_DICOM_COLOUR_YBR;
    else
        *colour = sono_dicom_judge(d->job->image->pixels, count(d));
    if (*colour == SONO_DICOM_COLOUR_UNKNOWN && n_jpeg_bytes)
        *colour = sono_dicom_judge_jpeg(d->pixels->stored, n_jpeg_bytes);
    if (*colour == SONO_DICOM_COLOUR_UNKNOWN)
        *colour = by_label(d->dataset);
}

static void settle_colour(const decoder *d, size_t n_jpeg_bytes)
{
    sono_decoded_image *image = d->job->image;
    judge(d, n_jpeg_bytes);
    if (d->pixels->colour == SONO_DICOM_COLOUR_RGB) {
        sono_image_apply_colour(d->job);
    } else if (d->job->options->keep_colour) {
        sono_dicom_to_rgb(image->pixels, count(d));
    } else {
        sono_dicom_to_luma(image->pixels, count(d));
        image->format = SONO_PIXEL_GRAY8;
        image->pitch_bytes = (size_t)image->width_px;
    }
}

/* ---- both ---------------------------------------------------------------------------------------------- */

static sono_status decode_jpeg(const decoder *d, size_t *n_bytes)
{
    SONO_TRY(read_stored(d, n_bytes));
    sono_image_job job = *d->job;
    job.bytes = d->pixels->stored;
    job.n_bytes = *n_bytes;
    job.keeps_components = 1;
    SONO_TRY(sono_image_decode_jpeg(&job));
    job.image->orientation = 1; /* what EXIF says of it is no part of DICOM */
    if (job.image->width_px == d->dataset->width_px && job.image->height_px == d->dataset->height_px)
        return SONO_STATUS_OK;
    return SONO_FAIL(job.error, FORMAT, "%s: the JPEG has %d x %d pixels, Columns and Rows say %d x %d",
                     job.name, job.image->width_px, job.image->height_px, d->dataset->width_px,
                     d->dataset->height_px);
}

static void blank(const decoder *d)
{
    const size_t pixel_bytes = sono_pixel_bytes(d->job->image->format);
    const uint8_t *outside = d->pixels->outside;
    for (size_t i = 0, end; outside && i < count(d); i = end) {
        for (end = i + 1; end < count(d) && outside[end] == outside[i];)
            end++;
        if (outside[i])
            memset(d->job->image->pixels + i * pixel_bytes, 0, (end - i) * pixel_bytes);
    }
}

static sono_status decode(const decoder *d)
{
    size_t n_jpeg_bytes = 0;
    if (d->frames->starts)
        SONO_TRY(decode_jpeg(d, &n_jpeg_bytes));
    else
        SONO_TRY(d->dataset->samples == 3 ? decode_colour(d) : decode_grey(d));
    if (d->job->image->format == SONO_PIXEL_RGB8)
        settle_colour(d, n_jpeg_bytes);
    else if (d->dataset->photometric == SONO_DICOM_MONOCHROME1)
        invert(d);
    blank(d);
    return SONO_STATUS_OK;
}

sono_status sono_dicom_decode(sono_dicom_pixels *pixels, sono_dicom_file *file,
                              const sono_dicom_dataset *dataset, const sono_dicom_frames *frames,
                              int64_t frame, const sono_image_job *job)
{
    const decoder d = {pixels, file, dataset, frames, frame, job};
    const sono_status status = decode(&d);
    if (status != SONO_STATUS_OK) {
        job->image->width_px = job->image->height_px = 0;
        job->image->pitch_bytes = 0;
    }
    return status;
}

sono_status sono_dicom_blank_outside(sono_dicom_pixels *pixels, const sono_dicom_dataset *dataset,
                                     const char *path, sono_error *error)
{
    const size_t width = (size_t)dataset->width_px;
    pixels->outside = sono_alloc_array((size_t)dataset->height_px, width);
    if (!pixels->outside)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for its regions", path);
    memset(pixels->outside, 1, width * (size_t)dataset->height_px);
    for (int32_t i = 0; i < dataset->n_regions; i++) {
        const sono_region *r = &dataset->regions[i].place;
        for (int32_t y = r->y_px; y < r->y_px + r->height_px; y++)
            memset(pixels->outside + (size_t)y * width + (size_t)r->x_px, 0, (size_t)r->width_px);
    }
    return SONO_STATUS_OK;
}

void sono_dicom_pixels_reset(sono_dicom_pixels *pixels)
{
    sono_free(pixels->stored);
    sono_free(pixels->outside);
    *pixels = (sono_dicom_pixels){0};
}
