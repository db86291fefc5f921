// SPDX-License-Identifier: Apache-2.0
#include "image_writer.h"

#include <stdio.h>
#include <jpeglib.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

static test_file take_stream(FILE *stream, char **bytes, const size_t *n_bytes)
{
    if (fclose(stream))
        abort();
    return (test_file){(uint8_t *)*bytes, *n_bytes};
}

static void set_palette(png_structp png, png_infop info)
{
    png_color colours[256];
    for (int i = 0; i < 256; i++)
        colours[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(i / 2)};
    png_set_PLTE(png, info, colours, 256);
}

test_file test_png(const test_picture *picture, int colour_type, int is_interlaced)
{
    char *bytes = NULL;
    size_t n_bytes = 0;
    FILE *stream = open_memstream(&bytes, &n_bytes);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    if (!stream || !info || setjmp(png_jmpbuf(png)))
        abort();
    png_init_io(png, stream);
    png_set_IHDR(png, info, (png_uint_32)picture->width_px, (png_uint_32)picture->height_px, picture->bits,
                 colour_type, is_interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (colour_type == PNG_COLOR_TYPE_PALETTE)
        set_palette(png, info);
    png_write_info(png, info);
    if (picture->bits == 16)
        png_set_swap(png);
    const size_t pitch_bytes =
        ((size_t)picture->width_px * (size_t)(picture->channels * picture->bits) + 7) / 8;
    const int n_passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < n_passes; pass++)
        for (int y = 0; y < picture->height_px; y++)
            png_write_row(png, (png_const_bytep)picture->pixels + (size_t)y * pitch_bytes);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return take_stream(stream, &bytes, &n_bytes);
}

test_file test_jpeg(const test_picture *picture, test_jpeg_kind kind)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n_bytes = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &n_bytes);
    jpeg.image_width = (JDIMENSION)picture->width_px;
    jpeg.image_height = (JDIMENSION)picture->height_px;
    jpeg.input_components = picture->channels;
    jpeg.in_color_space = kind == TEST_JPEG_CMYK   ? JCS_CMYK
                          : picture->channels == 1 ? JCS_GRAYSCALE
                                                   : JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 90, TRUE);
    if (kind == TEST_JPEG_PROGRESSIVE)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        const uint8_t *row = (const uint8_t *)picture->pixels +
                             (size_t)jpeg.next_scanline * jpeg.image_width * (size_t)picture->channels;
        JSAMPROW rows[1] = {(JSAMPROW)(uintptr_t)row};
        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return (test_file){bytes, n_bytes};
}

static void set_tiff_fields(TIFF *tiff, const test_picture *picture, const test_tiff_layout *layout)
{
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)picture->width_px);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)picture->height_px);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, picture->bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, picture->channels);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, layout->compression);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, layout->photometric);
    if (layout->photometric == PHOTOMETRIC_YCBCR)
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    if (layout->orientation)
        TIFFSetField(tiff, TIFFTAG_ORIENTATION, layout->orientation);
    if (layout->sample_format)
        TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, layout->sample_format);
    if (layout->photometric == PHOTOMETRIC_PALETTE) {
        uint16_t maps[3][256];
        for (int i = 0; i < 256; i++) {
            maps[0][i] = (uint16_t)(i * 257);
            maps[1][i] = (uint16_t)((255 - i) * 257);
            maps[2][i] = (uint16_t)(i / 2 * 257);
        }
        TIFFSetField(tiff, TIFFTAG_COLORMAP, maps[0], maps[1], maps[2]);
    }
}

