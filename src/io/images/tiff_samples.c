// SPDX-License-Identifier: Apache-2.0
/* What a TIFF's samples are, and how they become pixels. */
#include "io/images/tiff_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_SAMPLES 16 /* a pixel */

static const char *compression_name(uint16_t compression)
{
    switch (compression) {
    case COMPRESSION_CCITTRLE:
    case COMPRESSION_CCITTFAX3:
    case COMPRESSION_CCITTFAX4:
    case COMPRESSION_CCITTRLEW:
        return "fax (CCITT) compression";
    case COMPRESSION_OJPEG:
        return "old-style JPEG compression";
    case COMPRESSION_JP2000:
    case 33003: /* Aperio's numbers for it */
    case 33005:
        return "JPEG 2000 compression";
    case COMPRESSION_LERC:
        return "LERC compression";
    case COMPRESSION_WEBP:
        return "WebP compression";
    case COMPRESSION_LZMA:
        return "LZMA compression";
    case COMPRESSION_ZSTD:
        return "Zstandard compression";
    default:
        return NULL;
    }
}

static int is_compression_supported(uint16_t compression)
{
    switch (compression) {
    case COMPRESSION_NONE:
    case COMPRESSION_LZW:
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_PACKBITS:
    case COMPRESSION_JPEG:
    case COMPRESSION_LZMA:
    case COMPRESSION_ZSTD:
        return TIFFIsCODECConfigured(compression);
    default:
        return 0;
    }
}

static const char *photometric_name(uint16_t photometric)
{
    switch (photometric) {
    case PHOTOMETRIC_YCBCR:
        return "YCbCr colours without JPEG compression, or in planes";
    case PHOTOMETRIC_SEPARATED:
        return "printing inks (CMYK)";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB:
        return "Lab colours";
    case PHOTOMETRIC_MASK:
        return "a transparency mask";
    case PHOTOMETRIC_CFA:
        return "raw camera samples";
    default:
        return NULL;
    }
}

static const char *sample_format_name(uint16_t sample_format)
{
    switch (sample_format) {
    case SAMPLEFORMAT_INT:
        return "signed";
    case SAMPLEFORMAT_IEEEFP:
        return "float";
    case SAMPLEFORMAT_COMPLEXINT:
    case SAMPLEFORMAT_COMPLEXIEEEFP:
        return "complex";
    default:
        return "unsigned";
    }
}

static int has_float_range(const sono_tiff_reader *reader)
{
    return reader->job->options->float_low < reader->job->options->float_high;
}

static int is_grey(const sono_tiff_reader *reader)
{
    return reader->photometric == PHOTOMETRIC_MINISBLACK || reader->photometric == PHOTOMETRIC_MINISWHITE;
}

static int is_float(const sono_tiff_reader *reader)
{
    return reader->sample_format == SAMPLEFORMAT_IEEEFP;
}

/* What the file's samples become; 0 = not supported. */
static int pixel_format(const sono_tiff_reader *reader)
{
    const int is_packed = reader->bits == 1 || reader->bits == 2 || reader->bits == 4;
    const int is_wide = reader->bits == 16;
    if (is_float(reader))
        return is_grey(reader) && (reader->bits == 32 || reader->bits == 64) ? SONO_PIXEL_GRAY16 : 0;
    if ((reader->sample_format != SAMPLEFORMAT_UINT && reader->sample_format != SAMPLEFORMAT_VOID) ||
        (!is_packed && reader->bits != 8 && !is_wide))
        return 0;
    if (is_grey(reader))
        return is_wide ? SONO_PIXEL_GRAY16 : SONO_PIXEL_GRAY8;
    switch (reader->photometric) {
    case PHOTOMETRIC_RGB:
        return reader->samples >= 3 && !is_packed ? SONO_PIXEL_RGB8 : 0;
    case PHOTOMETRIC_PALETTE:
        return is_wide || (is_packed && reader->samples > 1) ? 0 : SONO_PIXEL_RGB8;
    case PHOTOMETRIC_YCBCR:
        return reader->compression == COMPRESSION_JPEG && reader->samples == 3 && reader->bits == 8 &&
                       !reader->is_planar
                   ? SONO_PIXEL_RGB8
                   : 0;
    default:
        return 0;
    }
}

