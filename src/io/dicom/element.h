// SPDX-License-Identifier: Apache-2.0
/*
 * The data elements of a DICOM file one after the other (PS3.5, chapter 7): explicit VR (a type of two
 * letters with each) and implicit VR, little endian. Values stay in the file.
 */
#ifndef SONO_IO_DICOM_ELEMENT_H
#define SONO_IO_DICOM_ELEMENT_H

#include "io/dicom/file.h"

#define SONO_DICOM_UNDEFINED 0xffffffffu /* a length that a delimiter ends */

#define SONO_DICOM_TAG(group, element) ((uint32_t)(group) << 16 | (uint32_t)(element))

typedef struct sono_dicom_element {
    uint32_t tag;
    char vr[3];        /* "US"; "" in implicit VR */
    uint32_t n_bytes;  /* of the value, or SONO_DICOM_UNDEFINED */
    uint64_t at;       /* where the element begins */
    uint64_t value_at; /* where its value does */
} sono_dicom_element;

/* Elements between two offsets of a file. */
typedef struct sono_dicom_cursor {
    sono_dicom_file *file; /* borrowed */
    uint64_t at, end;      /* end: at most the file's */
    int is_implicit;
} sono_dicom_cursor;

/* Reads the next element's head; its value is behind the cursor until sono_dicom_skip(). Errors: END (there
 * is none), IO, FORMAT (cut short, no type where one must be, a value that ends beyond `end`). */
sono_status sono_dicom_next(sono_dicom_cursor *cursor, sono_dicom_element *out, sono_error *error);

/* Moves behind the value of the element last read. Sequences of undefined length are walked through, at most
 * 16 deep. Errors: IO, FORMAT, LIMIT. */
sono_status sono_dicom_skip(sono_dicom_cursor *cursor, const sono_dicom_element *element, sono_error *error);

/* Reads the head of an item in a sequence: *n_bytes of it, which may be undefined, begin at cursor->at.
 * Errors: END (its delimiter, or `end`), IO, FORMAT (something that is no item). */
sono_status sono_dicom_next_item(sono_dicom_cursor *cursor, uint32_t *n_bytes, sono_error *error);

#endif
