// SPDX-License-Identifier: Apache-2.0
/* Where each frame's bytes lie in a DICOM file, and when it was taken. */
#ifndef SONO_IO_DICOM_FRAMES_H
#define SONO_IO_DICOM_FRAMES_H

#include "io/dicom/dataset.h"

typedef struct sono_dicom_fragment {
    uint64_t at;
    uint32_t n_bytes;
} sono_dicom_fragment;

/* Zero-initialised = empty. */
typedef struct sono_dicom_frames {
    int is_half_chroma;             /* plain YBR_FULL_422: two bytes a pixel, a pair Y Y Cb Cr */
    size_t frame_bytes;             /* plain: of each */
    sono_dicom_fragment *fragments; /* JPEG: in the file's order */
    size_t n_fragments, capacity;
    size_t *starts;    /* JPEG: n_frames + 1 numbers of fragments */
    int64_t *times_ns; /* since the first frame; NULL = every frame_time_ns */
} sono_dicom_frames;

/* max_bytes: no frame may be stored in more. A JPEG frame begins with the fragment that begins as a JPEG
 * does, whatever the offset table says. Errors: IO, FORMAT (other than NumberOfFrames frames, cut short),
 * LIMIT, OUT_OF_MEMORY. */
sono_status sono_dicom_find_frames(sono_dicom_file *file, const sono_dicom_dataset *dataset, size_t max_bytes,
                                   sono_dicom_frames *out, sono_error *error);

/* Bytes that frame number `frame` takes. */
size_t sono_dicom_frame_bytes(const sono_dicom_frames *frames, int64_t frame);

/* Reads them all to out. Errors: IO, FORMAT. */
sono_status sono_dicom_read_frame(sono_dicom_file *file, const sono_dicom_dataset *dataset,
                                  const sono_dicom_frames *frames, int64_t frame, uint8_t *out,
                                  sono_error *error);

void sono_dicom_frames_reset(sono_dicom_frames *frames);

#endif
