// SPDX-License-Identifier: Apache-2.0
/* Three components of 8 bits: RGB or Y Cb Cr, whatever a label says, and what becomes of them. */
#ifndef SONO_IO_DICOM_COLOUR_H
#define SONO_IO_DICOM_COLOUR_H

#include "base/status.h"

typedef enum sono_dicom_colour {
    SONO_DICOM_COLOUR_UNKNOWN,
    SONO_DICOM_COLOUR_RGB,
    SONO_DICOM_COLOUR_YBR /* full range, as JFIF has it: Y, Cb, Cr, grey at Cb = Cr = 128 */
} sono_dicom_colour;

/* What pixels[3 * n] look like. An ultrasound image is grey nearly everywhere: in RGB its three components
 * are alike, in Y Cb Cr the last two are near 128. RGB or YBR when at least half of the pixels say so and
 * less than a tenth the other; else UNKNOWN. */
sono_dicom_colour sono_dicom_judge(const uint8_t *pixels, size_t n);

/* What a JPEG says of itself: by the marker of JFIF or of Adobe, by components called R, G and B, or by fewer
 * samples of the last two; UNKNOWN without any, or when it is damaged. */
sono_dicom_colour sono_dicom_judge_jpeg(const uint8_t *bytes, size_t n_bytes);

/* pixels[3 * n] of Y Cb Cr -> RGB, in place, as libjpeg rounds it. */
void sono_dicom_to_rgb(uint8_t *pixels, size_t n);

/* pixels[3 * n] of Y Cb Cr -> Y, in place: the first n bytes. */
void sono_dicom_to_luma(uint8_t *pixels, size_t n);

#endif
