// SPDX-License-Identifier: Apache-2.0
/*
 * OpenIGTLink on the wire: header, extended header, metadata, timestamps, checksum. Pure: no sockets, no
 * clock, no heap. Facts: OpenIGTLink protocol 2 and 3 (openigtlink.org), header versions 1 and 2.
 *
 * What is decoded points into the caller's bytes and is valid as long as they are. Nothing is read beyond the
 * length that was passed, and every size that the wire states is checked before it is used. On a failure
 * outputs are untouched and `fault`, where it is not NULL, says what and where.
 *
 * Decoders state their errors; encoders have none, the writer remembers that it is full. What a decoder does
 * not keep is padding: bytes behind the first 0 of a fixed string.
 *
 * Thread-safety: functions share no state but the choice of checksum code, which is made once.
 */
#ifndef SONO_IGTL_IGTL_H
#define SONO_IGTL_IGTL_H

#include <stddef.h>
#include <stdint.h>

#define SONO_IGTL_HEADER_BYTES   58
#define SONO_IGTL_EXTENDED_BYTES 12 /* the least; the wire may say more */
#define SONO_IGTL_TYPE_CHARS     12 /* on the wire, without a 0 byte when full */
#define SONO_IGTL_DEVICE_CHARS   20

typedef enum sono_igtl_status {
    SONO_IGTL_OK = 0,
    SONO_IGTL_SHORT,       /* the bytes end before what they announce: on a stream, wait for more */
    SONO_IGTL_LIMIT,       /* larger than the caller allows: refused at once */
    SONO_IGTL_MALFORMED,   /* against the protocol */
    SONO_IGTL_CRC,         /* the checksum does not fit the body */
    SONO_IGTL_UNSUPPORTED, /* by the protocol, but not known here */
    SONO_IGTL_FULL         /* encoding: the writer's memory ends first */
} sono_igtl_status;

const char *sono_igtl_status_name(sono_igtl_status status); /* "malformed"; static, never NULL */

/* What was wrong, and where. */
typedef struct sono_igtl_fault {
    sono_igtl_status status;
    int64_t offset_bytes; /* from the start of what was passed in */
    const char *reason;   /* one line; static storage */
} sono_igtl_fault;

/* ---- header -------------------------------------------------------------------------------------------- */

typedef struct sono_igtl_header {
    uint16_t version;                        /* 1 or 2 */
    char type[SONO_IGTL_TYPE_CHARS + 1];     /* "IMAGE"; ends with 0 */
    char device[SONO_IGTL_DEVICE_CHARS + 1]; /* any bytes but 0; ends with 0 */
    uint64_t timestamp;                      /* raw: seconds << 32 | fraction of 2^-32 s; 0 = none */
    uint64_t body_bytes;
    uint64_t crc; /* over the body */
} sono_igtl_header;

/* Errors: SHORT (n_bytes < 58), MALFORMED (version 0 or above 2, a type that is empty or not printable),
 * LIMIT (body_bytes > max_body_bytes). */
sono_igtl_status sono_igtl_header_decode(const uint8_t *bytes, size_t n_bytes, uint64_t max_body_bytes,
                                         sono_igtl_header *out, sono_igtl_fault *fault);
void sono_igtl_header_encode(const sono_igtl_header *header, uint8_t out[SONO_IGTL_HEADER_BYTES]);

/* ---- body ---------------------------------------------------------------------------------------------- */

/* Where the parts of a body lie: version 1 has content only; version 2 an extended header, content, metadata.
 */
typedef struct sono_igtl_body {
    const uint8_t *content;
    size_t content_bytes;
    const uint8_t *index; /* of the metadata: n_metadata entries of 8 bytes; NULL = none */
    const uint8_t *metadata;
    size_t metadata_bytes; /* keys and values back to back */
    uint16_t n_metadata;
    uint16_t extended_bytes;
    uint32_t message_id;
} sono_igtl_body;

