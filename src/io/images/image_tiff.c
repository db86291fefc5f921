// SPDX-License-Identifier: Apache-2.0
/* TIFF through libtiff: bytes from memory or a descriptor, messages kept per page (nothing reaches stderr).
 */
#include "io/images/tiff_private.h"

#include "base/alloc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef sono_tiff_reader reader;

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

/* libtiff's JPEG decoder only warns about a strip cut short; other warnings are about tags, or about stray
 * bytes as they are tolerated in JPEG files. */
__attribute__((format(printf, 4, 0))) static int on_warning(TIFF *tiff, void *user, const char *module,
                                                            const char *format, va_list args)
{
    char text[200];
    (void)tiff;
    if (!module || strcmp(module, "JPEGLib") != 0)
        return 1;
    vsnprintf(text, sizeof text, format, args);
    reader *state = user;
    if (strstr(text, "extraneous bytes"))
        return 1;
    if (!state->has_failed)
        memcpy(state->text, text, sizeof text);
    state->has_failed = 1;
    return 1;
}

static tmsize_t on_read(thandle_t handle, void *out, tmsize_t n_bytes)
{
    reader *state = handle;
    const size_t n = sono_tiff_input_read(state->input, state->at, out, (size_t)n_bytes);
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
        offset += state->input->n_bytes;
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
    return ((reader *)handle)->input->n_bytes;
}