static void write_tiles(TIFF *tiff, const test_picture *picture, int tile_px)
{
    const size_t pixel_bytes = (size_t)(picture->channels * picture->bits / 8);
    TIFFSetField(tiff, TIFFTAG_TILEWIDTH, tile_px);
    TIFFSetField(tiff, TIFFTAG_TILELENGTH, tile_px);
    uint8_t *tile = calloc((size_t)tile_px * (size_t)tile_px, pixel_bytes);
    for (int y0 = 0; tile && y0 < picture->height_px; y0 += tile_px)
        for (int x0 = 0; x0 < picture->width_px; x0 += tile_px) {
            const int n_columns = picture->width_px - x0 < tile_px ? picture->width_px - x0 : tile_px;
            for (int y = y0; y < y0 + tile_px && y < picture->height_px; y++)
                memcpy(tile + (size_t)(y - y0) * (size_t)tile_px * pixel_bytes,
                       (const uint8_t *)picture->pixels +
                           ((size_t)y * (size_t)picture->width_px + (size_t)x0) * pixel_bytes,
                       (size_t)n_columns * pixel_bytes);
            TIFFWriteTile(tiff, tile, (uint32_t)x0, (uint32_t)y0, 0, 0);
        }
    free(tile);
}

static test_file read_temporary(const char *path)
{
    test_file file = {calloc(1, 1 << 22), 0};
    FILE *stream = fopen(path, "rb");
    if (!stream || !file.bytes)
        abort();
    file.n_bytes = fread(file.bytes, 1, 1 << 22, stream);
    fclose(stream);
    remove(path);
    return file;
}

test_file test_tiff(const test_picture *picture, const test_tiff_layout *layout)
{
    char path[] = "/tmp/sonoseg-test-tiff-XXXXXX";
    const int descriptor = mkstemp(path);
    TIFF *tiff = TIFFFdOpen(descriptor, path, layout->is_big_endian ? "wb" : "wl");
    if (!tiff)
        abort();
    set_tiff_fields(tiff, picture, layout);
    const size_t pitch_bytes = (size_t)picture->width_px * (size_t)(picture->channels * picture->bits / 8);
    if (layout->tile_px) {
        write_tiles(tiff, picture, layout->tile_px);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, layout->compression == COMPRESSION_JPEG ? 16 : 4);
        uint8_t *row = calloc(1, pitch_bytes); /* libtiff may change what it writes */
        for (int y = 0; row && y < picture->height_px; y++) {
            memcpy(row, (const uint8_t *)picture->pixels + (size_t)y * pitch_bytes, pitch_bytes);
            TIFFWriteScanline(tiff, row, (uint32_t)y, 0);
        }
        free(row);
    }
    TIFFClose(tiff);
    return read_temporary(path);
}

test_file test_pnm(const test_picture *picture, int maxval, const char *comment)
{
    char *bytes = NULL;
    size_t n_bytes = 0;
    FILE *stream = open_memstream(&bytes, &n_bytes);
    if (!stream)
        abort();
    fprintf(stream, "P%d\n%s%d %d\n%d\n", picture->channels == 1 ? 5 : 6, comment, picture->width_px,
            picture->height_px, maxval);
    const size_t n_samples = (size_t)(picture->width_px * picture->height_px * picture->channels);
    for (size_t i = 0; i < n_samples; i++)
        if (picture->bits == 8) {
            fputc(((const uint8_t *)picture->pixels)[i], stream);
        } else {
            fputc(((const uint16_t *)picture->pixels)[i] >> 8, stream);
            fputc(((const uint16_t *)picture->pixels)[i] & 255, stream);
        }
    return take_stream(stream, &bytes, &n_bytes);
}

static uint32_t crc32_of(const uint8_t *bytes, size_t n_bytes)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n_bytes; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put_u32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

test_file test_png_header_only(uint32_t width_px, uint32_t height_px)
{
    static const uint8_t start[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    static const uint8_t end[] = "\0\0\0\0IEND\xae\x42\x60\x82";
    test_file file = {calloc(1, 45), 45};
    if (!file.bytes)
        abort();
    memcpy(file.bytes, start, 16);
    put_u32(file.bytes + 16, width_px);
    put_u32(file.bytes + 20, height_px);
    file.bytes[24] = 8;
    put_u32(file.bytes + 29, crc32_of(file.bytes + 12, 17));
    memcpy(file.bytes + 33, end, 12);
    return file;
}
