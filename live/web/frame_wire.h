// SPDX-License-Identifier: Apache-2.0
/* The WebSocket protocol (RFC 6455) as far as a server that only sends needs it: the answer to a handshake,
 * heads of what is sent, and a reader of what clients send that keeps 125 bytes at most. Pure. */
#ifndef SONO_WEB_FRAME_WIRE_H
#define SONO_WEB_FRAME_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define SONO_WEB_ACCEPT_BYTES  29 /* 28 characters and a 0 */
#define SONO_WEB_HEAD_BYTES    10
#define SONO_WEB_CONTROL_BYTES 125

enum {
    SONO_WEB_TEXT_FRAME = 1,
    SONO_WEB_BINARY_FRAME = 2,
    SONO_WEB_CLOSE = 8,
    SONO_WEB_PING = 9,
    SONO_WEB_PONG
};

/* 1 = a Sec-WebSocket-Key: 16 bytes in base64. */
int sono_web_key_is_good(const char *key);
/* The Sec-WebSocket-Accept that belongs to it. */
void sono_web_accept(const char *key, char out[SONO_WEB_ACCEPT_BYTES]);
/* The head of an unfragmented frame of a server; its length. */
size_t sono_web_frame_head(int opcode, size_t n_payload, uint8_t out[SONO_WEB_HEAD_BYTES]);

typedef struct sono_web_reader {
    uint8_t head[14];
    size_t n_head, at; /* of head; of the payload */
    uint64_t n_payload;
    int opcode;
    uint8_t payload[SONO_WEB_CONTROL_BYTES];
} sono_web_reader;

typedef enum sono_web_read {
    SONO_WEB_READ_MORE,  /* all bytes are used up */
    SONO_WEB_READ_FRAME, /* opcode, and the payload unmasked */
    SONO_WEB_READ_BROKEN /* against the protocol, or longer than is taken: the connection is to be closed */
} sono_web_read;

/* Takes some of the bytes, and says how many: to be called with the rest while it says FRAME. */
sono_web_read sono_web_reader_feed(sono_web_reader *reader, const uint8_t *bytes, size_t n_bytes,
                                   size_t *n_used);

#endif
