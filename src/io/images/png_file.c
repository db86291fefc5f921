// SPDX-License-Identifier: Apache-2.0
/*
 * PNG files, written and checked. One IDAT chunk holds the whole picture, which libdeflate packs at once: an
 * overlay takes a third of the time that libpng takes with zlib, and no more bytes.
 */
#include "sonoseg/io.h"

#include "io/part.h"

#include "base/alloc.h"
#include "base/status.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

#define DEFLATE_LEVEL                                                                                        \
    2 /* 1 is a quarter faster and a tenth larger, 6 twice as slow and a twentieth smaller */
#define SIGNATURE       "\x89PNG\r\n\x1a\n"
#define SIGNATURE_BYTES 8
#define CHUNK_BYTES     12 /* length, type, checksum */
#define IHDR_BYTES      13
#define READ_BYTES      65536

typedef struct picture {
    const uint8_t *pixels;
    int32_t width_px;
    int32_t height_px;
    int32_t channels;
} picture;

typedef struct packer {
    struct libdeflate_compressor *compressor;
    uint8_t *rows;  /* filtered */
    uint8_t *file;  /* all of it */
    size_t n_bytes; /* of file */
    size_t row_bytes, rows_bytes, idat_most_bytes;
} packer;

static void put_u32(uint8_t *out, size_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* A row with its filter in front: none for grey (masks are flat), Sub for RGB. */
static void filter_row(uint8_t *out, const uint8_t *row, size_t n_bytes, int32_t channels)
{
    out[0] = channels == 3;
    if (channels == 1) {
        memcpy(out + 1, row, n_bytes);
        return;
    }
    memcpy(out + 1, row, 3);
    for (size_t i = 3; i < n_bytes; i++)
        out[1 + i] = (uint8_t)(row[i] - row[i - 3]);
}

/* Completes a chunk whose data lie behind its first 8 bytes; returns the bytes of all of it. */
static size_t end_chunk(uint8_t *chunk, const char type[4], size_t n_data_bytes)
{
    put_u32(chunk, n_data_bytes);
    memcpy(chunk + 4, type, 4);
    put_u32(chunk + 8 + n_data_bytes, libdeflate_crc32(0, chunk + 4, n_data_bytes + 4));
    return n_data_bytes + CHUNK_BYTES;
}

static size_t put_header(uint8_t *chunk, const picture *source)
{
    uint8_t *data = chunk + 8;
    memset(data, 0, IHDR_BYTES);
    put_u32(data, (size_t)source->width_px);
    put_u32(data + 4, (size_t)source->height_px);
    data[8] = 8;
    data[9] = source->channels == 1 ? 0 : 2;
    return end_chunk(chunk, "IHDR", IHDR_BYTES);
}

static void pack(packer *self, const picture *source)
{
    const size_t pixels_bytes = self->row_bytes - 1;
    for (int32_t y = 0; y < source->height_px; y++)
        filter_row(self->rows + (size_t)y * self->row_bytes, source->pixels + (size_t)y * pixels_bytes,
                   pixels_bytes, source->channels);
    memcpy(self->file, SIGNATURE, SIGNATURE_BYTES);
    size_t at = SIGNATURE_BYTES;
    at += put_header(self->file + at, source);
    const size_t n = libdeflate_zlib_compress(self->compressor, self->rows, self->rows_bytes,
                                              self->file + at + 8, self->idat_most_bytes);
    at += end_chunk(self->file + at, "IDAT", n);
    at += end_chunk(self->file + at, "IEND", 0);
    self->n_bytes = at;
}

/* Returns -1 without memory. */
static int open_packer(packer *self, const picture *source)
{
    *self = (packer){.compressor = libdeflate_alloc_compressor(DEFLATE_LEVEL)};
    self->row_bytes = (size_t)source->width_px * (size_t)source->channels + 1;
    self->rows_bytes = self->row_bytes * (size_t)source->height_px;
    if (!self->compressor)
        return -1;
    self->idat_most_bytes = libdeflate_zlib_compress_bound(self->compressor, self->rows_bytes);
    self->rows = sono_alloc_array((size_t)source->height_px, self->row_bytes);
    self->file = sono_alloc(SIGNATURE_BYTES + 3 * CHUNK_BYTES + IHDR_BYTES + self->idat_most_bytes);
    return self->rows && self->file ? 0 : -1;
}

static void close_packer(packer *self)
{
    if (self->compressor)
        libdeflate_free_compressor(self->compressor);
    sono_free(self->rows);
    sono_free(self->file);
}

static sono_status store(const packer *self, const char *path, sono_error *error)
{
    sono_part part;
    int code = sono_part_open(&part, path);
    if (code)
        return SONO_FAIL_NATIVE(error, IO, code, "%s: cannot be created: %s", path, strerror(code));
    errno = 0;
    const int is_whole = fwrite(self->file, 1, self->n_bytes, part.stream) == self->n_bytes;
    const int write_code = is_whole ? 0 : errno ? errno : EIO;
    code = sono_part_close(&part, is_whole);
    code = write_code ? write_code : code;
    if (!code)
        return SONO_STATUS_OK;
    return SONO_FAIL_NATIVE(error, IO, code, "%s: cannot be written: %s", path, strerror(code));
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
    packer self;
    sono_status status;
    if (open_packer(&self, &source)) {
        status = SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    } else {
        pack(&self, &source);
        status = store(&self, path, error);
    }
    close_packer(&self);
    return status;
}

/* ---- checking ---- */

typedef struct checker {
    FILE *stream;
    const char *path;
    int64_t at; /* bytes read */
    sono_error *error;
} checker;

static sono_status damaged(const checker *self, const char *what)
{
    return sono_error_set(self->error, SONO_STATUS_FORMAT, 0, self->at, "sono_png_check", "%s: %s",
                          self->path, what);
}

static sono_status take(checker *self, uint8_t *out, size_t n_bytes)
{
    const size_t n = fread(out, 1, n_bytes, self->stream);
    self->at += (int64_t)n;
    return n == n_bytes ? SONO_STATUS_OK : damaged(self, "the PNG file is cut short");
}

static sono_status check_size(const checker *self, const uint8_t *data, int32_t width_px, int32_t height_px)
{
    if (get_u32(data) == (uint32_t)width_px && get_u32(data + 4) == (uint32_t)height_px)
        return SONO_STATUS_OK;
    return damaged(self, "the picture has another size");
}

/* The chunk's data and its checksum; the first 8 bytes are taken. is_first: it must be the header. */
static sono_status check_chunk(checker *self, const uint8_t head[8], int is_first, int32_t width_px,
                               int32_t height_px)
{
    uint8_t data[READ_BYTES], sum[4];
    uint32_t left = get_u32(head), crc = libdeflate_crc32(0, head + 4, 4);
    if (is_first && (left != IHDR_BYTES || memcmp(head + 4, "IHDR", 4)))
        return damaged(self, "no PNG file");
    while (left) {
        const uint32_t n = left < READ_BYTES ? left : READ_BYTES;
        SONO_TRY(take(self, data, n));
        crc = libdeflate_crc32(crc, data, n);
        left -= n;
        if (is_first)
            SONO_TRY(check_size(self, data, width_px, height_px));
    }
    SONO_TRY(take(self, sum, sizeof sum));
    return get_u32(sum) == crc ? SONO_STATUS_OK : damaged(self, "the checksum is wrong");
}

static sono_status check_chunks(checker *self, int32_t width_px, int32_t height_px)
{
    uint8_t head[8];
    SONO_TRY(take(self, head, SIGNATURE_BYTES));
    if (memcmp(head, SIGNATURE, SIGNATURE_BYTES))
        return damaged(self, "no PNG file");
    for (int is_first = 1;; is_first = 0) {
        SONO_TRY(take(self, head, sizeof head));
        SONO_TRY(check_chunk(self, head, is_first, width_px, height_px));
        if (!memcmp(head + 4, "IEND", 4))
            return SONO_STATUS_OK;
    }
}

sono_status sono_png_check(const char *path, int32_t width_px, int32_t height_px, sono_error *error)
{
    if (!path)
        return SONO_FAIL(error, INVALID_ARGUMENT, "path is NULL");
    checker self = {fopen(path, "rbe"), path, 0, error};
    if (!self.stream)
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be opened: %s", path, strerror(errno));
    const sono_status status = check_chunks(&self, width_px, height_px);
    fclose(self.stream);
    return status;
}
