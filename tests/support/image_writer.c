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

test_file test_insert(test_file file, size_t at, const void *bytes, size_t n)
{
    uint8_t *grown = realloc(file.bytes, file.n_bytes + n);
    if (!grown || at > file.n_bytes)
        abort();
    memmove(grown + at + n, grown + at, file.n_bytes - at);
    memcpy(grown + at, bytes, n);
    return (test_file){grown, file.n_bytes + n};
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
    if (kind == TEST_JPEG_RESTARTS)
        jpeg.restart_in_rows = 1;
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

static void set_extra_samples(TIFF *tiff, const test_picture *picture, const test_tiff_layout *layout)
{
    static const uint16_t unspecified[8] = {0};
    const int n_colours =
        layout->photometric == PHOTOMETRIC_RGB || layout->photometric == PHOTOMETRIC_YCBCR ? 3 : 1;
    if (picture->channels > n_colours)
        TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, picture->channels - n_colours, unspecified);
}

static void set_tiff_fields(TIFF *tiff, const test_picture *picture, const test_tiff_layout *layout)
{
    static const uint64_t to_be_filled_in[8] = {0};
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)picture->width_px);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)picture->height_px);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, picture->bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, picture->channels);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, layout->is_planar ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, layout->compression);
    if (!layout->has_no_photometric)
        TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, layout->photometric);
    set_extra_samples(tiff, picture, layout);
    if (layout->photometric == PHOTOMETRIC_YCBCR)
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    if (layout->orientation)
        TIFFSetField(tiff, TIFFTAG_ORIENTATION, layout->orientation);
    if (layout->sample_format)
        TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, layout->sample_format);
    if (layout->subfile_type)
        TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, layout->subfile_type);
    if (layout->n_subpages)
        TIFFSetField(tiff, TIFFTAG_SUBIFD, layout->n_subpages, to_be_filled_in);
    if (layout->description)
        TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, layout->description);
    if (layout->photometric == PHOTOMETRIC_PALETTE) {
        static uint16_t maps[3][65536]; /* as many as 16 bits need */
        for (int i = 0; i < 256; i++) {
            maps[0][i] = (uint16_t)(i * 257);
            maps[1][i] = (uint16_t)((255 - i) * 257);
            maps[2][i] = (uint16_t)(i / 2 * 257);
        }
        TIFFSetField(tiff, TIFFTAG_COLORMAP, maps[0], maps[1], maps[2]);
    }
}

/* Copies n pixels of row y from column x on: one sample of each for planes, else all. */
static void copy_samples(const test_picture *picture, int is_planar, int plane, int x, int y, int n,
                         uint8_t *out)
{
    const size_t sample_bytes = (size_t)picture->bits / 8;
    const size_t pixel_bytes = sample_bytes * (size_t)picture->channels;
    const uint8_t *row =
        (const uint8_t *)picture->pixels + ((size_t)y * (size_t)picture->width_px + (size_t)x) * pixel_bytes;
    if (!is_planar)
        memcpy(out, row, (size_t)n * pixel_bytes);
    for (int i = 0; is_planar && i < n; i++)
        memcpy(out + (size_t)i * sample_bytes, row + (size_t)i * pixel_bytes + (size_t)plane * sample_bytes,
               sample_bytes);
}

static void write_tiles(TIFF *tiff, const test_picture *picture, const test_tiff_layout *layout)
{
    const int tile_px = layout->tile_px, n_planes = layout->is_planar ? picture->channels : 1;
    const size_t pixel_bytes = (size_t)(picture->channels * picture->bits / 8) / (size_t)n_planes;
    TIFFSetField(tiff, TIFFTAG_TILEWIDTH, tile_px);
    TIFFSetField(tiff, TIFFTAG_TILELENGTH, tile_px);
    uint8_t *tile = calloc((size_t)tile_px * (size_t)tile_px, pixel_bytes);
    for (int plane = 0; tile && plane < n_planes; plane++)
        for (int y0 = 0; y0 < picture->height_px; y0 += tile_px)
            for (int x0 = 0; x0 < picture->width_px; x0 += tile_px) {
                const int n_columns = picture->width_px - x0 < tile_px ? picture->width_px - x0 : tile_px;
                for (int y = y0; y < y0 + tile_px && y < picture->height_px; y++)
                    copy_samples(picture, layout->is_planar, plane, x0, y, n_columns,
                                 tile + (size_t)(y - y0) * (size_t)tile_px * pixel_bytes);
                TIFFWriteTile(tiff, tile, (uint32_t)x0, (uint32_t)y0, 0, (uint16_t)plane);
            }
    free(tile);
}

