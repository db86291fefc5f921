// SPDX-License-Identifier: Apache-2.0
/* A sequence's pixels, read or unpacked frame by frame in the file's order: never more than one frame beyond
 * what was asked for, and never more than the header names. */
#ifndef SONO_IO_SEQUENCES_PIXELS_H
#define SONO_IO_SEQUENCES_PIXELS_H

#include "io/sequences/layout.h"

#include <zlib.h>

#define SONO_SEQUENCE_PIECE_BYTES ((size_t)64 << 10)

/* Zero-initialised with file -1 = not open. */
typedef struct sono_sequence_pixels {
    const char *path; /* borrowed; of the file with the pixels */
    int file;         /* owned */
    int64_t at;       /* plain: of the next frame; compressed: of the next byte to be read */
    int64_t end;      /* behind the last byte that may be read */
    size_t frame_bytes;
    int64_t n_frames, n_given;
    int is_compressed;
    int is_inflating; /* `stream` is set up */
    int has_ended;    /* the packed data have */
    z_stream stream;
    uint8_t *packed;  /* SONO_SEQUENCE_PIECE_BYTES; compressed only */
    uint8_t *skipped; /* likewise, made when needed: unpacked bytes that nobody wants */
} sono_sequence_pixels;

/* Takes over file, of which the header ends at header_end (0: a file of its own). Errors: IO, FORMAT (not a
 * regular file, shorter than the layout says), OUT_OF_MEMORY. */
sono_status sono_sequence_pixels_open(sono_sequence_pixels *pixels, int file, const char *path,
                                      int64_t header_end, const sono_sequence_layout *layout,
                                      sono_error *error);

/* The next frame as the file has it; out (frame_bytes long) NULL = it is passed over. After an error there is
 * no way on. Errors: IO, FORMAT (cut short, damaged), OUT_OF_MEMORY. */
sono_status sono_sequence_pixels_next(sono_sequence_pixels *pixels, void *out, sono_error *error);

void sono_sequence_pixels_close(sono_sequence_pixels *pixels);

#endif
