// SPDX-License-Identifier: Apache-2.0
#include "web/frame_wire.h"

#include <stdio.h>
#include <string.h>

#define KEY_CHARS 24
#define MAGIC     "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* ---- SHA-1 (FIPS 180-4), of one short text --------------------------------------------------------------
 */

static uint32_t turn(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void mix(uint32_t state[5], const uint8_t block[64])
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (int i = 16; i < 80; i++) {
        w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    for (int i = 0; i < 80; i++) {
        const uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                           : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                           : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                                    : (b ^ c ^ d) + 0xca62c1d6;
        const uint32_t next = turn(a, 5) + f + e + w[i];
        e = d;
        d = c;
        c = turn(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* n_bytes: below 120, so that two blocks hold it. */
static void sha1(const uint8_t *bytes, size_t n_bytes, uint8_t out[20])
{
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    const size_t n = n_bytes < 56 ? 64 : 128;
    memcpy(blocks, bytes, n_bytes);
    blocks[n_bytes] = 0x80;
    blocks[n - 2] = (uint8_t)(n_bytes >> 5);
    blocks[n - 1] = (uint8_t)(n_bytes << 3);
    for (size_t at = 0; at < n; at += 64) {
        mix(state, blocks + at);
    }
    for (int i = 0; i < 20; i++) {
        out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

/* ---- handshake ------------------------------------------------------------------------------------------
 */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int sono_web_key_is_good(const char *key)
{
    return key && strlen(key) == KEY_CHARS && strspn(key, letters) == KEY_CHARS - 2 &&
           !strcmp(key + KEY_CHARS - 2, "==");
}

void sono_web_accept(const char *key, char out[SONO_WEB_ACCEPT_BYTES])
{
    char text[KEY_CHARS + sizeof MAGIC];
    uint8_t digest[21] = {0};
    snprintf(text, sizeof text, "%.24s%s", key, MAGIC);
    sha1((const uint8_t *)text, strlen(text), digest);
    for (int i = 0; i < 7; i++) {
        const uint32_t three =
            (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 | digest[3 * i + 2];
        for (int j = 0; j < 4; j++) {
            out[4 * i + j] = letters[three >> (18 - 6 * j) & 63];
        }
    }
    out[SONO_WEB_ACCEPT_BYTES - 2] = '='; /* 20 bytes are one short of seven threes */
    out[SONO_WEB_ACCEPT_BYTES - 1] = 0;
}

/* ---- frames ---------------------------------------------------------------------------------------------
 */

size_t sono_web_frame_head(int opcode, size_t n_payload, uint8_t out[SONO_WEB_HEAD_BYTES])
{
    const int n_length = n_payload < 126 ? 0 : n_payload <= 0xffff ? 2 : 8;
    out[0] = (uint8_t)(0x80 | opcode);
    out[1] = (uint8_t)(n_length == 0 ? n_payload : n_length == 2 ? 126 : 127);
    for (int i = 0; i < n_length; i++) {
        out[2 + i] = (uint8_t)((uint64_t)n_payload >> 8 * (n_length - 1 - i));
    }
    return 2 + (size_t)n_length;
}

/* Length of the head that begins with these two bytes. */
static size_t head_bytes(const uint8_t *head)
{
    const int length = head[1] & 127;
    return 2 + (length == 126 ? 2u : length == 127 ? 8u : 0u) + 4;
}

/* The head is whole. 0, or -1. */
static int begin(sono_web_reader *reader)
{
    const uint8_t *head = reader->head;
    const size_t n_length = reader->n_head - 6;
    reader->n_payload = head[1] & 127;
    if (n_length) {
        reader->n_payload = 0;
        for (size_t i = 0; i < n_length; i++) {
            reader->n_payload = reader->n_payload << 8 | head[2 + i];
        }
    }
    reader->opcode = head[0] & 15;
    reader->at = 0;
    return reader->n_payload > SONO_WEB_CONTROL_BYTES ? -1 : 0;
}

/* Clients mask what they send, and use no extension here. */
static int is_allowed(const uint8_t *head)
{
    const int opcode = head[0] & 15, is_control = opcode >= SONO_WEB_CLOSE;
    return !(head[0] & 0x70) && (head[1] & 0x80) &&
           (opcode <= 2 || (is_control && opcode <= SONO_WEB_PONG)) &&
           (!is_control || ((head[0] & 0x80) && (head[1] & 127) <= SONO_WEB_CONTROL_BYTES));
}

sono_web_read sono_web_reader_feed(sono_web_reader *reader, const uint8_t *bytes, size_t n_bytes,
                                   size_t *n_used)
{
    const uint8_t *mask;
    *n_used = 0;
    for (;;) {
        const int is_head = reader->n_head < 2 || reader->n_head < head_bytes(reader->head);
        if (!is_head && reader->at == reader->n_payload) {
            reader->n_head = 0;
            return SONO_WEB_READ_FRAME;
        }
        if (*n_used == n_bytes) {
            return SONO_WEB_READ_MORE;
        }
        const uint8_t byte = bytes[(*n_used)++];
        if (is_head) {
            reader->head[reader->n_head++] = byte;
            if ((reader->n_head == 2 && !is_allowed(reader->head)) ||
                (reader->n_head > 2 && reader->n_head == head_bytes(reader->head) && begin(reader))) {
                return SONO_WEB_READ_BROKEN;
            }
        } else {
            mask = reader->head + reader->n_head - 4;
            reader->payload[reader->at] = byte ^ mask[reader->at & 3];
            reader->at++;
        }
    }
}