/* Why pixel_format() gives nothing, or another tag is out of the ordinary; NULL = all is well. */
static const char *what_is_unusual(const sono_tiff_reader *reader, char *text, size_t n_bytes)
{
    const char *name = photometric_name(reader->photometric);
    if (!is_compression_supported(reader->compression)) {
        name = compression_name(reader->compression);
        snprintf(text, n_bytes, "compression %u", reader->compression);
    } else if (!reader->samples || reader->samples > MAX_SAMPLES) {
        name = NULL;
        snprintf(text, n_bytes, "%u samples a pixel", reader->samples);
    } else if (pixel_format(reader)) {
        return NULL;
    } else if (reader->photometric == PHOTOMETRIC_RGB && reader->samples < 3) {
        snprintf(text, n_bytes, "RGB of %u samples a pixel", reader->samples);
    } else if (is_grey(reader) || reader->photometric == PHOTOMETRIC_RGB ||
               reader->photometric == PHOTOMETRIC_PALETTE) {
        snprintf(text, n_bytes, "%u-bit %s samples%s", reader->bits,
                 sample_format_name(reader->sample_format), is_grey(reader) ? "" : " of colour");
    } else {
        snprintf(text, n_bytes, "photometric interpretation %u", reader->photometric);
    }
    return name ? name : text;
}

/* As Pillow's TiffImagePlugin.py reads it (its table OPEN_INFO, with 0 where the tag is missing); it knows no
 * three samples without the tag, libtiff's TIFFRGBAImageOK() takes them for RGB. */
static uint16_t missing_photometric(const sono_tiff_reader *reader)
{
    if (reader->samples >= 3)
        return PHOTOMETRIC_RGB;
    return reader->bits <= 8 ? PHOTOMETRIC_MINISWHITE : PHOTOMETRIC_MINISBLACK;
}

static sono_status read_palette(sono_tiff_reader *reader)
{
    uint16_t *maps[3];
    const int n = 1 << reader->bits;
    if (!TIFFGetField(reader->tiff, TIFFTAG_COLORMAP, &maps[0], &maps[1], &maps[2]))
        return SONO_FAIL(reader->job->error, FORMAT, "%s: damaged TIFF: it has no palette",
                         reader->job->name);
    unsigned highest = 0;
    for (int i = 0; i < n; i++)
        highest |= (unsigned)(maps[0][i] | maps[1][i] | maps[2][i]);
    const int shift = highest > 255 ? 8 : 0; /* old writers stored 8-bit values */
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            reader->palette[i][c] = (uint8_t)(maps[c][i] >> shift);
    return SONO_STATUS_OK;
}

sono_status sono_tiff_read_tags(sono_tiff_reader *reader)
{
    TIFF *tiff = reader->tiff;
    const sono_image_job *job = reader->job;
    uint16_t planes = PLANARCONFIG_CONTIG;
    char text[64];
    reader->sample_format = SAMPLEFORMAT_UINT;
    reader->compression = COMPRESSION_NONE;
    reader->orientation = ORIENTATION_TOPLEFT;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &reader->width_px);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &reader->height_px);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &reader->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &reader->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planes);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &reader->sample_format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &reader->compression);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &reader->orientation);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &reader->photometric))
        reader->photometric = missing_photometric(reader);
    reader->is_planar = planes == PLANARCONFIG_SEPARATE && reader->samples > 1;
    const char *unusual = what_is_unusual(reader, text, sizeof text);
    if (unusual)
        return SONO_FAIL(job->error, UNSUPPORTED,
                         "%s: a TIFF with %s is not supported: save it as grey or RGB of 8 or 16 bits",
                         job->name, unusual);
    if (is_float(reader) && !has_float_range(reader))
        return SONO_FAIL(job->error, UNSUPPORTED,
                         "%s: a TIFF with %u-bit float samples: say which values are black and white "
                         "(--float-range LO,HI; float_low and float_high of the source)",
                         job->name, reader->bits);
    reader->format = (sono_pixel_format)pixel_format(reader);
    return reader->photometric == PHOTOMETRIC_PALETTE ? read_palette(reader) : SONO_STATUS_OK;
}

/* ---- samples to pixels ---- */

/* sample as 8 bits, rounded */
static uint8_t to_8_bits(const sono_tiff_reader *reader, const uint8_t *data, size_t index)
{
    if (reader->bits == 8)
        return data[index];
    uint16_t sample;
    memcpy(&sample, data + 2 * index, sizeof sample);
    return (uint8_t)((sample * 255u + 32895u) >> 16);
}

/* A sample of up to 8 bits; the first of a byte lies in its highest ones. */
static unsigned packed_sample(const sono_tiff_reader *reader, const uint8_t *data, size_t index)
{
    const size_t bit = index * reader->bits;
    return (unsigned)data[bit / 8] >> (8 - reader->bits - bit % 8) & ((1u << reader->bits) - 1);
}

