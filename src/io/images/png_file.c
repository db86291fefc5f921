// SPDX-License-Identifier: Apache-2.0
#include "sonoseg/io.h"

#include "io/part.h"

#include "base/alloc.h"
#include "base/status.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <string.h>

#define DEFLATE_LEVEL 3 /* masks shrink as well as at 9, in a fraction of the time */

typedef struct writer {
    FILE *stream;
    int code; /* errno of the write that failed */
    int out_of_memory;
    png_structp png;
    png_infop info;
} writer;

typedef struct picture {
    const uint8_t *pixels;
    int32_t width_px;
    int32_t height_px;
    int32_t channels;
} picture;

static png_voidp on_alloc(png_structp png, png_alloc_size_t n_bytes)
{
    writer *state = png_get_mem_ptr(png);
    void *memory = sono_alloc(n_bytes);
    if (!memory)
        state->out_of_memory = 1;
    return memory;
}

static void on_free(png_structp png, png_voidp memory)
{
    (void)png;
    sono_free(memory);
}

static void on_error(png_structp png, png_const_charp text)
{
    (void)text;
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_write(png_structp png, png_bytep bytes, size_t n_bytes)
{
    writer *state = png_get_io_ptr(png);
    errno = 0;
    if (fwrite(bytes, 1, n_bytes, state->stream) == n_bytes)
        return;
    state->code = errno ? errno : EIO;
    png_error(png, "write failed");
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* Returns 0, or -1 with the reason in state. */
static int encode(writer *state, const picture *source)
{
    if (setjmp(png_jmpbuf(state->png)))
        return -1;
    png_set_write_fn(state->png, state, on_write, on_flush);
    png_set_compression_level(state->png, DEFLATE_LEVEL);
    png_set_filter(state->png, PNG_FILTER_TYPE_BASE,
                   source->channels == 1 ? PNG_FILTER_NONE : PNG_FILTER_SUB);
    png_set_IHDR(state->png, state->info, (png_uint_32)source->width_px, (png_uint_32)source->height_px, 8,
                 source->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(state->png, state->info);
    const size_t pitch_bytes = (size_t)source->width_px * (size_t)source->channels;
    for (int32_t y = 0; y < source->height_px; y++)
        png_write_row(state->png, source->pixels + (size_t)y * pitch_bytes);
    png_write_end(state->png, NULL);
    return 0;
}

static int write_stream(writer *state, const picture *source)
{
    state->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, state, on_error, on_warning, state,
                                           on_alloc, on_free);
    if (state->png)
        state->info = png_create_info_struct(state->png);
    int result = -1;
    if (state->info)
        result = encode(state, source);
    else
        state->out_of_memory = 1;
    png_destroy_write_struct(&state->png, &state->info);
    return result;
}

sono_status sono_png_write(const char *path, const uint8_t *pixels, int32_t width_px, int32_t height_px,
                           int32_t channels, sono_error *error)
{
    if (!path || !pixels || width_px < 1 || height_px < 1 || (channels != 1 && channels != 3))
        return SONO_FAIL(
            error, INVALID_ARGUMENT,
            "%s: a picture of %d x %d pixels and %d channels: pixels are needed, and 1 channel or 3",
            path ? path : "NULL", width_px, height_px, channels);
    const picture source = {pixels, width_px, height_px, channels};
    sono_part part;
    writer state = {0};
    state.code = sono_part_open(&part, path);
    if (state.code)
        return SONO_FAIL_NATIVE(error, IO, state.code, "%s: cannot be created: %s", path,
                                strerror(state.code));
    state.stream = part.stream;
    const int result = write_stream(&state, &source);
    const int code = sono_part_close(&part, !result);
    if (!result && !code)
        return SONO_STATUS_OK;
    if (state.out_of_memory)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    if (!state.code)
        state.code = code;
    return SONO_FAIL_NATIVE(error, IO, state.code, "%s: cannot be written: %s", path, strerror(state.code));
}