/* libtiff's reports of missing pixels name rows and strips that mean nothing to a user. */
static sono_status fail_damaged(const reader *state)
{
    const char *text = state->has_failed ? state->text : "unreadable";
    if (!strncmp(text, "Read error", 10) || !strncmp(text, "Seek error", 10))
        text = "the file ends before its pixels do";
    return SONO_FAIL(state->job->error, FORMAT, "%s: damaged or cut short TIFF: %s", state->job->name, text);
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

/* Bytes of `width_px` pixels in a row of a strip or tile. */
static int64_t row_bytes(const reader *state, int64_t width_px)
{
    return (width_px * sono_tiff_step(state) * state->bits + 7) / 8;
}

static int n_planes(const reader *state)
{
    return state->is_planar && state->format == SONO_PIXEL_RGB8 && state->photometric == PHOTOMETRIC_RGB ? 3
                                                                                                         : 1;
}

static sono_status read_strips(reader *state)
{
    const sono_decoded_image *image = state->job->image;
    SONO_TRY(make_scratch(state, TIFFScanlineSize(state->tiff), row_bytes(state, image->width_px)));
    for (int plane = 0; plane < n_planes(state); plane++)
        for (int32_t y = 0; y < image->height_px; y++) {
            if (TIFFReadScanline(state->tiff, state->scratch, (uint32_t)y, (uint16_t)plane) < 0 ||
                state->has_failed)
                return fail_damaged(state);
            sono_tiff_store(state, state->scratch, 0, y, image->width_px, plane);
        }
    return SONO_STATUS_OK;
}

static sono_status read_tile_rows(reader *state, uint32_t tile_width, uint32_t tile_height, int plane)
{
    const sono_decoded_image *image = state->job->image;
    const size_t tile_pitch = (size_t)row_bytes(state, tile_width);
    for (int64_t y0 = 0; y0 < image->height_px; y0 += tile_height) {
        for (int64_t x0 = 0; x0 < image->width_px; x0 += tile_width) {
            if (TIFFReadTile(state->tiff, state->scratch, (uint32_t)x0, (uint32_t)y0, 0, (uint16_t)plane) <
                    0 ||
                state->has_failed)
                return fail_damaged(state);
            const int64_t right = image->width_px - x0;
            for (int64_t y = 0; y < tile_height && y0 + y < image->height_px; y++)
                sono_tiff_store(state, state->scratch + (size_t)y * tile_pitch, (int32_t)x0,
                                (int32_t)(y0 + y), (int32_t)(right < tile_width ? right : tile_width), plane);
        }
    }
    return SONO_STATUS_OK;
}

static sono_status read_tiles(reader *state)
{
    uint32_t tile_width = 0, tile_height = 0;
    TIFFGetField(state->tiff, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(state->tiff, TIFFTAG_TILELENGTH, &tile_height);
    if (!tile_width || !tile_height)
        return fail_damaged(state);
    if (tile_width > state->job->options->max_pixels / tile_height || tile_width > INT32_MAX)
        return SONO_FAIL(state->job->error, LIMIT,
                         "%s: a TIFF tile of %u x %u pixels is above the limit of %lld", state->job->name,
                         tile_width, tile_height, (long long)state->job->options->max_pixels);
    SONO_TRY(make_scratch(state, TIFFTileSize(state->tiff), row_bytes(state, tile_width) * tile_height));
    for (int plane = 0; plane < n_planes(state); plane++)
        SONO_TRY(read_tile_rows(state, tile_width, tile_height, plane));
    return SONO_STATUS_OK;
}

/* ---- ImageJ's stacks of more than 4 GB: one directory, then image behind image ---- */

/* Where the first image's pixels begin, when they lie in one piece of whole bytes each; 0 = they do not. */
static uint64_t start_of_pixels(const reader *state)
{
    if (state->bits < 8 || state->compression != COMPRESSION_NONE || TIFFIsTiled(state->tiff) ||
        state->is_planar)
        return 0;
    const uint32_t n_strips = TIFFNumberOfStrips(state->tiff);
    for (uint32_t i = 0; i + 1 < n_strips; i++)
        if (TIFFGetStrileOffset(state->tiff, i) + TIFFGetStrileByteCount(state->tiff, i) !=
            TIFFGetStrileOffset(state->tiff, i + 1))
            return 0;
    return TIFFGetStrileOffset(state->tiff, 0);
}

static uint64_t bytes_of_image(const reader *state)
{
    return (uint64_t)row_bytes(state, state->width_px) * state->height_px;
}

/* N of a line "images=N" of ImageJ's description; 0 = none. */
static int64_t announced_images(const reader *state)
{
    char *text = NULL;
    if (!TIFFGetField(state->tiff, TIFFTAG_IMAGEDESCRIPTION, &text) || strncmp(text, "ImageJ=", 7) != 0)
        return 0;
    const char *line = strstr(text, "\nimages=");
    return line ? strtoll(line + 8, NULL, 10) : 0;
}

/* A description alone may come from a stack of which this file keeps one image: there must be pixels of at
 * least two behind the directory, or of all. */
static void look_for_stack(sono_tiff *tiff, const reader *state)
{
    const int64_t n = announced_images(state);
    const uint64_t start = start_of_pixels(state), image_bytes = bytes_of_image(state);
    if (n < 2 || !start || !image_bytes || start >= tiff->input.n_bytes || tiff->directories[0] >= start)
        return;
    const uint64_t n_whole = (tiff->input.n_bytes - start) / image_bytes;
    if (n_whole < 2)
        return;
    tiff->n_announced = n;
    tiff->n_stacked = n_whole < (uint64_t)n ? (int64_t)n_whole : n;
    if (tiff->n_stacked < n)
        tiff->fault = "the file is cut short: it announces more images than it holds";
}

static void turn_bytes(uint8_t *data, int64_t n_bytes, int sample_bytes)
{
    for (int64_t i = 0; i + sample_bytes <= n_bytes; i += sample_bytes)
        for (int k = 0; k < sample_bytes / 2; k++) {
            const uint8_t kept = data[i + k];
            data[i + k] = data[i + sample_bytes - 1 - k];
            data[i + sample_bytes - 1 - k] = kept;
        }
}

static sono_status read_stacked(reader *state, int64_t number)
{
    const sono_decoded_image *image = state->job->image;
    const int64_t n_bytes = row_bytes(state, image->width_px);
    uint64_t at = start_of_pixels(state) + (uint64_t)number * bytes_of_image(state);
    SONO_TRY(make_scratch(state, (tmsize_t)n_bytes, n_bytes));
    for (int32_t y = 0; y < image->height_px; y++, at += (uint64_t)n_bytes) {
        if (sono_tiff_input_read(state->input, at, state->scratch, (size_t)n_bytes) != (size_t)n_bytes)
            return fail_damaged(state);
        if (TIFFIsByteSwapped(state->tiff))
            turn_bytes(state->scratch, n_bytes, state->bits / 8);
        sono_tiff_store(state, state->scratch, 0, y, image->width_px, 0);
    }
    return SONO_STATUS_OK;
}

/* ---- pages ---- */

static TIFF *open_input(reader *state, uint64_t directory)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return NULL;
    const int64_t pixels = state->job->options->max_pixels;
    const int64_t most = pixels < (INT64_MAX >> 6) ? pixels * 16 + (16 << 20) : INT64_MAX >> 1;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)most);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, state);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, state);
    /* m: libtiff maps nothing into memory; h: it does not read the first directory */
    TIFF *tiff = TIFFClientOpenExt(state->job->name, directory ? "rmh" : "rm", state, on_read, on_write,
                                   on_seek, on_close, on_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    if (tiff && directory && !TIFFSetSubDirectory(tiff, directory)) {
        TIFFClose(tiff);
        return NULL;
    }
    return tiff;
}

