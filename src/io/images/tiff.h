// SPDX-License-Identifier: Apache-2.0
/*
 * The pages of a TIFF file (classic or BigTIFF), one frame each:
 *
 *     what counts   every directory of the file's list but those marked as reduced (NewSubfileType bit 0,
 *                   OldSubfileType 2) or as a mask (bit 2); when all are marked, the first. Directories below
 *                   others (SubIFDs) do not count. An ImageJ stack of one directory (`images=N` in its
 *                   description, pixels back to back) has as many pages as it has whole images.
 *     what is read  grey of 1, 2, 4, 8 or 16 bits, float grey of 32 or 64 bits with a range in the options
 *                   (GRAY16), RGB of 8 or 16 bits, palettes, YCbCr in JPEG; strips or tiles, together or in
 *                   planes; extra samples are ignored. Without PhotometricInterpretation a file is what
 * Pillow takes it for: white at 0 up to 8 bits, else black at 0; three samples are RGB.
 *
 * A list that is cut short or runs in a circle has one page more, which fails and says so.
 */
#ifndef SONO_IO_IMAGES_TIFF_H
#define SONO_IO_IMAGES_TIFF_H

#include "io/images/image.h"

/* Where the file's bytes are: in memory, or, where bytes is NULL, behind a descriptor (pread). Borrowed. */
typedef struct sono_tiff_input {
    const uint8_t *bytes;
    int descriptor;
    uint64_t n_bytes;
} sono_tiff_input;

typedef struct sono_tiff {
    sono_tiff_input input;
    uint64_t *directories; /* offsets of those that count, in order */
    size_t n_directories, capacity;
    const char *fault;   /* what is wrong behind them, or NULL */
    int64_t n_stacked;   /* images behind the one directory of an ImageJ stack; 0 = no such stack */
    int64_t n_announced; /* by that stack's description */
} sono_tiff;

/* Copies up to n bytes from offset `at` on; returns how many there are. */
size_t sono_tiff_input_read(const sono_tiff_input *input, uint64_t at, void *out, size_t n);

/* Lists the pages. *tiff: zero-initialised; reset it, also after an error. Errors: OUT_OF_MEMORY; a damaged
 * file has at least one page, whose decoding fails. */
sono_status sono_tiff_open(sono_tiff *tiff, const sono_tiff_input *input, const sono_image_job *job);

/* At least 1. */
int64_t sono_tiff_count(const sono_tiff *tiff);

/* Decodes one page, 0 <= page < sono_tiff_count(); job->bytes is not looked at. What comes behind is
 * sono_image_finish()'s. Errors: those of sono_image_decode(). */
sono_status sono_tiff_decode(const sono_tiff *tiff, int64_t page, const sono_image_job *job);

void sono_tiff_reset(sono_tiff *tiff);

#endif
