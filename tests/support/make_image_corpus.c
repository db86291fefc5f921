// SPDX-License-Identifier: Apache-2.0
/*
 * Writes the corpus of fuzz_image: one small file of each kind of image.
 *
 *     cc -D_GNU_SOURCE -Itests/support tests/support/make_image_corpus.c tests/support/image_writer.c \
 *        -lpng -ljpeg -ltiff -o make_image_corpus && ./make_image_corpus tests/fuzz/corpus/fuzz_image
 */
#include "image_writer.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <tiffio.h>

#define SIDE 16

static uint16_t samples[SIDE * SIDE * 4];
static const char *folder;

static test_picture picture(int channels, int bits)
{
    return (test_picture){SIDE, SIDE, channels, bits, samples};
}

static void save(const char *name, test_file file)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *stream = fopen(path, "wb");
    if (!stream || fwrite(file.bytes, 1, file.n_bytes, stream) != file.n_bytes || fclose(stream)) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    free(file.bytes);
}

static void save_pngs(void)
{
    const test_picture grey = picture(1, 8), deep = picture(1, 16), pair = picture(2, 8), rgb = picture(3, 8);
    const test_picture rgba = picture(4, 16), shallow = picture(1, 2);
    save("grey.png", test_png(&grey, PNG_COLOR_TYPE_GRAY, 0));
    save("grey16_interlaced.png", test_png(&deep, PNG_COLOR_TYPE_GRAY, 1));
    save("grey_alpha.png", test_png(&pair, PNG_COLOR_TYPE_GRAY_ALPHA, 0));
    save("rgb.png", test_png(&rgb, PNG_COLOR_TYPE_RGB, 1));
    save("rgba16.png", test_png(&rgba, PNG_COLOR_TYPE_RGB_ALPHA, 0));
    save("grey2.png", test_png(&shallow, PNG_COLOR_TYPE_GRAY, 0));
    save("palette.png", test_png(&grey, PNG_COLOR_TYPE_PALETTE, 0));
    save("huge.png", test_png_header_only(20000, 20000));
}

static void save_jpegs(void)
{
    const test_picture grey = picture(1, 8), rgb = picture(3, 8), inks = picture(4, 8);
    save("grey.jpg", test_jpeg(&grey, TEST_JPEG_PLAIN));
    save("rgb.jpg", test_jpeg(&rgb, TEST_JPEG_PLAIN));
    save("progressive.jpg", test_jpeg(&rgb, TEST_JPEG_PROGRESSIVE));
    save("cmyk.jpg", test_jpeg(&inks, TEST_JPEG_CMYK));
}

static void save_tiffs(void)
{
    const test_picture grey = picture(1, 8), deep = picture(1, 16), rgb = picture(3, 8);
    test_tiff_layout layout = {.photometric = PHOTOMETRIC_MINISBLACK, .compression = COMPRESSION_NONE};
    save("grey.tif", test_tiff(&grey, &layout));
    layout.is_big_endian = 1;
    layout.compression = COMPRESSION_LZW;
    save("grey16_lzw.tif", test_tiff(&deep, &layout));
    layout = (test_tiff_layout){
        .photometric = PHOTOMETRIC_RGB, .compression = COMPRESSION_ADOBE_DEFLATE, .tile_px = 16};
    save("rgb_tiles.tif", test_tiff(&rgb, &layout));
    layout = (test_tiff_layout){.photometric = PHOTOMETRIC_YCBCR, .compression = COMPRESSION_JPEG};
    save("ycbcr_jpeg.tif", test_tiff(&rgb, &layout));
    layout = (test_tiff_layout){.photometric = PHOTOMETRIC_PALETTE, .compression = COMPRESSION_PACKBITS};
    save("palette.tif", test_tiff(&grey, &layout));
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: make_image_corpus FOLDER\n", stderr);
        return 2;
    }
    folder = argv[1];
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        samples[i] = (uint16_t)(i * 40503u >> 3);
    save_pngs();
    save_jpegs();
    save_tiffs();
    const test_picture grey = picture(1, 8), deep = picture(3, 16);
    save("grey.pgm", test_pnm(&grey, 255, "# corpus\n"));
    save("deep.ppm", test_pnm(&deep, 65535, ""));
    return 0;
}
