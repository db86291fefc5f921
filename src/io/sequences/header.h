// SPDX-License-Identifier: Apache-2.0
/* The text in front of a sequence's pixels: its rows "name = value" (MetaIO) or "name: value", "name:=value"
 * (NRRD), and those of each frame, Seq_FrameNNNN_<name>. */
#ifndef SONO_IO_SEQUENCES_HEADER_H
#define SONO_IO_SEQUENCES_HEADER_H

#include "base/status.h"

#define SONO_SEQUENCE_MAX_HEADER_BYTES ((size_t)128 << 20)
#define SONO_SEQUENCE_MAX_ROWS         ((size_t)8 << 20) /* more than that header has, unless its rows are empty */

/* Whose a row is, beside the frames (0 and up); in this order they lie in front of the frames' rows. */
#define SONO_SEQUENCE_NOTE   (-2) /* the file's, and says nothing of its format */
#define SONO_SEQUENCE_FORMAT (-1) /* the file's format */

typedef struct sono_sequence_row {
    uint32_t name_at; /* offsets in the text; both texts end with 0 */
    uint32_t value_at;
    int32_t frame;
} sono_sequence_row;

/* Zero-initialised = empty. */
typedef struct sono_sequence_header {
    const char *path; /* borrowed; for errors */
    int is_nrrd;
    char *text;
    size_t n_text, text_capacity;
    sono_sequence_row *rows; /* sorted by frame, those of a frame in the file's order */
    size_t n_rows, rows_capacity;
    int64_t end; /* offset of the byte behind the header */
} sono_sequence_header;

/* Reads the header at the start of a file. Errors: IO, FORMAT (neither MetaIO nor NRRD, not a text, no end),
 * LIMIT, OUT_OF_MEMORY. */
sono_status sono_sequence_header_read(sono_sequence_header *header, int file, const char *path,
                                      sono_error *error);

void sono_sequence_header_reset(sono_sequence_header *header);

/* Rows of a frame (or SONO_SEQUENCE_...) are [*first, return value). */
size_t sono_sequence_rows_of(const sono_sequence_header *header, int32_t frame, size_t *first);

/* The first row of that name (in any case) among [first, end); NULL = there is none. */
const sono_sequence_row *sono_sequence_find(const sono_sequence_header *header, size_t first, size_t end,
                                            const char *name);

/* The same among the rows of the file's format, or its notes. */
const sono_sequence_row *sono_sequence_find_format(const sono_sequence_header *header, const char *name);
const sono_sequence_row *sono_sequence_find_note(const sono_sequence_header *header, const char *name);

/* Turns '%' and two upper-case hex digits in the values of notes and of frames into the byte they stand for:
 * as sonoseg's recorder writes them. */
void sono_sequence_unescape(sono_sequence_header *header);

static inline const char *sono_sequence_name(const sono_sequence_header *header, const sono_sequence_row *row)
{
    return header->text + row->name_at;
}

static inline const char *sono_sequence_value(const sono_sequence_header *header,
                                              const sono_sequence_row *row)
{
    return header->text + row->value_at;
}

#endif
