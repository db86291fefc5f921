// SPDX-License-Identifier: Apache-2.0
/* Transfer syntaxes: how a DICOM file's elements and pixels are stored (PS3.6, annex A). */
#ifndef SONO_IO_DICOM_SYNTAX_H
#define SONO_IO_DICOM_SYNTAX_H

typedef enum sono_dicom_packing {
    SONO_DICOM_PLAIN, /* pixels as they are */
    SONO_DICOM_JPEG,  /* a JPEG of 8 bits for each frame */
    SONO_DICOM_OTHER  /* not read */
} sono_dicom_packing;

typedef struct sono_dicom_syntax {
    const char *uid;
    const char *name;
    sono_dicom_packing packing;
    int is_implicit;
    const char *advice; /* what to do with one that is not read; NULL = it is */
} sono_dicom_syntax;

/* NULL: none of those that the table knows. Static. */
const sono_dicom_syntax *sono_dicom_find_syntax(const char *uid);

#endif
