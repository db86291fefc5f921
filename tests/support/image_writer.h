// SPDX-License-Identifier: Apache-2.0
/* Image files made in memory, for the tests of sources and the fuzz corpus. Results are freed with free(). */
#ifndef SONO_TESTS_SUPPORT_IMAGE_WRITER_H
#define SONO_TESTS_SUPPORT_IMAGE_WRITER_H

#include <stddef.h>
#include <stdint.h>

typedef struct test_picture {
    int width_px;
    int height_px;
    int channels;       /* interleaved samples a pixel: 1..4 */
    int bits;           /* a sample: 8, or 16 in host byte order; PNG also 1, 2, 4 packed as PNG wants them */
    const void *pixels; /* rows contiguous */
} test_picture;

typedef struct test_file {
    uint8_t *bytes;
    size_t n_bytes;
} test_file;

/* colour_type as libpng names it; 16-bit samples are turned round; a palette is 0..255 -> (i, 255 - i, i /
 * 2). */
test_file test_png(const test_picture *picture, int colour_type, int is_interlaced);

typedef enum test_jpeg_kind { TEST_JPEG_PLAIN, TEST_JPEG_PROGRESSIVE, TEST_JPEG_CMYK } test_jpeg_kind;

/* Grey or colour (4:2:0) by channels; quality 90. */
test_file test_jpeg(const test_picture *picture, test_jpeg_kind kind);

typedef struct test_tiff_layout {
    int photometric; /* libtiff's numbers */
    int compression;
    int tile_px; /* 0 = strips of 4 rows */
    int is_big_endian;
    int orientation;   /* 0 = none written */
    int sample_format; /* 0 = none written */
} test_tiff_layout;

/* A palette as for PNG. */
test_file test_tiff(const test_picture *picture, const test_tiff_layout *layout);

/* "P5" or "P6" by channels; 16-bit samples big-endian. */
test_file test_pnm(const test_picture *picture, int maxval, const char *comment);

/* A PNG of correct chunks whose header says any size; holds no pixels. */
test_file test_png_header_only(uint32_t width_px, uint32_t height_px);

#endif
