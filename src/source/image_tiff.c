// SPDX-License-Identifier: Apache-2.0
/* TIFF through libtiff: memory in, messages kept per handle (nothing reaches stderr), first image of the
 * file. */
#include "source/image.h"

#include "base/alloc.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>

#define MAX_SAMPLES 4 /* a pixel: RGB and alpha */

typedef struct reader {
    const sono_image_job *job;
    TIFF *tiff;
    uint64_t at;
    int has_failed; /* text holds libtiff's first complaint */
    char text[200];
    uint16_t bits;    /* a sample: 8 or 16 */
    uint16_t samples; /* a pixel, interleaved */
    uint16_t photometric;
    uint8_t palette[256][3];
    uint8_t *scratch; /* one row or one tile */
} reader;

__attribute__((format(printf, 4, 0))) static int on_error(TIFF *tiff, void *user, const char *module,
                                                          const char *format, va_list args)
{
    (void)tiff;
    (void)module;
    reader *state = user;
    if (!state->has_failed)
        vsnprintf(state->text, sizeof state->text, format, args);
    state->has_failed = 1;
    return 1;
}

/* libtiff's JPEG decoder only warns about a strip cut short; other warnings are about tags. */
__attribute__((format(printf, 4, 0))) static int on_warning(TIFF *tiff, void *user, const char *module,
                                                            const char *format, va_list args)
{
    if (module && !strcmp(module, "JPEGLib"))
        return on_error(tiff, user, module, format, args);
    return 1;
}

static tmsize_t on_read(thandle_t handle, void *out, tmsize_t n_bytes)
{
    reader *state = handle;
    const uint64_t left = state->at < state->job->n_bytes ? state->job->n_bytes - state->at : 0;
    const uint64_t n = (uint64_t)n_bytes < left ? (uint64_t)n_bytes : left;
    memcpy(out, state->job->bytes + (left ? state->at : 0), n);
    state->at += n;
    return (tmsize_t)n;
}

static tmsize_t on_write(thandle_t handle, void *bytes, tmsize_t n_bytes)
{
    (void)handle;
    (void)bytes;
    (void)n_bytes;
    return -1;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence)
{
    reader *state = handle;
    if (whence == SEEK_CUR)
        offset += state->at;
    else if (whence == SEEK_END)
        offset += state->job->n_bytes;
    state->at = offset;
    return offset;
}

static int on_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle)
{
    return ((reader *)handle)->job->n_bytes;
}

static sono_status fail_damaged(const reader *state)
{
    return SONO_FAIL(state->job->error, FORMAT, "%s: damaged or cut short TIFF: %s", state->job->name,
                     state->has_failed ? state->text : "unreadable");
}

/* sample as 8 bits, rounded */
static uint8_t to_8_bits(const reader *state, const uint8_t *data, size_t index)
{
    if (state->bits == 8)
        return data[index];
    uint16_t sample;
    memcpy(&sample, data + 2 * index, sizeof sample);
    return (uint8_t)((sample * 255u + 32895u) >> 16);
}

/* count pixels of interleaved samples -> row y from column x on */
static void store_run(const reader *state, const uint8_t *data, int32_t x, int32_t y, int32_t count)
{
    const sono_image *image = state->job->image;
    uint8_t *row = image->pixels + (size_t)y * image->pitch_bytes;
    const unsigned inverted = state->photometric == PHOTOMETRIC_MINISWHITE ? 0xffff : 0;
    for (int32_t i = 0; i < count; i++) {
        const size_t at = (size_t)i * state->samples;
        if (image->format == SONO_PIXEL_GRAY16) {
            uint16_t sample;
            memcpy(&sample, data + 2 * at, sizeof sample);
            ((uint16_t *)(void *)row)[x + i] = (uint16_t)(sample ^ inverted);
        } else if (image->format == SONO_PIXEL_GRAY8) {
            row[x + i] = (uint8_t)(data[at] ^ inverted);
        } else if (state->photometric == PHOTOMETRIC_PALETTE) {
            memcpy(row + 3 * (size_t)(x + i), state->palette[data[at]], 3);
        } else {
            for (size_t c = 0; c < 3; c++)
                row[3 * (size_t)(x + i) + c] = to_8_bits(state, data, at + c);
        }
    }
}

static sono_status make_scratch(reader *state, tmsize_t n_bytes, int64_t needed)
{
    if (n_bytes < needed)
        return fail_damaged(state);
    state->scratch = sono_alloc((size_t)n_bytes);
    if (!state->scratch)
        return SONO_FAIL(state->job->error, OUT_OF_MEMORY, "%s: out of memory", state->job->name);
    return SONO_STATUS_OK;
}

static sono_status read_strips(reader *state)
{
    const sono_image *image = state->job->image;
    SONO_TRY(make_scratch(state, TIFFScanlineSize(state->tiff),
                          (int64_t)image->width_px * state->samples * (state->bits / 8)));
    for (int32_t y = 0; y < image->height_px; y++) {
        if (TIFFReadScanline(state->tiff, state->scratch, (uint32_t)y, 0) < 0 || state->has_failed)
            return fail_damaged(state);
        store_run(state, state->scratch, 0, y, image->width_px);
    }
    return SONO_STATUS_OK;
}

