// SPDX-License-Identifier: Apache-2.0
/* A frame's stored bytes -> an image: planes woven, colour turned into what was asked for, white made bright,
 * what lies outside of the regions made black. */
#ifndef SONO_IO_DICOM_PIXELS_H
#define SONO_IO_DICOM_PIXELS_H

#include "io/dicom/colour.h"
#include "io/dicom/frames.h"
#include "io/images/image.h"

/* Zero-initialised = empty. */
typedef struct sono_dicom_pixels {
    uint8_t *stored; /* a frame's bytes, where they are not the pixels */
    size_t capacity;
    sono_dicom_colour colour; /* of this file; UNKNOWN until the first frame was seen */
    uint8_t *outside;         /* width x height, 1 = to be made black; NULL = nothing is */
} sono_dicom_pixels;

/* Has everything outside of the dataset's regions made black from then on. Errors: OUT_OF_MEMORY. */
sono_status sono_dicom_blank_outside(sono_dicom_pixels *pixels, const sono_dicom_dataset *dataset,
                                     const char *path, sono_error *error);

/* Reads frame number `frame` into job->image, GRAY8, GRAY16 or, with keep_colour, RGB8. job->bytes is not
 * used. On failure the image is empty. Errors: IO, FORMAT, UNSUPPORTED, LIMIT, OUT_OF_MEMORY. */
sono_status sono_dicom_decode(sono_dicom_pixels *pixels, sono_dicom_file *file,
                              const sono_dicom_dataset *dataset, const sono_dicom_frames *frames,
                              int64_t frame, const sono_image_job *job);

void sono_dicom_pixels_reset(sono_dicom_pixels *pixels);

#endif
