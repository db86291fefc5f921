// SPDX-License-Identifier: Apache-2.0
/*
 * The content of each message type: bytes to a struct, a struct to bytes. Conventions are those of igtl.h.
 * The content is what sono_igtl_body_decode() found, without extended header and metadata; its length is
 * checked exactly unless said otherwise, and what does not fit is MALFORMED: SHORT is for streams, and
 * content is whole. Arrays stay on the wire and are read one entry at a time by the _at functions.
 */
#ifndef SONO_IGTL_MESSAGES_H
#define SONO_IGTL_MESSAGES_H

#include "igtl/igtl.h"

/* ---- IMAGE --------------------------------------------------------------------------------------------- */

#define SONO_IGTL_IMAGE_HEAD_BYTES 72

typedef enum sono_igtl_scalar {
    SONO_IGTL_INT8 = 2,
    SONO_IGTL_UINT8 = 3,
    SONO_IGTL_INT16 = 4,
    SONO_IGTL_UINT16 = 5,
    SONO_IGTL_INT32 = 6,
    SONO_IGTL_UINT32 = 7,
    SONO_IGTL_FLOAT32 = 10,
    SONO_IGTL_FLOAT64 = 11,
    SONO_IGTL_COMPLEX = 13 /* NDARRAY only */
} sono_igtl_scalar;

size_t sono_igtl_scalar_bytes(int scalar); /* 0 for what is none */

typedef struct sono_igtl_image {
    uint16_t version; /* of the IMAGE head: 1 */
    uint8_t n_components;
    uint8_t scalar;      /* sono_igtl_scalar */
    uint8_t endian;      /* of the pixels: 1 = big, 2 = little */
    uint8_t coordinates; /* 1 = RAS, 2 = LPS */
    uint16_t size[3];    /* columns, rows, slices */
    float matrix[12];    /* T, S, N (direction times spacing, mm), P (the centre of the volume) */
    uint16_t offset[3];  /* of the subvolume that the pixels are */
    uint16_t subsize[3];
} sono_igtl_image;

/* Bytes of the pixels that a head announces, in 64 bits: no product overflows. */
uint64_t sono_igtl_image_pixel_bytes(const sono_igtl_image *image);
/* The head alone, the first 72 bytes of content. Errors: SHORT, MALFORMED (unknown scalar, endian or
 * coordinates, no components, an empty size or subvolume, a subvolume beyond the size), UNSUPPORTED (version
 * of the head other than 1). */
sono_igtl_status sono_igtl_image_head_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_image *out,
                                             sono_igtl_fault *fault);
/* Head and pixels. pixels: within content. Errors: as above, MALFORMED (length is not the head's). */
sono_igtl_status sono_igtl_image_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_image *out,
                                        const uint8_t **pixels, sono_igtl_fault *fault);
/* The head; pixels follow by sono_igtl_write(). */
void sono_igtl_image_head_encode(sono_igtl_writer *writer, const sono_igtl_image *image);

/* ---- TRANSFORM, STATUS, STRING, CAPABILITY, COMMAND ------------------------------------------------------
 */

typedef struct sono_igtl_transform {
    float matrix[12]; /* 3 x 4 by columns: x axis, y axis, z axis, translation (mm) */
} sono_igtl_transform;
sono_igtl_status sono_igtl_transform_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_transform *out,
                                            sono_igtl_fault *fault);
void sono_igtl_transform_encode(sono_igtl_writer *writer, const sono_igtl_transform *transform);

typedef enum sono_igtl_status_code {
    SONO_IGTL_CODE_OK = 1,
    SONO_IGTL_CODE_UNKNOWN_ERROR = 2,
    SONO_IGTL_CODE_NOT_FOUND = 4,
    SONO_IGTL_CODE_ACCESS_DENIED = 5,
    SONO_IGTL_CODE_BUSY = 6,
    SONO_IGTL_CODE_TIME_OUT = 7,
    SONO_IGTL_CODE_OVERFLOW = 8,
    SONO_IGTL_CODE_CHECKSUM = 9,
    SONO_IGTL_CODE_CONFIGURATION = 10,
    SONO_IGTL_CODE_RESOURCES = 11,
    SONO_IGTL_CODE_UNKNOWN_INSTRUCTION = 12,
    SONO_IGTL_CODE_NOT_READY = 13,
    SONO_IGTL_CODE_DISABLED = 15,
    SONO_IGTL_CODE_NOT_PRESENT = 16,
    SONO_IGTL_CODE_HARDWARE = 18,
    SONO_IGTL_CODE_SHUTTING_DOWN = 19
} sono_igtl_status_code;

typedef struct sono_igtl_state {
    uint16_t code; /* sono_igtl_status_code, others too */
    int64_t subcode;
    char name[21];    /* ends with 0 */
    const char *text; /* text_bytes, without the 0 that ends it on the wire */
    size_t text_bytes;
} sono_igtl_state;
/* The text may lack its 0, or be missing: some peers send it so. Errors: MALFORMED (below 30 bytes). */
sono_igtl_status sono_igtl_status_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_state *out,
                                         sono_igtl_fault *fault);
void sono_igtl_status_encode(sono_igtl_writer *writer, const sono_igtl_state *state);

typedef struct sono_igtl_string {
    uint16_t encoding; /* IANA: 3 = US-ASCII, 106 = UTF-8 */
    const char *text;  /* no 0 at the end */
    uint16_t n_bytes;
} sono_igtl_string;
sono_igtl_status sono_igtl_string_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_string *out,
                                         sono_igtl_fault *fault);
void sono_igtl_string_encode(sono_igtl_writer *writer, const sono_igtl_string *string);

/* The types that a device knows, 12 characters each. */
typedef struct sono_igtl_capability {
    const uint8_t *types; /* wire */
    size_t n_types;
} sono_igtl_capability;
sono_igtl_status sono_igtl_capability_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_capability *out,
                                             sono_igtl_fault *fault);
int sono_igtl_capability_at(const sono_igtl_capability *capability, size_t index,
                            char out[SONO_IGTL_TYPE_CHARS + 1]);
void sono_igtl_capability_encode(sono_igtl_writer *writer, const char *const *types, size_t n_types);

/* COMMAND and RTS_COMMAND: u32 id, char[128] name, u16 encoding, u32 length, text. */
#define SONO_IGTL_COMMAND_NAME_CHARS 128
typedef struct sono_igtl_command {
    uint32_t id;
    char name[SONO_IGTL_COMMAND_NAME_CHARS + 1];
    uint16_t encoding;
    const char *text;
    uint32_t n_bytes;
} sono_igtl_command;
sono_igtl_status sono_igtl_command_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_command *out,
                                          sono_igtl_fault *fault);
void sono_igtl_command_encode(sono_igtl_writer *writer, const sono_igtl_command *command);

#endif
