// SPDX-License-Identifier: Apache-2.0
/*
 * Messages out of a stream of bytes that comes in pieces of any size. The reader says where the next bytes
 * are to go and how many it can use; the caller reads from its socket straight to there. Pixels of an IMAGE
 * go to memory that the caller names when the image's head is known, so that nobody copies them. The checksum
 * is computed as bytes come. Pure: no socket, no clock, no heap. A pause at any byte changes nothing.
 *
 *     for (;;) {
 *         uint8_t *where;
 *         size_t room = sono_igtl_reader_want(reader, &where);   // above 0 always
 *         ssize_t n = read(fd, where, room);                      // or less, for fairness
 *         switch (sono_igtl_reader_take(reader, n)) ...
 *     }
 */
#ifndef SONO_IGTL_READER_H
#define SONO_IGTL_READER_H

#include "igtl/messages.h"

typedef struct sono_igtl_limits {
    uint64_t max_body_bytes;     /* a header that says more breaks the stream: no resynchronising */
    uint64_t max_metadata_bytes; /* of an IMAGE, index included; more: the message is refused as LIMIT */
} sono_igtl_limits;

typedef enum sono_igtl_read {
    SONO_IGTL_READ_MORE = 0,
    /* An IMAGE's head is known (reader->header, ->image): call sono_igtl_reader_place() now, or its pixels
     * are read and thrown away. */
    SONO_IGTL_READ_IMAGE,
    SONO_IGTL_READ_MESSAGE, /* whole and its checksum fits: reader->header, ->body; of an IMAGE ->image, its
                               pixels where they were placed, body.content is NULL */
    SONO_IGTL_READ_BAD_CRC, /* as MESSAGE, but the checksum does not fit: the caller decides */
    SONO_IGTL_READ_REFUSED, /* a message is over, and was malformed, over a limit, or too large for the
                               scratch memory: reader->header, ->fault. The stream goes on. A malformed one
                               whose checksum does not fit either is told as CRC: it was damaged on its way.
                             */
    SONO_IGTL_READ_BROKEN   /* the header cannot be believed: reader->fault. Only closing helps. */
} sono_igtl_read;

typedef struct sono_igtl_reader {
    sono_igtl_header header;
    sono_igtl_body body;
    sono_igtl_image image;
    uint8_t image_head[SONO_IGTL_IMAGE_HEAD_BYTES]; /* as it came */
    sono_igtl_fault fault; /* offset_bytes counts from the start of the message, header included */
    uint64_t n_bytes;      /* taken since init */
    uint64_t n_messages;   /* that ended, however */
    int is_placed;         /* of an IMAGE: its pixels are where the caller said */
    /* The reader's own. */
    sono_igtl_limits limits;
    uint8_t *scratch;
    size_t scratch_bytes;
    uint8_t *pixels; /* NULL = thrown away */
    uint8_t head[SONO_IGTL_HEADER_BYTES];
    int part;         /* which part of a message is being read */
    uint64_t at, end; /* bytes of that part: read so far, altogether */
    uint64_t body_at; /* bytes of the body read so far */
    uint64_t crc;     /* of those */
    uint64_t content_bytes;
    uint32_t metadata_bytes;
    uint16_t index_bytes;
} sono_igtl_reader;

#define SONO_IGTL_MIN_SCRATCH_BYTES 4096

/* limits are copied. scratch: the caller's, for bodies other than pixels; at least
 * SONO_IGTL_MIN_SCRATCH_BYTES. A body that does not fit is read, thrown away and told as REFUSED. */
void sono_igtl_reader_init(sono_igtl_reader *reader, const sono_igtl_limits *limits, uint8_t *scratch,
                           size_t scratch_bytes);

/* Where the next bytes go and how many may come at most, above 0. Changes nothing; the place stays the same
 * until bytes are taken. */
size_t sono_igtl_reader_want(sono_igtl_reader *reader, uint8_t **where);

/* n_bytes (at most what was wanted, at least 1) were put there. What is told lasts until the next call of
 * this function; bytes that _want() asks for may be put in their place before. */
sono_igtl_read sono_igtl_reader_take(sono_igtl_reader *reader, size_t n_bytes);

/* After READ_IMAGE, before the next bytes: pixels go to `pixels`, which has room for
 * sono_igtl_image_pixel_bytes(). At any other time it does nothing. */
void sono_igtl_reader_place(sono_igtl_reader *reader, uint8_t *pixels);

/* 1 while a message is begun and not over: a read deadline applies. */
int sono_igtl_reader_is_inside(const sono_igtl_reader *reader);

#endif
