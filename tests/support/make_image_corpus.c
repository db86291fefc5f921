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

static uint16_t samples[SIDE * SIDE * 8];
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
    uint8_t block[TEST_EXIF_BYTES];
    test_exif(block, 6, 1);
    save("turned.png",
         test_png_chunk(test_png(&grey, PNG_COLOR_TYPE_GRAY, 0), 33, "eXIf", block, sizeof block));
}

static void save_jpegs(void)
{
    const test_picture grey = picture(1, 8), rgb = picture(3, 8), inks = picture(4, 8);
    save("grey.jpg", test_jpeg(&grey, TEST_JPEG_PLAIN));
    save("rgb.jpg", test_jpeg(&rgb, TEST_JPEG_PLAIN));
    save("progressive.jpg", test_jpeg(&rgb, TEST_JPEG_PROGRESSIVE));
    save("cmyk.jpg", test_jpeg(&inks, TEST_JPEG_CMYK));
    save("restarts.jpg", test_jpeg(&grey, TEST_JPEG_RESTARTS));
    uint8_t segment[10 + TEST_EXIF_BYTES] = {0xff, 0xe1, 0, 8 + TEST_EXIF_BYTES, 'E', 'x', 'i', 'f', 0, 0};
    test_exif(segment + 10, 7, 0);
    save("turned.jpg", test_insert(test_jpeg(&grey, TEST_JPEG_PLAIN), 2, segment, sizeof segment));
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

static void save_odd_tiffs(void)
{
    const test_picture grey = picture(1, 8), deep = picture(1, 16), packed = picture(1, 1),
                       many = picture(5, 8);
    const test_picture narrow = picture(1, 32), wide = picture(1, 64), pages[] = {grey, packed, deep};
    test_tiff_layout layout = {
        .photometric = PHOTOMETRIC_RGB, .compression = COMPRESSION_LZMA, .is_planar = 1};
    save("planes.tif", test_tiff(&many, &layout));
    layout.tile_px = 16;
    layout.orientation = 5;
    layout.compression = COMPRESSION_NONE;
    save("plane_tiles_turned.tif", test_tiff(&many, &layout));
    layout = (test_tiff_layout){.photometric = PHOTOMETRIC_MINISBLACK,
                                .compression = COMPRESSION_NONE,
                                .sample_format = SAMPLEFORMAT_IEEEFP};
    save("float.tif", test_tiff(&narrow, &layout));
    layout.is_big_endian = 1;
    save("double.tif", test_tiff(&wide, &layout));
    layout = (test_tiff_layout){.compression = COMPRESSION_PACKBITS, .has_no_photometric = 1};
    save("packed.tif", test_tiff(&packed, &layout));
    test_tiff_layout layouts[3] = {layout, layout, layout};
    layouts[0].subfile_type = FILETYPE_REDUCEDIMAGE;
    save("pages.tif", test_tiff_pages(pages, layouts, 3));
    layouts[0].is_big_tiff = 1;
    save("pages_big.tif", test_tiff_pages(pages, layouts, 3));
    save("stack.tif", test_imagej(&deep, 3, 3, 1));
    save("stack_packed.tif", test_imagej(&packed, 3, 3, 1));
    save("stack_cut.tif", test_imagej(&grey, 4, 2, 0));
}

static void save_pnms(void)
{
    const test_picture grey = picture(1, 8), deep = picture(3, 16);
    static const uint8_t bits[] = "P4 10 2\n\xa0\x40\x7f\x80";
    save("grey.pgm", test_pnm(&grey, 255, "# corpus\n"));
    save("deep.ppm", test_pnm(&deep, 65535, ""));
    save("text.pgm", test_text_pnm(&grey, 255));
    save("text.ppm", test_text_pnm(&deep, 65535));
    save("bits.pbm", test_insert((test_file){NULL, 0}, 0, bits, sizeof bits - 1));
    save("text.pbm", test_insert((test_file){NULL, 0}, 0, "P1 3 2\n10 1 #\n011", 16));
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
    save_odd_tiffs();
    save_pnms();
    return 0;
}
