// SPDX-License-Identifier: Apache-2.0
/*
 * An image file in memory -> pixels. The format is recognised from the first bytes:
 *
 *     PNG      every kind; 16-bit grey stays GRAY16, 16-bit colour is scaled to 8 bits; may lack its end
 * (IEND) JPEG     baseline, progressive; luma as libjpeg-turbo decodes it (JCS_GRAYSCALE); stray bytes
 * between segments are skipped TIFF     tiff.h says which; here its first page PBM/PGM/PPM  binary (P4, P5,
 * P6) and text (P1, P2, P3), maxval 1..65535, scaled so that maxval is white
 *
 * The picture is turned as its EXIF or TIFF orientation asks for (orientation.h). Alpha is ignored. Colour
 * becomes luma unless keep_colour asks for RGB8. Thread-safe on different images.
 */
#ifndef SONO_IO_IMAGES_IMAGE_H
#define SONO_IO_IMAGES_IMAGE_H

#include "base/status.h"
#include "sonoseg/io.h"

/* A decoded image; the buffer is kept from one decode to the next. Zero-initialised = empty. */
typedef struct sono_decoded_image {
    uint8_t *pixels;       /* height_px rows of pitch_bytes; GRAY16 in host byte order */
    size_t capacity_bytes; /* of pixels */
    int32_t width_px;
    int32_t height_px;
    size_t pitch_bytes;
    sono_pixel_format format; /* GRAY8, GRAY16 or RGB8 */
    int32_t orientation;      /* that the file names, while it is being decoded; then 1 */
    int32_t gray16_white;     /* GRAY16: what means white by the file's own word; 0 = it says nothing */
    int32_t gray16_unit; /* GRAY16: what the file wrote for the sample 65535; 0 = samples are the file's */
} sono_decoded_image;

/* Decodes bytes[n_bytes]. `name` stands for the path in errors. On failure the image is empty (0 x 0).
 * Errors: FORMAT (none of the formats, damaged, cut short, zero size), UNSUPPORTED (also well-known formats
 * that are not read), LIMIT (above max_pixels or max_side_px; nothing was decoded), OUT_OF_MEMORY. The text
 * names the file. */
sono_status sono_image_decode(const void *bytes, size_t n_bytes, const char *name,
                              const sono_source_options *options, sono_decoded_image *image,
                              sono_error *error);

/* Frees the buffer; the image can be used again. */
void sono_image_reset(sono_decoded_image *image);

/* ---- for the decoders ---- */

/* What a decoder gets. */
typedef struct sono_image_job {
    const uint8_t *bytes;
    size_t n_bytes;
    const char *name;
    const sono_source_options *options;
    sono_decoded_image *image;
    sono_error *error;
    int keeps_components; /* JPEG: three components stay what the file has, RGB or YCbCr, as RGB8 */
} sono_image_job;

/* What comes behind each decoder, which gave `decoded`: luma of colour, the picture turned. On failure the
 * image is empty. Errors: `decoded`, OUT_OF_MEMORY. */
sono_status sono_image_finish(const sono_image_job *job, sono_status decoded);

/* Each file's decoder; the caller has seen its magic bytes. */
sono_status sono_image_decode_png(const sono_image_job *job);
sono_status sono_image_decode_jpeg(const sono_image_job *job);
sono_status sono_image_decode_tiff(const sono_image_job *job);
sono_status sono_image_decode_pnm(const sono_image_job *job);

/* Errors: FORMAT (zero or negative), LIMIT. */
sono_status sono_image_check_size(const sono_image_job *job, int64_t width_px, int64_t height_px);

/* Checks the size named in the header and makes the buffer hold it, rows contiguous.
 * Errors: FORMAT (zero or negative), LIMIT, OUT_OF_MEMORY. */
sono_status sono_image_shape(const sono_image_job *job, int64_t width_px, int64_t height_px,
                             sono_pixel_format format);

/* Of a GRAY16 image: the largest sample. */
int32_t sono_image_gray16_max(const sono_decoded_image *image);

/* Of a number of significant bits that a file names: the sample of all ones; 0 = it tells nothing, as 16 of
 * 16 do. */
int32_t sono_image_white_of_bits(int32_t n_bits);

/* Turns an RGB8 image into GRAY8 in place unless keep_colour is set.
 * L = (19595 R + 38470 G + 7471 B + 0x8000) >> 16: Rec. 601 luma, as PIL's convert("L") rounds it. */
void sono_image_apply_colour(const sono_image_job *job);

#endif
