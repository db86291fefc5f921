// SPDX-License-Identifier: Apache-2.0
/* PNG through libpng: memory in, our allocator, errors by longjmp, warnings dropped. */
#include "io/images/image.h"
#include "io/images/orientation.h"

#include "base/alloc.h"

#include <png.h>
#include <string.h>

typedef struct reader {
    const sono_image_job *job;
    size_t at;
    int out_of_memory;
    int is_cut_short;
    int has_pixels; /* every row was read */
    char text[200];
    png_structp png;
    png_infop info;
    png_bytep *rows;
} reader;

static png_voidp on_alloc(png_structp png, png_alloc_size_t n_bytes)
{
    reader *state = png_get_mem_ptr(png);
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
    reader *state = png_get_error_ptr(png);
    snprintf(state->text, sizeof state->text, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep out, size_t n_bytes)
{
    reader *state = png_get_io_ptr(png);
    if (n_bytes > state->job->n_bytes - state->at) {
        state->is_cut_short = 1;
        png_error(png, "the file is cut short");
    }
    memcpy(out, state->job->bytes + state->at, n_bytes);
    state->at += n_bytes;
}

/* Asks libpng for GRAY8, GRAY16 in host order or RGB8, whatever the file has. */
static sono_pixel_format set_transforms(png_structp png, png_infop info)
{
    const int colour_type = png_get_color_type(png, info);
    const int is_grey = !(colour_type & PNG_COLOR_MASK_COLOR);
    const int is_deep = png_get_bit_depth(png, info) == 16;
    if (colour_type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (is_grey && png_get_bit_depth(png, info) < 8)
        png_set_expand_gray_1_2_4_to_8(png);
    if (is_deep && !is_grey)
        png_set_scale_16(png);
    png_set_strip_alpha(png);
    if (!is_grey)
        return SONO_PIXEL_RGB8;
    if (!is_deep)
        return SONO_PIXEL_GRAY8;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    png_set_swap(png);
#endif
    return SONO_PIXEL_GRAY16;
}

/* eXIf may stand on either side of the pixels. */
static void take_orientation(reader *state)
{
    png_bytep block = NULL;
    png_uint_32 n_bytes = 0;
    if (png_get_eXIf_1(state->png, state->info, &n_bytes, &block))
        state->job->image->orientation = sono_orientation_of_exif(block, n_bytes);
}

/* Whether a sample is what PNG asks of n significant bits of 16: these bits at the top, below
 * them zeros or the top ones once more. */
static int is_scaled(uint16_t sample, int32_t n_bits)
{
    const int32_t n_below = 16 - n_bits;
    const unsigned below = sample & ((1u << n_below) - 1);
    return !below || below == (unsigned)sample >> (16 - n_below);
}

/* sBIT counts the bits of the original samples, which a writer then scales up to 16, so that white is 65535.
 * Many do not scale: when every sample fits into these bits and one of them cannot have been scaled, white is
 * what fits. */
static void read_significant_bits(const reader *state)
{
    sono_decoded_image *image = state->job->image;
    png_color_8p bits = NULL;
    if (image->format != SONO_PIXEL_GRAY16 || !png_get_sBIT(state->png, state->info, &bits))
        return;
    const int32_t white = sono_image_white_of_bits(bits->gray);
    if (!white)
        return;
    image->gray16_white = 65535;
    if (sono_image_gray16_max(image) > white)
        return;
    const uint16_t *samples = (const void *)image->pixels;
    const size_t count = (size_t)image->width_px * (size_t)image->height_px;
    for (size_t i = 0; i < count; i++)
        if (!is_scaled(samples[i], bits->gray))
            image->gray16_white = white;
}

/* Runs with the longjmp target set; everything it makes hangs on state. */
static sono_status read_image(reader *state)
{
    const sono_image_job *job = state->job;
    png_set_read_fn(state->png, state, on_read);
    png_set_user_limits(state->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(state->png, 8000000);
    png_set_keep_unknown_chunks(state->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(state->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf\0sBIT", 2);
    png_read_info(state->png, state->info);
    const sono_pixel_format format = set_transforms(state->png, state->info);
    const int32_t height_px = (int32_t)png_get_image_height(state->png, state->info);
    SONO_TRY(sono_image_shape(job, png_get_image_width(state->png, state->info), height_px, format));
    png_set_interlace_handling(state->png);
    png_read_update_info(state->png, state->info);
    if (png_get_rowbytes(state->png, state->info) != job->image->pitch_bytes)
        return SONO_FAIL(job->error, UNSUPPORTED, "%s: this kind of PNG is not supported", job->name);
    state->rows = sono_alloc_array((size_t)height_px, sizeof *state->rows);
    if (!state->rows)
        return SONO_FAIL(job->error, OUT_OF_MEMORY, "%s: out of memory", job->name);
    for (int32_t y = 0; y < height_px; y++)
        state->rows[y] = job->image->pixels + (size_t)y * job->image->pitch_bytes;
    png_read_image(state->png, state->rows);
    state->has_pixels = 1;
    read_significant_bits(state); /* sBIT stands in front of the pixels */
    png_read_end(state->png, state->info);
    take_orientation(state);
    return SONO_STATUS_OK;
}

static uint32_t u32_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Whether the file is cut behind its last IDAT chunk, of which nothing is missing. */
static int is_cut_behind_pixels(const sono_image_job *job)
{
    size_t at = 8;
    while (job->n_bytes - at >= 12) {
        const size_t n_chunk = (size_t)u32_at(job->bytes + at) + 12;
        if (n_chunk > job->n_bytes - at)
            break;
        at += n_chunk;
    }
    return job->n_bytes - at < 8 || memcmp(job->bytes + at + 4, "IDAT", 4) != 0;
}

static sono_status read_guarded(reader *state)
{
    const sono_image_job *job = state->job;
    if (setjmp(png_jmpbuf(state->png))) {
        if (state->out_of_memory)
            return SONO_FAIL(job->error, OUT_OF_MEMORY, "%s: out of memory", job->name);
        if (state->is_cut_short && state->has_pixels && is_cut_behind_pixels(job)) {
            take_orientation(state);
            return SONO_STATUS_OK;
        }
        if (state->is_cut_short)
            return SONO_FAIL_AT(job->error, FORMAT, job->n_bytes, "%s: the PNG file is cut short", job->name);
        return SONO_FAIL_AT(job->error, FORMAT, state->at, "%s: damaged PNG: %s", job->name, state->text);
    }
    return read_image(state);
}

/* The size of IHDR, looked at before libpng reads on to the pixels. */
static sono_status check_header(const sono_image_job *job)
{
    if (job->n_bytes >= 16 && !memcmp(job->bytes + 12, "CgBI", 4))
        return SONO_FAIL(
            job->error, UNSUPPORTED,
            "%s: a PNG as Apple's tools pack it for iPhones (CgBI) is not supported: save a plain PNG",
            job->name);
    if (job->n_bytes < 24 || memcmp(job->bytes + 12, "IHDR", 4) != 0)
        return SONO_STATUS_OK;
    return sono_image_check_size(job, u32_at(job->bytes + 16), u32_at(job->bytes + 20));
}

sono_status sono_image_decode_png(const sono_image_job *job)
{
    SONO_TRY(check_header(job));
    reader state = {.job = job};
    state.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning, &state,
                                         on_alloc, on_free);
    if (state.png)
        state.info = png_create_info_struct(state.png);
    sono_status status;
    if (state.info)
        status = read_guarded(&state);
    else
        status = SONO_FAIL(job->error, OUT_OF_MEMORY, "%s: out of memory", job->name);
    sono_free(state.rows);
    png_destroy_read_struct(&state.png, &state.info, NULL);
    return status;
}
