// SPDX-License-Identifier: Apache-2.0
/* Binary PGM and PPM: "P5" or "P6", width, height, maxval, one blank, then samples (big-endian above 255). */
#include "source/image.h"

#include <ctype.h>

#define MAX_NUMBER 100000000

/* Reads the next decimal number behind blanks and "# ..." comments; -1 when there is none or it is absurd. */
static int64_t next_number(const sono_image_job *job, size_t *at)
{
    const uint8_t *bytes = job->bytes;
    size_t i = *at;
    while (i < job->n_bytes && (isspace(bytes[i]) || bytes[i] == '#'))
        if (bytes[i++] == '#')
            while (i < job->n_bytes && bytes[i] != '\n')
                i++;
    int64_t value = -1;
    for (; i < job->n_bytes && isdigit(bytes[i]) && value < MAX_NUMBER; i++)
        value = (value < 0 ? 0 : value * 10) + (bytes[i] - '0');
    *at = i;
    return i < job->n_bytes && isdigit(bytes[i]) ? -1 : value;
}

typedef struct layout {
    int64_t width_px;
    int64_t height_px;
    uint32_t maxval;
    size_t n_samples;    /* of the whole image */
    size_t sample_bytes; /* 1 or 2 */
    size_t data_at;
} layout;

static sono_status read_header(const sono_image_job *job, size_t channels, layout *out)
{
    size_t at = 2;
    out->width_px = next_number(job, &at);
    out->height_px = next_number(job, &at);
    const int64_t maxval = next_number(job, &at);
    if (out->width_px < 0 || out->height_px < 0 || maxval < 0 || at >= job->n_bytes ||
        !isspace(job->bytes[at]))
        return SONO_FAIL_AT(job->error, FORMAT, at, "%s: the PGM/PPM header is malformed or cut short",
                            job->name);
    if (maxval < 1 || maxval > 65535)
        return SONO_FAIL(job->error, FORMAT, "%s: PGM/PPM maxval is %lld, not within 1..65535", job->name,
                         (long long)maxval);
    out->maxval = (uint32_t)maxval;
    out->sample_bytes = maxval > 255 ? 2 : 1;
    out->data_at = at + 1;
    sono_pixel_format format = SONO_PIXEL_RGB8;
    if (channels == 1)
        format = maxval > 255 ? SONO_PIXEL_GRAY16 : SONO_PIXEL_GRAY8;
    SONO_TRY(sono_image_shape(job, out->width_px, out->height_px, format));
    out->n_samples = (size_t)out->width_px * (size_t)out->height_px * channels;
    const size_t needed = out->n_samples * out->sample_bytes;
    if (job->n_bytes - out->data_at < needed)
        return SONO_FAIL_AT(job->error, FORMAT, job->n_bytes,
                            "%s: the file is cut short: %zu of %zu bytes of pixels", job->name,
                            job->n_bytes - out->data_at, needed);
    return SONO_STATUS_OK;
}

static uint32_t sample_at(const uint8_t *data, size_t index, size_t sample_bytes)
{
    return sample_bytes == 1 ? data[index] : (uint32_t)data[2 * index] << 8 | data[2 * index + 1];
}

sono_status sono_image_decode_pnm(const sono_image_job *job)
{
    const int kind = job->bytes[1];
    if (kind != '5' && kind != '6')
        return SONO_FAIL(job->error, UNSUPPORTED,
                         "%s: P%c is not supported, only the binary P5 (PGM) and P6 (PPM) are", job->name,
                         kind);
    layout header = {0};
    SONO_TRY(read_header(job, kind == '6' ? 3 : 1, &header));
    const uint8_t *data = job->bytes + header.data_at;
    const int to_16_bits = job->image->format == SONO_PIXEL_GRAY16;
    const uint32_t white = to_16_bits ? 65535 : 255;
    uint16_t *out16 = (void *)job->image->pixels;
    for (size_t i = 0; i < header.n_samples; i++) {
        const uint32_t sample = sample_at(data, i, header.sample_bytes);
        if (sample > header.maxval)
            return SONO_FAIL_AT(job->error, FORMAT, header.data_at + i * header.sample_bytes,
                                "%s: a sample of %u is above maxval %u", job->name, sample, header.maxval);
        const uint32_t scaled = (uint32_t)(((uint64_t)sample * white + header.maxval / 2) / header.maxval);
        if (to_16_bits)
            out16[i] = (uint16_t)scaled;
        else
            job->image->pixels[i] = (uint8_t)scaled;
    }
    return SONO_STATUS_OK;
}