static void write_strips(TIFF *tiff, const test_picture *picture, const test_tiff_layout *layout)
{
    const size_t pitch_bytes =
        ((size_t)picture->width_px * (size_t)(picture->channels * picture->bits) + 7) / 8;
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, layout->compression == COMPRESSION_JPEG ? 16 : 4);
    uint8_t *row = calloc(1, pitch_bytes); /* libtiff may change what it writes */
    for (int plane = 0; row && plane < (layout->is_planar ? picture->channels : 1); plane++)
        for (int y = 0; y < picture->height_px; y++) {
            if (layout->is_planar)
                copy_samples(picture, 1, plane, 0, y, picture->width_px, row);
            else
                memcpy(row, (const uint8_t *)picture->pixels + (size_t)y * pitch_bytes, pitch_bytes);
            TIFFWriteScanline(tiff, row, (uint32_t)y, (uint16_t)plane);
        }
    free(row);
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

test_file test_tiff_pages(const test_picture *pictures, const test_tiff_layout *layouts, int n)
{
    const char mode[] = {'w', layouts->is_big_endian ? 'b' : 'l', layouts->is_big_tiff ? '8' : 0, 0};
    char path[] = "/tmp/sonoseg-test-tiff-XXXXXX";
    const int descriptor = mkstemp(path);
    TIFF *tiff = TIFFFdOpen(descriptor, path, mode);
    if (!tiff)
        abort();
    for (int i = 0; i < n; i++) {
        set_tiff_fields(tiff, &pictures[i], &layouts[i]);
        if (layouts[i].tile_px)
            write_tiles(tiff, &pictures[i], &layouts[i]);
        else
            write_strips(tiff, &pictures[i], &layouts[i]);
        if (n > 1)
            TIFFWriteDirectory(tiff);
    }
    TIFFClose(tiff);
    return read_temporary(path);
}

test_file test_tiff(const test_picture *picture, const test_tiff_layout *layout)
{
    return test_tiff_pages(picture, layout, 1);
}

static void put_number(FILE *stream, uint32_t value, int n_bytes, int is_big_endian)
{
    for (int i = 0; i < n_bytes; i++)
        fputc((int)(value >> 8 * (is_big_endian ? n_bytes - 1 - i : i) & 255), stream);
}

static void put_entry(FILE *stream, int tag, int type, uint32_t count, uint32_t value, int is_big_endian)
{
    put_number(stream, (uint32_t)tag, 2, is_big_endian);
    put_number(stream, (uint32_t)type, 2, is_big_endian);
    put_number(stream, count, 4, is_big_endian);
    put_number(stream, type == 3 ? (is_big_endian ? value << 16 : value) : value, 4, is_big_endian);
}

