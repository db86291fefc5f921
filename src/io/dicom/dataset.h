// SPDX-License-Identifier: Apache-2.0
/* What a DICOM file says of its images: size, type, time, millimetres, ultrasound regions, and where the
 * pixels lie. Nothing of who was examined is read. */
#ifndef SONO_IO_DICOM_DATASET_H
#define SONO_IO_DICOM_DATASET_H

#include "io/dicom/element.h"
#include "io/dicom/syntax.h"

#define SONO_DICOM_MAX_REGIONS 64

typedef enum sono_dicom_photometric {
    SONO_DICOM_MONOCHROME1, /* 0 is white */
    SONO_DICOM_MONOCHROME2,
    SONO_DICOM_RGB,
    SONO_DICOM_YBR_FULL,
    SONO_DICOM_YBR_FULL_422
} sono_dicom_photometric;

/* One item of SequenceOfUltrasoundRegions, cut to the image; never empty. */
typedef struct sono_dicom_region {
    sono_region place;
    int is_image;         /* two axes of space, and not a spectrum, a trace, a bar or a number */
    int is_tissue;        /* an image, and of tissue: B-mode */
    double spacing_mm[2]; /* x, y; 0 = unknown, or not in centimetres */
} sono_dicom_region;

typedef struct sono_dicom_dataset {
    const sono_dicom_syntax *syntax;
    sono_dicom_photometric photometric;
    int32_t width_px;
    int32_t height_px;
    int32_t samples;        /* 1 or 3 */
    int32_t is_planar;      /* three planes one behind the other */
    int32_t bits_allocated; /* 8 or 16 */
    int32_t bits_stored;    /* [8, bits_allocated], the low ones */
    int32_t n_frames;       /* [1, INT32_MAX] */
    double spacing_mm[2];   /* PixelSpacing as x, y; 0 = unknown */
    int64_t frame_time_ns;  /* from frame to frame; 0 = unknown */
    uint64_t times_at;      /* FrameTimeVector */
    uint32_t times_bytes;   /* 0 = there is none */
    int says_burned_in;     /* BurnedInAnnotation is YES */
    sono_dicom_region regions[SONO_DICOM_MAX_REGIONS];
    int32_t n_regions;
    uint64_t pixels_at;
    uint32_t pixels_bytes; /* SONO_DICOM_UNDEFINED: in fragments */
} sono_dicom_dataset;

/* Reads everything up to the pixels. Errors: IO, FORMAT (no DICOM file, damaged, something is missing or
 * makes no sense), UNSUPPORTED, LIMIT; the text names the file, the element and its place. */
sono_status sono_dicom_read_dataset(sono_dicom_file *file, sono_dicom_dataset *out, sono_error *error);

/* ---- for regions.c ---- */

/* Reads an element's value of one whole number of 16 bits. Errors: IO, FORMAT. */
sono_status sono_dicom_read_u16(sono_dicom_file *file, const sono_dicom_element *element, int32_t *out,
                                sono_error *error);

/* Reads SequenceOfUltrasoundRegions; the image's size may still be unknown, so regions are as the file says.
 * Errors: IO, FORMAT, LIMIT (more than SONO_DICOM_MAX_REGIONS). */
sono_status sono_dicom_read_regions(const sono_dicom_cursor *cursor, const sono_dicom_element *element,
                                    sono_dicom_dataset *out, sono_error *error);

/* Cuts the regions to the image and drops those that lie beyond it. */
void sono_dicom_cut_regions(sono_dicom_dataset *dataset);

/* Of several the one to look at: the largest image of tissue, else the largest image; NULL = there is none.
 */
const sono_dicom_region *sono_dicom_main_region(const sono_dicom_dataset *dataset);

#endif
