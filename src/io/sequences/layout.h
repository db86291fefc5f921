// SPDX-License-Identifier: Apache-2.0
/* What a header says of the pixels: how many, of what type, where. Every number in it has been checked. */
#ifndef SONO_IO_SEQUENCES_LAYOUT_H
#define SONO_IO_SEQUENCES_LAYOUT_H

#include "io/sequences/header.h"
#include "sonoseg/io.h"

typedef struct sono_sequence_layout {
    int64_t n_frames; /* [0, INT32_MAX] */
    int32_t width_px; /* [0, INT32_MAX], 0 = there are no images */
    int32_t height_px;
    int32_t components; /* [1, 4] */
    sono_element element;
    size_t frame_bytes; /* with the n_frames of them together below 2^62 */
    double spacing_mm[2];
    int is_big_endian;
    int is_compressed;
    const char *data_file; /* beside the header's; NULL = behind the header. In the header's memory */
    int64_t stored_bytes;  /* of compressed pixels; -1 = up to the end of the file */
    int64_t skip_bytes;    /* before the pixels, unpacked; -1 = they are the file's last bytes */
} sono_sequence_layout;

/* Errors: FORMAT (a row is missing or makes no sense), UNSUPPORTED; the text names the file, the row and its
 * place. */
sono_status sono_sequence_read_layout(const sono_sequence_header *header, sono_sequence_layout *out,
                                      sono_error *error);

/* Each format's part of it. */
sono_status sono_sequence_read_metaio(const sono_sequence_header *header, sono_sequence_layout *out,
                                      sono_error *error);
sono_status sono_sequence_read_nrrd(const sono_sequence_header *header, sono_sequence_layout *out,
                                    sono_error *error);

/* ---- for both ---- */

#define SONO_SEQUENCE_MAX_AXES 5

/* "<path>: <name> = <value>: <reason> (at byte N)"; row NULL: <name> is missing. */
#define SONO_SEQUENCE_FAIL(header, row, error, status, name, reason)                                         \
    (sono_sequence_fail((header), (row), (error), SONO_STATUS_##status, (name), (reason), __func__),         \
     SONO_STATUS_##status)
void sono_sequence_fail(const sono_sequence_header *header, const sono_sequence_row *row, sono_error *error,
                        sono_status status, const char *name, const char *reason, const char *where);

/* Bytes of an element; 0 for what is none. */
size_t sono_sequence_element_bytes(sono_element element);

/* Takes the axes behind that of the components: x, y, perhaps a z of 1, perhaps frames. sizes: [n_axes],
 * checked to be within [0, INT32_MAX]; kinds: the words of the row `kinds`, the first n_before of which are
 * not about these axes, or NULL. row: what an error is about. */
sono_status sono_sequence_take_axes(const sono_sequence_header *header, const sono_sequence_row *row,
                                    const int64_t *sizes, int n_axes, const char *kinds, int n_before,
                                    sono_sequence_layout *out, sono_error *error);

/* Word number `index` of a text of words separated by blanks, as [return value, *n); NULL = there are less.
 */
const char *sono_sequence_word(const char *text, int index, size_t *n);

#endif