/* The range becomes 0 to 65535; NaN becomes 0. */
static uint16_t from_float(const sono_tiff_reader *reader, const uint8_t *data, size_t index)
{
    const double low = reader->job->options->float_low, high = reader->job->options->float_high;
    float narrow;
    double value;
    if (reader->bits == 32) {
        memcpy(&narrow, data + 4 * index, sizeof narrow);
        value = (double)narrow;
    } else {
        memcpy(&value, data + 8 * index, sizeof value);
    }
    if (!(value > low))
        return 0;
    return value < high ? (uint16_t)((value - low) / (high - low) * 65535 + 0.5) : 65535;
}

static void store_grey16(const sono_tiff_reader *reader, const uint8_t *data, uint16_t *out, int32_t count)
{
    const unsigned inverted = reader->photometric == PHOTOMETRIC_MINISWHITE ? 0xffff : 0;
    const size_t step = (size_t)sono_tiff_step(reader);
    for (int32_t i = 0; i < count; i++) {
        uint16_t sample;
        if (is_float(reader)) {
            out[i] = from_float(reader, data, (size_t)i * step);
            continue;
        }
        memcpy(&sample, data + 2 * (size_t)i * step, sizeof sample);
        out[i] = (uint16_t)(sample ^ inverted);
    }
}

static void store_grey8(const sono_tiff_reader *reader, const uint8_t *data, uint8_t *out, int32_t count)
{
    const unsigned inverted = reader->photometric == PHOTOMETRIC_MINISWHITE ? 0xff : 0;
    const unsigned scale = 255 / ((1u << reader->bits) - 1);
    const size_t step = (size_t)sono_tiff_step(reader);
    for (int32_t i = 0; i < count; i++)
        out[i] = (uint8_t)(packed_sample(reader, data, (size_t)i * step) * scale ^ inverted);
}

static void store_colour(const sono_tiff_reader *reader, const uint8_t *data, uint8_t *out, int32_t count,
                         int plane)
{
    const size_t step = (size_t)sono_tiff_step(reader);
    for (int32_t i = 0; i < count; i++, out += 3) {
        const size_t at = (size_t)i * step;
        if (reader->photometric == PHOTOMETRIC_PALETTE)
            memcpy(out, reader->palette[packed_sample(reader, data, at)], 3);
        else if (reader->is_planar)
            out[plane] = to_8_bits(reader, data, at);
        else
            for (size_t c = 0; c < 3; c++)
                out[c] = to_8_bits(reader, data, at + c);
    }
}

void sono_tiff_store(const sono_tiff_reader *reader, const uint8_t *data, int32_t x, int32_t y, int32_t count,
                     int plane)
{
    const sono_decoded_image *image = reader->job->image;
    uint8_t *row = image->pixels + (size_t)y * image->pitch_bytes;
    if (image->format == SONO_PIXEL_GRAY16)
        store_grey16(reader, data, (uint16_t *)(void *)row + x, count);
    else if (image->format == SONO_PIXEL_GRAY8)
        store_grey8(reader, data, row + x, count);
    else
        store_colour(reader, data, row + 3 * (size_t)x, count, plane);
}

/* ---- what means white in 16 bits ---- */

/* MaxSampleValue (281), when it is all ones. TIFF 6.0 means it as a statistic and writers of 10 and 12 bits
 * as the range: any other number is the one, and a number that a sample exceeds is neither. */
static int32_t tagged_white(const sono_tiff_reader *reader)
{
    uint16_t most = 0;
    if (!TIFFGetField(reader->tiff, TIFFTAG_MAXSAMPLEVALUE, &most))
        return 0;
    for (int32_t n_bits = 8; n_bits < 16; n_bits++)
        if (most == sono_image_white_of_bits(n_bits))
            return most;
    return 0;
}

void sono_tiff_settle_white(const sono_tiff_reader *reader)
{
    sono_decoded_image *image = reader->job->image;
    if (image->format != SONO_PIXEL_GRAY16)
        return;
    if (is_float(reader)) {
        image->gray16_white = 65535; /* as from_float() makes them */
        return;
    }
    const size_t count = (size_t)image->width_px * (size_t)image->height_px;
    const int is_inverted = reader->photometric == PHOTOMETRIC_MINISWHITE;
    uint16_t *samples = (void *)image->pixels;
    uint16_t least = 65535; /* of the file: 65535 - the largest */
    for (size_t i = 0; is_inverted && i < count; i++)
        least = samples[i] < least ? samples[i] : least;
    const int32_t most = is_inverted ? 65535 - least : sono_image_gray16_max(image);
    const int32_t tagged = tagged_white(reader), given = reader->job->options->gray16_white;
    if (tagged >= most)
        image->gray16_white = tagged;
    const int32_t white = given > 0 ? given : image->gray16_white;
    for (size_t i = 0; is_inverted && white && i < count; i++)
        samples[i] = (uint16_t)(samples[i] > 65535 - white ? samples[i] - (65535 - white) : 0);
}