static sono_status read_tiles(reader *state)
{
    const sono_image *image = state->job->image;
    uint32_t tile_width = 0, tile_height = 0;
    TIFFGetField(state->tiff, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(state->tiff, TIFFTAG_TILELENGTH, &tile_height);
    if (!tile_width || !tile_height)
        return fail_damaged(state);
    if (tile_width > state->job->options->max_pixels / tile_height || tile_width > INT32_MAX)
        return SONO_FAIL(state->job->error, LIMIT,
                         "%s: a TIFF tile of %u x %u pixels is above the limit of %lld", state->job->name,
                         tile_width, tile_height, (long long)state->job->options->max_pixels);
    const size_t tile_pitch = (size_t)tile_width * state->samples * (state->bits / 8u);
    SONO_TRY(make_scratch(state, TIFFTileSize(state->tiff), (int64_t)(tile_pitch * tile_height)));
    for (int64_t y0 = 0; y0 < image->height_px; y0 += tile_height) {
        for (int64_t x0 = 0; x0 < image->width_px; x0 += tile_width) {
            if (TIFFReadTile(state->tiff, state->scratch, (uint32_t)x0, (uint32_t)y0, 0, 0) < 0 ||
                state->has_failed)
                return fail_damaged(state);
            const int64_t right = image->width_px - x0;
            for (int64_t y = 0; y < tile_height && y0 + y < image->height_px; y++)
                store_run(state, state->scratch + (size_t)y * tile_pitch, (int32_t)x0, (int32_t)(y0 + y),
                          (int32_t)(right < tile_width ? right : tile_width));
        }
    }
    return SONO_STATUS_OK;
}

static sono_status read_palette(reader *state)
{
    uint16_t *maps[3];
    if (!TIFFGetField(state->tiff, TIFFTAG_COLORMAP, &maps[0], &maps[1], &maps[2]))
        return fail_damaged(state);
    unsigned highest = 0;
    for (int i = 0; i < 256; i++)
        highest |= (unsigned)(maps[0][i] | maps[1][i] | maps[2][i]);
    const int shift = highest > 255 ? 8 : 0; /* old writers stored 8-bit values */
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++)
            state->palette[i][c] = (uint8_t)(maps[c][i] >> shift);
    return SONO_STATUS_OK;
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
    case COMPRESSION_ZSTD:
        return TIFFIsCODECConfigured(compression);
    default:
        return 0;
    }
}

/* What the file's samples become; 0 = not supported. */
static int pixel_format(const reader *state, uint16_t compression)
{
    const int is_wide = state->bits == 16;
    if (state->bits != 8 && !is_wide)
        return 0;
    switch (state->photometric) {
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE:
        return is_wide ? SONO_PIXEL_GRAY16 : SONO_PIXEL_GRAY8;
    case PHOTOMETRIC_RGB:
        return state->samples >= 3 ? SONO_PIXEL_RGB8 : 0;
    case PHOTOMETRIC_PALETTE:
        return is_wide ? 0 : SONO_PIXEL_RGB8;
    case PHOTOMETRIC_YCBCR:
        return compression == COMPRESSION_JPEG && state->samples == 3 ? SONO_PIXEL_RGB8 : 0;
    default:
        return 0;
    }
}

static sono_status read_image(reader *state)
{
    const sono_image_job *job = state->job;
    TIFF *tiff = state->tiff;
    uint32_t width = 0, height = 0;
    uint16_t planes = PLANARCONFIG_CONTIG, sample_format = SAMPLEFORMAT_UINT;
    uint16_t compression = COMPRESSION_NONE, orientation = ORIENTATION_TOPLEFT;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &state->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &state->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planes);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &sample_format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &state->photometric))
        return fail_damaged(state);
    const int format = pixel_format(state, compression);
    if (!format || !state->samples || state->samples > MAX_SAMPLES || orientation != ORIENTATION_TOPLEFT ||
        (planes != PLANARCONFIG_CONTIG && state->samples > 1) || sample_format != SAMPLEFORMAT_UINT ||
        !is_compression_supported(compression))
        return SONO_FAIL(
            job->error, UNSUPPORTED,
            "%s: this kind of TIFF is not supported: %u x %u bits a pixel, sample format %u, photometric %u,"
            " planes %u, compression %u, orientation %u",
            job->name, state->samples, state->bits, sample_format, state->photometric, planes, compression,
            orientation);
    SONO_TRY(sono_image_shape(job, width, height, (sono_pixel_format)format));
    if (state->photometric == PHOTOMETRIC_YCBCR)
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    if (state->photometric == PHOTOMETRIC_PALETTE)
        SONO_TRY(read_palette(state));
    return TIFFIsTiled(tiff) ? read_tiles(state) : read_strips(state);
}

static TIFF *open_memory(reader *state)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return NULL;
    const int64_t pixels = state->job->options->max_pixels;
    const int64_t most = pixels < (INT64_MAX >> 5) ? pixels * 8 + (16 << 20) : INT64_MAX >> 1;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)most);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, state);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, state);
    TIFF *tiff = TIFFClientOpenExt(state->job->name, "rm", state, on_read, on_write, on_seek, on_close,
                                   on_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

sono_status sono_image_decode_tiff(const sono_image_job *job)
{
    reader state = {.job = job};
    state.tiff = open_memory(&state);
    if (!state.tiff)
        return fail_damaged(&state);
    const sono_status status = read_image(&state);
    sono_free(state.scratch);
    TIFFClose(state.tiff);
    return status;
}
