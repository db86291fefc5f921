// SPDX-License-Identifier: Apache-2.0
/* What the files that read TIFF share. */
#ifndef SONO_IO_IMAGES_TIFF_PRIVATE_H
#define SONO_IO_IMAGES_TIFF_PRIVATE_H

#include "io/images/tiff.h"

#include <tiffio.h>

/* One page being read through libtiff. */
typedef struct sono_tiff_reader {
    const sono_image_job *job;
    const sono_tiff_input *input;
    TIFF *tiff;
    uint64_t at;
    int has_failed; /* text holds libtiff's first complaint */
    char text[200];
    uint32_t width_px, height_px;
    uint16_t bits;    /* a sample */
    uint16_t samples; /* a pixel */
    uint16_t photometric, sample_format, compression, orientation;
    int is_planar;            /* the samples of a pixel lie in planes of their own */
    sono_pixel_format format; /* what they become */
    uint8_t palette[256][3];
    uint8_t *scratch; /* one row or one tile */
} sono_tiff_reader;

/* Lists the directories that count; see sono_tiff_open(). */
sono_status sono_tiff_list(sono_tiff *tiff, const sono_image_job *job);

/* Takes the tags of the current directory and says what its samples become. Errors: UNSUPPORTED, with what is
 * unusual about the file in words. */
sono_status sono_tiff_read_tags(sono_tiff_reader *reader);

/* Samples that lie together for one pixel in a row or tile that libtiff gives. */
static inline int32_t sono_tiff_step(const sono_tiff_reader *reader)
{
    return reader->is_planar ? 1 : reader->samples;
}

/* Turns a run of `count` pixels into those of row y from column x on. plane: the sample of colour that the
 * run holds, when it holds only one. */
void sono_tiff_store(const sono_tiff_reader *reader, const uint8_t *data, int32_t x, int32_t y, int32_t count,
                     int plane);

/* Behind the last row of a GRAY16 image: finds what means white, and moves inverted samples (MINISWHITE:
 * white - sample) down to it from 65535. */
void sono_tiff_settle_white(const sono_tiff_reader *reader);

#endif