test_file test_imagej(const test_picture *picture, int n_announced, int n_stored, int is_big_endian)
{
    enum { N_ENTRIES = 9, TEXT_AT = 8 + 2 + N_ENTRIES * 12 + 4, TEXT_BYTES = 64, SHORT = 3, LONG = 4 };
    char *bytes = NULL, text[TEXT_BYTES] = "";
    size_t n_bytes = 0;
    FILE *stream = open_memstream(&bytes, &n_bytes);
    if (!stream)
        abort();
    const int n_samples = picture->width_px * picture->height_px * picture->channels;
    snprintf(text, sizeof text, "ImageJ=1.54f\nimages=%d\nslices=%d\n", n_announced, n_announced);
    fputs(is_big_endian ? "MM" : "II", stream);
    put_number(stream, 42, 2, is_big_endian);
    put_number(stream, 8, 4, is_big_endian);
    put_number(stream, N_ENTRIES, 2, is_big_endian);
    put_entry(stream, TIFFTAG_IMAGEWIDTH, LONG, 1, (uint32_t)picture->width_px, is_big_endian);
    put_entry(stream, TIFFTAG_IMAGELENGTH, LONG, 1, (uint32_t)picture->height_px, is_big_endian);
    put_entry(stream, TIFFTAG_BITSPERSAMPLE, SHORT, 1, (uint32_t)picture->bits, is_big_endian);
    put_entry(stream, TIFFTAG_PHOTOMETRIC, SHORT, 1, PHOTOMETRIC_MINISBLACK, is_big_endian);
    put_entry(stream, TIFFTAG_IMAGEDESCRIPTION, 2, TEXT_BYTES, TEXT_AT, is_big_endian);
    put_entry(stream, TIFFTAG_STRIPOFFSETS, LONG, 1, TEXT_AT + TEXT_BYTES, is_big_endian);
    put_entry(stream, TIFFTAG_SAMPLESPERPIXEL, SHORT, 1, (uint32_t)picture->channels, is_big_endian);
    put_entry(stream, TIFFTAG_ROWSPERSTRIP, LONG, 1, (uint32_t)picture->height_px, is_big_endian);
    put_entry(stream, TIFFTAG_STRIPBYTECOUNTS, LONG, 1, (uint32_t)(n_samples * picture->bits / 8),
              is_big_endian);
    put_number(stream, 0, 4, is_big_endian);
    fwrite(text, 1, sizeof text, stream);
    for (int image = 0; image < n_stored; image++)
        for (int i = 0; i < (picture->bits > 8 ? n_samples : n_samples * picture->bits / 8); i++)
            if (picture->bits <= 8)
                fputc((((const uint8_t *)picture->pixels)[i] + image) & 255, stream);
            else
                put_number(stream, (uint16_t)(((const uint16_t *)picture->pixels)[i] + image), 2,
                           is_big_endian);
    return take_stream(stream, &bytes, &n_bytes);
}

void test_exif(uint8_t out[TEST_EXIF_BYTES], int orientation, int is_big_endian)
{
    char *bytes = NULL;
    size_t n_bytes = 0;
    FILE *stream = open_memstream(&bytes, &n_bytes);
    if (!stream)
        abort();
    fputs(is_big_endian ? "MM" : "II", stream);
    put_number(stream, 42, 2, is_big_endian);
    put_number(stream, 8, 4, is_big_endian);
    put_number(stream, 1, 2, is_big_endian);
    put_entry(stream, TIFFTAG_ORIENTATION, 3, 1, (uint32_t)orientation, is_big_endian);
    put_number(stream, 0, 4, is_big_endian);
    const test_file file = take_stream(stream, &bytes, &n_bytes);
    if (file.n_bytes != TEST_EXIF_BYTES)
        abort();
    memcpy(out, file.bytes, TEST_EXIF_BYTES);
    free(file.bytes);
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

test_file test_text_pnm(const test_picture *picture, int maxval)
{
    char *bytes = NULL;
    size_t n_bytes = 0;
    FILE *stream = open_memstream(&bytes, &n_bytes);
    if (!stream)
        abort();
    fprintf(stream, "P%d %d %d # a comment\n%d\n", picture->channels == 1 ? 2 : 3, picture->width_px,
            picture->height_px, maxval);
    for (int i = 0; i < picture->width_px * picture->height_px * picture->channels; i++)
        fprintf(stream, "%d%s",
                picture->bits == 8 ? ((const uint8_t *)picture->pixels)[i]
                                   : ((const uint16_t *)picture->pixels)[i],
                i % 12 == 11 ? "\n" : " ");
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

test_file test_png_chunk(test_file file, size_t at, const char *type, const void *data, size_t n)
{
    uint8_t ends[8], crc[4];
    put_u32(ends, (uint32_t)n);
    memcpy(ends + 4, type, 4);
    file = test_insert(file, at, ends, sizeof ends);
    file = test_insert(file, at + 8, data, n);
    put_u32(crc, crc32_of(file.bytes + at + 4, n + 4));
    return test_insert(file, at + 8 + n, crc, sizeof crc);
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
