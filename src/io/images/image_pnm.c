// SPDX-License-Identifier: Apache-2.0
/*
 * PBM, PGM and PPM: "P1" to "P6", width, height, maxval (not in bitmaps), then samples: as text in P1 to P3,
 * behind one blank in P4 (a bit each, rows end with a byte), P5 and P6 (big-endian above maxval 255).
 */
#include "io/images/image.h"

#include <ctype.h>

#define MAX_NUMBER 100000000

static void skip_blanks(const sono_image_job *job, size_t *at)
{
    const uint8_t *bytes = job->bytes;
    size_t i = *at;
    while (i < job->n_bytes && (isspace(bytes[i]) || bytes[i] == '#'))
        if (bytes[i++] == '#')
            while (i < job->n_bytes && bytes[i] != '\n')
                i++;
    *at = i;
}

/* Reads the next decimal number behind blanks and "# ..." comments; -1 when there is none or it is absurd. */
static int64_t next_number(const sono_image_job *job, size_t *at)
{
    const uint8_t *bytes = job->bytes;
    skip_blanks(job, at);
    size_t i = *at;
    int64_t value = -1;
    for (; i < job->n_bytes && isdigit(bytes[i]) && value < MAX_NUMBER; i++)
        value = (value < 0 ? 0 : value * 10) + (bytes[i] - '0');
    *at = i;
    return i < job->n_bytes && isdigit(bytes[i]) ? -1 : value;
}

typedef struct layout {
    int is_text, is_bitmap;
    int64_t width_px;
    int64_t height_px;
    uint32_t maxval;
    size_t n_samples; /* of the whole image */
    size_t row_samples;
    size_t sample_bytes; /* 1 or 2 */
    size_t data_at;
} layout;

static sono_status fail_header(const sono_image_job *job, size_t at)
{
    return SONO_FAIL_AT(job->error, FORMAT, at, "%s: the PGM/PPM header is malformed or cut short",
                        job->name);
}

static sono_status read_header(const sono_image_job *job, int kind, layout *out)
{
    size_t at = 2;
    out->is_text = kind <= '3';
    out->is_bitmap = kind == '1' || kind == '4';
    out->width_px = next_number(job, &at);
    out->height_px = next_number(job, &at);
    const int64_t maxval = out->is_bitmap ? 1 : next_number(job, &at);
    if (out->width_px < 0 || out->height_px < 0 || maxval < 0 || at >= job->n_bytes ||
        !isspace(job->bytes[at]))
        return fail_header(job, at);
    if (maxval < 1 || maxval > 65535)
        return SONO_FAIL(job->error, FORMAT, "%s: PGM/PPM maxval is %lld, not within 1..65535", job->name,
                         (long long)maxval);
    out->maxval = (uint32_t)maxval;
    out->sample_bytes = maxval > 255 ? 2 : 1;
    out->data_at = at + 1;
    const int is_colour = kind == '3' || kind == '6';
    sono_pixel_format format = SONO_PIXEL_RGB8;
    if (!is_colour)
        format = maxval > 255 ? SONO_PIXEL_GRAY16 : SONO_PIXEL_GRAY8;
    SONO_TRY(sono_image_shape(job, out->width_px, out->height_px, format));
    out->row_samples = (size_t)out->width_px * (is_colour ? 3 : 1);
    out->n_samples = out->row_samples * (size_t)out->height_px;
    return SONO_STATUS_OK;
}

/* Binary samples: all of them must be there. */
static sono_status check_length(const sono_image_job *job, const layout *header)
{
    size_t needed = header->n_samples * header->sample_bytes;
    if (header->is_bitmap)
        needed = (header->row_samples + 7) / 8 * (size_t)header->height_px;
    const size_t left = job->n_bytes - header->data_at;
    if (left < needed)
        return SONO_FAIL_AT(job->error, FORMAT, job->n_bytes,
                            "%s: the file is cut short: %zu of %zu bytes of pixels", job->name, left, needed);
    return SONO_STATUS_OK;
}

/* A bit that is set is black. */
static uint32_t bit_at(const uint8_t *data, const layout *header, size_t index)
{
    const size_t y = index / header->row_samples, x = index % header->row_samples;
    return ~(uint32_t)data[y * ((header->row_samples + 7) / 8) + x / 8] >> (7 - x % 8) & 1;
}

static uint32_t binary_sample(const uint8_t *data, const layout *header, size_t index)
{
    if (header->is_bitmap)
        return bit_at(data, header, index);
    return header->sample_bytes == 1 ? data[index] : (uint32_t)data[2 * index] << 8 | data[2 * index + 1];
}

/* The next sample of text; bits need no blanks between them. */
static sono_status text_sample(const sono_image_job *job, const layout *header, size_t index, size_t *at,
                               uint32_t *out)
{
    int64_t value;
    skip_blanks(job, at);
    if (*at >= job->n_bytes)
        return SONO_FAIL_AT(job->error, FORMAT, job->n_bytes, "%s: the file is cut short: %zu of %zu samples",
                            job->name, index, header->n_samples);
    if (header->is_bitmap) {
        const int letter = job->bytes[(*at)++];
        value = letter == '0' || letter == '1' ? '1' - letter : -1;
    } else {
        value = next_number(job, at);
    }
    if (value < 0)
        return SONO_FAIL_AT(job->error, FORMAT, *at, "%s: sample %zu is not a number that PGM/PPM allows",
                            job->name, index);
    *out = (uint32_t)value;
    return SONO_STATUS_OK;
}

sono_status sono_image_decode_pnm(const sono_image_job *job)
{
    const int kind = job->bytes[1];
    if (kind == '7')
        return SONO_FAIL(job->error, UNSUPPORTED,
                         "%s: P7 (PAM) is not supported, P1 to P6 (PBM, PGM, PPM) are", job->name);
    layout header = {0};
    SONO_TRY(read_header(job, kind, &header));
    if (!header.is_text)
        SONO_TRY(check_length(job, &header));
    const uint8_t *data = job->bytes + header.data_at;
    const int to_16_bits = job->image->format == SONO_PIXEL_GRAY16;
    const uint32_t white = to_16_bits ? 65535 : 255;
    uint16_t *out16 = (void *)job->image->pixels;
    size_t at = header.data_at;
    if (to_16_bits) {
        job->image->gray16_white = header.maxval == 65535 ? 0 : 65535; /* 65535 is what everyone writes */
        job->image->gray16_unit = (int32_t)header.maxval;
    }
    for (size_t i = 0; i < header.n_samples; i++) {
        uint32_t sample = 0;
        if (header.is_text)
            SONO_TRY(text_sample(job, &header, i, &at, &sample));
        else
            sample = binary_sample(data, &header, i);
        if (sample > header.maxval)
            return SONO_FAIL_AT(job->error, FORMAT,
                                header.is_text ? at : header.data_at + i * header.sample_bytes,
                                "%s: a sample of %u is above maxval %u", job->name, sample, header.maxval);
        const uint32_t scaled = (uint32_t)(((uint64_t)sample * white + header.maxval / 2) / header.maxval);
        if (to_16_bits)
            out16[i] = (uint16_t)scaled;
        else
            job->image->pixels[i] = (uint8_t)scaled;
    }
    return SONO_STATUS_OK;
}