/* bytes: the whole body, header->body_bytes long; NULL only for an empty one. The checksum is the caller's to
 * compare. An empty body is none of version 2's parts (queries, and answers that say "no data"). A version-2
 * body may lack the metadata's index altogether (both sizes 0). Errors: SHORT (n_bytes < body_bytes),
 * MALFORMED (sizes that do not add up, checked for every metadata entry). */
sono_igtl_status sono_igtl_body_decode(const sono_igtl_header *header, const uint8_t *bytes, size_t n_bytes,
                                       sono_igtl_body *out, sono_igtl_fault *fault);

typedef struct sono_igtl_metadata {
    const char *key; /* key_bytes of them, no 0 at the end */
    const char *value;
    size_t key_bytes;
    size_t value_bytes;
    uint16_t encoding; /* IANA: 3 = US-ASCII, 106 = UTF-8 */
} sono_igtl_metadata;

/* Entry number [0, n_metadata) of a decoded body: 1, or 0 behind the last. Walks from the first entry. */
int sono_igtl_metadata_at(const sono_igtl_body *body, uint16_t index, sono_igtl_metadata *out);
/* The first entry of that key: 1, or 0 where there is none. */
int sono_igtl_metadata_find(const sono_igtl_body *body, const char *key, sono_igtl_metadata *out);

/* ---- timestamps ---------------------------------------------------------------------------------------- */

/* Nanoseconds since 1970 UTC of a raw timestamp, rounded to the nearest; 0 stays 0. ns -> raw -> ns is exact,
 * raw -> ns -> raw is not: what is handed on is the raw one. */
int64_t sono_igtl_timestamp_ns(uint64_t raw);
/* ns of [0, 2^32 s); below it is 0, above it the last raw timestamp there is. */
uint64_t sono_igtl_timestamp_raw(int64_t ns);

/* ---- checksum ------------------------------------------------------------------------------------------ */

/* CRC-64/ECMA-182: polynomial 0x42f0e1eba9ea3693, not reflected, from 0, no final exclusive or. Continues
 * from crc, so that a body may come in pieces. By carry-less multiplication where the CPU has it, else by
 * tables. Of "123456789": 0x6c40df5f0b497347. */
uint64_t sono_igtl_crc64(uint64_t crc, const void *bytes, size_t n_bytes);

/* ---- writing ------------------------------------------------------------------------------------------- */

/* Appends messages to the caller's memory. A call that finds no room sets `is_full`, writes nothing and makes
 * all later ones do nothing, so that only the end needs to be checked. Between messages bytes[0, n_bytes) are
 * whole ones. */
typedef struct sono_igtl_writer {
    uint8_t *bytes;
    size_t capacity;
    size_t n_bytes; /* written so far */
    size_t begin;   /* of the message under way */
    int is_full;
} sono_igtl_writer;

void sono_igtl_writer_init(sono_igtl_writer *writer, uint8_t *bytes, size_t capacity);

/* Begins a message: room for the header, and for version 2 an extended header. type, device: cut to 12 and 20
 * bytes. Content follows by the _encode functions of messages.h or sono_igtl_write(). */
void sono_igtl_message_begin(sono_igtl_writer *writer, uint16_t version, const char *type, const char *device,
                             uint64_t timestamp);
void sono_igtl_write(sono_igtl_writer *writer, const void *bytes, size_t n_bytes);
/* Room of n_bytes for the caller to fill before _end(); NULL when full. */
uint8_t *sono_igtl_write_room(sono_igtl_writer *writer, size_t n_bytes);
/* Ends it: metadata (version 2; ignored in version 1), sizes, checksum. On a failure the message is taken
 * back: n_bytes is what it was before _begin(). Errors: FULL, LIMIT (a key above 65535 bytes, values above 4
 * GiB in all, or more than 8191 entries: the index's size has 16 bits), MALFORMED (no message was begun). */
sono_igtl_status sono_igtl_message_end(sono_igtl_writer *writer, uint32_t message_id,
                                       const sono_igtl_metadata *metadata, size_t n_metadata);

#endif
