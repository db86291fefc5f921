// SPDX-License-Identifier: Apache-2.0
/* The smallest PNG writer: one IDAT, rows without filters, quick compression. */
#include "web/encode.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void put32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

/* A chunk whose data lie at out + 8 already; its length. */
static size_t chunk(uint8_t *out, const char type[4], size_t n_bytes)
{
    put32(out, (uint32_t)n_bytes);
    memcpy(out + 4, type, 4);
    put32(out + 8 + n_bytes, (uint32_t)crc32(crc32(0, NULL, 0), out + 4, (uInt)(n_bytes + 4)));
    return n_bytes + 12;
}

/* Rows with the filter byte 0 in front. */
static int compress_rows(const uint8_t *rgb, size_t row_bytes, int32_t height_px, uint8_t *out, size_t *n_out)
{
    static const uint8_t no_filter;
    z_stream stream = {.next_out = out, .avail_out = (uInt)*n_out};
    int failed = deflateInit(&stream, Z_BEST_SPEED) != Z_OK;
    if (failed) {
        return -1;
    }
    for (int32_t y = 0; y < height_px && !failed; y++) {
        stream.next_in = (uint8_t *)(uintptr_t)&no_filter;
        stream.avail_in = 1;
        failed = deflate(&stream, Z_NO_FLUSH) != Z_OK;
        stream.next_in = (uint8_t *)(uintptr_t)(rgb + (size_t)y * row_bytes);
        stream.avail_in = (uInt)row_bytes;
        failed |= deflate(&stream, Z_NO_FLUSH) != Z_OK;
    }
    failed |= deflate(&stream, Z_FINISH) != Z_STREAM_END;
    *n_out = stream.total_out;
    deflateEnd(&stream);
    return failed ? -1 : 0;
}

uint8_t *sono_web_png(const uint8_t *rgb, int32_t width_px, int32_t height_px, size_t *n_bytes)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    const size_t row_bytes = 3 * (size_t)width_px;
    const size_t room = compressBound((uLong)((row_bytes + 1) * (size_t)height_px)) + 64;
    uint8_t *out = malloc(room + 128);
    size_t at = sizeof signature, n = room;
    if (!out) {
        return NULL;
    }
    memcpy(out, signature, sizeof signature);
    uint8_t *head = out + at + 8;
    put32(head, (uint32_t)width_px);
    put32(head + 4, (uint32_t)height_px);
    memcpy(head + 8, (uint8_t[]){8, 2, 0, 0, 0}, 5); /* 8 bits, RGB */
    at += chunk(out + at, "IHDR", 13);
    if (compress_rows(rgb, row_bytes, height_px, out + at + 8, &n)) {
        free(out);
        return NULL;
    }
    at += chunk(out + at, "IDAT", n);
    at += chunk(out + at, "IEND", 0);
    *n_bytes = at;
    return out;
}
