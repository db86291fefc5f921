// SPDX-License-Identifier: Apache-2.0
/* Samples as a sequence has them -> pixels of an image. */
#ifndef SONO_IO_SEQUENCES_CONVERT_H
#define SONO_IO_SEQUENCES_CONVERT_H

#include "io/sequences/layout.h"

/* What becomes of a sequence's samples. */
typedef enum sono_sequence_way {
    SONO_SEQUENCE_AS_IT_IS, /* the samples are the pixels */
    SONO_SEQUENCE_LUMA,     /* 3 or 4 components of 8 bits -> GRAY8, Rec. 601 as of image files */
    SONO_SEQUENCE_WINDOW    /* 1 component of any type -> GRAY16 */
} sono_sequence_way;

/* Errors: UNSUPPORTED, with what to do. */
sono_status sono_sequence_choose(const sono_sequence_header *header, const sono_sequence_layout *layout,
                                 const sono_source_options *options, sono_sequence_way *way,
                                 sono_pixel_format *format, sono_error *error);

/* Big-endian samples into host byte order or the other way round, in place. */
void sono_sequence_swap(void *samples, size_t n_bytes, sono_element element);

/* samples: of one frame; out: its pixels, rows contiguous. LUMA and WINDOW. */
void sono_sequence_convert(const sono_sequence_layout *layout, sono_sequence_way way,
                           const sono_source_options *options, const void *samples, void *out);

/* Of n samples of GRAY16: the smallest of 255, 1023, 4095, 16383 and 65535 that holds them all. */
int32_t sono_sequence_white(const uint16_t *samples, size_t n);

#endif
