// SPDX-License-Identifier: Apache-2.0
/* Image files made in memory, for the tests of sources and the fuzz corpus. Results are freed with free(). */
#ifndef SONO_TESTS_SUPPORT_IMAGE_WRITER_H
#define SONO_TESTS_SUPPORT_IMAGE_WRITER_H

#include <stddef.h>
#include <stdint.h>

typedef struct test_picture {
    int width_px;
    int height_px;
    int channels; /* interleaved samples a pixel: 1..4 */
    int bits;     /* a sample: 8, or 16 in host byte order; PNG and TIFF also 1, 2, 4, packed as they want
                     them; TIFF also 32 and 64 */
    const void *pixels; /* rows contiguous */
} test_picture;

typedef struct test_file {
    uint8_t *bytes;
    size_t n_bytes;
} test_file;

/* colour_type as libpng names it; 16-bit samples are turned round; a palette is 0..255 -> (i, 255 - i, i /
 * 2). */
test_file test_png(const test_picture *picture, int colour_type, int is_interlaced);

/* Puts n bytes in at `at`; takes file over. */
test_file test_insert(test_file file, size_t at, const void *bytes, size_t n);

/* Puts a PNG chunk in at `at`; type: four letters; takes file over. */
test_file test_png_chunk(test_file file, size_t at, const char *type, const void *data, size_t n);

#define TEST_EXIF_BYTES 26

/* An EXIF block (without "Exif\0\0" before it) that names an orientation. */
void test_exif(uint8_t out[TEST_EXIF_BYTES], int orientation, int is_big_endian);

typedef enum test_jpeg_kind {
    TEST_JPEG_PLAIN,
    TEST_JPEG_PROGRESSIVE,
    TEST_JPEG_CMYK,
    TEST_JPEG_RESTARTS /* a marker behind each row of blocks */
} test_jpeg_kind;

/* Grey or colour (4:2:0) by channels; quality 90. */
test_file test_jpeg(const test_picture *picture, test_jpeg_kind kind);

typedef struct test_tiff_layout {
    int photometric; /* libtiff's numbers */
    int compression;
    int tile_px; /* 0 = strips of 4 rows */
    int is_big_endian;
    int orientation;   /* 0 = none written */
    int sample_format; /* 0 = none written */
    int is_planar;
    int is_big_tiff;
    int subfile_type;        /* NewSubfileType; 0 = none written */
    int n_subpages;          /* so many of the pages behind it hang below it (SubIFDs) */
    int has_no_photometric;  /* `photometric` is not written */
    const char *description; /* NULL = none written */
} test_tiff_layout;

/* A palette as for PNG. Channels beyond those of the photometric are extra samples. Strips of sub-byte
 * samples, tiles of whole bytes only. */
test_file test_tiff(const test_picture *picture, const test_tiff_layout *layout);

/* The same with several pages; the first page's byte order counts. */
test_file test_tiff_pages(const test_picture *pictures, const test_tiff_layout *layouts, int n);

/* A stack as ImageJ writes it when it is large: one directory in front, whose description announces
 * n_announced images; behind it n_stored, image i holding the picture's samples (8 or 16 bits; fewer as
 * bytes) plus i. */
test_file test_imagej(const test_picture *picture, int n_announced, int n_stored, int is_big_endian);

/* "P5" or "P6" by channels; 16-bit samples big-endian. */
test_file test_pnm(const test_picture *picture, int maxval, const char *comment);

/* "P2" or "P3" likewise. */
test_file test_text_pnm(const test_picture *picture, int maxval);

/* A PNG of correct chunks whose header says any size; holds no pixels. */
test_file test_png_header_only(uint32_t width_px, uint32_t height_px);

#endif