static sono_status read_pixels(reader *state, const sono_tiff *tiff, int64_t page)
{
    const sono_image_job *job = state->job;
    SONO_TRY(sono_image_shape(job, state->width_px, state->height_px, state->format));
    job->image->orientation = state->orientation;
    if (state->photometric == PHOTOMETRIC_YCBCR)
        TIFFSetField(state->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    SONO_TRY(tiff->n_stacked            ? read_stacked(state, page)
             : TIFFIsTiled(state->tiff) ? read_tiles(state)
                                        : read_strips(state));
    sono_tiff_settle_white(state);
    return SONO_STATUS_OK;
}

sono_status sono_tiff_open(sono_tiff *tiff, const sono_tiff_input *input, const sono_image_job *job)
{
    tiff->input = *input;
    SONO_TRY(sono_tiff_list(tiff, job));
    if (tiff->n_directories != 1 || tiff->fault)
        return SONO_STATUS_OK;
    sono_error ignored;
    const sono_image_job quiet = {.name = job->name, .options = job->options, .error = &ignored};
    reader state = {.job = &quiet, .input = &tiff->input};
    state.tiff = open_input(&state, tiff->directories[0]);
    if (!state.tiff)
        return SONO_STATUS_OK; /* decoding says why */
    if (sono_tiff_read_tags(&state) == SONO_STATUS_OK && !state.has_failed)
        look_for_stack(tiff, &state);
    TIFFClose(state.tiff);
    return SONO_STATUS_OK;
}

int64_t sono_tiff_count(const sono_tiff *tiff)
{
    const int64_t n = tiff->n_stacked ? tiff->n_stacked : (int64_t)tiff->n_directories;
    return n ? n + (tiff->fault != NULL) : 1;
}

sono_status sono_tiff_decode(const sono_tiff *tiff, int64_t page, const sono_image_job *job)
{
    const int64_t n = tiff->n_stacked ? tiff->n_stacked : (int64_t)tiff->n_directories;
    if (n && page >= n && tiff->n_stacked)
        return SONO_FAIL(job->error, FORMAT, "%s: %s: %lld of %lld", job->name, tiff->fault,
                         (long long)tiff->n_stacked, (long long)tiff->n_announced);
    if (n && page >= n)
        return SONO_FAIL(job->error, FORMAT, "%s: %s", job->name, tiff->fault);
    reader state = {.job = job, .input = &tiff->input};
    state.tiff = open_input(&state, n ? tiff->directories[tiff->n_stacked ? 0 : page] : 0);
    if (!state.tiff)
        return fail_damaged(&state);
    sono_status status = sono_tiff_read_tags(&state);
    if (status == SONO_STATUS_OK)
        status = read_pixels(&state, tiff, page);
    sono_free(state.scratch);
    TIFFClose(state.tiff);
    return status;
}

void sono_tiff_reset(sono_tiff *tiff)
{
    sono_free(tiff->directories);
    *tiff = (sono_tiff){0};
}

sono_status sono_image_decode_tiff(const sono_image_job *job)
{
    const sono_tiff_input input = {.bytes = job->bytes, .descriptor = -1, .n_bytes = job->n_bytes};
    sono_tiff tiff = {0};
    sono_status status = sono_tiff_open(&tiff, &input, job);
    if (status == SONO_STATUS_OK)
        status = sono_tiff_decode(&tiff, 0, job);
    sono_tiff_reset(&tiff);
    return status;
}
