// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer entry: any bytes as a stream of OpenIGTLink messages, once whole and once in pieces whose sizes
 * the input chooses: the same must be told. Input: 8 bytes that choose pieces, scratch memory and placing,
 * then the stream.
 */
#include "igtl/reader.h"

#include <stdlib.h>
#include <string.h>

#define CHOICE_BYTES 8
#define MAX_SCRATCH  (3 * SONO_IGTL_MIN_SCRATCH_BYTES)
#define MAX_PIXELS   (1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void demand(int holds)
{
    if (!holds)
        abort();
}

/* What was told, as one number. */
static void mix(uint64_t *told, const void *bytes, size_t n_bytes)
{
    *told = sono_igtl_crc64(*told, bytes, n_bytes);
}

static void mix_message(uint64_t *told, const sono_igtl_reader *reader, const uint8_t *pixels)
{
    sono_igtl_metadata entry;
    const int is_image = reader->image.version != 0;
    mix(told, reader->header.type, sizeof reader->header.type);
    mix(told, &reader->body.content_bytes, sizeof reader->body.content_bytes);
    if (reader->body.content)
        mix(told, reader->body.content, reader->body.content_bytes);
    if (is_image && reader->is_placed)
        mix(told, pixels, (size_t)sono_igtl_image_pixel_bytes(&reader->image));
    for (uint16_t i = 0; i < 8 && sono_igtl_metadata_at(&reader->body, i, &entry); i++) {
        mix(told, entry.key, entry.key_bytes);
        mix(told, entry.value, entry.value_bytes);
    }
}

/* Exactly as much memory as the reader was told it has: a sanitizer sees every byte beside it. */
static uint64_t feed(const uint8_t *stream, size_t n_bytes, const uint8_t *choice, int in_pieces)
{
    const size_t scratch_bytes = SONO_IGTL_MIN_SCRATCH_BYTES + choice[0] * (size_t)32;
    const sono_igtl_limits limits = {.max_body_bytes = (uint64_t)choice[1] << 12 | 4095,
                                     .max_metadata_bytes = choice[2] * (uint64_t)64};
    uint8_t *scratch = malloc(scratch_bytes);
    uint8_t *pixels = NULL;
    sono_igtl_reader reader;
    uint64_t told = 0;
    demand(scratch != NULL && scratch_bytes <= MAX_SCRATCH);
    sono_igtl_reader_init(&reader, &limits, scratch, scratch_bytes);
    for (size_t at = 0, piece = 0; at < n_bytes; piece++) {
        uint8_t *where = NULL;
        size_t n = sono_igtl_reader_want(&reader, &where);
        demand(n > 0 && where);
        const size_t most = in_pieces ? (size_t)1 + choice[4 + piece % 4] % 67 : SIZE_MAX;
        n = n < most ? n : most;
        n = n < n_bytes - at ? n : n_bytes - at;
        memcpy(where, stream + at, n);
        at += n;
        const sono_igtl_read read = sono_igtl_reader_take(&reader, n);
        demand(reader.n_bytes == at);
        if (read == SONO_IGTL_READ_MORE)
            continue;
        mix(&told, &read, sizeof read);
        if (read == SONO_IGTL_READ_IMAGE) {
            const uint64_t pixel_bytes = sono_igtl_image_pixel_bytes(&reader.image);
            free(pixels);
            pixels = choice[3] % 4 && pixel_bytes <= MAX_PIXELS ? malloc((size_t)pixel_bytes) : NULL;
            if (pixels)
                sono_igtl_reader_place(&reader, pixels);
        } else if (read == SONO_IGTL_READ_MESSAGE || read == SONO_IGTL_READ_BAD_CRC) {
            mix_message(&told, &reader, pixels);
        } else {
            demand(reader.fault.reason && reader.fault.offset_bytes >= 0 &&
                   reader.fault.status != SONO_IGTL_OK);
            mix(&told, &reader.fault.offset_bytes, sizeof reader.fault.offset_bytes);
        }
        demand(sono_igtl_reader_is_inside(&reader) == (read == SONO_IGTL_READ_IMAGE));
        if (read == SONO_IGTL_READ_BROKEN)
            break;
    }
    mix(&told, &reader.n_messages, sizeof reader.n_messages);
    free(pixels);
    free(scratch);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    if (n_bytes < CHOICE_BYTES)
        return 0;
    const uint8_t *stream = bytes + CHOICE_BYTES;
    demand(feed(stream, n_bytes - CHOICE_BYTES, bytes, 0) == feed(stream, n_bytes - CHOICE_BYTES, bytes, 1));
    return 0;
}
