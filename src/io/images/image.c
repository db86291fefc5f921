// SPDX-License-Identifier: Apache-2.0
#include "io/images/image.h"

#include "base/alloc.h"
#include "base/pixel.h"
#include "io/formats.h"
#include "io/images/orientation.h"

#include <string.h>

sono_status sono_image_check_size(const sono_image_job *job, int64_t width_px, int64_t height_px)
{
    if (width_px < 1 || height_px < 1)
        return SONO_FAIL(job->error, FORMAT, "%s: the image is %lld x %lld pixels: empty", job->name,
                         (long long)width_px, (long long)height_px);
    if (width_px > INT32_MAX || height_px > INT32_MAX || width_px > job->options->max_pixels / height_px)
        return SONO_FAIL(job->error, LIMIT, "%s: the image is %lld x %lld pixels, the limit is %lld pixels",
                         job->name, (long long)width_px, (long long)height_px,
                         (long long)job->options->max_pixels);
    const int32_t side_px = job->options->max_side_px;
    if (side_px && (width_px > side_px || height_px > side_px))
        return SONO_FAIL(job->error, LIMIT,
                         "%s: the image is %lld x %lld pixels, the limit is %d pixels a side", job->name,
                         (long long)width_px, (long long)height_px, side_px);
    return SONO_STATUS_OK;
}

sono_status sono_image_shape(const sono_image_job *job, int64_t width_px, int64_t height_px,
                             sono_pixel_format format)
{
    SONO_TRY(sono_image_check_size(job, width_px, height_px));
    sono_decoded_image *image = job->image;
    const size_t pitch_bytes = (size_t)width_px * sono_pixel_bytes(format);
    if ((size_t)height_px > SIZE_MAX / pitch_bytes)
        return SONO_FAIL(job->error, OUT_OF_MEMORY, "%s: out of memory", job->name);
    const size_t n_bytes = pitch_bytes * (size_t)height_px;
    if (n_bytes > image->capacity_bytes) {
        uint8_t *pixels = sono_alloc(n_bytes);
        if (!pixels)
            return SONO_FAIL(job->error, OUT_OF_MEMORY, "%s: out of memory for %lld x %lld pixels", job->name,
                             (long long)width_px, (long long)height_px);
        sono_free(image->pixels);
        image->pixels = pixels;
        image->capacity_bytes = n_bytes;
    }
    image->width_px = (int32_t)width_px;
    image->height_px = (int32_t)height_px;
    image->pitch_bytes = pitch_bytes;
    image->format = format;
    image->orientation = 1;
    image->gray16_white = image->gray16_unit = 0;
    return SONO_STATUS_OK;
}

int32_t sono_image_gray16_max(const sono_decoded_image *image)
{
    const uint16_t *samples = (const void *)image->pixels;
    const size_t count = (size_t)image->width_px * (size_t)image->height_px;
    uint16_t most = 0;
    for (size_t i = 0; i < count; i++)
        most = samples[i] > most ? samples[i] : most;
    return most;
}

int32_t sono_image_white_of_bits(int32_t n_bits)
{
    return n_bits >= 8 && n_bits < 16 ? (1 << n_bits) - 1 : 0;
}

void sono_image_apply_colour(const sono_image_job *job)
{
    sono_decoded_image *image = job->image;
    if (image->format != SONO_PIXEL_RGB8 || job->options->keep_colour)
        return;
    const size_t count = (size_t)image->width_px * (size_t)image->height_px;
    const uint8_t *rgb = image->pixels;
    for (size_t i = 0; i < count; i++, rgb += 3)
        image->pixels[i] = (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16);
    image->format = SONO_PIXEL_GRAY8;
    image->pitch_bytes = (size_t)image->width_px;
}

static sono_status fail_unknown(const sono_image_job *job)
{
    const char *foreign = sono_format_foreign(job->bytes, job->n_bytes);
    if (!job->n_bytes)
        return SONO_FAIL(job->error, FORMAT, "%s: the file is empty", job->name);
    if (foreign)
        return SONO_FAIL(job->error, UNSUPPORTED, "%s: %s, which is not supported: save it as PNG or TIFF",
                         job->name, foreign);
    return SONO_FAIL(job->error, FORMAT, "%s: not an image: neither PNG, JPEG, TIFF nor PGM/PPM", job->name);
}

static sono_status decode(const sono_image_job *job)
{
    switch (sono_format_of(job->bytes, job->n_bytes)) {
    case SONO_FORMAT_PNG:
        return sono_image_decode_png(job);
    case SONO_FORMAT_JPEG:
        return sono_image_decode_jpeg(job);
    case SONO_FORMAT_TIFF:
        return sono_image_decode_tiff(job);
    case SONO_FORMAT_PNM:
        return sono_image_decode_pnm(job);
    default:
        return fail_unknown(job);
    }
}

sono_status sono_image_finish(const sono_image_job *job, sono_status decoded)
{
    sono_decoded_image *image = job->image;
    if (decoded == SONO_STATUS_OK) {
        sono_image_apply_colour(job);
        decoded = sono_orientation_apply(job);
    }
    if (decoded == SONO_STATUS_OK)
        return SONO_STATUS_OK;
    image->width_px = image->height_px = 0;
    image->pitch_bytes = 0;
    return decoded;
}

sono_status sono_image_decode(const void *bytes, size_t n_bytes, const char *name,
                              const sono_source_options *options, sono_decoded_image *image,
                              sono_error *error)
{
    const sono_image_job job = {bytes, n_bytes, name, options, image, error, 0};
    return sono_image_finish(&job, decode(&job));
}

void sono_image_reset(sono_decoded_image *image)
{
    sono_free(image->pixels);
    *image = (sono_decoded_image){0};
}
