// SPDX-License-Identifier: Apache-2.0
/* One client of the replay: what it asked for, what is queued for it. */
#ifndef SONO_REPLAY_CLIENT_H
#define SONO_REPLAY_CLIENT_H

#include "igtl/reader.h"
#include "replay/packet.h"

#define SONO_REPLAY_MAX_WANTED 64
#define SONO_REPLAY_REPLIES    16 /* places in the queue beside frames */

typedef struct sono_replay_client {
    int fd; /* -1 = none */
    char address[64];
    uint16_t version; /* of headers sent to it */
    int32_t has_spoken;
    int32_t is_narrow; /* it sent a CLIENTINFO */
    int32_t wants_images, wants_transforms;
    int32_t n_wanted; /* transforms by name; 0 = all */
    char wanted[SONO_REPLAY_MAX_WANTED][SONO_IGTL_DEVICE_CHARS + 1];
    sono_replay_packet **queue; /* ring of `capacity` */
    int32_t capacity, first, n_queued, n_frames;
    int32_t part; /* of the first packet */
    size_t at;    /* of its bytes: sent so far */
    uint64_t n_bytes;
    int64_t joined_ns, moved_ns; /* moved: bytes last left, or nothing waited */
    int32_t is_closing;          /* all was sent and the end told: its own end is waited for */
    sono_igtl_reader reader;
    uint8_t *scratch;
} sono_replay_client;

/* Takes fd over, also on failure. 0, or -1: out of memory. */
int sono_replay_client_open(sono_replay_client *client, int fd, const char *address, int32_t queue_frames,
                            int64_t now_ns);
void sono_replay_client_close(sono_replay_client *client);

/* Queues one more user of packet. 0, or -1 when the queue is full: the client is too slow. */
int sono_replay_client_push(sono_replay_client *client, sono_replay_packet *packet);

/* Sends what the socket takes. 0, or -1 when the connection broke. */
int sono_replay_client_send(sono_replay_client *client, int64_t now_ns);

/* Reads what there is, queues answers. timestamp: raw, of answers. 0, or -1 with a reason when it is over. */
int sono_replay_client_receive(sono_replay_client *client, uint64_t timestamp, const char **reason);

/* A CLIENTINFO's XML, for tests: narrows what the client wants. Unknown parts are passed over. */
void sono_replay_client_narrow(sono_replay_client *client, const char *xml, size_t n_bytes);

#endif
