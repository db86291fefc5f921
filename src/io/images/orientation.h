// SPDX-License-Identifier: Apache-2.0
/*
 * Which way up a picture is, as EXIF and TIFF count (tag 274): 1 as stored, 2 mirrored left to right, 3
 * turned by 180 degrees, 4 mirrored top to bottom, 5 transposed, 6 to be turned clockwise by 90 degrees, 7
 * transposed along the other diagonal, 8 to be turned anticlockwise by 90 degrees.
 */
#ifndef SONO_IO_IMAGES_ORIENTATION_H
#define SONO_IO_IMAGES_ORIENTATION_H

#include "io/images/image.h"

/* The orientation that an EXIF block (from "II*" or "MM" on) names; 1 when it names none or is damaged. */
int32_t sono_orientation_of_exif(const uint8_t *bytes, size_t n_bytes);

/* Turns the image the way its `orientation` asks for; width and height change places from 5 on. Other numbers
 * than 2 to 8 leave it as it is. Errors: OUT_OF_MEMORY. */
sono_status sono_orientation_apply(const sono_image_job *job);

#endif
